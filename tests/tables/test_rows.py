"""Rows with their losses beside them, in order, whichever thread computes what."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon, nn
from lossgraph.tables.batch import Place
from lossgraph.tables.in_order import InOrder

pa = pytest.importorskip("pyarrow")
dataset = pytest.importorskip("pyarrow.dataset")
feather = pytest.importorskip("pyarrow.feather")
parquet = pytest.importorskip("pyarrow.parquet")
csv = pytest.importorskip("pyarrow.csv")

ROWS, CLASSES, FILES = 6000, 3, 4
RNG = np.random.default_rng(3)
LOGITS = RNG.normal(size=(ROWS, CLASSES)).astype("f")
LABELS = RNG.integers(0, CLASSES, ROWS)
COUNTRIES = np.array(["de", "fr", "nl"])[RNG.integers(0, 3, ROWS)]
TABLE = pa.table(
    {
        "id": np.arange(ROWS), "country": pa.array(COUNTRIES).dictionary_encode(), "y": LABELS,
        "scores": pa.FixedSizeListArray.from_arrays(pa.array(LOGITS.ravel()), CLASSES),
        **{f"logit_{i}": LOGITS[:, i] for i in range(CLASSES)},
    }
)  # fmt: skip
COLUMNS = {"pred": "logit_*", "label": "y"}
WIDE = LOGITS.astype("d")
LOSSES = np.log(np.exp(WIDE).sum(1)) - WIDE[np.arange(ROWS), LABELS]


@pytest.fixture(scope="module")
def preds(tmp_path_factory):
    """Files of small row groups, of which threads take several at once."""
    folder = tmp_path_factory.mktemp("preds")
    for i in range(FILES):
        piece = TABLE.slice(i * ROWS // FILES, ROWS // FILES)
        parquet.write_table(piece, folder / f"{i}.parquet", row_group_size=400)
    return folder


def evaluate(source, **options):
    return lg.tables.evaluate(gluon.SoftmaxCELoss(), source, COLUMNS, **options)


@pytest.fixture
def many_parts(monkeypatch):
    monkeypatch.setattr("lossgraph.tables.sources.parquet.PART_ROWS", 400)
    monkeypatch.setattr("lossgraph.tables.local._MOST_ROWS", 64)


@pytest.mark.usefixtures("many_parts")
@pytest.mark.parametrize("suffix", [".parquet", ".arrow", ".csv"])
def test_rows_are_in_the_order_of_the_table(preds, tmp_path, suffix):
    target = tmp_path / f"rows{suffix}"
    evaluate(preds, rows=target, append="ce", keep=["id", "country"], threads=4)
    read = {".parquet": parquet.read_table, ".arrow": feather.read_table, ".csv": csv.read_csv}
    found = read[suffix](target)
    assert found.column_names == ["id", "country", "ce"]
    assert found["id"].to_pylist() == list(range(ROWS))
    assert found["country"].to_pylist() == COUNTRIES.tolist()
    np.testing.assert_allclose(found["ce"].to_numpy(), LOSSES, rtol=1e-5, atol=1e-6)
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.usefixtures("many_parts")
def test_all_columns_are_kept_and_types_stay(preds, tmp_path):
    evaluate(preds, rows=tmp_path / "rows.parquet", threads=2)
    found = parquet.read_table(tmp_path / "rows.parquet")
    assert found.column_names == [*TABLE.column_names, "loss"]
    assert found.select(TABLE.column_names).cast(TABLE.schema).equals(TABLE.unify_dictionaries())
    assert found["loss"].type == pa.float32()


@pytest.mark.usefixtures("many_parts")
def test_a_folder_has_a_file_for_each_file(preds, tmp_path):
    evaluate(preds, rows=tmp_path / "out", keep="id", threads=4)
    names = [f"{i}.parquet" for i in range(FILES)]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    for i, name in enumerate(names):
        ids = parquet.read_table(tmp_path / "out" / name)["id"].to_pylist()
        assert ids == list(range(i * ROWS // FILES, (i + 1) * ROWS // FILES))


def test_files_of_folders_stay_in_folders(tmp_path):
    dataset.write_dataset(
        TABLE.set_column(1, "country", TABLE["country"].cast(pa.string())), tmp_path / "in",
        format="parquet", partitioning=["country"], partitioning_flavor="hive",
    )  # fmt: skip
    evaluate(tmp_path / "in", rows=tmp_path / "out", keep="id")
    for country in np.unique(COUNTRIES):
        (path,) = (tmp_path / "out" / f"country={country}").iterdir()
        ids = parquet.ParquetFile(path).read()["id"].to_numpy()
        assert set(ids) == set(np.flatnonzero(country == COUNTRIES))


def test_a_condition_leaves_rows_out_and_skipped_rows_have_no_loss(tmp_path):
    label = pa.array([None if i % 7 == 2 else int(k) for i, k in enumerate(LABELS)])
    table = TABLE.set_column(2, "y", label)
    options = {"nulls": "skip", "where": "id >= 1000", "rows": tmp_path / "rows.parquet"}
    evaluate(table, **options, keep=["id", "y"])
    found = parquet.read_table(tmp_path / "rows.parquet").to_pandas()
    assert found["id"].tolist() == list(range(1000, ROWS))
    assert (found["loss"].isna() == found["y"].isna()).all()
    assert found["y"].isna().any()
    known = found[found["y"].notna()]
    np.testing.assert_allclose(known["loss"], LOSSES[known["id"]], rtol=1e-5, atol=1e-6)


def test_a_batch_without_any_loss_has_nulls(tmp_path):
    table = TABLE.set_column(2, "y", pa.array([None] * 5999 + [0], pa.int64()))
    evaluate(table.take([0, 1, 5999]), nulls="skip", rows=tmp_path / "rows.arrow")
    assert feather.read_table(tmp_path / "rows.arrow")["loss"].null_count == 2


def test_elements_that_a_loss_ignores_have_none(tmp_path):
    loss = nn.CrossEntropyLoss(ignore_index=1)
    columns = {"input": "logit_*", "target": "y"}
    lg.tables.evaluate(loss, TABLE, columns, rows=tmp_path / "rows.parquet", keep="y")
    found = parquet.read_table(tmp_path / "rows.parquet")
    assert (np.array(found["loss"].is_null()) == (LABELS == 1)).all()
    known = found["loss"].drop_null().to_numpy()
    np.testing.assert_allclose(known, LOSSES[LABELS != 1], rtol=1e-5, atol=1e-6)


def test_gradients_are_lists_and_another_model_stands_beside(tmp_path):
    evaluate(
        TABLE, grad="pred", against={"pred": [f"logit_{i}" for i in (2, 1, 0)]},
        rows=tmp_path / "rows.parquet", append="ce", keep="id",
    )  # fmt: skip
    found = parquet.read_table(tmp_path / "rows.parquet")
    assert found.column_names == ["id", "ce", "ce_against", "ce_difference", "ce_grad_pred"]
    right = np.exp(WIDE) / np.exp(WIDE).sum(1, keepdims=True)
    right[np.arange(ROWS), LABELS] -= 1
    gradients = np.array(found["ce_grad_pred"].to_pylist())
    np.testing.assert_allclose(gradients, right, rtol=1e-4, atol=1e-6)
    other = np.log(np.exp(WIDE).sum(1)) - WIDE[:, ::-1][np.arange(ROWS), LABELS]
    np.testing.assert_allclose(found["ce_against"].to_numpy(), other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": "rows.txt"}, r"rows are written as one of \.parquet, \.arrow, \.csv"),
        ({"rows": "rows.csv"}, "CSV has no column of lists such as 'scores'"),
        ({"rows": "rows.parquet", "append": "id"}, "the table has a column 'id'"),
        ({"rows": "rows.parquet", "keep": "idd"}, "no column 'idd' .did you mean 'id'"),
        ({"rows": "full"}, "folder that is not empty"),
        ({"rows": "rows.parquet", "resume": "state"}, "leave one of them out"),
        ({"rows": "rows.parquet", "where": "id < 0"}, "no rows"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, monkeypatch, options, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "here").touch()
    with pytest.raises(lg.InputError, match=message):
        evaluate(TABLE, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


@pytest.mark.parametrize("threads", [1, 4])
@pytest.mark.usefixtures("many_parts")
def test_a_row_that_has_no_loss_leaves_nothing(tmp_path, threads):
    labels = LABELS.copy()
    labels[5500] = 77
    (tmp_path / "in").mkdir()
    table = TABLE.set_column(2, "y", pa.array(labels))
    parquet.write_table(table, tmp_path / "in" / "a.parquet", row_group_size=400)
    with pytest.raises(lg.InputError, match=r"a\.parquet.*77"):
        evaluate(tmp_path / "in", rows=tmp_path / "rows.parquet", threads=threads)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


# --- the order ---


def numbered(*numbers):
    return pa.record_batch({"x": np.array(numbers, "int64")})


def test_batches_wait_for_their_turn_in_bounded_memory():
    """The first batch comes last; those that would be too many to keep wait with their thread."""
    written = []
    order = InOrder(lambda part, batch: written.extend(batch["x"].to_pylist()), limit=40)
    batches = [(part, first) for part in range(3) for first in range(0, 6, 2)]

    def bring(part, first):
        order.put(Place(part, first), numbered(6 * part + first, 6 * part + first + 1))

    for part in range(3):
        order.end(part, 6)
    threads = [threading.Thread(target=bring, args=each, daemon=True) for each in batches[1:]]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    assert written == []
    assert sum(thread.is_alive() for thread in threads) == len(threads) - 2  # 16 bytes each
    bring(*batches[0])
    for thread in threads:
        thread.join(10)
    assert written == list(range(18))


def test_nobody_waits_when_a_run_is_over():
    order = InOrder(lambda part, batch: None, limit=0)
    waiting = threading.Thread(target=lambda: order.put(Place(1, 0), numbered(1)), daemon=True)
    waiting.start()
    order.stop()
    waiting.join(10)
    assert not waiting.is_alive()


def test_parts_without_rows_have_their_turn():
    written = []
    order = InOrder(lambda part, batch: written.append(part))
    order.put(Place(3, 0), numbered(1))
    order.put(Place(0, 0), numbered(1))
    for part, rows in ((2, 0), (1, 0), (0, 1), (3, 1)):
        order.end(part, rows)
    assert written == [0, 3]
