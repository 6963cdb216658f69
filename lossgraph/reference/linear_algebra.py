"""Linear algebra, by numpy's, on the last two axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError
from .array import OPERATORS, Array, floating, kept, operator, raw
from .dtypes import Raw, accumulator
from .missing import Namespace
from .shape import _matmul, _pair


def _square(data: Array) -> Raw:
    value = floating(data)
    if value.ndim < 2 or value.shape[-1] != value.shape[-2]:
        raise InputError("expected square matrices, or stacks of them")
    return value


def _floats(first: Array, second: Array) -> tuple[Raw, Raw, np.dtype[Any]]:
    """Two operands in a dtype to add up in, integers as floats, and the dtype of the result."""
    return _pair(Array(floating(first)), Array(floating(second)))


def _each(function: Callable[..., Raw], *values: Raw) -> Raw:
    """A function of matrices for each of a stack; NaN of those that numpy refuses."""
    stack = np.broadcast_shapes(*(value.shape[:-2] for value in values))
    wide = [
        np.broadcast_to(value, stack + value.shape[-2:]).astype(accumulator(value.dtype))
        for value in values
    ]
    found = []
    for place in np.ndindex(stack):
        try:
            found.append(function(*(value[place] for value in wide)))
        except np.linalg.LinAlgError:
            found.append(np.full_like(wide[-1][place], np.nan))
    if not found:
        return np.zeros(stack + values[-1].shape[-2:], values[0].dtype)
    return np.reshape(found, stack + found[0].shape).astype(values[0].dtype)


def _turn(value: Raw, transpose: bool) -> Raw:
    return np.swapaxes(value, -1, -2) if transpose else value


@operator
def linalg_gemm2(
    A: Array,
    B: Array,
    transpose_a: bool = False,
    transpose_b: bool = False,
    alpha: float = 1.0,
    axis: int = -2,
) -> Array:
    """Alpha times the matrix products; the rows are along ``axis``, the columns along the last."""
    first, second, dtype = _floats(A, B)
    if first.ndim < 2 or second.ndim != first.ndim:
        raise InputError("expected two arrays of one rank, at least 2")
    left, right = (np.moveaxis(each, axis, -2) for each in (first, second))
    product = alpha * _matmul(left, right, transpose_a, transpose_b)
    return Array(np.moveaxis(product, -2, axis).astype(dtype))


@operator
def linalg_gemm(
    A: Array,
    B: Array,
    C: Array,
    transpose_a: bool = False,
    transpose_b: bool = False,
    alpha: float = 1.0,
    beta: float = 1.0,
    axis: int = -2,
) -> Array:
    """``linalg_gemm2``, plus beta times ``C``."""
    product = linalg_gemm2(A, B, transpose_a, transpose_b, alpha, axis)
    return Array(raw(product) + np.asarray(beta * raw(C), product.dtype))


@operator
def linalg_syrk(A: Array, transpose: bool = False, alpha: float = 1.0) -> Array:
    """Alpha A A^T, or alpha A^T A."""
    value = floating(A)
    wide = value.astype(accumulator(value.dtype))
    return Array(
        (alpha * (_turn(wide, transpose) @ _turn(wide, not transpose))).astype(value.dtype)
    )


def _triangle(value: Raw, lower: bool) -> Raw:
    return np.tril(value) if lower else np.triu(value)


@operator
def linalg_trmm(
    A: Array,
    B: Array,
    transpose: bool = False,
    rightside: bool = False,
    lower: bool = True,
    alpha: float = 1.0,
) -> Array:
    """Alpha op(A) B, or alpha B op(A); of A one triangle is read."""
    first, second, dtype = _floats(A, B)
    factor = _turn(_triangle(first, lower), transpose)
    return Array((alpha * (second @ factor if rightside else factor @ second)).astype(dtype))


@operator
def linalg_trsm(
    A: Array,
    B: Array,
    transpose: bool = False,
    rightside: bool = False,
    lower: bool = True,
    alpha: float = 1.0,
) -> Array:
    """X of op(A) X = alpha B, or of X op(A) = alpha B; of A one triangle is read."""
    first, second, dtype = _floats(A, B)
    turned = transpose != rightside
    factor = _turn(_triangle(first, lower), turned)
    x = _substituted(factor, alpha * _turn(second, rightside), lower != turned)
    return Array(_turn(x, rightside).astype(dtype))


def _substituted(factor: Raw, right: Raw, lower: bool) -> Raw:
    """X of a triangular system, row by row from the one that has a single unknown."""

    def one(a: Raw, b: Raw) -> Raw:
        x = np.zeros_like(b)
        rows = range(len(a)) if lower else range(len(a))[::-1]
        for i in rows:
            known = slice(0, i) if lower else slice(i + 1, None)
            x[i] = (b[i] - a[i, known] @ x[known]) / a[i, i]
        return x

    return _each(one, factor, right)


@operator
def linalg_potrf(A: Array, lower: bool = True) -> Array:
    """The Cholesky factor of symmetric matrices; NaN where they are not positive definite."""
    value = _square(A)
    factor = _each(np.linalg.cholesky, (value + _turn(value, True)) / 2)
    return Array(_turn(factor, not lower))


linalg_cholesky = linalg_potrf


@operator
def linalg_potri(A: Array, lower: bool = True) -> Array:
    """The inverse of a matrix from its Cholesky factor."""
    factor = _triangle(_square(A), lower)
    eye = np.broadcast_to(np.eye(factor.shape[-1], dtype=factor.dtype), factor.shape)
    inverse = _substituted(factor, eye, lower)
    turned = _turn(inverse, True)
    return Array(turned @ inverse if lower else inverse @ turned)


@operator
def linalg_sumlogdiag(A: Array) -> Array:
    """The sum of the logarithms of the diagonal."""
    return kept(np.sum(np.log(np.diagonal(_square(A), axis1=-2, axis2=-1)), axis=-1))


@operator
def linalg_inverse(A: Array) -> Array:
    """The inverse, NaN where there is none."""
    return Array(_each(np.linalg.inv, _square(A)))


linalg_inv = linalg_inverse


@operator
def linalg_solve(A: Array, B: Array) -> Array:
    """X of A X = B, NaN where A has no inverse."""
    first, second, dtype = _pair(_square_array(A), B)
    return Array(_each(np.linalg.solve, first, second).astype(dtype))


def _square_array(data: Array) -> Array:
    return Array(_square(data))


@operator
def linalg_det(A: Array) -> Array:
    """The determinant."""
    value = _square(A)
    return kept(np.linalg.det(value.astype(accumulator(value.dtype))).astype(value.dtype))


@operator
def linalg_slogdet(A: Array) -> list[Array]:
    """The sign of the determinant and the logarithm of its size."""
    value = _square(A)
    found = np.linalg.slogdet(value.astype(accumulator(value.dtype)))
    return [kept(part.astype(value.dtype)) for part in found]


@operator
def linalg_extractdiag(A: Array, offset: int = 0) -> Array:
    """A diagonal of each matrix."""
    return Array(np.diagonal(raw(A), offset, -2, -1))


@operator
def linalg_makediag(A: Array, offset: int = 0) -> Array:
    """Matrices with vectors on a diagonal."""
    value = floating(A)
    size = value.shape[-1] + abs(offset)
    result = np.zeros((*value.shape[:-1], size, size), value.dtype)
    places = np.arange(value.shape[-1])
    result[..., places + max(-offset, 0), places + max(offset, 0)] = value
    return Array(result)


def _places(size: int, offset: int, lower: bool) -> Any:
    below = offset < 0 or (offset == 0 and lower)
    return np.tril_indices(size, offset) if below else np.triu_indices(size, offset)


@operator
def linalg_extracttrian(A: Array, offset: int = 0, lower: bool = True) -> Array:
    """A triangle of each matrix, row by row."""
    value = _square(A)
    rows, columns = _places(value.shape[-1], offset, lower)
    return Array(value[..., rows, columns])


@operator
def linalg_maketrian(A: Array, offset: int = 0, lower: bool = True) -> Array:
    """Matrices with a triangle of the numbers of vectors."""
    value = floating(A)
    count = value.shape[-1]
    size = int((np.sqrt(8 * count + 1) - 1) / 2)
    if size * (size + 1) // 2 != count:
        raise InputError(f"{count} elements are no triangle")
    size += abs(offset)
    result = np.zeros((*value.shape[:-1], size, size), value.dtype)
    rows, columns = _places(size, offset, lower)
    result[..., rows, columns] = value
    return Array(result)


linalg = Namespace(
    "F.linalg",
    **{
        name.removeprefix("linalg_"): value
        for name, value in OPERATORS.items()
        if name.startswith("linalg_")
    },
    cholesky=linalg_potrf,
    inv=linalg_inverse,
)
