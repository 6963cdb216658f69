"""Runs jobs in a package of the Python that runs this: ENGINE FOLDER

It needs nothing but numpy and the engine: onnxruntime of any release, or onnx's reference.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from exchange import Job, Outcome, Refusal, Tensors, serve

Run = Callable[[Tensors], Tensors]


def main() -> None:
    module, load = ENGINES[sys.argv[1]]
    serve(importlib.import_module(module).__version__, partial(outcomes, load))


def outcomes(load: Callable[[Path], Run], job: Job) -> list[Outcome]:
    """What comes of every run of a model that is loaded once."""
    try:
        run = load(job.model)
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


ENGINES = {"onnxruntime": ("onnxruntime", _onnxruntime), "onnx.reference": ("onnx", _reference)}


if __name__ == "__main__":
    main()
