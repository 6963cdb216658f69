"""Survival analysis by ranks: each event against those still at risk."""

from __future__ import annotations

from typing import Any

from ..authoring.shapes import require_rank
from ..errors import InputError
from .limits import finite
from .pairs import HIDDEN


def cox_partial_likelihood(
    F: Any, log_risk: Any, time: Any, event: Any, ties: str = "breslow"
) -> Any:
    r"""Each event's part of the negative partial log-likelihood of proportional hazards.

    .. math:: \ell_i = d_i \left(\log \sum_{t_j \ge t_i} e^{x_j} - x_i\right)

    Events at one time share their sum with ``ties="breslow"``; with ``efron`` the k-th of n such
    events has lost the part k/n (k from 0) of all of them. Every sample sees all others: the
    batch is the study.

    Inputs: ``log_risk``, ``time`` and ``event`` (1 where it was seen, 0 where the time is
    censored), (N,). Value: (N,), 0 for censored samples.

    Raises:
        InputError: for other ``ties``.

    Source: Cox (1972), JRSS B 34(2); Breslow (1974), Biometrics 30(1); Efron (1977), JASA 72(359).
    """
    if ties not in ("breslow", "efron"):
        raise InputError(f"ties: expected 'breslow' or 'efron', got {ties!r}")
    require_rank("log_risk", log_risk.shape, 1)
    event = F.cast(event, dtype=log_risk.dtype)
    rows, columns = F.expand_dims(time, axis=1), F.expand_dims(time, axis=0)
    log_share = F.log(F.cast(F.broadcast_lesser_equal(rows, columns), dtype=log_risk.dtype))
    itself = F.eye(log_risk.shape[0], dtype=log_risk.dtype)
    own: Any = 0.0  # the logarithm of the share that an event has in its own sum
    if ties == "efron":
        log_share = log_share + F.log1p(-_lost(F, rows, columns, event))
        own = F.sum(F.where(itself, log_share, F.zeros_like(log_share)), axis=1)
    risks = F.expand_dims(log_risk, axis=0)
    # of differences from about the largest that is seen, so that large risks lose no digits
    largest = F.max(F.broadcast_add(log_share, risks), axis=1, keepdims=True, finite=True)
    base = F.stop_gradient(finite(F, largest))
    seen = log_share + F.broadcast_sub(risks, base)
    # by the margin of the others, so that a small loss and its gradient keep their digits
    others = F.logsumexp(F.where(itself, F.zeros_like(seen) + HIDDEN, seen), axis=1)
    return event * (own + F.softrelu(others - (log_risk - F.squeeze(base, axis=1)) - own))


def _lost(F: Any, rows: Any, columns: Any, event: Any) -> Any:
    """The fraction that Efron's method takes from tied events: (N, N)."""
    tied = F.broadcast_equal(rows, columns) * F.expand_dims(event, axis=0)
    tied = tied * F.expand_dims(event, axis=1)
    places = F.cumsum(F.ones_like(event), axis=0)
    earlier = F.broadcast_lesser(F.expand_dims(places, axis=0), F.expand_dims(places, axis=1))
    before = F.sum(tied * earlier, axis=1, keepdims=True)
    together = F.maximum(F.sum(tied, axis=1, keepdims=True), 1.0)
    return tied * before / together
