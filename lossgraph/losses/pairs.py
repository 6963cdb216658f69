"""What losses of vectors and of lists share: unit vectors, and everything against everything."""

from __future__ import annotations

from typing import Any

# A logit without a share in a softmax. Finite, so that a row of nothing else has the gradient 0.
HIDDEN = -1e30


def unit(F: Any, x: Any, axis: int = -1) -> Any:
    """Vectors along an axis divided by their norms; the zero vector stays, with derivative 0."""
    norm = F.norm(x, axis=axis, keepdims=True)
    known = norm > 0
    return x / (norm + (1 - known)) * known


def own_among_all(F: Any, scores: Any) -> Any:
    """Cross-entropy of each row of a matrix, whose class is the column of its own number."""
    own = F.arange(scores.shape[0], dtype="int64")
    return -F.pick(F.log_softmax(scores, axis=1), own, axis=1)


def same(F: Any, label: Any) -> Any:
    """1 where two elements of a vector are equal, else 0: a matrix."""
    return F.broadcast_equal(F.expand_dims(label, axis=1), F.expand_dims(label, axis=0))


def differences(F: Any, x: Any, y: Any) -> Any:
    """``x[i] - y[j]`` at (i, j), for the rows of two matrices."""
    return F.expand_dims(x, axis=1) - F.expand_dims(y, axis=0)


def gaps(F: Any, x: Any) -> Any:
    """``x[n, k] - x[n, i]`` at (n, i, k), for the elements of each row."""
    return F.broadcast_sub(F.expand_dims(x, axis=1), F.expand_dims(x, axis=2))
