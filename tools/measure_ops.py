"""What operations cost in ONNX Runtime: each by itself, in each of its variants, on one thread.

An operation is timed on an array of one element and on one that fits a processor's cache. The
first, less a graph that only copies, is the cost of a call; the difference the cost of elements.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from rich.progress import track

import lossgraph
from lossgraph.ir import ops
from lossgraph.ir.batching import pointwise
from lossgraph.ir.expr import Expr, Lower, Op, inputs_of, registered, variable
from lossgraph.ir.types import numpy_dtype, tensor_type
from lossgraph.lowering.lower import lower
from lossgraph.models.files import write_file
from lossgraph.passes import costs
from lossgraph.passes.costs import PLAIN, Target
from lossgraph.runtime.sessions import bind_session, make_session, run_session

DTYPES = ("float32", "float64")
ROWS, COLUMNS = 40, 1024
REDUCTIONS = {
    "L2Norm": ops.norm,
    "LogSoftmax": ops.log_softmax,
    "LogSumExp": ops.logsumexp,
    "ReduceMax": ops.reduce_max,
    "ReduceMin": ops.reduce_min,
    "ReduceProd": ops.reduce_prod,
    "ReduceSum": ops.reduce_sum,
    "Softmax": ops.softmax,
    "SumLog1pExpNegAbs": ops.sum_log1p_exp_neg_abs,
}
OTHERS: dict[str, Callable[..., Expr]] = {
    "BroadcastTo": lambda x: ops.broadcast_to(ops.reduce_sum(x, (1,)), x.shape),
    "Cast": lambda x: ops.cast(x, "float64" if x.dtype == "float32" else "float32"),
    "Clip": lambda x: ops.clip(x, -1, 1),
    "CumSum": lambda x: ops.cumsum(x, 1),
    "Where": lambda x: ops.where(ops.greater(x, 0.0), x, 0.0),
}


@dataclass(frozen=True)
class OneVariant(Target):
    """A target for which every operation that has a certain variant takes it."""

    only: str = PLAIN

    def variant(self, op: Op, dtype: str) -> Lower:
        return op.variants.get(self.only, op.lower)


def subjects(dtype: str) -> Iterator[tuple[str, Expr]]:
    """Operations on arrays (R, C)."""
    x, y = (variable(name, tensor_type(dtype, ("R", "C"))) for name in "xy")
    for name, op in sorted(registered().items()):
        if name in REDUCTIONS:
            yield name, REDUCTIONS[name](x, (1,))
        elif name in OTHERS:
            yield name, OTHERS[name](x)
        elif op.batching is pointwise and 0 not in op.index_args:
            for arguments in ((x,), (x, y)):
                try:
                    yield name, op(*arguments)
                except (TypeError, ValueError):  # as many arguments as it does not take
                    continue


def nanoseconds(node: Expr, variant: str, provider: str, seconds: float) -> tuple[float, float]:
    """The time of a run on one element, and what each further element adds."""
    target = OneVariant(provider, only=variant)
    inputs = inputs_of([node])
    session = make_session(lower(inputs, {"out": node}, target=target), provider, 1)
    small = run_time(session, inputs, node, (1, 1), seconds)
    large = run_time(session, inputs, node, (ROWS, COLUMNS), seconds)
    return small, (large - small) / (ROWS * COLUMNS)


def run_time(
    session: object, inputs: list[Expr], node: Expr, shape: tuple[int, int], seconds: float
) -> float:
    """The fastest of many runs, in nanoseconds."""
    rng = np.random.default_rng(0)
    domains = node.op.domain or ((-3.0, 3.0),)
    feeds = {
        x.attrs["name"]: rng.uniform(*domains[min(i, len(domains) - 1)], shape).astype(
            numpy_dtype(x.dtype)
        )
        for i, x in enumerate(inputs)
    }
    run = bind_session(session, feeds, run_session(session, feeds, {"out": node.dtype}))
    best, end = math.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter_ns()
        for _ in range(10):
            run()
        best = min(best, (time.perf_counter_ns() - start) / 10)
    return best


def measure(provider: str, seconds: float) -> dict[str, dict[str, dict[str, list[float]]]]:
    """Nanoseconds by dtype, operation and variant."""
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    work = [(dtype, *subject) for dtype in DTYPES for subject in subjects(dtype)]
    bases = {
        dtype: nanoseconds(ops.stop_gradient(variable("x", tensor_type(dtype, ("R", "C")))),
                           PLAIN, provider, seconds)[0]
        for dtype in DTYPES
    }  # fmt: skip
    for dtype, name, node in track(work, "Measuring"):
        for variant in (PLAIN, *node.op.variants):
            small, each = nanoseconds(node, variant, provider, seconds)
            by_variant = found.setdefault(dtype, {}).setdefault(name, {})
            by_variant[variant] = [round(max(small - bases[dtype], 0), -1), round(max(each, 0), 3)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--provider", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--seconds", type=float, default=0.05, help="for each time (default: 0.05)")
    parser.add_argument("--out", type=Path, help="file to write; the package's own by default")
    options = parser.parse_args()
    out = options.out or Path(costs.__file__).parent / f"{options.provider}.json"
    measured = {
        "command": f"tools/measure_ops --provider {options.provider}",
        "machine": f"{platform.machine()}, {processor()}",
        "versions": f"lossgraph {lossgraph.__version__}, ONNX Runtime {onnxruntime.__version__}",
        "what": "nanoseconds of a call (over a copy), and of an element; one thread, in cache",
        "nanoseconds": measure(options.provider, options.seconds),
    }
    write_file(out, (json.dumps(measured, indent=1) + "\n").encode())
    print(f"{out}: {sum(map(len, measured['nanoseconds'].values()))} operations")


def processor() -> str:
    """The processor's name, where Linux says it."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())


if __name__ == "__main__":
    main()
