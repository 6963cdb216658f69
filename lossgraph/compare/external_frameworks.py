"""Other frameworks' numbers: computed in this process, or by another Python that has them."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..errors import InputError
from . import equivalents
from .worker_protocol import fetch, store
from .workers import Worker, WorkerError

Array = np.ndarray[Any, Any]
Outputs = dict[str, Array]

WORKER = Path(equivalents.__file__).parent / "worker.py"
ENVIRONMENTS = Path(".venvs")  # where the tools of a checkout put theirs, bench-mxnet and others
SECONDS_A_JOB = 60


@dataclass(frozen=True)
class Job:
    """A loss on arrays.

    Attributes:
        loss: its full name.
        arrays: its inputs, by name.
        grad: names of inputs whose gradients are wanted.
        options: those that are given.
        defaults: what options are if they are not given.
    """

    loss: str
    arrays: Mapping[str, Array]
    grad: Sequence[str] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)


class MissingError(InputError):
    """A framework is not installed."""


def find_python(framework: str, asked: str | None = None) -> str | None:
    """The Python that has a framework; None for this one.

    Args:
        framework: one of ``equivalents.FRAMEWORKS``.
        asked: the path of a Python, or of an environment.

    Raises:
        MissingError: if none has it.
        InputError: if there is no Python where one was asked for.
    """
    if asked is not None:
        path = Path(asked).expanduser()
        inside = path / "bin" / "python"
        found = shutil.which(str(inside if inside.exists() else path))
        if found is None:
            raise InputError(f"--python {framework}={asked}: there is no Python that runs")
        return str(Path(found).absolute())  # not resolved: the links of environments matter
    if importlib.util.find_spec(framework) is not None:
        return None
    own = ENVIRONMENTS / f"bench-{framework}" / "bin" / "python"
    if own.exists():
        return str(own.absolute())
    raise MissingError(
        f"not installed here: --python {framework}=PATH names a Python or environment that has it"
    )


def version_of(framework: str, python: str | None) -> str:
    """The version of a framework.

    Raises:
        MissingError: if that Python does not have it.
    """
    if python is not None:
        with (
            TemporaryDirectory(prefix="lossgraph-") as name,
            _started(framework, python, name) as (version, _),
        ):
            return version
    try:
        return equivalents.version(framework)
    except ImportError as error:
        raise MissingError(f"it cannot be imported: {error}") from error


def outputs_of(framework: str, python: str | None, jobs: Sequence[Job]) -> list[Outputs | str]:
    """What comes of every job: outputs by name, or why there are none.

    Raises:
        MissingError: if that Python does not have the framework.
    """
    plain = [(job, *widened(job.arrays)) for job in jobs]
    if python is None:
        return [_here(framework, *each) for each in plain]
    with (
        TemporaryDirectory(prefix="lossgraph-") as name,
        _started(framework, python, name) as (_, worker),
    ):
        return [_there(worker, Path(name), *each) for each in plain]


def _here(
    framework: str, job: Job, arrays: Mapping[str, Array], narrow: Sequence[str]
) -> Outputs | str:
    try:
        found: Outputs | str = equivalents.compute(
            framework, job.loss, job.options, job.defaults, arrays, job.grad, narrow
        )
    except ImportError as error:
        raise MissingError(f"it cannot be imported: {error}") from error
    return found


def widened(arrays: Mapping[str, Array]) -> tuple[dict[str, Array], list[str]]:
    """Arrays that any numpy knows, and names of those that are bfloat16."""
    narrow = [name for name, array in arrays.items() if array.dtype.name == "bfloat16"]
    plain = {n: a.astype(np.float32) if n in narrow else a for n, a in arrays.items()}
    return plain, narrow


def _there(
    worker: Worker, folder: Path, job: Job, arrays: Mapping[str, Array], narrow: Sequence[str]
) -> Outputs | str:
    answer = worker.ask({
        "loss": job.loss, "options": dict(job.options), "defaults": dict(job.defaults),
        "inputs": store(folder / "in", arrays), "grad": list(job.grad), "narrow": narrow,
        "outputs": str(folder / "out"),
    })  # fmt: skip
    return answer["refusal"] if "refusal" in answer else fetch(answer["outputs"])


@contextmanager
def _started(framework: str, python: str, folder: str) -> Iterator[tuple[str, Worker]]:
    """The version of a framework, and a worker that has it."""
    try:
        command = [python, str(WORKER), framework]
        with Worker(command, Path(folder), seconds=SECONDS_A_JOB) as worker:
            yield worker.hello()["version"], worker
    except WorkerError as error:
        raise MissingError(f"{python}: {error}") from error
