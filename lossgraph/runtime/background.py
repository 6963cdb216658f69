"""One thread for what can be done while calls are answered.

It does one job after the other, so that building many kernels does not take all processors. It
ends with the process: what waits is dropped, and a compiler that runs is stopped.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
from collections import deque
from collections.abc import Callable

Job = Callable[[], None]
_PATIENCE = 10.0  # seconds to wait at exit for a job that cannot be stopped


class Background:
    """A thread that is started by the first job, and after a fork by the next one.

    Attributes:
        process: stands for the process whose thread it is: what was submitted before a fork is
            not done in the child.
        stops: what stops the job that runs.
    """

    def __init__(self) -> None:
        self._ending = False
        self._thread: threading.Thread | None = None
        self.stops: list[Callable[[], None]] = []
        self._reset()
        atexit.register(self._end)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def submit(self, job: Job) -> None:
        """Do a job when those before it are done."""
        with self._lock:
            if self._ending:
                return
            self._jobs.append(job)
            if self._thread is None:
                thread = threading.Thread(target=self._work, name="lossgraph", daemon=True)
                with contextlib.suppress(RuntimeError):  # none is started at the very end
                    thread.start()
                    self._thread = thread

    def wait(self) -> None:
        """Wait until there is nothing to do."""
        with self._lock:  # which a thread has until it is started
            thread = self._thread
        if thread is not None:
            thread.join()

    def _reset(self) -> None:
        """In a forked process there is no thread, and nobody to give a lock back."""
        self._thread = None
        self._lock = threading.Lock()
        self._jobs: deque[Job] = deque()
        self.process = object()  # another one in another process

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._jobs or self._ending:
                    self._thread = None
                    return
                job = self._jobs.popleft()
            job()

    def _end(self) -> None:
        with self._lock:
            self._ending = True
            thread = self._thread
        for stop in self.stops:
            with contextlib.suppress(OSError):
                stop()
        if thread is not None:
            thread.join(_PATIENCE)


BACKGROUND = Background()
