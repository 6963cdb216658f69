"""Processes that answer requests: starting, asking, pausing and ending them.

``worker_protocol`` says what is spoken, and is the other side.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any


class WorkerError(Exception):
    """A worker does not start, failed, ended or took too long."""


class EndedError(WorkerError):
    """A worker ended: ``code`` is what with, ``lines`` are what it wrote to stderr."""

    def __init__(self, code: int, lines: Sequence[str]) -> None:
        self.code, self.lines = code, lines
        last = f": {lines[-1]}" if lines else ""
        super().__init__(f"the process ended with {code}{last}")


class Worker:
    """A process that answers requests one by one.

    Args:
        command: what starts it.
        folder: where it works, and where ``log`` is.
        log: the name of the file of its stderr.
        env: its variables; this process's if not given.
        seconds: how long it may take for an answer.

    Raises:
        WorkerError: if it does not start.
    """

    def __init__(
        self,
        command: Sequence[str],
        folder: Path,
        log: str = "worker.log",
        env: Mapping[str, str] | None = None,
        seconds: float = 600.0,
    ) -> None:
        self._log, self._seconds = folder / log, seconds
        try:
            with self._log.open("wb") as errors:
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    cwd=folder,
                    env=env,
                    start_new_session=True,  # CTRL-C is for this process alone
                )
        except OSError as error:
            raise WorkerError(f"{command[0]} does not start: {error.strerror}") from error

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def hello(self) -> dict[str, Any]:
        """Its first answer, which comes unasked.

        Raises:
            WorkerError: if there is none, or it says what is missing.
        """
        found = self._answer()
        if "missing" in found:
            raise WorkerError(found["missing"])
        return found

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """The answer to a request.

        Raises:
            WorkerError: if the request failed, or there is no answer.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise self._ended() from None
        answer = self._answer()
        if "error" in answer:
            raise WorkerError(str(answer["error"]).rstrip())
        return answer

    def pause(self) -> None:
        """Stop it: the threads of some libraries go on spinning after their work is done."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """End it and what it started, whatever it is doing."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe:
                    pipe.close()

    def _signal(self, number: int) -> None:
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _answer(self) -> dict[str, Any]:
        """The next line of its stdout, which may come in many pieces."""
        assert self._process.stdout is not None
        deadline, line = time.monotonic() + self._seconds, bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise WorkerError(f"the process took longer than {self._seconds:.0f} s")
                piece = os.read(self._process.stdout.fileno(), 1 << 16)
                if not piece:
                    raise self._ended()
                line += piece
        return dict(json.loads(line))

    def _ended(self) -> EndedError:
        code = self._process.wait()
        lines = self._log.read_text(errors="replace").splitlines()
        return EndedError(code, [line.rstrip() for line in lines if line.strip()])
