"""Narrow dtypes: stored in few bits, computed in more.

A graph of float16 or bfloat16 is evaluated in float32 and rounded once, at its outputs. That
keeps the sums right that would overflow or lose all digits in 16 bits, and it is no slower:
engines on a CPU cast around each 16-bit operator anyway, where they have one at all.

Hardware that multiplies matrices in 16 bits is served by two passes: ``autocast`` has products
and convolutions of a float32 graph computed so before it is differentiated, and ``widen`` leaves
them, and what only moves numbers, as narrow as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ir.expr import Body, Expr, const, is_input, is_literal, rebuild, transform, variable
from ..ir.ops import cast
from ..ir.ops.opaque import is_opaque
from ..ir.types import TensorType, numpy_dtype

HALF = ("float16", "bfloat16")
# Engines have few kernels for the narrow and the unsigned integers.
_WIDER = {
    **dict.fromkeys(HALF, "float32"),
    **dict.fromkeys(("int8", "int16", "uint8", "uint16", "uint32", "uint64"), "int64"),
}


def widen(roots: Sequence[Expr], narrow: bool = False) -> list[Expr]:
    """The same roots, of the same types, with every operation between in float32 or int64.

    Args:
        roots: the expressions.
        narrow: leave heavy operations of 16 bits, and what only selects numbers, as they are.
    """
    rule = _narrow if narrow else _widened
    wide = transform(roots, lambda node, args: rule(node, args, {}))
    return [_as(value, root.dtype) for value, root in zip(wide, roots, strict=True)]


def autocast(roots: Sequence[Expr], dtype: str) -> list[Expr]:
    """The same roots, of the same types, with the heavy operations of float32 in a narrow dtype.

    What only selects numbers between two of them is narrow too.
    """
    return transform(roots, lambda node, args: _autocast(node, args, dtype))


def _autocast(node: Expr, args: tuple[Expr, ...], dtype: str) -> Expr:
    """A node whose result has the dtype that it had; those in a tuple may be narrow."""
    floats = [arg for arg in args if arg.dtype == "float32"]
    follows = node.op.only_selects and all(_is_widened(arg, dtype) for arg in floats)
    if floats and (follows or node.op.heavy):
        args = tuple(_narrowed(arg, dtype) if arg.dtype == "float32" else arg for arg in args)
    made = rebuild(node, args)
    return made if node.dtype == "tuple" else cast(made, node.dtype)


def _is_widened(node: Expr, dtype: str) -> bool:
    return node.op is cast.op and node.args[0].dtype == dtype


def _narrowed(node: Expr, dtype: str) -> Expr:
    return node.args[0] if _is_widened(node, dtype) else cast(node, dtype)


def _narrow(node: Expr, args: tuple[Expr, ...], inside: Mapping[Expr, Expr]) -> Expr:
    """A node that stays narrow if it is cheaper so, and as exact; else on wide arguments."""
    if node.op is cast.op:
        return cast(args[0], node.dtype)
    if is_input(node) and node.dtype in HALF:
        return node
    halves = [arg for arg in node.args if arg.dtype in HALF]
    if halves and (node.op.heavy or node.op.only_selects):
        pairs = zip(args, node.args, strict=True)
        return rebuild(node, tuple(cast(a, b.dtype) if b.dtype in HALF else a for a, b in pairs))
    wide = tuple(cast(arg, "float32") if arg.dtype in HALF else arg for arg in args)
    return _widened(node, wide, inside)


def _widened(node: Expr, args: tuple[Expr, ...], inside: Mapping[Expr, Expr]) -> Expr:
    """A node on wide arguments; ``inside`` has the wide variables of the body that it is in."""
    if node in inside:
        return inside[node]
    if node.op.has_body:
        return rebuild(node, args, body=_wide_body(node.attrs["body"], inside))
    if is_opaque(node):  # which takes and gives what it says
        narrow = zip(args, node.args, strict=True)
        return rebuild(node, tuple(_as(arg, was.dtype) for arg, was in narrow))
    wider = _WIDER.get(node.dtype)
    if wider is None:
        return rebuild(node, args)
    if node.op.is_item and is_opaque(node.args[0]):
        return cast(rebuild(node, args), wider)
    if is_input(node):
        return cast(node, wider)
    if is_literal(node):
        return const(node.attrs["value"].astype(numpy_dtype(wider)))
    if node.op is cast.op:  # rounding that the user asked for
        return cast(cast(args[0], node.dtype), wider)
    if "dtype" in node.op.attributes:
        return rebuild(node, args, dtype=wider)
    return rebuild(node, args)


def _as(value: Expr, dtype: str) -> Expr:
    """A value in a dtype; one that is no array stays what it is."""
    return value if value.dtype == dtype else cast(value, dtype)


def _wide_body(body: Body, inside: Mapping[Expr, Expr]) -> Body:
    wide = {v: variable(v.attrs["name"], _wide_type(v.type)) for v in body.inputs}
    known = {**inside, **wide}
    outputs = transform(body.outputs, lambda node, args: _widened(node, args, known))
    return Body(tuple(wide.values()), tuple(outputs), body.depth)


def _wide_type(type_: TensorType) -> TensorType:
    return type_.with_dtype(_WIDER.get(type_.dtype, type_.dtype))
