"""Other frameworks' numbers: computed in this process, or by another Python that has them."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ..errors import InputError
from . import equivalents

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
        return _start([python, str(WORKER), framework], SECONDS_A_JOB)
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
    with TemporaryDirectory(prefix="lossgraph-") as name:
        folder = Path(name)
        _write(folder, plain)
        _start([python, str(WORKER), framework, name], SECONDS_A_JOB * (len(jobs) + 1))
        return [_read(folder, number) for number in range(len(jobs))]


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


def _write(folder: Path, jobs: Sequence[tuple[Job, dict[str, Array], list[str]]]) -> None:
    listed = []
    for number, (job, arrays, narrow) in enumerate(jobs):
        # Under numbers, for names may have dots.
        numbered = {f"array_{k}": array for k, array in enumerate(arrays.values())}
        np.savez(folder / f"in_{number}.npz", allow_pickle=False, **numbered)
        listed.append({
            "loss": job.loss, "options": dict(job.options), "defaults": dict(job.defaults),
            "inputs": list(arrays), "grad": list(job.grad), "narrow": narrow,
        })  # fmt: skip
    (folder / "jobs.json").write_text(json.dumps(listed))


def _read(folder: Path, number: int) -> Outputs | str:
    refusal, names = folder / f"out_{number}.txt", folder / f"out_{number}.json"
    if refusal.is_file():
        return refusal.read_text(encoding="utf-8")
    with np.load(folder / f"out_{number}.npz") as file:
        return {n: file[f"array_{k}"] for k, n in enumerate(json.loads(names.read_text()))}


def _start(command: Sequence[str], seconds: float) -> str:
    """What a worker prints."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise MissingError(f"{command[0]} took longer than {seconds:.0f} s") from None
    except OSError as error:
        raise MissingError(f"{command[0]} does not start: {error.strerror}") from error
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"]
        raise MissingError(f"{command[0]}: {said[-1]}")
    return done.stdout.strip()
