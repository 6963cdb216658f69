"""Products of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import lanes
from ..errors import InputError
from ..expr import Expr, Op, register
from ..types import TensorType, broadcast_shapes, require_equal
from .elementwise import arithmetic
from .shape import transpose


def _matmul_infer(a: TensorType, b: TensorType) -> TensorType:
    if a.rank < 2 or b.rank < 2:
        raise InputError("needs two matrices, or stacks of them")
    arithmetic(a.with_shape(()), b.with_shape(()))
    require_equal(a.shape[-1], b.shape[-2])
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return a.with_shape((*batch, a.shape[-2], b.shape[-1]))


def _matmul_vjp(ct: Expr, out: Expr, a: Expr, b: Expr) -> tuple[Expr, Expr]:
    return (matmul(ct, matrix_transpose(b)), matmul(matrix_transpose(a), ct))


def _lower_matmul(builder: Any, node: Expr, a: str, b: str) -> str:
    """ONNX's MatMul, in float64 kept apart from what ONNX Runtime would fuse it with.

    Transposes, for which releases before 1.25 then have no kernel, and products with numbers,
    which the fused operator rounds to float32. A Max of one array changes nothing and prevents it.
    """
    if node.dtype != "float64":
        return str(builder.add("MatMul", a, b))
    a, b = (
        builder.add("Max", name) if arg.op.name in ("Transpose", "Mul", "Div") else name
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
        along=lanes.matmul,
    )
)


def matrix_transpose(x: Expr) -> Expr:
    """The last two axes exchanged."""
    return transpose(x, (*range(x.rank - 2), x.rank - 1, x.rank - 2))
