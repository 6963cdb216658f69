"""What the processor of this machine can do, as a digest: so that no other runs its code."""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# Of a core, what decides which instructions a compiler chooses: x86, then ARM, then others.
_SAYING = frozenset(
    ["vendor_id", "cpu family", "model", "stepping", "flags",
     "Features", "CPU implementer", "CPU architecture", "CPU variant", "CPU part",
     "isa", "cpu", "machine"]
)  # fmt: skip
_SYSCTL = ("/usr/sbin/sysctl", "machdep.cpu", "hw.optional", "hw.cputype", "hw.cpusubtype")
_WINDOWS_FEATURES = 64  # more than there are names for today


@functools.cache
def processor() -> str | None:
    """A digest of the processor's features, or None if the system does not say them."""
    said = tuple(_features())
    if not said:
        return None
    return hashlib.sha256("\n".join([platform.machine(), *said]).encode()).hexdigest()


def _features() -> Iterable[str]:
    if sys.platform == "darwin":
        return _from_sysctl()
    if sys.platform == "win32":
        return _from_windows()
    return from_cpuinfo(_read(_CPUINFO))


def from_cpuinfo(text: str) -> list[str]:
    """What Linux says of all cores, each saying once: cores may differ, and come and go."""
    found = set()
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() in _SAYING:  # flags have no order to rely on
            found.add(f"{name.strip()}: {' '.join(sorted(value.split()))}")
    return sorted(found)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _from_sysctl() -> list[str]:
    try:
        done = subprocess.run(
            _SYSCTL, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return sorted(done.stdout.splitlines())


def _from_windows() -> list[str]:
    import ctypes

    kernel32 = getattr(ctypes, "windll").kernel32  # noqa: B009  there is none to type elsewhere
    present = (kernel32.IsProcessorFeaturePresent(i) for i in range(_WINDOWS_FEATURES))
    return [os.environ.get("PROCESSOR_IDENTIFIER", ""), *(str(bool(found)) for found in present)]
