"""Losses of batches over tables: each batch as the loss has it, however the rows stand."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import lossgraph as lg
from lossgraph import gluon, losses
from lossgraph.compiler.rows import CoupledRowsError
from lossgraph.tables import coupled, gathering
from lossgraph.tables.coupled import Batches, batched, stand_together
from lossgraph.tables.gathering import Gathered
from lossgraph.tables.runs import hashes, numbered
from lossgraph.tables.sources import open_source

RNG = np.random.default_rng(8)
ROWS, QUERIES = 1200, 40
QUERY = RNG.integers(0, QUERIES, ROWS)
SCORE = RNG.normal(size=ROWS).astype(np.float32)
GRADE = RNG.integers(0, 4, ROWS).astype(np.float32)
VECTORS = RNG.normal(size=(2, ROWS, 3)).astype(np.float32)


def lists(array):
    return pa.FixedSizeListArray.from_arrays(array.ravel(), array.shape[1])


TABLE = pa.table(
    {
        "query": [f"q{i}" if i else None for i in QUERY],
        "country": pa.array(np.array(["de", "fr"])[QUERY % 2]),
        "score": SCORE,
        "other": SCORE[::-1],
        "grade": GRADE,
        "x": lists(VECTORS[0]),
        "y": lists(VECTORS[1]),
        "place": np.arange(ROWS),
    }
)
SORTED = TABLE.sort_by([("query", "ascending"), ("place", "ascending")])
COLUMNS = {"score": "score", "relevance": "grade"}


def listed(F, score, relevance):
    """A list-wise loss of the rows of a query: the cross-entropy of the softmax of the scores."""
    return -F.sum(F.softmax(relevance) * F.log_softmax(score))


def by_numpy(score=SCORE, queries=range(QUERIES)):
    """The same of each query by NumPy in float64."""
    found = []
    for query in queries:
        s, r = score[query == QUERY].astype(float), GRADE[query == QUERY].astype(float)
        softmax = np.exp(r) / np.exp(r).sum()
        found.append(-(softmax * (s - np.log(np.exp(s).sum()))).sum())
    return np.array(found)


@pytest.fixture(scope="module")
def cuts(tmp_path_factory):
    """The same rows in several orders and files; queries that go on in the next file too."""
    folder = tmp_path_factory.mktemp("cuts")
    pq.write_table(SORTED, folder / "sorted.parquet", row_group_size=77)
    (folder / "many").mkdir()
    for i, start in enumerate(range(0, ROWS, 130)):
        pq.write_table(TABLE.slice(start, 130), folder / "many" / f"{i:02}.parquet")
    shuffled = TABLE.take(RNG.permutation(ROWS))
    return [TABLE, SORTED, folder / "sorted.parquet", folder / "many", shuffled]


@pytest.mark.parametrize("threads", [1, 3])
def test_queries_wherever_their_rows_stand(cuts, threads):
    expected = by_numpy()
    for source in cuts:
        found = lg.tables.evaluate(listed, source, COLUMNS, batch_by="query", threads=threads)
        total = found.total
        assert total["count"] == QUERIES
        assert total["mean"] == pytest.approx(expected.mean(), rel=1e-6)
        assert total["standard_error"] == pytest.approx(
            expected.std(ddof=1) / np.sqrt(QUERIES), rel=1e-5
        )
        assert total["max"] == pytest.approx(expected.max(), rel=1e-6)


def test_equal_bits_for_equal_order_within_queries(cuts):
    """Where rows stand in the table does not count, but their order in the batch."""
    for sorted_, gathered in ((cuts[1], cuts[0]), (cuts[2], cuts[3])):
        found = [
            lg.tables.evaluate(listed, source, COLUMNS, batch_by="query", by="country").table
            for source in (sorted_, gathered)
        ]
        assert found[0].equals(found[1])


def test_a_stream_that_is_read_once():
    reader = pa.RecordBatchReader.from_batches(SORTED.schema, SORTED.to_batches(max_chunksize=50))
    found = lg.tables.evaluate(listed, reader, COLUMNS, batch_by="query").total
    assert found["mean"] == pytest.approx(by_numpy().mean(), rel=1e-6)


def test_groups_of_batches():
    found = lg.tables.evaluate(listed, TABLE, COLUMNS, batch_by=["query"], by="country")
    rows = found.to_arrow().to_pylist()
    for row, rest in zip(rows, (0, 1), strict=False):
        expected = by_numpy(queries=range(rest, QUERIES, 2))
        assert row["count"] == len(expected)
        assert row["mean"] == pytest.approx(expected.mean(), rel=1e-6)
    with pytest.raises(lg.InputError, match="different values of 'country'"):
        lg.tables.evaluate(listed, TABLE, COLUMNS, batch_size=50, by="country")


def test_groups_in_dictionaries(tmp_path):
    """Each file has a dictionary of its own, and many batches are added at once."""
    place = TABLE.schema.get_field_index("country")
    for i, part in enumerate((SORTED.slice(0, 650), SORTED.slice(650))):
        encoded = part.column("country").combine_chunks().dictionary_encode()
        pq.write_table(part.set_column(place, "country", encoded), tmp_path / f"{i}.parquet")
    found = lg.tables.evaluate(listed, tmp_path, COLUMNS, batch_by="query", by="country")
    plain = lg.tables.evaluate(listed, TABLE, COLUMNS, batch_by="query", by="country")
    assert found.table.column("mean").equals(plain.table.column("mean"))


@pytest.mark.parametrize(
    ("size", "remainder"),
    [(1, "keep"), (7, "keep"), (7, "drop"), (64, "keep"), (1200, "drop"), (5000, "keep")],
)
def test_so_many_rows(cuts, size, remainder):
    """Consecutive rows, over the ends of files and row groups; the loss itself is the judge."""
    loss = gluon.SDMLLoss()
    starts = [i for i in range(0, ROWS, size) if remainder == "keep" or i + size <= ROWS]
    compiled = lg.compile(loss, dict.fromkeys(("x1", "x2"), ("float32", ("N", 3))))
    expected = [compiled(*VECTORS[:, i : i + size]).astype(float).mean() for i in starts]
    for source in (cuts[0], cuts[3]):
        found = lg.tables.evaluate(loss, source, {"x1": "x", "x2": "y"}, batch_size=size,
                                   remainder=remainder).total  # fmt: skip
        assert found["count"] == len(starts)
        # Of one row there is no loss.
        assert found["mean"] == pytest.approx(np.mean(expected), rel=2e-6, nan_ok=True)


def test_the_losses_that_are_refused_by_rows():
    for loss, columns in (
        (gluon.SDMLLoss(), {"x1": "x", "x2": "y"}),
        (losses.info_nce, {"query": "x", "key": "y"}),
    ):
        with pytest.raises(CoupledRowsError, match="batch_by or batch_size"):
            lg.tables.evaluate(loss, TABLE, columns)
        assert lg.tables.evaluate(loss, TABLE, columns, batch_size=100).total["count"] == 12


def test_two_models_on_the_same_batches():
    found = lg.tables.evaluate(listed, TABLE, COLUMNS, batch_by="query",
                               against={"score": "other"}).total  # fmt: skip
    one, two = by_numpy(), by_numpy(SCORE[::-1])
    assert found["against_mean"] == pytest.approx(two.mean(), rel=1e-6)
    assert found["difference"] == pytest.approx((two - one).mean(), rel=1e-5)


def test_rows_that_are_left_out():
    grades = pa.array([None if i % 5 == 0 else g for i, g in enumerate(GRADE)], pa.float32())
    with_nulls = TABLE.set_column(TABLE.schema.get_field_index("grade"), "grade", grades)
    with pytest.raises(
        lg.InputError, match=r"the batch of query = 'q\d+', row \d+: column 'grade'"
    ):
        lg.tables.evaluate(listed, with_nulls, COLUMNS, batch_by="query", threads=1)
    found = lg.tables.evaluate(listed, with_nulls, COLUMNS, batch_by="query", nulls="skip")
    kept = lg.tables.evaluate(
        listed, TABLE.filter(pa.array(np.arange(ROWS) % 5 != 0)), COLUMNS, batch_by="query"
    )
    assert found.table.equals(kept.table)
    assert found.ran["skipped"] == ROWS // 5
    only_nulls = with_nulls.filter(pa.array(np.arange(ROWS) % 5 == 0))
    with pytest.raises(lg.InputError, match="all"):
        lg.tables.evaluate(listed, only_nulls, COLUMNS, batch_size=10, nulls="skip")


def test_a_temperature_for_all_batches():
    def tempered(F, score, relevance, temperature):
        return listed(F, score / temperature, relevance)

    found = lg.tables.evaluate(tempered, TABLE, COLUMNS, batch_by="query", grad="temperature",
                               shared={"temperature": 2.0})  # fmt: skip
    step = 1e-4
    up, down = (by_numpy(SCORE.astype("d") / (2 + s)).mean() for s in (step, -step))
    assert found.gradients["temperature"] == pytest.approx((up - down) / (2 * step), rel=1e-5)
    with pytest.raises(lg.InputError, match="rows have no loss of their own"):
        lg.tables.evaluate(tempered, TABLE, COLUMNS, batch_by="query", grad="score",
                           shared={"temperature": 2.0})  # fmt: skip


REFUSED = [
    ({"batch_size": 5000, "remainder": "drop"}, "has 1200 rows, which make no batch of 5000"),
    ({"batch_by": "query", "batch_size": 3}, "batch_by, or batch_size"),
    ({"batch_size": 0}, "expected 1 or more"),
    ({"batch_size": 3, "remainder": "pad"}, "'keep' or 'drop'"),
    ({"batch_by": "qeury"}, "qeury"),
    ({"batch_by": "query", "weights": "grade"}, "no weights of their own"),
    ({"batch_by": "query", "engine": "ray"}, "by 'local'"),
    ({"batch_by": "query", "calibration": True}, "calibration"),
]


@pytest.mark.parametrize(("asked", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_is_refused(asked, message):
    with pytest.raises(lg.InputError, match=message):
        lg.tables.evaluate(listed, TABLE, COLUMNS, **asked)


# --- how batches are found ---


def keys_of(parts, columns=("query", "place")):
    return [
        (set(batch.column(0).to_pylist()), batch.column(1).to_pylist())
        for part in parts
        for _, batch in part.batches(columns, 100)
    ]


def test_keys_that_stand_together(monkeypatch):
    monkeypatch.setattr(coupled, "_ROWS", 50)
    assert stand_together(open_source(SORTED).parts(), ["query"])
    assert not stand_together(open_source(TABLE).parts(), ["query"])
    twice = pa.table({"query": ["a", "a", "b", "c", "c", "b"]})
    assert not stand_together(open_source(twice).parts(), ["query"])
    assert stand_together(open_source(twice.slice(0, 5)).parts(), ["query"])
    assert stand_together(open_source(twice.slice(0, 0)).parts(), ["query"])
    numbers = pa.table({"a": [0.0, -0.0, np.nan, np.nan, 1], "b": [1, 1, 1, 1, 1]})
    with batched(open_source(numbers).parts(), Batches(("a", "b")), ["a"]) as parts:
        sizes = [len(batch) for part in parts for _, batch in part.batches(["a", "b"], 2)]
    assert sizes == [2, 2, 1]  # zeros are equal, and so are values that are no numbers


@pytest.mark.parametrize("most_bytes", [1 << 26, 2000, 1])
def test_gathered_rows_are_all_there_in_order(monkeypatch, most_bytes):
    """Files that are too large are spread again; a key that is too large for any stays whole."""
    monkeypatch.setattr(gathering, "_FILES", 4)
    monkeypatch.setattr(gathering, "_WRITE_BYTES", 500)
    batches = TABLE.select(["query", "place"]).to_batches(max_chunksize=90)
    with Gathered(["query"], most_bytes) as gathered:
        found = keys_of(gathered.parts(batches))
    assert len(found) == QUERIES
    for keys, places in found:
        (key,) = keys
        expected = np.flatnonzero((0 if key is None else int(key[1:])) == QUERY)
        assert places == expected.tolist()


def test_files_are_gone_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lg.tables.evaluate(listed, TABLE, COLUMNS, batch_by="query")
    assert list(tmp_path.iterdir()) == []
    bad = TABLE.set_column(
        TABLE.schema.get_field_index("grade"), "grade", pa.nulls(ROWS, pa.float32())
    )
    with pytest.raises(lg.InputError):
        lg.tables.evaluate(listed, bad, COLUMNS, batch_by="query")
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written(monkeypatch):
    def full(self, *_):
        raise OSError("no space left on device")

    monkeypatch.setattr(gathering._File, "_write", full)
    with pytest.raises(lg.InputError, match="TMPDIR"):
        lg.tables.evaluate(listed, TABLE, COLUMNS, batch_by="query")
    assert Path(tempfile.gettempdir()).exists()


KEYS = [
    pa.array([1, 1, 2, None, None, 3], pa.int32()),
    pa.array(["a", "a", None, None, "b", "b"]),
    pa.array([0.0, -0.0, float("nan"), float("nan"), None, 1.5]),
    pa.array([0, 0, 1, 1, None, 2], pa.timestamp("us", tz="Europe/Berlin")),
    pa.array([[1], [1], [2, 3], None, [], []], pa.list_(pa.int8())),
    pa.array([True, True, False, None, None, False]),
]


@pytest.mark.parametrize("keys", KEYS, ids=lambda array: str(array.type))
def test_hashes_are_equal_where_keys_are(keys):
    """Whatever the rows beside them, in a dictionary or not; of another level they are others."""
    found = hashes([keys])
    codes, _ = numbered([keys])
    for i in range(6):
        for j in range(6):
            assert (found[i] == found[j]) == (codes[i] == codes[j])
        assert hashes([keys.slice(i, 1)])[0] == found[i]
    if not pa.types.is_nested(keys.type):
        assert np.array_equal(hashes([keys.dictionary_encode()]), found)
    assert not np.isin(hashes([keys], 1), found).any()
    assert not np.array_equal(hashes([keys, KEYS[0]]), hashes([KEYS[0], keys])) or keys is KEYS[0]


def test_hashes_spread_and_are_the_same_everywhere():
    found = hashes([pa.array(np.arange(100_000))])
    assert len(np.unique(found)) == 100_000
    counts = np.bincount((found % np.uint64(64)).astype(int))
    assert counts.min() > 1400  # of 1562.5, whose standard deviation is 39
    assert counts.max() < 1730
    assert hashes([pa.array([0])])[0] == 0xE220A8397B1DCDAF  # SplitMix64's first number
