"""Two models on the same rows: differences, their errors, and intervals by a bootstrap."""

from __future__ import annotations

import inspect

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy import stats

import lossgraph as lg
from lossgraph import gluon, nn
from lossgraph.tables import against, local
from lossgraph.tables.against import BOOTSTRAP, Bootstrap, block_rows, compared
from lossgraph.tables.collected import Collected, merged
from lossgraph.tables.finish import report
from lossgraph.tables.plan import plan_of
from lossgraph.tables.sources import open_source

ROWS = 4000
RNG = np.random.default_rng(3)
LABEL = RNG.normal(size=ROWS)
PRED = LABEL + RNG.normal(size=ROWS)
OTHER = LABEL + 0.9 * RNG.normal(size=ROWS)
WEIGHT = RNG.integers(0, 3, ROWS).astype(float)
TABLE = pa.table(
    {
        "label": LABEL,
        "pred": PRED,
        "other": OTHER,
        "weight": WEIGHT,
        "group": pa.array([None if i % 4 == 0 else f"g{i % 4}" for i in range(ROWS)]),
        "day": np.arange(ROWS) // 100,
    }
)
COLUMNS = {"pred": "pred", "label": "label"}
AGAINST = {"pred": "other"}
L2 = gluon.L2Loss()
DIFFERENCES = ((OTHER - LABEL) ** 2 - (PRED - LABEL) ** 2) / 2


def evaluated(source=TABLE, **more):
    return lg.tables.evaluate(L2, source, COLUMNS, against=AGAINST, **more)


def test_means_and_differences():
    found = evaluated().total
    assert found["mean"] == pytest.approx(((PRED - LABEL) ** 2).mean() / 2, rel=1e-12)
    assert found["against_mean"] == pytest.approx(((OTHER - LABEL) ** 2).mean() / 2, rel=1e-12)
    assert found["difference"] == pytest.approx(DIFFERENCES.mean(), rel=1e-9)
    assert found["difference_standard_error"] == pytest.approx(stats.sem(DIFFERENCES), rel=1e-9)
    low, high = found["difference_low"], found["difference_high"]
    assert low < found["difference"] < high < 0  # the other model is better, and this shows it


# What the newer SciPy calls its source of random numbers.
SEED = "rng" if "rng" in inspect.signature(stats.bootstrap).parameters else "random_state"


def test_rows_that_are_independent():
    """Blocks of four rows then are as good as rows: SciPy's bootstrap is the judge."""
    found = evaluated(resamples=4000).total
    drawn = stats.bootstrap((DIFFERENCES,), np.mean, n_resamples=4000, method="percentile",
                            **{SEED: np.random.default_rng(0)})  # fmt: skip
    expected = drawn.confidence_interval
    width = expected.high - expected.low
    assert abs(found["difference_low"] - expected.low) < 0.06 * width
    assert abs(found["difference_high"] - expected.high) < 0.06 * width


def test_the_draws_are_what_they_say(monkeypatch):
    """Drawn again by NumPy from the sums of blocks, weights and all, in pieces or at once."""
    found = evaluated(weights="weight", interval=0.8, resamples=300)
    blocks, rows = 1000, 4
    assert found.ran[BOOTSTRAP] == {
        "blocks": blocks, "rows": rows, "resamples": 300, "level": 0.8, "seed": against._SEED,
    }  # fmt: skip
    random = np.random.Generator(np.random.PCG64(against._SEED))
    times = random.multinomial(blocks, np.full(blocks, 1 / blocks), 300)
    sums = (DIFFERENCES * WEIGHT).reshape(blocks, rows).sum(1)
    means = (times @ sums) / (times @ WEIGHT.reshape(blocks, rows).sum(1))
    low, high = np.quantile(means, [0.1, 0.9])
    assert found.total["difference_low"] == pytest.approx(low, rel=1e-10)
    assert found.total["difference_high"] == pytest.approx(high, rel=1e-10)
    monkeypatch.setattr(against, "_NUMBERS", 7000)
    again = evaluated(weights="weight", interval=0.8, resamples=300).total
    assert again["difference_low"] == pytest.approx(low, rel=1e-10)


def test_rows_of_a_block_that_are_alike():
    """What 100 rows have in common is seen once: the interval is ten times as wide."""
    alike = TABLE.set_column(
        1, "pred", pa.array(np.repeat(PRED[::100] - LABEL[::100], 100) + LABEL)
    )
    alike = alike.set_column(
        2, "other", pa.array(np.repeat(OTHER[::100] - LABEL[::100], 100) + LABEL)
    )

    def width(rows):
        asked = Bootstrap((), rows)
        collected = local.run(
            plan_of(L2, TABLE.schema, COLUMNS, against=AGAINST, collect={BOOTSTRAP: asked}),
            open_source(alike).parts(),
        )
        total = report(collected.plan, collected, (), {}).total
        return total["difference_high"] - total["difference_low"]

    assert 7 < width(100) / width(1) < 13


def test_groups():
    """A row each, nulls among them; the interval of a group is that of its rows alone."""
    found = evaluated(by="group").to_arrow()
    assert found.column("group").to_pylist() == ["g1", "g2", "g3", None, None]
    for i in range(4):
        row = found.slice(i, 1).to_pylist()[0]
        own = DIFFERENCES[np.arange(ROWS) % 4 == (i + 1) % 4]
        assert row["difference"] == pytest.approx(own.mean(), rel=1e-9)
        half = 1.96 * stats.sem(own)
        assert row["difference_high"] - row["difference_low"] == pytest.approx(2 * half, rel=0.15)
    total = found.slice(4, 1).to_pylist()[0]
    assert total["difference_low"] == evaluated().total["difference_low"]
    names = found.column_names
    assert names[names.index("difference_standard_error") + 1 :][:2] == [
        "difference_low", "difference_high",
    ]  # fmt: skip


def test_many_groups_in_pieces(monkeypatch):
    whole = evaluated(by=["day", "group"], resamples=50).to_arrow()
    monkeypatch.setattr(against, "_NUMBERS", 20_000)
    pieces = evaluated(by=["day", "group"], resamples=50).to_arrow()
    for name in ("difference_low", "difference_high"):
        np.testing.assert_allclose(whole.column(name), pieces.column(name), rtol=1e-12)


def test_threads_batches_and_merging_change_nothing(tmp_path):
    pq.write_table(TABLE, tmp_path / "a.parquet", row_group_size=500)
    found = [
        evaluated(tmp_path / "a.parquet", by="group", threads=threads).table
        for threads in (1, 2, 4)
    ]
    assert all(table.equals(found[0]) for table in found)
    parts = open_source(tmp_path / "a.parquet").parts()
    asked = Bootstrap(("group",), block_rows(parts))
    plan = plan_of(L2, TABLE.schema, COLUMNS, by=["group"], against=AGAINST,
                   collect={BOOTSTRAP: asked})  # fmt: skip
    pieces = [local.run(plan, parts, threads=1, batch_rows=rows) for rows in (37, 64, 4000)]
    restored = merged(plan, [Collected.from_tables(plan, pieces[0].to_tables())])
    for collected in (*pieces, restored):
        table = report(plan, collected, (0.5, 0.9, 0.99), {}).table
        assert table.column("difference_low").equals(found[0].column("difference_low"))


def test_groups_in_one_block_have_no_interval():
    table = TABLE.slice(0, 2000).set_column(4, "group", pa.array(["a"] + ["b"] * 1999))
    first, second, _ = evaluated(table, by="group").to_arrow().to_pylist()
    assert first["difference_low"] is None
    assert second["difference_low"] is not None
    only = evaluated(TABLE.slice(0, 1)).total
    assert only["difference_low"] is None
    assert only["difference"] == pytest.approx(DIFFERENCES[0])


def test_infinite_differences_have_no_interval():
    bad = TABLE.set_column(2, "other", pa.array(np.where(np.arange(ROWS) == 7, np.inf, OTHER)))
    found = evaluated(bad).total
    assert found["difference"] == np.inf
    assert found["difference_low"] is None


def test_ignored_rows_count_for_nothing():
    """Scales of rows are weights: the differences of cross-entropies of the labels that count."""
    logits = RNG.normal(size=(2, 400, 3))
    labels = RNG.integers(0, 3, 400)
    table = pa.table(
        {"y": labels, **{f"{n}_{i}": logits[k, :, i] for k, n in enumerate("ab") for i in range(3)}}
    )
    loss, columns = nn.CrossEntropyLoss(ignore_index=1), {"input": "a_*", "target": "y"}
    found = lg.tables.evaluate(loss, table, columns, against={"input": "b_*"})
    each = [(np.log(np.exp(z).sum(1)) - z[np.arange(400), labels])[labels != 1] for z in logits]
    assert found.total["difference"] == pytest.approx((each[1] - each[0]).mean(), rel=1e-9)
    assert found.total["count"] == len(each[0])
    assert found.total["difference_low"] < found.total["difference"]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"interval": 1.0}, "interval: expected a share"),
        ({"resamples": 0}, "resamples: expected 1 or more"),
        ({"against": {"score": "other"}}, "'score' has no column to compare with"),
        ({"against": {"pred": "group"}}, "group"),
        ({"against": {"pred": "othr"}}, "othr"),
    ],
)
def test_what_is_refused(asked, message):
    with pytest.raises(lg.InputError, match=message):
        lg.tables.evaluate(L2, TABLE, COLUMNS, **{"against": AGAINST, **asked})


def test_no_comparison_no_interval():
    found = lg.tables.evaluate(L2, TABLE, COLUMNS)
    assert not [name for name in found.table.column_names if "difference" in name]
    assert BOOTSTRAP not in found.ran


def test_blocks_of_tables_of_unknown_length():
    reader = pa.RecordBatchReader.from_batches(TABLE.schema, TABLE.to_batches())
    parts = open_source(reader).parts()
    assert block_rows(parts) == 8192
    assert block_rows(open_source(TABLE).parts()) == 4
    assert compared(TABLE, local.run(plan_of(L2, TABLE.schema, COLUMNS), parts), ()) == (TABLE, {})
