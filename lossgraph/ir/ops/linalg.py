"""Products of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import InputError
from .. import batching
from ..dims import product
from ..expr import Array, Expr, Op, register
from ..types import TensorType, broadcast_shapes, require_broadcast, require_equal
from .elementwise import div, mul
from .shape import reshape, transpose
from .type_rules import arithmetic, float_only

_FUSED = (transpose.op, mul, div)


def _matmul_infer(a: TensorType, b: TensorType) -> TensorType:
    if a.rank < 2 or b.rank < 2:
        raise InputError("needs two matrices, or stacks of them")
    arithmetic(a.with_shape(()), b.with_shape(()))
    require_equal(a.shape[-1], b.shape[-2])
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return a.with_shape((*batch, a.shape[-2], b.shape[-1]))


def _matmul_vjp(ct: Expr, out: Expr, a: Expr, b: Expr) -> tuple[Expr, Expr]:
    left = matmul(ct, matrix_transpose(b))
    if b.rank == 2 < a.rank:  # one matrix for all of a stack: one product of all rows
        rows, given = (reshape(x, (product(x.shape[:-1]), x.shape[-1])) for x in (a, ct))
        return (left, gemm(rows, given, transpose_a=True))
    return (left, matmul(matrix_transpose(a), ct))


def _lower_matmul(builder: Any, node: Expr, a: str, b: str) -> str:
    """ONNX's MatMul, kept apart from transposes and factors in float64.

    ONNX Runtime fuses them into an operator that it has no float64 kernel for before 1.25, and
    that keeps the factor in float32: a Max of one array between, which changes nothing, prevents
    it.
    """
    if node.dtype != "float64":
        return str(builder.add("MatMul", a, b))
    a, b = (
        builder.add("Max", name) if arg.op in _FUSED else name
        for arg, name in zip(node.args, (a, b), strict=True)
    )
    return str(builder.add("Max", builder.add("MatMul", a, b)))


matmul = register(
    Op(
        "MatMul",
        _matmul_infer,
        np.matmul,
        _matmul_vjp,
        _lower_matmul,
        ((-3.0, 3.0), (-3.0, 3.0)),
        batching=batching.matmul,
        heavy=True,
        linear_in=(0, 1),
    )
)


def _gemm_infer(
    a: TensorType, b: TensorType, *c: TensorType, transpose_a: bool, transpose_b: bool
) -> TensorType:
    if a.rank != 2 or b.rank != 2:
        raise InputError("needs two matrices")
    arithmetic(float_only(a).with_shape(()), b.with_shape(()))
    rows, inner = a.shape[::-1] if transpose_a else a.shape
    other, columns = b.shape[::-1] if transpose_b else b.shape
    require_equal(inner, other)
    for added in c:
        arithmetic(a.with_shape(()), added.with_shape(()))
        require_broadcast(added.shape, (rows, columns))
    return a.with_shape((rows, columns))


def _gemm_ref(a: Array, b: Array, *c: Array, transpose_a: bool, transpose_b: bool) -> Array:
    product = np.matmul(a.T if transpose_a else a, b.T if transpose_b else b)
    return np.asarray(sum(c, product))


def _gemm_vjp(
    ct: Expr, out: Expr, a: Expr, b: Expr, *c: Expr, transpose_a: bool, transpose_b: bool
) -> tuple[Expr, ...]:
    left = (b, ct, transpose_b, True) if transpose_a else (ct, b, False, not transpose_b)
    right = (ct, a, True, transpose_a) if transpose_b else (a, ct, not transpose_a, False)
    return (*(gemm(x, y, None, *turned) for x, y, *turned in (left, right)), *(ct for _ in c))


_gemm: Op = register(
    Op(
        "Gemm",
        _gemm_infer,
        _gemm_ref,
        _gemm_vjp,
        lambda b, node, *names: b.add(
            "Gemm",
            *names,
            transA=int(node.attrs["transpose_a"]),
            transB=int(node.attrs["transpose_b"]),
        ),
        ((-3.0, 3.0), (-3.0, 3.0), (-3.0, 3.0)),
        heavy=True,
    )
)


def gemm(
    a: Expr, b: Expr, c: Expr | None = None, transpose_a: bool = False, transpose_b: bool = False
) -> Expr:
    """The product of two matrices, transposed on the way, added to ``c``.

    Engines do in one pass what the operations apart would take further arrays for.
    """
    added = () if c is None else (c,)
    return _gemm(a, b, *added, transpose_a=bool(transpose_a), transpose_b=bool(transpose_b))


def matrix_transpose(x: Expr) -> Expr:
    """The last two axes exchanged."""
    return transpose(x, (*range(x.rank - 2), x.rank - 1, x.rank - 2))
