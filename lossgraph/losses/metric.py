"""Losses that teach vectors their distances: pairs, proxies and margins between classes."""

from __future__ import annotations

import math
from typing import Any

from ..authoring.annotations import Label
from ..authoring.options import is_number, require_above
from ..authoring.shapes import require_rank, require_shape
from .pairs import HIDDEN, differences, own_among_all, same, unit


def contrastive(F: Any, x1: Any, x2: Any, label: Any, margin: float = 1.0) -> Any:
    r"""The contrastive loss of pairs: similar ones attract, others repel up to a margin.

    .. math:: \ell = \tfrac12 (1 - y) d^2 + \tfrac12 y \max(0, m - d)^2, \quad d = \|x_1 - x_2\|

    ``x1``, ``x2``: (N, D); ``label``: (N,), 0 for similar pairs and 1 for others. Value: (N,).
    Where the two are equal the derivative by either is 0.

    Source: Hadsell, Chopra and LeCun (2006), CVPR.
    """
    require_rank("x1", x1.shape, 2)
    require_shape("x2", x2.shape, x1.shape)
    require_shape("label", label.shape, x1.shape[:1])
    distance = F.norm(x1 - x2, axis=1)
    apart = F.square(F.relu(margin - distance))
    return 0.5 * ((1 - label) * F.square(distance) + label * apart)


def n_pair(F: Any, anchor: Any, positive: Any) -> Any:
    r"""The N-pair loss: the positive of each anchor against those of all others.

    .. math:: \ell_i = \log\left(1 + \sum_{j \ne i} e^{a_i \cdot p_j - a_i \cdot p_i}\right)

    ``anchor``, ``positive``: (N, D), each pair of a class of its own. Value: (N,).

    Source: Sohn (2016), NeurIPS, the multi-class N-pair loss; without its penalty on norms.
    """
    require_rank("anchor", anchor.shape, 2)
    require_shape("positive", positive.shape, anchor.shape)
    return own_among_all(F, F.dot(anchor, positive, transpose_b=True))


def batch_hard_triplet(
    F: Any, embedding: Any, label: Label, margin: float = 0.2, soft: bool = False
) -> Any:
    r"""The triplet loss of each sample's farthest positive and nearest negative in the batch.

    .. math:: \ell_i = \max\left(0, m + \max_{y_p = y_i} d_{ip} - \min_{y_n \ne y_i} d_{in}\right)

    ``soft`` takes :math:`\log(1 + e^x)` of the difference instead of :math:`\max(0, m + x)`.
    Euclidean distances; a sample is among its positives, at distance 0. Without a negative in
    the batch the loss is 0.

    ``embedding``: (N, D); ``label``: (N,). Value: (N,).

    Source: Hermans, Beyer and Leibe (2017), arXiv:1703.07737.
    """
    require_rank("embedding", embedding.shape, 2)
    require_shape("label", label.shape, embedding.shape[:1])
    alike = same(F, label)
    distance = F.norm(differences(F, embedding, embedding), axis=2)
    farthest = F.max(F.where(alike, distance, -1.0), axis=1)
    nearest = F.min(F.where(alike, math.inf, distance), axis=1)
    gap = farthest - nearest
    return F.softrelu(gap) if soft else F.relu(margin + gap)


def circle(F: Any, embedding: Any, label: Label, margin: float = 0.25, scale: float = 256.0) -> Any:
    r"""The circle loss: each similarity pulled by how far it is from its optimum.

    .. math:: \ell_i = \log\Big(1 + \sum_n e^{\gamma \alpha_n (s_n - m)}
        \sum_p e^{-\gamma \alpha_p (s_p - 1 + m)}\Big), \quad
        \alpha_n = \max(0, s_n + m),\ \alpha_p = \max(0, 1 + m - s_p)

    Over the cosines of a sample with those of other classes and with the others of its own. The
    weights :math:`\alpha` are taken as constants in the gradient, as in the source. A sample
    without positives or without negatives has loss 0 and gradient 0.

    ``embedding``: (N, D); ``label``: (N,). Value: (N,).

    Source: Sun et al. (2020), CVPR, arXiv:2002.10857, eq. 6.
    """
    require_rank("embedding", embedding.shape, 2)
    require_shape("label", label.shape, embedding.shape[:1])
    vectors = unit(F, embedding)
    cosine = F.dot(vectors, vectors, transpose_b=True)
    alike = same(F, label)
    positive = alike - F.eye(embedding.shape[0], dtype=embedding.dtype)
    pull = F.stop_gradient(F.relu(1 + margin - cosine)) * (1 - margin - cosine)
    push = F.stop_gradient(F.relu(cosine + margin)) * (cosine - margin)
    pulled = F.logsumexp(F.where(positive, scale * pull, HIDDEN), axis=1)
    pushed = F.logsumexp(F.where(alike, HIDDEN, scale * push), axis=1)
    return F.softrelu(pulled + pushed)


def arcface(
    F: Any, embedding: Any, weight: Any, label: Label, margin: float = 0.5, scale: float = 64.0
) -> Any:
    r"""Cross-entropy of cosines, the angle with the own class widened by a margin.

    .. math:: \ell = -\log \frac{e^{s \cos(\theta_y + m)}}
        {e^{s \cos(\theta_y + m)} + \sum_{j \ne y} e^{s \cos \theta_j}}

    The sine is the length of what is left of the vector beside its class's direction, so that no
    digits are lost, and no derivative is infinite, where both directions are the same.

    ``embedding``: (N, D); ``weight``, a vector of each class: (C, D); ``label``: (N,).
    Value: (N,). A label outside the classes is refused, or NaN where a graph cannot refuse.

    Source: Deng et al. (2019), CVPR, arXiv:1801.07698.
    """
    vectors, classes, own = _directions(F, embedding, weight, label)
    cosine = F.sum(vectors * own, axis=1, keepdims=True)
    sine = F.norm(vectors - cosine * own, axis=1, keepdims=True)
    along, beside = (
        (math.cos(margin), math.sin(margin))
        if is_number(margin)
        else (F.cos(margin), F.sin(margin))
    )
    return _margin_softmax(F, vectors, classes, label, cosine * along - sine * beside, scale)


def cosface(
    F: Any, embedding: Any, weight: Any, label: Label, margin: float = 0.35, scale: float = 64.0
) -> Any:
    r"""Cross-entropy of cosines, that of the own class lowered by a margin.

    .. math:: \ell = -\log \frac{e^{s (\cos \theta_y - m)}}
        {e^{s (\cos \theta_y - m)} + \sum_{j \ne y} e^{s \cos \theta_j}}

    ``embedding``: (N, D); ``weight``, a vector of each class: (C, D); ``label``: (N,).
    Value: (N,). A label outside the classes is refused, or NaN where a graph cannot refuse.

    Source: Wang et al. (2018), CVPR, arXiv:1801.09414.
    """
    vectors, classes, own = _directions(F, embedding, weight, label)
    cosine = F.sum(vectors * own, axis=1, keepdims=True)
    return _margin_softmax(F, vectors, classes, label, cosine - margin, scale)


def proxy_nca(F: Any, embedding: Any, proxy: Any, label: Label, normalize: bool = True) -> Any:
    r"""Each vector nearer to the proxy of its class than to those of all others.

    .. math:: \ell = -\log \frac{e^{-d(x, p_y)}}{\sum_{z \ne y} e^{-d(x, p_z)}}

    ``d`` is the squared Euclidean distance, of unit vectors with ``normalize``.

    ``embedding``: (N, D); ``proxy``, one of each class: (C, D), C at least 2; ``label``: (N,).
    Value: (N,). A label outside the classes is refused, or NaN where a graph cannot refuse.

    Source: Movshovitz-Attias et al. (2017), ICCV, arXiv:1703.07464.
    """
    require_rank("embedding", embedding.shape, 2)
    require_shape("proxy", proxy.shape, (None, embedding.shape[1]))
    require_above("proxy.shape[0]", proxy.shape[0], 1)
    if normalize:
        embedding, proxy = unit(F, embedding), unit(F, proxy)
    distance = F.sum(F.square(differences(F, embedding, proxy)), axis=2)
    hot = F.one_hot(label, proxy.shape[0], dtype=embedding.dtype)
    others = F.logsumexp(F.where(hot, -math.inf, -distance), axis=1)
    return F.pick(distance, label, axis=1, mode="raise") + others


def _directions(F: Any, embedding: Any, weight: Any, label: Any) -> tuple[Any, Any, Any]:
    """Unit vectors of the samples, of the classes, and of each sample's class."""
    require_rank("embedding", embedding.shape, 2)
    require_shape("weight", weight.shape, (None, embedding.shape[1]))
    require_shape("label", label.shape, embedding.shape[:1])
    classes = unit(F, weight)
    return unit(F, embedding), classes, F.take(classes, label, axis=0, mode="raise")


def _margin_softmax(F: Any, vectors: Any, classes: Any, label: Any, own: Any, scale: Any) -> Any:
    """Cross-entropy of scaled cosines, with another number for the labelled class."""
    # of differences, so that a large scale costs no digits; own is NaN for what is no class
    gaps = F.broadcast_sub(F.dot(vectors, classes, transpose_b=True), own)
    hot = F.one_hot(label, classes.shape[0], dtype=gaps.dtype)
    return F.logsumexp(scale * F.where(hot, F.zeros_like(gaps), gaps), axis=1)
