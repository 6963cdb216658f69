"""Losses between views of the same samples, without labels or with few."""

from __future__ import annotations

from typing import Any

from ..authoring.annotations import Label
from ..authoring.options import require_above
from ..authoring.shapes import require_rank, require_shape
from .pairs import HIDDEN, own_among_all, same, unit


def info_nce(
    F: Any,
    query: Any,
    key: Any,
    negative: Any = None,
    temperature: float = 0.1,
    normalize: bool = True,
) -> Any:
    r"""Each query's own key among the keys of all.

    .. math:: \ell_i = -\log \frac{e^{q_i \cdot k_i / t}}{\sum_j e^{q_i \cdot k_j / t}}

    With ``normalize`` of unit vectors: cosines. CLIP's loss is the mean of this and of the same
    with queries and keys exchanged.

    ``query``, ``key``: (N, D); ``negative``, more keys that belong to no query: (M, D).
    Value: (N,).

    Source: van den Oord, Li and Vinyals (2018), arXiv:1807.03748.
    """
    require_above("temperature", temperature, 0)
    require_rank("query", query.shape, 2)
    require_shape("key", key.shape, query.shape)
    if negative is not None:
        require_shape("negative", negative.shape, (None, query.shape[1]))
        key = F.concat(key, negative, dim=0)
    if normalize:
        query, key = unit(F, query), unit(F, key)
    return own_among_all(F, F.dot(query, key, transpose_b=True) / temperature)


def supcon(
    F: Any, embedding: Any, label: Label, temperature: float = 0.1, normalize: bool = True
) -> Any:
    r"""Supervised contrastive learning: each sample's class among all other samples.

    .. math:: \ell_i = \frac{-1}{|P(i)|} \sum_{p \in P(i)}
        \log \frac{e^{z_i \cdot z_p / t}}{\sum_{a \ne i} e^{z_i \cdot z_a / t}}

    ``P(i)`` are the other samples with the label of i; a sample without any has loss 0 and
    gradient 0.

    ``embedding``: (N, D); ``label``: (N,). Value: (N,).

    Source: Khosla et al. (2020), NeurIPS, arXiv:2004.11362, eq. 2 (the sum outside).
    """
    require_above("temperature", temperature, 0)
    require_rank("embedding", embedding.shape, 2)
    require_shape("label", label.shape, embedding.shape[:1])
    vectors = unit(F, embedding) if normalize else embedding
    itself = F.eye(embedding.shape[0], dtype=embedding.dtype)
    scores = F.dot(vectors, vectors, transpose_b=True) / temperature
    log_probs = F.log_softmax(F.where(itself, HIDDEN, scores), axis=1)
    positive = same(F, label) - itself
    count = F.sum(positive, axis=1)
    # not a product: what is hidden is huge
    of_positives = F.where(positive, log_probs, F.zeros_like(log_probs))
    return -F.sum(of_positives, axis=1) / F.maximum(count, 1)


def siglip(
    F: Any,
    image: Any,
    text: Any,
    temperature: float = 10.0,
    bias: float = -10.0,
    normalize: bool = True,
) -> Any:
    r"""Every image with every text by itself: a logistic loss of whether they belong together.

    .. math:: \ell_i = \sum_j \log\left(1 + e^{-z_{ij} (t\, x_i \cdot y_j + b)}\right),
        \quad z_{ij} = 1 \text{ if } i = j \text{ else } -1

    The temperature multiplies, as in the source; both it and the bias are learned there: give
    them as arrays and ask for their gradients.

    ``image``, ``text``: (N, D). Value: (N,), whose mean is the source's loss.

    Source: Zhai et al. (2023), ICCV, arXiv:2303.15343.
    """
    require_rank("image", image.shape, 2)
    require_shape("text", text.shape, image.shape)
    if normalize:
        image, text = unit(F, image), unit(F, text)
    scores = F.dot(image, text, transpose_b=True) * temperature + bias
    signs = 2 * F.eye(image.shape[0], dtype=image.dtype) - 1
    return F.sum(F.softrelu(-signs * scores), axis=1)


def barlow_twins(F: Any, x1: Any, x2: Any, redundancy: float = 0.005) -> Any:
    r"""The correlations of the features of two views drawn to the identity.

    .. math:: \ell = \sum_i (1 - C_{ii})^2 + \lambda \sum_{i \ne j} C_{ij}^2

    ``C`` is the matrix of correlations over the batch; a feature that is constant there has the
    correlation 0 with all.

    ``x1``, ``x2``: (N, D). Value: (), of the whole batch.

    Source: Zbontar et al. (2021), ICML, arXiv:2103.03230.
    """
    require_rank("x1", x1.shape, 2)
    require_shape("x2", x2.shape, x1.shape)
    first, second = (unit(F, x - F.mean(x, axis=0, keepdims=True), axis=0) for x in (x1, x2))
    correlation = F.dot(first, second, transpose_a=True)
    gold = F.eye(x1.shape[1], dtype=x1.dtype)
    weights = gold + (1 - gold) * redundancy
    return F.scalar(F.sum(weights * F.square(gold - correlation)))


def vicreg(
    F: Any,
    x1: Any,
    x2: Any,
    invariance: float = 25.0,
    variance: float = 25.0,
    covariance: float = 1.0,
    target: float = 1.0,
    epsilon: float = 1e-4,
) -> Any:
    r"""Views alike, every feature spread, no two features correlated.

    .. math:: \ell = \lambda \operatorname{mean}_n \|x_n - x'_n\|^2
        + \mu (v(x) + v(x')) + \nu (c(x) + c(x'))

    with :math:`v(x) = \operatorname{mean}_d \max(0, \gamma - \sqrt{\operatorname{Var} x_d +
    \epsilon})` and :math:`c(x) = \sum_{i \ne j} \operatorname{Cov}(x)_{ij}^2 / D`, with N - 1 for
    the number of samples: NaN for a single one.

    ``x1``, ``x2``: (N, D); the options are the source's lambda, mu, nu, gamma and epsilon, which
    belongs to its formula. Value: (), of the whole batch.

    Source: Bardes, Ponce and LeCun (2022), ICLR, arXiv:2105.04906.
    """
    require_rank("x1", x1.shape, 2)
    require_shape("x2", x2.shape, x1.shape)
    alike = F.mean(F.sum(F.square(x1 - x2), axis=1))
    spread, mixed = zip(*(_moments(F, x, target, epsilon) for x in (x1, x2)), strict=True)
    total = invariance * alike + variance * (spread[0] + spread[1])
    return F.scalar(total + covariance * (mixed[0] + mixed[1]))


def _moments(F: Any, x: Any, target: Any, epsilon: Any) -> tuple[Any, Any]:
    """The missing spread of the features, and the squares of their covariances, by feature."""
    samples, features = x.shape
    centered = x - F.mean(x, axis=0, keepdims=True)
    variance = F.sum(F.square(centered), axis=0) / (samples - 1)
    covariance = F.dot(centered, centered, transpose_a=True) / (samples - 1)
    others = 1 - F.eye(features, dtype=x.dtype)
    mixed = F.sum(others * F.square(covariance)) / features
    return F.mean(F.relu(target - F.sqrt(variance + epsilon))), mixed
