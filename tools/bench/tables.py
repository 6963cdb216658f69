"""Losses over a table beside reading it, DuckDB, Polars and scikit-learn: ``tools/bench_tables``.

The table is made on the spot, in Parquet with pyarrow's defaults: predictions and labels of a
regression, and ten logits with a label of a classification. All ways take the mean over all rows
from the file, with the same number of threads, in turns in one process; "reading" is pyarrow's scan
of the same columns, which drops them. With ``--memory`` each run has a process of its own, whose
largest resident memory and rows a second are told.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

CLASSES = 10
LOGITS = [f"logit_{i}" for i in range(CLASSES)]
COLUMNS = {"L2": ["pred", "target"], "softmax_ce": [*LOGITS, "label"]}
_AT_ONCE = 1 << 20  # rows that are made and written at a time
Way = Callable[[Path, str], float]


def make(path: Path, rows: int, columns: Sequence[str]) -> None:
    """Write a table of so many rows."""
    rng = np.random.default_rng(0)
    schema = pa.schema([(c, pa.int64() if c == "label" else pa.float32()) for c in columns])
    with pq.ParquetWriter(path, schema) as writer:
        for begin in range(0, rows, _AT_ONCE):
            count = min(_AT_ONCE, rows - begin)
            arrays = [
                rng.integers(0, CLASSES, count) if c == "label"
                else rng.normal(size=count).astype(np.float32)
                for c in columns
            ]  # fmt: skip
            writer.write_table(pa.table(arrays, schema=schema))


# --- ways ------------------------------------------------------------------------------------


def reading(path: Path, loss: str) -> float:
    """pyarrow's scan of the columns, and nothing else."""
    scanner = ds.dataset(path).scanner(columns=COLUMNS[loss])
    return float(sum(batch.num_rows for batch in scanner.to_batches()))


def lossgraph(path: Path, loss: str) -> float:
    """The loss over the table, with all statistics that come by default."""
    import lossgraph as lg

    columns = {
        "L2": {"pred": "pred", "label": "target"},
        "softmax_ce": {"pred": "logit_*", "label": "label"},
    }[loss]
    return float(lg.tables.evaluate(loss, path, columns).total["mean"])


def duckdb(path: Path, loss: str) -> float:
    """The formula in SQL."""
    import duckdb

    if loss == "L2":
        formula = "0.5 * (pred - target) * (pred - target)"
    else:
        largest = f"greatest({', '.join(LOGITS)})"
        total = " + ".join(f"exp({name} - {largest})" for name in LOGITS)
        picked = " ".join(f"when {i} then {name}" for i, name in enumerate(LOGITS))
        formula = f"ln({total}) + {largest} - case label {picked} end"
    query = f"select avg(({formula})::double) from read_parquet('{path}')"
    return float(duckdb.connect(config={"threads": _threads()}).sql(query).fetchall()[0][0])


def polars(path: Path, loss: str) -> float:
    """The formula in Polars' expressions, lazily."""
    import polars as pl

    if loss == "L2":
        value = 0.5 * (pl.col("pred") - pl.col("target")) ** 2
    else:
        largest = pl.max_horizontal(LOGITS)
        total = pl.sum_horizontal([(pl.col(name) - largest).exp() for name in LOGITS])
        picked = pl.sum_horizontal(
            [pl.when(pl.col("label") == i).then(pl.col(n)) for i, n in enumerate(LOGITS)]
        )
        value = total.log() + largest - picked
    mean = pl.scan_parquet(path).select(value.cast(pl.Float64).mean()).collect(engine="streaming")
    return float(mean.item())


def scikit_learn(path: Path, loss: str) -> float:
    """scikit-learn's metric, on the whole table in memory."""
    from scipy.special import softmax
    from sklearn.metrics import log_loss, mean_squared_error

    table = pq.read_table(path, columns=COLUMNS[loss])
    if loss == "L2":
        return 0.5 * float(mean_squared_error(table["target"].to_numpy(), table["pred"].to_numpy()))
    logits = np.stack([table[name].to_numpy() for name in LOGITS], axis=1)
    labels = table["label"].to_numpy()
    return float(log_loss(labels, softmax(logits, axis=1), labels=np.arange(CLASSES)))


WAYS: dict[str, Way] = {
    "reading": reading, "lossgraph": lossgraph, "DuckDB": duckdb, "Polars": polars,
    "scikit-learn": scikit_learn,
}  # fmt: skip


def _threads() -> int:
    return len(os.sched_getaffinity(0))


# --- measuring -------------------------------------------------------------------------------


def compare(path: Path, loss: str, ways: Sequence[str], rounds: int) -> None:
    """Print a line of medians and ratios to lossgraph."""
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    means = {}
    for way in ways:  # once before: imports, kernels, caches of the file system
        means[way] = WAYS[way](path, loss)
    for _ in range(rounds):
        for way in ways:
            began = time.perf_counter()
            WAYS[way](path, loss)
            seconds[way].append(time.perf_counter() - began)
    own = seconds["lossgraph"]
    cells = []
    for way in ways:
        ratio = statistics.median(t / o for t, o in zip(seconds[way], own, strict=True))
        cells.append(f"{ratio:.2f} ({statistics.median(seconds[way]):.3f} s)")
    print(f"| {loss} | {' | '.join(cells)} |")
    told = {w: m for w, m in means.items() if w != "reading"}
    if max(told.values()) - min(told.values()) > 1e-4 * abs(means["lossgraph"]):
        sys.exit(f"the means differ: {told}")


def one_run(path: Path, loss: str, way: str) -> None:
    """What a process of its own tells of a run."""
    began = time.perf_counter()
    mean = WAYS[way](path, loss)
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"mean": mean, "seconds": seconds, "peak_mib": peak}))


def tell_memory(path: Path, loss: str, rows: int, ways: Sequence[str]) -> None:
    """Print a line of memory and speed for each way."""
    for way in ways:
        command = [sys.executable, __file__, "--run", way, loss, str(path)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        told = json.loads(answer.splitlines()[-1])
        print(f"| {loss} | {rows:,} | {path.stat().st_size / 1e9:.2f} GB | {way} | "
              f"{told['peak_mib']:.0f} MiB | {rows / told['seconds'] / 1e6:.1f} |")  # fmt: skip


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench_tables", description=__doc__)
    parser.add_argument("--rows", default="1e7", help="of the tables, separated by commas (1e7)")
    parser.add_argument("--losses", default=",".join(COLUMNS), help="L2, softmax_ce")
    parser.add_argument("--ways", default=",".join(WAYS), help="what is measured")
    parser.add_argument("--rounds", type=int, default=5, help="how often (5)")
    parser.add_argument("--memory", action="store_true", help="memory and rows a second, by runs")
    parser.add_argument("--folder", type=Path, help="where the tables are made and kept")
    parser.add_argument("--run", nargs=3, metavar=("WAY", "LOSS", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        one_run(Path(args.run[2]), args.run[1], args.run[0])
        return
    ways = args.ways.split(",")
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        if args.memory:
            print("| loss | rows | file | | peak | million rows a second |")
            print("| --- | ---: | ---: | --- | ---: | ---: |")
        else:
            print(f"| loss | {' | '.join(ways)} |\n| --- |{' ---: |' * len(ways)}")
        for loss in args.losses.split(","):
            for rows in (int(float(text)) for text in args.rows.split(",")):
                path = folder / f"{loss}-{rows}.parquet"
                if not path.exists():
                    make(path, rows, COLUMNS[loss])
                if args.memory:
                    tell_memory(path, loss, rows, ways)
                else:
                    compare(path, loss, ways, args.rounds)


if __name__ == "__main__":
    main()
