"""The fused kernel of a program: whether there is one, and how it comes to be.

``auto`` has it built in the background while the graph answers, and takes no failure amiss;
``True`` builds it at once and says what is wrong; ``False`` never does.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ..errors import InputError, LossgraphError, ProviderError
from ..kernels import cache, toolchain
from ..kernels.folders import cache_folder
from ..kernels.model import Fused, fused
from ..kernels.prebuilt import prebuilt
from ..kernels.processes import stop_processes
from ..kernels.trial import trial_unit
from ..kernels.unit import Unit
from .background import BACKGROUND
from .kernel_trial import verdict
from .sessions import engine_errors, first_provider, make_session

if TYPE_CHECKING:
    from ..compiler.program import Program

Kernels = Literal["auto"] | bool

_VARIABLE = "LOSSGRAPH_KERNELS"
_WORDS: dict[str, Kernels] = {
    "auto": "auto", "": "auto", "1": True, "on": True, "0": False, "off": False,
}  # fmt: skip

BACKGROUND.stops.append(stop_processes)  # of compilers


class NoKernelError(LossgraphError):
    """A program that was to run as a kernel, and cannot."""


class BuiltKernel(NamedTuple):
    """A kernel in a session, and what it is."""

    session: Any
    name: str
    library: Path


def kernels_setting(kernels: Kernels | None) -> Kernels:
    """What was asked for; by default what ``LOSSGRAPH_KERNELS`` says: 1 (on), 0 (off) or auto.

    Raises:
        InputError: for anything else.
    """
    if kernels is None:
        word = os.environ.get(_VARIABLE, "")
        if word not in _WORDS:
            raise InputError(f"{_VARIABLE}={word!r}: expected '1', '0' or 'auto'")
        return _WORDS[word]
    if kernels is True or kernels is False or kernels == "auto":
        return kernels
    raise InputError(f"kernels: expected 'auto', True or False, got {kernels!r}")


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
    found = prebuilt(made.kernels[0].name) if len(made.kernels) == 1 else None
    if found is None:
        return made, library_of(made.unit)
    return fuse(program, found.domain), found.library


def library_of(unit: Unit) -> Path:
    """The library of a unit: from the cache, or built by a compiler of the machine.

    Raises:
        LossgraphError: if it is not there, and cannot be built.
    """
    return cache.library(unit.text, toolchain.find())


class KernelRequest:
    """The kernel that a program is to have, once it is asked for.

    Args:
        program: the program.
        kernels: how much it is wanted.
        providers: where the program runs.
        threads: how many threads a call may use.
        use: is given the kernel when it is there, in the thread that built it, and None when it
            cannot be used any more.

    Attributes:
        required: whether the program may not run without it.
        status: how it stands with the kernel, as a sentence.

    Raises:
        LossgraphError: if there must be a kernel, and cannot be.
    """

    def __init__(
        self,
        program: Program,
        kernels: Kernels,
        providers: Any,
        threads: int | None,
        use: Callable[[BuiltKernel | None], None],
    ) -> None:
        self._program, self._threads, self._use = program, threads, use
        self.required = kernels is True
        self.status = "no kernel: none is wanted"
        self._wanted, self._asked_in = False, object()
        if kernels is not False and self._has_place(providers):
            self._want()
        if self._wanted and self.required:
            self._build()

    def start(self) -> None:
        """Have the kernel built in the background, if it is wanted and was not asked for yet."""
        if not self._wanted or self._asked_in is BACKGROUND.process:
            return
        self._asked_in = BACKGROUND.process
        self.status = "no kernel yet: it is being built"
        weak = weakref.ref(self)  # who drops a loss wants no kernel of it
        BACKGROUND.submit(lambda: _build_if_alive(weak))

    def refuse(self, error: Exception) -> None:
        """Go on without the kernel."""
        self._note(error)
        self._use(None)

    def _has_place(self, providers: Any) -> bool:
        if first_provider(providers) == "cpu":
            return True
        self.status = "no kernel: kernels run on the CPU"
        if self.required:
            raise ProviderError(f"kernels=True: kernels run on the CPU, not on {providers!r}")
        return False

    def _build(self) -> None:
        built = build_kernel(self._program, self._threads)
        self._wanted = False
        self._use(built)
        self.status = f"kernel {built.name} in {built.library}"
        _FORKED.add(self, built.session)

    def build_quietly(self) -> None:
        """Build the kernel; as the graph serves as well, no error is worth more than a word."""
        try:
            self._build()
        except Exception as error:  # of any compiler, file system and engine
            self._note(error)

    def _note(self, error: Exception) -> None:
        self._wanted = False
        self.status = f"no kernel: {error}"

    def forget(self) -> None:
        """Take it that the kernel was never built."""
        self._want()
        self._use(None)

    def _want(self) -> None:
        self._wanted = True
        self.status = "no kernel yet: the loss has not been called"


def _build_if_alive(weak: weakref.ref[KernelRequest]) -> None:
    request = weak()
    if request is not None:
        request.build_quietly()


class _Forked:
    """Kernels in a forked process: its sessions have lost their threads, and are opened anew."""

    def __init__(self) -> None:
        self._sessions: weakref.WeakKeyDictionary[KernelRequest, Any] = weakref.WeakKeyDictionary()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._lose)

    def add(self, request: KernelRequest, session: Any) -> None:
        self._sessions[request] = session

    def _lose(self) -> None:
        sessions = dict(self._sessions)
        self._sessions.clear()
        for request, session in sessions.items():
            # To end it would be to wait for its threads: it is kept for good.
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(session))
            request.forget()


_FORKED = _Forked()
