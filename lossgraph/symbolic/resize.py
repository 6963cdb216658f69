"""Resizing of images, as MXNet's ``F.contrib`` has it: products with matrices of weights."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..ir import ops
from ..ir.dims import LARGEST, Dim
from ..ir.expr import Expr
from .arguments import require_rank
from .symbol import Operand, SizeLike, Symbol, _dim_of, as_expr, wrap


def BilinearResize2D(
    data: Operand,
    like: Operand | None = None,
    height: SizeLike = None,
    width: SizeLike = None,
    scale_height: float | None = None,
    scale_width: float | None = None,
    align_corners: bool = True,
    name: str | None = None,
) -> Symbol:
    """Images (N, C, H, W) in another size, by linear interpolation along both axes.

    Args:
        data: the images.
        like: an array whose last two axes tell the size.
        height: the new height; the old one if nothing tells it.
        width: the new width, likewise.
        scale_height: the new height as a multiple of the old one.
        scale_width: the new width, likewise.
        align_corners: the corner pixels keep their places; else the corners of the image do.
        name: MXNet's name of the operator, without meaning here.
    """
    x = as_expr(data)
    if x.rank != 4:
        raise InputError(f"BilinearResize2D: expected images (N, C, H, W), got {x.type}")
    sizes: list[Any] = [None, None]
    if like is not None:
        require_rank("BilinearResize2D: like", as_expr(like), 2)
        sizes = list(as_expr(like).shape[-2:])
    given = ((height, scale_height), (width, scale_width))
    for axis, (size, scale) in enumerate(given):
        if size is not None:
            sizes[axis] = _dim_of(size)
        elif scale is not None:
            sizes[axis] = _scaled(x.shape[2 + axis], scale)
    for axis, size in enumerate(sizes, start=2):
        x = _resized(x, axis, x.shape[axis] if size is None else size, align_corners)
    return wrap(x)


def _scaled(size: Dim, scale: float) -> Dim:
    if not 0 < scale < LARGEST:
        raise InputError(f"BilinearResize2D: expected a positive scale, got {scale!r}")
    if isinstance(size, int):
        return int(size * scale)
    if scale != int(scale):
        raise InputError(f"BilinearResize2D: a length that has a name times {scale} is no length")
    return size * int(scale)


def _resized(x: Expr, axis: int, new: Dim, align_corners: bool) -> Expr:
    """Between the two neighbors along an axis; one of no weight does not matter, infinite or not.

    By index, as products with a matrix of weights would spread a NaN over its row.
    """
    old = x.shape[axis]
    if new == old:
        return x
    place = ops.cast(ops.iota(new), x.dtype)
    sizes = [ops.cast(ops.size_of(size), x.dtype) for size in (old, new)]
    last, last_new = (size - 1.0 for size in sizes)
    if align_corners:  # a single place is the first
        at = place * (last / ops.maximum(last_new, 1.0))
    else:
        at = ops.maximum((place + 0.5) * (sizes[0] / sizes[1]) - 0.5, 0.0)
    at = ops.maximum(ops.minimum(at, last), 0.0)
    low = ops.floor(at)
    share = ops.expand_dims(at - low, range(1, x.rank - axis))
    below, above = (ops.take(x, ops.cast(part, "int64"), axis) for part in (low, ops.ceil(at)))
    return ops.masked_mul(1.0 - share, below) + ops.masked_mul(share, above)
