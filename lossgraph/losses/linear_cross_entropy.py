"""Cross-entropy of a linear layer's logits, which are never there all at once.

With many classes the logits are by far the largest array of a model. Here rows are taken in
chunks: a scan computes the logits of one chunk, and with their gradient the chunk's share of
every other gradient, before it comes to the next.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from ..authoring.options import is_number

# Logits of a chunk, and rows that it has at least, below which products of matrices are slow.
CHUNK_ELEMENTS = 1 << 23
CHUNK_ROWS = 64


class Linear(NamedTuple):
    """Rows and the layer that makes K rows of logits of each: N rows, D features, C classes."""

    rows: Any  # (N, D)
    weight: Any  # (K*C, D)
    bias: Any  # (K*C,), or None
    classes: Any  # C

    @property
    def positions(self) -> Any:
        """K."""
        return self.weight.shape[0] // self.classes


class Target(NamedTuple):
    """What the K rows of logits of each row are compared with."""

    labels: Any  # (N, K), classes; None for probabilities
    probs: Any = None  # (N, K*C)
    weight: Any = None  # (C,), of the terms of each class
    smoothing: Any = 0.0  # a number, or an input (1,)

    @property
    def is_plain(self) -> bool:
        """Whether it is known that nothing is smoothed."""
        return is_number(self.smoothing) and self.smoothing == 0

    @property
    def is_hard(self) -> bool:
        """Whether one class alone counts in each row; its weight then belongs to the row."""
        return self.labels is not None and self.is_plain


def linear_cross_entropy(F: Any, linear: Linear, target: Target, chunk: Any = None) -> Any:
    r"""Cross-entropy of each row of logits; (N, K).

    .. math:: \ell_n = -\sum_c t_{nc} \log \operatorname{softmax}_c(W x_n + b)

    with t = 1 for the label, or t = w ((1-s) p + s/C) for probabilities p (1 for the label),
    class weights w and smoothing s. A class without weight adds nothing.

    Args:
        F: the operators.
        linear: rows and layer.
        target: classes (in range) or probabilities.
        chunk: how many rows are computed at once; by default what makes 8 million logits.
    """
    chunks = _Chunks(F, linear, chunk)

    def step(elements: Any, states: Any) -> Any:
        log_probs = _log_probs(F, linear, elements[0])
        return _losses(F, log_probs, target, _weights(F, elements[1], target, linear)), states

    losses, _ = F.contrib.foreach(step, [chunks.cut(linear.rows), _cut(chunks, target)], [])
    return chunks.joined(losses)


def total_linear_cross_entropy(
    F: Any, linear: Linear, target: Target, counts: Any, by: Any = None, chunk: Any = None
) -> Any:
    r"""The sum of the rows' cross-entropies as often as they count, divided by a number.

    .. math:: \ell = \sum_n k_n \ell_n / d

    One pass gives value and gradient: each chunk's logits are computed once.

    Args:
        F: the operators.
        linear: rows and layer.
        target: classes (in range) or probabilities.
        counts: (N, K), how much each row counts; with 0 it adds nothing to value and gradient.
        by: what the sum is divided by, (1,); None for 1.
        chunk: as in ``linear_cross_entropy``.

    Returns:
        (1,).
    """
    shares = counts if by is None else F.masked_mul(counts, 1 / by)  # 0 / 0 counts nothing

    def total(losses: Any) -> Any:
        value = F.sum(F.masked_mul(counts, losses))
        return value if by is None else value / by

    losses, gradients = _with_gradients(F, linear, target, shares, chunk)
    smoothing = None if is_number(target.smoothing) else target.smoothing
    wrt = [linear.rows, linear.weight, linear.bias, shares, target.probs]
    wrt += [_dense_weight(target), smoothing]
    pairs = [(x, g) for x, g in zip(wrt, gradients, strict=True) if x is not None]
    return F.with_gradient(
        total(linear_cross_entropy(F, linear, target, chunk)),
        [x for x, _ in pairs],
        [g for _, g in pairs],
        total(losses),
    )


def _dense_weight(target: Target) -> Any:
    return None if target.is_hard else target.weight


# --- chunks -----------------------------------------------------------------------------------


class _Chunks:
    """Cuts rows into chunks of one length, with rows of zeros behind them, and joins them again.

    There is a row of zeros at least in the last chunk, so that no size is 0 for no rows at all.
    """

    def __init__(self, F: Any, linear: Linear, most: Any) -> None:
        self._F, self._like = F, linear.rows
        if most is None:
            most = CHUNK_ELEMENTS // linear.weight.shape[0] + CHUNK_ROWS
        count = linear.rows.shape[0]
        self._chunks = count // most + 1
        self._rows = count // self._chunks + 1
        self._inner = linear.positions

    def cut(self, array: Any, inner: bool = False) -> Any:
        """(N, M) as (chunks, rows, M), or as (chunks, rows*K, M/K) for K rows of logits each."""
        F, (count, width) = self._F, array.shape
        behind = F.zeros((self._chunks * self._rows - count, width), dtype=array.dtype)
        parts = self._inner if inner else 1
        shape = (self._chunks, self._rows * parts, width // parts)
        return F.reshape(F.concat(array, behind, dim=0), shape)

    def joined(self, array: Any, inner: bool = True) -> Any:
        """The inverse of ``cut``."""
        F, (_, _, width) = self._F, array.shape
        parts = self._inner if inner else 1
        rows = F.reshape(array, (self._chunks * self._rows, width * parts))
        return F.slice_like(rows, self._like, axes=(0,))


def _cut(chunks: _Chunks, target: Target) -> Any:
    given = target.probs if target.labels is None else target.labels
    return chunks.cut(given, inner=True)


# --- what is computed of a chunk ----------------------------------------------------------------


def _log_probs(F: Any, linear: Linear, rows: Any) -> Any:
    """(rows*K, C)."""
    if linear.bias is None:
        logits = F.linalg_gemm2(rows, linear.weight, transpose_b=True)
    else:
        bias = F.expand_dims(linear.bias, axis=0)
        logits = F.linalg_gemm(rows, linear.weight, bias, transpose_b=True)
    return F.log_softmax(F.reshape(logits, (-1, linear.classes)), axis=-1)


class _Weights(NamedTuple):
    """What the log-probabilities of a chunk's rows are weighed by."""

    labels: Any  # (rows*K, 1), if one class alone counts; then this is all
    smooth: Any = None  # (rows*K, C): probabilities, smoothed
    terms: Any = None  # (rows*K, C): those times the classes' weights
    exact: Any = None  # (rows*K, C): probabilities, not smoothed


def _weights(F: Any, given: Any, target: Target, linear: Linear) -> _Weights:
    if target.is_hard:
        return _Weights(given)
    smooth = exact = given
    if target.labels is not None:
        smooth = F.one_hot(F.reshape(given, (-1,)), linear.classes, dtype=linear.rows.dtype)
        exact = smooth
    if not target.is_plain:
        smooth = (1 - target.smoothing) * smooth + target.smoothing / linear.classes
    weight = _dense_weight(target)
    terms = smooth if weight is None else F.broadcast_mul(smooth, F.expand_dims(weight, axis=0))
    return _Weights(None, smooth, terms, exact)


def _losses(F: Any, log_probs: Any, target: Target, weights: _Weights) -> Any:
    """(rows*K, 1)."""
    if target.is_hard:
        return -F.pick(log_probs, weights.labels, axis=-1, keepdims=True)
    return F.sum(F.masked_mul(weights.terms, -log_probs), axis=-1, keepdims=True)


def _with_gradients(
    F: Any, linear: Linear, target: Target, shares: Any, chunk: Any
) -> tuple[Any, list[Any]]:
    """The losses of all rows, and the derivatives of their sum weighted by ``shares``.

    By rows, weight and bias of the layer, shares, probabilities, weights of the classes, and
    the smoothing that is an input.
    """
    chunks = _Chunks(F, linear, chunk)
    start = [F.zeros_like(linear.weight)]
    start += [F.zeros_like(x) for x in (linear.bias, _dense_weight(target)) if x is not None]
    smoothed = not is_number(target.smoothing)
    start += [F.zeros_like(target.smoothing)] if smoothed else []

    def step(elements: Any, states: Any) -> Any:
        rows, given, share = elements
        log_probs = _log_probs(F, linear, rows)
        weights = _weights(F, given, target, linear)
        losses = _losses(F, log_probs, target, weights)
        by_logits = _by_logits(F, log_probs, target, weights, share)
        by_logits = F.reshape(by_logits, (rows.shape[0], linear.weight.shape[0]))
        following = [F.linalg_gemm(by_logits, rows, states[0], transpose_a=True)]
        outputs = [losses, F.linalg_gemm2(by_logits, linear.weight)]
        if linear.bias is not None:
            following.append(states[1] + F.sum(by_logits, axis=0))
        if not target.is_hard:
            by_terms = F.masked_mul(share, -log_probs)
            if target.weight is not None:
                by_weight = F.sum(F.masked_mul(weights.smooth, by_terms), axis=0)
                following.append(states[len(following)] + by_weight)
                by_terms = F.broadcast_mul(by_terms, F.expand_dims(target.weight, axis=0))
            if smoothed:
                moved = F.masked_mul(1 / linear.classes - weights.exact, by_terms)
                following.append(states[-1] + F.sum(moved))
            outputs.append((1 - target.smoothing) * by_terms)
        return outputs, following

    (losses, by_rows, *by_probs), (by_weight, *by_others) = F.contrib.foreach(
        step, [chunks.cut(linear.rows), _cut(chunks, target), chunks.cut(shares, inner=True)], start
    )
    others = iter(by_others)
    joined = chunks.joined(losses)
    return joined, [
        chunks.joined(by_rows, inner=False),
        by_weight,
        next(others) if linear.bias is not None else None,
        joined,
        chunks.joined(by_probs[0]) if target.labels is None else None,
        next(others) if _dense_weight(target) is not None else None,
        next(others, None),
    ]


def _by_logits(F: Any, log_probs: Any, target: Target, weights: _Weights, share: Any) -> Any:
    """(rows*K, C)."""
    probs = F.exp(log_probs)
    if target.is_hard:  # p - 1 at the label, with all its digits
        by_label = F.expm1(F.pick(log_probs, weights.labels, axis=-1, keepdims=True))
        return F.broadcast_mul(share, F.put_along_axis(probs, weights.labels, by_label, axis=-1))
    if target.labels is None or target.weight is not None:
        probs = F.broadcast_mul(probs, F.sum(weights.terms, axis=-1, keepdims=True))
    return F.broadcast_mul(share, probs - weights.terms)
