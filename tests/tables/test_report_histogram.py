"""Histograms: of edges against numpy's, of buckets against the values that are in them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import lossgraph as lg
from lossgraph.tables.histogram import (
    SCALE,
    Edges,
    curve_of_buckets,
    edges_of,
    of_buckets,
    of_groups,
)
from lossgraph.tables.statistics import Groups
from lossgraph.tables.statistics.mapping import Buckets


def buckets(values, ratio=1.01):
    """Values in buckets of equal ratios, as sketches have them: an own one, by logarithms."""
    keys = np.zeros(len(values), int)
    some = values != 0
    keys[some] = np.ceil(np.log(np.abs(values[some])) / np.log(ratio)) + 10**6
    keys = np.where(values < 0, -keys, keys)
    found, counts = np.unique(keys, return_counts=True)
    size = ratio ** (np.abs(found) - 10**6.0)
    zero = found == 0
    high = np.where(found > 0, size, -size / ratio)
    low = np.where(found > 0, size / ratio, -size)
    return np.where(zero, 0, low), np.where(zero, 0, high), counts


def of_values(values, **options):
    return of_buckets(*buckets(values), values.min(), values.max(), **options)


RNG = np.random.default_rng(3)
WIDE = np.exp(RNG.normal(scale=5, size=20_000))
SAMPLES = {
    "exponential": RNG.exponential(size=20_000),
    "normal": RNG.normal(size=20_000),
    "uniform": RNG.uniform(1, 2, size=5_000),
    "many orders": WIDE,
    "many orders and zeros": WIDE * (RNG.uniform(size=len(WIDE)) > 0.2),
    "zeros and ones": (RNG.uniform(size=1000) > 0.3).astype(float),
    "one value": np.full(7, 0.25),
    "zeros": np.zeros(7),
    "one row": np.array([-3.5]),
    "two": np.array([1.0, 1e9]),
    "outlier": np.append(RNG.normal(size=1000), 1e6),
    "outliers": np.concatenate([RNG.normal(size=1000), [1e6, -1e6]]),
}  # fmt: skip


@pytest.mark.parametrize("name", SAMPLES)
def test_bins_of_buckets_have_the_values_that_lie_in_them(name):
    values = SAMPLES[name]
    table = of_values(values)
    low, high, count = (table[key].to_numpy() for key in ("low", "high", "count"))
    assert count.sum() == len(values)
    np.testing.assert_array_equal(low[1:], high[:-1])
    assert (np.diff(low) >= 0).all()
    inside = (values > low[:, None]) & (values <= high[:, None])
    inside[0] |= values == low[0]
    if low[0] == high[0]:
        inside[1:] &= values != low[0]
    np.testing.assert_array_equal(inside.sum(1), count)


@pytest.mark.parametrize(("name", "log"), [
    ("exponential", False), ("normal", False), ("many orders", True),
    ("many orders and zeros", True),
])  # fmt: skip
def test_bins_are_even_on_their_axis(name, log):
    table = of_values(SAMPLES[name])
    assert table.schema.metadata[SCALE] == (b"log" if log else b"linear")
    low, high = table["low"].to_numpy(), table["high"].to_numpy()
    closed = np.isfinite(low) & np.isfinite(high) & ((low > 0) | (not log))
    width = np.log(high[closed] / low[closed]) if log else (high - low)[closed]
    assert 20 <= closed.sum() <= 41
    assert width.max() < 2 * np.median(width)


def test_tails_are_open():
    table = of_values(SAMPLES["outliers"])
    assert (table["low"][0].as_py(), table["high"][-1].as_py()) == (-np.inf, np.inf)
    closed = table.slice(1, table.num_rows - 2)
    assert closed["count"].to_numpy().sum() > 900
    assert closed["high"].to_numpy().max() < 10


def test_no_values_have_no_bins():
    empty = np.empty(0)
    assert of_buckets(empty, empty, empty.astype(int), np.nan, np.nan).num_rows == 0
    assert curve_of_buckets(empty, empty, empty.astype(int), np.nan).num_rows == 0


@pytest.mark.parametrize("name", SAMPLES)
def test_curves_say_which_share_lies_below(name):
    values = SAMPLES[name]
    curve = curve_of_buckets(*buckets(values), values.max())
    value, share = curve["value"].to_numpy(), curve["share"].to_numpy()
    below = (values <= value[1:, None]).mean(1)
    np.testing.assert_allclose(share[1:], below, rtol=1e-12)
    assert share[0] == 0
    assert share[-1] == 1
    assert curve.num_rows <= 202


def test_edges_that_were_given():
    edges = np.linspace(-2, 2, 9)
    values = np.concatenate([SAMPLES["normal"], edges, [np.nan, np.inf, -np.inf]])
    parts = np.array_split(values, 7)
    asked = Edges(tuple(edges))
    made = asked.start()
    for part in parts:
        other = asked.start()
        other.count(part)
        made.merge(other)
    written = pa.concat_tables([made.to_arrow(), asked.start().to_arrow(), made.to_arrow()])
    np.testing.assert_array_equal(asked.restored(written).counts, 2 * made.counts)
    table = made.table()
    # numpy's bins have their lower edges: seen from the other side they are ours
    mirrored, _ = np.histogram(-values[np.isfinite(values)], -edges[::-1])
    ours = table["count"].to_numpy()
    expected = mirrored[::-1].copy()
    np.testing.assert_array_equal(ours[1:-1], expected)
    assert ours[0] == (values < -2).sum()
    assert ours[-1] == (values > 2).sum()
    assert (table["low"][0].as_py(), table["high"][-1].as_py()) == (-np.inf, np.inf)


def test_edges_in_equal_ratios_have_a_logarithmic_axis():
    made = Edges((0.001, 0.01, 0.1, 1.0)).start()
    made.count(np.array([0.02, 0.5], "float32"))
    table = made.table()
    assert table.to_pydict()["count"] == [0, 1, 1]
    assert table.schema.metadata[SCALE] == b"log"


@pytest.mark.parametrize("edges", [[1.0], [1.0, 1.0], [2.0, 1.0], [0.0, np.nan], [0.0, np.inf]])
def test_edges_that_are_none_are_refused(edges):
    with pytest.raises(lg.InputError, match="ascending"):
        Edges(tuple(edges))


@pytest.mark.parametrize("accuracy", [0.005, 0.1])
def test_bounds_of_buckets_are_theirs(accuracy):
    made = Buckets(accuracy)
    values = np.concatenate([WIDE, -WIDE, [0.0, 1.0, 2.0, 1e-300, 1e300, -1.7e308]])
    numbers = np.unique(made.of(values))
    lows, highs = made.bounds(numbers)
    inside = numbers != 0
    np.testing.assert_array_equal(made.of(highs[inside]), numbers[inside])
    np.testing.assert_array_equal(made.of(np.nextafter(lows, np.inf)[inside]), numbers[inside])
    below = inside & np.isfinite(lows)
    assert (made.of(lows[below]) != numbers[below]).all()
    positive = highs[numbers > 0]
    assert (made.of(np.nextafter(positive, np.inf)) != numbers[numbers > 0]).all()


@pytest.mark.parametrize("name", SAMPLES)
def test_the_loss_of_groups_has_exact_counts(name):
    values = SAMPLES[name]
    groups = Groups(("key",), ("loss",), weighted=False)
    for i, part in enumerate(np.array_split(values, 3)):
        if len(part):
            groups.add([pa.array([i] * len(part))], {"loss": part})
    table, curve = of_groups(groups)
    low, high, count = (table[key].to_numpy() for key in ("low", "high", "count"))
    inside = ((values > low[:, None]) & (values <= high[:, None])).sum(1)
    inside[0] += (values == low[0]).sum() if low[0] < high[0] else 0
    if low[0] == high[0]:
        inside[0] = (values == low[0]).sum()
    np.testing.assert_array_equal(inside, count)
    share = (values <= curve["value"].to_numpy()[1:, None]).mean(1)
    np.testing.assert_allclose(curve["share"].to_numpy()[1:], share, rtol=1e-12)


@pytest.mark.parametrize("values", [[np.inf], [1.0, np.inf], [-np.inf, 1.0, 2.0, np.inf, np.nan],
                                    [np.nan], [-np.inf]])  # fmt: skip
def test_infinite_losses_are_in_open_bins(values):
    groups = Groups((), ("loss",), weighted=False)
    groups.add([], {"loss": np.array(values)})
    table, _ = of_groups(groups)
    rows = table.to_pylist()
    assert sum(row["count"] for row in rows) == np.count_nonzero(~np.isnan(values))
    above, below = values.count(np.inf), values.count(-np.inf)
    assert sum(row["count"] for row in rows if row["high"] == np.inf) == above
    assert sum(row["count"] for row in rows if row["low"] == -np.inf) == below


@pytest.mark.parametrize("bins", [0, -1, True])
def test_numbers_of_bins_that_are_none_are_refused(bins):
    with pytest.raises(lg.InputError, match="number of bins"):
        edges_of(bins)


def test_edges_and_numbers_of_bins():
    assert edges_of([0, 1, 2.5]) == Edges((0.0, 1.0, 2.5))
    assert edges_of(20) is None
    assert edges_of(None) is None
