"""Measures of information, of distributions or of the logits of distributions.

They are in nats, or in units of the logarithm to ``base``: 2 for bits. What has probability 0
adds nothing.
"""

from __future__ import annotations

import math
from typing import Any

from ..symbolic.ctc import LOG_ZERO
from .limits import broadcast_all, in_base, xlogy

_UNDERFLOW = -750.0  # below it exp is 0 in float64 too, or what old engines have instead


def entropy(F: Any, p: Any, base: float = math.e, from_logits: bool = False, axis: int = -1) -> Any:
    r"""The uncertainty of a distribution.

    .. math:: \ell = -\sum_c p_c \log p_c

    Inputs: ``p``, distributions along ``axis``, or logits of them. Value: without that axis.

    Raises:
        InputError: for a base that is no base.

    Source: Shannon (1948), Bell System Technical Journal 27.
    """
    return in_base(F, -_mean_log(F, p, p, from_logits, axis), base)


def cross_entropy(
    F: Any, p: Any, q: Any, base: float = math.e, from_logits: bool = False, axis: int = -1
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
    F: Any, p: Any, q: Any, base: float = math.e, from_logits: bool = False, axis: int = -1
) -> Any:
    r"""The Kullback-Leibler divergence of a distribution ``p`` from ``q``.

    .. math:: \ell = \sum_c p_c \log \frac{p_c}{q_c}

    Inputs: ``p`` and ``q``, distributions along ``axis``, or logits of both. Value: without
    that axis; infinite where ``q`` rules out what ``p`` does not.

    Raises:
        InputError: for a base that is no base.

    Source: Kullback, Leibler (1951), Annals of Mathematical Statistics 22(1).
    """
    own = _mean_log(F, p, p, from_logits, axis)
    return in_base(F, own - _mean_log(F, p, q, from_logits, axis), base)


def jensen_shannon(
    F: Any, p: Any, q: Any, base: float = math.e, from_logits: bool = False, axis: int = -1
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
    if from_logits:
        log_p, log_q = _log_probs(F, p, axis), _log_probs(F, q, axis)
        log_m = F.logaddexp(log_p, log_q) - math.log(2)
        of_p, of_q, of_m = (F.exp(x) * x for x in (log_p, log_q, log_m))
    else:
        of_p, of_q, of_m = (xlogy(F, x, x) for x in (p, q, (p + q) / 2))
    return in_base(F, F.sum((of_p + of_q) / 2 - of_m, axis=axis), base)


def mutual_information(F: Any, joint: Any, base: float = math.e, from_logits: bool = False) -> Any:
    r"""What two variables say of each other, from the table of their joint distribution.

    .. math:: \ell = \sum_{a b} p_{a b} \log \frac{p_{a b}}{p_a p_b}

    Inputs: ``joint``, (..., A, B), of sum 1, or logits of it. Value: (...).

    Raises:
        InputError: for a base that is no base.

    Source: Shannon (1948), Bell System Technical Journal 27.
    """
    if not from_logits:
        of_each = [F.sum(joint, axis=axis, keepdims=True) for axis in (-2, -1)]
        parts = [xlogy(F, p, p) for p in (joint, *of_each)]
    else:
        log_p = F.maximum(joint - F.logsumexp(joint, axis=(-2, -1), keepdims=True), LOG_ZERO)
        of_each = [F.logsumexp(log_p, axis=axis, keepdims=True) for axis in (-2, -1)]
        parts = [F.exp(x) * x for x in (log_p, *of_each)]
    both, first, second = (F.sum(part, axis=(-2, -1)) for part in parts)
    return in_base(F, both - first - second, base)


def _mean_log(F: Any, p: Any, q: Any, from_logits: bool, axis: int) -> Any:
    """The mean of ``log(q)`` over what comes from ``p``."""
    if not from_logits:
        return F.sum(xlogy(F, p, q), axis=axis)
    log_p, log_q = broadcast_all(F, _log_probs(F, p, axis), F.log_softmax(q, axis=axis))
    p = F.exp(log_p)
    never = F.maximum(p == 0, log_p < _UNDERFLOW)  # 0 * inf, and its slopes
    return F.sum(p * F.where(never, F.zeros_like(log_q), log_q), axis=axis)


def _log_probs(F: Any, logits: Any, axis: int) -> Any:
    """Logarithms of probabilities, finite where one is 0."""
    return F.maximum(F.log_softmax(logits, axis=axis), LOG_ZERO)
