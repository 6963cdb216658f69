"""The driver's side of the processes: starting, asking, pausing and ending them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lossgraph.compare import workers
from lossgraph.compare.workers import EndedError, WorkerError

from .losses import Array
from .peers import Source

PATIENCE = 600.0  # seconds that a worker may take for an answer
TAIL = 15  # lines of its stderr that are shown if it fails
TOOLS = Path(__file__).resolve().parents[1]


class Worker(workers.Worker):
    """A peer in a process of its own, which is stopped while it is not asked."""

    def __init__(
        self, source: Source, python: str, folder: Path, threads: int, cpus: Sequence[int]
    ) -> None:
        self.name, self.title, self.python = source.name, source.peer.title, python
        self.kind = source.peer.kind
        self.versions: dict[str, str] = {}
        self.python_version = ""
        self._peer, self._folder = source.peer, folder
        command = [python, "-m", f"{__package__}.worker", str(source.file)]
        command += ["--threads", str(threads), "--cpus", *map(str, cpus)]
        env = _environment(source, python, folder)
        super().__init__(command, folder, f"{self.name}.log", env, PATIENCE)

    def greet(self) -> str | None:
        """Wait until it has imported its library; the reason if it cannot."""
        try:
            hello = self.hello()
        except EndedError as error:
            return self._told(error)
        except WorkerError as error:
            return str(error)
        self.versions, self.python_version = hello["versions"], hello["python"]
        return None

    def has(self, loss: str) -> bool:
        """Whether the library has this loss."""
        return self._peer.has(loss)

    def prepare(self, loss: str, arrays: Path, gradient: bool) -> list[float]:
        """Compile and warm up; the seconds of some warm calls."""
        case = {"loss": loss, "arrays": str(arrays), "gradient": gradient}
        return list(self.ask({"prepare": case})["seconds"])

    def memory(self, loss: str, small: Sequence[Path], arrays: Path, gradient: bool) -> int:
        """The bytes that the first call with arrays takes, besides inputs and outputs."""
        case = {"loss": loss, "arrays": str(arrays), "gradient": gradient}
        return int(self.ask({"memory": {**case, "small": list(map(str, small))}})["bytes"])

    def run(self, count: int) -> list[float]:
        """The seconds of each of some calls."""
        return list(self.ask({"run": count})["seconds"])

    def values(self) -> dict[str, Array]:
        """What it computes."""
        path = self._folder / f"{self.name}.npz"
        self.ask({"values": str(path)})
        with np.load(path) as file:
            return dict(file)

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self.resume()
        try:
            answer = super().ask(request)
        except EndedError as error:
            raise WorkerError(self._told(error)) from None
        except WorkerError as error:
            raise WorkerError(f"{self.name} failed ({self.python}):\n{error}") from None
        self.pause()
        return answer

    def _told(self, error: EndedError) -> str:
        code = error.code
        how = f"with exit code {code}" if code >= 0 else f"by {signal.Signals(-code).name}"
        return "\n".join([f"{self.name} ended {how} ({self.python})", *error.lines[-TAIL:]])


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
