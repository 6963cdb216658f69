"""Nodes that stay what they are in ONNX: the language has their types and nothing else of them.

They are what a model has and no operation of the language says: they pass through to the outputs.
A value on the way from a parameter to a loss cannot be one, for it has no derivative.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...errors import GradientError
from ..dims import Size
from ..expr import Expr, Op, register
from ..types import OpaqueType, TensorType, TupleType
from .item import results_of


def _infer(
    *args: TensorType,
    proto: bytes,
    types: tuple[TensorType | OpaqueType, ...],
    defines: tuple[tuple[str, int, int], ...],
    version: int,
    label: str,
    reason: str,
) -> TupleType:
    return TupleType(types)  # type: ignore[arg-type]


def _vjp(ct: Any, out: Expr, *args: Expr, label: str, reason: str, **_: Any) -> tuple[None, ...]:
    raise GradientError(f"{label} stands on the way from a parameter to the loss: {reason}")


def _ref(*args: Any, label: str, **_: Any) -> Any:
    raise NotImplementedError(f"{label} is run by an engine of ONNX alone")


def _defined_dims(node: Expr) -> dict[str, tuple[Expr, int]]:
    results = results_of(node)
    return defined_by(results, node.attrs["defines"])


def defined_by(
    results: Sequence[Expr], defines: Iterable[tuple[str, int, int]]
) -> dict[str, tuple[Expr, int]]:
    """The dims that axes of results define, whatever name they go by since they were found equal.

    Args:
        results: the results of an operation.
        defines: names that dims had at first, with the places of results and axes.
    """
    dims = ((results[place].shape[axis], results[place], axis) for _, place, axis in defines)
    return {d.name: (x, axis) for d, x, axis in dims if isinstance(d, Size) and d.name}


_opaque: Op = register(
    Op(
        "Opaque",
        _infer,
        _ref,
        _vjp,
        lambda b, node, *names: b.opaque(node, names),
        domain=(),
        defines=_defined_dims,
    )
)


def opaque(
    args: tuple[Expr, ...],
    proto: bytes,
    types: tuple[TensorType | OpaqueType, ...],
    *,
    defines: tuple[tuple[str, int, int], ...] = (),
    version: int = 1,
    label: str,
    reason: str,
) -> list[Expr]:
    """The results of a node of ONNX.

    Args:
        args: what it reads, what graphs inside it read from outside included.
        proto: an ``onnx.NodeProto``, serialized; its inputs, and the names that its graphs read,
            are the places of arguments, ``"0"``, ``"1"``, ..
        types: the types of its outputs.
        defines: dims that are known by its outputs alone: name, output, axis.
        version: the version of its domain.
        label: what an error calls it.
        reason: why it has no derivative.
    """
    node = _opaque(
        *args,
        proto=proto,
        types=types,
        defines=defines,
        version=version,
        label=label,
        reason=reason,
    )
    return results_of(node)


def is_opaque(node: Expr) -> bool:
    """Whether a node is one of ONNX that the language does not know."""
    return node.op is _opaque
