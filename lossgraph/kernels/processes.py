"""Processes of compilers: no shell, nothing to read from, an end in any case."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

_MOST_WORDS = 400  # letters of what a compiler complains
_MOST_OUTPUT = 1 << 20
_NO_WINDOW = getattr(subprocess, "CREATE_NO_WINDOW", 0)
_running: set[tuple[int, subprocess.Popen[bytes]]] = set()  # of which process, for forks


class Done(NamedTuple):
    """How a process ended: its exit code, what it said, and what is wrong in a few words."""

    code: int
    output: str
    problem: str


def run_process(
    command: Sequence[str],
    folder: Path | None,
    timeout: float,
    environment: Mapping[str, str] | None = None,
) -> Done:
    """Run a command in a folder; after ``timeout`` seconds it and its children are killed."""
    # To a file: what a child of a killed process holds open would keep a pipe waiting.
    with tempfile.TemporaryFile(dir=folder) as said:
        try:
            process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, "LC_ALL": "C", **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                creationflags=_NO_WINDOW,
            )
        except OSError as error:
            return Done(-1, "", f"it cannot be run: {error.strerror}")
        late = _wait(process, timeout)
        said.seek(0)
        output = said.read(_MOST_OUTPUT).decode(errors="replace")
    if late:
        return Done(-1, output, f"it did not end within {timeout:g} seconds")
    return Done(process.returncode, output, _problem(process.returncode, output))


def _wait(process: subprocess.Popen[bytes], timeout: float) -> bool:
    """Wait for a process, and whether it took too long; it is gone in any case."""
    entry = os.getpid(), process
    _running.add(entry)
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        return True
    finally:  # an interrupt of the user goes to us alone
        _running.discard(entry)
        if process.poll() is None:
            _kill(process)
            process.wait()
    return False


def stop_processes() -> None:
    """Kill what runs, in whichever thread: when a process ends, nobody needs its kernels."""
    for parent, process in tuple(_running):
        if parent == os.getpid() and process.poll() is None:
            _kill(process)


def _kill(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _problem(code: int, output: str) -> str:
    if code == 0:
        return ""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()] or lines[-3:]
    words = "; ".join(errors[:3])
    shortened = words if len(words) <= _MOST_WORDS else f"{words[:_MOST_WORDS]} .."
    return f"exit code {code}: {shortened}" if shortened else f"exit code {code}"
