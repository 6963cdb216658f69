"""Inputs for CTC losses: rows of all kinds in one batch, laid out as gluon and torch take them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from .cases import Case, Data, Sizes

Array = np.ndarray[Any, Any]
Logits = Callable[[np.random.Generator, tuple[int, ...]], Array]

PADDING = -1  # which ends a label for gluon, and is past the length for torch

_SAME = {  # inputs of one meaning
    "log_probs": "pred",
    "targets": "label",
    "input_lengths": "pred_lengths",
    "target_lengths": "label_lengths",
}


class Batch(NamedTuple):
    """Samples, however a loss wants them laid out."""

    logits: Array  # (N, T, C)
    labels: list[Array]  # classes, a blank not being one
    steps: Array  # (N,), the lengths of the inputs
    weights: Array  # (N,)


def ordinary(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Logits as a network gives them."""
    return rng.normal(size=shape) * 2


def of_ten_thousand(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Logits of 1e4, 0 and -1e4."""
    return rng.choice([1e4, 0.0, -1e4], shape)


def impossible(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """The second class is out of the question."""
    logits = ordinary(rng, shape)
    logits[:, :, 1:2] = -np.inf
    return logits


def with_logits(logits: Logits) -> Data:
    """What draws the inputs of a case, with such logits."""
    return partial(_inputs, logits)


def _inputs(logits: Logits, case: Case, sizes: Sizes, seed: int) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    blank = getattr(case.block, "blank", sizes["C"] - 1)
    given = {_SAME.get(name, name) for name in case.types}
    batch = _draw(rng, sizes, logits, blank, varied="pred_lengths" in given)
    normalized = "log_probs" in case.types
    arrays = {
        "pred": ("NTC", _log_softmax(batch.logits) if normalized else batch.logits),
        "label": ("NL", _padded(batch.labels, sizes["L"])),
        "pred_lengths": ("N", batch.steps),
        "label_lengths": ("N", np.array([len(label) for label in batch.labels], int)),
        "sample_weight": ("N", batch.weights),
    }
    arrays["together"] = ("S", np.concatenate([np.zeros(0, int), *batch.labels]))
    inputs = {}
    for name, (dtype, shape) in case.types.items():
        axes, array = arrays["together" if shape == ("S",) else _SAME.get(name, name)]
        inputs[name] = _arranged(array, axes, shape).astype(dtype)
    return inputs


def _draw(
    rng: np.random.Generator, sizes: Sizes, logits: Logits, blank: int, varied: bool
) -> Batch:
    """Four kinds of labels in turn: full, empty, one class over and over, and of any length.

    The third needs a blank between any two, so that it is too long for inputs that are short.
    """
    n, t, c, length = (sizes[dim] for dim in "NTCL")
    classes = np.delete(np.arange(c), blank)
    labels = []
    for row in range(n):
        count = (length, 0, length, int(rng.integers(0, length + 1)))[row % 4]
        label = rng.choice(classes, 1 if row % 4 == 2 else count)
        labels.append(np.resize(label, count))
    steps = rng.integers(0, t + 1, n) if varied else np.full(n, t)
    steps[::3] = t
    return Batch(logits(rng, (n, t, c)), labels, steps, rng.uniform(0.5, 2.0, n))


def _padded(labels: Sequence[Array], length: int) -> Array:
    rows = np.full((len(labels), length), PADDING)
    for row, label in zip(rows, labels, strict=True):
        row[: len(label)] = label
    return rows


def _arranged(array: Array, axes: str, shape: Sequence[str | int]) -> Array:
    """An array's axes in the order of a shape; the first sample where that has no batch."""
    if "N" in axes and "N" not in shape:
        array, axes = array[0], axes.replace("N", "")
    return array.transpose([axes.index(str(dim)) for dim in shape])


def _log_softmax(logits: Array) -> Array:
    shifted = logits - logits.max(axis=-1, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
