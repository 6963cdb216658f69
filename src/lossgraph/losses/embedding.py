"""Losses of vectors against vectors."""

from __future__ import annotations

from typing import Any

from .distribution import kl_divergence

COSINE_EPSILON = 1e-12  # of Gluon's formula


def triplet(F: Any, anchor: Any, positive: Any, negative: Any, margin: float, axis: int) -> Any:
    r"""How much closer the negative is than the positive, beyond a margin.

    .. math:: \ell = \max(0, \|x - x^+\|^2 - \|x - x^-\|^2 + m)

    Sums over all axes but ``axis``.
    """
    gap = F.square(positive - anchor) - F.square(negative - anchor)
    return F.relu(F.sum(gap, axis=axis, exclude=True) + margin)


def cosine_similarity(F: Any, x: Any, y: Any, epsilon: float = COSINE_EPSILON) -> Any:
    r"""The cosine of the angle between vectors along the last axis, which keeps length one.

    .. math:: \frac{x \cdot y}{\max(\|x\| \|y\|, \epsilon)}
    """
    norms = F.norm(x, axis=-1, keepdims=True) * F.norm(y, axis=-1, keepdims=True)
    return F.sum(x * y, axis=-1, keepdims=True) / F.maximum(norms, epsilon)


def cosine_embedding(F: Any, similarity: Any, label: Any, margin: float) -> Any:
    r"""1 - cos for pairs labelled 1, the cosine beyond the margin for those labelled -1.

    .. math:: \ell = [y = 1] (1 - \cos) + [y = -1] \max(0, \cos - m)

    Pairs with another label add nothing.
    """
    alike = (1 - similarity) * (label == 1)
    return alike + F.relu((label == -1) * (similarity - margin))


def smoothed_metric(F: Any, x1: Any, x2: Any, smoothing: float) -> Any:
    r"""Smoothed deep metric learning: each row of ``x1`` against every row of ``x2``.

    The divergence of ``softmax(-d)`` from a distribution with ``1 - s`` at the pair and the
    rest spread over the batch, ``d`` the squared distances; one number a row.

    Source: Bonadiman, Kumar, Mittal (2019), arXiv:1905.12786.
    """
    size = x1.shape[0]
    gold = F.eye(size, dtype=x1.dtype)
    labels = gold * (1 - smoothing) + (1 - gold) * smoothing / (size - 1)
    gaps = F.expand_dims(x1, axis=1) - F.expand_dims(x2, axis=0)
    log_probs = F.log_softmax(-F.sum(F.square(gaps), axis=2), axis=1)
    return F.sum(kl_divergence(F, log_probs, labels), axis=1)
