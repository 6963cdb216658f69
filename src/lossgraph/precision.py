"""Half precision: stored in 16 bits, computed in 32.

A graph of float16 or bfloat16 is evaluated in float32 and rounded once, at its outputs. That
keeps the sums right that would overflow or lose all digits in 16 bits, and it is no slower:
engines on a CPU cast around each 16-bit operator anyway, where they have one at all.
"""

from __future__ import annotations

from collections.abc import Sequence

from .expr import Expr, const, is_const, is_input, rebuild, transform
from .ops import cast

HALF = ("float16", "bfloat16")


def widen(roots: Sequence[Expr]) -> list[Expr]:
    """The same roots, of the same types, with every operation between in float32."""

    def visit(node: Expr, args: tuple[Expr, ...]) -> Expr:
        half = node.dtype in HALF
        if is_input(node):
            return cast(node, "float32") if half else node
        if is_const(node):
            return const(node.attrs["value"], "float32") if half else node
        if node.op.name == "Cast" and half:  # rounding that the user asked for
            return cast(cast(args[0], node.dtype), "float32")
        if half and "dtype" in node.attrs:
            return rebuild(node, args, dtype="float32")
        return rebuild(node, args)

    done = transform(roots, visit)
    return [cast(done[root], root.dtype) for root in roots]
