"""Operations that select by index.

Indices are int64 and in range: the lowering never has to fear a read out of bounds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import DtypeError, InputError, SpecializationError
from .. import batching
from ..dims import Dim, product
from ..expr import (
    Array,
    Expr,
    Movement,
    Op,
    builds,
    no_gradient,
    register,
)
from ..kernel_forms import Element, Scatter
from ..types import TensorType, canonical_axis, numpy_dtype, require_equal, shape_names
from .elementwise import (
    cast,
    equal,
)
from .linalg import matmul
from .shape import broadcast_to, expand_dims, full, iota, reshape, transpose


def _int64(index: TensorType) -> None:
    if index.dtype != "int64":
        raise DtypeError(f"indices are int64, got {index.dtype}")


# --- elements, for kernels ----------------------------------------------------------------


def _moved(i: Any, axis: int, index: Any) -> Any:
    return (*i[:axis], index, *i[axis + 1 :])


def _picked_element(k: Any, node: Expr, i: Any) -> Any:
    x, index = node.args
    return k.at(x, _moved(i, node.attrs["axis"], k.lookup(k.at(index, i))))


def _hits(k: Any, node: Expr, index: Expr, i: Any) -> Any:
    """For each index along the axis its indices, and whether it is that of an element."""
    axis = node.attrs["axis"]
    for place in k.few(index.shape[axis]):
        there = _moved(i, axis, place)
        yield there, k.call("==", k.place(i[axis]), k.at(index, there))


def _added_element(k: Any, node: Expr, i: Any) -> Any:
    x, index = node.args
    total = k.number(0.0)
    for there, hit in _hits(k, node, index, i):
        value = k.where(hit, k.at(x, there), k.number(0.0))
        total = value if total is k.number(0.0) else k.call("+", total, value)
    return total


def _added_at_element(k: Any, node: Expr, i: Any) -> Any:
    x, values, index = node.args
    found = k.at(x, i)
    for there, hit in _hits(k, node, index, i):
        found = k.where(hit, k.call("+", found, k.at(values, there)), found)
    return found


def _put_element(k: Any, node: Expr, i: Any) -> Any:
    x, index, values = node.args
    found = k.at(x, i)
    for there, hit in _hits(k, node, index, i):
        found = k.where(hit, k.at(values, there), found)
    return found


def _taken_element(k: Any, node: Expr, i: Any) -> Any:
    (x, index), axis = node.args, node.attrs["axis"]
    before, after = i[:axis], i[axis + index.rank :]

    def of(place: Any) -> Any:
        return k.at(x, (*before, place, *after))

    return k.chosen(k.at(index, i[axis : axis + index.rank]), x.shape[axis], of)


def _one_hot_element(k: Any, node: Expr, i: Any) -> Any:
    hit = k.call("==", k.place(i[-1]), k.at(node.args[0], i[:-1]))
    return k.cast(hit, "bool", node.dtype)


# --- one element of each row: pick --------------------------------------------------------


def _require_elements(x: TensorType, index: TensorType, axis: int) -> None:
    """Refuse indices into an axis that has nothing, unless there are none."""
    if x.shape[axis] != 0 or 0 in index.shape:
        return
    why = f"axis {axis} has length zero: there is nothing to take from it"
    names = sorted(shape_names(index.shape))
    if names:  # there may be no index either
        raise SpecializationError(tuple(names), why)
    raise InputError(why)


def _pick_infer(x: TensorType, index: TensorType, *, axis: int, unique_indices: bool) -> TensorType:
    _int64(index)
    if index.rank != x.rank:
        raise InputError("the index needs the rank of the array")
    for i, (dim, other) in enumerate(zip(x.shape, index.shape, strict=True)):
        if i != axis:
            require_equal(dim, other)
    _require_elements(x, index, axis)
    return x.with_shape(index.shape)


def _pick_vjp(
    ct: Expr, out: Expr, x: Expr, index: Expr, *, axis: int, unique_indices: bool
) -> tuple[Expr, None]:
    return (scatter_add(ct, index, axis, x.shape[axis], unique_indices), None)


_pick: Op = register(
    Op(
        "Pick",
        _pick_infer,
        lambda x, index, axis, unique_indices: np.take_along_axis(x, index, axis),
        _pick_vjp,
        lambda b, node, x, index: b.add("GatherElements", x, index, axis=node.attrs["axis"]),
        index_args=(1,),
        movement=Movement.SELECT,
        positive_if=(0,),
        linear=True,
        flat_if=(0,),
        batching=batching.within_axis,
        kernel=Element(_picked_element),
    )
)


@builds(_pick)
def pick(x: Expr, index: Expr, axis: int, unique_indices: bool = True) -> Expr:
    """``x[.., index[.., k, ..], ..]``; an index may stand twice if ``not unique_indices``."""
    return _pick(x, index, axis=canonical_axis(axis, x.rank), unique_indices=unique_indices)


def _scatter_add_infer(
    x: TensorType, index: TensorType, *, axis: int, size: Dim, unique_indices: bool
) -> TensorType:
    _int64(index)
    return x.with_shape([size if i == axis else dim for i, dim in enumerate(x.shape)])


def _scatter_add_ref(x: Array, index: Array, axis: int, size: int, unique_indices: bool) -> Array:
    out = np.zeros([size if i == axis else n for i, n in enumerate(x.shape)], x.dtype)
    places: list[Array] = list(np.indices(x.shape, sparse=True))
    places[axis] = index
    np.add.at(out, tuple(places), x)
    return out


def _lower_scatter_add(b: Any, node: Expr, x: str, index: str) -> str:
    axis, adds = node.attrs["axis"], not node.attrs["unique_indices"]
    if adds and b.opset < 16:  # ScatterElements cannot add yet
        return str(b.lower(_one_hot_scatter_add(node, axis)))
    return _scattered(b, node.dtype, node.shape, index, x, axis, adds)


def _scattered(
    b: Any, dtype: str, shape: Sequence[Dim], index: str, values: str, axis: int, adds: bool
) -> str:
    """Values put into zeros by element, or added up where an index repeats."""
    zero = b.add("Expand", b.const(0, dtype), b.sizes(shape))
    reduction = {"reduction": "add"} if adds else {}
    return str(b.add("ScatterElements", zero, index, values, axis=axis, **reduction))


def _one_hot_scatter_add(node: Expr, axis: int) -> Expr:
    """``scatter_add`` as a product with a one-hot matrix for each row."""
    (x, index), size = node.args, node.attrs["size"]
    forth = (*(i for i in range(x.rank) if i != axis), axis)
    hot = one_hot(transpose(index, forth), size, x.dtype)
    rows = matmul(expand_dims(transpose(x, forth), (-2,)), hot)
    back = np.argsort(forth)
    return transpose(reshape(rows, (*rows.shape[:-2], size)), [int(i) for i in back])


_scatter_add: Op = register(
    Op(
        "ScatterAdd",
        _scatter_add_infer,
        _scatter_add_ref,
        lambda ct, out, x, index, axis, size, unique_indices: (
            pick(ct, index, axis, unique_indices),
            None,
        ),
        _lower_scatter_add,
        linear=True,
        index_args=(1,),
        stem="unpick",
        batching=batching.within_axis,
        kernel=Scatter(_added_element),
    )
)


@builds(_scatter_add)
def scatter_add(x: Expr, index: Expr, axis: int, size: Dim, unique_indices: bool = True) -> Expr:
    """The transpose of ``pick``: ``x`` added up at its indices, zeros elsewhere."""
    return _scatter_add(
        x, index, axis=canonical_axis(axis, x.rank), size=size, unique_indices=unique_indices
    )


def _add_at_ref(x: Array, values: Array, index: Array, axis: int) -> Array:
    return x + _scatter_add_ref(values, index, axis, x.shape[axis], True)


_add_at: Op = register(
    Op(
        "AddAt",
        lambda x, values, index, *, axis: _same_frame(x, values, axis),
        _add_at_ref,
        lambda ct, out, x, values, index, axis: (ct, pick(ct, index, axis), None),
        lambda b, node, x, values, index: b.add(
            "ScatterElements",
            x,
            index,
            b.add("Add", b.add("GatherElements", x, index, axis=node.attrs["axis"]), values),
            axis=node.attrs["axis"],
        ),
        linear=True,
        index_args=(2,),
        batching=batching.within_axis,
        kernel=Element(_added_at_element),
    )
)


def _same_frame(x: TensorType, values: TensorType, axis: int) -> TensorType:
    for i, (dim, other) in enumerate(zip(x.shape, values.shape, strict=True)):
        if i != axis:
            require_equal(dim, other)
    return x


@builds(_add_at)
def add_at(x: Expr, values: Expr, index: Expr, axis: int) -> Expr:
    """``x`` with values added at indices that are unique along the axis."""
    return _add_at(x, values, index, axis=canonical_axis(axis, x.rank))


def _scatter_infer(
    x: TensorType, index: TensorType, values: TensorType, *, axis: int
) -> TensorType:
    wanted = _pick_infer(x, index, axis=axis, unique_indices=True)
    if values.dtype != wanted.dtype or values.rank != wanted.rank:
        raise InputError("expected a value for each index, in the dtype of the array")
    for dim, other in zip(values.shape, wanted.shape, strict=True):
        require_equal(dim, other)
    return x


def _scatter_ref(x: Array, index: Array, values: Array, axis: int) -> Array:
    out = x.copy()
    np.put_along_axis(out, index, values, axis)
    return out


def _scatter_vjp(
    ct: Expr, out: Expr, x: Expr, index: Expr, values: Expr, *, axis: int
) -> tuple[Expr, None, Expr]:
    kept = scatter(ct, index, full(0.0, ct.dtype, index.shape), axis)
    return (kept, None, pick(ct, index, axis))


_scatter: Op = register(
    Op(
        "Scatter",
        _scatter_infer,
        _scatter_ref,
        _scatter_vjp,
        lambda b, node, x, index, values: b.add(
            "ScatterElements", x, index, values, axis=node.attrs["axis"]
        ),
        linear=True,
        index_args=(1,),
        stem="put",
        batching=batching.within_axis,
        kernel=Element(_put_element),
    )
)


@builds(_scatter)
def scatter(x: Expr, index: Expr, values: Expr, axis: int) -> Expr:
    """``x`` with other values where ``pick`` takes from; indices along the axis are unique."""
    return _scatter(x, index, values, axis=canonical_axis(axis, x.rank))


# --- whole slices: take -------------------------------------------------------------------


def _take_infer(x: TensorType, index: TensorType, *, axis: int) -> TensorType:
    _int64(index)
    _require_elements(x, index, axis)
    return x.with_shape((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))


_take: Op = register(
    Op(
        "Take",
        _take_infer,
        lambda x, index, axis: np.take(x, index, axis=axis),
        lambda ct, out, x, index, axis: (_untake(ct, index, axis, x.shape[axis]), None),
        lambda b, node, x, index: b.add("Gather", x, index, axis=node.attrs["axis"]),
        index_args=(1,),
        movement=Movement.SELECT,
        positive_if=(0,),
        linear=True,
        flat_if=(0,),
        batching=batching.take,
        kernel=Element(_taken_element),
    )
)


@builds(_take)
def take(x: Expr, index: Expr, axis: int) -> Expr:
    """Slices of ``x`` along an axis, which the axes of the index replace."""
    return _take(x, index, axis=canonical_axis(axis, x.rank))


def _untake(ct: Expr, index: Expr, axis: int, size: Dim) -> Expr:
    """The transpose of ``take``: slices added up where an index repeats."""
    back = (*range(axis, axis + index.rank), *range(axis), *range(axis + index.rank, ct.rank))
    rows = transpose(ct, back)
    summed = scatter_rows(rows, index, size)
    forth = (*range(1, axis + 1), 0, *range(axis + 1, summed.rank))
    return transpose(summed, forth)


def _scatter_rows_infer(rows: TensorType, index: TensorType, *, size: Dim) -> TensorType:
    _int64(index)
    return rows.with_shape((size, *rows.shape[index.rank :]))


def _scatter_rows_ref(rows: Array, index: Array, size: int) -> Array:
    out = np.zeros((size, *rows.shape[index.ndim :]), rows.dtype)
    np.add.at(out, index, rows)
    return out


def _lower_scatter_rows(b: Any, node: Expr, rows: str, index: str) -> str:
    """By elements: ONNX Runtime's ScatterND loses additions to one row by several threads.

    Rows and indices are as many, which their types may say in unlike dims: each keeps its own.
    """
    (x, places), width = node.args, product(node.shape[1:])
    matrix = (product(x.shape[: places.rank]), width)
    flat = b.lower(reshape(x, matrix))
    column = reshape(places, (product(places.shape), 1))
    if b.opset < 16:  # ScatterElements cannot add yet: ones where a row goes, times the rows
        # No Transpose: ONNX Runtime 1.20 fuses one into a product that has no float64.
        there = equal(
            reshape(iota(node.shape[0]), (node.shape[0], 1)), reshape(places, (1, matrix[0]))
        )
        summed = b.add("MatMul", b.lower(cast(there, node.dtype)), flat)
    else:
        each = b.lower(broadcast_to(column, (column.shape[0], width)))
        whole = (node.shape[0], width)
        summed = _scattered(b, node.dtype, whole, each, flat, axis=0, adds=True)
    return str(b.reshape(summed, (node.shape[0], width), node.shape))


_scatter_rows: Op = register(
    Op(
        "ScatterRows",
        _scatter_rows_infer,
        _scatter_rows_ref,
        lambda ct, out, rows, index, size: (take(ct, index, 0), None),
        _lower_scatter_rows,
        linear=True,
        index_args=(1,),
    )
)


@builds(_scatter_rows)
def scatter_rows(rows: Expr, index: Expr, size: Dim) -> Expr:
    """``size`` rows, each the sum of those rows whose index it has."""
    return _scatter_rows(rows, index, size=size)


# --- ones at indices -------------------------------------------------------------------------


def _one_hot_infer(index: TensorType, *, depth: Dim, dtype: str) -> TensorType:
    _int64(index)
    return TensorType(dtype, (*index.shape, depth))


def _one_hot_ref(index: Array, depth: int, dtype: str) -> Array:
    return (index[..., None] == np.arange(depth)).astype(numpy_dtype(dtype))


_one_hot: Op = register(
    Op(
        "OneHot",
        _one_hot_infer,
        _one_hot_ref,
        no_gradient,
        # By comparison: ONNX's OneHot wraps -1 to the last class and refuses depth 0.
        lambda b, node, index: b.lower(
            cast(
                equal(expand_dims(node.args[0], (-1,)), iota(node.attrs["depth"])),
                node.attrs["dtype"],
            )
        ),
        index_args=(0,),
        batching=batching.one_hot,
        nonnegative=True,
        kernel=Element(_one_hot_element),
    )
)


@builds(_one_hot)
def one_hot(index: Expr, depth: Dim, dtype: str) -> Expr:
    """1 where the last axis has the index, else 0; an index outside gives zeros."""
    return _one_hot(index, depth=depth, dtype=dtype)


# The operations whose indices an engine compares with what there is.
SELECTING = (_add_at, _pick, _scatter_rows, _take, _scatter_add)
