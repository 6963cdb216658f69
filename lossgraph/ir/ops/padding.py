"""Padding with a value, and with what the array has at its edges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...errors import InputError
from ..dims import Dim
from ..expr import Array, Expr, Op, builds, register
from ..types import TensorType
from .elementwise import add, sub
from .reduce import reduce_sum
from .shape import Shape, flip, pad, reshape, slice_, take_range

MODES = ("reflect", "edge")


def _padded_shape(x: TensorType, before: Shape, after: Shape) -> TensorType:
    return x.with_shape([b + n + a for b, n, a in zip(before, x.shape, after, strict=True)])


# --- with a value -------------------------------------------------------------------------------


def _pad_with_infer(x: TensorType, value: TensorType, *, before: Shape, after: Shape) -> TensorType:
    if value != TensorType(x.dtype, ()):
        raise InputError(f"{x} is padded with one number of its dtype, got {value}")
    return _padded_shape(x, before, after)


def _pad_with_ref(x: Array, value: Array, before: Sequence[int], after: Sequence[int]) -> Array:
    return np.pad(x, list(zip(before, after, strict=True)), constant_values=value)


def _pad_with_vjp(
    ct: Expr, out: Expr, x: Expr, value: Expr, *, before: Shape, after: Shape
) -> tuple[Expr, Expr]:
    inner = slice_(ct, before, [1] * x.rank, x.shape)
    outer = sub(ct, pad(inner, before, after))
    axes = tuple(range(x.rank))
    return inner, reshape(reduce_sum(outer, axes) if axes else outer, ())


_pad_with: Op = register(
    Op(
        "PadWith",
        _pad_with_infer,
        _pad_with_ref,
        _pad_with_vjp,
        lambda b, node, x, value: b.add("Pad", x, _sides(b, node), value),
        linear=True,
    )
)


def _sides(b: Any, node: Expr) -> str:
    return str(b.sizes((*node.attrs["before"], *node.attrs["after"])))


@builds(_pad_with)
def pad_with(x: Expr, value: Expr, before: Sequence[Dim], after: Sequence[Dim]) -> Expr:
    """A number around ``x``."""
    if all(size == 0 for size in (*before, *after)):
        return x
    return _pad_with(x, value, before=tuple(before), after=tuple(after))


# --- with what is at the edges --------------------------------------------------------------------


def _pad_edges_infer(x: TensorType, *, before: Shape, after: Shape, mode: str) -> TensorType:
    most = 1 if mode == "reflect" else 0  # the edge itself is not repeated
    for sides in zip(before, x.shape, after, strict=True):
        before_, length, after_ = sides
        fixed = [side for side in (before_, after_) if isinstance(side, int) and side > 0]
        if isinstance(length, int) and any(
            side > length - 1 if most else length == 0 for side in fixed
        ):
            raise InputError(f"{mode} cannot pad an axis of length {length} by {max(fixed)}")
    return _padded_shape(x, before, after)


def _pad_edges_ref(x: Array, before: Sequence[int], after: Sequence[int], mode: Any) -> Array:
    return np.pad(x, list(zip(before, after, strict=True)), mode=mode)


def _pad_edges_vjp(
    ct: Expr, out: Expr, x: Expr, *, before: Shape, after: Shape, mode: str
) -> tuple[Expr]:
    """What lies outside belongs to the elements that it is a copy of, axis by axis."""
    copies = _COPIES[mode]
    for axis, (b, n, a) in enumerate(zip(before, x.shape, after, strict=True)):
        total = take_range(ct, axis, b, n)
        if b != 0:
            total = add(total, copies(take_range(ct, axis, 0, b), axis, n, False))
        if a != 0:
            total = add(total, copies(take_range(ct, axis, b + n, a), axis, n, True))
        ct = total
    return (ct,)


def _of_reflection(outside: Expr, axis: int, length: Dim, at_end: bool) -> Expr:
    rest = length - 1 - outside.shape[axis]
    sides = (rest, 1) if at_end else (1, rest)
    return _placed(flip(outside, (axis,)), axis, *sides)


def _of_edge(outside: Expr, axis: int, length: Dim, at_end: bool) -> Expr:
    sides = (length - 1, 0) if at_end else (0, length - 1)
    return _placed(reduce_sum(outside, (axis,)), axis, *sides)


def _placed(x: Expr, axis: int, before: Dim, after: Dim) -> Expr:
    sides = [[side if i == axis else 0 for i in range(x.rank)] for side in (before, after)]
    return pad(x, *sides)


_COPIES: dict[str, Callable[[Expr, int, Dim, bool], Expr]] = {
    "reflect": _of_reflection,
    "edge": _of_edge,
}

_pad_edges: Op = register(
    Op(
        "PadEdges",
        _pad_edges_infer,
        _pad_edges_ref,
        _pad_edges_vjp,
        lambda b, node, x: b.add("Pad", x, _sides(b, node), mode=node.attrs["mode"]),
        linear=True,
    )
)


@builds(_pad_edges)
def pad_edges(x: Expr, before: Sequence[Dim], after: Sequence[Dim], mode: str) -> Expr:
    """Around ``x`` what it has at its edges: mirrored (``reflect``) or repeated (``edge``)."""
    if mode not in MODES:
        raise InputError(f"expected one of {MODES}, got {mode!r}")
    if all(size == 0 for size in (*before, *after)):
        return x
    return _pad_edges(x, before=tuple(before), after=tuple(after), mode=mode)
