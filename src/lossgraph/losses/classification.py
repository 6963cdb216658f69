"""Losses of scores or probabilities against classes."""

from __future__ import annotations

from typing import Any


def sigmoid_cross_entropy(F: Any, logits: Any, label: Any, pos_weight: Any = None) -> Any:
    r"""Cross-entropy of logits against probabilities of the positive class; any shape.

    .. math:: \ell = \log(1 + e^x) - x y
        \quad\text{or}\quad w y \log(1 + e^{-x}) + (1 - y) \log(1 + e^x)

    Labels in [0, 1]; ``pos_weight`` broadcasts to them.
    """
    if pos_weight is None:
        return F.softrelu(logits) - F.masked_mul(label, logits)
    missed = F.masked_mul(pos_weight * label, F.softrelu(-logits))
    return missed + F.masked_mul(1 - label, F.softrelu(logits))


def binary_cross_entropy(
    F: Any, prob: Any, label: Any, epsilon: float, pos_weight: Any = None
) -> Any:
    r"""Cross-entropy of probabilities against probabilities; any shape.

    .. math:: \ell = -w y \log(p + \epsilon) - (1 - y) \log(1 - p + \epsilon)
    """
    hit = F.log(prob + epsilon) * label
    if pos_weight is not None:
        hit = hit * pos_weight
    return -(hit + F.log(1.0 - prob + epsilon) * (1.0 - label))


def sparse_cross_entropy(F: Any, log_probs: Any, label: Any, axis: int) -> Any:
    r"""Minus the log-probability of the labelled class; ``axis`` keeps the length one.

    .. math:: \ell = -\log p_y

    A label outside the classes is refused, or NaN where a graph cannot refuse.
    """
    return -F.pick(log_probs, label, axis=axis, keepdims=True, mode="raise")


def dense_cross_entropy(F: Any, log_probs: Any, label: Any, axis: int) -> Any:
    r"""Cross-entropy against a distribution along ``axis``, which keeps the length one.

    .. math:: \ell = -\sum_c y_c \log p_c

    A class of weight 0 adds nothing, whatever its log-probability.
    """
    return -F.sum(F.masked_mul(label, log_probs), axis=axis, keepdims=True)


def logistic(F: Any, pred: Any, label: Any) -> Any:
    r"""``sigmoid_cross_entropy`` for signed labels, -1 and 1.

    .. math:: \ell = \log(1 + e^{-x y})
    """
    return sigmoid_cross_entropy(F, pred, (label + 1) / 2)
