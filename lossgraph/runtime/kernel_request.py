"""The fused kernel that a program is to have: whether it is wanted, and how it stands with it.

``auto`` has it built in the background while the graph answers, and takes no failure amiss;
``True`` builds it at once and says what is wrong; ``False`` never does.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from ..errors import InputError, ProviderError
from .background import BACKGROUND
from .sessions import first_provider

if TYPE_CHECKING:
    from ..compiler.program import Program
    from .kernel_build import BuiltKernel

Kernels = Literal["auto"] | bool

_VARIABLE = "LOSSGRAPH_KERNELS"
_WORDS: dict[str, Kernels] = {
    "auto": "auto", "": "auto", "1": True, "on": True, "0": False, "off": False,
}  # fmt: skip


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


# Calls after which a kernel is built: who calls a loss once would not get to use it.
FIRST_CALLS = 2


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
        self._wanted, self._asked_in, self._calls = False, object(), 0
        if kernels is not False and self._has_place(providers):
            self._want()
        if self._wanted and self.required:
            self._build()

    @property
    def is_awaited(self) -> bool:
        """Whether a kernel is wanted and no one has begun to build it."""
        return self._wanted and self._asked_in is not BACKGROUND.process

    def called(self) -> None:
        """Have the kernel built in the background, once the program was called often enough."""
        if self.is_awaited:
            self._calls += 1
            if self._calls >= FIRST_CALLS:
                self.start()

    def start(self) -> None:
        """Have the kernel built in the background, if it is wanted and was not asked for yet."""
        if not self.is_awaited:
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
        from .kernel_build import build_kernel  # and all of the compiler, for those who want it

        built = build_kernel(self._program, self._threads)
        self._wanted = False
        self._use(built)
        self.status = f"kernel {built.name} in {built.library}"
        _FORKED.add(self, built.session)

    def build_quietly(self) -> None:
        """Build the kernel; as the graph serves as well, no error is worth more than a word."""
        if not self._wanted:  # two threads have asked
            return
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
        self.status = "no kernel yet: the loss has not been called twice"


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
