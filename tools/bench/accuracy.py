"""``python -m bench.accuracy``: the largest error of CTC's gradient in float32, by peer.

What is right is lossgraph's own gradient in float64, which the tests hold to sums over all
alignments. The sizes are those of a long input; the logits are scaled.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from .losses import CTC, Array
from .peers import find_peers, find_python
from .workers import Worker, choose_cpus, started

SIZES = {"T": 200, "N": 8, "C": 40, "L": 40}
SCALES = (1, 10, 100, 10_000)


def right(arrays: dict[str, Array]) -> Array:
    """The gradient in float64."""
    from lossgraph import gluon

    logits = arrays["logits"].astype(np.float64)
    _, grads = gluon.CTCLoss().value_and_grad(logits, arrays["labels"])
    return np.asarray(grads["pred"])


def errors(workers: Sequence[Worker], folder: Path, scale: float) -> dict[str, float]:
    """The largest error of each peer, at logits of a scale."""
    arrays = CTC.arrays(rng=np.random.default_rng(1), **SIZES)
    arrays["logits"] *= np.float32(scale)
    path = folder / "arrays.npz"
    np.savez(path, logits=arrays["logits"], labels=arrays["labels"])
    exact, found = right(arrays), {}
    for worker in workers:
        worker.prepare("ctc", path, True)
        found[worker.name] = float(np.abs(worker.values()["gradient"] - exact).max())
    return found


def main() -> None:
    """Measure and print."""
    sources = {name: source for name, source in find_peers().items() if not source.peer.home}
    parser = argparse.ArgumentParser(prog="bench_ctc --accuracy", description=__doc__)
    for name in sources:
        parser.add_argument(f"--{name}", metavar="PYTHON", help=f"the Python that has {name}")
    options = parser.parse_args()
    pythons = [(s, find_python(s, getattr(options, n))[0]) for n, s in sources.items()]
    with (
        tempfile.TemporaryDirectory(prefix="lossgraph-accuracy-") as folder,
        started(pythons, Path(folder), 1, choose_cpus(1)) as (workers, missing),
    ):
        rows = {scale: errors(workers, Path(folder), scale) for scale in SCALES}
        titles = [f"{w.title} {next(iter(w.versions.values()))}" for w in workers]
    table = Table("logits of scale", *titles, box=box.SIMPLE_HEAD)
    for scale, row in rows.items():
        table.add_row(f"{scale:,}", *(f"{row[worker.name]:.1e}" for worker in workers))
    console = Console(highlight=False)
    console.print(table)
    for name in missing:
        console.print(f"{name}: not installed")


if __name__ == "__main__":
    main()
