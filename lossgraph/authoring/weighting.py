"""Weights: how an array of weights meets an array of losses. The one place that decides.

What a weight means follows from its rank and from the dims that are known to be equal, never from
lengths that happen to be:

- A matrix, or more, broadcasts to the label if it has the label's rank, else to the loss.
- A vector is one weight for each sample, or one for each entry of the last axis: the one that fits.
  Where both do it is refused, unless they are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from ..symbolic.symbol import same_size
from .shapes import broadcasts, shown

Shape = Sequence[Any]


def weigh(
    F: Any,
    loss: Any,
    weight: Any,
    label: Any = None,
    batch_axis: int = 0,
    name: str = "sample_weight",
) -> Any:
    """``loss * weight``, the weight never enlarging the loss; 0 drops even an infinite loss.

    Args:
        F: the operators.
        loss: one number for each element or sample.
        weight: a number, or an array.
        label: what the weight may have the shape of, if it has as many elements as the loss.
        batch_axis: the axis of samples.
        name: what the user calls the weight.

    Raises:
        InputError: for a weight that does not fit, or fits in two ways.
    """
    if isinstance(weight, (int, float)):
        return loss * weight
    if label is not None and not same_size(math.prod(label.shape), math.prod(loss.shape)):
        label = None
    if len(weight.shape) == 1 and loss.shape:
        axis, labels = batch_axis % len(loss.shape), None if label is None else label.shape
        if _is_of_samples(name, weight.shape[0], loss.shape, labels, axis):
            return _along(F, loss, weight, axis)
    return _broadcast(F, loss, weight, label, name)


def weigh_samples(F: Any, loss: Any, weight: Any, name: str) -> Any:
    """``weigh``, where a vector can only be one weight for each sample.

    Raises:
        InputError: for a weight that does not fit.
    """
    if isinstance(weight, (int, float)) or len(weight.shape) != 1:
        return weigh(F, loss, weight, name=name)
    fits = len(loss.shape) > 0 and same_size(weight.shape[0], loss.shape[0])
    if not fits and not same_size(weight.shape[0], 1):
        raise InputError(
            f"{name} of shape {shown(weight.shape)}: expected one for each sample of losses of "
            f"shape {shown(loss.shape)}"
        )
    return _along(F, loss, weight, 0)


def _along(F: Any, loss: Any, weight: Any, axis: int) -> Any:
    """A vector of weights along one axis of the loss."""
    column = [1] * len(loss.shape)
    column[axis] = -1
    return F.masked_mul(F.reshape(weight, shape=tuple(column)), loss)


def _is_of_samples(
    name: str, length: Any, loss: Shape, labels: Shape | None, batch_axis: int
) -> bool:
    """Whether a vector is one weight for each sample, rather than for the last axis's entries."""
    if same_size(length, 1):
        return False
    last = [shape[-1] for shape in (labels, loss) if shape]
    for surely in (True, False):
        by_sample = same_size(length, loss[batch_axis], surely)
        by_entry = any(same_size(length, dim, surely) for dim in last)
        if by_sample and by_entry and not same_size(math.prod(loss[batch_axis + 1 :]), 1):
            raise _ambiguous(name, length, labels, loss, batch_axis)
        if by_sample or by_entry:
            return by_sample
    return False


def _ambiguous(
    name: str, length: Any, labels: Shape | None, loss: Shape, batch_axis: int
) -> InputError:
    """The refusal of a vector that may mean two things, with the shapes that say which."""
    of_label = labels and len(labels) > batch_axis and same_size(labels[batch_axis], length)
    shape = labels if labels and of_label and same_size(labels[-1], length) else loss
    by_sample, by_entry = ([1] * len(shape) for _ in range(2))
    by_sample[batch_axis] = by_entry[-1] = length
    entry = "column" if len(shape) == 2 else "entry of the last axis"
    return InputError(
        f"{name} of shape {shown((length,))} for losses of shape {shown(shape)}: one weight per "
        f"sample is {shown(by_sample)}, one per {entry} is {shown(by_entry)}"
    )


def _broadcast(F: Any, loss: Any, weight: Any, label: Any, name: str) -> Any:
    """The weight broadcast to the loss, or to the label in the loss's shape."""
    targets = _targets(len(weight.shape), loss, label)
    for surely in (True, False):
        for target in targets:
            if broadcasts(weight.shape, target.shape, surely):
                if target is loss:
                    return F.masked_mul(weight, loss)
                for _ in range(len(target.shape) - len(weight.shape)):
                    weight = F.expand_dims(weight, axis=0)
                return F.masked_mul(F.reshape_like(F.broadcast_like(weight, target), loss), loss)
    labels = "" if label is None else f", nor the label of shape {shown(label.shape)}"
    raise InputError(
        f"{name} of shape {shown(weight.shape)} fits neither the losses, of shape "
        f"{shown(loss.shape)}{labels}, nor one weight for each sample"
    )


def _targets(rank: int, loss: Any, label: Any) -> list[Any]:
    """What a weight of some rank may broadcast to: that of its own rank, else the label first."""
    if label is None:
        return [loss]
    if len(label.shape) == len(loss.shape):
        return [loss, label]
    if rank == len(loss.shape):
        return [loss]
    if rank == 1:  # to the entries of the last axis, whichever of the two has it
        return [label, loss]
    return [label] if rank <= len(label.shape) else [loss]
