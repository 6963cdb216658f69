"""What libraries are built for: this machine, or a system and a processor by name."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from ..errors import InputError

NATIVE = "native"
# The levels of x86-64 that its ABI defines; AVX2 and FMA are of the third, AVX-512 of the fourth.
LEVELS = MappingProxyType({1: "x86_64", 3: "x86_64_v3", 4: "x86_64_v4"})

_SUFFIXES = {"linux": ".so", "macos": ".dylib", "windows": ".dll"}
_HERE = {"linux": "linux", "darwin": "macos", "win32": "windows"}
WIDE_VECTORS = "-mprefer-vector-width=512"  # compilers split those of 512 bits unless told


@dataclass(frozen=True)
class Target:
    """A system and a processor.

    Attributes:
        system: ``linux``, ``macos`` or ``windows``.
        machine: as the name of the target spells it.
        triple: what zig calls it, with the oldest glibc or macOS that is to load it.
        processor: the least of which code is made, as zig calls it.
        levels: targets whose code is in its libraries too, by the level of x86-64: the best that
            the processor has is chosen when a library runs.
    """

    system: str
    machine: str
    triple: str
    processor: str
    levels: tuple[tuple[int, str], ...] = ()

    @property
    def is_here(self) -> bool:
        """Whether this machine runs it, its processor's level left aside."""
        machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(
            platform.machine().lower(), platform.machine().lower()
        )
        own = "aarch64" if self.machine == "arm64" else self.machine
        return self.system == here() and own == machine


_WHOLE = {
    "linux-x86_64": Target("linux", "x86_64", "x86_64-linux-gnu.2.17", "x86_64"),
    "linux-aarch64": Target("linux", "aarch64", "aarch64-linux-gnu.2.17", "generic"),
    "windows-x86_64": Target("windows", "x86_64", "x86_64-windows-gnu", "x86_64"),
    "windows-arm64": Target("windows", "arm64", "aarch64-windows-gnu", "generic"),
    "macos-arm64": Target("macos", "arm64", "aarch64-macos.13.0", "apple_m1"),
    "macos-x86_64": Target("macos", "x86_64", "x86_64-macos.13.0", "x86_64"),
}


def _named() -> Mapping[str, Target]:
    """Each target by its name; of x86-64 each level too, ``linux-x86_64-v1``, ``-v3``, ``-v4``."""
    found = dict(_WHOLE)
    for name, whole in _WHOLE.items():
        if whole.machine == "x86_64":
            alone = {level: f"{name}-v{level}" for level in LEVELS}
            for level, processor in LEVELS.items():
                found[alone[level]] = replace(whole, processor=processor)
            found[name] = replace(whole, levels=tuple(alone.items())[1:])
    return MappingProxyType(found)


TARGETS = _named()
SHIPPED = tuple(_WHOLE)  # whose libraries run on every processor of the kind


def checked_targets(targets: str | Iterable[str]) -> tuple[str, ...]:
    """Names of targets, given one by one or as a text with commas between them.

    Raises:
        InputError: for a name that is none, and for none at all.
    """
    split = targets.split(",") if isinstance(targets, str) else targets
    names = tuple(dict.fromkeys(name.strip() for name in split))
    for name in names:
        if name not in SHIPPED:
            raise InputError(f"kernels for {name!r}: expected some of {', '.join(SHIPPED)}")
    return names


def here() -> str:
    """The system of this machine: a name as targets have, or what Python calls it."""
    return _HERE.get(sys.platform, sys.platform)


def target_here() -> str | None:
    """The name of ``SHIPPED`` that this machine is, if it is one."""
    return next((name for name in SHIPPED if TARGETS[name].is_here), None)


def suffix(target: str) -> str:
    """How the name of a library ends: ``native``'s, or that of a name of ``TARGETS``."""
    system = here() if target == NATIVE else TARGETS[target].system
    return _SUFFIXES.get(system, ".so")


def target_flags(family: str, target: Target) -> tuple[str, ...] | None:
    """The flags with which a compiler builds for a target, or None if it cannot.

    Args:
        family: ``zig``, which builds for all of them, ``gcc`` or ``clang``.
        target: one of ``TARGETS``.
    """
    wide = (WIDE_VECTORS,) if target.processor == LEVELS[4] else ()
    if family == "zig":
        return ("-target", target.triple, f"-mcpu={target.processor}", *wide)
    if not target.is_here or target.system == "macos":
        return None
    if target.processor == "generic":
        return ()
    return (f"-march={target.processor.replace('x86_64', 'x86-64').replace('_', '-')}", *wide)
