"""Elements and slices put at indices, which may repeat, and slices taken at tuples of indices.

``index`` has the operations whose indices are one to a row; these here are ONNX's with all that
ONNX allows: reductions, indices of a part of the other axes, tuples of indices behind axes of a
batch. Where an index repeats and nothing is reduced the engine says whose value stays; the gradient
asks it, and gives the others none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ...errors import InputError, LoweringError
from ..dims import Dim, minimum, product
from ..expr import Array, Expr, Movement, Op, builds, const, register
from ..types import TensorType, canonical_axis, require_equal
from .elementwise import add, cast, div, equal, mul, where
from .index import pick, scatter_add, scatter_rows
from .shape import broadcast_to, expand_dims, full, iota, pad, reshape, size_of, slice_

REDUCTIONS = ("none", "add", "mul", "max", "min")
_SINCE = {"none": 11, "add": 16, "mul": 16, "max": 18, "min": 18}  # opsets
_UFUNCS: dict[str, Any] = {
    "add": np.add,
    "mul": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
}


def _require_int64(index: TensorType) -> None:
    if index.dtype != "int64":
        raise InputError(f"indices are int64, got {index.dtype}")


# --- slices at tuples of indices ----------------------------------------------------------------


def _slice_shape(x: TensorType, index: TensorType, batch_dims: int) -> tuple[Dim, ...]:
    """The shape of all slices that the tuples stand for, which are the last axis of the index."""
    _require_int64(index)
    if not index.rank or not isinstance(index.shape[-1], int):
        raise InputError("the length of tuples of indices has to be known")
    depth = index.shape[-1]
    if index.rank <= batch_dims or not 1 <= depth <= x.rank - batch_dims:
        raise InputError(f"tuples of {depth} indices behind {batch_dims} axes do not fit {x}")
    for dim, other in zip(x.shape[:batch_dims], index.shape[:batch_dims], strict=True):
        require_equal(dim, other)
    return (*index.shape[:-1], *x.shape[batch_dims + depth :])


def _tuples(index: Array, batch_dims: int) -> tuple[Array, ...]:
    """Tuples of indices as arrays for numpy, one an axis, those of the batch first."""
    rest = index.ndim - 1 - batch_dims
    own = np.indices(index.shape[:batch_dims], sparse=True) if batch_dims else ()
    batch = [axis.reshape(*axis.shape, *(1,) * rest) for axis in own]
    return (*batch, *np.moveaxis(index, -1, 0))


def _places(x: Expr, index: Expr, batch_dims: int) -> tuple[Expr, Dim]:
    """The number of each slice, counted through all axes that tuples go into, and how many."""
    depth = _depth(index)
    lengths = x.shape[: batch_dims + depth]
    total: Expr | None = None
    for axis, length in enumerate(lengths):
        if axis < batch_dims:
            ones = (1,) * (index.rank - 2 - axis)
            part = reshape(iota(length), (length, *ones))
        else:
            starts = [0] * (index.rank - 1) + [axis - batch_dims]
            sizes = (*index.shape[:-1], 1)
            part = reshape(slice_(index, starts, [1] * index.rank, sizes), index.shape[:-1])
        total = part if total is None else add(mul(total, size_of(length)), part)
    assert total is not None
    return broadcast_to(total, index.shape[:-1]), product(lengths)


def _depth(index: Expr) -> int:
    """How many axes a tuple of indices goes into."""
    depth = index.shape[-1]
    assert isinstance(depth, int)  # as the type rule has asked
    return depth


def _gather_nd_vjp(
    ct: Expr, out: Expr, x: Expr, index: Expr, *, batch_dims: int
) -> tuple[Expr, None]:
    places, count = _places(x, index, batch_dims)
    rows = reshape(ct, (*places.shape, *out.shape[places.rank :]))
    return (reshape(scatter_rows(rows, places, count), x.shape), None)


_gather_nd: Op = register(
    Op(
        "GatherND",
        lambda x, index, *, batch_dims: x.with_shape(_slice_shape(x, index, batch_dims)),
        lambda x, index, batch_dims: x[_tuples(index, batch_dims)],
        _gather_nd_vjp,
        lambda b, node, x, index: b.add("GatherND", x, index, **_batch_dims(node)),
        index_args=(1,),
        movement=Movement.SELECT,
        positive_if=(0,),
        linear=True,
        flat_if=(0,),
    )
)


def _batch_dims(node: Expr) -> dict[str, int]:
    return {"batch_dims": node.attrs["batch_dims"]} if node.attrs["batch_dims"] else {}


@builds(_gather_nd)
def gather_nd(x: Expr, index: Expr, batch_dims: int = 0) -> Expr:
    """Slices of ``x``: the last axis of the index has the first axes of each."""
    return _gather_nd(x, index, batch_dims=batch_dims)


def _scatter_nd_infer(
    x: TensorType, index: TensorType, values: TensorType, *, unique_indices: bool
) -> TensorType:
    _require_values(values, x.with_shape(_slice_shape(x, index, 0)))
    return x


def _require_values(values: TensorType, wanted: TensorType) -> None:
    if values.dtype != wanted.dtype or values.rank != wanted.rank:
        raise InputError(f"expected values {wanted}, got {values}")
    for dim, other in zip(values.shape, wanted.shape, strict=True):
        require_equal(dim, other)


def _scatter_nd_ref(x: Array, index: Array, values: Array, unique_indices: bool) -> Array:
    out = x.copy()
    out[_tuples(index, 0)] = values
    return out


def _scatter_nd_vjp(
    ct: Expr, out: Expr, x: Expr, index: Expr, values: Expr, *, unique_indices: bool
) -> tuple[Expr, None, Expr]:
    zeros = full(0.0, ct.dtype, values.shape)
    given = gather_nd(ct, index)
    if not unique_indices:
        given = where(_stays_nd(x, index, values.rank), given, zeros)
    return (scatter_nd(ct, index, zeros, unique_indices), None, given)


def _stays_nd(x: Expr, index: Expr, rank: int) -> Expr:
    """Which slices are those that stay where they were put."""
    depth, count = _depth(index), product(index.shape[:-1])
    own = reshape(iota(count), index.shape[:-1])
    frame = full(0, "int64", x.shape[:depth])
    stays = equal(gather_nd(scatter_nd(frame, index, own, False), index), own)
    return expand_dims(stays, tuple(range(stays.rank, rank)))


_scatter_nd: Op = register(
    Op(
        "ScatterND",
        _scatter_nd_infer,
        _scatter_nd_ref,
        _scatter_nd_vjp,
        lambda b, node, x, index, values: b.add("ScatterND", x, index, values),
        linear=True,
        index_args=(1,),
    )
)


@builds(_scatter_nd)
def scatter_nd(x: Expr, index: Expr, values: Expr, unique_indices: bool = True) -> Expr:
    """``x`` with other slices where ``gather_nd`` takes from."""
    return _scatter_nd(x, index, values, unique_indices=unique_indices)


def scatter_nd_reduced(x: Expr, index: Expr, values: Expr, reduction: str) -> Expr:
    """``x`` with slices added, multiplied or compared at tuples of indices, which may repeat.

    By single elements: ONNX Runtime's ScatterND loses additions to an index that repeats, if
    several threads work at it.
    """
    places, count = _places(x, index, 0)
    width = product(x.shape[_depth(index) :])
    rows = product(places.shape)
    flat = scatter_elements(
        reshape(x, (count, width)),
        broadcast_to(reshape(places, (rows, 1)), (rows, width)),
        reshape(values, (rows, width)),
        0,
        reduction,
        False,
    )
    return reshape(flat, x.shape)


# --- single elements ----------------------------------------------------------------------------


def _scatter_elements_infer(
    x: TensorType,
    index: TensorType,
    values: TensorType,
    *,
    axis: int,
    reduction: str,
    unique_indices: bool,
) -> TensorType:
    _require_int64(index)
    if index.rank != x.rank:
        raise InputError("the index needs the rank of the array")
    for i, (dim, size) in enumerate(zip(index.shape, x.shape, strict=True)):
        if i != axis:
            require_equal(minimum(dim, size), dim)
    _require_values(values, x.with_shape(index.shape))
    return x


def _scatter_elements_ref(
    x: Array, index: Array, values: Array, axis: int, reduction: str, unique_indices: bool
) -> Array:
    out = x.copy()
    places: list[Array] = list(np.indices(index.shape, sparse=True))
    places[axis] = index
    if reduction == "none":
        out[tuple(places)] = values
    else:
        _UFUNCS[reduction].at(out, tuple(places), values)
    return out


def _lower_scatter_elements(b: Any, node: Expr, x: str, index: str, values: str) -> str:
    axis, reduction = node.attrs["axis"], node.attrs["reduction"]
    if b.opset < _SINCE[reduction]:
        if reduction == "add":
            return str(b.lower(add(node.args[0], _Frame(node).put(node.args[2]))))
        raise LoweringError(
            f"ScatterElements with {reduction} needs opset {_SINCE[reduction]}, got {b.opset}"
        )
    reduced = {} if reduction == "none" else {"reduction": reduction}
    return str(b.add("ScatterElements", x, index, values, axis=axis, **reduced))


class _Frame:
    """Where the index of a node reaches: all places along its axis, some along the others."""

    def __init__(self, node: Expr) -> None:
        self.x, self.index, _ = node.args
        self.axis, self.unique = node.attrs["axis"], node.attrs["unique_indices"]
        sizes: list[Dim] = list(self.index.shape)
        sizes[self.axis] = self.x.shape[self.axis]
        self.sizes = tuple(sizes)

    def taken(self, whole: Expr) -> Expr:
        """The elements at the indices."""
        rank = whole.rank
        part = slice_(whole, [0] * rank, [1] * rank, self.sizes)
        return pick(part, self.index, self.axis, self.unique)

    def put(self, values: Expr) -> Expr:
        """Values added up at the indices, with zeros elsewhere."""
        size = self.x.shape[self.axis]
        summed = scatter_add(values, self.index, self.axis, size, self.unique)
        around = [dim - part for dim, part in zip(self.x.shape, self.sizes, strict=True)]
        return pad(summed, [0] * len(around), around)

    def stays(self) -> Expr:
        """Which values stay where they were put: of those with one place the engine chooses."""
        count = product(self.index.shape)
        own = reshape(iota(count), self.index.shape)
        zeros = full(0, "int64", self.x.shape)
        return equal(
            self.taken(scatter_elements(zeros, self.index, own, self.axis, "none", False)), own
        )


def _scatter_elements_vjp(
    ct: Expr, out: Expr, x: Expr, index: Expr, values: Expr, **attrs: Any
) -> tuple[Expr, None, Expr]:
    rule = _VJPS[attrs["reduction"]]
    to_x, to_values = rule(_Frame(out), ct, out, x, values)
    return (to_x, None, to_values)


Pair = tuple[Expr, Expr]


def _vjp_of_none(frame: _Frame, ct: Expr, out: Expr, x: Expr, values: Expr) -> Pair:
    zeros = full(0.0, ct.dtype, values.shape)
    given = frame.taken(ct)
    if not frame.unique:
        given = where(frame.stays(), given, zeros)
    kept = scatter_elements(ct, frame.index, zeros, frame.axis, "none", frame.unique)
    return kept, given


def _vjp_of_add(frame: _Frame, ct: Expr, out: Expr, x: Expr, values: Expr) -> Pair:
    return ct, frame.taken(ct)


def _vjp_of_mul(frame: _Frame, ct: Expr, out: Expr, x: Expr, values: Expr) -> Pair:
    """Each factor's is the product of the others: of one zero it is the product of the rest."""
    one, zero = const(1.0, x.dtype), const(0.0, x.dtype)
    is_zero, are_zero = equal(x, zero), equal(values, zero)
    rest = _with(out, where(is_zero, one, x), where(are_zero, one, values))
    zeros = add(cast(is_zero, x.dtype), frame.put(cast(are_zero, x.dtype)))

    def others(factor: Expr, none: Expr, rest: Expr, zeros: Expr) -> Expr:
        apart = div(rest, where(none, one, factor))
        alone = where(equal(zeros, one), rest, zero)
        return where(none, alone, where(equal(zeros, zero), apart, zero))

    to_x = mul(ct, others(x, is_zero, rest, zeros))
    to_values = others(values, are_zero, frame.taken(rest), frame.taken(zeros))
    return to_x, mul(frame.taken(ct), to_values)


def _vjp_of_extremum(frame: _Frame, ct: Expr, out: Expr, x: Expr, values: Expr) -> Pair:
    """Shared between those that are equal, as everywhere in the language."""
    mine, theirs = equal(x, out), equal(values, frame.taken(out))
    count = add(cast(mine, x.dtype), frame.put(cast(theirs, x.dtype)))
    share = div(ct, count)
    zero = const(0.0, x.dtype)
    return where(mine, share, zero), where(theirs, frame.taken(share), zero)


def _with(node: Expr, x: Expr, values: Expr) -> Expr:
    return scatter_elements(x, node.args[1], values, **node.attrs)


_VJPS: dict[str, Callable[[_Frame, Expr, Expr, Expr, Expr], Pair]] = {
    "none": _vjp_of_none,
    "add": _vjp_of_add,
    "mul": _vjp_of_mul,
    "max": _vjp_of_extremum,
    "min": _vjp_of_extremum,
}

_scatter_elements: Op = register(
    Op(
        "ScatterElements",
        _scatter_elements_infer,
        _scatter_elements_ref,
        _scatter_elements_vjp,
        _lower_scatter_elements,
        index_args=(1,),
    )
)


@builds(_scatter_elements)
def scatter_elements(
    x: Expr,
    index: Expr,
    values: Expr,
    axis: int,
    reduction: str = "none",
    unique_indices: bool = False,
) -> Expr:
    """``x`` with values put, added, multiplied or compared at indices along an axis.

    Args:
        x: an array.
        index: int64, of the rank of ``x``; along other axes it may be shorter.
        values: one for each index.
        axis: the axis that indices are of.
        reduction: one of ``none``, ``add``, ``mul``, ``max``, ``min``.
        unique_indices: whether no place is indexed twice.
    """
    if reduction not in REDUCTIONS:
        raise InputError(f"expected one of {REDUCTIONS}, got {reduction!r}")
    return _scatter_elements(
        x,
        index,
        values,
        axis=canonical_axis(axis, x.rank),
        reduction=reduction,
        unique_indices=unique_indices,
    )
