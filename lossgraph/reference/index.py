"""Operators that read or write at indices that are data: labels, positions, lengths."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from .array import Array, axis_of, describe, kept, one_of, operator, raw
from .dtypes import Raw, common, is_float, parse

FAR = 2.0**62  # an index beyond any axis, and inside int64


def whole(index: Raw) -> tuple[Raw, Raw]:
    """Indices as int64, floats truncated towards zero, and where they are NaN."""
    if not is_float(index.dtype):
        wide = np.minimum(index, np.uint64(FAR)) if index.dtype.kind == "u" else index
        return wide.astype(np.int64), np.zeros(index.shape, bool)
    missing = np.isnan(index)
    wide = np.clip(np.trunc(index.astype(np.float64)), -FAR, FAR)
    return np.where(missing, 0, wide).astype(np.int64), missing


def located(index: Raw, size: int, mode: str, what: str) -> tuple[Raw, Raw]:
    """Indices inside 0..size-1 by clipping or wrapping, and where they were NaN.

    In mode "raise" the first one outside is an error instead; so is what is no whole number.
    """
    one_of("mode", mode, ("clip", "wrap", "raise"))
    place, missing = whole(index)
    if size == 0 and index.size:
        raise InputError(f"{what} points into an axis of length 0")
    if mode == "wrap":
        return np.mod(place, (size or 1)), missing
    if mode == "raise":
        between = is_float(index.dtype) & (place != index)
        _refuse(index, (place < 0) | (place >= size) | missing | between, size, what)
    return np.clip(place, 0, (size or 1) - 1), missing


def _refuse(index: Raw, bad: Raw, size: int, what: str) -> None:
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        where_ = ", ".join(map(str, first))
        raise InputError(f"{what}[{where_}] is {index[first]}: expected 0 to {size - 1}")


def _nan_at(result: Raw, missing: Raw) -> Raw:
    """NaN wherever the index was: it points nowhere."""
    if not missing.any():
        return result
    if not is_float(result.dtype):
        raise InputError("the index has a NaN, and integers have none to answer with")
    return np.where(missing, result.dtype.type(np.nan), result)


@operator
def pick(
    data: Array, index: Array, axis: int = -1, keepdims: bool = False, mode: str = "clip"
) -> Array:
    """One element along the axis for each index: ``data[i, index[i]]``."""
    value, chosen = raw(data), raw(index)
    if axis is None:
        raise InputError("an axis is needed")
    along = axis_of(axis, value.ndim)
    narrow = (*value.shape[:along], 1, *value.shape[along + 1 :])
    short = value.shape[:along] + value.shape[along + 1 :]
    if chosen.shape not in (narrow, short, short or (1,)):
        raise InputError(f"index is {describe(index)}: expected the shape {short or (1,)}")
    place, missing = located(chosen.reshape(narrow), value.shape[along], mode, "index")
    result = _nan_at(np.take_along_axis(value, place, along), missing)
    return kept(result if keepdims else np.squeeze(result, along))


@operator
def take_along_axis(data: Array, indices: Array, axis: int) -> Array:
    """NumPy's function of this name, indices clipped."""
    value = raw(data)
    along = axis_of(axis, value.ndim)
    place, missing = located(raw(indices), value.shape[along], "clip", "indices")
    return Array(_nan_at(np.take_along_axis(value, place, along), missing))


@operator
def put_along_axis(data: Array, indices: Array, values: Array, axis: int) -> Array:
    """NumPy's function of this name, indices clipped, on a copy in the dtype of both."""
    value = np.array(raw(data), common(raw(data).dtype, raw(values).dtype))
    along = axis_of(axis, value.ndim)
    place, _ = located(raw(indices), value.shape[along], "clip", "indices")
    np.put_along_axis(value, place, raw(values), along)
    return Array(value)


@operator
def take(a: Array, indices: Array, axis: int = 0, mode: str = "clip") -> Array:
    """The slices of ``a`` at the indices along the axis."""
    value, chosen = raw(a), raw(indices)
    along = axis_of(axis, value.ndim)
    place, missing = located(chosen, value.shape[along], mode, "indices")
    spread = missing.reshape(missing.shape + (1,) * (value.ndim - along - 1))
    return Array(_nan_at(np.take(value, place, along), spread))


@operator
def batch_take(a: Array, indices: Array) -> Array:
    """One element of each row: ``a[i, indices[i]]``, indices clipped."""
    if raw(a).ndim != 2:
        raise InputError("expected an array of rank 2")
    picked: Array = pick(a, indices, axis=1)
    return picked


def embedding(
    data: Array,
    weight: Array,
    input_dim: int | None = None,
    output_dim: int | None = None,
    dtype: Any = None,
    sparse_grad: bool = False,
) -> Array:
    """The rows of ``weight`` at the indices ``data``, clipped."""
    table = raw(weight)
    expected = (input_dim or table.shape[0], output_dim or table.shape[-1])
    if table.shape != expected:
        raise InputError(f"weight is {describe(weight)}: expected the shape {expected}")
    return take(weight, data, axis=0)


embedding.__name__ = "Embedding"
Embedding = operator(embedding)


@operator
def one_hot(
    indices: Array,
    depth: int,
    on_value: float = 1.0,
    off_value: float = 0.0,
    dtype: Any = "float32",
) -> Array:
    """A last axis of length ``depth`` that is on at the index, off all over if outside."""
    place, missing = whole(raw(indices))
    on = (place[..., None] == np.arange(depth)) & ~missing[..., None]
    return Array(np.where(on, on_value, off_value), parse(dtype))


def _coordinates(indices: Raw, shape: tuple[int, ...]) -> tuple[Raw, ...]:
    """The rows of ``indices``, one for each leading axis of the shape."""
    if indices.ndim < 2 or not 1 <= len(indices) <= len(shape):
        raise InputError(
            f"indices need the shape (M, ...) with 1 <= M <= {len(shape)} and rank >= 2"
        )
    place, missing = whole(indices)
    sizes = np.reshape(shape[: len(indices)], (-1,) + (1,) * (indices.ndim - 1))
    bad = (place < -sizes) | (place >= sizes) | missing
    if bad.any():
        first = tuple(int(i) for i in np.argwhere(bad)[0])
        size = shape[first[0]]
        raise InputError(f"indices[{first}] is {indices[first]}: axis {first[0]} has {size}")
    return tuple(place)


@operator
def gather_nd(data: Array, indices: Array) -> Array:
    """``data[indices[0], indices[1], ...]``."""
    value = raw(data)
    return kept(value[_coordinates(raw(indices), value.shape)])


@operator
def scatter_nd(data: Array, indices: Array, shape: tuple[int, ...]) -> Array:
    """Zeros with ``data`` written at the indices, the last one where several meet."""
    result = np.zeros(shape, raw(data).dtype)
    result[_coordinates(raw(indices), result.shape)] = raw(data)
    return Array(result)


def _lengths(data: Array, length: Any, use: bool, axis: int) -> tuple[Raw, Raw]:
    """The array with the steps first and the batch second, and a length for each sample."""
    value = raw(data)
    one_of("axis", axis, (0, 1))
    if value.ndim < 2:
        raise InputError("expected at least the axes of steps and batch")
    steps_first = np.swapaxes(value, 0, axis)
    steps, batch = steps_first.shape[:2]
    if not use:
        return steps_first, np.full(batch, steps)
    if length is None or raw(length).shape != (batch,):
        got = "none" if length is None else describe(length)
        raise InputError(f"sequence_length: expected the shape ({batch},), got {got}")
    return steps_first, whole(raw(length))[0]


def _check_lengths(lengths: Raw, least: int, steps: int) -> None:
    bad = (lengths < least) | (lengths > steps)
    if bad.any():
        first = int(np.argmax(bad))
        raise InputError(
            f"sequence_length[{first}] is {lengths[first]}: expected {least} to {steps}"
        )


def sequence_mask(
    data: Array,
    sequence_length: Array | None = None,
    use_sequence_length: bool = False,
    value: float = 0.0,
    axis: int = 0,
) -> Array:
    """The array with ``value`` at the steps beyond each sample's length."""
    steps_first, lengths = _lengths(data, sequence_length, use_sequence_length, axis)
    inside = np.arange(len(steps_first))[:, None] < lengths
    inside = inside.reshape(inside.shape + (1,) * (steps_first.ndim - 2))
    masked = np.where(inside, steps_first, steps_first.dtype.type(value))
    return Array(np.swapaxes(masked, 0, axis))


def sequence_last(
    data: Array,
    sequence_length: Array | None = None,
    use_sequence_length: bool = False,
    axis: int = 0,
) -> Array:
    """Each sample's last step inside its length."""
    steps_first, lengths = _lengths(data, sequence_length, use_sequence_length, axis)
    _check_lengths(lengths, 1, len(steps_first))
    return Array(steps_first[lengths - 1, np.arange(len(lengths))])


def sequence_reverse(
    data: Array,
    sequence_length: Array | None = None,
    use_sequence_length: bool = False,
    axis: int = 0,
) -> Array:
    """Each sample's steps inside its length backwards, the rest in place."""
    one_of("axis", axis, (0,))
    steps_first, lengths = _lengths(data, sequence_length, use_sequence_length, axis)
    _check_lengths(lengths, 0, len(steps_first))
    step = np.arange(len(steps_first))[:, None]
    source = np.where(step < lengths, lengths - 1 - step, step)
    return Array(steps_first[source, np.arange(len(lengths))])


sequence_mask.__name__ = "SequenceMask"
sequence_last.__name__ = "SequenceLast"
sequence_reverse.__name__ = "SequenceReverse"
SequenceMask = operator(sequence_mask)
SequenceLast = operator(sequence_last)
SequenceReverse = operator(sequence_reverse)
