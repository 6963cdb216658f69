"""The driver's side of the processes: starting, asking, pausing and ending them."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

from .losses import Array
from .peers import Source

PATIENCE = 600.0  # seconds that a worker may take for an answer
TAIL = 15  # lines of its stderr that are shown if it fails
TOOLS = Path(__file__).resolve().parents[1]


class WorkerError(Exception):
    """A worker failed or ended."""


class Worker:
    """A peer in a process of its own."""

    def __init__(
        self, source: Source, python: str, folder: Path, threads: int, cpus: Sequence[int]
    ) -> None:
        self.name, self.title, self.python = source.name, source.peer.title, python
        self.versions: dict[str, str] = {}
        self.python_version = ""
        self._peer, self._folder = source.peer, folder
        self._log = folder / f"{self.name}.log"
        command = [python, "-m", f"{__package__}.worker", str(source.file)]
        command += ["--threads", str(threads), "--cpus", *map(str, cpus)]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=folder,
                env=_environment(source, python, folder),
                start_new_session=True,  # CTRL-C is for the driver alone
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def greet(self) -> str | None:
        """Wait until it has imported its library; the reason if it cannot."""
        try:
            hello = self._answer()
        except WorkerError as error:
            return str(error)
        if "missing" in hello:
            return str(hello["missing"])
        self.versions, self.python_version = hello["versions"], hello["python"]
        return None

    def has(self, loss: str) -> bool:
        """Whether the library has this loss."""
        return hasattr(self._peer, loss)

    def prepare(self, loss: str, arrays: Path, gradient: bool) -> list[float]:
        """Compile and warm up; the seconds of some warm calls."""
        case = {"loss": loss, "arrays": str(arrays), "gradient": gradient}
        return list(self._ask({"prepare": case})["seconds"])

    def memory(self, loss: str, small: Path, arrays: Path) -> int:
        """Bytes that value and gradient take at most; of a worker that has done nothing yet."""
        case = {"loss": loss, "small": str(small), "arrays": str(arrays), "gradient": True}
        return int(self._ask({"memory": case})["bytes"])

    def run(self, count: int) -> list[float]:
        """The seconds of each of some calls."""
        return list(self._ask({"run": count})["seconds"])

    def values(self) -> dict[str, Array]:
        """What it computes."""
        path = self._folder / f"{self.name}.npz"
        self._ask({"values": str(path)})
        with np.load(path) as file:
            return dict(file)

    def pause(self) -> None:
        """Stop it: the threads of some libraries go on spinning after their work is done."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._signal(signal.SIGCONT)

    def close(self) -> None:
        """End it, whatever it is doing."""
        self._signal(signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe:
                    pipe.close()

    def _signal(self, number: int) -> None:
        if self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        self.resume()
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
            answer = self._answer()
        except BrokenPipeError:
            raise self._ended() from None
        if "error" in answer:
            raise WorkerError(f"{self.name} failed ({self.python}):\n{answer['error'].rstrip()}")
        self.pause()
        return answer

    def _answer(self) -> dict[str, Any]:
        """The next line of its stdout, which may come in many pieces."""
        assert self._process.stdout is not None
        deadline, line = time.monotonic() + PATIENCE, bytearray()
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise WorkerError(f"{self.name} gave no answer in {PATIENCE:.0f} s")
                piece = os.read(self._process.stdout.fileno(), 1 << 16)
                if not piece:
                    raise self._ended()
                line += piece
        return dict(json.loads(line))

    def _ended(self) -> WorkerError:
        code = self._process.wait()
        how = f"with exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
        lines = self._log.read_text(errors="replace").splitlines()[-TAIL:]
        return WorkerError("\n".join([f"{self.name} ended {how} ({self.python})", *lines]))


@contextmanager
def started(
    pythons: Sequence[tuple[Source, str]], folder: Path, threads: int, cpus: Sequence[int]
) -> Iterator[tuple[list[Worker], dict[str, str]]]:
    """Workers that could import their libraries, and by name why others could not.

    They start side by side, as importing takes seconds; all are ended in the end.
    """
    workers: list[Worker] = []
    missing: dict[str, str] = {}
    with ExitStack() as stack:
        for source, python in pythons:
            worker = Worker(source, python, folder, threads, cpus)
            stack.callback(worker.close)
            workers.append(worker)
        for worker in workers:
            reason = worker.greet()
            if reason is None:
                worker.pause()
            else:
                missing[worker.name] = reason
        yield [worker for worker in workers if worker.name not in missing], missing


def choose_cpus(count: int) -> list[int]:
    """Processors for the workers: of different cores as far as there are. Empty: all of them."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    cores: dict[str, list[int]] = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        cores.setdefault(_siblings(cpu), []).append(cpu)
    by_turn = sorted(
        (turn, cpu) for siblings in cores.values() for turn, cpu in enumerate(siblings)
    )
    return sorted(cpu for _, cpu in by_turn[:count])


def _siblings(cpu: int) -> str:
    """The processors that share a core with this one."""
    path = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
    try:
        return path.read_text().strip()
    except OSError:
        return str(cpu)


def _environment(source: Source, python: str, folder: Path) -> dict[str, str]:
    """The variables of a worker. Modules meant for this Python must not reach another one."""
    variables = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    paths = [str(TOOLS), *source.peer.paths]
    if python == sys.executable:
        paths += filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))
    # Libraries, too, leave temporary files behind.
    return {**variables, "PYTHONPATH": os.pathsep.join(paths), "TMPDIR": str(folder)}
