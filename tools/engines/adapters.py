"""The engines: each takes models with inputs, and gives outputs by name or says why not."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np

from .exchange import Job, Outcome, Refusal, Tensors, read_results, write_jobs

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".venvs"
SECONDS_A_MODEL = 60

Run = Callable[[Tensors], Tensors]


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

    def run(self, jobs: Sequence[Job]) -> list[list[Outcome]]:
        """What comes of every run of every job."""
        ...


def engines(environments: Path = ENVIRONMENTS) -> tuple[Engine, ...]:
    """All engines, those that are not installed too."""
    openvino, modules = environments / "openvino", environments / "node" / "node_modules"
    python = openvino / "bin" / "python"
    return (
        InProcess("onnxruntime", "onnxruntime", _onnxruntime),
        InProcess("onnx.reference", "onnx", _reference),
        Process("openvino", (str(python), str(HERE / "openvino_worker.py")), openvino),
        _node("onnxruntime-node", modules),
        _node("onnxruntime-web", modules),
    )


# --- in this process ---


@dataclass(frozen=True)
class InProcess:
    """An engine that is a package of this Python.

    Attributes:
        name: of the engine.
        module: that has to be there, whose version is the engine's.
        load: from the file of a model to what runs it.
    """

    name: str
    module: str
    load: Callable[[Path], Run]

    def version(self) -> str:
        try:
            return str(importlib.import_module(self.module).__version__)
        except ImportError as error:
            raise MissingError(f"there is no {self.module} in {sys.prefix}") from error

    def run(self, jobs: Sequence[Job]) -> list[list[Outcome]]:
        return [self._run(job) for job in jobs]

    def _run(self, job: Job) -> list[Outcome]:
        try:
            run = self.load(job.model)
        except Exception as error:  # engines raise what they like
            return [_refusal(error)] * len(job.feeds)
        return [_attempt(run, feed) for feed in job.feeds]


def _attempt(run: Run, feed: Tensors) -> Outcome:
    try:
        return run(feed)
    except Exception as error:
        return _refusal(error)


def _refusal(error: Exception) -> Refusal:
    return Refusal(f"{type(error).__name__}: {error}")


def _onnxruntime(path: Path) -> Run:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return lambda feed: dict(zip(names, session.run(names, feed), strict=True))


def _reference(path: Path) -> Run:
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(str(path))

    def run(feed: Tensors) -> Tensors:
        with np.errstate(all="ignore"):  # it computes what it then does not choose
            values = evaluator.run(None, feed)
        return {n: np.asarray(v) for n, v in zip(evaluator.output_names, values, strict=True)}

    return run


# --- in a process of its own ---


@dataclass(frozen=True)
class Process:
    """An engine behind a command, which may die of a model without taking the others with it.

    The command, given ``--version``, prints the version, and given a folder does its jobs.

    Attributes:
        name: of the engine.
        command: the program and its first arguments.
        home: the folder that is there if the engine is installed.
    """

    name: str
    command: tuple[str, ...]
    home: Path

    def version(self) -> str:
        if not self.home.exists() or shutil.which(self.command[0]) is None:
            raise MissingError("tools/conformance --install makes its environment")
        try:
            return self._start("--version", SECONDS_A_MODEL).stdout.strip()
        except _EndedError as error:
            raise MissingError(f"it does not start: {error}") from error

    def run(self, jobs: Sequence[Job]) -> list[list[Outcome]]:
        found: list[list[Outcome]] = []
        while len(found) < len(jobs):
            found += self._some(jobs[len(found) :])
        return found

    def _some(self, jobs: Sequence[Job]) -> list[list[Outcome]]:
        """Results of the first jobs, up to the last or the first at which the process ended."""
        with TemporaryDirectory(prefix="conformance-") as name:
            write_jobs(Path(name), jobs)
            reason = "the process ended without a result"
            try:
                self._start(name, SECONDS_A_MODEL * len(jobs))
            except _EndedError as error:
                reason = str(error)
            found = read_results(Path(name), len(jobs))
        if len(found) < len(jobs):
            found.append([Refusal(reason)] * len(jobs[len(found)].feeds))
        return found

    def _start(self, argument: str, seconds: float) -> subprocess.CompletedProcess[str]:
        command = [*self.command, argument]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired as error:
            raise _EndedError(f"the process took longer than {seconds:.0f} s") from error
        if ended.returncode:
            raise _EndedError(
                f"the process ended with {ended.returncode}{_last_line(ended.stderr)}"
            )
        return ended


class _EndedError(Exception):
    """A process ended before it was done."""


def _node(engine: str, modules: Path) -> Process:
    node = shutil.which("node") or "node"
    return Process(engine, (node, str(HERE / "run.mjs"), engine, str(modules)), modules / engine)


def _last_line(text: str) -> str:
    """What a process said in the end, if it said something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f": {lines[-1]}" if lines else ""
