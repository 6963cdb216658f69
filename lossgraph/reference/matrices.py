"""Products of arrays and triangles of matrices, as numpy has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from .array import Array, kept, operator, raw
from .dtypes import accumulator, as_float
from .shape import _common


@operator
def matmul(lhs: Array, rhs: Array) -> Array:
    """Products of matrices in stacks that broadcast; a vector is a row on the left, else a column.

    Of two vectors the result has shape (1,).
    """
    first, second = (as_float(each) for each in _common((lhs, rhs)))
    wide = accumulator(first.dtype)
    return kept(np.matmul(first.astype(wide), second.astype(wide)).astype(first.dtype))


@operator
def tril(data: Array, k: int = 0) -> Array:
    """Matrices with zeros above the k-th diagonal."""
    if raw(data).ndim < 2:
        raise InputError("a triangle is part of a matrix")
    return Array(np.tril(raw(data), k))


@operator
def triu(data: Array, k: int = 0) -> Array:
    """Matrices with zeros below the k-th diagonal."""
    if raw(data).ndim < 2:
        raise InputError("a triangle is part of a matrix")
    return Array(np.triu(raw(data), k))


@operator
def einsum(subscripts: str, *operands: Array, optimize: Any = False) -> Array:
    """Products of arrays, summed over the letters that the result has not."""
    arrays = [as_float(each) for each in _common(operands)]
    wide = accumulator(arrays[0].dtype)
    total = np.einsum(subscripts, *(each.astype(wide) for each in arrays))
    return kept(np.asarray(total).astype(arrays[0].dtype))
