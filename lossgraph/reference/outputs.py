"""Layers that end a network: their values; the gradients behind outputs are not numpy's matter."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from .array import Array, describe, floating, one_of, operator, raw
from .dtypes import Raw
from .elementwise import _probs, _sigmoid, log_probs
from .index import whole


def softmax_output(
    data: Array,
    label: Array,
    grad_scale: float = 1.0,
    ignore_label: float = -1.0,
    multi_output: bool = False,
    use_ignore: bool = False,
    preserve_shape: bool = False,
    normalization: str = "null",
    out_grad: bool = False,
    smooth_alpha: float = 0.0,
) -> Array:
    """Softmax over the axes but the first, over axis 1 or over the last one."""
    one_of("normalization", normalization, ("null", "batch", "valid"))
    value = floating(data)
    if value.ndim < 2:
        raise InputError("expected at least the axes of the batch and the classes")
    if multi_output or preserve_shape:
        return Array(_probs(value, 1 if multi_output else -1).astype(value.dtype))
    rows = _probs(value.reshape(len(value), -1), 1)
    return Array(rows.reshape(value.shape).astype(value.dtype))


def linear_output(data: Array, label: Array, grad_scale: float = 1.0) -> Array:
    """The array itself."""
    return Array(_beside(data, label))


def logistic_output(data: Array, label: Array, grad_scale: float = 1.0) -> Array:
    """1 / (1 + e^-x)."""
    value = _beside(data, label)
    return Array(_sigmoid(value).astype(value.dtype))


def _beside(data: Array, label: Array) -> Raw:
    if raw(label).size != floating(data).size:
        raise InputError(f"label is {describe(label)}: expected as many elements as data")
    return floating(data)


def ctc_loss_of(
    data: Array,
    label: Array,
    data_lengths: Any = None,
    label_lengths: Any = None,
    use_data_lengths: bool = False,
    use_label_lengths: bool = False,
    blank_label: str = "first",
) -> Array:
    """-log of the probability of all alignments; 0 for a label without one."""
    one_of("blank_label", blank_label, ("first", "last"))
    value, labels = floating(data), whole(raw(label))[0]
    if value.ndim != 3 or labels.ndim != 2 or len(labels) != value.shape[1]:
        raise InputError("expected data (T, N, C) and label (N, L)")
    steps, samples, classes = value.shape
    blank, padding = (0, 0) if blank_label == "first" else (classes - 1, -1)
    losses = np.zeros(samples, value.dtype)
    log_p = log_probs(value.astype(np.float64), 2)
    for n in range(samples):
        length = steps if not use_data_lengths else int(raw(data_lengths)[n])
        ends = np.flatnonzero(labels[n] == padding)
        end = len(labels[n]) if not len(ends) else int(ends[0])
        read = labels[n, : int(raw(label_lengths)[n]) if use_label_lengths else end]
        if np.any((read < 0) | (read >= classes) | (read == blank)):
            raise InputError(f"label[{n}] has what is no class, or the blank")
        losses[n] = _negative_log_likelihood(log_p[:length, n], read, blank)
    return Array(losses)


def _negative_log_likelihood(log_p: Raw, label: Raw, blank: int) -> float:
    """The forward recursion over labels with blanks between them."""
    states = np.full(2 * len(label) + 1, blank)
    states[1::2] = label
    skips = np.zeros(len(states), bool)
    skips[2:] = (states[2:] != blank) & (states[2:] != states[:-2])
    score = np.full(len(states), -np.inf)
    score[0] = 0.0
    for t, at in enumerate(log_p):
        if t == 0:
            score = np.where(np.arange(len(states)) < 2, at[states], -np.inf)
            continue
        before = np.logaddexp(score, np.concatenate([[-np.inf], score[:-1]]))
        twice = np.concatenate([[-np.inf, -np.inf], score])[: len(score)]
        score = np.where(skips, np.logaddexp(before, twice), before) + at[states]
    total = np.logaddexp.reduce(score[-2:])
    return float(-total) if np.isfinite(total) else 0.0


softmax_output.__name__ = "SoftmaxOutput"
SoftmaxOutput = Softmax = operator(softmax_output)
linear_output.__name__ = "LinearRegressionOutput"
LinearRegressionOutput = operator(linear_output)
linear_output.__name__ = "MAERegressionOutput"
MAERegressionOutput = operator(linear_output)
logistic_output.__name__ = "LogisticRegressionOutput"
LogisticRegressionOutput = operator(logistic_output)
ctc_loss_of.__name__ = "CTCLoss"
CTCLoss = ctc_loss = operator(ctc_loss_of)
