"""The rows with the largest losses, against sorting all of them."""

from __future__ import annotations

import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lossgraph as lg
from lossgraph.tables.batch import Place, Rows
from lossgraph.tables.worst import WorstRows, worst_rows

RNG = np.random.default_rng(4)
SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, np.nan])
SAMPLES = {
    "all different": RNG.exponential(size=1000),
    "many equal": RNG.integers(0, 3, 1000).astype("float32"),
    "all equal": np.full(200, 0.5),
    "special": np.concatenate([SPECIAL, RNG.normal(size=50), SPECIAL]),
    "only NaN": np.full(20, np.nan),
    "few": np.array([3.0, 1.0]),
}


def rows(loss, numbers, weights=None):
    batch = pa.record_batch({
        "name": pa.array([f"row {i}" for i in numbers]).dictionary_encode(),
        "list": pa.array([[float(i)] for i in numbers]),
    })  # fmt: skip
    return Rows(batch, 0, numbers, {"loss": loss}, weights, {})


def expected(loss, most):
    """The places of the worst, by Python's sort."""
    keys = [(0, 0.0, i) if x != x else (1, -x, i) for i, x in enumerate(loss.tolist())]
    return [i for *_, i in sorted(keys)][:most]


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("most", [1, 7, 100])
def test_they_are_the_worst_however_the_table_is_cut(name, most):
    loss = SAMPLES[name]
    wanted = expected(loss, most)
    asked = WorstRows(most, ("name", "list"))
    for seed, parts in enumerate((1, 3, 5)):
        rng = np.random.default_rng(seed)
        cuts = np.sort(rng.integers(0, len(loss), parts - 1))
        pieces, first = [], 0
        for part, inside in enumerate(np.split(loss, cuts)):
            made = asked.start()
            for batch in rng.permutation(np.arange(0, len(inside), 37)):
                few = inside[batch : batch + 37]
                numbers = np.arange(batch, batch + len(few))
                made.add(rows(few, numbers), Place(part, int(batch), f"part {part}"))
            pieces.append((first, made))
            first += len(inside)
        starts = np.array([start for start, _ in pieces])
        merged = asked.start()
        for i in rng.permutation(parts):
            merged.merge(pieces[i][1])
        restored = asked.restored(pa.concat_tables(
            [piece.to_arrow() for _, piece in pieces], promote_options="default"
        ))  # fmt: skip
        for found in (merged.table(), restored.table()):
            number = starts[[int(text.split()[1]) for text in found["part"].to_pylist()]]
            assert (number + found["row"].to_numpy()).tolist() == wanted
            np.testing.assert_array_equal(found["loss"].to_numpy(), loss[wanted].astype("float64"))
            assert found["name"].to_pylist() == [f"row {i}" for i in found["row"].to_pylist()]
            assert found.column_names == ["loss", "part", "row", "name", "list"]


def test_rows_of_no_weight_are_none():
    made = WorstRows(5).start()
    made.add(rows(np.array([5.0, np.nan, 3.0]), np.arange(3), np.array([0.0, 0.0, 1.0])), Place())
    assert made.table()["loss"].to_pylist() == [3.0]


def test_no_rows():
    asked = WorstRows(5, ("name",))
    assert asked.start().table().column_names == ["loss", "part", "row", "name"]
    assert asked.restored(asked.start().to_arrow()).table().num_rows == 0
    assert pickle.loads(pickle.dumps(asked)) == asked


def test_a_call_keeps_columns(tmp_path):
    pred = RNG.normal(size=3000).astype("float32")
    label = RNG.normal(size=3000).astype("float32")
    columns = {"pred": pred, "label": label}
    table = pa.table({**columns, "id": np.arange(3000), "key": ["a", "b"] * 1500})
    paths = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for path, half in zip(paths, (table.slice(0, 1500), table.slice(1500)), strict=True):
        pq.write_table(half, path)
    asked = {name: name for name in columns}
    found = lg.tables.evaluate("l2", paths, asked, by="key", worst=10, keep="id").worst
    order = np.argsort(-((pred - label) ** 2), kind="stable")[:10]
    assert found["id"].to_pylist() == order.tolist()
    assert found["key"].to_pylist() == [("a", "b")[i % 2] for i in order]
    assert [text.split("/")[-1][0] for text in found["part"].to_pylist()] == [
        "ab"[i // 1500] for i in order
    ]
    assert found["row"].to_pylist() == [i % 1500 for i in order]


@pytest.mark.parametrize("most", [-1, True])
def test_numbers_that_are_none_are_refused(most):
    with pytest.raises(lg.InputError, match="number of rows"):
        worst_rows(most, (), ())


def test_columns_of_no_rows_and_names_of_figures_are_refused():
    with pytest.raises(lg.InputError, match="give worst"):
        worst_rows(0, ("id",), ())
    with pytest.raises(lg.InputError, match="'part' has the name of a figure"):
        worst_rows(3, ("part",), ())
    assert worst_rows(0, (), ("key",)) is None
