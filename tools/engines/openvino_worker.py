"""Runs jobs in OpenVINO, on the CPU and in full precision: FOLDER

It is run by the Python that has OpenVINO, and needs nothing else but numpy.
"""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import openvino
from exchange import Job, Outcome, Refusal, Tensors, serve

# Some processors would compute float32 models in bfloat16 unless told not to.
SETTINGS = {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY"}

# Lines of an error that say where in OpenVINO's sources it was noticed, and that it was.
_NOISE = re.compile(
    r"Exception from |Check '|While validating ONNX node .*Check '|FrontEnd API failed|"
    r"Model wasn't fully converted|Summary:|-- Conversion is failed"
)


def main() -> None:
    serve(openvino.__version__.partition("-")[0], partial(outcomes, openvino.Core()))


def outcomes(core: openvino.Core, job: Job) -> list[Outcome]:
    """What comes of every run of a model that is compiled once."""
    try:
        compiled = core.compile_model(core.read_model(job.model), "CPU", SETTINGS)
    except RuntimeError as error:
        return [Refusal(_plain(error))] * len(job.feeds)
    return [_attempt(compiled, feed) for feed in job.feeds]


def _attempt(compiled: openvino.CompiledModel, feed: Tensors) -> Outcome:
    try:
        values = compiled(feed)
    except RuntimeError as error:
        return Refusal(_plain(error))
    # A tensor may have several names; a copy, as the next run writes to the same memory.
    return {name: np.array(values[output]) for output in compiled.outputs for name in output.names}


def _plain(error: Exception) -> str:
    """What a message of many lines comes down to."""
    lines = [line.strip() for line in str(error).splitlines()]
    kept = [line for line in lines if line and not _NOISE.match(line)]
    return " ".join(kept or lines)


if __name__ == "__main__":
    main()
