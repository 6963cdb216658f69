"""Losses of the scores of several classes against the class that is right.

All of them are functions of the margin by which the other classes win, ``m = log sum exp(x_c) -
x_y`` over the classes other than y: the probability of the class is ``sigmoid(-m)``. So the
digits of a small loss, and of a small probability, are kept.
"""

from __future__ import annotations

from typing import Any

from ..authoring.shapes import require_shape
from ..ir.types import canonical_axis
from ..symbolic.ctc import LOG_ZERO
from .limits import finite, focused, relative_expm1


def softmax_focal(
    F: Any, logits: Any, label: Any, alpha: Any = None, gamma: float = 2.0, axis: int = -1
) -> Any:
    r"""Multi-class focal loss: cross-entropy that cares less for what is classified well.

    .. math:: \ell = -\alpha_y (1 - p_y)^\gamma \log p_y, \quad p = \operatorname{softmax}(x)

    Inputs: ``logits``, any shape with classes along ``axis``; ``label``, classes, that shape
    without ``axis``; ``alpha``, (C,), weights of the classes. Value: the label's shape.

    Source: Lin, Goyal, Girshick, He, Dollár (2017), ICCV.
    """
    loss = focused(F, F.softrelu(_margin(F, logits, label, axis)), gamma)
    if alpha is None:
        return loss
    require_shape("alpha", alpha.shape, (logits.shape[axis],))
    return loss * F.take(alpha, label)


def generalized_cross_entropy(
    F: Any, logits: Any, label: Any, q: float = 0.7, axis: int = -1
) -> Any:
    r"""Between cross-entropy (``q`` 0) and the absolute error (``q`` 1), for noisy labels.

    .. math:: \ell = \frac{1 - p_y^q}{q}, \quad p = \operatorname{softmax}(x)

    Inputs: ``logits``, any shape with classes along ``axis``; ``label``, classes, that shape
    without ``axis``. Value: the label's shape.

    Source: Zhang, Sabuncu (2018), NeurIPS.
    """
    return -relative_expm1(F, -F.softrelu(_margin(F, logits, label, axis)), q)


def symmetric_cross_entropy(
    F: Any,
    logits: Any,
    label: Any,
    alpha: float = 0.1,
    beta: float = 1.0,
    log_zero: float = -4.0,
    axis: int = -1,
) -> Any:
    r"""Cross-entropy and its reverse, in which labels and predictions change places.

    .. math:: \ell = -\alpha \log p_y - \beta A (1 - p_y), \quad p = \operatorname{softmax}(x)

    ``log_zero``, the formula's A, stands for the logarithm of the label's zeros.

    Inputs: ``logits``, any shape with classes along ``axis``; ``label``, classes, that shape
    without ``axis``. Value: the label's shape.

    Source: Wang, Ma, Chen, Luo, Yi, Bailey (2019), ICCV.
    """
    margin = _margin(F, logits, label, axis)
    return alpha * F.softrelu(margin) - beta * log_zero * F.sigmoid(margin)


def _margin(F: Any, logits: Any, label: Any, axis: int) -> Any:
    """The log-odds of the other classes; an invalid label is refused, or gives NaN in a graph."""
    rank = len(logits.shape)
    axis = canonical_axis(axis, rank)
    hot = F.one_hot(label, logits.shape[axis], dtype=logits.dtype)
    if axis != rank - 1:
        hot = F.transpose(hot, axes=(*range(axis), rank - 1, *range(axis, rank - 1)))
    # not -inf: where no other class can be either, their shares are to be numbers
    none = F.zeros_like(logits) + LOG_ZERO
    chosen = F.pick(logits, label, axis=axis, keepdims=True, mode="raise")
    # of differences from the largest, so that large logits lose no digits
    largest = F.max(logits, axis=axis, keepdims=True, finite=True)
    base = F.stop_gradient(finite(F, largest))
    others = F.where(hot, none, F.broadcast_sub(logits, base))
    margin = F.logsumexp(others, axis=axis, keepdims=True) - (chosen - base)
    return F.squeeze(margin, axis=axis)
