"""Reductions of unreduced losses to one number."""

from __future__ import annotations

from typing import Any

REDUCTIONS = ("mean", "sum", "none")


def reduced(F: Any, loss: Any, reduction: str, weights: Any = None, batched: bool = True) -> Any:
    """A loss as it is, its sum, or its mean, all of rank 0 where there is no batch.

    Args:
        F: the operators.
        loss: one number for each sample or element.
        reduction: ``mean``, ``sum`` or ``none``.
        weights: those that are in the loss already, whose sum divides a mean.
        batched: whether the user gave a batch; else the loss is that of one sample.
    """
    if reduction == "none":
        return loss if batched else F.scalar(loss)
    if reduction == "sum":
        return F.scalar(F.sum(loss))
    return F.scalar(F.mean(loss) if weights is None else F.sum(loss) / F.sum(weights))
