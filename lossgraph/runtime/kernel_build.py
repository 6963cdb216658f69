"""How a kernel comes to be: generated, built or found, tried, opened in a session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import LossgraphError
from ..kernels import cache, toolchain
from ..kernels.folders import cache_folder
from ..kernels.model import Fused, fused
from ..kernels.prebuilt import prebuilt
from ..kernels.processes import stop_processes
from ..kernels.trial import trial_unit
from ..kernels.unit import Unit
from .background import BACKGROUND
from .kernel_trial import verdict
from .sessions import engine_errors, make_session

if TYPE_CHECKING:
    from ..compiler.program import Program

BACKGROUND.stops.append(stop_processes)  # of compilers


class NoKernelError(LossgraphError):
    """A program that was to run as a kernel, and cannot."""


class BuiltKernel(NamedTuple):
    """A kernel in a session, and what it is."""

    session: Any
    name: str
    library: Path


def build_kernel(program: Program, threads: int | None = None) -> BuiltKernel:
    """Generate a program's kernels, find or build their library, and open a session with it.

    Raises:
        LossgraphError: if that cannot be, saying why.
    """
    made, library = _library_with(program)
    require_trusted_engine()
    names = ", ".join(kernel.name for kernel in made.kernels)
    try:
        session = make_session(made.model, None, threads, [library])
    except engine_errors() as error:
        raise NoKernelError(f"ONNX Runtime cannot use {library}: {error}") from error
    return BuiltKernel(session, names, library)


def require_trusted_engine() -> None:
    """Refuse an ONNX Runtime that kernels do not run in; one newer than all known is tried.

    Raises:
        LossgraphError: saying why.
    """
    found = verdict(cache_folder(), lambda: library_of(trial_unit()))
    if not found.safe:
        raise NoKernelError(found.reason)


def fuse(program: Program, domain: str | None = None) -> Fused:
    """A program with kernels, and the checks of its labels."""
    return fused(program, checks=True, domain=domain)


def _library_with(program: Program) -> tuple[Fused, Path]:
    """The kernels of a program, and a library of them: one that was built before, or their own."""
    made = fuse(program)
    first, *others = [prebuilt(kernel.name) for kernel in made.kernels]
    if first is None or any(other != first for other in others):
        return made, library_of(made.unit)
    return fuse(program, first.domain), first.library


def library_of(unit: Unit) -> Path:
    """The library of a unit: from the cache, or built by a compiler of the machine.

    Raises:
        LossgraphError: if it is not there, and cannot be built.
    """
    return cache.library(unit.text, toolchain.find())
