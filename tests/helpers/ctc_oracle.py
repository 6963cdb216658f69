"""CTC by a sum over all alignments: slow, and plainly right."""

from __future__ import annotations

import functools
import itertools

import numpy as np

NAMED = {
    "pred": ("float64", ("N", "T", "C")),
    "label": ("int32", ("N", "L")),
    "pred_lengths": ("int32", ("N",)),
    "label_lengths": ("int32", ("N",)),
}


@functools.cache
def alignments(steps, classes):
    """All sequences of classes, and by label those that collapse to it."""
    paths = np.array(list(itertools.product(range(classes), repeat=steps)), np.int64)
    paths = paths.reshape(classes**steps, steps)
    found = {}
    for i, path in enumerate(paths):
        short = tuple(int(c) for c, _ in itertools.groupby(path) if c != classes - 1)
        found.setdefault(short, []).append(i)
    return paths, found


def log_softmax(x):
    top = x.max(-1, keepdims=True)
    return x - top - np.log(np.exp(x - top).sum(-1, keepdims=True))


def one_sample(pred, label):
    """Loss and gradient of the steps of one sample, summed over its alignments."""
    (steps, classes), log_p = pred.shape, log_softmax(pred)
    paths, by_label = alignments(steps, classes)
    mine = paths[by_label.get(tuple(label), [])]
    if not len(mine):
        return 0.0, np.zeros_like(pred)
    scores = log_p[np.arange(steps), mine].sum(1)
    best = scores.max()
    total = best + np.log(np.exp(scores - best).sum())
    shares = np.exp(scores - total)
    posterior = np.zeros_like(pred)
    for step in range(steps):
        np.add.at(posterior[step], mine[:, step], shares)
    return -total, np.exp(log_p) - posterior


def oracle(pred, label, pred_lengths=None, label_lengths=None):
    """Losses and gradients, in the layouts NTC and NT."""
    losses, grads = np.zeros(len(pred)), np.zeros(pred.shape)
    for i, (x, y) in enumerate(zip(pred.astype(np.float64), label, strict=True)):
        steps = len(x) if pred_lengths is None else int(pred_lengths[i])
        ends = [*np.flatnonzero(y == -1), len(y)]
        count = ends[0] if label_lengths is None else int(label_lengths[i])
        losses[i], grads[i, :steps] = one_sample(x[:steps], [int(c) for c in y[:count]])
    return losses, grads


def draw(shape, length=2, seed=0, scale=2.0, dtype="float64"):
    """Predictions, and labels of random lengths padded with -1."""
    rng = np.random.default_rng(seed)
    n, _, c = shape
    label = rng.integers(0, max(c - 1, 1), (n, length))
    ends = rng.integers(0, length + 1, (n, 1)) if c > 1 else np.zeros((n, 1), int)
    label = np.where(np.arange(length) < ends, label, -1).astype(np.int32)
    return (rng.normal(size=shape) * scale).astype(dtype), label
