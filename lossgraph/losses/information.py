"""Measures of information, of distributions or of the logits of distributions.

They are in nats, or in units of the logarithm to ``base``: 2 for bits. What has probability 0
adds nothing.
"""

from __future__ import annotations

import math
from typing import Any

from ..authoring.annotations import Share
from ..symbolic.ctc import LOG_ZERO
from .limits import (
    UNDERFLOW,
    broadcast_all,
    in_base,
    rounding,
    share_divergence,
    softmax_divergence,
    xlogy,
)

_TABLE = (-2, -1)  # the axes of a table


def entropy(
    F: Any, p: Share, base: float = math.e, from_logits: bool = False, axis: int = -1
) -> Any:
    r"""The uncertainty of a distribution.

    .. math:: \ell = -\sum_c p_c \log p_c

    Inputs: ``p``, distributions along ``axis``, or logits of them. Value: without that axis.

    Raises:
        InputError: for a base that is no base.

    Source: Shannon (1948), Bell System Technical Journal 27.
    """
    return in_base(F, -_mean_log(F, p, p, from_logits, axis), base)


def cross_entropy(
    F: Any, p: Share, q: Share, base: float = math.e, from_logits: bool = False, axis: int = -1
) -> Any:
    r"""Cross-entropy: how long the code of a distribution ``q`` is for what comes from ``p``.

    .. math:: \ell = -\sum_c p_c \log q_c

    Inputs: ``p`` and ``q``, distributions along ``axis``, or logits of both. Value: without
    that axis; infinite where ``q`` rules out what ``p`` does not.

    Raises:
        InputError: for a base that is no base.

    Source: Kullback (1959), Information Theory and Statistics.
    """
    return in_base(F, -_mean_log(F, p, q, from_logits, axis), base)


def relative_entropy(
    F: Any, p: Share, q: Share, base: float = math.e, from_logits: bool = False, axis: int = -1
) -> Any:
    r"""The Kullback-Leibler divergence of a distribution ``p`` from ``q``.

    .. math:: \ell = \sum_c p_c \log \frac{p_c}{q_c}

    Inputs: ``p`` and ``q``, distributions along ``axis``, or logits of both. Value: without
    that axis; infinite where ``q`` rules out what ``p`` does not.

    Raises:
        InputError: for a base that is no base.

    Source: Kullback, Leibler (1951), Annals of Mathematical Statistics 22(1).
    """
    p, q = broadcast_all(F, p, q)
    if from_logits:
        value = softmax_divergence(F, p, q, axis)
    else:
        ratio = _log_ratio(F, p, q)
        value = _divergence(F, p, q, ratio, axis)
        never = p == 0
        by_p = F.where(never, F.where(q == 0, F.zeros_like(p) + math.inf, -math.inf), 1 - ratio)
        by_q = F.where(never, F.zeros_like(q), -p / q)
        value = F.with_gradient(value, [p, q], [by_p, by_q])
    return in_base(F, F.sum(value, axis=axis), base)


def jensen_shannon(
    F: Any, p: Share, q: Share, base: float = math.e, from_logits: bool = False, axis: int = -1
) -> Any:
    r"""The mean divergence of two distributions from their mean: symmetric, at most log 2.

    .. math:: \ell = \tfrac12 \sum_c \left(p_c \log \frac{p_c}{m_c} + q_c \log \frac{q_c}{m_c}
        \right), \quad m = \tfrac12 (p + q)

    Inputs: ``p`` and ``q``, distributions along ``axis``, or logits of both. Value: without
    that axis. Its root is a distance.

    Raises:
        InputError: for a base that is no base.

    Source: Lin (1991), IEEE Transactions on Information Theory 37(1).
    """
    p, q = broadcast_all(F, p, q)
    if from_logits:
        log_p, log_q = _log_probs(F, p, axis), _log_probs(F, q, axis)
        p, q = F.exp(log_p), F.exp(log_q)
        terms = _to_mean(F, p, q, F.tanh((log_p - log_q) / 2))
        log_mean = F.logaddexp(log_p, log_q) - math.log(2)
        slopes = [share * (x - log_mean) / 2 for share, x in ((p, log_p), (q, log_q))]
        terms = F.with_gradient(terms, [log_p, log_q], slopes)
    else:
        both = p + q
        lead = (p - q) / F.where(both == 0, F.ones_like(both), both)
        # where neither has anything the slope is the limit for what only one has
        slopes = [F.log1p(F.where(both == 0, F.ones_like(x), x)) / 2 for x in (lead, -lead)]
        terms = F.with_gradient(_to_mean(F, p, q, lead), [p, q], slopes)
    return in_base(F, F.sum(terms, axis=axis), base)


def mutual_information(
    F: Any, joint: Share, base: float = math.e, from_logits: bool = False
) -> Any:
    r"""What two variables say of each other, from the table of their joint distribution.

    .. math:: \ell = \sum_{a b} p_{a b} \log \frac{p_{a b}}{p_a p_b}

    Inputs: ``joint``, (..., A, B), of sum 1, or logits of it. Value: (...).

    Raises:
        InputError: for a base that is no base.

    Source: Shannon (1948), Bell System Technical Journal 27.
    """
    value = _mutual_of_logits(F, joint) if from_logits else _mutual(F, joint)
    return in_base(F, F.sum(value, axis=_TABLE), base)


def _mutual(F: Any, p: Any) -> Any:
    """The divergence of a table from the product of its margins."""
    first, second = (F.zeros_like(p) + F.sum(p, axis=i, keepdims=True) for i in reversed(_TABLE))
    product = first * second
    ratio = _log_ratio(F, p, product)
    # of p = 0 the limits, if the whole row or column is 0 too
    alone = F.where(second == 0, -F.log(first), F.zeros_like(p) - math.inf)
    alone = F.where(first == 0, -F.log(second), alone)
    slope = F.where(p == 0, alone, -1 - ratio)
    return F.with_gradient(_divergence(F, p, product, ratio, _TABLE), [p], [slope])


def _mutual_of_logits(F: Any, x: Any) -> Any:
    log_p = F.maximum(x - F.logsumexp(x, axis=_TABLE, keepdims=True), LOG_ZERO)
    margins = [F.logsumexp(log_p, axis=i, keepdims=True) for i in _TABLE]
    log_q, p = F.zeros_like(x) + margins[0] + margins[1], F.exp(log_p)
    ratio = F.where(p == 0, F.zeros_like(x), log_q - log_p)
    terms = F.where(p == 0, F.exp(log_q), share_divergence(F, p, F.exp(log_q), ratio))
    value = F.sum(terms, axis=_TABLE, keepdims=True)
    return F.with_gradient(value, [x], [F.masked_mul(p, -ratio - value)])


def _divergence(F: Any, p: Any, q: Any, ratio: Any, axis: Any) -> Any:
    """The sum of ``p log(p/q)``, by ``ratio = log(q/p)``; the axis stays.

    Of distributions it is the sum of ``p log(p/q) - p + q``, in which nothing cancels. What they
    differ by in sum is a rounding then, which would make it negative.
    """
    value = F.sum(F.where(p == 0, q, share_divergence(F, p, q, ratio)), axis=axis, keepdims=True)
    excess = F.sum(p - q, axis=axis, keepdims=True)
    size, nothing = F.abs(excess), F.zeros_like(excess)
    value = value + F.where(size > rounding(p, 64), excess, nothing)
    return F.where(size < 0.01, F.relu(value), value)  # which shares of half precision differ by


def _log_ratio(F: Any, p: Any, q: Any) -> Any:
    """``log(q/p)``, which keeps its digits where they are nearly equal; 0 where p is."""
    none = p == 0
    known = F.where(none, F.ones_like(p), p)
    excess = (q - p) / known
    near = F.abs(excess) < 0.25
    far = F.log(F.where(near, known, q)) - F.log(known)
    ratio = F.where(near, F.log1p(F.where(near, excess, F.zeros_like(p))), far)
    return F.where(none, F.zeros_like(p), ratio)


def _to_mean(F: Any, p: Any, q: Any, lead: Any) -> Any:
    """Each class's divergence of both from their mean, by ``lead = (p - q) / (p + q)``."""
    near = F.abs(lead) < 0.5
    small = F.where(near, lead, F.zeros_like(lead))
    inside = F.log1p(-F.square(small)) + small * (F.log1p(small) - F.log1p(-small))
    parts = [1 + lead, 1 - lead]
    outside = sum(F.masked_mul(x, F.log(x)) for x in parts)
    return (p + q) * F.where(near, inside, outside) / 4


def _mean_log(F: Any, p: Any, q: Any, from_logits: bool, axis: int) -> Any:
    """The mean of ``log(q)`` over what comes from ``p``."""
    if not from_logits:
        return F.sum(xlogy(F, p, q), axis=axis)
    log_p, log_q = broadcast_all(F, _log_probs(F, p, axis), F.log_softmax(q, axis=axis))
    p = F.exp(log_p)
    never = F.maximum(p == 0, log_p < UNDERFLOW)  # 0 * inf, and its slopes
    return F.sum(p * F.where(never, F.zeros_like(log_q), log_q), axis=axis)


def _log_probs(F: Any, logits: Any, axis: int) -> Any:
    """Logarithms of probabilities, finite where one is 0."""
    return F.maximum(F.log_softmax(logits, axis=axis), LOG_ZERO)
