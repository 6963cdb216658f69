"""Compiles jobs with IREE for this processor and runs them: FOLDER

It is run by the Python that has IREE. Some models are compiled ahead of the one that runs, as
many as there are processors.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import iree.runtime
import numpy as np
import onnx
from exchange import Job, Outcome, Refusal, Tensors, serve

PROGRAMS = Path(sys.executable).parent
SECONDS = 50  # to compile a model, less than what the whole may take
FLAGS = (
    "--iree-hal-target-backends=llvm-cpu", "--iree-llvmcpu-target-cpu=host",
    "--iree-input-demote-f64-to-f32=false",  # or float64 is computed in float32
    "--mlir-disable-threading",
)  # fmt: skip

# What a message of the compiler is about: the first thing that it could not do.
_ABOUT = re.compile(r"(?:error|Error invoking function): (?:\S+:\d+: )?(.*)")


class Compiler:
    """Compiles models before they are asked for, as many at a time as there are processors."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)))
        self._waiting: dict[Path, Future[Path | Refusal]] = {}
        self._count = 0

    def ahead(self, models: Sequence[Path]) -> None:
        """Begin with the models that come next."""
        for model in models:
            if model not in self._waiting:
                stem = self._folder / f"model_{self._count}"
                self._count += 1
                self._waiting[model] = self._pool.submit(_compiled, model, stem)

    def run(self, job: Job) -> list[Outcome]:
        """What comes of every run of a job."""
        self.ahead([job.model])
        return _outcomes(job, self._waiting.pop(job.model).result())


def main() -> None:
    compiler = Compiler(Path(sys.argv[1]))
    serve(version("iree-base-compiler"), compiler.run, compiler.ahead)


def _compiled(model: Path, stem: Path) -> Path | Refusal:
    """The program made of a model."""
    text, program = stem.with_suffix(".mlir"), stem.with_suffix(".vmfb")
    for command in (
        (PROGRAMS / "iree-import-onnx", model, "-o", text),
        (PROGRAMS / "iree-compile", text, *FLAGS, "-o", program),
    ):
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return Refusal(f"compiling took longer than {SECONDS} s")
        if ended.returncode:
            return Refusal(_plain(ended.stderr) or f"{command[0]} ended with {ended.returncode}")
    return program


def _outcomes(job: Job, compiled: Path | Refusal) -> list[Outcome]:
    if isinstance(compiled, Refusal):
        return [compiled] * len(job.feeds)
    graph = onnx.load(job.model).graph
    module = iree.runtime.load_vm_flatbuffer_file(str(compiled), driver="local-sync")
    # Beside the function that waits for its results there are one that does not, and __init.
    names = [name for name in module.vm_module.function_names if not re.search("async$|^__", name)]
    found = [_attempt(module[names[0]], graph, feed) for feed in job.feeds]
    compiled.unlink()
    return found


def _attempt(
    function: iree.runtime.FunctionInvoker, graph: onnx.GraphProto, feed: Tensors
) -> Outcome:
    try:
        results = function(*(feed[each.name] for each in graph.input))
    except (RuntimeError, ValueError) as error:
        return Refusal(_plain(str(error)))
    several = results if isinstance(results, (tuple, list)) else (results,)
    arrays = [np.array(result.to_host()) for result in several]
    return {each.name: array for each, array in zip(graph.output, arrays, strict=True)}


def _plain(text: str) -> str:
    """What a message of many lines comes down to."""
    about = _ABOUT.search(text)
    return about.group(1) if about else next(iter(text.strip().splitlines()[-1:]), "")


if __name__ == "__main__":
    main()
