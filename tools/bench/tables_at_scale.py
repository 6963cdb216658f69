"""Tables on clusters of this machine, at growing sizes: how time grows, what is shuffled.

Once the engines generate the rows themselves, so that what is timed is generating, computing and
merging, without a disk; once they read files of the same rows. All reports have to be equal.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import lossgraph as lg
from lossgraph.catalogue import lookup
from lossgraph.tables import local
from lossgraph.tables.engines import states, tasks
from lossgraph.tables.plan import plan_of
from lossgraph.tables.sources import open_source

COLUMNS = {"pred": "p", "label": "y"}
SCHEMA = pa.schema([("p", pa.float32()), ("y", pa.float32()), ("g", pa.int32())])
ROWS_A_PIECE = 4_000_000
Evaluate = Callable[[int], pa.Table]


def generated(ids: np.ndarray[Any, Any], groups: int = 8) -> pa.Table:
    """Rows of these numbers: predictions, labels and groups, whoever makes them."""
    mixed = ids.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    p, y = mixed >> np.uint64(40), (mixed >> np.uint64(16)) & np.uint64(0xFFFFFF)
    scale = np.float32(2**-24)
    columns = [p.astype("f4") * scale, y.astype("f4") * scale, (mixed % np.uint64(groups))]
    return pa.table([pa.array(c, f.type) for c, f in zip(columns, SCHEMA, strict=True)], SCHEMA)


def on_ray(cores: int) -> Evaluate:
    import ray

    ray.init(
        num_cpus=cores, object_store_memory=int(1e9), include_dashboard=False, log_to_driver=False
    )
    ray.data.DataContext.get_current().enable_progress_bars = False

    def rows(block: pa.Table) -> pa.Table:
        return generated(block.column("id").to_numpy())

    def evaluate(count: int) -> pa.Table:
        blocks = max(cores, -(-count // ROWS_A_PIECE))
        table = ray.data.range(count, override_num_blocks=blocks)
        return report("ray", table.map_batches(rows, batch_format="pyarrow", batch_size=None))

    return evaluate


def on_spark(cores: int) -> Evaluate:
    from pyspark.sql import SparkSession

    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.master(f"local[{cores}]")
    for name, value in {
        "spark.ui.enabled": "false", "spark.ui.showConsoleProgress": "false",
        "spark.driver.memory": "1g", "spark.log.level": "ERROR", "spark.driver.host": "127.0.0.1",
        "spark.sql.shuffle.partitions": str(cores),
        "spark.sql.execution.arrow.maxRecordsPerBatch": "100000",
    }.items():  # fmt: skip
        builder = builder.config(name, value)
    spark = builder.getOrCreate()

    def rows(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            yield from generated(batch.column("id").to_numpy()).to_batches()

    def evaluate(count: int) -> pa.Table:
        pieces = max(cores, -(-count // ROWS_A_PIECE))
        numbers = spark.range(0, count, 1, pieces)
        return report("spark", numbers.mapInArrow(rows, "p float, y float, g int"))

    return evaluate


def report(engine: str, table: Any) -> pa.Table:
    return lg.tables.evaluate("l2", table, COLUMNS, by="g", engine=engine).to_arrow()


STARTS = {"ray": on_ray, "spark": on_spark}


def timed(name: str, rows: int, evaluate: Callable[[], pa.Table]) -> pa.Table:
    """Evaluate, and say how long it took."""
    began = time.perf_counter()
    found = evaluate()
    seconds = time.perf_counter() - began
    print(f"| {name} | {rows:.0e} | {seconds:.1f} s | {rows / seconds / 1e6:.2f} |", flush=True)
    return found


def grow(engines: Sequence[str], sizes: Sequence[int], cores: int) -> None:
    """Evaluate generated rows and files of them; all reports of a size have to be equal."""
    print("| engine, table | rows | time | Mrows/s |\n| --- | ---: | ---: | ---: |")
    expected: dict[int, pa.Table] = {}

    def same(name: str, rows: int, evaluate: Callable[[], pa.Table]) -> None:
        found = timed(name, rows, evaluate)
        if not found.equals(expected.setdefault(rows, found)):
            sys.exit(f"{name} differs at {rows} rows")

    with tempfile.TemporaryDirectory() as folder:
        files = {rows: written(Path(folder, str(rows)), rows) for rows in sizes}
        for rows, path in files.items():
            same("this machine, files", rows, partial(report, "local", path))
        for engine in engines:
            generating = STARTS[engine](cores)
            generating(1000)  # sessions, and what an engine does only once
            for rows in sizes:
                same(f"{engine}, generated", rows, partial(generating, rows))
            for rows, path in files.items():
                same(f"{engine}, files", rows, partial(report, engine, path))


def written(folder: Path, rows: int) -> str:
    """A folder of files of the rows."""
    folder.mkdir()
    for start in range(0, rows, ROWS_A_PIECE):
        ids = np.arange(start, min(rows, start + ROWS_A_PIECE))
        pq.write_table(generated(ids), folder / f"{start:012}.parquet")
    return str(folder)


def one_core(rows: int) -> None:
    """What a core does with a file, and what a task hands over."""
    print("\n| table | bytes a row | Mrows/s a core |\n| --- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        for name, loss, table in tables(rows):
            path = Path(folder, f"{name}.parquet")
            pq.write_table(table, path)
            source = open_source(str(path))
            plan = plan_of(lookup(loss).make(), source.schema, COLUMNS, by=("g",))
            local.run(plan, source.parts(), threads=1)
            began = time.perf_counter()
            local.run(plan, source.parts(), threads=1)
            rate = len(table) / (time.perf_counter() - began)
            print(f"| {loss}, {name} | {path.stat().st_size / len(table):.1f} | {rate / 1e6:.1f} |")


def tables(rows: int) -> Iterator[tuple[str, str, pa.Table]]:
    ids = np.arange(rows)
    yield "two numbers", "l2", generated(ids)
    few = rows // 10
    scores = np.random.default_rng(0).normal(size=few * 10).astype("f4")
    yield (
        "ten scores",
        "softmax_ce",
        pa.table(
            {
                "p": pa.FixedSizeListArray.from_arrays(scores, 10),
                "y": ids[:few] % 10,
                "g": generated(ids[:few]).column("g"),
            }
        ),
    )


def states_of_tasks() -> None:
    """How large states are, and how fast they are merged."""
    print("\n| groups | state of a task | to merge one |\n| ---: | ---: | ---: |")
    for groups in (1, 8, 1000, 100_000):
        source = open_source(generated(np.arange(1_000_000), groups))
        plan = plan_of(lookup("l2").make(), source.schema, COLUMNS, by=("g",))
        rows = states.of(local.run(plan, source.parts()))
        copies = 16
        packed = tasks.Packed.of(tasks.Job(plan, 1))
        began = time.perf_counter()
        for state in rows.column("state").to_pylist():
            tasks.merged(packed, [state] * copies)
        each = (time.perf_counter() - began) / copies
        size = sum(map(len, rows.column("state").to_pylist()))
        print(f"| {groups} | {size / 1e3:.1f} kB | {1e3 * each:.2f} ms |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engines", default="ray,spark")
    parser.add_argument("--rows", default="1000000,10000000,100000000")
    parser.add_argument("--cores", type=int, default=2)
    given = parser.parse_args()
    sizes = [int(float(each)) for each in given.rows.split(",")]
    grow(given.engines.split(","), sizes, given.cores)
    one_core(min(10_000_000, max(sizes)))
    states_of_tasks()


if __name__ == "__main__":
    main()
