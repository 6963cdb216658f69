"""Losses of scores or probabilities against classes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .ctc import in_range

SMALLEST_DIVISOR = float(np.float32(1e-12))  # of torch's kernels, in every dtype


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


def clamped_cross_entropy(F: Any, prob: Any, label: Any) -> Any:
    r"""Cross-entropy of probabilities against probabilities of the same shape, at most 100.

    .. math:: \ell = -y \max(\log p, -100) - (1 - y) \max(\log(1 - p), -100)

    The derivatives are torch's: by p that of the logarithms, with a divisor of at least
    :math:`10^{-12}`, and by y the difference of logarithms that are not clamped.
    """
    hit, miss = F.log(prob), F.log1p(-prob)
    loss = -(label * F.maximum(hit, -100.0) + (1 - label) * F.maximum(miss, -100.0))
    slope = (prob - label) / F.maximum(prob * (1 - prob), SMALLEST_DIVISOR)
    return F.with_gradient(loss, [prob, label], [slope, miss - hit])


def soft_margin(F: Any, pred: Any, label: Any) -> Any:
    r"""The logistic loss of a logit against a signed label, which may be any number.

    .. math:: \ell = \log(1 + e^{-x y})
    """
    return F.softrelu(-(label * pred))


def multi_margin(F: Any, scores: Any, label: Any, margin: float, power: int) -> Any:
    r"""How far each other class's score comes within a margin of the labelled class's.

    .. math:: \ell_c = [c \ne y] \max(0, m - x_y + x_c)^p

    Scores (N, C), labels (N,) with a class each. At the margin there is no gradient.
    """
    own = F.pick(scores, label, axis=1, keepdims=True, mode="raise")
    hot = F.one_hot(label, scores.shape[1], dtype=scores.dtype)
    short = F.relu(F.where(hot, -F.ones_like(scores), margin - (own - scores)))
    return short if power == 1 else F.square(short)


def multi_label_margin(F: Any, scores: Any, labels: Any) -> Any:
    r"""How far each class that is no label comes within 1 of each that is; a mean over classes.

    .. math:: \ell = \frac1C \sum_{j : j \in y} \sum_{i : i \notin y} \max(0, 1 - x_j + x_i)

    Scores (N, C); labels (N, L), which end at the first -1 and count as often as they stand
    there. At the margin there is no gradient. Value: (N,).
    """
    classes = scores.shape[1]
    running = F.cumsum(labels == -1, axis=1) == 0
    labels = F.where(running, labels, F.zeros_like(labels))
    running = F.cast(running, scores.dtype)
    known = running * in_range(F, labels, classes, scores)  # NaN for what is no class
    own = F.expand_dims(F.take_along_axis(scores, labels, axis=1), axis=2)
    hot = F.one_hot(labels, classes, dtype=scores.dtype) * F.expand_dims(running, axis=2)
    others = F.expand_dims(F.sum(hot, axis=1) == 0, axis=1)
    short = F.relu(1 - (own - F.expand_dims(scores, axis=1)))
    within = F.sum(others * short, axis=2)
    return F.sum(known * within, axis=1) / classes


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


def along_classes(F: Any, weight: Any, like: Any) -> Any:
    """Weights (C,) in the rank of an array (N, C, ...)."""
    return F.reshape(weight, (1, -1, *(1,) * (len(like.shape) - 2)))


def uniform_cross_entropy(F: Any, log_probs: Any, weight: Any = None) -> Any:
    r"""Cross-entropy of (N, C, ...) against all classes alike; the classes keep the length one.

    .. math:: \ell = -\frac1C \sum_c w_c \log p_c
    """
    if weight is not None:
        log_probs = F.masked_mul(along_classes(F, weight, log_probs), log_probs)
    return -F.mean(log_probs, axis=1, keepdims=True)


def logistic(F: Any, pred: Any, label: Any) -> Any:
    r"""``sigmoid_cross_entropy`` for signed labels, -1 and 1.

    .. math:: \ell = \log(1 + e^{-x y})
    """
    return sigmoid_cross_entropy(F, pred, (label + 1) / 2)


def adaptive_log_softmax(
    F: Any,
    vectors: Any,
    label: Any,
    head: tuple[Any, Any],
    tails: list[tuple[Any, Any]],
    cutoffs: tuple[int, ...],
) -> Any:
    r"""The log-probability of a class that is in the head of a softmax or in a cluster.

    .. math:: \log p_y = \log p_h(y) \text{ or } \log p_h(\text{cluster}) + \log p_\text{cluster}(y)

    Args:
        F: the operators.
        vectors: (N, D).
        label: (N,), classes.
        head: the matrix of the head's classes and the clusters, and a bias or None.
        tails: two matrices for each cluster.
        cutoffs: the first class of each cluster, and the number of classes.

    Returns:
        (N,), NaN for a label that is no class where a graph cannot refuse it.

    Source: Grave et al. (2017), ICML.
    """
    weight, bias = head
    scores = F.dot(vectors, weight, transpose_b=True)
    log_probs = F.log_softmax(scores if bias is None else scores + bias, axis=1)
    known = in_range(F, label, cutoffs[-1], vectors)
    label = F.cast(label, dtype="int64")
    place, inside_cluster = label, F.zeros_like(known)
    for i, (down, up) in enumerate(tails):
        low, high = cutoffs[i], cutoffs[i + 1]
        chosen = (label >= low) * (label < high)
        scores = F.dot(F.dot(vectors, down, transpose_b=True), up, transpose_b=True)
        within = F.pick(F.log_softmax(scores, axis=1), label - low, axis=1)
        place = F.where(chosen, F.zeros_like(label) + (cutoffs[0] + i), place)
        inside_cluster = F.where(chosen, within, inside_cluster)
    return known * (F.pick(log_probs, place, axis=1) + inside_cluster)
