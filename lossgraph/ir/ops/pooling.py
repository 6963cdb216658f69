"""Pooling: the maximum and the mean of what a window sees, and their transposes.

    x (N, C, L..)    y (N, C, M..)

The maximum has a second result, the places in ``x`` of what it chose, counted through all of
``x``; of equal numbers it is the first one. Its derivative puts numbers at these places. The mean
is linear: its derivative spreads each number over what its window saw.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ...errors import InputError
from ..dims import Dim, floordiv, maximum, product
from ..expr import Array, Expr, Op, builds, const, register
from ..types import TensorType, TupleType, require_equal
from .convolution import unconvolve
from .elementwise import add, cast, div, greater_equal, less, logical_and, mul
from .index import take
from .item import results_of
from .shape import expand_dims, iota, pad, reshape, size_of, slice_
from .type_rules import float_only
from .windows import Ints, Pool, Window


def _require_rank(x: TensorType, pool: Pool) -> None:
    if x.rank != len(pool.kernel) + 2:
        raise InputError(f"expected an array of rank {len(pool.kernel) + 2}, got {x}")


def _pooled_type(x: TensorType, pool: Pool) -> TensorType:
    _require_rank(float_only(x), pool)
    return x.with_shape((*x.shape[:2], *pool.counts(x.shape[2:])))


def _seen(x: Expr, pool: Pool, place: Ints, counts: Sequence[Dim]) -> Expr:
    """What one place of the window meets in a signal with its padding."""
    starts = [k * d for k, d in zip(place, pool.dilation, strict=True)]
    return slice_(x, (0, 0, *starts), (1, 1, *pool.stride), (*x.shape[:2], *counts))


def _index(pool: Pool, place: Ints, counts: Sequence[int]) -> Any:
    """The same as an index into an array."""
    return _last(
        slice(k * d, k * d + (count - 1) * s + 1, s)
        for k, d, s, count in zip(place, pool.dilation, pool.stride, counts, strict=True)
    )


def _last(slices: Iterable[slice]) -> Any:
    """An index of the last axes."""
    return (..., *slices)


def _wide(x: Array, pool: Pool, value: float) -> Array:
    sides = zip(pool.before, pool.reach(x.shape[2:]), strict=True)
    return np.pad(x, [(0, 0), (0, 0), *sides], constant_values=value)  # type: ignore[arg-type]


# --- the maximum --------------------------------------------------------------------------------


def _max_pool_infer(x: TensorType, *, pool: Pool) -> TupleType:
    made = _pooled_type(x, pool)
    return TupleType((made, made.with_dtype("int64")))


def _max_pool_ref(x: Array, pool: Pool) -> tuple[Array, Array]:
    counts = [int(count) for count in pool.counts(x.shape[2:])]  # type: ignore[arg-type]
    places = _wide(np.arange(x.size, dtype=np.int64).reshape(x.shape), pool, -1)
    wide = _wide(x, pool, -np.inf)
    best = np.full((*x.shape[:2], *counts), -np.inf, x.dtype)
    where = np.full(best.shape, -1, np.int64)
    for place in pool.places():
        index = _index(pool, place, counts)
        seen, found = wide[index], places[index]
        better = (found >= 0) & ((where < 0) | (seen > best))
        best, where = np.where(better, seen, best), np.where(better, found, where)
    return best, where


def _max_pool_vjp(
    ct: dict[int, Expr], out: Expr, x: Expr, *, pool: Pool, needed: frozenset[int]
) -> tuple[Expr | None]:
    if 0 not in ct:
        return (None,)
    return (max_unpool(ct[0], results_of(out)[1], pool, x.shape[2:]),)


_max_pool: Op = register(
    Op(
        "MaxPool",
        _max_pool_infer,
        _max_pool_ref,
        _max_pool_vjp,
        lambda b, node, x: b.results(
            node,
            "MaxPool",
            x,
            dilations=node.attrs["pool"].dilation,
            **node.attrs["pool"].attributes,
        ),
        selecting=True,
    )
)


@builds(_max_pool)
def max_pool(x: Expr, pool: Pool) -> Expr:
    """The largest number that each window sees, and where it stands in ``x``."""
    return _max_pool(x, pool=pool)


def _max_unpool_infer(
    y: TensorType, index: TensorType, *, pool: Pool, lengths: tuple[Dim, ...]
) -> TensorType:
    _require_rank(float_only(y), pool)
    for dim, other in zip(y.shape, index.shape, strict=True):
        require_equal(dim, other)
    return y.with_shape((*y.shape[:2], *lengths))


def _max_unpool_ref(y: Array, index: Array, pool: Pool, lengths: Sequence[int]) -> Array:
    out = np.zeros((*y.shape[:2], *lengths), y.dtype)
    np.add.at(out.reshape(-1), index, y)
    return out


def _lower_max_unpool(b: Any, node: Expr, y: str, index: str) -> str:
    """Numbers put where no other one is, apart for windows that do not overlap."""
    pool = node.attrs["pool"]
    if not pool.overlaps:
        return _put(b, node, y, index)
    if b.opset < 16:
        return str(b.lower(_unpool_by_classes(node)))
    zero = b.add("Expand", b.const(0, node.dtype), b.sizes([product(node.shape)]))
    flat = b.add("Reshape", y, b.const([-1], "int64"))
    places = b.add("Reshape", index, b.const([-1], "int64"))
    full = b.add("ScatterElements", zero, places, flat, axis=0, reduction="add")
    return str(b.add("Reshape", full, b.sizes(node.shape)))


def _put(b: Any, node: Expr, y: str, index: str) -> str:
    """By ONNX's MaxUnpool, which ONNX Runtime has in 32 bits."""
    if node.dtype == "float32":
        ones = (1,) * len(node.attrs["lengths"])
        return str(b.add("MaxUnpool", y, index, b.sizes(node.shape), kernel_shape=ones))
    zero = b.add("Expand", b.const(0, node.dtype), b.sizes([product(node.shape)]))
    flat = b.add("Reshape", y, b.const([-1], "int64"))
    places = b.add("Reshape", index, b.const([-1], "int64"))
    full = b.add("ScatterElements", zero, places, flat, axis=0)
    return str(b.add("Reshape", full, b.sizes(node.shape)))


def _unpool_by_classes(node: Expr) -> Expr:
    """The sum over classes of windows that do not overlap each other."""
    (y, index), pool = node.args, node.attrs["pool"]
    apart = [-(-pool.span(axis) // stride) for axis, stride in enumerate(pool.stride)]
    stride = tuple(n * s for n, s in zip(apart, pool.stride, strict=True))
    sparse = Pool(pool.kernel, stride, pool.dilation, pool.before, pool.after)
    terms = []
    for first in itertools.product(*map(range, apart)):
        some, places = (_every(x, first, apart) for x in (y, index))
        if 0 not in some.shape:
            terms.append(max_unpool(some, places, sparse, node.attrs["lengths"]))
    return _sum(terms)


def _every(x: Expr, first: Sequence[int], steps: Sequence[int]) -> Expr:
    sizes = [
        floordiv(maximum(length - start, 0) + (step - 1), step)
        for start, step, length in zip(first, steps, x.shape[2:], strict=True)
    ]
    return slice_(x, (0, 0, *first), (1, 1, *steps), (*x.shape[:2], *sizes))


_max_unpool: Op = register(
    Op(
        "MaxUnpool",
        _max_unpool_infer,
        _max_unpool_ref,
        lambda ct, out, y, index, pool, lengths: (
            take(reshape(ct, (product(ct.shape),)), index, 0),
            None,
        ),
        _lower_max_unpool,
        index_args=(1,),
        linear=True,
    )
)


@builds(_max_unpool)
def max_unpool(y: Expr, index: Expr, pool: Pool, lengths: Sequence[Dim]) -> Expr:
    """What ``max_pool`` is the transpose of, for the places that it chose: zeros elsewhere."""
    return _max_unpool(y, index, pool=pool, lengths=tuple(lengths))


# --- the mean -----------------------------------------------------------------------------------


def places_seen(pool: Pool, lengths: Sequence[Dim], padding: bool, dtype: str) -> Expr:
    """How many places of the signal each window sees: (M..), or one number.

    Args:
        pool: the window.
        lengths: those of the signal.
        padding: whether those before and after it count too.
        dtype: of the numbers.
    """
    if not pool.beyond and (padding or not any((*pool.before, *pool.after))):
        return const(product(pool.kernel), dtype)
    total: Expr | None = None
    for axis, (count, length) in enumerate(zip(pool.counts(lengths), lengths, strict=True)):
        along = cast(_places_along(pool, axis, count, length, padding), dtype)
        along = expand_dims(along, range(1, len(lengths) - axis))
        total = along if total is None else mul(total, along)
    assert total is not None  # there is an axis
    return total


def _places_along(pool: Pool, axis: int, count: Dim, length: Dim, padding: bool) -> Expr:
    """Of each window those that are not before the signal and not after it."""
    low, high = (-pool.before[axis], length + pool.after[axis]) if padding else (0, length)
    first = iota(count)
    terms = []
    for k in range(pool.kernel[axis]):
        start = const(k * pool.dilation[axis] - pool.before[axis], "int64")
        place = add(mul(first, const(pool.stride[axis], "int64")), start)
        inside = logical_and(greater_equal(place, const(low, "int64")), less(place, size_of(high)))
        terms.append(cast(inside, "int64"))
    return _sum(terms)


def _sum(terms: Sequence[Expr]) -> Expr:
    """In pairs, so that roundings do not add up."""
    while len(terms) > 1:
        pairs = [add(a, b) for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = [*pairs, *terms[len(pairs) * 2 :]]
    return terms[0]


def _average_ref(x: Array, pool: Pool, padding: bool) -> Array:
    counts = [int(n) for n in pool.counts(x.shape[2:])]  # type: ignore[arg-type]
    wide = _wide(x, pool, 0.0)
    counted = _wide(np.ones_like(x), pool, 0.0)
    if padding:
        ends = [sum(n) for n in zip(x.shape[2:], pool.before, pool.after, strict=True)]
        counted[_last([slice(0, end) for end in ends])] = 1
    total, seen = (
        sum(array[_index(pool, place, counts)] for place in pool.places())
        for array in (wide, counted)
    )
    return np.asarray(total / seen)


def _average_vjp(ct: Expr, out: Expr, x: Expr, *, pool: Pool, padding: bool) -> tuple[Expr]:
    lengths = x.shape[2:]
    return (spread(div(ct, places_seen(pool, lengths, padding, ct.dtype)), pool, lengths),)


def _average_by_places(x: Expr, pool: Pool, padding: bool) -> Expr:
    wide = pad(x, (0, 0, *pool.before), (0, 0, *pool.reach(x.shape[2:])))
    counts = pool.counts(x.shape[2:])
    total = _sum([_seen(wide, pool, place, counts) for place in pool.places()])
    return div(total, places_seen(pool, x.shape[2:], padding, x.dtype))


def _lower_average(b: Any, node: Expr, x: str) -> str:
    pool, padding = node.attrs["pool"], node.attrs["padding"]
    dilated = any(d > 1 for d in pool.dilation)
    if node.dtype == "float64" or (dilated and b.opset < 19):
        return str(b.lower(_average_by_places(node.args[0], pool, padding)))
    more = {"dilations": pool.dilation} if dilated else {}
    counted = int(padding)
    return str(b.add("AveragePool", x, count_include_pad=counted, **pool.attributes, **more))


_average_pool: Op = register(
    Op(
        "AveragePool",
        lambda x, *, pool, padding: _pooled_type(x, pool),
        _average_ref,
        _average_vjp,
        _lower_average,
        linear=True,
    )
)


@builds(_average_pool)
def average_pool(x: Expr, pool: Pool, padding: bool = False) -> Expr:
    """The mean of what each window sees, of the padding too if ``padding``."""
    return _average_pool(x, pool=pool, padding=padding)


def sum_pool(x: Expr, pool: Pool) -> Expr:
    """The sum of what each window sees."""
    return mul(average_pool(x, pool), places_seen(pool, x.shape[2:], False, x.dtype))


# --- the transpose of a sum ---------------------------------------------------------------------


def _spread_infer(y: TensorType, *, pool: Pool, lengths: tuple[Dim, ...]) -> TensorType:
    _require_rank(float_only(y), pool)
    return y.with_shape((*y.shape[:2], *lengths))


def _spread_ref(y: Array, pool: Pool, lengths: Sequence[int]) -> Array:
    wide = _wide(np.zeros((*y.shape[:2], *lengths), y.dtype), pool, 0.0)
    for place in pool.places():
        wide[_index(pool, place, y.shape[2:])] += y
    return wide[_last([slice(p, p + n) for p, n in zip(pool.before, lengths, strict=True)])]


def _lower_spread(b: Any, node: Expr, y: str) -> str:
    """The transpose of a convolution of each channel with ones."""
    (given,), pool, lengths = node.args, node.attrs["pool"], node.attrs["lengths"]
    reach = pool.reach(lengths)
    after = tuple(size if isinstance(size, int) else 0 for size in reach)  # cut at run time
    window = Window(pool.kernel, pool.stride, pool.dilation, pool.before, after)
    alone = reshape(given, (product(given.shape[:2]), 1, *given.shape[2:]))
    ones = const(np.ones((1, 1, *pool.kernel)), node.dtype)
    return str(b.lower(reshape(unconvolve(ones, alone, window, lengths), node.shape)))


_spread: Op = register(
    Op(
        "PoolSpread",
        _spread_infer,
        _spread_ref,
        lambda ct, out, y, pool, lengths: (sum_pool(ct, pool),),
        _lower_spread,
        linear=True,
    )
)


@builds(_spread)
def spread(y: Expr, pool: Pool, lengths: Sequence[Dim]) -> Expr:
    """What ``sum_pool`` is the transpose of: each number added wherever its window looked."""
    return _spread(y, pool=pool, lengths=tuple(lengths))
