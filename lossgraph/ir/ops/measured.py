"""Sizes that are the values of integers: a model may compute how long its arrays are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...errors import InputError
from ..expr import Array, Expr, Op, register
from ..types import TensorType


def _infer(x: TensorType, *values: TensorType, names: tuple[str, ...]) -> TensorType:
    if len(values) != len(names) or any(v != TensorType("int64", ()) for v in values):
        raise InputError("each dim needs one int64 that says what it is")
    return x


def _ref(x: Array, *_: Array, names: tuple[str, ...]) -> Array:
    return x


def _vjp(ct: Expr, out: Expr, x: Expr, *values: Expr, **_: Any) -> tuple[Expr | None, ...]:
    return (ct, *(None,) * len(values))


def _definitions(node: Expr) -> dict[str, tuple[Expr, None]]:
    return {
        name: (value, None) for name, value in zip(node.attrs["names"], node.args[1:], strict=True)
    }


_measured: Op = register(
    Op(
        "Measured",
        _infer,
        _ref,
        _vjp,
        lambda b, node, x, *_: x,
        domain=(),
        linear=True,
        defines=_definitions,
    )
)


def measured(x: Expr, values: Mapping[str, Expr]) -> Expr:
    """``x``, in whose type are dims that are known only as the values of integers.

    Args:
        x: an array.
        values: int64 scalars by the names of the dims, none of them below zero.
    """
    return _measured(x, *values.values(), names=tuple(values)) if values else x
