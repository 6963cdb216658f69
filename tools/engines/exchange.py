"""What engines are asked and what they answer, in the form of lossgraph's ``worker_protocol``.

An engine is started with a folder and greets with ``{"version": ..}``. A request is ``{"model",
"runs", "outputs", "next"}``: a model, the inputs by name of each run of it, the stem of the files
of the outputs, and the models that come next, which may be compiled ahead. The answer is
``{"runs": [..]}``, each ``{"outputs": ..}`` or ``{"error": why}``. The engines' own environments
run this file too: it needs nothing but numpy.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

# By its folder, as there is no lossgraph in the environments of the engines; to the end of the
# path, and away again, for that folder has modules of other names.
_FOLDER = str(Path(__file__).resolve().parents[2] / "lossgraph" / "compare")
sys.path.append(_FOLDER)

import worker_protocol as protocol  # noqa: E402

sys.path.remove(_FOLDER)

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


def request(job: Job, folder: Path, following: Sequence[Job] = ()) -> dict[str, Any]:
    """A request to run a job, whose tensors are written to a folder."""
    return {
        "model": str(job.model.resolve()),
        "runs": [protocol.store(folder / f"in_{r}", feed) for r, feed in enumerate(job.feeds)],
        "outputs": str(folder / "out"),
        "next": [str(each.model.resolve()) for each in following],
    }


def outcomes(answer: Mapping[str, Any], folder: Path) -> list[Outcome]:
    """What an answer says of the runs of a job; the folder is that of files without one."""
    return [
        Refusal(run["error"]) if "error" in run else protocol.fetch(run["outputs"], folder)
        for run in answer["runs"]
    ]


def serve(
    version: str,
    run: Callable[[Job], Sequence[Outcome]],
    ahead: Callable[[Sequence[Path]], None] = lambda models: None,
) -> None:
    """Be the worker of an engine.

    Args:
        version: of the engine.
        run: what comes of every run of a job.
        ahead: is told which models come next.
    """
    answers = protocol.private_stdout()
    protocol.end_with_parent()

    def answer(asked: Mapping[str, Any]) -> dict[str, Any]:
        ahead([Path(model) for model in asked["next"]])
        job = Job(Path(asked["model"]), tuple(protocol.fetch(feed) for feed in asked["runs"]))
        found = run(job)
        return {"runs": [_told(asked["outputs"], r, each) for r, each in enumerate(found)]}

    protocol.say({"version": version}, answers)
    protocol.serve(answer, answers)


def _told(stem: str, number: int, outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Refusal):
        return {"error": outcome.reason}
    return {"outputs": protocol.store(Path(f"{stem}_{number}"), outcome)}
