"""Operators that make arrays, move their elements, and contract them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from .array import Array, axis_of, kept, one_of, operator, raw
from .dtypes import Raw, common, parse

Shape = int | Sequence[int]


def _tuple(value: Any) -> tuple[Any, ...]:
    """A single number or None as a tuple of one."""
    return tuple(value) if isinstance(value, Sequence) else (value,)


# ---- making arrays


@operator
def full(shape: Shape, val: float, ctx: Any = None, dtype: Any = "float32") -> Array:
    """An array of one value."""
    return Array(np.full(shape, val, parse(dtype or "float32")))


@operator
def zeros(shape: Shape, ctx: Any = None, dtype: Any = "float32") -> Array:
    """An array of zeros."""
    return full(shape, 0, ctx, dtype)


@operator
def ones(shape: Shape, ctx: Any = None, dtype: Any = "float32") -> Array:
    """An array of ones."""
    return full(shape, 1, ctx, dtype)


@operator
def scalar(data: Array) -> Array:
    """An array of one element without its axes. Lossgraph's own."""
    return Array(raw(data).reshape(()))


@operator
def zeros_like(data: Array) -> Array:
    """Zeros in the shape and dtype of an array."""
    return Array(np.zeros_like(raw(data)))


@operator
def ones_like(data: Array) -> Array:
    """Ones in the shape and dtype of an array."""
    return Array(np.ones_like(raw(data)))


@operator
def arange(
    start: float,
    stop: float | None = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool | None = None,
    ctx: Any = None,
    dtype: Any = "float32",
) -> Array:
    """start, start + step, .. before stop, each ``repeat`` times; from 0 if only one is given."""
    first, last = (0, start) if stop is None else (start, stop)
    if step == 0:
        raise InputError("step is 0: expected another number")
    count = int(np.ceil((last - first) / step))
    each = int(step) if float(step).is_integer() else step  # what is whole stays so
    numbers = first + each * np.arange(count if count > 0 else 0)
    return Array(np.repeat(numbers, repeat), parse(dtype or "float32"))


@operator
def linspace(
    start: float,
    stop: float,
    num: int = 50,
    endpoint: bool = True,
    ctx: Any = None,
    dtype: Any = "float32",
) -> Array:
    """Numbers at equal distances from start to stop, which is the last one if ``endpoint``."""
    return Array(np.linspace(start, stop, num, endpoint), parse(dtype or "float32"))


@operator
def eye(N: int, M: int = 0, k: int = 0, ctx: Any = None, dtype: Any = "float32") -> Array:
    """An N x M matrix (square if M is 0) with ones on the k-th diagonal."""
    return Array(np.eye(N, M or N, k, parse(dtype or "float32")))


@operator
def diag(data: Array, k: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """The matrix with a diagonal of rank 1, or the k-th diagonal of two axes, put last."""
    value = raw(data)
    if value.ndim == 1:
        return Array(np.diag(value, k))
    found = np.diagonal(value, k, axis1, axis2)
    if found.shape[-1] == 0:
        raise InputError(f"diagonal {k} does not exist")
    return Array(found)


@operator
def shape_array(data: Array) -> Array:
    """The sizes of the axes, as int64."""
    return Array(np.array(raw(data).shape, np.int64))


@operator
def size_array(data: Array) -> Array:
    """The number of elements, as int64 of shape (1,)."""
    return Array(np.array([raw(data).size], np.int64))


# ---- the shape alone


class _Reshaping:
    """One pass over a target shape with MXNet's codes, beside the source's sizes."""

    def __init__(self, source: tuple[int, ...], target: tuple[int, ...]) -> None:
        self.source, self.target = source, target
        self.result: list[int] = []
        self.at = 0

    def take(self) -> int:
        """The next size of the source."""
        if self.at >= len(self.source):
            raise InputError(f"shape {self.target} asks for more axes than {self.source} has")
        self.at += 1
        return self.source[self.at - 1]

    def split(self, first: int, second: int) -> None:
        """Code -4: the next axis as two, of which one may be -1."""
        size = self.take()
        known = second if first == -1 else first
        if first == second == -1 or known <= 0 or size % known:
            raise InputError(f"an axis of {size} does not split into ({first}, {second})")
        parts = (size // known if first == -1 else first, size // known)
        self.result += [parts[0], parts[1] if second == -1 else second]
        if self.result[-1] * self.result[-2] != size:
            raise InputError(f"an axis of {size} does not split into ({first}, {second})")

    def run(self) -> list[int]:
        """The result's sizes, with at most one -1 left to infer."""
        codes = iter(self.target)
        for code in codes:
            if code == 0:
                self.result.append(self.take())
            elif code == -2:
                self.result += self.source[self.at :]
                self.at = len(self.source)
            elif code == -3:
                self.result.append(self.take() * self.take())
            elif code == -4:
                self.split(self.code(codes), self.code(codes))
            elif code >= -1:
                self.result.append(code)
                self.at += 1  # a given size stands for one axis of the source
            else:
                raise InputError(f"shape {self.target}: expected sizes and codes 0 to -4")
        return self.result

    def code(self, codes: Any) -> int:
        """One of the two sizes that follow the code -4."""
        code = next(codes, None)
        if code is None:
            raise InputError(f"shape {self.target}: -4 is followed by two sizes")
        return int(code)


def _target(source: tuple[int, ...], shape: tuple[int, ...], reverse: bool) -> tuple[int, ...]:
    if not shape:
        raise InputError("the shape is empty: a scalar has the shape (1,)")
    turn = -1 if reverse else 1
    sizes = _Reshaping(source[::turn], shape[::turn]).run()[::turn]
    return tuple(sizes)


@operator
def reshape(data: Array, shape: Shape, reverse: bool = False) -> Array:
    """The elements in another shape.

    Codes: 0 keeps the size of its axis, -1 is inferred, -2 keeps all axes left, -3 merges two,
    -4 splits one into the two sizes that follow. ``reverse`` reads the shape from the right.
    """
    value = raw(data)
    return Array(value.reshape(_target(value.shape, _tuple(shape), reverse)))


Reshape = reshape


def _span(begin: int | None, end: int | None, ndim: int) -> tuple[int, int]:
    first, last = begin or 0, ndim if end is None else end
    first, last = (i + ndim if i < 0 else i for i in (first, last))
    if not 0 <= first <= last <= ndim:
        raise InputError(f"axes {begin} to {end} are not a range of {ndim} axes")
    return first, last


@operator
def reshape_like(
    lhs: Array,
    rhs: Array,
    lhs_begin: int | None = None,
    lhs_end: int | None = None,
    rhs_begin: int | None = None,
    rhs_end: int | None = None,
) -> Array:
    """The axes of lhs between its bounds get the sizes of those of rhs between its own."""
    value, like = raw(lhs), raw(rhs).shape
    first, last = _span(lhs_begin, lhs_end, value.ndim)
    source = slice_builtin(*_span(rhs_begin, rhs_end, len(like)))
    return Array(value.reshape(value.shape[:first] + like[source] + value.shape[last:]))


@operator
def flatten(data: Array) -> Array:
    """All axes but the first merged into one."""
    value = raw(data)
    return Array(value.reshape(value.shape[0], int(np.prod(value.shape[1:]))))


Flatten = flatten


@operator
def expand_dims(data: Array, axis: int) -> Array:
    """A new axis of length 1 at that place of the result."""
    return Array(np.expand_dims(raw(data), axis))


@operator
def squeeze(data: Array, axis: Shape | None = None) -> Array:
    """Without the axes of length 1, or without those given; one axis stays."""
    return kept(np.squeeze(raw(data), None if axis is None else _tuple(axis)))


@operator
def transpose(data: Array, axes: Sequence[int] | None = None) -> Array:
    """The axes in another order, by default the reverse one."""
    return Array(np.transpose(raw(data), axes or None))


@operator
def swapaxes(data: Array, dim1: int = 0, dim2: int = 0) -> Array:
    """Two axes exchanged."""
    return Array(np.swapaxes(raw(data), dim1, dim2))


SwapAxis = swapaxes


@operator
def moveaxis(tensor: Array, source: Shape, destination: Shape) -> Array:
    """Axes at new places, the others in their order."""
    return Array(np.moveaxis(raw(tensor), source, destination))


# ---- moving elements


@operator
def flip(data: Array, axis: Shape) -> Array:
    """The elements backwards along the axes."""
    return Array(np.flip(raw(data), _tuple(axis)))


reverse = flip


@operator
def tile(data: Array, reps: Shape) -> Array:
    """The whole array repeated along each axis."""
    if any(count < 1 for count in _tuple(reps)):
        raise InputError("reps: expected numbers of at least 1")
    return Array(np.tile(raw(data), _tuple(reps)))


@operator
def repeat(data: Array, repeats: int, axis: int | None = None) -> Array:
    """Each element repeated along the axis; of the flattened array without one."""
    return Array(np.repeat(raw(data), repeats, axis))


def _common(arrays: tuple[Any, ...]) -> list[Raw]:
    if not arrays:
        raise InputError("expected at least one array")
    values = [raw(each) for each in arrays]
    dtype = functools.reduce(common, [value.dtype for value in values])
    return [value.astype(dtype) for value in values]


@operator
def concat(*data: Array, dim: int = 1, num_args: int | None = None) -> Array:
    """Arrays one after the other along an axis that they have."""
    return Array(np.concatenate(_common(data), dim))


Concat = concat


@operator
def stack(*data: Array, axis: int = 0, num_args: int | None = None) -> Array:
    """Arrays of one shape one after the other along a new axis."""
    return Array(np.stack(_common(data), axis))


@operator
def split(
    data: Array, num_outputs: int, axis: int = 1, squeeze_axis: bool = False
) -> Array | list[Array]:
    """Equal parts along the axis; a single one is not in a list."""
    value = raw(data)
    along = axis_of(axis, value.ndim)
    if squeeze_axis and value.shape[along] != num_outputs:
        raise InputError(f"squeeze_axis needs {num_outputs} elements along axis {axis}")
    parts = np.split(value, num_outputs, along)
    arrays = [kept(np.squeeze(part, along) if squeeze_axis else part) for part in parts]
    return arrays if num_outputs > 1 else arrays[0]


SliceChannel = split


def slice_builtin(*bounds: int | None) -> Any:
    """Python's own slice, whose name an operator has."""
    return np.s_[bounds[0] : bounds[1] : bounds[2] if len(bounds) > 2 else None]


@operator
def slice(data: Array, begin: Any, end: Any, step: Any = None) -> Array:
    """``data[begin:end:step]`` on the leading axes, None for an open end."""
    value = raw(data)
    first, last = _tuple(begin), _tuple(end)
    steps = _tuple(step) if step else (None,) * len(first)
    if not len(first) == len(last) == len(steps) <= value.ndim:
        raise InputError(f"begin, end and step need one length, at most {value.ndim}")
    return Array(value[tuple(map(slice_builtin, first, last, steps))])


@operator
def slice_axis(data: Array, axis: int, begin: int, end: int | None) -> Array:
    """``data[begin:end]`` along one axis, which may be empty; an overlong range is an error."""
    value = raw(data)
    along = axis_of(axis, value.ndim)
    size = value.shape[along]
    first = begin + size if begin < 0 else begin
    last = size if end is None else end + size if end < 0 else end
    if not 0 <= first <= last <= size:
        raise InputError(f"{begin} to {end} is not a range inside an axis of {size}")
    return Array(np.take(value, np.arange(first, last), along))


@operator
def slice_like(data: Array, shape_like: Array, axes: Shape | None = None) -> Array:
    """The leading part of each axis (or of ``axes``), as long as that of the other array."""
    value, like = raw(data), raw(shape_like).shape
    chosen = tuple(range(value.ndim)) if axes is None or axes == () else _tuple(axes)
    if len(chosen) == value.ndim and axes is None and len(like) != value.ndim:
        raise InputError("the ranks differ: name the axes")
    key = [slice_builtin(None, None)] * value.ndim
    for axis in chosen:
        size = like[axis_of(axis, len(like))]
        along = axis_of(axis, value.ndim)
        if size > value.shape[along]:
            raise InputError(f"axis {axis} has {value.shape[along]} elements, not {size}")
        key[along] = slice_builtin(None, size)
    return Array(value[tuple(key)])


@operator
def pad(data: Array, mode: str, pad_width: Sequence[int], constant_value: float = 0.0) -> Array:
    """Elements added before and after each axis: a constant, the edge, or a reflection."""
    value = raw(data)
    one_of("mode", mode, ("constant", "edge", "reflect"))
    if len(pad_width) != 2 * value.ndim:
        raise InputError(f"pad_width: expected {2 * value.ndim} numbers, got {len(pad_width)}")
    widths = list(zip(pad_width[::2], pad_width[1::2], strict=True))
    if mode == "constant":
        return Array(np.pad(value, widths, constant_values=constant_value))
    return Array(np.pad(value, widths, "edge" if mode == "edge" else "reflect"))


Pad = pad


# ---- broadcasting


@operator
def broadcast_to(data: Array, shape: Shape) -> Array:
    """Axes of length 1 repeated to the shape; 0 keeps the size."""
    value, target = raw(data), _tuple(shape)
    if len(target) != value.ndim:
        raise InputError(f"shape {target} has not the rank {value.ndim}")
    sizes = [size or old for size, old in zip(target, value.shape, strict=True)]
    return Array(np.broadcast_to(value, sizes).copy())


@operator
def broadcast_axes(data: Array, axis: Shape = (), size: Shape = ()) -> Array:
    """The named axes of length 1 repeated to the sizes."""
    value = raw(data)
    target = list(value.shape)
    axes = [axis_of(each, value.ndim) for each in _tuple(axis)]
    for along, length in zip(axes, _tuple(size), strict=True):
        if target[along] != 1:
            raise InputError(f"axis {along} has {target[along]} elements, not 1")
        target[along] = length
    return Array(np.broadcast_to(value, target).copy())


broadcast_axis = broadcast_axes


@operator
def broadcast_like(
    lhs: Array, rhs: Array, lhs_axes: Shape | None = None, rhs_axes: Shape | None = None
) -> Array:
    """Axes of length 1 repeated to the sizes of another array, or of some of its axes."""
    value, like = raw(lhs), raw(rhs).shape
    if lhs_axes is None or rhs_axes is None:
        if len(like) != value.ndim:
            raise InputError("the ranks differ: name lhs_axes and rhs_axes")
        return Array(np.broadcast_to(value, like).copy())
    target = list(value.shape)
    for mine, its in zip(_tuple(lhs_axes), _tuple(rhs_axes), strict=True):
        target[mine] = like[its]
    return Array(np.broadcast_to(value, target).copy())


# ---- contractions


def _pair(lhs: Any, rhs: Any) -> tuple[Raw, Raw, np.dtype[Any]]:
    """Both operands in a dtype to add up in, and the dtype of the result."""
    first, second = _common((lhs, rhs))
    dtype = first.dtype
    wide = np.dtype(np.float32) if dtype == np.float16 else dtype
    return first.astype(wide), second.astype(wide), dtype


@operator
def dot(lhs: Array, rhs: Array, transpose_a: bool = False, transpose_b: bool = False) -> Array:
    """Sum over the last axis of lhs and the first of rhs; transposed, the first and the last."""
    first, second, dtype = _pair(lhs, rhs)
    if first.ndim == second.ndim == 1 and (transpose_a or transpose_b):
        raise InputError("vectors cannot be transposed")
    axes = (0 if transpose_a else -1, -1 if transpose_b else 0)
    if first.shape[axes[0]] != second.shape[axes[1]]:
        raise InputError(f"contracts {first.shape[axes[0]]} with {second.shape[axes[1]]} elements")
    return kept(np.tensordot(first, second, ([axes[0]], [axes[1]])).astype(dtype))


def _matmul(first: Raw, second: Raw, transpose_a: bool, transpose_b: bool) -> Raw:
    if first.shape[:-2] != second.shape[:-2]:
        raise InputError(f"batches {first.shape[:-2]} and {second.shape[:-2]} differ")
    left = np.swapaxes(first, -1, -2) if transpose_a else first
    right = np.swapaxes(second, -1, -2) if transpose_b else second
    return np.asarray(left @ right)


@operator
def batch_dot(
    lhs: Array, rhs: Array, transpose_a: bool = False, transpose_b: bool = False
) -> Array:
    """Matrix products over the last two axes, one for each place in the axes before."""
    first, second, dtype = _pair(lhs, rhs)
    if first.ndim < 3 or second.ndim != first.ndim:
        raise InputError("expected two arrays of one rank, at least 3")
    return Array(_matmul(first, second, transpose_a, transpose_b).astype(dtype))
