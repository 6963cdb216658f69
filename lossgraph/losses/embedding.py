"""Losses of vectors against vectors."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..authoring.options import is_number, require_above
from ..authoring.shapes import require_rank
from .axes import Axis, chosen, spread, total
from .distribution import kl_divergence
from .limits import broadcast_all, finfo, safe_div
from .pairs import differences, same
from .regression import clamp, positive_part

COSINE_EPSILON = 1e-12  # of Gluon's formula


def triplet(F: Any, anchor: Any, positive: Any, negative: Any, margin: float, axis: int) -> Any:
    r"""How much closer the negative is than the positive, beyond a margin.

    .. math:: \ell = \max(0, \|x - x^+\|^2 - \|x - x^-\|^2 + m)

    Sums over all axes but ``axis``.
    """
    near, away, apart = positive - anchor, anchor - negative, negative - positive
    # half the difference of squares, as a product that keeps its digits far from the anchor
    half = F.with_gradient(
        apart * ((away - near) * 0.5), [anchor, positive, negative], [apart, near, away]
    )
    return F.relu(2 * F.sum(half, axis=axis, exclude=True) + margin)


def cosine_similarity(F: Any, x: Any, y: Any, epsilon: float = COSINE_EPSILON) -> Any:
    r"""The cosine of the angle between vectors along the last axis, which keeps length one.

    .. math:: \frac{x \cdot y}{\max(\|x\| \|y\|, \epsilon)}
    """
    norms = F.norm(x, axis=-1, keepdims=True) * F.norm(y, axis=-1, keepdims=True)
    return within_one(F, F.sum(x * y, axis=-1, keepdims=True) / F.maximum(norms, epsilon))


def within_one(F: Any, cosine: Any) -> Any:
    """A cosine in [-1, 1], which rounding may leave; its derivative stays as it is."""
    return F.with_gradient(F.clip(cosine, -1.0, 1.0), [cosine], [F.ones_like(cosine)])


def scaled_cosine(F: Any, x: Any, y: Any, length: Callable[[Any, Any], Any], axis: int = -1) -> Any:
    r"""The dot product of vectors along an axis, each divided by its length; 1 stays of the axis.

    .. math:: \frac{x}{l(\|x\|)} \cdot \frac{y}{l(\|y\|)}

    ``length(F, norm)`` keeps away from 0. The division comes first, as a product may overflow.
    """
    x, y = (v / length(F, F.norm(v, axis=axis, keepdims=True)) for v in (x, y))
    return within_one(F, F.sum(x * y, axis=axis, keepdims=True))


def cosine_embedding(
    F: Any, similarity: Any, label: Any, margin: float, passes: bool = False
) -> Any:
    r"""1 - cos for pairs labelled 1, the cosine beyond the margin for those labelled -1.

    .. math:: \ell = [y = 1] (1 - \cos) + [y = -1] \max(0, \cos - m)

    Pairs with another label add nothing. ``passes``: the gradient passes at the margin.
    """
    alike = (1 - similarity) * (label == 1)
    beyond = (label == -1) * (similarity - margin)
    return alike + (clamp(F, beyond) if passes else F.relu(beyond))


def p_norm(F: Any, x: Any, p: float) -> Any:
    r"""The p-norm of vectors along the last axis, which keeps the length one.

    .. math:: \|x\|_p = \left(\sum_i |x_i|^p\right)^{1/p}

    Its derivative at 0 is 0. The largest of several elements share the one of ``p = inf``.
    """
    if p == 2:
        return F.norm(x, axis=-1, keepdims=True)
    size = F.abs(x)
    if p == 1:
        return F.sum(size, axis=-1, keepdims=True)
    if p == 0:
        return F.sum(size != 0, axis=-1, keepdims=True)
    largest = (F.max if p > 0 else F.min)(size, axis=-1, keepdims=True)
    if math.isinf(p):
        return largest
    one = F.ones_like(largest)
    scale = F.where(F.isfinite(largest) * (largest != 0), largest, one)
    norm = scale * F.sum((size / scale) ** p, axis=-1, keepdims=True) ** (1 / p)
    ratio = size / F.where(norm == 0, one, norm)
    return F.with_gradient(norm, [x], [F.masked_mul(F.sign(x), ratio ** (p - 1))])


def pairwise_distance(F: Any, x: Any, y: Any, p: float = 2.0, epsilon: float = 1e-6) -> Any:
    r"""The p-norm of a difference along the last axis, which keeps the length one.

    .. math:: \|x - y + \epsilon\|_p
    """
    return p_norm(F, x - y + epsilon, p)


def triplet_margin(F: Any, near: Any, far: Any, margin: float) -> Any:
    r"""By how much ``near`` fails to be below ``far`` by a margin; any shape.

    .. math:: \ell = \max(0, d(a, p) - d(a, n) + m)

    The gradient passes at the margin.
    """
    return clamp(F, near - far + margin)


def smoothed_metric(F: Any, x1: Any, x2: Any, smoothing: float) -> Any:
    r"""Smoothed deep metric learning: each row of ``x1`` against every row of ``x2``.

    The divergence of ``softmax(-d)`` from a distribution with ``1 - s`` at the pair and the
    rest spread over the batch, ``d`` the squared distances; one number a row.

    Source: Bonadiman, Kumar, Mittal (2019), arXiv:1905.12786.
    """
    size = x1.shape[0]
    gold = F.eye(size, dtype=x1.dtype)
    labels = gold * (1 - smoothing) + (1 - gold) * smoothing / (size - 1)
    distance = F.sum(F.square(differences(F, x1, x2)), axis=2)
    log_probs = F.log_softmax(-distance, axis=1)
    return F.sum(kl_divergence(F, log_probs, labels), axis=1)


def direction(F: Any, x: Any, epsilon: float, axis: Axis, where: Any = None) -> Any:
    r"""Vectors divided by their length, or by ``sqrt(epsilon)`` where they are shorter.

    .. math:: x / \max(\|x\|, \sqrt{\epsilon})
    """
    masked = x if where is None else chosen(F, where, x, 0.0)
    length = F.norm(masked, axis=axis, keepdims=True)
    if is_number(epsilon) and epsilon == 0:  # a zero vector has no direction and no gradient
        known = length > 0
        if where is not None:  # of which no element counts is 0 itself
            counted = F.max(spread(F, where, x) != 0, axis=axis, keepdims=True)
            known, length = F.maximum(known, 1 - counted), length + (1 - counted)
        return masked / chosen(F, known, length, math.nan)
    return masked / F.broadcast_maximum(length, _root(F, epsilon))


def _root(F: Any, epsilon: Any) -> Any:
    """The square root of an option; its derivative at 0 is 0."""
    if is_number(epsilon):
        return math.sqrt(epsilon)
    positive = epsilon > 0
    root = F.sqrt(F.where(positive, epsilon, F.ones_like(epsilon)))
    return F.where(positive, root, F.zeros_like(root))


def cosine(F: Any, x: Any, y: Any, epsilon: float = 0.0, axis: Axis = -1, where: Any = None) -> Any:
    r"""The cosine of the angle between vectors along an axis, which goes.

    .. math:: \ell = \frac{x}{\max(\|x\|, \sqrt\epsilon)} \cdot
        \frac{y}{\max(\|y\|, \sqrt\epsilon)}

    NaN for a zero vector, unless ``epsilon`` is positive. ``where`` has the elements that count.
    """
    parts = [direction(F, v, epsilon, axis, where) for v in (x, y)]
    return within_one(F, total(F, parts[0] * parts[1], axis))


def triplet_distance(
    F: Any,
    anchors: Any,
    positives: Any,
    negatives: Any,
    axis: int = -1,
    norm_degree: float = 2,
    margin: float = 1.0,
    eps: float = 1e-6,
) -> Any:
    r"""How much closer the negative is than the positive, beyond a margin, in distances.

    .. math:: \ell = \max(0, d(a, p) - d(a, n) + m), \quad
        d(x, y) = \left(\sum_i |x_i - y_i|^q + \epsilon\right)^{1/q}

    Arrays of one shape; the axis of the features goes.

    Source: Balntas et al. (2016), BMVC.
    """
    require_above("norm_degree", norm_degree, 0)
    near, far = (_distance(F, anchors - x, axis, norm_degree, eps) for x in (positives, negatives))
    return positive_part(F, near - far + margin)


def _distance(F: Any, gap: Any, axis: int, degree: float, eps: float) -> Any:
    if degree == 2:  # as a norm, which no square overflows
        length = F.norm(gap, axis=axis, keepdims=True)
        return total(F, _rounded_length(F, length, eps), axis)
    if degree == 1:
        return total(F, F.abs(gap), axis) + eps
    return (total(F, F.abs(gap) ** degree, axis) + eps) ** (1 / degree)


def _rounded_length(F: Any, length: Any, eps: Any) -> Any:
    """``sqrt(length^2 + eps)``, which no square overflows."""
    if is_number(eps):
        return F.hypot(length, math.sqrt(eps))
    length, eps = broadcast_all(F, length, eps)
    value = F.hypot(length, F.sqrt(eps))
    return F.with_gradient(value, [length, eps], [safe_div(F, length, value), 0.5 / value])


def nt_xent(F: Any, embeddings: Any, labels: Any, temperature: float = 0.07) -> Any:
    r"""Normalized, temperature-scaled cross-entropy of pairs of one label against the others.

    .. math:: \ell = \operatorname{mean}_{i \ne j, y_i = y_j} \log
        \frac{e^{s_{ij}} + \sum_{y_k \ne y_i} e^{s_{ik}}}{e^{s_{ij}}}, \quad
        s_{ij} = \cos(x_i, x_j) / \tau

    Embeddings (N, D), labels (N,), of any kind that can be compared. Value: (), NaN without a
    pair. The squared length of an embedding counts as at least the dtype's epsilon.

    Source: Chen et al. (2020), arXiv:2002.05709.
    """
    require_rank("embeddings", embeddings.shape, 2)
    require_rank("labels", labels.shape, 1)
    unit = direction(F, embeddings, float(finfo(embeddings).eps), -1)
    scores = F.dot(unit, unit, transpose_b=True) / temperature
    alike = same(F, labels)
    others = F.logsumexp(chosen(F, 1 - alike, scores, -np.inf), axis=1, keepdims=True)
    pairs = F.cast(alike, scores.dtype) - F.eye(embeddings.shape[0], dtype=scores.dtype)
    losses = chosen(F, pairs, F.softrelu(others - scores), 0.0)
    return total(F, losses, None) / total(F, pairs, None)
