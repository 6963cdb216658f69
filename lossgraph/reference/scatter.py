"""Operators that write at indices, or select by a mask."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from .array import Array, axis_of, operator, raw
from .dtypes import Raw, common
from .index import located


def _added(data: Array, source: Array, places: Any) -> Array:
    dtype = common(raw(data).dtype, raw(source).dtype)
    result: Raw = raw(data).astype(dtype)
    np.add.at(result, places, raw(source).astype(dtype))
    return Array(result)


@operator
def scatter_add(data: Array, index: Array, src: Array, axis: int = 0) -> Array:
    """The array with others added at indices along an axis."""
    value = raw(data)
    along = axis_of(axis, value.ndim)
    place, _ = located(raw(index), value.shape[along], "raise", "index")
    places: list[Any] = list(np.indices(place.shape, sparse=True))
    places[along] = place
    return _added(data, src, tuple(places))


@operator
def index_add(data: Array, index: Array, source: Array, axis: int = 0, alpha: float = 1.0) -> Array:
    """The array with slices, times ``alpha``, added to those at the indices."""
    value = raw(data)
    along = axis_of(axis, value.ndim)
    place, _ = located(raw(index), value.shape[along], "raise", "index")
    places = (*(slice(None),) * along, place)
    scaled = Array(raw(source) * alpha if alpha != 1 else raw(source))
    return _added(data, scaled, places)


@operator
def boolean_mask(data: Array, index: Any, axis: int = 0) -> Array:
    """The slices along an axis where a mask is not zero."""
    mask = np.asarray(index.value if isinstance(index, Array) else index)
    if mask.dtype.kind not in "biuf":
        raise InputError(f"index: expected a mask, got {type(index).__name__}")
    mask = mask != 0
    along = axis_of(axis, raw(data).ndim)
    if mask.shape != raw(data).shape[along : along + 1]:
        raise InputError("the mask has not the length of the axis")
    return Array(np.compress(mask, raw(data), along))
