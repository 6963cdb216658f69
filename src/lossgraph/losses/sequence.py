"""Losses of sequences against sequences."""

from __future__ import annotations

from typing import Any

# The logarithm of zero: far below any sum of log-probabilities, and finite, so that no
# difference of two of them is NaN, in value or gradient.
LOG_ZERO = -1e30


def ctc_log_likelihood(
    F: Any,
    log_probs: Any,
    labels: Any,
    label_lengths: Any,
    blank: Any,
    running: Any = None,
) -> Any:
    r"""The logarithm of the probability of all alignments of a label sequence to the steps.

    .. math:: \log p(y \mid x) = \log \sum_{\pi : B(\pi) = y} \prod_t p_t(\pi_t)

    The forward recursion over the label with blanks between (2L+1 states) as shifts of one row
    that is padded by two: a state is reached from itself, from the one before, and from the one
    before that if it is another label. The padding begins with the start, at state -1.

    Args:
        F: the operators.
        log_probs: (T, N, C).
        labels: (N, L), classes (others count as the nearest); past the length they are unread.
        label_lengths: (N,), int64.
        blank: the class of the blank, an int or a size.
        running: (T, N, 1), 1 for a step that counts; None if all do. See ``running_steps``.

    Returns:
        (N,), at most ``LOG_ZERO / 2`` where there is no alignment.

    Source: Graves et al. (2006), ICML.
    """
    labels = F.cast(labels, dtype="int64")
    emissions = _emissions(F, log_probs, labels, blank)
    skips = _skips(F, labels, log_probs)
    start = _column(F, skips, 0.0)
    never = _column(F, skips, LOG_ZERO)
    begin = F.concat(never, start, F.zeros_like(skips) + LOG_ZERO, dim=1)

    def advance(emission: Any, row: Any) -> Any:
        came_from = F.stack(row[:, 2:], row[:, 1:-1], row[:, :-2] + skips, axis=0)
        return F.concat(never, never, F.logsumexp(came_from, axis=0) + emission, dim=1)

    if running is None:
        _, last = F.contrib.foreach(lambda e, row: ([], advance(e, row)), emissions, begin)
    else:

        def advance_if_running(data: Any, row: Any) -> Any:
            emission, still = data
            return [], F.where(F.broadcast_like(still, row), advance(emission, row), row)

        _, last = F.contrib.foreach(advance_if_running, [emissions, running], begin)
    ends = F.stack(
        F.pick(last, 2 * label_lengths + 2, axis=1),
        F.pick(last, 2 * label_lengths + 1, axis=1),
        axis=0,
    )
    return F.logsumexp(ends, axis=0)


def running_steps(F: Any, pred: Any, pred_lengths: Any) -> Any:
    """1 for the steps before the length of each sequence, else 0: (T, N, 1) for (T, N, C)."""
    steps = F.arange(pred.shape[0], dtype="int64").reshape((-1, 1, 1))
    return F.broadcast_lesser(steps, F.cast(pred_lengths, "int64").reshape((1, -1, 1)))


def _emissions(F: Any, log_probs: Any, labels: Any, blank: Any) -> Any:
    """Log-probabilities of blank, label, blank, .., label, blank at each step: (T, N, 2L+1)."""
    classes = log_probs.shape[2]
    rows = F.arange(log_probs.shape[1], dtype="int64").reshape((-1, 1)) * classes
    by_class = F.reshape(F.transpose(log_probs, axes=(1, 2, 0)), shape=(-3, 0))
    inside = F.minimum(F.maximum(labels, 0), classes - 1)  # its own sample's
    chosen = F.take(by_class, inside + rows, axis=0)
    of_labels = F.transpose(chosen, axes=(2, 0, 1))
    of_blank = F.slice_axis(log_probs, axis=2, begin=blank, end=blank + 1)
    between = F.broadcast_like(of_blank, of_labels)
    pairs = F.reshape(F.stack(between, of_labels, axis=3), shape=(0, 0, -3))
    return F.maximum(F.concat(pairs, of_blank, dim=2), LOG_ZERO)


def _skips(F: Any, labels: Any, like: Any) -> Any:
    """0 where a state is reached from two before, else the logarithm of zero: (N, 2L+1)."""
    shifted = F.concat(_column(F, labels, -1), labels[:, :-1], dim=1)
    same = F.cast(F.broadcast_equal(labels, shifted), dtype=like.dtype) * LOG_ZERO
    none = F.zeros_like(same) + LOG_ZERO
    pairs = F.reshape(F.stack(none, same, axis=2), shape=(0, -3))
    return F.concat(pairs, _column(F, F.sum(pairs, axis=1, keepdims=True), LOG_ZERO), dim=1)


def _column(F: Any, like: Any, value: float) -> Any:
    """One number for each row of a matrix, as a column."""
    return F.zeros_like(F.sum(like, axis=1, keepdims=True)) + value
