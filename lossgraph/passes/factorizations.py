"""Factorizations of matrices and what follows from them, batch-wise, by scans over columns.

ONNX has none of them (its Det has no float64 in ONNX Runtime, and no gradient). Each step of a
scan takes one column off what is left, so sizes may be known by name only. All are the textbook
algorithms, with their backward error bounds: with n columns and unit roundoff u, ``L L^T`` is A
up to about ``n u`` of its diagonal, a triangular system is solved exactly for a matrix that
differs by ``n u`` in each element, and elimination with row pivots as LAPACK's ``getrf``
(Higham, Accuracy and Stability of Numerical Algorithms, theorems 10.3, 8.5 and 9.3).

The derivatives are the known formulas, in these operations again, so that they nest.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..errors import DtypeError, InputError
from ..ir import ops
from ..ir.batching import BatchDim, common, not_over
from ..ir.expr import Array, Expr, Op, const, no_gradient, register
from ..ir.types import TensorType, require_equal
from .bodies import apart
from .scan import scan

# --- types, batches, helpers ------------------------------------------------------------------


def _square(a: TensorType) -> TensorType:
    if not a.is_float:
        raise DtypeError(f"needs a floating dtype, got {a.dtype}")
    if a.rank < 2:
        raise InputError(f"needs square matrices, or stacks of them, got {a}")
    require_equal(a.shape[-2], a.shape[-1])
    return a


def _system(a: TensorType, b: TensorType, **_: object) -> TensorType:
    _square(a)
    if b.dtype != a.dtype or b.rank != a.rank:
        raise InputError(f"needs as many right sides as matrices, got {a} and {b}")
    for one, other in zip(a.shape[:-1], b.shape[:-1], strict=True):
        require_equal(one, other)
    return b


def _stacked(node: Expr, batch_dims: Sequence[BatchDim | None], batch: str) -> BatchDim | None:
    """One matrix of the stack does not know of another."""
    return common(
        not_over((arg.rank - 2, arg.rank - 1), batch_dim)
        for arg, batch_dim in zip(node.args, batch_dims, strict=True)
    )


def _matrixwise(function: Callable[..., Array]) -> Callable[..., Array]:
    """A reference by numpy's function, in float64; of a matrix that it refuses NaN."""

    def one(*matrices: Array) -> Array:
        try:
            return function(*matrices)
        except np.linalg.LinAlgError:
            return np.full_like(matrices[-1], np.nan)

    def ref(*arrays: Array) -> Array:
        wide = [np.asarray(a, np.float64) for a in arrays]
        out = np.empty(wide[-1].shape)
        for place in np.ndindex(wide[0].shape[:-2]):
            out[place] = one(*(a[place] for a in wide))
        return out.astype(arrays[0].dtype)

    return ref


def eye_like(a: Expr) -> Expr:
    """The identity in the shape of a stack of square matrices."""
    places = ops.iota(a.shape[-1])
    equal = ops.equal(ops.expand_dims(places, (1,)), ops.expand_dims(places, (0,)))
    return ops.broadcast_to(ops.cast(equal, a.dtype), a.shape)


def tril(a: Expr, k: int = 0) -> Expr:
    """``a`` with zeros above its k-th diagonal."""
    row, column = (ops.iota(size) for size in a.shape[-2:])
    below = ops.less_equal(ops.expand_dims(column, (0,)), ops.expand_dims(row, (1,)) + k)
    return ops.where(below, a, ops.full(0, a.dtype, ()))


def _column(x: Expr) -> Expr:
    return ops.expand_dims(x, (-1,))


def _row(x: Expr) -> Expr:
    return ops.expand_dims(x, (-2,))


def _step_last(stacked: Expr) -> Expr:
    """What the steps put out, along the last axis."""
    return ops.transpose(stacked, (*range(1, stacked.rank), 0))


def _rows_of_steps(stacked: Expr) -> Expr:
    """What the steps put out, as rows of matrices."""
    return ops.transpose(stacked, (*range(1, stacked.rank - 1), 0, stacked.rank - 1))


def _lowered(formula: Callable[..., Expr]) -> Callable[..., str]:
    """A lowering by other expressions of the arguments."""

    def lower(b: Any, node: Expr, *names: str) -> str:
        with apart():
            return str(b.lower(formula(*node.args, **node.attrs)))

    return lower


# --- Cholesky ---------------------------------------------------------------------------------


def _cholesky_by_columns(a: Expr) -> Expr:
    """Each step takes ``l l^T`` off what is left; a pivot that is not positive spoils all."""
    if a.shape[-1] == 0:
        return a
    places = ops.iota(a.shape[-1])

    def step(carry: list[Expr], elements: list[Expr]) -> tuple[list[Expr], list[Expr]]:
        (left,), (j,) = carry, elements
        column = ops.take(left, j, left.rank - 1)
        pivot = ops.take(column, j, column.rank - 1)
        root = ops.sqrt(ops.where(ops.greater(pivot, 0.0), pivot, math.nan))
        column = ops.where(ops.greater_equal(places, j), column / _column(root), 0.0)
        return [left - ops.matmul(_column(column), _row(column))], [column]

    _, (columns,) = scan(step, [_symmetric(a)], [places])
    factor = _step_last(columns)
    spoilt = ops.reduce_sum(eye_like(a) * factor * 0.0, (factor.rank - 2, factor.rank - 1))
    return factor + spoilt


def _symmetric(a: Expr) -> Expr:
    return (a + ops.matrix_transpose(a)) * 0.5


def _cholesky_vjp(ct: Expr, out: Expr, a: Expr) -> tuple[Expr]:
    """sym(L^-T P L^-1) with P the lower triangle of L^T ct, half of its diagonal.

    Source: Murray (2016), Differentiation of the Cholesky decomposition.
    """
    inner = ops.matmul(ops.matrix_transpose(out), tril(ct))
    inner = tril(inner) - eye_like(inner) * inner * 0.5
    left = solve_triangular(out, inner, lower=True, transpose=True)
    both = solve_triangular(out, ops.matrix_transpose(left), lower=True, transpose=True)
    return (_symmetric(both),)


cholesky: Op = register(
    Op(
        "Cholesky",
        _square,
        _matrixwise(lambda a: np.linalg.cholesky((a + a.T) / 2)),
        _cholesky_vjp,
        _lowered(_cholesky_by_columns),
        batching=_stacked,
    )
)

# --- triangular systems -----------------------------------------------------------------------


def _forward_substitution(a: Expr, b: Expr) -> Expr:
    """Each step divides one row by its pivot, and takes its multiples off those below."""
    if a.shape[-1] == 0:
        return b
    places = ops.iota(a.shape[-1])
    columns = ops.transpose(a, (a.rank - 1, *range(a.rank - 1)))

    def step(carry: list[Expr], elements: list[Expr]) -> tuple[list[Expr], list[Expr]]:
        (left,), (column, j) = carry, elements
        pivot = ops.take(column, j, column.rank - 1)
        row = ops.take(left, j, left.rank - 2) / _column(pivot)
        below = ops.where(ops.greater(places, j), column, 0.0)
        return [left - ops.matmul(_column(below), _row(row))], [row]

    _, (rows,) = scan(step, [b], [columns, places])
    return _rows_of_steps(rows)


def _solve_lower_ref(a: Array, b: Array) -> Array:
    x = np.empty_like(b)
    with np.errstate(all="ignore"):
        for i in range(len(a)):
            x[i] = (b[i] - a[i, :i] @ x[:i]) / a[i, i]
    return x


def _solve_lower_vjp(ct: Expr, out: Expr, a: Expr, b: Expr) -> tuple[Expr, Expr]:
    by_b = solve_triangular(a, ct, lower=True, transpose=True)
    return (-tril(ops.matmul(by_b, ops.matrix_transpose(out))), by_b)


solve_lower: Op = register(  # L X = B, of L the lower triangle alone
    Op(
        "SolveLower",
        _system,
        _matrixwise(_solve_lower_ref),
        _solve_lower_vjp,
        _lowered(_forward_substitution),
        batching=_stacked,
        linear_in=(1,),
    )
)


def solve_triangular(a: Expr, b: Expr, *, lower: bool, transpose: bool) -> Expr:
    """X of ``A X = B``, or of ``A^T X = B``; of A one triangle is read."""
    if transpose:
        a = ops.matrix_transpose(a)
    if lower != transpose:
        return solve_lower(a, b)
    a, b = ops.flip(a, (-2, -1)), ops.flip(b, (-2,))  # the last row first: a lower triangle
    return ops.flip(solve_lower(a, b), (-2,))


# --- elimination ------------------------------------------------------------------------------


class _Elimination(NamedTuple):
    """A with its rows in another order is the product of the two triangles."""

    lower: Expr  # (.., n, n), ones on its diagonal
    upper: Expr  # (.., n, n)
    pivots: Expr  # (.., n)
    order: Expr  # (.., n): which row of A comes at each place


def _eliminated(a: Expr) -> _Elimination:
    """Each step takes multiples of the row with the largest pivot off all that are left."""
    size = a.shape[-1]
    places, batch = ops.iota(size), a.shape[:-2]

    def step(carry: list[Expr], elements: list[Expr]) -> tuple[list[Expr], list[Expr]]:
        (left, free), (j,) = carry, elements
        column = ops.take(left, j, left.rank - 1)
        sizes = ops.where(ops.greater(free, 0.0), ops.absolute(column), -1.0)
        best = ops.arg_extremum(sizes, sizes.rank - 1)
        row = ops.pick(left, ops.broadcast_to(_column(best), (*batch, 1, size)), -2)
        pivot = ops.take(row, j, row.rank - 1)
        free = ops.where(ops.equal(places, best), 0.0, free)
        divisor = ops.where(ops.equal(pivot, 0.0), 1.0, pivot)
        factor = ops.where(ops.greater(free, 0.0), column / divisor, 0.0)
        return [left - _column(factor) * row, free], [ops.squeeze(row, (-2,)), factor, pivot, best]

    start = [a, ops.full(1.0, a.dtype, (*batch, size))]
    _, (rows, factors, pivots, order) = scan(step, start, [places])
    order = _step_last(ops.squeeze(order, (-1,)))
    lower = tril(_reordered(_step_last(factors), order), -1) + eye_like(a)
    pivots = _step_last(ops.squeeze(pivots, (-1,)))
    return _Elimination(lower, _rows_of_steps(rows), pivots, order)


def _reordered(x: Expr, order: Expr) -> Expr:
    """The rows of matrices in another order."""
    return ops.pick(x, ops.broadcast_to(_column(order), x.shape), -2)


def _spoilt(a: Expr, pivots: Expr) -> Expr:
    """NaN for a matrix that has a NaN or no inverse, else 0: (.., 1, 1)."""
    nan = const(math.nan, a.dtype)
    none = ops.reduce_sum(ops.where(ops.equal(pivots, 0.0), nan, 0.0), (-1,))
    return _column(none) + ops.reduce_sum(a * 0.0, (-2, -1))


def _solve_by_elimination(a: Expr, b: Expr, transpose: bool) -> Expr:
    if a.shape[-1] == 0:
        return b
    found = _eliminated(a)
    if transpose:  # A^T = U^T L^T P
        x = solve_triangular(found.upper, b, lower=False, transpose=True)
        x = solve_triangular(found.lower, x, lower=True, transpose=True)
        back = ops.arg_sort(found.order, -1, a.shape[-1], largest=False)
        return _reordered(x, back) + _spoilt(a, found.pivots)
    x = solve_lower(found.lower, _reordered(b, found.order))
    x = solve_triangular(found.upper, x, lower=False, transpose=False)
    return x + _spoilt(a, found.pivots)


def _solve_vjp(ct: Expr, out: Expr, a: Expr, b: Expr, *, transpose: bool) -> tuple[Expr, Expr]:
    by_b = solve(a, ct, not transpose)
    left, right = (out, by_b) if transpose else (by_b, out)
    return (-ops.matmul(left, ops.matrix_transpose(right)), by_b)


def _solve_infer(a: TensorType, b: TensorType, *, transpose: bool) -> TensorType:
    return _system(a, b)


def _solve_ref(a: Array, b: Array, transpose: bool) -> Array:
    return _matrixwise(np.linalg.solve)(np.swapaxes(a, -1, -2) if transpose else a, b)


_solve: Op = register(
    Op(
        "Solve",
        _solve_infer,
        _solve_ref,
        _solve_vjp,
        _lowered(_solve_by_elimination),
        batching=_stacked,
        linear_in=(1,),
    )
)


def solve(a: Expr, b: Expr, transpose: bool = False) -> Expr:
    """X of ``A X = B``, or of ``A^T X = B``; NaN where A has no inverse."""
    return _solve(a, b, transpose=transpose)


def inverse(a: Expr, transpose: bool = False) -> Expr:
    """The inverse of matrices, or its transpose; NaN where there is none."""
    return solve(a, eye_like(a), transpose)


# --- determinants -----------------------------------------------------------------------------


def _parity(order: Expr) -> Expr:
    """1 for an order that an even number of exchanges makes, else -1."""
    places = ops.iota(order.shape[-1])
    earlier = ops.less(ops.expand_dims(places, (1,)), ops.expand_dims(places, (0,)))
    inverted = ops.logical_and(ops.greater(_column(order), _row(order)), earlier)
    count = ops.reduce_sum(ops.cast(inverted, "int64"), (-2, -1))
    return ops.squeeze(1 - ops.mod(count, 2) * 2, (-1, -2))


def _of_pivots(formula: Callable[[Expr, Expr], Expr], of_nothing: float) -> Callable[..., Expr]:
    """A number a matrix from ``formula(pivots, parity)``; NaN of a matrix with a NaN."""

    def value(a: Expr) -> Expr:
        if a.shape[-1] == 0:
            return ops.full(of_nothing, a.dtype, a.shape[:-2])
        found = _eliminated(a)
        parity = ops.cast(_parity(found.order), a.dtype)
        number = ops.squeeze(formula(found.pivots, _column(parity)), (-1,))
        return number + ops.squeeze(ops.reduce_sum(a * 0.0, (-2, -1)), (-1, -2))

    return value


def _number(a: TensorType) -> TensorType:
    return _square(a).with_shape(a.shape[:-2])


def _numbers(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    def ref(a: Array) -> Array:
        with np.errstate(all="ignore"):
            return np.asarray(function(a.astype(np.float64))).astype(a.dtype)

    return ref


def _cofactor_ref(a: Array) -> Array:
    """By singular values, of which each element leaves one out."""
    u, values, v = np.linalg.svd(a)
    others = np.array([np.prod(np.delete(values, i)) for i in range(len(values))])
    return np.asarray(np.linalg.det(u) * np.linalg.det(v) * (u * others) @ v)


def _cofactor_by_elimination(a: Expr) -> Expr:
    """det(A) A^-T. A pivot of zero is taken for one far below its rounding.

    That is no guard of a pole: cofactors are polynomials, whose value at a matrix next to A is
    theirs at A to all digits, and which cannot be divided out where det(A) is zero.
    """
    if a.shape[-1] == 0:
        return a
    found = _eliminated(a)
    largest = ops.reduce_max(ops.absolute(a), (-2, -1))
    tiny = ops.where(ops.equal(largest, 0.0), 1.0, largest) * float(np.finfo(a.dtype).eps) ** 2
    missing = ops.where(ops.equal(found.pivots, 0.0), ops.squeeze(tiny, (-1,)), 0.0)
    upper = found.upper + eye_like(a) * _column(missing)
    product = ops.reduce_prod(found.pivots + missing, (-1,))
    factor = product * _column(ops.cast(_parity(found.order), a.dtype))
    x = solve_triangular(upper, eye_like(a) * _column(factor), lower=False, transpose=True)
    x = solve_triangular(found.lower, x, lower=True, transpose=True)
    back = ops.arg_sort(found.order, -1, a.shape[-1], largest=False)
    return _reordered(x, back) + ops.reduce_sum(a * 0.0, (-2, -1))


def _cofactor_vjp(ct: Expr, out: Expr, a: Expr) -> tuple[Expr]:
    """<ct, C> A^-T - C ct^T A^-T: of a matrix that has an inverse."""
    inverted = inverse(a, transpose=True)
    turned = ops.matmul(ops.matmul(out, ops.matrix_transpose(ct)), inverted)
    return (ops.reduce_sum(ct * out, (-2, -1)) * inverted - turned,)


cofactor: Op = register(
    Op(
        "Cofactor",
        _square,
        _matrixwise(_cofactor_ref),
        _cofactor_vjp,
        _lowered(_cofactor_by_elimination),
        batching=_stacked,
    )
)


def _det_vjp(ct: Expr, out: Expr, a: Expr) -> tuple[Expr]:
    return (_column(_column(ct)) * cofactor(a),)


def _log_det_vjp(ct: Expr, out: Expr, a: Expr) -> tuple[Expr]:
    return (_column(_column(ct)) * inverse(a, transpose=True),)


def _declare(name: str, ref: Any, vjp: Any, formula: Any, of_nothing: float) -> Op:
    lower = _lowered(_of_pivots(formula, of_nothing))
    return register(Op(name, _number, _numbers(ref), vjp, lower, batching=_stacked))


det: Op = _declare(
    "Determinant",
    np.linalg.det,
    _det_vjp,
    lambda pivots, parity: ops.reduce_prod(pivots, (-1,)) * parity,
    1.0,
)
log_abs_det: Op = _declare(
    "LogAbsDet",
    lambda a: np.linalg.slogdet(a)[1],
    _log_det_vjp,
    lambda pivots, _: ops.reduce_sum(ops.log(ops.absolute(pivots)), (-1,)),
    0.0,
)
det_sign: Op = _declare(
    "DetSign",
    lambda a: np.linalg.slogdet(a)[0],
    no_gradient,
    lambda pivots, parity: ops.reduce_prod(ops.sign(pivots), (-1,)) * parity,
    1.0,
)
