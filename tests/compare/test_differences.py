"""How far arrays are apart: exact units in the last place, errors, tolerances, and what is said."""

from __future__ import annotations

import math

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossgraph.compare.differences import (
    EXACT,
    NOT_COMPARABLE,
    TOLERANCES,
    Element,
    Tolerance,
    deviation,
    number_text,
    sample_difference,
    tolerance_of,
    ulp_distance,
    ulp_text,
)

FLOATS = {
    "float16": (np.float16, np.uint16),
    "bfloat16": (ml_dtypes.bfloat16, np.uint16),
    "float32": (np.float32, np.uint32),
    "float64": (np.float64, np.uint64),
}
some = settings(max_examples=150, deadline=None, derandomize=True, database=None)


def between(a, b):
    """The units between two numbers of a dtype."""
    return int(ulp_distance(np.asarray(a), np.asarray(b)))


def steps(value, to, count):
    """The number that so many steps lead to."""
    for _ in range(count):
        value = np.nextafter(value, to)
    return value


# --- units in the last place ---


@some
@given(st.sampled_from(["float16", "float32", "float64"]), st.floats(width=16), st.integers(0, 40))
def test_units_are_the_steps_of_nextafter(dtype, start, count):
    kind = FLOATS[dtype][0]
    start, up = kind(start), kind(np.inf)
    if math.isnan(start):
        return
    with np.errstate(all="ignore"):
        end = steps(start, up, count)
    taken = count if np.isfinite(end) else int(between(start, np.finfo(kind).max)) + 1
    if not math.isinf(start):
        assert between(start, end) == between(end, start) == taken
        assert between(-start, -end) == taken


@some
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_neighbor_of_a_float64_is_an_ulp_away(value):
    if abs(value) < np.finfo(float).max:
        away = math.copysign(abs(value) + math.ulp(value), value)
        assert between(value, away) == 1


@pytest.mark.parametrize("name", FLOATS)
def test_all_numbers_of_a_dtype_are_in_a_row(name):
    """Of 16 bits every one: subnormals, both zeros, the largest, infinity."""
    kind, bits = FLOATS[name]
    last = int(np.array(np.inf, kind).view(bits))
    first = max(0, last - 2**15)  # of wider ones those up to infinity, and those from 0 on
    for start in (first, 0):
        row = np.arange(start, min(start + 2**15, last) + 1, dtype=bits).view(kind)
        np.testing.assert_array_equal(ulp_distance(row[1:], row[:-1]), 1)
        assert between(row[0], row[-1]) == len(row) - 1
        assert between(-row[-1], row[-1]) == 2 * int(row[-1].view(bits))


@pytest.mark.parametrize("name", FLOATS)
def test_special_numbers(name):
    kind, bits = FLOATS[name]
    zero, inf, nan = (np.array(x, kind) for x in (0.0, np.inf, np.nan))
    other_nan = np.array(np.array(nan).view(bits) | bits(1)).view(kind)
    assert between(zero, -zero) == 0
    assert between(nan, other_nan) == between(nan, -nan) == between(inf, inf) == 0
    assert between(nan, zero) == between(inf, nan) == NOT_COMPARABLE
    assert between(-inf, inf) == 2 * int(inf.view(bits))  # nothing overflows
    assert between(np.array(ml_dtypes.finfo(kind).max, kind), inf) == 1
    tiny = np.array(1, bits).view(kind)
    assert between(-tiny, tiny) == 2


def test_units_of_integers_are_their_differences():
    ends = np.iinfo(np.int64)
    assert between(np.int64(ends.min), np.int64(ends.max)) == 2**64 - 1
    assert between(np.uint64(2**64 - 1), np.uint64(1)) == 2**64 - 2
    assert between(np.bool_(True), np.bool_(False)) == 1
    assert between(np.int64(2**53 + 1), np.int64(2**53)) == 1  # which are one float64


def test_units_do_not_depend_on_memory():
    a = np.arange(12, dtype=np.float32).reshape(3, 4)
    b = np.nextafter(a, np.float32(np.inf))
    for x, y in ((a.T, b.T), (a[::2, ::-1], b[::2, ::-1]), (a.astype(">f4"), b.astype(">f4"))):
        np.testing.assert_array_equal(ulp_distance(x, y), 1)
    assert ulp_distance(a[:0], b[:0]).shape == (0, 4)
    assert ulp_distance(a[0, 0], b[0, 0]).shape == ()


# --- deviations ---


def test_a_deviation_has_all_measures():
    expected = np.array([[1.0, 2.0], [0.0, np.nan]], np.float32)
    actual = np.array([[1.0, 2.5], [1e-6, np.nan]], np.float32)
    found = deviation("y", actual, expected)
    assert found.wrong == "y[0, 1] is 2.5 instead of 2 (1 of 4 elements)"
    assert found.absolute == 0.5
    assert found.relative == np.inf  # of 0
    assert found.error == pytest.approx(0.25)
    assert found.different == 2
    assert found.ulp == between(np.float32(1e-6), np.float32(0))
    assert found.first == Element((0, 1), 2.5, 2.0)
    assert str(found).startswith("y[0, 1] is 2.5 instead of 2 (1 of 4 elements): ")


def test_what_is_tolerated_is_not_wrong_and_still_said():
    one = np.ones(3, np.float32)
    found = deviation("y", np.nextafter(one, np.float32(2)), one)
    assert (found.wrong, found.ulp, found.different) == ("", 1, 3)
    assert found.first.place == (0,)
    assert str(found) == "1 ULP, relative 1.2e-07 at most"
    assert str(deviation("y", one, one)) == "equal"


def test_units_can_be_tolerated():
    one = np.ones(1, np.float32)
    far = np.array([steps(one[0], np.float32(2), 5)])
    assert not deviation("y", far, one, Tolerance(0, 0, 5)).wrong
    found = deviation("y", far, one, Tolerance(0, 0, 4))
    assert found.wrong == "y[0] is 1.000001 instead of 1"
    assert found.share == pytest.approx(5 / 4)
    largest = np.array([np.finfo(np.float32).max])
    assert deviation("y", np.array([np.inf], np.float32), largest, Tolerance(0, 0, 9)).wrong


def test_neighbors_are_told_apart_in_words():
    one = np.ones((), np.float64)
    found = deviation("y", np.nextafter(one, 2), one, Tolerance(0, 0))
    assert found.wrong == "y is 1.0000000000000002 instead of 1"


@pytest.mark.parametrize("name", FLOATS)
def test_texts_of_neighbors_differ(name):
    kind, bits = FLOATS[name]
    row = np.arange(1000, 1100, dtype=bits).view(kind)
    assert len({number_text(value) for value in row}) == len(row)
    assert all(kind(float(number_text(value))) == value for value in row)


def test_nan_and_infinities_against_numbers_are_wrong():
    for a, b in ((np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0), (-np.inf, np.inf)):
        assert deviation("y", np.array([a]), np.array([b])).share == np.inf
    for same in (np.nan, np.inf, -np.inf):
        assert deviation("y", np.array([same]), np.array([same])).share == 0
    assert ulp_text(NOT_COMPARABLE) == "nan"
    assert (ulp_text(12), ulp_text(12_345_678)) == ("12", "1.2e+07")


def test_tolerances_are_the_tables_unless_given():
    assert tolerance_of("float32") == TOLERANCES["float32"]
    assert tolerance_of("float32", relative=0.5) == (0.5, TOLERANCES["float32"].absolute, 0)
    assert tolerance_of("float32", absolute=0.5) == (TOLERANCES["float32"].relative, 0.5, 0)
    assert tolerance_of("float32", ulp=3) == (0.0, 0.0, 3)
    assert tolerance_of("float32", relative=0.5, ulp=3) == (0.5, 0.0, 3)
    assert tolerance_of("int64", 1.0, 1.0, 9) is EXACT


def test_difference_is_relative_to_a_sample() -> None:
    a = np.array([[100.0, 1.0], [1e-3, 0.0]])
    assert sample_difference(a, a) == 0
    assert sample_difference(np.zeros(3), np.zeros(3)) == 0
    for change, apart in (([[0, 0], [0, 1e-4]], 0.1), ([[0, 0.1], [0, 0]], 1e-3)):
        assert sample_difference(a, a + np.array(change)) == pytest.approx(apart, rel=0.01)
    assert sample_difference(a, a[:1]) == math.inf
    assert sample_difference(a, np.full_like(a, math.nan)) == math.inf
