"""Linear algebra of ``F``: each function as ``F.linalg_<name>`` and as ``F.linalg.<name>``.

All work on the last two axes, the others count matrices of a stack, and broadcast where there
are two arrays. Sizes may be known by name only. The factorizations are scans over columns, with
the error bounds of LAPACK's (``lossgraph.passes.factorizations`` states them): relative to the
condition of the matrix, some n roundings. They are sequential: for matrices of some hundreds of
rows, not of thousands.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from ..ir import dims, ops
from ..ir.expr import Expr, const
from ..ir.types import broadcast_shapes, canonical_axis
from ..passes import factorizations
from ..reference.missing import Namespace
from .elementwise import _floating
from .matrices import triangle
from .register import function
from .shape import batch_dot
from .symbol import Operand, Symbol, as_expr, definite, static, with_axes, wrap


def _matrices(a: Operand) -> Expr:
    x = _floating(a)
    if x.rank < 2:
        raise InputError(f"expected matrices, or stacks of them, got {x.type}")
    return x


def _same_stack(a: Operand, b: Operand) -> tuple[Expr, Expr]:
    """Two arrays of matrices in one dtype, and as many of one as of the other."""
    x, y = definite(a, b, floating=True)
    x, y = _matrices(wrap(x)), _matrices(wrap(y))
    stack = broadcast_shapes(x.shape[:-2], y.shape[:-2])
    return (
        ops.broadcast_to(x, (*stack, *x.shape[-2:])),
        ops.broadcast_to(y, (*stack, *y.shape[-2:])),
    )


def _scaled(x: Expr, alpha: float) -> Expr:
    return x if alpha == 1 else x * float(alpha)


def _numbers(x: Expr) -> Symbol:
    """One number a matrix, of a single one in the shape (1,)."""
    return wrap(x if x.rank else ops.reshape(x, (1,)))


# --- products -----------------------------------------------------------------------------------


def _rows_at(x: Expr, axis: int) -> tuple[int, ...]:
    """The axes with that of the rows last but one."""
    axis = canonical_axis(axis, x.rank)
    others = [i for i in range(x.rank) if i != axis]
    return (*others[:-1], axis, others[-1])


def _turned(x: Expr, axis: int) -> Expr:
    return x if axis == -2 else ops.transpose(x, _rows_at(x, axis))


def _turned_back(x: Symbol, axis: int) -> Symbol:
    if axis == -2:
        return x
    order = _rows_at(x.expr, axis)
    return wrap(ops.transpose(x.expr, [order.index(i) for i in range(x.ndim)]))


@function()
def linalg_gemm2(
    A: Operand,
    B: Operand,
    transpose_a: bool = False,
    transpose_b: bool = False,
    alpha: float = 1.0,
    axis: int = -2,
) -> Symbol:
    """``alpha`` times the product of the matrices in two stacks, whose rows are along ``axis``."""
    a, b = definite(A, B, floating=True)
    a, b = _turned(a, axis), _turned(b, axis)
    if a.rank == b.rank == 2:
        product = wrap(ops.gemm(a, b, None, transpose_a, transpose_b))
    else:
        product = batch_dot(wrap(a), wrap(b), transpose_a, transpose_b)
    return _turned_back(product if alpha == 1 else product * alpha, axis)


@function()
def linalg_gemm(
    A: Operand,
    B: Operand,
    C: Operand,
    transpose_a: bool = False,
    transpose_b: bool = False,
    alpha: float = 1.0,
    beta: float = 1.0,
    axis: int = -2,
) -> Symbol:
    """``alpha`` times the product of the matrices in two stacks, plus ``beta`` times ``C``."""
    a, b, c = definite(A, B, C, floating=True)
    if a.rank == b.rank == 2 and alpha == beta == 1:
        return wrap(ops.gemm(a, b, c, transpose_a, transpose_b))
    product: Symbol = linalg_gemm2(wrap(a), wrap(b), transpose_a, transpose_b, alpha, axis)
    return product + wrap(c) * beta


@function()
def linalg_syrk(A: Operand, transpose: bool = False, alpha: float = 1.0) -> Symbol:
    """``alpha A A^T``, or ``alpha A^T A``."""
    a = _matrices(A)
    turned = ops.matrix_transpose(a)
    product = ops.matmul(turned, a) if transpose else ops.matmul(a, turned)
    return wrap(_scaled(product, alpha))


@function()
def linalg_trmm(
    A: Operand,
    B: Operand,
    transpose: bool = False,
    rightside: bool = False,
    lower: bool = True,
    alpha: float = 1.0,
) -> Symbol:
    """``alpha op(A) B``, or ``alpha B op(A)``: of A one triangle is read."""
    a, b = _same_stack(A, B)
    a = triangle(a, 0, lower)
    a = ops.matrix_transpose(a) if transpose else a
    return wrap(_scaled(ops.matmul(b, a) if rightside else ops.matmul(a, b), alpha))


# --- triangular factors -------------------------------------------------------------------------


@function(False, "linalg_cholesky")
def linalg_potrf(A: Operand, lower: bool = True) -> Symbol:
    """The Cholesky factor: ``A = L L^T``, or ``A = U^T U`` if not ``lower``.

    A matrix that is not positive definite has a factor of NaN. Of one that is not symmetric it
    is that of ``(A + A^T)/2``, so that the gradient is symmetric.
    """
    factor = factorizations.cholesky(_matrices(A))
    return wrap(factor if lower else ops.matrix_transpose(factor))


@function()
def linalg_trsm(
    A: Operand,
    B: Operand,
    transpose: bool = False,
    rightside: bool = False,
    lower: bool = True,
    alpha: float = 1.0,
) -> Symbol:
    """X of ``op(A) X = alpha B``, or of ``X op(A) = alpha B``: of A one triangle is read."""
    a, b = _same_stack(A, B)
    b = _scaled(b, alpha)
    if not rightside:
        return wrap(factorizations.solve_triangular(a, b, lower=lower, transpose=transpose))
    b = ops.matrix_transpose(b)
    x = factorizations.solve_triangular(a, b, lower=lower, transpose=not transpose)
    return wrap(ops.matrix_transpose(x))


@function()
def linalg_potri(A: Operand, lower: bool = True) -> Symbol:
    """The inverse of a matrix from its Cholesky factor ``A``: ``(A A^T)^-1``, or ``(A^T A)^-1``."""
    a = _matrices(A)
    x = factorizations.solve_triangular(a, factorizations.eye_like(a), lower=lower, transpose=False)
    turned = ops.matrix_transpose(x)
    return wrap(ops.matmul(turned, x) if lower else ops.matmul(x, turned))


@function()
def linalg_sumlogdiag(A: Operand) -> Symbol:
    """The sum of the logarithms of the diagonal, one number a matrix."""
    diagonal = ops.log(_diagonal(_matrices(A), 0))
    return _numbers(ops.squeeze(ops.reduce_sum(diagonal, (-1,)), (-1,)))


# --- general matrices ---------------------------------------------------------------------------


@function(False, "linalg_inv")
def linalg_inverse(A: Operand) -> Symbol:
    """The inverse, NaN where there is none; ``F.linalg.solve`` is cheaper and more exact."""
    return wrap(factorizations.inverse(_matrices(A)))


@function()
def linalg_solve(A: Operand, B: Operand) -> Symbol:
    """X of ``A X = B``, NaN where A has no inverse; NumPy's function, for matrices B."""
    return wrap(factorizations.solve(*_same_stack(A, B)))


@function()
def linalg_det(A: Operand) -> Symbol:
    """The determinant, one number a matrix; its gradient is right where it is zero too."""
    return _numbers(factorizations.det(_matrices(A)))


@function()
def linalg_slogdet(A: Operand) -> list[Symbol]:
    """The sign of the determinant and the logarithm of its size, one of each a matrix."""
    a = _matrices(A)
    return [_numbers(factorizations.det_sign(a)), _numbers(factorizations.log_abs_det(a))]


# --- diagonals and triangles --------------------------------------------------------------------


def _diagonal(a: Expr, offset: int) -> Expr:
    """The elements of a diagonal, along the last axis."""
    rows = a.shape[-2] if offset >= 0 else a.shape[-2] + offset
    columns = a.shape[-1] - offset if offset >= 0 else a.shape[-1]
    size = dims.maximum(dims.minimum(rows, columns), 0)
    for axis, first in ((a.rank - 2, max(-offset, 0)), (a.rank - 1, max(offset, 0))):
        a = ops.take_range(a, axis, dims.minimum(first, a.shape[axis]), size)
    place = ops.broadcast_to(ops.expand_dims(ops.iota(size), (1,)), (*a.shape[:-1], 1))
    return ops.squeeze(ops.pick(a, place, -1), (-1,))


@function()
def linalg_extractdiag(A: Operand, offset: int = 0) -> Symbol:
    """A diagonal of each matrix."""
    return wrap(_diagonal(_matrices(A), int(offset)))


@function()
def linalg_makediag(A: Operand, offset: int = 0) -> Symbol:
    """Matrices with vectors on a diagonal, and zeros elsewhere."""
    x, offset = with_axes(_floating(A), 1, "makediag"), int(offset)
    size = x.shape[-1] + abs(offset)
    none = [0] * (x.rank - 1)
    x = ops.pad(x, (*none, max(-offset, 0)), (*none, max(offset, 0)))  # an element a row
    row, column = (ops.expand_dims(ops.iota(size), (axis,)) for axis in (1, 0))
    there = ops.equal(row + offset, column)
    return wrap(ops.where(there, ops.expand_dims(x, (-1,)), const(0, x.dtype)))


def _places(size: int, offset: int, lower: bool) -> np.ndarray[Any, Any]:
    """The places of a triangle in a matrix that is written as a row."""
    below = offset < 0 or (offset == 0 and lower)
    rows, columns = np.tril_indices(size, offset) if below else np.triu_indices(size, offset)
    return np.asarray(rows * size + columns, np.int64)


@function()
def linalg_extracttrian(A: Operand, offset: int = 0, lower: bool = True) -> Symbol:
    """A triangle of each matrix, row by row as a vector; the size has to be known."""
    a = _matrices(A)
    size = static(a.shape[-1], "extracttrian")
    flat = ops.reshape(a, (*a.shape[:-2], a.shape[-2] * a.shape[-1]))
    return wrap(ops.take(flat, const(_places(size, int(offset), lower)), -1))


@function()
def linalg_maketrian(A: Operand, offset: int = 0, lower: bool = True) -> Symbol:
    """Matrices with a triangle of the numbers of vectors; the size has to be known."""
    x, offset = with_axes(as_expr(A), 1, "maketrian"), int(offset)
    count = static(x.shape[-1], "maketrian")
    size = next((n for n in range(count + 1) if n * (n + 1) // 2 == count), -1)
    if size < 0:
        raise InputError(f"maketrian: {count} elements are no triangle: 1, 3, 6, 10 and so on are")
    size += abs(offset)
    source = np.zeros(size * size, np.int64)
    places = _places(size, offset, lower)
    source[places] = np.arange(count) + 1  # behind a zero
    none = [0] * (x.rank - 1)
    with_zero = ops.pad(x, (*none, 1), (*none, 0))
    filled = ops.take(with_zero, const(source), -1)
    return wrap(ops.reshape(filled, (*x.shape[:-1], size, size)))


# --- the namespace ------------------------------------------------------------------------------


def _namespace() -> Namespace:
    names = {name: value for name, value in globals().items() if name.startswith("linalg_")}
    aliases = {"linalg_cholesky": linalg_potrf, "linalg_inv": linalg_inverse}
    return Namespace(
        "F.linalg",
        **{name.removeprefix("linalg_"): value for name, value in {**names, **aliases}.items()},
    )


linalg = _namespace()  # F.linalg
