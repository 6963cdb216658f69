"""Losses of lists: the scores of the items of each list against their relevance.

Scores and relevance are (N, L), one row a list, and so is ``mask``, which is 0 where a list has
no item: what stands there adds nothing, whatever it is, and has the gradient 0. Values are (N,).
"""

from __future__ import annotations

import math
from typing import Any

from ..authoring.annotations import Label
from ..authoring.options import require_above
from ..authoring.shapes import require_rank, require_shape
from .pairs import HIDDEN, gaps


def rank_net(F: Any, score: Any, relevance: Label, mask: Label = None, sigma: float = 1.0) -> Any:
    r"""The pairwise logistic loss: of any two items the more relevant one scores higher.

    .. math:: \ell = \sum_{y_i > y_j} \log\left(1 + e^{-\sigma (s_i - s_j)}\right)

    ``score``, ``relevance``, ``mask``: (N, L). Value: (N,), the sum over the pairs.

    Source: Burges et al. (2005), ICML.
    """
    score, relevance, there = _items(F, score, relevance, mask)
    wins = F.broadcast_lesser(gaps(F, relevance), 0) * _both(F, there)
    return F.sum(F.masked_mul(wins, F.softrelu(sigma * gaps(F, score))), axis=(1, 2))


def list_net(F: Any, score: Any, relevance: Any, mask: Label = None) -> Any:
    r"""ListNet: cross-entropy of the probabilities of being on top.

    .. math:: \ell = -\sum_i P_y(i) \log P_s(i), \quad P_x = \operatorname{softmax}(x)

    ``score``, ``relevance``, ``mask``: (N, L). Value: (N,).

    Source: Cao et al. (2007), ICML.
    """
    score, relevance, there = _items(F, score, relevance, mask)
    shown = [F.where(there, x, HIDDEN) for x in (score, relevance)]
    wanted = F.softmax(shown[1], axis=1) * there
    return -F.sum(F.masked_mul(wanted, F.log_softmax(shown[0], axis=1)), axis=1)


def list_mle(F: Any, score: Any, relevance: Label, mask: Label = None) -> Any:
    r"""ListMLE: the likelihood of the order of relevance, item after item.

    .. math:: \ell = \sum_i \log \sum_{k \ge i} e^{s_{\pi(k)} - s_{\pi(i)}}

    ``pi`` orders by falling relevance; items of the same relevance keep their order.

    ``score``, ``relevance``, ``mask``: (N, L). Value: (N,).

    Source: Xia et al. (2008), ICML.
    """
    score, relevance, there = _items(F, score, relevance, mask)
    # No sorting: what stands behind an item can be said of every pair. Of differences, so that
    # large scores lose no digits.
    behind = (1 - _before(F, relevance)) * _both(F, there)
    rest = F.logsumexp(F.where(behind, gaps(F, score), HIDDEN), axis=2)
    return F.sum(F.where(there, rest, F.zeros_like(rest)), axis=1)


def approx_ndcg(F: Any, score: Any, relevance: Any, mask: Label = None, alpha: float = 10.0) -> Any:
    r"""One minus the discounted gain, with ranks that sigmoids approximate.

    .. math:: \ell = 1 - \frac{1}{Z} \sum_i \frac{2^{y_i} - 1}{\log_2(1 + r_i)},
        \quad r_i = 1 + \sum_{j \ne i} \sigma(\alpha (s_j - s_i))

    ``Z`` is the sum for the best order, which makes the gain at most about 1. A list of which
    nothing is relevant has loss 0.

    ``score``, ``relevance`` (0 and more), ``mask``: (N, L). Value: (N,).

    Source: Qin, Liu and Li (2010), Information Retrieval 13.
    """
    require_above("alpha", alpha, 0)
    score, relevance, there = _items(F, score, relevance, mask)
    others = F.expand_dims(there, axis=1) * (1 - F.eye(score.shape[1], dtype=score.dtype))
    rank = 1 + F.sum(others * F.sigmoid(alpha * gaps(F, score)), axis=2)
    best_rank = 1 + F.sum(_before(F, relevance) * others, axis=2)
    # relative to the largest, as the scale is in best too: 2^y may be no number
    largest = F.max(relevance, axis=1, keepdims=True)
    gain = -F.exp((relevance - largest) * math.log(2)) * F.expm1(relevance * -math.log(2)) * there
    found, best = (F.sum(gain / F.log2(1 + r), axis=1) for r in (rank, best_rank))
    known = best > 0
    return known * (1 - found / (best + (1 - known)))


def _items(F: Any, score: Any, relevance: Any, mask: Any) -> tuple[Any, Any, Any]:
    """Scores and relevance in one dtype, 0 where there is no item, and where there are items."""
    require_rank("score", score.shape, 2)
    require_shape("relevance", relevance.shape, score.shape)
    relevance = F.cast(relevance, score.dtype)
    if mask is None:
        return score, relevance, F.ones_like(score)
    require_shape("mask", mask.shape, score.shape)
    there = F.cast(mask != 0, score.dtype)
    return *(F.where(there, x, F.zeros_like(x)) for x in (score, relevance)), there


def _both(F: Any, there: Any) -> Any:
    """Where both items of a pair are there."""
    return F.expand_dims(there, axis=1) * F.expand_dims(there, axis=2)


def _before(F: Any, relevance: Any) -> Any:
    """At (n, i, k), whether item k comes before item i by relevance, then by place."""
    ahead = gaps(F, relevance)
    place = F.arange(relevance.shape[1], dtype="int64")
    earlier = F.broadcast_lesser(F.expand_dims(place, axis=0), F.expand_dims(place, axis=1))
    tied = F.broadcast_mul(ahead == 0, F.expand_dims(F.cast(earlier, ahead.dtype), axis=0))
    return (ahead > 0) + tied
