"""How far arrays are apart, in several measures, and how far they may be: one home for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

Array = np.ndarray[Any, Any]

NOT_COMPARABLE = np.iinfo(np.uint64).max  # units between a number and NaN


class Tolerance(NamedTuple):
    """A number may differ from the expected b by ``absolute + relative * |b|``.

    Or, if that is more, by ``ulp`` units in the last place.
    """

    relative: float
    absolute: float
    ulp: int = 0


# For engines and frameworks, which differ in exp and log by some units in the last place, and in
# the order of sums. A recursion over 60 steps adds such errors up: in float32, of 6e-8 each, that
# is some 1e-5 of the result, and an entry of a gradient is a difference of numbers up to 1. float16
# and bfloat16 are one rounding, of 5e-4 and 4e-3, of intermediate results. Whatever is not in the
# table is exact.
TOLERANCES = {
    "float64": Tolerance(1e-9, 1e-10),
    "float32": Tolerance(1e-4, 1e-5),
    "float16": Tolerance(1e-2, 1e-3),
    "bfloat16": Tolerance(4e-2, 1e-2),
}
EXACT = Tolerance(0.0, 0.0)
# For arrays of any size, by the measure of `sample_difference`: large sums, and gradients that are
# differences of them, in different orders and by approximate functions of their own.
SAMPLE_TOLERANCES = {"float64": 1e-6, "float32": 2e-3, "float16": 2e-2, "bfloat16": 2e-2}

_BITS: Mapping[int, type[np.signedinteger[Any]]] = {2: np.int16, 4: np.int32, 8: np.int64}
_DIGITS = {2: 5, 4: 9, 8: 17}


class Element(NamedTuple):
    """An element that differs: where, and what both have there."""

    place: tuple[int, ...]
    actual: Any
    expected: Any


@dataclass(frozen=True)
class Deviation:
    """How far an output is from the expected one.

    Attributes:
        error: the largest difference, relative to the expected number, or to 1 where that is
            smaller.
        share: the largest difference as a share of what is tolerated: at most 1 if it is right.
        wrong: what is wrong, empty if nothing is.
        absolute: the largest difference.
        relative: the largest difference relative to the expected number, infinite where that is 0.
        ulp: the largest distance in units in the last place.
        different: how many elements are not equal.
        first: the first element that is wrong; if none is, the first that is not equal.
    """

    error: float
    share: float
    wrong: str = ""
    absolute: float = 0.0
    relative: float = 0.0
    ulp: int = 0
    different: int = 0
    first: Element | None = None

    def __str__(self) -> str:
        if not self.different:
            return self.wrong or "equal"
        apart = f"{ulp_text(self.ulp)} ULP, relative {self.relative:.2g} at most"
        return f"{self.wrong}: {apart}" if self.wrong else apart


def tolerance_of(
    dtype: str, relative: float | None = None, absolute: float | None = None, ulp: int | None = None
) -> Tolerance:
    """The tolerance for a dtype; what is given replaces the table's, units alone all of it."""
    own = TOLERANCES.get(dtype, EXACT)
    if own is EXACT:
        return EXACT
    if ulp is not None:
        return Tolerance(relative or 0.0, absolute or 0.0, ulp)
    return Tolerance(
        own.relative if relative is None else relative,
        own.absolute if absolute is None else absolute,
    )


def deviation(
    name: str, actual: Array | None, expected: Array, tolerance: Tolerance | None = None
) -> Deviation:
    """Compare an output with the expected one: NaN equals NaN, and infinities themselves.

    Args:
        name: of the output, for what is said.
        actual: the output, None if there is none.
        expected: what it ought to be.
        tolerance: instead of that of the dtype. Integers are equal or they are not.
    """
    if actual is None:
        return Deviation(np.inf, np.inf, f"{name} is missing")
    if (actual.shape, actual.dtype) != (expected.shape, expected.dtype):
        given, wanted = (f"{a.dtype}{list(a.shape)}" for a in (actual, expected))
        return Deviation(np.inf, np.inf, f"{name} is {given} instead of {wanted}")
    own = TOLERANCES.get(expected.dtype.name, EXACT)
    allowed = own if tolerance is None or own is EXACT else tolerance
    units = ulp_distance(actual, expected)
    gap = _gap(actual, expected, units)
    size = np.abs(expected.astype(np.float64))
    share = _ratio(gap, allowed.absolute + allowed.relative * size)
    if allowed.ulp:
        near = np.where(np.isfinite(gap), units / allowed.ulp, np.inf)
        share = np.minimum(share, near)
    unequal = units > 0
    first = _first(actual, expected, share > 1) or _first(actual, expected, unequal)
    return Deviation(
        error=_largest(_ratio(gap, np.maximum(size, 1.0))),
        share=_largest(share),
        wrong=_wrong(name, first, share),
        absolute=_largest(gap),
        relative=_largest(_ratio(gap, size)),
        ulp=int(units.max(initial=0)),
        different=int(unequal.sum()),
        first=first,
    )


def worst(
    outputs: Mapping[str, Array],
    expected: Mapping[str, Array],
    tolerance: Tolerance | None = None,
) -> Deviation:
    """The deviation of the output that is furthest off."""
    all_ = [deviation(name, outputs.get(name), b, tolerance) for name, b in expected.items()]
    return max(all_, key=lambda found: (found.share, found.error))


def ulp_distance(a: Array, b: Array) -> Array:
    """How many numbers of their dtype lie from one to the other, element by element, exactly.

    0 of equal ones, signed zeros and NaNs included; ``NOT_COMPARABLE``, the largest number there
    is, between a number and NaN. Infinity is the neighbor of the largest number. Of integers and
    truth values this is the difference.

    Args:
        a: an array.
        b: one of the same dtype and shape.

    Returns:
        An array of uint64.
    """
    if not is_float(a.dtype):
        wide = np.uint64 if a.dtype.kind == "u" else np.int64
        return _distance(a.astype(wide), b.astype(wide))
    distance = _distance(_ordered(a), _ordered(b))
    nan = np.isnan(a), np.isnan(b)
    distance = np.where(nan[0] ^ nan[1], np.uint64(NOT_COMPARABLE), distance)
    return np.where(nan[0] & nan[1], np.uint64(0), distance)


def sample_difference(a: Array, b: Array) -> float:
    """How far arrays are apart, relative to the larger: of all samples the worst.

    A sample is compared as a whole and in its worst entry, for single entries of a gradient may
    be as small as the rounding of its largest.
    """
    if a.shape != b.shape or not (np.isfinite(a).all() and np.isfinite(b).all()):
        return np.inf
    if not a.size:
        return 0.0
    a, b = (x.astype(np.float64).reshape(len(x) if x.ndim else 1, -1) for x in (a, b))
    furthest = 0.0
    for order in (2, np.inf):
        sizes = [np.linalg.norm(x, order, axis=1) for x in (a, b)]
        scale = np.maximum(np.maximum(*sizes), np.finfo(np.float32).tiny)
        furthest = max(furthest, float((np.linalg.norm(a - b, order, axis=1) / scale).max()))
    return furthest


def ulp_text(units: int) -> str:
    """A distance in units, short where it is long."""
    if units == NOT_COMPARABLE:
        return "nan"
    return str(units) if units < 10**6 else f"{units:.1e}"


def number_text(value: Any) -> str:
    """A number with so many digits that no other of its dtype has the same."""
    if not is_float(value.dtype):
        return str(value)
    return f"{float(value):.{_DIGITS[value.dtype.itemsize]}g}"


def _short(value: Any) -> str:
    return f"{float(value):.7g}" if is_float(value.dtype) else str(value)


def is_float(dtype: np.dtype[Any]) -> bool:
    """Whether a dtype is one of the floating-point ones, bfloat16 included."""
    return dtype.kind == "f" or dtype == ml_dtypes.bfloat16


def with_floats(arrays: Mapping[str, Array], dtype: Any) -> dict[str, Array]:
    """The arrays, those that are floats in another dtype."""
    return {n: a.astype(dtype) if is_float(a.dtype) else a for n, a in arrays.items()}


def _ordered(array: Array) -> Array:
    """Floats as integers in their order, where neighbors differ by 1 and both zeros are 0."""
    kind = _BITS[array.dtype.itemsize]
    native = np.ascontiguousarray(array, array.dtype.newbyteorder("=")).reshape(array.shape)
    bits = native.view(kind)
    wide = (bits & np.iinfo(kind).max).astype(np.int64)
    return np.where(bits < 0, -wide, wide)


def _distance(a: Array, b: Array) -> Array:
    """``|a - b|`` of integers; in uint64, where it cannot overflow."""
    low, high = np.minimum(a, b).astype(np.uint64), np.maximum(a, b).astype(np.uint64)
    with np.errstate(over="ignore"):
        return np.asarray(high - low)  # modulo 2^64


def _gap(actual: Array, expected: Array, units: Array) -> Array:
    """The differences: infinite between a number and what is none, 0 of what is equal."""
    if not is_float(expected.dtype):
        return units.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        gap = np.abs(actual.astype(np.float64) - expected.astype(np.float64))
    gap = np.where(np.isnan(gap), np.inf, gap)
    return np.where(units == 0, 0.0, gap)


def _ratio(gap: Array, unit: Array) -> Array:
    """Nothing of anything is nothing; of what is infinite or zero, something is too much."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = gap / unit
    ratio = np.where(np.isfinite(gap) & np.isfinite(ratio), ratio, np.inf)
    return np.where(gap == 0, 0.0, ratio)


def _largest(values: Array) -> float:
    return float(values.max(initial=0.0))


def _first(actual: Array, expected: Array, where: Array) -> Element | None:
    places = np.argwhere(where)
    if not len(places):
        return None
    index = tuple(int(i) for i in places[0])
    return Element(index, actual[index], expected[index])


def _wrong(name: str, first: Element | None, share: Array) -> str:
    count = int((share > 1).sum())
    if first is None or not count:
        return ""
    place = f"{name}{list(first.place)}" if first.place else name
    others = f" ({count} of {share.size} elements)" if share.size > 1 else ""
    actual, expected = (_short(value) for value in first[1:])
    if actual == expected:
        actual, expected = (number_text(value) for value in first[1:])
    return f"{place} is {actual} instead of {expected}{others}"
