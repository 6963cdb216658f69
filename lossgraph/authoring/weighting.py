"""Sample weights: how an array of weights meets an array of losses."""

from __future__ import annotations

import math
from typing import Any

from ..errors import InputError
from ..symbolic.symbol import same_size
from .shapes import broadcasts


def weigh(F: Any, loss: Any, sample_weight: Any, label: Any = None, batch_axis: int = 0) -> Any:
    """``loss * sample_weight``, the weight never enlarging the loss.

    The weight broadcasts as NumPy does where the loss keeps its shape; else to the shape of the
    label; else a vector of one weight a sample lies along ``batch_axis``. A weight of 0 drops
    its sample, an infinite loss too.

    Raises:
        InputError: for a weight that fits in none of these ways.
    """
    if isinstance(sample_weight, (int, float)):
        return loss * sample_weight
    shape, target = sample_weight.shape, loss.shape
    if broadcasts(shape, target):
        return F.masked_mul(sample_weight, loss)
    if label is not None and _as_many(label, loss) and broadcasts(shape, label.shape):
        spread = F.broadcast_like(sample_weight, label)
        return F.masked_mul(F.reshape_like(spread, loss), loss)
    if len(shape) == 1 and same_size(shape[0], target[batch_axis]):
        column = [1] * len(target)
        column[batch_axis] = -1
        return F.masked_mul(F.reshape(sample_weight, shape=tuple(column)), loss)
    raise InputError(
        f"sample_weight of shape {shape} fits neither the loss of shape {target} nor "
        f"one weight for each sample along axis {batch_axis}"
    )


def _as_many(label: Any, loss: Any) -> bool:
    """Whether the label could take the shape of the loss."""
    return same_size(math.prod(label.shape), math.prod(loss.shape))
