"""Operations along one axis: running totals, the place of an extremum, sorting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import InputError
from ..batching import within_axis
from ..dims import Dim
from ..expr import Array, Expr, Op, builds, no_gradient, register
from ..kernel_forms import Formula, Running
from ..types import TensorType, canonical_axis
from .elementwise import (
    equal,
    isnan,
    logical_or,
    where,
)
from .reduce import nans, nonempty_keepdims, reduce_max, reduce_min
from .shape import flip, iota, reshape, size_of
from .type_rules import number_only

_SHORT_CUMSUM = 64  # numbers that float32 adds in one sum and keeps its digits


def _cumsum_vjp(ct: Expr, out: Expr, x: Expr, *, axis: int) -> tuple[Expr]:
    return (flip(cumsum(flip(ct, (axis,)), axis), (axis,)),)


def _lower_cumsum(b: Any, node: Expr, x: str) -> str:
    """In float64 for float32, which costs nothing beside the engine's CumSum, and keeps digits."""
    axis, length = b.const(node.attrs["axis"], "int64"), node.shape[node.attrs["axis"]]
    if node.dtype != "float32" or (isinstance(length, int) and length <= _SHORT_CUMSUM):
        return str(b.add("CumSum", x, axis))
    wide = b.add("CumSum", b.add("Cast", x, to=b.dtype_code("float64")), axis)
    return str(b.add("Cast", wide, to=b.dtype_code("float32")))


_cumsum: Op = register(
    Op(
        "CumSum",
        lambda x, *, axis: number_only(x),
        lambda x, axis: np.cumsum(x, axis=axis, dtype=x.dtype),
        _cumsum_vjp,
        _lower_cumsum,
        batching=within_axis,
        linear=True,
        flat_if=(0,),
        kernel=Running("sum"),
    )
)


@builds(_cumsum)
def cumsum(x: Expr, axis: int) -> Expr:
    """Cumulative sum along an axis."""
    return _cumsum(x, axis=canonical_axis(axis, x.rank))


def _arg_infer(x: TensorType, *, axis: int, largest: bool) -> TensorType:
    return nonempty_keepdims(x, axes=(axis,)).with_dtype("int64")


def _arg_ref(x: Array, axis: int, largest: bool) -> Array:
    find = np.argmax if largest else np.argmin
    return np.expand_dims(find(x, axis=axis), axis).astype(np.int64)


def _lower_arg_extremum(b: Any, node: Expr, x: str) -> str:
    """The engine's, and the first NaN where there is one, which is larger and smaller than all."""
    operator = "ArgMax" if node.attrs["largest"] else "ArgMin"
    axis, source = node.attrs["axis"], node.args[0]
    best = str(b.add(operator, x, axis=axis, keepdims=1))
    if not source.type.is_float or b.is_faithful(operator, source.dtype):
        return best
    found = nans(b, x)
    any_nan = b.add("Greater", b.reduce("ReduceMax", found, (axis,)), b.const(0, "float32"))
    return str(b.add("Where", any_nan, b.add("ArgMax", found, axis=axis, keepdims=1), best))


def _arg_formula(x: Expr, axis: int, largest: bool) -> Expr:
    """The first place of what is the extremum, or of a NaN."""
    best = (reduce_max if largest else reduce_min)(x, (axis,))
    found = equal(x, best)
    if x.type.is_float:
        found = logical_or(found, isnan(x))
    size = x.shape[axis]
    places = reshape(iota(size), [size if i == axis else 1 for i in range(x.rank)])
    return reduce_min(where(found, places, size_of(size)), (axis,))


_arg_extremum: Op = register(
    Op(
        "ArgExtremum",
        _arg_infer,
        _arg_ref,
        no_gradient,
        _lower_arg_extremum,
        batching=within_axis,
        kernel=Formula(_arg_formula),
    )
)


@builds(_arg_extremum)
def arg_extremum(x: Expr, axis: int, *, largest: bool = True) -> Expr:
    """Index of the first largest (or smallest) element along an axis, which keeps length 1."""
    return _arg_extremum(x, axis=canonical_axis(axis, x.rank), largest=largest)


def _arg_sort_infer(x: TensorType, *, axis: int, count: Dim, largest: bool) -> TensorType:
    shape = list(number_only(x).shape)
    if isinstance(count, int) and isinstance(shape[axis], int) and count > shape[axis]:  # type: ignore[operator]
        raise InputError(f"cannot take {count} of {shape[axis]} elements")
    shape[axis] = count
    return TensorType("int64", tuple(shape))


def _arg_sort_ref(x: Array, axis: int, count: int, largest: bool) -> Array:
    keys = -x if largest else x
    order = np.argsort(keys, axis=axis, kind="stable")
    return np.take(order, np.arange(count), axis=axis).astype(np.int64)


def _lower_arg_sort(b: Any, node: Expr, x: str) -> str:
    axis, largest = node.attrs["axis"], int(node.attrs["largest"])
    shape, count = node.args[0].shape, b.sizes((node.attrs["count"],))
    guarded = any(not isinstance(dim, int) or dim == 0 for dim in _without(shape, axis))
    rows = _with_a_row(b, x, shape, axis) if guarded else x
    _, order = b.add_many("TopK", 2, rows, count, axis=axis, largest=largest, sorted=1)
    if not guarded:
        return str(order)
    zeros = b.const([0] * node.rank, "int64")
    return str(b.add("Slice", order, zeros, b.sizes(node.shape)))


def _with_a_row(b: Any, x: str, shape: Sequence[Dim], axis: int) -> str:
    """``x`` with one row where it has none, by which ONNX Runtime 1.20's TopK would divide."""
    one, rank = b.const([1], "int64"), len(shape)
    missing = b.add("Sub", one, b.add("Min", b.sizes(shape), one))
    others = b.const([int(i != axis) for i in range(rank)], "int64")
    none = b.const([0] * rank, "int64")
    return str(b.add("Pad", x, b.add("Concat", none, b.add("Mul", missing, others), axis=0)))


def _without(shape: Sequence[Dim], axis: int) -> list[Dim]:
    return [dim for i, dim in enumerate(shape) if i != axis]


_arg_sort: Op = register(
    Op(
        "ArgSort",
        _arg_sort_infer,
        _arg_sort_ref,
        no_gradient,
        _lower_arg_sort,
        batching=within_axis,
    )
)


@builds(_arg_sort)
def arg_sort(x: Expr, axis: int, count: Dim, *, largest: bool) -> Expr:
    """Indices of the ``count`` largest (or smallest) elements along an axis, in order."""
    return _arg_sort(x, axis=canonical_axis(axis, x.rank), count=count, largest=largest)
