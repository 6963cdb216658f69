"""Tables on Ray and on Spark: the numbers of the local engine, to the bit, whatever dies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lossgraph import InputError
from lossgraph.catalogue import lookup
from lossgraph.tables import engines, evaluate, local
from lossgraph.tables.plan import plan_of
from lossgraph.tables.sources import open_source
from watched_parts import WatchedSource, die_once, notes

HERE = "tools/test --engines makes the environment"
pytestmark = [pytest.mark.filterwarnings("default")]  # those of the engines are their own

RNG = np.random.default_rng(0)
FILES, ROWS, CLASSES = 4, 5000, 5
COLUMNS = {"pred": "scores", "label": "y"}


def table(rows: int, many: int = 3) -> pa.Table:
    scores = RNG.normal(size=(rows, CLASSES)).astype("float32")
    countries = np.array(["de", "fr", None], object)[RNG.integers(0, 3, rows)]
    return pa.table(
        {
            "scores": pa.FixedSizeListArray.from_arrays(scores.ravel(), CLASSES),
            "y": RNG.integers(0, CLASSES, rows),
            "country": countries,
            "user": RNG.integers(0, many, rows),
            "w": RNG.random(rows),
        }
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Files of a table, in row groups of several sizes."""
    made = tmp_path / "table"
    made.mkdir()
    for i in range(FILES):
        pq.write_table(table(ROWS), made / f"{i}.parquet", row_group_size=700 * (i + 2))
    return made


def plan_for(folder, **options):
    source = open_source(str(folder))
    return plan_of(lookup("softmax_ce").make(), source.schema, COLUMNS, **options)


def summary(collected):
    groups = collected.groups
    table = groups.summary()
    return table.sort_by([(name, "ascending") for name in groups.by]) if groups.by else table


def equal(found, expected):
    assert (found.rows, found.skipped) == (expected.rows, expected.skipped)
    assert summary(found).to_pydict() == summary(expected).to_pydict()


def frame_of(engine, folder, request):
    if engine == "ray":
        return request.getfixturevalue("ray").data.read_parquet(str(folder))
    return request.getfixturevalue("spark").read.parquet(str(folder))


@pytest.mark.parametrize("options", [{}, {"by": ("country", "user"), "weights": "w"}])
def test_files_give_the_numbers_of_this_machine(engine, folder, options):
    plan, source = plan_for(folder, **options), open_source(str(folder))
    expected = local.run(plan, source.parts(), threads=2)
    assert expected.rows == FILES * ROWS
    equal(engines.run(engine, plan, source), expected)


def test_datasets_of_the_engine_give_the_numbers_of_this_machine(engine, folder, request):
    expected = local.run(plan_for(folder, by=("user",)), open_source(str(folder)).parts())
    source = engines.open_on(engine, frame_of(engine, folder, request))
    plan = plan_of(lookup("softmax_ce").make(), source.schema, COLUMNS, by=("user",))
    equal(engines.run(engine, plan, source), expected)


def test_reports_are_those_of_this_machine(engine, folder):
    options = {
        "by": "country", "weights": "w", "where": "user > 0", "histogram": [0.0, 1.0, 2.0, 4.0],
        "calibration": True, "quantiles": (0.25, 0.5), "worst": 7, "keep": ("scores", "user"),
    }  # fmt: skip
    found, expected = (
        evaluate("softmax_ce", str(folder), COLUMNS, engine=each, **options)
        for each in (engine, "local")
    )
    assert found.to_arrow().equals(expected.to_arrow())
    assert found.histogram.equals(expected.histogram)
    assert found.calibration == expected.calibration
    assert found.worst.equals(expected.worst)
    assert len(found.worst) == 7
    assert found.ran["engine"] == engine


def test_sums_of_gradients_are_those_of_this_machine(engine, folder):
    def scaled(F, pred, label, temperature):
        return F.mean(F.pick(-F.log_softmax(pred / temperature), label))

    found, expected = (
        evaluate(
            scaled, str(folder), COLUMNS, grad="temperature", shared={"temperature": 1.5}, engine=e
        )
        for e in (engine, "local")
    )
    assert found.gradients["temperature"] == expected.gradients["temperature"]


def test_tables_in_memory_are_sent(engine):
    sent = table(1000)
    found, expected = (
        evaluate("softmax_ce", sent, COLUMNS, by="user", engine=each) for each in (engine, "local")
    )
    assert found.to_arrow().equals(expected.to_arrow())


def test_datasets_of_numpy_and_pandas_have_types_of_their_own(ray):
    scores = RNG.normal(size=(100, CLASSES)).astype("float32")
    labels = RNG.integers(0, CLASSES, 100)
    lists = pa.FixedSizeListArray.from_arrays(scores.ravel(), CLASSES)
    expected = evaluate("softmax_ce", pa.table({"scores": lists, "y": labels}), COLUMNS)

    def arrays(batch):
        return {"scores": scores[batch["id"]], "y": labels[batch["id"]]}

    dataset = ray.data.range(100).map_batches(arrays, batch_format="numpy")
    found = evaluate("softmax_ce", dataset, COLUMNS, engine="ray")
    assert found.to_arrow().equals(expected.to_arrow())
    frame = pd.DataFrame({"p": scores[:, 0], "t": scores[:, 1], "g": ["a", "b"] * 50})
    found, expected = (
        evaluate("l2", table, {"pred": "p", "label": "t"}, by="g", engine=each)
        for table, each in ((ray.data.from_pandas(frame), "ray"), (frame, "local"))
    )
    assert found.to_arrow().to_pydict() == expected.to_arrow().to_pydict()


def test_no_row_counts_twice_if_a_process_is_killed(engine, folder, tmp_path):
    source = WatchedSource(str(folder), tmp_path, deadly=range(100))
    plan = plan_for(folder, by=("country",))
    found = engines.run(engine, plan, source)
    assert (tmp_path / "died").exists()
    assert len(notes(tmp_path)) >= 2
    equal(found, local.run(plan, open_source(str(folder)).parts()))


def test_no_row_of_a_dataset_counts_twice_if_a_process_is_killed(engine, folder, tmp_path, request):
    mark = str(tmp_path)

    def deadly(table):
        die_once(mark)
        return table

    def deadly_partition(batches):
        for batch in batches:
            yield batch
            die_once(mark)

    frame = frame_of(engine, folder, request)
    if engine == "ray":
        frame = frame.map_batches(deadly, batch_format="pyarrow")
    else:
        frame = frame.mapInArrow(deadly_partition, frame.schema)
    source = engines.open_on(engine, frame)
    plan = plan_of(lookup("softmax_ce").make(), source.schema, COLUMNS)
    found = engines.run(engine, plan, source)
    assert (tmp_path / "died").exists()
    equal(found, local.run(plan, open_source(str(folder)).parts()))


CONNECTED = """
import sys
import lossgraph as lg
from pyspark.sql import SparkSession

spark = SparkSession.builder.remote("local[2]").getOrCreate()
assert "connect" in type(spark).__module__
for table in (sys.argv[1], spark.read.parquet(sys.argv[1])):
    report = lg.tables.evaluate(
        "softmax_ce", table, {"pred": "scores", "label": "y"}, by="user", engine="spark"
    )
    print(report.to_arrow().to_pylist())
spark.stop()
"""


def test_spark_connect_takes_the_plan_with_its_functions(spark, folder):
    pytest.importorskip("grpc_status", reason=f"no Spark Connect here: {HERE}")
    expected = evaluate("softmax_ce", str(folder), COLUMNS, by="user").to_arrow().to_pylist()
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CONNECTED, str(folder)],
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(expected)] * 2


def test_a_process_makes_one_session(engine, tmp_path):
    files, watched = tmp_path / "files", tmp_path / "watched"
    files.mkdir()
    watched.mkdir()
    for i in range(16):
        pq.write_table(table(100), files / f"{i}.parquet")
    engines.run(engine, plan_for(files), WatchedSource(str(files), watched))
    by_process = notes(watched)
    assert sum(map(len, by_process)) == 16
    assert len(by_process) <= 8
    assert all(len(set(made)) == 1 for made in by_process)


def test_many_groups(engine, tmp_path):
    pq.write_table(table(6000, many=2000), tmp_path / "a.parquet", row_group_size=2000)
    plan = plan_for(tmp_path, by=("user",))
    found = engines.run(engine, plan, open_source(str(tmp_path)))
    assert len(found.groups) > 1000
    equal(found, local.run(plan, open_source(str(tmp_path)).parts()))


@pytest.mark.parametrize("label", [None, CLASSES])
def test_a_row_without_a_loss_is_refused_by_its_file(engine, folder, label):
    bad = table(1000).set_column(1, "y", pa.array([0] * 700 + [label] + [0] * 299))
    pq.write_table(bad, folder / "4.parquet", row_group_size=400)
    refused = []
    for each in (engine, "local"):
        with pytest.raises(InputError, match=r"4\.parquet.*row 700") as caught:
            evaluate("softmax_ce", str(folder), COLUMNS, engine=each)
        refused.append(str(caught.value))
    assert refused[0] == refused[1]
    assert len(refused[0].splitlines()) == 1


def test_models_are_compared_by_the_blocks_of_this_machine(engine, folder):
    for path in folder.glob("*.parquet"):
        before = pq.read_table(path)
        other = np.roll(np.stack(before["scores"].to_numpy()), 1, axis=0).ravel()
        lists = pa.FixedSizeListArray.from_arrays(other, CLASSES)
        pq.write_table(before.append_column("others", lists), path)
    found, expected = (
        evaluate("softmax_ce", str(folder), COLUMNS, against={"pred": "others"}, engine=each)
        for each in (engine, "local")
    )
    assert "difference_low" in found.to_arrow().column_names
    assert found.to_arrow().equals(expected.to_arrow())


def test_an_empty_dataset(engine, folder, request):
    frame = frame_of(engine, folder, request).limit(0)
    source = engines.open_on(engine, frame)
    plan = plan_of(lookup("softmax_ce").make(), source.schema, COLUMNS)
    assert engines.run(engine, plan, source).rows == 0


@pytest.mark.parametrize("whole", [True, False])
def test_rows_are_written_with_their_losses(engine, folder, tmp_path, request, whole):
    source = open_source(str(folder))
    if not whole:
        source = engines.open_on(engine, frame_of(engine, folder, request))
    plan = plan_of(lookup("softmax_ce").make(), source.schema, COLUMNS, keep=("w", "country"))
    target = str(tmp_path / "rows")
    engines.write_rows(engine, plan, source, target, "cost")
    found = pq.read_table(target).sort_by("w")
    assert found.column_names == ["w", "country", "cost"]
    before = pq.read_table(folder).sort_by("w")
    assert found.select(["w", "country"]).equals(before.select(["w", "country"]))
    scores = np.stack(before.column("scores").to_numpy()).astype(float)
    true = scores[np.arange(len(scores)), before.column("y").to_numpy()]
    expected = np.log(np.exp(scores).sum(1)) - true
    np.testing.assert_allclose(found.column("cost").to_numpy(), expected, rtol=1e-5, atol=1e-6)
    with pytest.raises(InputError, match="there already"):
        engines.write_rows(engine, plan, source, target)
    with pytest.raises(InputError, match="a column 'w'"):
        engines.write_rows(engine, plan, source, target + "2", "w")


def test_datasets_stay_with_their_engine(engine, folder, request):
    frame = frame_of(engine, folder, request)
    other = {"ray": "spark", "spark": "ray"}[engine]
    with pytest.raises(InputError, match="of another engine"):
        engines.open_on(other, frame)
    with pytest.raises(InputError, match="where: filter the engine's"):
        engines.open_on(engine, frame, "user == 1")
    assert os.environ["PYSPARK_PYTHON"]
