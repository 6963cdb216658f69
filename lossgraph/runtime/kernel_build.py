"""How a kernel comes to be: generated, built or found, tried, opened in a session."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import LossgraphError
from ..kernels.cache import library
from ..kernels.model import Fused, fused
from ..kernels.processes import stop_processes
from ..kernels.toolchain import find
from ..kernels.trial import trial_unit
from ..kernels.unit import Unit
from .background import BACKGROUND
from .kernel_trial import verdict
from .sessions import make_session

if TYPE_CHECKING:
    from ..compiler.program import Program

BACKGROUND.stops.append(stop_processes)


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
    made = fuse(program)
    path = library_of(made.unit)
    trusted = verdict(path.parent, lambda: library_of(trial_unit()))
    if not trusted.safe:
        raise NoKernelError(trusted.reason)
    names = ", ".join(kernel.name for kernel in made.kernels)
    return BuiltKernel(make_session(made.model, None, threads, [path]), names, path)


def fuse(program: Program) -> Fused:
    """A program with kernels, and the checks of its labels."""
    return fused(program, checks=True)


def library_of(unit: Unit) -> Path:
    """The library of a unit: from the cache, or built by a compiler of the machine."""
    toolchain = find()
    if toolchain is None:
        raise NoKernelError("there is no C compiler: pip install 'lossgraph[kernels]'")
    return library(unit.text, toolchain)
