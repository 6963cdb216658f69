"""Statistics of rows by group: against fractions, numpy, the sketch's library; same bits."""

from __future__ import annotations

import itertools
import math
import pickle
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from ddsketch.ddsketch import BaseDDSketch
from ddsketch.mapping import LinearlyInterpolatedMapping
from ddsketch.store import DenseStore
from hypothesis import given, settings
from hypothesis import strategies as st

import lossgraph as lg
from lossgraph.tables.statistics import Groups, native
from lossgraph.tables.statistics.rounding import root

QUANTILES = (0.0, 0.25, 0.5, 0.9, 0.999, 1.0)
WIDE = st.floats(allow_nan=False, allow_infinity=False)


@pytest.fixture(params=["numpy", "c"], autouse=True)
def loops(request, monkeypatch):
    """What does the loops over rows."""
    monkeypatch.setenv("LOSSGRAPH_KERNELS", "0" if request.param == "numpy" else "auto")
    monkeypatch.setattr(native, "FEW", 0)
    if request.param == "c" and native.rows_in_c(1) is None:
        pytest.skip("there is no C compiler here")
    return request.param


def collected(values, keys=(), weights=None, by=(), **options):
    """The groups of one measure, in one batch."""
    groups = Groups(by, ("loss",), weighted=weights is not None, **options)
    groups.add(keys, {"loss": values}, weights)
    return groups


def row(groups, i=0):
    return groups.summary(QUANTILES).slice(i, 1).to_pylist()[0]


def exact_root(value: Fraction) -> float:
    """The square root of a rational, rounded once."""
    scale = 2 ** (2 * max(0, 200 - value.numerator.bit_length() + value.denominator.bit_length()))
    root = math.isqrt(value.numerator * scale // value.denominator)
    return float(Fraction(root, math.isqrt(scale)))


def exact(values, weights=None):
    """Mean and standard error in rational arithmetic, from their definitions."""
    x = [Fraction(float(v)) for v in values]
    u = [Fraction(1)] * len(x) if weights is None else [Fraction(float(w)) for w in weights]
    # What is exact are the sums of products that float64 has.
    a = (
        x
        if weights is None
        else [
            Fraction(float(np.float64(v) * np.float64(w)))
            for v, w in zip(values, weights, strict=True)
        ]
    )
    n, total = len(x), sum(u)
    mean = sum(a) / total
    if n < 2:
        return float(mean), None
    spread = sum((p - mean * q) ** 2 for p, q in zip(a, u, strict=True))
    return float(mean), exact_root(spread / total**2 * Fraction(n, n - 1))


def same(left, right):
    """Whether tables are equal, NaN too."""
    return left.schema == right.schema and repr(left.to_pylist()) == repr(right.to_pylist())


def sketch_of(values, accuracy=0.005):
    sketch = BaseDDSketch(LinearlyInterpolatedMapping(accuracy), DenseStore(), DenseStore(), 0.0)
    for value in values:
        sketch.add(float(value))
    return sketch


def test_a_root_beyond_the_middle_of_two_floats_is_rounded_up():
    middle = 2**53 + 1
    assert root(middle**2, 1, 0) == 2**53
    assert root(middle**2 + 1, 1, 0) == 2**53 + 2
    assert root(2 * middle**2 + 1, 2, -2) == 2**52 + 1


VALUES = {
    "gamma": lambda r, n: r.gamma(1, 1, n),
    "both signs": lambda r, n: r.normal(size=n),
    "zeros": lambda r, n: np.maximum(r.normal(size=n), 0),
    "wide": lambda r, n: np.exp(r.normal(size=n) * 20),
    "far from 0": lambda r, n: 1e6 + r.normal(size=n),
    "subnormal": lambda r, n: r.integers(-9, 9, n) * 1.4e-45,
    "equal": lambda r, n: np.full(n, 0.1),
    "largest": lambda r, n: r.choice([-1, 1], n) * 3.4e38,
}
DTYPES = ("float32", "float64")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", VALUES)
def test_mean_and_standard_error_are_those_of_fractions(name, dtype):
    values = VALUES[name](np.random.default_rng(1), 500).astype(dtype)
    found = row(collected(values))
    assert (found["mean"], found["standard_error"]) == exact(values)
    assert found["min"] == values.min()
    assert found["max"] == values.max()
    assert found["rows"] == found["count"] == 500


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", VALUES)
def test_weighted_mean_and_standard_error_are_those_of_fractions(name, dtype):
    rng = np.random.default_rng(2)
    values, weights = VALUES[name](rng, 300).astype(dtype), rng.gamma(1, 1, 300)
    found = row(collected(values, weights=weights))
    assert (found["mean"], found["standard_error"]) == exact(values, weights)
    assert found["weight"] == math.fsum(weights)


@settings(max_examples=50, deadline=None)
@given(st.lists(WIDE, min_size=1, max_size=20))
def test_any_float64_is_added_exactly(values):
    found = row(collected(np.array(values)))
    mean = sum(map(Fraction, values)) / len(values)
    assert found["mean"] == float(mean)


@pytest.mark.parametrize("name", VALUES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_quantiles_are_those_of_the_library(name, dtype):
    values = VALUES[name](np.random.default_rng(3), 400).astype(dtype)
    sketch, found = sketch_of(values), row(collected(values))
    for level, name in zip(QUANTILES, ("q0", "q25", "q50", "q90", "q99.9", "q100"), strict=True):
        expected = sketch.get_quantile_value(level)
        assert found[name] == np.clip(expected, *map(float, (values.min(), values.max())))
        true = np.quantile(values.astype(np.float64), level, method="lower")
        assert abs(found[name] - true) <= 0.005 * abs(true) * (1 + 1e-12)


def test_our_sketch_is_the_librarys():
    values = np.random.default_rng(4).normal(size=300)
    measure = collected(values).measures["loss"]
    _, buckets, counts = measure.counts.items()
    made, expected = measure.buckets.sketch(buckets, counts), sketch_of(values)
    for level in np.linspace(0, 1, 50):
        assert made.get_quantile_value(level) == expected.get_quantile_value(level)


@settings(max_examples=30, deadline=None)
@given(st.lists(WIDE.filter(bool), min_size=1, max_size=20), st.sampled_from([0.001, 0.005, 0.1]))
def test_buckets_are_the_librarys_keys(values, accuracy):
    mapping = LinearlyInterpolatedMapping(accuracy)
    buckets = collected(np.array(values), accuracy=accuracy).measures["loss"].buckets
    for value, bucket in zip(values, buckets.of(np.array(values)), strict=True):
        if abs(value) <= mapping.min_possible:
            assert bucket == 0
        else:
            assert abs(bucket) - buckets.shift == mapping.key(abs(value))
            assert np.sign(bucket) == np.sign(value)


def pieces(rng, n):
    """Slices that cut n rows at random places."""
    ends = [0, *np.sort(rng.integers(0, n, 6)).tolist(), n]
    return [slice(a, b) for a, b in itertools.pairwise(ends)]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", [*VALUES, "mixed"])
def test_any_order_cut_and_merge_gives_the_same_bits(name, weighted):
    rng, n = np.random.default_rng(5), 400
    values = np.concatenate([f(rng, 50) for f in VALUES.values()]) if name == "mixed" else (
        VALUES[name](rng, n)
    )  # fmt: skip
    values[rng.integers(0, n, 3)] = [np.nan, np.inf, -np.inf] if name == "mixed" else 1.0
    keys, weights = rng.integers(0, 5, n), rng.integers(0, 3, n) / 7
    states = []
    for seed in range(4):
        order = np.random.default_rng(seed).permutation(n)
        cuts = pieces(rng, n)
        made = [Groups(("k",), ("loss",), weighted=weighted) for _ in range(3)]
        for i, cut in enumerate(cuts):
            at = order[cut]
            made[i % 3].add(
                [pa.array(keys[at])], {"loss": values[at]}, weights[at] if weighted else None
            )
        made[1].merge(made[2])
        made[0].merge(made[1])
        states.append(made[0].to_arrow())
        assert (
            made[0].total().to_arrow()
            == collected(values, weights=weights if weighted else None).to_arrow()
        )
    assert all(state.equals(states[0]) for state in states)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("groups", [None, 3, 5000])
@pytest.mark.parametrize("weighted", [False, True])
def test_c_and_numpy_give_the_same_bits(monkeypatch, dtype, groups, weighted, loops):
    rng, n, states = np.random.default_rng(9), 20_000, []
    values = np.concatenate([f(rng, n // 8) for f in VALUES.values()]).astype(dtype)
    values[rng.integers(0, n, 30)] = rng.choice([np.nan, np.inf, -np.inf, -0.0], 30)
    keys = [] if groups is None else [pa.array(rng.integers(0, groups, n))]
    weights = rng.gamma(1, 1, n) * rng.integers(0, 2, n) if weighted else None
    for setting in ("0", "auto"):
        monkeypatch.setenv("LOSSGRAPH_KERNELS", setting)
        made = collected(values, keys, weights, () if groups is None else ("k",))
        states.append(made.to_arrow())
    assert states[0].equals(states[1])


def test_a_state_goes_through_a_table():
    rng = np.random.default_rng(6)
    groups = Groups(("a", "b"), ("loss", "part"), weighted=True)
    for scale in (1e-30, 1.0, 1e30):
        values = rng.normal(size=20) * scale
        keys = [pa.array(rng.integers(0, 3, 20)), pa.array(rng.choice(["x", None], 20))]
        groups.add(keys, {"loss": values, "part": values**2}, rng.random(20))
    table = groups.to_arrow()
    options = {"by": ("a", "b"), "measures": ("loss", "part"), "weighted": True}
    assert Groups.from_arrow(table, **options).to_arrow().equals(table)
    apart = pa.concat_tables([table.slice(i, 1) for i in range(len(table))])
    assert Groups.from_arrow(apart, **options).to_arrow().equals(table)
    assert pickle.loads(pickle.dumps(groups)).summary().equals(groups.summary())
    twice = Groups.from_arrow(pa.concat_tables([table, apart]), **options)
    groups.merge(Groups.from_arrow(table, **options))
    assert twice.to_arrow().equals(groups.to_arrow())
    assert twice.summary().equals(groups.summary())


def test_a_state_of_nothing():
    empty = Groups(("k",), ("loss",), weighted=False)
    table = empty.to_arrow()
    assert len(table) == len(empty.summary()) == 0
    other = Groups.from_arrow(table, ("k",), ("loss",), weighted=False)
    other.merge(empty)
    assert len(other) == 0
    assert row(Groups((), ("loss",), weighted=False)) == {
        "rows": 0, "count": 0, "mean": None, "standard_error": None, "min": None, "max": None,
        "q0": None, "q25": None, "q50": None, "q90": None, "q99.9": None, "q100": None,
        "nan": 0, "infinite": 0,
    }  # fmt: skip


def test_a_state_without_a_column_is_refused():
    table = collected(np.ones(2)).to_arrow().drop_columns(["m0_sum"])
    with pytest.raises(lg.InputError, match="'m0_sum' is missing"):
        Groups.from_arrow(table, (), ("loss",), weighted=False)


def test_a_group_of_one_row_has_no_standard_error():
    found = row(collected(np.array([0.3], np.float32)))
    assert found["mean"] == found["min"] == found["q50"] == float(np.float32(0.3))
    assert found["standard_error"] is None


@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 1.0, 1.0]])
@pytest.mark.parametrize(
    ("special", "mean"),
    [([np.nan], np.nan), ([np.inf], np.inf), ([-np.inf], -np.inf), ([np.inf, -np.inf], np.nan)],
)
def test_means_of_special_values_follow_ieee(special, mean, weights):
    values = np.array([1.0, 2.0, 3.0, *special])[-4:]
    found = row(collected(values, weights=None if weights is None else np.array(weights)))
    np.testing.assert_equal(found["mean"], mean)
    assert math.isnan(found["standard_error"])
    assert found["nan"] == np.isnan(values).sum()
    assert found["infinite"] == np.isinf(values).sum()
    assert (found["min"], found["max"]) == (np.nanmin(values), np.nanmax(values))
    extremes = pytest.approx((np.nanmin(values), np.nanmax(values)), rel=0.005)
    assert (found["q0"], found["q100"]) == extremes


def test_rows_of_weight_zero_count_as_rows_alone():
    values, weights = np.array([1.0, np.nan, 3.0, -9.0]), np.array([1.0, 0.0, 3.0, 0.0])
    found = row(collected(values, weights=weights))
    assert (found["rows"], found["count"], found["weight"]) == (4, 2, 4.0)
    assert (found["mean"], found["min"], found["nan"]) == (2.5, 1.0, 0)
    none = row(collected(values, weights=np.zeros(4)))
    assert (none["rows"], none["count"], none["weight"], none["mean"]) == (4, 0, 0.0, None)


def test_equal_weights_change_nothing():
    values = np.random.default_rng(7).gamma(1, 1, 50)
    plain, weighed = row(collected(values)), row(collected(values, weights=np.full(50, 0.25)))
    assert weighed["mean"] == plain["mean"]
    assert weighed["standard_error"] == pytest.approx(plain["standard_error"], rel=1e-15)


KEYS = {
    "bool": pa.array([True, None, False, True]),
    "int8": pa.array([1, None, 2, 1], pa.int8()),
    "uint64": pa.array([2**64 - 1, None, 2, 2**64 - 1], pa.uint64()),
    "float": pa.array([0.0, math.nan, 1.0, -0.0]),
    "half": pa.array(np.array([0.0, math.nan, 1.0, -0.0], np.float16)),
    "string": pa.array(["a", None, "b", "a"]),
    "view": pa.array(["a", None, "b", "a"], pa.string_view()),
    "binary": pa.array([b"a", None, b"", b"a"]),
    "dictionary": pa.array(["a", None, "b", "a"]).dictionary_encode(),
    "null in a dictionary": pa.DictionaryArray.from_arrays(
        pa.array([0, 1, 2, 3], pa.int8()), pa.array(["a", None, "unused", "a"])
    ),
    "decimal": pa.array([1, None, 2, 1], pa.decimal128(5, 2)),
    "date": pa.array([1, None, 2, 1], pa.int32()).view(pa.date32()),
    "time": pa.array([1, None, 2, 1]).view(pa.time64("ns")),
    "timestamp": pa.array([1, None, 2, 1]).view(pa.timestamp("ns", "Europe/Berlin")),
    "duration": pa.array([1, None, 2, 1]).view(pa.duration("ns")),
    "interval": pa.array(
        [pa.MonthDayNano(v) for v in ([1, 2, 3], [0, 0, 0], [1, 2, 4], [1, 2, 3])]
    ),
    "list": pa.array([[1], None, [2], [1]]),
    "struct": pa.array([{"x": 1}, {"x": None}, {"x": 2}, {"x": 1}]),
    "runs": pa.RunEndEncodedArray.from_arrays(
        pa.array([1, 2, 3, 4]), pa.array(["a", None, "b", "a"])
    ),
    "chunks": pa.chunked_array([["a", None], ["b", "a"]]),
    "extension": pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.int8(), [1]),
        pa.array([[1], None, [2], [1]], pa.list_(pa.int8(), 1)),
    ),
}


@pytest.mark.parametrize("name", KEYS)
def test_keys_of_any_type(name):
    key = KEYS[name]
    groups = Groups(("k",), ("loss",), weighted=False)
    for _ in range(2):
        groups.add([key], {"loss": np.arange(4.0)}, None)
    found = groups.summary()
    means = dict(zip(map(repr, found["k"].to_pylist()), found["mean"].to_pylist(), strict=True))
    assert means == dict(zip(map(repr, key.to_pylist()[:3]), [1.5, 1.0, 2.0], strict=True))
    assert sorted(found["rows"].to_pylist()) == [2, 2, 4]
    state = groups.to_arrow()
    assert same(Groups.from_arrow(state, ("k",), ("loss",), weighted=False).to_arrow(), state)


def test_several_columns_and_batches_with_other_dictionaries():
    groups = Groups(("a", "b"), ("loss",), weighted=False)
    for letters, numbers in ((["x", "y", "x"], [1, 1, None]), (["y", "z", "x"], [1, 1, None])):
        keys = [pa.array(letters).dictionary_encode(), pa.array(numbers, pa.int32())]
        groups.add(keys, {"loss": np.ones(3)}, None)
    assert groups.summary().select(["a", "b", "rows"]).to_pylist() == [
        {"a": "x", "b": 1, "rows": 1},
        {"a": "x", "b": None, "rows": 2},
        {"a": "y", "b": 1, "rows": 2},
        {"a": "z", "b": 1, "rows": 1},
    ]


def test_a_key_may_be_of_a_type_that_holds_the_same():
    groups = Groups(("k",), ("loss",), weighted=False)
    groups.add([pa.array([1, 2])], {"loss": np.ones(2)}, None)
    groups.add([pa.array([1, 2], pa.int32())], {"loss": np.ones(2)}, None)
    assert groups.summary()["rows"].to_pylist() == [2, 2]
    with pytest.raises(lg.InputError, match="column 'k' was int64 and is string now"):
        groups.add([pa.array(["a", "b"])], {"loss": np.ones(2)}, None)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: collected(np.ones(2), weights=np.array([1.0, -1.0])), "row 1 has -1.0"),
        (lambda: collected(np.ones(2), weights=np.array([np.nan, 1.0])), "row 0 has nan"),
        (lambda: collected(np.ones((2, 1))), "'loss' has shape"),
        (lambda: collected(np.ones(2), [pa.array([1])], by=("k",)), "columns of one length"),
        (lambda: collected(np.ones(2), [], by=("k",)), "expected a column each"),
        (lambda: collected(np.ones(2), weights=np.ones(3)), "columns of one length"),
        (lambda: collected(np.ones(2), accuracy=1.0), "accuracy"),
        (lambda: collected(np.ones(2)).summary((2.0,)), "quantiles"),
        (lambda: collected(np.ones(1), [pa.array([1])], by=("mean",)).summary(), "rename it"),
        (
            lambda: collected(np.ones(1)).merge(Groups((), ("other",), weighted=False)),
            "cannot merge",
        ),
        (
            lambda: Groups((), ("a",), weighted=False).add([], {"b": np.ones(1)}, None),
            "'a' is missing",
        ),
        (lambda: Groups((), ("a",), weighted=True).add([], {"a": np.ones(1)}, None), "weights"),
    ],
)
def test_what_is_wrong_is_refused(call, message):
    with pytest.raises(lg.InputError, match=message):
        call()


def test_many_groups_with_few_rows_each():
    rng, n = np.random.default_rng(8), 30_000
    keys, values = rng.integers(0, 20_000, n), rng.gamma(1, 1, n)
    groups = Groups(("k",), ("loss",), weighted=False)
    for start in range(0, n, 5000):
        cut = slice(start, start + 5000)
        groups.add([pa.array(keys[cut])], {"loss": values[cut]}, None)
    found = groups.summary().to_pandas().set_index("k").sort_index()
    import pandas as pd

    expected = pd.Series(values).groupby(keys)
    np.testing.assert_allclose(found["mean"], expected.mean(), rtol=1e-15)
    np.testing.assert_allclose(found["standard_error"], expected.sem(), rtol=1e-7)
    np.testing.assert_array_equal(found["max"], expected.max())
    lower = expected.quantile(0.5, interpolation="lower")
    np.testing.assert_allclose(found["q50"], lower, rtol=0.005)
