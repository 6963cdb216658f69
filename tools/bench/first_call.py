"""From nothing to the first fast call: ``tools/bench_first_call``.

Each way runs in processes of its own, which import a library, make a softmax cross-entropy with its
gradient at 256 x 1000 in float32 and call it once. "cold" has empty caches, "cached" those that the
run before has filled. What is told is the time from the start of a process to the end of the call.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_ARRAYS = """
import time
import numpy as np
rng = np.random.default_rng(0)
pred = rng.normal(size=(256, 1000)).astype(np.float32)
label = rng.integers(0, 1000, 256)
"""
_LOSSGRAPH = """
import lossgraph as lg
types = {"pred": ("float32", ("N", 1000)), "label": ("int64", ("N",))}
loss = lg.compile(lg.gluon.SoftmaxCELoss(), types, grad=("pred",), kernels=KERNELS)
loss(pred, label)
"""
_TORCH = """
import torch
def both(pred, label):
    value = torch.nn.functional.cross_entropy(pred, label, reduction="none")
    return value
both = torch.compile(both)
x = torch.from_numpy(pred).requires_grad_()
both(x, torch.from_numpy(label)).sum().backward()
"""
_JAX = """
import jax, optax
jax.config.update("jax_compilation_cache_dir", os.environ["BENCH_CACHE"])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
def total(pred, label):
    return optax.softmax_cross_entropy_with_integer_labels(pred, label).sum()
both = jax.jit(jax.value_and_grad(total))
jax.block_until_ready(both(pred, label))
"""
_END = "\nprint(time.time() - float(os.environ['BENCH_START']))\n"


@dataclass(frozen=True)
class Way:
    """A way to a fast call: its Python, what it runs, and where its caches lie."""

    title: str
    python: str
    code: str
    variables: dict[str, str] = field(default_factory=dict)

    def seconds(self, cache: Path) -> float:
        """The time of one process."""
        environment = {**os.environ, **self.variables, "JAX_PLATFORMS": "cpu"}
        for name in ("XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR", "BENCH_CACHE"):
            environment[name] = str(cache / name.lower())
        environment["BENCH_START"] = str(time.time())
        code = f"import os\n{_ARRAYS}{self.code}{_END}"
        run = [self.python, "-c", code]
        done = subprocess.run(run, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{self.title}: {done.stderr.strip().splitlines()[-1]}")
        return float(done.stdout.split()[-1])


def main(arguments: list[str] | None = None) -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="bench_first_call", description=__doc__)
    parser.add_argument("--torch", metavar="PYTHON", help="the Python that has PyTorch")
    parser.add_argument("--jax", metavar="PYTHON", help="the Python that has JAX and optax")
    parser.add_argument("--rounds", type=int, default=3, help="how often (3)")
    options = parser.parse_args(arguments)
    print("| | cold | cached |\n| --- | ---: | ---: |")
    for way in _ways(options):
        times = [_cold_and_cached(way) for _ in range(options.rounds)]
        cold, cached = (statistics.median(found) for found in zip(*times, strict=True))
        print(f"| {way.title} | {cold:.2f} s | {cached:.2f} s |", flush=True)
    return 0


def _ways(options: argparse.Namespace) -> Iterator[Way]:
    here = sys.executable
    graph, kernel = (_LOSSGRAPH.replace("KERNELS", word) for word in ("False", "True"))
    yield Way("lossgraph, its graph", here, graph)
    yield Way("lossgraph, kernel by the machine's compiler", here, kernel)
    if not subprocess.run([here, "-c", "import ziglang"], capture_output=True).returncode:
        zig = {"CC": f"{here} -m ziglang cc"}
        yield Way("lossgraph, kernel by ziglang", here, kernel, zig)
    if options.torch:
        yield Way("torch.compile", options.torch, _TORCH)
    if options.jax:
        yield Way("JAX", options.jax, _JAX)


def _cold_and_cached(way: Way) -> tuple[float, float]:
    with tempfile.TemporaryDirectory() as folder:
        return way.seconds(Path(folder)), way.seconds(Path(folder))


if __name__ == "__main__":
    sys.exit(main())
