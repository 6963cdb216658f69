"""Connectionist temporal classification: a label sequence against unaligned steps.

A label is read by a chain of states: a start, then blank, label, blank, .., label, blank, then an
end. Every step enters a state and emits its class. The start is left with the first step, and the
end is entered with the first step past the input, so that lengths live in the emissions alone and
all samples take the same steps.

Labels (with start and end) and blanks are rows of two arrays, samples are columns: a shift along
the chain moves whole rows. The chain read backwards is another such chain, and runs beside the
first as further columns of the same arrays.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

# The logarithm of zero: far below any sum of log-probabilities, and finite, so that no
# difference of two of them is NaN, in value or gradient.
LOG_ZERO = -1e30

# The logarithm of a share that adds nothing. Engines take long over exponentials that vanish.
NEGLIGIBLE = -80.0


class _Chain(NamedTuple):
    """What runs: S steps, L labels, N samples."""

    labels: Any  # (S, L+2, N): log-probabilities of what start, labels and end emit
    blanks: Any  # (S, 1, N): of the blank
    skips: Any  # (L+2, N): 1 where the blank after a row of labels may be left out
    start: Any  # (L+2, N): 0 where the chain begins, elsewhere LOG_ZERO
    end: Any  # (L+2, N): the same of where it ends
    base: Any  # (N,): what has been taken off the log-probabilities, to keep scores small


def ctc_log_likelihood(
    F: Any,
    log_probs: Any,
    labels: Any,
    label_lengths: Any,
    blank: Any,
    input_lengths: Any = None,
) -> Any:
    r"""The logarithm of the probability of all alignments of a label sequence to the steps.

    .. math:: \log p(y \mid x) = \log \sum_{\pi : B(\pi) = y} \prod_t p_t(\pi_t)

    For the value alone the chain and its reverse meet half-way. Its derivative by
    ``log_probs[n,t,c]`` is the probability of class c at step t given the label, which both
    chains over all steps give, and the value with it.

    Args:
        F: the operators.
        log_probs: (N, T, C).
        labels: (N, L), classes; past the length they may be any.
        label_lengths: (N,), at most L.
        blank: the class of the blank, an int or a size.
        input_lengths: (N,), at most T; None if all are T.

    Returns:
        (N,), at most ``LOG_ZERO / 2`` where there is no alignment; the derivative is 0 there.

    Source: Graves et al. (2006), ICML.
    """
    labels, label_lengths = (F.cast(x, dtype="int64") for x in (labels, label_lengths))
    no_class = F.zeros_like(labels) + log_probs.shape[2]
    labels = F.where(_inside(F, labels, label_lengths), labels, no_class)
    steps = log_probs.shape[1] + 1  # the end takes one

    def chain(total: Any) -> _Chain:
        return _chain(F, log_probs, labels, label_lengths, blank, input_lengths, total)

    value = _likelihood(F, chain((steps + 1) // 2 * 2))
    beside, gradient = _with_posterior(F, chain(steps), log_probs, labels, blank, input_lengths)
    per_sample = (-1, 1, 1)
    value, beside = (F.reshape(_at_most_sure(F, x), per_sample) for x in (value, beside))
    likelihood = F.with_gradient(value, [log_probs], [gradient], beside)
    return F.reshape(likelihood, (-1,))


def ctc_loss(
    F: Any,
    logits: Any,
    labels: Any,
    input_lengths: Any,
    label_lengths: Any,
    blank_first: bool,
) -> Any:
    """The loss in MXNet's convention, which is 0 for a label without an alignment.

    Args:
        F: the operators.
        logits: (N, T, C).
        labels: (N, L), classes but the blank.
        input_lengths: (N,), None if all are T.
        label_lengths: (N,); where they are None labels end at the first padding.
        blank_first: whether the blank is class 0, and the padding 0, or the last class and -1.

    Returns:
        (N,). Labels and lengths that are none are refused, or NaN in a graph.
    """
    lengths = label_lengths_of(F, labels, label_lengths, 0 if blank_first else -1)
    places = labels - 1 if blank_first else labels  # among the classes that are no blank
    places, known = checked_labels(F, places, lengths, logits.shape[2] - 1, logits)
    labels = places + 1 if blank_first else places
    blank = 0 if blank_first else logits.shape[2] - 1
    return loss_of_known(F, logits, labels, known, lengths, blank, input_lengths)


def label_lengths_of(F: Any, labels: Any, label_lengths: Any, padding: int) -> Any:
    """The lengths as int64; where they are None labels end at the first padding."""
    if label_lengths is None:
        ended = F.cumsum(labels == padding, axis=1)
        label_lengths = F.sum(ended == 0, axis=1)
    return F.cast(label_lengths, "int64")


def loss_of_known(
    F: Any, logits: Any, labels: Any, known: Any, lengths: Any, blank: Any, input_lengths: Any
) -> Any:
    """The loss of labels that have been checked; ``known`` is 1, or NaN for those that are none."""
    if input_lengths is not None:  # what lies past the end may be anything
        input_lengths = F.cast(input_lengths, "int64")
        known = known * in_range(F, input_lengths, logits.shape[1] + 1, logits)
        steps = F.arange(logits.shape[1], dtype="int64").reshape((1, -1, 1))
        running = F.broadcast_lesser(steps, input_lengths.reshape((-1, 1, 1)))
        logits = F.where(F.broadcast_like(running, logits), logits, F.zeros_like(logits))
    log_probs = F.log_softmax(logits, axis=-1)
    likelihood = known * ctc_log_likelihood(F, log_probs, labels, lengths, blank, input_lengths)
    impossible = likelihood <= LOG_ZERO / 2
    return F.where(impossible, F.zeros_like(likelihood), -likelihood)


def _at_most_sure(F: Any, log_likelihood: Any) -> Any:
    """0 for what rounding has put above it; what is far above belongs to no probabilities."""
    rounding = float(np.finfo(log_likelihood.dtype).eps)
    most = min(30 * math.sqrt(rounding), 0.01)
    return F.where(log_likelihood < most, F.minimum(log_likelihood, 0.0), log_likelihood)


def checked_labels(
    F: Any, labels: Any, lengths: Any, classes: Any, like: Any, turned: bool = False
) -> tuple[Any, Any]:
    """Labels with zeros past their lengths, and 1 for each sample whose label is valid.

    Args:
        F: the operators.
        labels: (N, L).
        lengths: (N,).
        classes: how many classes there are.
        like: an array of the dtype of the losses.
        turned: whether the user gave (L, N), so that an error names the index that they know.

    Returns:
        (N, L) and (N,). What is no class or no length is refused, or NaN in a graph.
    """
    labels = F.where(_inside(F, labels, lengths), labels, F.zeros_like(labels))
    given = F.swapaxes(labels, 0, 1) if turned else labels
    known = 1 + F.sum(in_range(F, given, classes, like) - 1, axis=0 if turned else 1)
    return labels, known * in_range(F, lengths, labels.shape[1] + 1, like)


def in_range(F: Any, index: Any, count: Any, like: Any) -> Any:
    """1 for an index below ``count``; any other is refused, or NaN in a graph."""
    return F.take(F.ones((count,), dtype=like.dtype), index, mode="raise")


def _inside(F: Any, labels: Any, lengths: Any) -> Any:
    """1 before the length of each label, else 0: (N, L)."""
    places = F.reshape(F.arange(labels.shape[1], dtype="int64"), (1, -1))
    return F.broadcast_lesser(places, F.reshape(lengths, (-1, 1)))


# --- the chain --------------------------------------------------------------------------------


def _chain(
    F: Any,
    log_probs: Any,
    labels: Any,
    label_lengths: Any,
    blank: Any,
    input_lengths: Any,
    total: Any,
) -> _Chain:
    """The chain over ``total`` steps, which are more than the input has."""
    finish = F.reshape(label_lengths, (1, -1)) + 1
    rows = F.arange(labels.shape[1] + 2, dtype="int64").reshape((-1, 1))
    none = F.zeros((1, labels.shape[0]), dtype="int64")
    read = F.concat(none, F.transpose(labels), none, dim=0)
    inside = F.broadcast_mul(rows > 0, F.broadcast_lesser(rows, finish))
    at_end = F.cast(F.broadcast_not_equal(rows, finish) * LOG_ZERO, log_probs.dtype)
    at_start = F.broadcast_like(F.cast((rows > 0) * LOG_ZERO, log_probs.dtype), at_end)
    emissions = _emissions(F, log_probs, read, inside, blank)
    of_labels, of_blanks = _extended(F, *emissions, at_end, input_lengths, total)
    highest = F.maximum(F.max(of_labels, axis=1, keepdims=True, finite=True), of_blanks)
    highest = F.stop_gradient(highest)
    return _Chain(
        F.broadcast_sub(of_labels, highest),
        of_blanks - highest,
        _skips(F, read, rows, finish),
        at_start,
        at_end,
        F.sum(highest, axis=(0, 1)),
    )


def _emissions(F: Any, log_probs: Any, read: Any, inside: Any, blank: Any) -> tuple[Any, Any]:
    """Log-probabilities of the labels, padded with impossible rows, and of the blank."""
    by_class = F.transpose(log_probs, axes=(1, 2, 0))
    chosen = F.take_along_axis(by_class, F.expand_dims(read, axis=0), axis=1)
    never = F.cast((1 - inside) * LOG_ZERO, log_probs.dtype)
    of_labels = F.broadcast_add(chosen, F.expand_dims(never, axis=0))
    which = F.zeros((1,), dtype="int64") + blank
    of_blanks = F.take(by_class, which, axis=1)
    return F.maximum(of_labels, LOG_ZERO), F.maximum(of_blanks, LOG_ZERO)


def _extended(
    F: Any, of_labels: Any, of_blanks: Any, at_end: Any, input_lengths: Any, total: Any
) -> tuple[Any, Any]:
    """Emissions extended past the input, where only the end state is emitted."""
    steps, _, batch = of_labels.shape
    only_end = F.expand_dims(at_end, axis=0)
    if input_lengths is not None:
        running = _running(F, steps, input_lengths)
        spread = F.broadcast_like(only_end, of_labels)
        of_labels = F.where(F.broadcast_like(running, of_labels), of_labels, spread)
        of_blanks = F.where(running, of_blanks, F.zeros_like(of_blanks) + LOG_ZERO)
    past = F.broadcast_to(only_end, (total - steps, *at_end.shape))
    no_blank = F.full((total - steps, 1, batch), LOG_ZERO, dtype=at_end.dtype)
    return F.concat(of_labels, past, dim=0), F.concat(of_blanks, no_blank, dim=0)


def _running(F: Any, steps: Any, input_lengths: Any) -> Any:
    """1 for the steps of each input, else 0: (T, 1, N)."""
    at = F.arange(steps, dtype="int64").reshape((-1, 1, 1))
    ends = F.reshape(F.cast(input_lengths, dtype="int64"), (1, 1, -1))
    return F.broadcast_lesser(at, ends)


def _skips(F: Any, read: Any, rows: Any, finish: Any) -> Any:
    """The blank may be left out between different labels, after the start and before the end."""
    different = read[1:] != read[:-1]
    at_end = F.broadcast_greater_equal(rows[1:], finish)
    may = F.maximum(F.maximum(different, at_end), F.broadcast_like(rows[:-1] == 0, at_end))
    return F.concat(may, F.zeros_like(may[:1]), dim=0)


def _reversed(F: Any, chain: _Chain) -> _Chain:
    """The chain from its end to its start: rows and steps in the other direction."""
    between, last = chain.skips[:-1], chain.skips[-1:]
    return _Chain(
        F.flip(chain.labels, axis=(0, 1)),
        F.flip(chain.blanks, axis=0),
        F.concat(F.flip(between, axis=0), last, dim=0),
        F.flip(chain.end, axis=0),
        F.flip(chain.start, axis=0),
        chain.base,
    )


def _part(F: Any, chain: _Chain, begin: Any, end: Any) -> _Chain:
    """Some of the steps."""
    labels, blanks = (
        F.slice_axis(x, axis=0, begin=begin, end=end) for x in (chain.labels, chain.blanks)
    )
    return chain._replace(labels=labels, blanks=blanks)


# --- the recursion ----------------------------------------------------------------------------


def _enter(F: Any, scores: Any, skips: Any, before: Any) -> tuple[Any, Any]:
    """Scores of having entered each state, from those of the step before.

    A blank is entered from itself and from the label before it; a label from itself, from the
    blank before it, and past that from the label before, if it may be skipped.
    """
    labels, blanks = scores
    into_blanks = F.logaddexp(blanks, labels, finite=True)
    onwards = F.take(F.where(skips, into_blanks, blanks), before, axis=0)
    return F.logaddexp(labels, onwards, finite=True), into_blanks


def _before(F: Any, scores: Any) -> Any:
    """The row before each; before the first the last, where the blank is after all labels."""
    rows = scores.shape[0]
    return F.concat(
        F.zeros((1,), dtype="int64") + rows - 1, F.arange(rows - 1, dtype="int64"), dim=0
    )


def _run(F: Any, one: _Chain, other: _Chain, keep: bool) -> Any:
    """Two chains side by side: scores of entering at each step, if kept, and the last ones."""
    labels, blanks, skips, start = (
        F.concat(x, y, dim=len(x.shape) - 1) for x, y in zip(one[:4], other[:4], strict=True)
    )
    before = _before(F, start)

    def step(emissions: Any, scores: Any) -> Any:
        entered = _enter(F, scores, skips, before)
        after = [F.broadcast_add(x, e) for x, e in zip(entered, emissions, strict=True)]
        return (list(entered) if keep else []), after

    return F.contrib.foreach(step, [labels, blanks], [start, F.zeros_like(start) + LOG_ZERO])


def _halves(F: Any, scores: Any, batch: Any) -> list[tuple[Any, Any]]:
    """For labels and for blanks: the scores forward (alpha), and backward in the same order (beta).

    After the last label there is no blank that the reverse could begin with.
    """
    labels, blanks = scores
    rows = len(labels.shape) - 2
    blanks = F.slice_axis(blanks, axis=rows, begin=0, end=-1)
    turned = tuple(range(rows + 1))  # steps, where there are steps, and rows
    return [
        (
            F.slice_axis(x, axis=rows + 1, begin=0, end=batch),
            F.flip(F.slice_axis(x, axis=rows + 1, begin=batch, end=None), axis=turned),
        )
        for x in (labels, blanks)
    ]


def _likelihood(F: Any, chain: _Chain) -> Any:
    """The chain over the first half of the steps, its reverse over the second, and a sum."""
    steps, batch = chain.labels.shape[0], chain.labels.shape[2]
    first, second = _part(F, chain, 0, steps // 2), _part(F, chain, steps // 2, steps)
    _, last = _run(F, first, _reversed(F, second), keep=False)
    own = [F.slice_axis(x, axis=1, begin=0, end=batch) for x in last]
    labels, blanks = _enter(F, own, chain.skips, _before(F, own[0]))
    (_, after_labels), (_, after_blanks) = _halves(F, last, batch)
    through = F.concat(labels + after_labels, blanks[:-1] + after_blanks, dim=0)
    return F.logsumexp(through, axis=0) + chain.base


def _with_posterior(
    F: Any, chain: _Chain, log_probs: Any, labels: Any, blank: Any, input_lengths: Any
) -> tuple[Any, Any]:
    """The value, and the probability of each class at each step given the label: (N, T, C)."""
    batch, steps, classes = log_probs.shape
    entered, last = _run(F, chain, _reversed(F, chain), keep=True)
    value = F.logsumexp(_halves(F, last, batch)[0][0] + chain.end, axis=0) + chain.base
    emissions = (chain.labels, chain.blanks)
    scores = [
        F.broadcast_add(alpha + beta, emission)
        for (alpha, beta), emission in zip(_halves(F, entered, batch), emissions, strict=True)
    ]
    # shares of the steps' own sum: what rounding has done to a whole step cancels
    best = F.maximum(*(F.max(x, axis=1, keepdims=True, finite=True) for x in scores))
    best = F.stop_gradient(best)
    of_labels, of_blanks = (F.exp(F.maximum(F.broadcast_sub(x, best), NEGLIGIBLE)) for x in scores)
    of_blank = F.sum(of_blanks, axis=1, keepdims=True)
    possible = F.reshape(value > LOG_ZERO / 2, (1, 1, -1))
    share = F.broadcast_div(possible, F.sum(of_labels, axis=1, keepdims=True) + of_blank)
    share = F.slice_axis(share, axis=0, begin=0, end=steps)
    if input_lengths is not None:
        share = share * F.cast(_running(F, steps, input_lengths), share.dtype)
    shares = F.slice_axis(F.concat(of_labels[:, 1:-1], of_blank, dim=1), axis=0, begin=0, end=steps)
    by_sample = F.transpose(F.broadcast_mul(shares, share), axes=(2, 0, 1))
    read = F.concat(labels, F.zeros((batch, 1), dtype="int64") + blank, dim=1)
    hot = F.one_hot(read, classes, dtype=log_probs.dtype)
    return value, F.batch_dot(by_sample, hot)
