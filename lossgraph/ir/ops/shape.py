"""Operations that move or repeat elements without looking at them, and sizes as values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import InputError
from .. import batching
from ..dims import Dim, Size, is_positive, maximum, minimum, product
from ..expr import Array, Expr, Movement, Op, builds, const, register
from ..kernel_forms import Element
from ..types import (
    TensorType,
    TupleType,
    canonical_axes,
    canonical_axis,
    require_broadcast,
    require_equal,
)
from .item import results_of

Shape = tuple[Dim, ...]


# --- elements, for kernels ----------------------------------------------------------------


def _transposed_element(k: Any, node: Expr, i: Any) -> Any:
    perm = node.attrs["perm"]
    return k.at(node.args[0], tuple(i[perm.index(axis)] for axis in range(node.rank)))


def _sliced_element(k: Any, node: Expr, i: Any) -> Any:
    steps = zip(i, node.attrs["starts"], node.attrs["steps"], strict=True)
    return k.at(node.args[0], tuple(index * step + start for index, start, step in steps))


def _padded_element(k: Any, node: Expr, i: Any) -> Any:
    """The element inside, and zero around it, where another one is read and not used."""
    (x,), inside, there = node.args, k.truth(True), []
    for axis, (before, dim) in enumerate(zip(node.attrs["before"], x.shape, strict=True)):
        if node.shape[axis] == dim:
            there.append(i[axis])
            continue
        index = i[axis] + (-1 * before)
        inside = k.call("&", inside, k.is_inside(index, dim))
        there.append(k.clamped(index, dim))
    return k.where(inside, k.at(x, tuple(there)), k.number(0.0))


def _joined_element(k: Any, node: Expr, i: Any) -> Any:
    """From the last array back: an element of each, of which the place chooses."""
    axis, ends, total = node.attrs["axis"], [], 0
    for arg in node.args:
        ends.append(total)
        total = total + arg.shape[axis]

    def of(arg: Expr, start: Dim) -> Any:
        index = k.clamped(i[axis] + (-1 * start), arg.shape[axis])
        return k.at(arg, (*i[:axis], index, *i[axis + 1 :]))

    found = of(node.args[-1], ends[-1])
    for position in range(len(node.args) - 2, -1, -1):
        before = k.call("<", k.place(i[axis]), k.size(ends[position + 1]))
        found = k.where(before, of(node.args[position], ends[position]), found)
    return found


# --- reshape, broadcast, transpose --------------------------------------------------------


def _reshape_infer(x: TensorType, *, shape: Shape) -> TensorType:
    require_equal(product(x.shape), product(shape))
    return x.with_shape(shape)


def _lower_reshape(b: Any, node: Expr, x: str) -> str:
    """Unsqueeze or Squeeze where only ones come or go: they need no sizes at run time."""
    before, after = node.args[0].shape, node.shape
    inserted = _inserted_ones(before, after)
    if inserted is not None:
        return str(b.add("Unsqueeze", x, b.const(inserted, "int64")))
    removed = _inserted_ones(after, before)
    if removed is not None:
        return str(b.add("Squeeze", x, b.const(removed, "int64")))
    return str(b.reshape(x, before, after))


def _inserted_ones(short: Shape, long: Shape) -> list[int] | None:
    """Where ones were put into ``short`` to make ``long``; None if they were not."""
    axes, rest = [], list(short)
    for axis, dim in enumerate(long):
        if rest and rest[0] == dim:
            rest.pop(0)
        elif dim == 1:
            axes.append(axis)
        else:
            return None
    return axes if axes and not rest else None


def _reshape_vjp(ct: Expr, out: Expr, x: Expr, *, shape: Shape) -> tuple[Expr]:
    return (reshape(ct, x.shape),)


_reshape: Op = register(
    Op(
        "Reshape",
        _reshape_infer,
        lambda x, shape: x.reshape(shape),
        _reshape_vjp,
        _lower_reshape,
        batching=batching.reshape,
        movement=Movement.RESHAPE,
        positive_if=(0,),
        linear=True,
        flat_if=(0,),
        kernel=Element(lambda k, node, i: k.at(node.args[0], k.reshaped(i, node))),
    )
)


@builds(_reshape)
def reshape(x: Expr, shape: Sequence[Dim]) -> Expr:
    """The same elements in the same order, in another shape."""
    shape = tuple(shape)
    return x if shape == x.shape else _reshape(x, shape=shape)


def expand_dims(x: Expr, axes: Sequence[int]) -> Expr:
    """Ones put in, at the places that ``axes`` have in the result."""
    rank = x.rank + len(axes)
    axes = canonical_axes(axes, rank)
    dims = iter(x.shape)
    return reshape(x, [1 if axis in axes else next(dims) for axis in range(rank)])


def squeeze(x: Expr, axes: Sequence[int]) -> Expr:
    """Axes of length one dropped."""
    axes = canonical_axes(axes, x.rank)
    for axis in axes:
        dim = x.shape[axis]
        derived = isinstance(dim, Size) and dim.name is None  # compared with 1 at run time
        if dim != 1 and not derived:
            raise InputError(f"cannot drop axis {axis} of {x.type}: its length is not 1")
    one = [1 if axis in axes else dim for axis, dim in enumerate(x.shape)]
    rest = [dim for axis, dim in enumerate(x.shape) if axis not in axes]
    return reshape(reshape(x, one), rest)


def _broadcast_infer(x: TensorType, *, shape: Shape) -> TensorType:
    require_broadcast(x.shape, shape)
    return x.with_shape(shape)


def _lower_broadcast(b: Any, node: Expr, x: str) -> str:
    """Expand; ONNX Runtime 1.32 leaves one out that makes a length of 1 to a fixed 0."""
    fixed = [dim for dim in node.shape if isinstance(dim, int)]
    if 0 in fixed and len(fixed) == node.rank:
        return str(b.const(np.zeros(fixed), node.dtype))
    return str(b.add("Expand", x, b.sizes(node.shape)))


_broadcast_to: Op = register(
    Op(
        "BroadcastTo",
        _broadcast_infer,
        lambda x, shape: np.broadcast_to(x, shape),
        lambda ct, out, x, shape: (ct,),
        _lower_broadcast,
        batching=batching.broadcast,
        movement=Movement.BROADCAST,
        positive_if=(0,),
        linear=True,
        flat_if=(0,),
        kernel=Element(lambda k, node, i: k.at(node.args[0], k.aligned(i, node, node.args[0]))),
    )
)


@builds(_broadcast_to)
def broadcast_to(x: Expr, shape: Sequence[Dim]) -> Expr:
    """``x`` repeated along its axes of length one, and along new axes in front."""
    shape = tuple(shape)
    return x if shape == x.shape else _broadcast_to(x, shape=shape)


def _transpose_vjp(ct: Expr, out: Expr, x: Expr, *, perm: tuple[int, ...]) -> tuple[Expr]:
    return (transpose(ct, [perm.index(i) for i in range(len(perm))]),)


_transpose: Op = register(
    Op(
        "Transpose",
        lambda x, *, perm: x.with_shape([x.shape[axis] for axis in perm]),
        lambda x, perm: np.transpose(x, perm),
        _transpose_vjp,
        lambda b, node, x: b.add("Transpose", x, perm=list(node.attrs["perm"])),
        batching=batching.transpose,
        movement=Movement.PERMUTE,
        positive_if=(0,),
        linear=True,
        flat_if=(0,),
        kernel=Element(_transposed_element),
    )
)


@builds(_transpose)
def transpose(x: Expr, perm: Sequence[int]) -> Expr:
    """Axes in another order: axis i of the result is axis ``perm[i]`` of ``x``."""
    axes = tuple(canonical_axis(axis, x.rank) for axis in perm)
    if sorted(axes) != list(range(x.rank)):
        raise InputError(f"{tuple(perm)} is not a permutation of the axes of {x.type}")
    return x if axes == tuple(range(x.rank)) else _transpose(x, perm=axes)


# --- cutting and joining ------------------------------------------------------------------


def _slice_infer(
    x: TensorType, *, starts: Shape, steps: tuple[int, ...], sizes: Shape
) -> TensorType:
    for start, step, size, dim in zip(starts, steps, sizes, x.shape, strict=True):
        if is_positive(size):
            _require_inside(start, start + (size - 1) * step, dim)
    return x.with_shape(sizes)


def _require_inside(start: Dim, last: Dim, dim: Dim) -> None:
    """Leave to be compared at run time whether two elements are there, where it is not seen."""
    for end in {start, last}:
        if isinstance(end, int) and isinstance(dim, int) and not 0 <= end < dim:
            raise InputError(f"element {end} of an axis of length {dim} is asked for")
        require_equal(maximum(end, 0), end)
        require_equal(minimum(end + 1, dim), end + 1)


def _slice_ref(
    x: Array, starts: Sequence[int], steps: Sequence[int], sizes: Sequence[int]
) -> Array:
    index = [
        start + step * np.arange(size)
        for start, step, size in zip(starts, steps, sizes, strict=True)
    ]
    return x[np.ix_(*index)] if index else x


def _slice_vjp(
    ct: Expr, out: Expr, x: Expr, *, starts: Shape, steps: tuple[int, ...], sizes: Shape
) -> tuple[Expr]:
    """Zeros around, and between where the step leaves elements out."""
    backwards = [axis for axis, step in enumerate(steps) if step < 0]
    ct = flip(ct, backwards)
    before, after = [], []
    for axis, (start, step, size) in enumerate(zip(starts, steps, sizes, strict=True)):
        first = start + (size - 1) * step if step < 0 else start
        ct = _spread(ct, axis, abs(step))
        if is_positive(size) or (size == x.shape[axis] and abs(step) == 1):
            before.append(first)
        else:  # of no elements it may lie anywhere
            before.append(minimum(maximum(first, 0), x.shape[axis]))
        after.append(x.shape[axis] - before[-1] - ct.shape[axis])
    return (pad(ct, before, after),)


def _spread(x: Expr, axis: int, step: int) -> Expr:
    """step-1 zeros between neighbours along an axis."""
    if step == 1:
        return x
    split = expand_dims(x, (axis + 1,))
    wide = pad(
        split, [0] * split.rank, [step - 1 if i == axis + 1 else 0 for i in range(split.rank)]
    )
    size = x.shape[axis]
    merged = reshape(wide, (*x.shape[:axis], size * step, *x.shape[axis + 1 :]))
    return take_range(merged, axis, 0, maximum(size * step - (step - 1), 0))


def _lower_slice(b: Any, node: Expr, x: str) -> str:
    axes = [
        axis
        for axis, (size, dim) in enumerate(zip(node.shape, node.args[0].shape, strict=True))
        if size != dim or node.attrs["steps"][axis] != 1
    ]
    steps, sizes = ([node.attrs[key][axis] for axis in axes] for key in ("steps", "sizes"))
    starts = [_start(node, axis) for axis in axes]
    ends = [
        # Counted from the back, so that "before the first" is not taken for "the last".
        start + step * size - (node.args[0].shape[axis] if step < 0 else 0)
        for axis, start, step, size in zip(axes, starts, steps, sizes, strict=True)
    ]
    bounds = b.sizes(starts), b.sizes(ends), b.const(axes, "int64"), b.const(steps, "int64")
    return str(b.add("Slice", x, *bounds))


def _start(node: Expr, axis: int) -> Dim:
    """Where a slice begins: before an axis if it takes nothing, which ONNX counts from the end."""
    start, size = node.attrs["starts"][axis], node.shape[axis]
    never_empty = is_positive(size) or size == node.args[0].shape[axis]
    return start if never_empty else maximum(start, 0)


_slice: Op = register(
    Op(
        "Slice",
        _slice_infer,
        _slice_ref,
        _slice_vjp,
        _lower_slice,
        batching=batching.slices,
        movement=Movement.SELECT,
        positive_if=(0,),
        linear=True,
        flat_if=(0,),
        kernel=Element(_sliced_element),
    )
)


@builds(_slice)
def slice_(x: Expr, starts: Sequence[Dim], steps: Sequence[int], sizes: Sequence[Dim]) -> Expr:
    """``sizes`` elements along each axis, from ``starts`` on, every ``steps``-th."""
    if tuple(sizes) == x.shape and all(step == 1 for step in steps):
        return x
    return _slice(x, starts=tuple(starts), steps=tuple(steps), sizes=tuple(sizes))


def take_range(x: Expr, axis: int, start: Dim, size: Dim, step: int = 1) -> Expr:
    """A slice along one axis."""
    starts = [start if i == axis else 0 for i in range(x.rank)]
    steps = [step if i == axis else 1 for i in range(x.rank)]
    return slice_(x, starts, steps, [size if i == axis else d for i, d in enumerate(x.shape)])


def flip(x: Expr, axes: Sequence[int]) -> Expr:
    """The order of elements reversed along axes."""
    axes = canonical_axes(axes, x.rank)
    if not axes:
        return x
    starts = [x.shape[axis] - 1 if axis in axes else 0 for axis in range(x.rank)]
    return _slice(
        x,
        starts=tuple(starts),
        steps=tuple(-1 if axis in axes else 1 for axis in range(x.rank)),
        sizes=x.shape,
    )


def _pad_infer(x: TensorType, *, before: Shape, after: Shape) -> TensorType:
    shape = [b + dim + a for b, dim, a in zip(before, x.shape, after, strict=True)]
    return x.with_shape(shape)


_pad: Op = register(
    Op(
        "Pad",
        _pad_infer,
        lambda x, before, after: np.pad(x, list(zip(before, after, strict=True))),
        lambda ct, out, x, before, after: (slice_(ct, before, [1] * x.rank, x.shape),),
        lambda b, node, x: b.add(
            "Pad", x, b.sizes((*node.attrs["before"], *node.attrs["after"])), b.const(0, node.dtype)
        ),
        batching=batching.pad,
        linear=True,
        kernel=Element(_padded_element),
    )
)


@builds(_pad)
def pad(x: Expr, before: Sequence[Dim], after: Sequence[Dim]) -> Expr:
    """Zeros around ``x``."""
    if all(size == 0 for size in (*before, *after)):
        return x
    return _pad(x, before=tuple(before), after=tuple(after))


def _concat_infer(*types: TensorType, axis: int) -> TensorType:
    first, shape = types[0], list(types[0].shape)
    shape[axis] = 0
    for other in types:
        if other.dtype != first.dtype or other.rank != first.rank:
            raise InputError("arrays to join need one dtype and one rank")
        shape = [
            shape[i] + dim if i == axis else broadcast_equal(shape[i], dim)
            for i, dim in enumerate(other.shape)
        ]
    return first.with_shape(shape)


def broadcast_equal(left: Dim, right: Dim) -> Dim:
    """The dim that both must be."""
    require_equal(left, right)
    return left


def _concat_vjp(ct: Expr, out: Expr, *args: Expr, axis: int) -> tuple[Expr, ...]:
    start: Dim = 0
    cotangents = []
    for arg in args:
        cotangents.append(take_range(ct, axis, start, arg.shape[axis]))
        start = start + arg.shape[axis]
    return tuple(cotangents)


_concat: Op = register(
    Op(
        "Concat",
        _concat_infer,
        lambda *arrays, axis: np.concatenate(arrays, axis=axis),
        _concat_vjp,
        lambda b, node, *names: b.add("Concat", *names, axis=node.attrs["axis"]),
        ((-3.0, 3.0), (-3.0, 3.0)),
        batching=batching.concat,
        linear=True,
        selecting=True,
        kernel=Element(_joined_element),
    )
)


@builds(_concat)
def concat(arrays: Sequence[Expr], axis: int) -> Expr:
    """Arrays joined along an axis."""
    if not arrays:
        raise InputError("concat needs at least one array")
    if len(arrays) == 1:
        return arrays[0]
    return _concat(*arrays, axis=canonical_axis(axis, arrays[0].rank))


def _split_infer(x: TensorType, *, axis: int, sizes: Shape) -> TupleType:
    total: Dim = 0
    for size in sizes:
        total = total + size
    require_equal(x.shape[axis], total)
    shapes = ([size if i == axis else dim for i, dim in enumerate(x.shape)] for size in sizes)
    return TupleType(tuple(map(x.with_shape, shapes)))


def _split_ref(x: Array, axis: int, sizes: Sequence[int]) -> tuple[Array, ...]:
    return tuple(np.split(x, np.cumsum(sizes)[:-1], axis=axis))


def _split_vjp(
    ct: Mapping[int, Expr], out: Expr, x: Expr, *, axis: int, sizes: Shape, **_: Any
) -> tuple[Expr]:
    parts = [
        ct[place] if place in ct else broadcast_to(const(0, x.dtype), part.shape)
        for place, part in enumerate(out.type.items)
    ]
    return (concat(parts, axis),)


def _lower_split(b: Any, node: Expr, x: str) -> str:
    axis, sizes = node.attrs["axis"], b.sizes(node.attrs["sizes"])
    return str(b.results(node, "Split", x, sizes, axis=axis))


_split: Op = register(Op("Split", _split_infer, _split_ref, _split_vjp, _lower_split, linear=True))


def split(x: Expr, axis: int, sizes: Sequence[Dim]) -> list[Expr]:
    """An array cut into parts along an axis."""
    if len(sizes) == 1:
        return [x]
    return results_of(_split(x, axis=canonical_axis(axis, x.rank), sizes=tuple(sizes)))


# --- values made of sizes -----------------------------------------------------------------

_size_of: Op = register(
    Op(
        "SizeOf",
        lambda *of, size: TensorType("int64", ()),
        lambda *of, size: np.asarray(size, np.int64),
        lambda ct, out, *of, size: (None,) * len(of),
        lambda b, node, *of: b.scalar_size(node.attrs["size"]),
        (),
        batching=batching.sizes_only,
        kernel=Element(lambda k, node, i: k.size(node.attrs["size"])),
    )
)


@builds(_size_of)
def size_of(size: Dim, *of: Expr) -> Expr:
    """A size as an int64 scalar.

    Args:
        size: the size.
        of: what has it, where that is known when the graph runs, and nothing else may read it.
    """
    return _size_of(*of, size=size) if isinstance(size, Size) else const(size, "int64")


_iota: Op = register(
    Op(
        "Iota",
        lambda *, size: TensorType("int64", (size,)),
        lambda size: np.arange(size, dtype=np.int64),
        lambda ct, out, size: (),
        lambda b, node: b.add(
            "Range", b.const(0, "int64"), b.scalar_size(node.attrs["size"]), b.const(1, "int64")
        ),
        (),
        batching=batching.sizes_only,
        kernel=Element(lambda k, node, i: k.place(i[0])),
    )
)


@builds(_iota)
def iota(size: Dim) -> Expr:
    """0, 1, .. size-1 in int64."""
    if isinstance(size, int) and size <= 1024:  # beyond that the graph counts by itself
        return const(np.arange(size), "int64")
    return _iota(size=size)


def full(value: float, dtype: str, shape: Sequence[Dim]) -> Expr:
    """One number everywhere."""
    return broadcast_to(const(value, dtype), shape)
