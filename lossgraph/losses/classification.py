"""Losses of scores or probabilities against classes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..authoring.options import is_number
from ..errors import InputError
from ..symbolic.ctc import in_range
from .axes import Axis, axes_of, chosen, log_softmax, spread, total
from .limits import broadcast_all, finfo

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


def sigmoid_focal(
    F: Any, logits: Any, labels: Any, alpha: float | None = None, gamma: float = 2.0
) -> Any:
    r"""Cross-entropy of logits, with little weight on what is predicted well.

    .. math:: \ell = \alpha_y (1 - p_y)^\gamma \left(-y \log p - (1 - y) \log(1 - p)\right),
        \quad 1 - p_y = y (1 - p) + (1 - y) p

    ``p`` is the sigmoid of the logit. Logits of any shape; labels in [0, 1], which broadcast.
    ``alpha`` weighs what is labelled 1, ``1 - alpha`` what is labelled 0; None weighs neither.

    Source: Lin et al. (2017), arXiv:1708.02002.
    """
    return focal_by_shares(F, logits, labels, alpha, gamma, apart=False)


def focal_by_shares(
    F: Any, logits: Any, labels: Any, alpha: float | None, gamma: float, apart: bool
) -> Any:
    """``sigmoid_focal``; ``apart`` says how it depends on labels that are exactly 0 or 1.

    Then 1-p_y is one of two terms alone, and so is its derivative by the label: what the other
    would add is left out, as JAX leaves out terms of weight 0.
    """
    logits, labels = broadcast_all(F, logits, F.cast(labels, dtype=logits.dtype))
    if is_number(gamma) and gamma == 0:
        loss = _by_parts(F, logits, labels)
    else:
        loss = _focal(F, logits, labels, gamma, apart)
    if alpha is None:
        return loss
    return (alpha * labels + (1 - alpha) * (1 - labels)) * loss


def _by_parts(F: Any, logits: Any, labels: Any) -> Any:
    """``sigmoid_cross_entropy`` as a sum of two terms, which infinite logits do not spoil."""
    hit = F.masked_mul(labels, F.softrelu(-logits))
    loss = hit + F.masked_mul(1 - labels, F.softrelu(logits))
    return F.with_gradient(loss, [logits, labels], [F.sigmoid(logits) - labels, -logits])


def _focal(F: Any, logits: Any, labels: Any, gamma: Any, apart: bool) -> Any:
    """Cross-entropy times the power of 1-p_y, and derivatives where either is 0 or infinite."""
    plain = _by_parts(F, logits, labels)
    if not is_number(gamma):
        plain, logits, labels, gamma = broadcast_all(F, plain, logits, labels, gamma)
    missed, by_logits, by_labels = _log_missed(F, logits, labels, apart)
    exponent = gamma * missed if is_number(gamma) else F.masked_mul(gamma, missed)
    weight = F.exp(exponent)
    loss = F.masked_mul(weight, plain)
    slopes = [F.masked_mul(weight * (gamma * x), plain) for x in (by_logits, by_labels)]
    slopes[0] = slopes[0] + weight * (F.sigmoid(logits) - labels)
    slopes[1] = slopes[1] - F.masked_mul(weight, logits)
    if is_number(gamma):
        return F.with_gradient(loss, [logits, labels], slopes)
    possible = F.where(missed == -np.inf, F.zeros_like(missed), missed)
    slopes.append(F.masked_mul(possible, loss))
    return F.with_gradient(loss, [logits, labels, gamma], slopes)


def _log_missed(F: Any, logits: Any, labels: Any, apart: bool) -> tuple[Any, Any, Any]:
    """The logarithm of y(1-p) + (1-y)p, which may be too small for a number, and its derivatives.

    They are said in shares of the two terms, as the logarithm of y, or of 1-y, has a pole that
    the sum has not.
    """
    log_p, log_q = -F.softrelu(-logits), -F.softrelu(logits)
    of_p, of_q = log_p + F.log(1 - labels), log_q + F.log(labels)
    value = F.logaddexp(of_p, of_q)
    nowhere = value == -np.inf  # of what is sure the shares are any: all that they multiply is 0
    base = F.where(nowhere, F.zeros_like(value), value)
    by_logits = F.exp(of_p - base) * F.sigmoid(-logits) - F.exp(of_q - base) * F.sigmoid(logits)
    # capped: at the cap all that multiplies it is 0
    largest = 0.99 * math.log(float(finfo(logits).max))
    p, q = (F.exp(F.minimum(x - base, largest)) for x in (log_p, log_q))
    by_labels = q * (labels > 0) - p * (labels < 1) if apart else q - p
    return value, by_logits, by_labels


def binary_sparsemax(F: Any, logits: Any, labels: Any) -> Any:
    r"""Zero beyond a margin, quadratic up to it, linear on the wrong side.

    .. math:: \ell = \begin{cases} 0 & z \le -1 \\ (z + 1)^2 / 4 & |z| < 1 \\ z & z \ge 1
        \end{cases}, \quad z = x \text{ if } y = 0 \text{ else } -x

    Logits of any shape; labels, 0 or 1, which broadcast. Value: the shape they broadcast to.

    Source: Blondel, Martins, Niculae (2020), JMLR 21(35).
    """
    wrong = F.where(spread(F, labels, logits), -logits, logits)
    # parts whose slopes add without cancelling, as in Huber's loss
    return F.square(F.clip((wrong + 1) * 0.5, 0.0, 1.0)) + F.relu(wrong - 1)


def softmax_cross_entropy(
    F: Any, logits: Any, labels: Any, axis: Axis = -1, where: Any = None
) -> Any:
    r"""Cross-entropy of logits against a distribution, over one axis or several, which go.

    .. math:: \ell = -\sum_c y_c \log \frac{e^{x_c}}{\sum_k e^{x_k}}

    A class of weight 0 adds nothing, whatever its logit. ``where`` has the classes that count.
    """
    log_probs = _log_probs(F, logits, axis, where)
    return -total(F, F.masked_mul(labels, log_probs), axis, where)


def _log_probs(F: Any, logits: Any, axis: Axis, where: Any) -> Any:
    """Log-probabilities of the classes that count, and zeros for the others."""
    if where is None:
        return log_softmax(F, logits, axis)
    return chosen(F, where, log_softmax(F, chosen(F, where, logits, -np.inf), axis), 0.0)


def integer_cross_entropy(
    F: Any, logits: Any, labels: Any, axis: Axis = -1, where: Any = None
) -> Any:
    r"""Cross-entropy of logits against classes, over one axis or several, which go.

    .. math:: \ell = \log \sum_k e^{x_k} - x_y

    Labels are indices along the axis, or into the axes as if they were one. ``where`` has the
    classes that count; the loss is 0 where it has none.
    """
    rank = len(logits.shape)
    axes = axes_of(axis, rank) if isinstance(axis, int) else _in_order(axis, rank)
    if len(axes) != 1:  # one axis, the last
        logits, where = (x if x is None else _joined(F, x, axes) for x in (logits, where))
    along = axes[0] if len(axes) == 1 else len(logits.shape) - 1
    if where is None:
        loss = -F.pick(F.log_softmax(logits, axis=along), labels, axis=along, mode="raise")
        return F.scalar(loss) if len(logits.shape) == 1 else loss
    of_label = F.pick(logits, labels, axis=along, keepdims=True, mode="raise")
    masked = chosen(F, where, logits, -np.inf)
    loss = F.logsumexp(masked, axis=along, keepdims=True) - of_label
    any_left = F.max(spread(F, where, logits) != 0, axis=along, keepdims=True)
    return total(F, F.where(any_left, loss, F.zeros_like(loss)), along)


def _in_order(axes: Any, rank: int) -> tuple[int, ...]:
    """Several axes moved to the order given, in which a flat index counts."""
    if axes is None:
        raise InputError("axis: expected an int or a tuple of ints, got None")
    return tuple(axes_of(axis, rank)[0] for axis in axes)


def _joined(F: Any, x: Any, axes: tuple[int, ...]) -> Any:
    """The array with some axes joined to one, the last."""
    others = [axis for axis in range(len(x.shape)) if axis not in axes]
    size = 1
    for axis in axes:
        size = x.shape[axis] * size
    return F.transpose(x, axes=(*others, *axes)).reshape((*(x.shape[i] for i in others), size))


def poly_cross_entropy(
    F: Any, logits: Any, labels: Any, epsilon: float = 2.0, axis: Axis = -1, where: Any = None
) -> Any:
    r"""Cross-entropy with the first coefficient of its polynomial expansion changed.

    .. math:: \ell = -\sum_c y_c \log p_c + \epsilon \sum_c y_c (1 - p_c)

    ``p`` is the softmax of the logits over the axis or axes, which go; the labels are
    distributions, which broadcast. ``where`` as in ``softmax_cross_entropy``.

    Source: Leng et al. (2022), arXiv:2204.12511.
    """
    log_probs = _log_probs(F, logits, axis, where)
    missed = F.masked_mul(labels, log_probs) + epsilon * labels * F.expm1(log_probs)
    return -total(F, missed, axis, where)


def smooth_labels(
    F: Any, labels: Any, alpha: float = 0.1, axis: Axis = -1, where: Any = None
) -> Any:
    r"""Distributions moved towards the uniform one: labels for a cross-entropy.

    .. math:: \ell_c = (1 - \alpha) y_c + \alpha / C

    Labels of any shape, which stays. ``where`` has the classes that are counted; what is added
    goes to all.

    Source: Müller, Kornblith, Hinton (2019), arXiv:1906.02629.
    """
    if where is not None:
        return (1 - alpha) * labels + alpha / total(
            F, F.cast(where, labels.dtype), axis, keepdims=True
        )
    count = 1
    for i in axes_of(axis, len(labels.shape)):
        count = labels.shape[i] * count
    return (1 - alpha) * labels + alpha / count


def ranking_softmax(
    F: Any, logits: Any, labels: Any, where: Any = None, weights: Any = None
) -> Any:
    r"""Cross-entropy of the scores of a list's items against their relevance.

    .. math:: \ell = -\sum_i w_i y_i \log \frac{e^{s_i}}{\sum_j e^{s_j}}

    Logits, labels, weights and ``where``, the items that count, (.., items); the last axis goes.
    The loss of a list without items is 0.

    Source: Xia et al. (2008), ICML.
    """
    if where is None:
        log_probs = log_softmax(F, logits, -1)
    else:
        labels = chosen(F, where, labels, 0.0)
        log_probs = log_softmax(F, chosen(F, where, logits, -np.inf), -1)
    relevance = labels if weights is None else labels * weights
    return -total(F, F.masked_mul(relevance, log_probs), -1, where)
