"""The engines: each takes models with inputs, and gives outputs by name or says why not."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from .exchange import Job, Outcome, Refusal, read_results, result_path, write_jobs

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".venvs"
SECONDS_A_MODEL = 60
_PAUSE = 0.05  # seconds between two looks at how far an engine is

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
    """An engine behind a command, which may die of a model without taking the others with it.

    The command, given ``--version``, prints the version, and given a folder does its jobs.

    Attributes:
        name: of the engine.
        command: the program and its first arguments.
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
            said = Path(name, "version")
            reason = self._start("--version", Path(name), said=said)
            if reason:
                raise MissingError(f"it does not start: {reason}")
            return said.read_text().strip()

    def run(self, jobs: Sequence[Job], step: Step = lambda: None) -> list[list[Outcome]]:
        found: list[list[Outcome]] = []
        while len(found) < len(jobs):
            found += self._some(jobs[len(found) :], step)
        return found

    def _some(self, jobs: Sequence[Job], step: Step) -> list[list[Outcome]]:
        """Results of the first jobs, up to the last or the first at which the process ended."""
        with TemporaryDirectory(prefix="conformance-") as name:
            write_jobs(Path(name), jobs)
            reason = self._start(name, Path(name), step)
            found = read_results(Path(name), len(jobs))
        if len(found) < len(jobs):
            reason = reason or "the process ended without a result"
            found.append([Refusal(reason)] * len(jobs[len(found)].feeds))
            step()
        return found

    def _start(
        self, argument: str, folder: Path, step: Step = lambda: None, said: Path | None = None
    ) -> str:
        """Why the process ended before it was done; empty if it was done."""
        errors = folder / "errors"
        with (said or folder / "said").open("wb") as out, errors.open("wb") as error:
            process = subprocess.Popen(
                [*self.command, argument], stdout=out, stderr=error, start_new_session=True
            )
            try:
                in_time = self._watch(process, folder, step)
            finally:
                _end(process)
        if not in_time:
            return f"the process took longer than {self.seconds:.0f} s"
        if process.returncode:
            last = _last_line(errors.read_text(errors="replace"))
            return f"the process ended with {process.returncode}{last}"
        return ""

    def _watch(self, process: subprocess.Popen[bytes], folder: Path, step: Step) -> bool:
        """Count results until the process ends: whether it does before one takes too long."""
        done, since = 0, time.monotonic()
        while True:
            ended = process.poll() is not None  # asked first, that no last result is missed
            while result_path(folder, done).is_file():
                step()
                done, since = done + 1, time.monotonic()
            if ended:
                return True
            if time.monotonic() - since > self.seconds:
                return False
            time.sleep(_PAUSE)


def _python(name: str, environment: Path, worker: str, *arguments: str) -> Process:
    """An engine that a Python of its own runs."""
    python = environment / "bin" / "python"
    return Process(name, (str(python), str(HERE / worker), *arguments), environment)


def _end(process: subprocess.Popen[bytes]) -> None:
    """What a process started ends with it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _last_line(text: str) -> str:
    """What a process said in the end, if it said something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f": {lines[-1]}" if lines else ""
