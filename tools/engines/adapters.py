"""The engines: each takes models with inputs, and gives outputs by name or says why not."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from lossgraph.compare.workers import Worker, WorkerError

from .exchange import Job, Outcome, Refusal, outcomes, request

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".venvs"
SECONDS_A_MODEL = 60
_AHEAD = 8  # models that an engine is told of before they are run, which it may compile

Step = Callable[[], object]


class MissingError(Exception):
    """An engine is not installed."""


class Engine(Protocol):
    """What runs models.

    Attributes:
        name: what it is called on the command line and in the results.
    """

    @property
    def name(self) -> str: ...

    def version(self) -> str:
        """Its version.

        Raises:
            MissingError: if it is not installed.
        """
        ...

    def run(self, jobs: Sequence[Job], step: Step = ...) -> list[list[Outcome]]:
        """What comes of every run of every job; ``step`` is called after each job."""
        ...


def engines(environments: Path = ENVIRONMENTS) -> tuple[Engine, ...]:
    """All engines, those that are not installed too."""
    modules = environments / "node" / "node_modules"
    web = modules / "onnxruntime-web"
    node, program = shutil.which("node") or "node", str(HERE / "run.mjs")
    return (
        _python("onnxruntime", Path(sys.prefix), "python_worker.py", "onnxruntime"),
        _python("onnx.reference", Path(sys.prefix), "python_worker.py", "onnx.reference"),
        _python("openvino", environments / "openvino", "openvino_worker.py"),
        Process(
            "onnxruntime-node",
            (node, program, "onnxruntime-node", str(modules)),
            modules / "onnxruntime-node",
        ),
        Process("onnxruntime-web", (node, program, "onnxruntime-web", str(modules)), web),
        _python("chromium", environments / "browser", "chromium_worker.py", str(web)),
        _python(
            "onnxruntime-1.16", environments / "onnxruntime-1.16", "python_worker.py", "onnxruntime"
        ),
        replace(_python("iree", environments / "iree", "iree_worker.py"), kinds=("training",)),
    )


@dataclass(frozen=True)
class Process:
    """An engine in a worker, which may die of a model without taking the others with it.

    Attributes:
        name: of the engine.
        command: the program and its first arguments; the last one is a folder for its files.
        home: the folder that is there if the engine is installed.
        seconds: how long it may take for a model.
        kinds: of the models that it runs unless it is asked for by name; all if none are given.
    """

    name: str
    command: tuple[str, ...]
    home: Path
    seconds: float = SECONDS_A_MODEL
    kinds: tuple[str, ...] = ()

    def version(self) -> str:
        if not self.home.exists() or shutil.which(self.command[0]) is None:
            raise MissingError("tools/conformance --install makes its environment")
        with TemporaryDirectory(prefix="conformance-") as name:
            try:
                worker, version = self._started(Path(name))
            except WorkerError as error:
                raise MissingError(f"it does not start: {error}") from error
            worker.close()
            return version

    def run(self, jobs: Sequence[Job], step: Step = lambda: None) -> list[list[Outcome]]:
        found: list[list[Outcome]] = []
        while len(found) < len(jobs):
            found += self._some(jobs[len(found) :], step)
        return found

    def _some(self, jobs: Sequence[Job], step: Step) -> list[list[Outcome]]:
        """Outcomes of the first jobs, up to the last or the first at which the process ended."""
        found: list[list[Outcome]] = []
        with TemporaryDirectory(prefix="conformance-") as name, ExitStack() as stack:
            folder = Path(name)
            try:
                worker, _ = self._started(folder)
                stack.callback(worker.close)
                for number, job in enumerate(jobs):
                    answer = worker.ask(request(job, folder, jobs[number + 1 :][:_AHEAD]))
                    found.append(outcomes(answer, folder))
                    step()
            except WorkerError as error:
                reason = str(error).splitlines()[-1]
                found.append([Refusal(reason)] * len(jobs[len(found)].feeds))
                step()
        return found

    def _started(self, folder: Path) -> tuple[Worker, str]:
        worker = Worker([*self.command, str(folder)], folder, seconds=self.seconds)
        try:
            return worker, worker.hello()["version"]
        except WorkerError:
            worker.close()
            raise


def _python(name: str, environment: Path, worker: str, *arguments: str) -> Process:
    """An engine that a Python of its own runs."""
    python = environment / "bin" / "python"
    return Process(name, (str(python), str(HERE / worker), *arguments), environment)
