"""Axes and masks as NumPy and JAX have them: what formulas with ``axis`` and ``where`` share."""

from __future__ import annotations

from typing import Any

from ..authoring.options import integer
from ..ir.types import canonical_axes

Axis = int | tuple[int, ...] | None


def axes_of(axis: Axis, rank: int) -> tuple[int, ...]:
    """The axes that ``axis`` means, counted from the front; None means all.

    Raises:
        InputError: for an axis that is not there, or is there twice.
    """
    if axis is None:
        return tuple(range(rank))
    return canonical_axes((axis,) if isinstance(axis, int) else tuple(axis), rank)


def total(F: Any, x: Any, axis: Axis, where: Any = None, keepdims: bool = False) -> Any:
    """The sum over axes of the elements in the mask ``where``; of shape () if no axis is left."""
    x = x if where is None else chosen(F, where, x, 0.0)
    axes = axes_of(axis, len(x.shape))
    if not axes:
        return x
    reduced = F.sum(x, axis=axes, keepdims=keepdims)
    return reduced if keepdims or len(axes) < len(x.shape) else F.scalar(reduced)


def chosen(F: Any, mask: Any, x: Any, other: float) -> Any:
    """``x`` where the mask, which broadcasts to it, is not zero, else a number."""
    return F.where(spread(F, mask, x), x, F.zeros_like(x) + other)


def without(F: Any, label: Any, ignored: int | None, *others: Any) -> tuple[Any, ...]:
    """Labels, and arrays of their shape, with 0 where the label is the one that is ignored."""
    if ignored is None:
        return label, *others
    void = label == integer("ignore_index", ignored)
    return tuple(F.where(void, F.zeros_like(x), x) for x in (label, *others))


def spread(F: Any, x: Any, like: Any) -> Any:
    """``x`` in the shape of another array, which it broadcasts to as in NumPy."""
    missing = len(like.shape) - len(x.shape)
    return F.broadcast_like(x.reshape((*[1] * missing, *x.shape)) if missing else x, like)


def log_softmax(F: Any, x: Any, axis: Axis) -> Any:
    """The logarithm of the softmax over one axis or several."""
    axes = axes_of(axis, len(x.shape))
    if len(axes) == 1:
        return F.log_softmax(x, axis=axes[0])
    return x - F.logsumexp(x, axis=axes, keepdims=True) if axes else F.zeros_like(x)
