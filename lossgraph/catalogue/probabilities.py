"""Which losses are of probabilities, and how their predictions become probabilities.

This is the one place that knows it: which input has predictions and which the labels, what a loss
with its options makes of them, and what came true. ``PROBABILISTIC`` has the losses by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..authoring.block import Block
from .register import entry_of

Array = np.ndarray[Any, Any]

LINKS = ("softmax", "log", "sigmoid", "identity")
CODINGS = ("class", "distribution", "log_distribution", "logits", "binary", "signed")

_CHUNK = 1 << 17  # elements that are worked on at once: the temporary arrays stay in the cache
_FEW = 64  # classes that are taken one after the other, for all samples at once


class Outcomes(NamedTuple):
    """Probabilities that were predicted, and what came true.

    Attributes:
        confidence: the probabilities, in float64.
        frequency: 1 where it came true, 0 where it did not, a share where labels are shares; NaN
            where the label is none.
        row: the row that each belongs to.
    """

    confidence: Array
    frequency: Array
    row: Array


@dataclass(frozen=True)
class Probabilities:
    """How predictions of a loss are probabilities, and its labels what came true.

    Of several classes the most probable one counts: its probability, and whether it was the label.
    Where each prediction is of an event of its own, ``axis`` is None and the event's probability
    counts.

    Attributes:
        predictions: the input with predictions.
        labels: the input with labels.
        link: what makes probabilities of predictions: ``softmax`` of logits along the axis, ``log``
            for log-probabilities, ``sigmoid`` of logits, ``identity`` for probabilities.
        coding: what labels are: a ``class``, a ``distribution`` along the axis, its logarithms
            (``log_distribution``) or ``logits``; ``binary`` labels in [0, 1] or ``signed`` ones.
        axis: of the classes.
        ignored: a class that counts for nothing.
        mask: an input that says which classes, or which samples, count.
        dense: whether labels of the rank of the predictions are distributions instead.
        proper: whether the mean loss is least for the true probabilities.
    """

    predictions: str
    labels: str
    link: str
    coding: str
    axis: int | None = None
    ignored: int | None = None
    mask: str | None = None
    dense: bool = False
    proper: bool = True

    def outcomes(self, arrays: Mapping[str, Array]) -> Outcomes:
        """What a batch of inputs predicted, and what came true.

        Each row is worked on by itself, so that the numbers do not depend on the batch.
        """
        chunks = [self._of_chunk(first, chunk) for first, chunk in _chunks(arrays, self._used)]
        if not chunks:
            return Outcomes(np.empty(0), np.empty(0), np.empty(0, "int64"))
        return Outcomes(*(np.concatenate(parts) for parts in zip(*chunks, strict=True)))

    @property
    def _used(self) -> tuple[str, ...]:
        return tuple(name for name in (self.predictions, self.labels, self.mask) if name)

    def _of_chunk(self, first: int, arrays: Mapping[str, Array]) -> Outcomes:
        find = self._event if self.axis is None else self._most_probable
        confidence, frequency, counted = find(arrays)
        row = first + np.repeat(np.arange(len(confidence)), _each(confidence))
        flat = Outcomes(confidence.reshape(-1), frequency.reshape(-1), row)
        if counted is None:
            return flat
        return Outcomes(*(part[counted.reshape(-1)] for part in flat))

    def _event(self, arrays: Mapping[str, Array]) -> tuple[Array, Array, Array | None]:
        probability = _LINKS[self.link](arrays[self.predictions].astype("float64"))
        label = _matched(arrays[self.labels].astype("float64"), probability.shape)
        return probability, (label + 1) / 2 if self.coding == "signed" else label, None

    def _most_probable(self, arrays: Mapping[str, Array]) -> tuple[Array, Array, Array | None]:
        assert self.axis is not None
        given = arrays[self.predictions]
        scores = np.moveaxis(given, self.axis, -1).astype("float64", order="C")
        scores, counted = self._masked(scores, arrays)
        place, confidence = _top(self.link, scores)
        label = arrays[self.labels]
        if self.coding == "class" and not (self.dense and label.ndim == given.ndim):
            label = label.reshape(place.shape)
            frequency = _hits(label, place, scores.shape[-1])
            if self.ignored is not None:
                kept = label != self.ignored
                counted = kept if counted is None else counted & kept
        else:
            shares = np.moveaxis(_matched(label, given.shape), self.axis, -1)
            frequency = _share(self.coding, shares.astype("float64"), place)
        return confidence, frequency, counted

    def _masked(self, scores: Array, arrays: Mapping[str, Array]) -> tuple[Array, Array | None]:
        """Scores without those of classes that do not count, and which samples do."""
        if self.mask is None or self.mask not in arrays:
            return scores, None
        assert self.axis is not None
        mask = arrays[self.mask].astype(bool)
        if mask.ndim < scores.ndim:
            return scores, np.broadcast_to(mask, scores.shape[:-1])
        mask = np.broadcast_to(np.moveaxis(mask, self.axis, -1), scores.shape)
        return np.where(mask, scores, -np.inf), np.asarray(mask.any(-1))


def probabilities_of(loss: Block) -> Probabilities | None:
    """How predictions of a loss are probabilities; None if they are none, or nobody has said so."""
    entry = entry_of(loss)
    make = PROBABILISTIC.get(entry.name) if entry else None
    return make(loss.options) if make else None


# --- losses by name ---

_Options = Mapping[str, Any]
_Maker = Callable[[_Options], Probabilities | None]


def _events(predictions: str, labels: str, link: str = "sigmoid", coding: str = "binary") -> _Maker:
    made = Probabilities(predictions, labels, link, coding)
    return lambda options: made


def _improper(make: _Maker) -> _Maker:
    def made(options: _Options) -> Probabilities | None:
        found = make(options)
        return None if found is None else Probabilities(**{**vars(found), "proper": False})

    return made


def _softmax(predictions: str, labels: str, coding: str, mask: str | None = None) -> _Maker:
    """Logits along the option ``axis``, which may not be several axes, or the last one."""

    def made(options: _Options) -> Probabilities | None:
        axis = options.get("axis", -1)
        if not isinstance(axis, int):
            return None
        return Probabilities(predictions, labels, "softmax", coding, axis, mask=mask)

    return made


def _logs(predictions: str, labels: str, coding: str) -> _Maker:
    def made(options: _Options) -> Probabilities | None:
        axis = options.get("axis", -1)
        if not isinstance(axis, int):
            return None
        return Probabilities(predictions, labels, "log", coding, axis)

    return made


def _gluon_sigmoid(options: _Options) -> Probabilities:
    link = "identity" if options["from_sigmoid"] else "sigmoid"
    return Probabilities("pred", "label", link, "binary")


def _gluon_logistic(options: _Options) -> Probabilities:
    return Probabilities("pred", "label", "sigmoid", options["label_format"])


def _gluon_softmax(options: _Options) -> Probabilities:
    link = "log" if options["from_logits"] else "softmax"  # Gluon's name for log-probabilities
    coding = "class" if options["sparse_label"] else "distribution"
    return Probabilities("pred", "label", link, coding, options["axis"])


def _gluon_divergence(options: _Options) -> Probabilities:
    link = "log" if options["from_logits"] else "softmax"
    return Probabilities("pred", "label", link, "distribution", options["axis"])


def _information(options: _Options) -> Probabilities:
    link, coding = ("softmax", "logits") if options["from_logits"] else ("identity", "distribution")
    return Probabilities("q", "p", link, coding, options["axis"])


def _torch_cross_entropy(options: _Options) -> Probabilities:
    return Probabilities(
        "input", "target", "softmax", "class", 1, options["ignore_index"],
        dense=True, proper=options["label_smoothing"] == 0,
    )  # fmt: skip


def _torch_nll(options: _Options) -> Probabilities:
    return Probabilities("input", "target", "log", "class", 1, options["ignore_index"])


def _torch_divergence(options: _Options) -> Probabilities:
    coding = "log_distribution" if options["log_target"] else "distribution"
    return Probabilities("input", "target", "log", coding, -1)


PROBABILISTIC: Mapping[str, _Maker] = {
    "gluon.KLDivLoss": _gluon_divergence,
    "gluon.LogisticLoss": _gluon_logistic,
    "gluon.SigmoidBinaryCrossEntropyLoss": _gluon_sigmoid,
    "gluon.SoftmaxCrossEntropyLoss": _gluon_softmax,
    "losses.cross_entropy": _information,
    "losses.generalized_cross_entropy": _improper(_softmax("logits", "label", "class")),
    "losses.poly_cross_entropy": _improper(_softmax("logits", "labels", "distribution", "where")),
    "losses.relative_entropy": _information,
    "losses.sigmoid_focal": _improper(_events("logits", "labels")),
    "losses.softmax_focal": _improper(_softmax("logits", "label", "class")),
    "losses.symmetric_cross_entropy": _improper(_softmax("logits", "label", "class")),
    "nn.BCELoss": _events("input", "target", "identity"),
    "nn.BCEWithLogitsLoss": _events("input", "target"),
    "nn.CrossEntropyLoss": _torch_cross_entropy,
    "nn.KLDivLoss": _torch_divergence,
    "nn.MultiLabelSoftMarginLoss": _events("input", "target"),
    "nn.NLLLoss": _torch_nll,
    "nn.SoftMarginLoss": _events("input", "target", coding="signed"),
    "optax.kl_divergence": _logs("log_predictions", "targets", "distribution"),
    "optax.kl_divergence_with_log_targets": _logs(
        "log_predictions", "log_targets", "log_distribution"
    ),
    "optax.poly_loss_cross_entropy": _improper(
        _softmax("logits", "labels", "distribution", "where")
    ),
    "optax.safe_softmax_cross_entropy": _softmax("logits", "labels", "distribution"),
    "optax.sigmoid_binary_cross_entropy": _events("logits", "labels"),
    "optax.sigmoid_focal_loss": _improper(_events("logits", "labels")),
    "optax.softmax_cross_entropy": _softmax("logits", "labels", "distribution", "where"),
    "optax.softmax_cross_entropy_with_integer_labels": _softmax(
        "logits", "labels", "class", "where"
    ),
}


# --- numbers ---


def _sigmoid(x: Array) -> Array:
    small = np.exp(-np.abs(x))  # at most 1
    return np.where(x < 0, small, 1.0) / (1.0 + small)


_LINKS: Mapping[str, Callable[[Array], Array]] = {
    "sigmoid": _sigmoid,
    "identity": lambda x: x,
    "log": np.exp,
}


def _top(link: str, scores: Array) -> tuple[Array, Array]:
    """The most probable place of the last axis, and its probability."""
    if link == "softmax" and scores.shape[-1] <= _FEW:
        return _top_of_few(scores)
    place = scores.argmax(-1)
    if link == "softmax":
        return place, 1.0 / _exponentials(scores).sum(-1)
    return place, _LINKS[link](scores.max(-1))


def _top_of_few(scores: Array) -> tuple[Array, Array]:
    """The same of a softmax of few classes: a loop over classes, which has no short inner loops.

    Sums are in the order of the classes, whatever the number of samples.
    """
    by_class = np.ascontiguousarray(np.moveaxis(scores, -1, 0))
    largest, place = by_class[0].copy(), np.zeros(by_class.shape[1:], "int64")
    for i, values in enumerate(by_class[1:], 1):
        np.copyto(place, i, where=values > largest)
        np.maximum(largest, values, out=largest)
    total = np.zeros(largest.shape)
    with np.errstate(invalid="ignore"):  # of infinite scores, which come below
        for values in by_class:
            total += np.exp(values - largest)
    special = ~np.isfinite(largest)
    if special.any():
        total[special] = _exponentials(scores[special]).sum(-1)
    return place, 1.0 / total


def _exponentials(scores: Array) -> Array:
    """Of scores less their maximum, 1 at the maximum even if that is infinite."""
    largest = scores.max(-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        less = np.where((scores == largest) & (largest > -np.inf), 0.0, scores - largest)
    return np.exp(less)


def _hits(label: Array, place: Array, classes: int) -> Array:
    """Whether a class is the one that was labelled; NaN for labels that are no classes."""
    with np.errstate(invalid="ignore"):  # of NaN
        whole = label if label.dtype.kind in "iu" else np.trunc(label)
        frequency = (whole == place).astype("float64")
        frequency[~((whole >= 0) & (whole < classes))] = np.nan
    return frequency


def _share(coding: str, labels: Array, place: Array) -> Array:
    """What labels give to the class at a place of the last axis."""
    if coding == "logits":
        powers = _exponentials(labels)
        labels = powers / powers.sum(-1, keepdims=True)
    found = np.take_along_axis(labels, place[..., None], -1)[..., 0]
    return np.exp(found) if coding == "log_distribution" else found


def _matched(label: Array, shape: Sequence[int]) -> Array:
    """Labels in the shape of predictions, which have as many elements or broadcast."""
    if label.size == np.prod(shape):
        return label.reshape(shape)
    return np.broadcast_to(label, shape)


def _each(confidence: Array) -> int:
    """How many predictions a row has."""
    return int(np.prod(confidence.shape[1:]))


def _chunks(
    arrays: Mapping[str, Array], used: Sequence[str]
) -> Iterator[tuple[int, dict[str, Array]]]:
    """Some rows at a time, with the number of the first; what broadcasts over rows stays whole."""
    given = {name: np.asarray(arrays[name]) for name in used if name in arrays}
    rows = len(given[used[0]])
    step = max(1, _CHUNK * rows // max(1, given[used[0]].size))
    for first in range(0, rows, step):
        yield (
            first,
            {
                name: array[first : first + step] if len(array) == rows else array
                for name, array in given.items()
            },
        )
