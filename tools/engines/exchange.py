"""How work gets to an engine in another process, and how its results come back.

A folder holds ``jobs.json``, in the end a ``result_K.json`` for each job, and a file of raw
little-endian numbers for each tensor, which the JSON names with dtype and shape. That is what
every language can read without a library. The engines' own environments run this file too:
it needs nothing but numpy.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Tensors = dict[str, Array]


@dataclass(frozen=True)
class Job:
    """A model, which is loaded once, and the inputs by name of each run of it."""

    model: Path
    feeds: tuple[Tensors, ...]


@dataclass(frozen=True)
class Refusal:
    """Why an engine gave no outputs."""

    reason: str


Outcome = Tensors | Refusal


def write_jobs(folder: Path, jobs: Sequence[Job]) -> None:
    """The work that a folder is about."""
    listed = [
        {
            "model": str(job.model.resolve()),
            "runs": [_store(folder, f"in_{j}_{r}", feed) for r, feed in enumerate(job.feeds)],
        }
        for j, job in enumerate(jobs)
    ]
    (folder / "jobs.json").write_text(json.dumps({"jobs": listed}))


def read_jobs(folder: Path) -> Iterator[Job]:
    """What ``write_jobs`` wrote, one after the other: one that cannot be read spoils no other."""
    for job in json.loads((folder / "jobs.json").read_text())["jobs"]:
        yield Job(Path(job["model"]), tuple(_fetch(folder, run) for run in job["runs"]))


def result_path(folder: Path, number: int) -> Path:
    """Where the result of a job is to be."""
    return folder / f"result_{number}.json"


def write_result(folder: Path, number: int, outcomes: Sequence[Outcome]) -> None:
    """What became of a job: it is there as a whole or not at all, should the process end."""
    runs = [
        {"error": outcome.reason}
        if isinstance(outcome, Refusal)
        else {"outputs": _store(folder, f"out_{number}_{r}", outcome)}
        for r, outcome in enumerate(outcomes)
    ]
    path = result_path(folder, number)
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps({"runs": runs}))
    aside.replace(path)


def read_results(folder: Path, count: int) -> list[list[Outcome]]:
    """What became of the jobs, up to the first that has no result."""
    found: list[list[Outcome]] = []
    for number in range(count):
        path = result_path(folder, number)
        if not path.is_file():
            break
        found.append([_outcome(folder, run) for run in json.loads(path.read_text())["runs"]])
    return found


def _outcome(folder: Path, run: Mapping[str, Any]) -> Outcome:
    return Refusal(run["error"]) if "error" in run else _fetch(folder, run["outputs"])


def _store(folder: Path, stem: str, tensors: Mapping[str, Array]) -> dict[str, Any]:
    """Write tensors; where and of what type they are, by name."""
    places = {}
    for k, (name, array) in enumerate(tensors.items()):
        file = f"{stem}_{k}.bin"
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        (folder / file).write_bytes(little.tobytes())
        places[name] = {"dtype": array.dtype.name, "shape": list(array.shape), "file": file}
    return places


def _fetch(folder: Path, places: Mapping[str, Any]) -> Tensors:
    return {name: _array(folder, place) for name, place in places.items()}


def _array(folder: Path, place: Mapping[str, Any]) -> Array:
    dtype = np.dtype(place["dtype"])
    content = bytearray((folder / place["file"]).read_bytes())
    little = np.frombuffer(content, dtype.newbyteorder("<")).reshape(place["shape"])
    return little.astype(dtype, copy=False)
