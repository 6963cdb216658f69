"""Narrow dtypes: stored in few bits, computed in more.

A graph of float16 or bfloat16 is evaluated in float32 and rounded once, at its outputs. That
keeps the sums right that would overflow or lose all digits in 16 bits, and it is no slower:
engines on a CPU cast around each 16-bit operator anyway, where they have one at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ir.expr import Body, Expr, const, is_input, is_literal, rebuild, transform, variable
from ..ir.ops import cast
from ..ir.types import TensorType, numpy_dtype

HALF = ("float16", "bfloat16")
# Engines have few kernels for the narrow and the unsigned integers.
_WIDER = {
    **dict.fromkeys(HALF, "float32"),
    **dict.fromkeys(("int8", "int16", "uint8", "uint16", "uint32", "uint64"), "int64"),
}


def widen(roots: Sequence[Expr]) -> list[Expr]:
    """The same roots, of the same types, with every operation between in float32 or int64."""
    wide = transform(roots, lambda node, args: _widened(node, args, {}))
    return [cast(value, root.dtype) for value, root in zip(wide, roots, strict=True)]


def _widened(node: Expr, args: tuple[Expr, ...], inside: Mapping[Expr, Expr]) -> Expr:
    """A node on wide arguments; ``inside`` has the wide variables of the body that it is in."""
    if node in inside:
        return inside[node]
    if node.op.has_body:
        return rebuild(node, args, body=_wide_body(node.attrs["body"], inside))
    wider = _WIDER.get(node.dtype)
    if wider is None:
        return rebuild(node, args)
    if is_input(node):
        return cast(node, wider)
    if is_literal(node):
        return const(node.attrs["value"].astype(numpy_dtype(wider)))
    if node.op is cast.op:  # rounding that the user asked for
        return cast(cast(args[0], node.dtype), wider)
    if "dtype" in node.op.attributes:
        return rebuild(node, args, dtype=wider)
    return rebuild(node, args)


def _wide_body(body: Body, inside: Mapping[Expr, Expr]) -> Body:
    wide = {v: variable(v.attrs["name"], _wide_type(v.type)) for v in body.inputs}
    known = {**inside, **wide}
    outputs = transform(body.outputs, lambda node, args: _widened(node, args, known))
    return Body(tuple(wide.values()), tuple(outputs), body.depth)


def _wide_type(type_: TensorType) -> TensorType:
    return type_.with_dtype(_WIDER.get(type_.dtype, type_.dtype))
