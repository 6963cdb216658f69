"""Losses whose distributions are sparse: the Fenchel-Young losses of Tsallis entropies."""

from __future__ import annotations

from typing import Any

from ..authoring.annotations import Label
from ..authoring.options import is_number, require_above
from .classification import sparse_cross_entropy
from .pairs import HIDDEN

_HALVINGS = 40  # of an interval of length 1, before Newton's method
_STEPS = 3  # of Newton's method


def entmax(F: Any, logits: Any, label: Label, alpha: float = 1.5) -> Any:
    r"""The entmax loss, whose distribution gives unlikely classes exactly 0.

    .. math:: \ell = (p - e_y) \cdot x + \frac{1 - \sum_c p_c^\alpha}{\alpha (\alpha - 1)}, \quad
        p_c = \max(0, (\alpha - 1) x_c - \tau)^{1 / (\alpha - 1)}

    with tau such that p sums to 1. The gradient is :math:`p - e_y`. ``alpha`` 1 is cross-entropy,
    2 the sparsemax loss; 1.5 is solved by sorting, others by halving and Newton's method.

    ``logits``: (..., C); ``label``, classes: (...); ``alpha``: at least 1, as an array above 1.
    Value: (...). A label outside the classes is refused, or NaN where a graph cannot refuse.

    Source: Peters, Niculae and Martins (2019), ACL, arXiv:1905.05702.
    """
    require_above("alpha", alpha, 1, closed=True)
    index = F.expand_dims(label, axis=-1)
    if is_number(alpha) and alpha == 1:
        loss = sparse_cross_entropy(F, F.log_softmax(logits, axis=-1), index, -1)
        return F.sum(loss, axis=-1)
    # One alpha for each row, as it may be an input that has a derivative.
    power = alpha if is_number(alpha) else F.zeros_like(F.max(logits, -1, True)) + alpha
    x = logits - F.stop_gradient(F.max(logits, axis=-1, keepdims=True))
    probability = _entmax(F, (power - 1) * x, power)
    entropy, slope = _entropy(F, probability, power)
    own = F.pick(x, index, axis=-1, keepdims=True, mode="raise")
    value = F.sum(F.masked_mul(probability, x), axis=-1, keepdims=True) - own + entropy
    # 0, and NaN for a label that is no class, for the gradient too
    known = F.pick(F.zeros_like(x), index, axis=-1, keepdims=True, mode="raise")
    gradient = probability - F.one_hot(label, logits.shape[-1], dtype=logits.dtype) + known
    by, gradients = [logits], [gradient]
    if not is_number(alpha):
        by, gradients = [logits, power], [gradient, slope + known]
    return F.sum(F.with_gradient(value, by, gradients), axis=-1)


def _entmax(F: Any, x: Any, alpha: Any) -> Any:
    """The distribution of ``(alpha - 1)`` times logits of which the largest is 0.

    Tau is found without a derivative. Newton's steps from there give it that of the root.
    """
    below = F.clip(x, -1.0, 0.0)  # what is lower has the probability 0: tau is at least -1
    start = _sorted(F, below) if is_number(alpha) and alpha == 1.5 else _halved(F, below, alpha)
    tau = F.stop_gradient(start)
    for _ in range(_STEPS):
        excess = F.sum(_powers(F, x - tau, 1 / (alpha - 1)), axis=-1, keepdims=True) - 1
        slope = F.sum(_powers(F, x - tau, 1 / (alpha - 1) - 1), axis=-1, keepdims=True)
        tau = tau + excess * (alpha - 1) / slope
    return _powers(F, x - tau, 1 / (alpha - 1))


def _powers(F: Any, x: Any, exponent: Any) -> Any:
    """Powers of what is above 0, 0 elsewhere, whatever the exponent."""
    inside = x > 0
    if is_number(exponent) and exponent == 1:
        return F.relu(x)
    return inside * F.where(inside, x, F.ones_like(x)) ** exponent


def _sorted(F: Any, x: Any) -> Any:
    """Tau for alpha 1.5, where it solves a quadratic equation for each size of the support."""
    ordered = F.sort(x, axis=-1, is_ascend=False)
    count = F.cumsum(F.ones_like(ordered), axis=-1)
    mean, square = (F.cumsum(y, axis=-1) / count for y in (ordered, F.square(ordered)))
    spread = count * (square - F.square(mean))
    taus = mean - F.sqrt(F.relu((1 - spread) / count))
    # the largest support whose smallest member is above its tau
    return F.max(F.where(taus <= ordered, taus, HIDDEN), axis=-1, keepdims=True)


def _halved(F: Any, x: Any, alpha: Any) -> Any:
    """Tau between -1 and 0, to some ulps, by halving."""
    widths = F.array([[0.5**k] for k in range(1, _HALVINGS + 1)])

    def halve(width: Any, low: Any) -> Any:
        middle = low + F.cast(width, x.dtype)
        mass = F.sum(_powers(F, F.broadcast_sub(x, middle), 1 / (alpha - 1)), -1, True)
        return [], F.where(mass >= 1, middle, low)

    start = F.zeros_like(F.sum(x, axis=-1, keepdims=True)) - 1
    _, low = F.contrib.foreach(halve, widths, start)
    return low


def _entropy(F: Any, probability: Any, alpha: Any) -> tuple[Any, Any]:
    """Tsallis's entropy, and its derivative by alpha."""
    inside = probability > 0
    powers = _powers(F, probability, alpha)
    logs = F.log(F.where(inside, probability, F.ones_like(probability)))
    rest = 1 - F.sum(powers, axis=-1, keepdims=True)
    scale = alpha * (alpha - 1)
    change = F.sum(powers * logs, axis=-1, keepdims=True)
    return rest / scale, -(change + rest * (2 * alpha - 1) / scale) / scale
