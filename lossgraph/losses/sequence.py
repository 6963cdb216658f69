"""Losses of sequences without an alignment."""

from __future__ import annotations

from typing import Any

from ..authoring.shapes import require_rank
from ..symbolic.ctc import LOG_ZERO, checked_labels, ctc_log_likelihood, in_range
from .limits import focused


def focal_ctc(
    F: Any,
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    alpha: float = 0.25,
    gamma: float = 0.5,
    blank: int = 0,
) -> Any:
    r"""CTC that cares less for what it reads well.

    .. math:: \ell = \alpha (1 - p)^\gamma (-\log p), \quad
        p = \sum_{\pi : B(\pi) = y} \prod_t p_t(\pi_t)

    A target without an alignment has an infinite loss, its gradient 0.

    Inputs: ``log_probs``, log-probabilities (N, T, C); ``targets``, classes (N, L), of any value
    past their lengths; ``input_lengths`` and ``target_lengths``, (N,). Value: (N,).

    Source: Feng, Yao, Zhang (2019), Complexity, article 9345861.
    """
    require_rank("log_probs", log_probs.shape, 3)
    require_rank("targets", targets.shape, 2)
    lengths, ends = (F.cast(x, dtype="int64") for x in (target_lengths, input_lengths))
    labels, known = checked_labels(F, targets, lengths, log_probs.shape[2], log_probs)
    known = known * in_range(F, ends, log_probs.shape[1] + 1, log_probs)
    known = known * in_range(F, F.zeros_like(ends) + blank, log_probs.shape[2], log_probs)
    likelihood = known * ctc_log_likelihood(F, log_probs, labels, lengths, blank, ends)
    impossible = likelihood <= LOG_ZERO / 2
    nothing = F.zeros_like(likelihood)
    nll = -F.minimum(F.where(impossible, nothing, likelihood), 0.0)  # rounding may pass 0
    return F.where(impossible, nothing + float("inf"), alpha * focused(F, nll, gamma))
