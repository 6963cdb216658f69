"""Connectionist temporal classification with a small probability for what is impossible.

The forward recursion, step by step, which keeps its scores. What cannot be (to begin elsewhere
than at the start, to go from a label to its repetition without a blank between) costs
``log_epsilon`` instead of being ruled out, so that every label has a finite loss. Where an
alignment exists, the others are too small to show.
"""

from __future__ import annotations

from typing import Any

from ..symbolic.ctc import LOG_ZERO, checked_labels, in_range


def ctc_forward(
    F: Any,
    logits: Any,
    logit_paddings: Any,
    labels: Any,
    label_paddings: Any,
    blank: int,
    log_epsilon: float,
) -> tuple[Any, Any, Any]:
    r"""The loss, and the scores of having come to a blank or a label at each step.

    .. math:: \ell = -\log \sum_{\pi : B(\pi) = y} \prod_t p_t(\pi_t)

    Args:
        F: the operators.
        logits: (N, T, C).
        logit_paddings: (N, T), 0 for the steps that count, else 1: anywhere.
        labels: (N, L), classes; past the end they may be any.
        label_paddings: (N, L), 0 for the labels that count, then 1.
        blank: the class of the blank.
        log_epsilon: the logarithm of the probability of what is impossible.

    Returns:
        (N,), (T, N, L+1) of the blanks, of which the last row has the loss, and (T, N, L).

    Source: Graves et al. (2006), ICML.
    """
    present = F.sum(label_paddings == 0, axis=1)
    lengths = F.cast(present, "int64")
    _, known = checked_labels(F, labels, lengths, logits.shape[2], logits)
    labels = F.cast(labels, "int64")
    known = known * in_range(F, F.array([blank]), logits.shape[2], logits)
    emissions = _emissions(F, logits, labels, blank)
    padded = F.expand_dims(F.transpose(logit_paddings), axis=2) != 0
    after, between = _costs(F, labels, log_epsilon, logits)

    def step(elements: Any, states: Any) -> Any:
        following = _following(F, elements[:2], states, after, between)
        stays = [F.broadcast_like(elements[2], state) for state in states]
        states = [F.where(p, x, y) for p, x, y in zip(stays, states, following, strict=True)]
        return states, states

    (blanks, emitted), (blank_last, label_last) = F.contrib.foreach(
        step, [*emissions, padded], _start(F, labels, log_epsilon, logits)
    )
    ends = _into_blanks(F, blank_last, label_last)
    loss = -known * F.reshape(F.pick(ends, lengths, axis=1), (-1,))
    loss = F.with_gradient(F.relu(loss), [loss], [F.ones_like(loss)])  # rounding may pass 0
    earlier = F.slice_axis(blanks, axis=0, begin=0, end=-1)
    return loss, F.concat(earlier, F.expand_dims(ends, axis=0), dim=0), emitted


def _emissions(F: Any, logits: Any, labels: Any, blank: int) -> tuple[Any, Any]:
    """Log-probabilities of the labels, (T, N, L), and of the blank, (T, N, 1)."""
    log_probs = F.maximum(F.log_softmax(logits, axis=-1), LOG_ZERO)
    none = F.zeros((labels.shape[0], 1), dtype=labels.dtype)
    read = F.expand_dims(F.concat(labels, none + blank, dim=1), axis=1)
    emitted = F.transpose(F.take_along_axis(log_probs, read, axis=2), axes=(1, 0, 2))
    of_labels = F.slice_axis(emitted, axis=2, begin=0, end=-1)
    return of_labels, F.slice_axis(emitted, axis=2, begin=-1, end=None)


def _costs(F: Any, labels: Any, log_epsilon: float, like: Any) -> tuple[Any, Any]:
    """What it costs to leave a label without a blank, and what a blank between costs: (N, L)."""
    none = F.zeros((labels.shape[0], 1), dtype=labels.dtype) - 1
    following = F.slice_axis(F.concat(labels, none, dim=1), axis=1, begin=1, end=None)
    repeated = F.cast(labels == following, like.dtype)
    return repeated * log_epsilon, (1 - repeated) * log_epsilon


def _start(F: Any, labels: Any, log_epsilon: float, like: Any) -> list[Any]:
    """Scores before the first step: at the first blank, for sure."""
    emitted = F.cast(F.zeros_like(labels), like.dtype) + log_epsilon
    first = F.zeros((labels.shape[0], 1), dtype=like.dtype)
    return [F.concat(first, emitted, dim=1), emitted]


def _following(F: Any, emissions: Any, states: Any, after: Any, between: Any) -> list[Any]:
    """Scores after a step, of blanks and of labels."""
    (of_labels, of_blank), (blanks, emitted) = emissions, states
    left = _into_blanks(F, blanks, emitted + after)
    onwards = F.slice_axis(left, axis=1, begin=0, end=-1)
    labels = F.logaddexp(onwards, emitted, finite=True) + of_labels
    staying = F.broadcast_add(left, of_blank)
    return [_into_blanks(F, staying, F.broadcast_add(emitted + between, of_blank)), labels]


def _into_blanks(F: Any, blanks: Any, added: Any) -> Any:
    """Scores of blanks with those of labels before them added; there is none before the first."""
    first = F.slice_axis(blanks, axis=1, begin=0, end=1)
    later = F.slice_axis(blanks, axis=1, begin=1, end=None)
    return F.concat(first, F.logaddexp(later, added, finite=True), dim=1)
