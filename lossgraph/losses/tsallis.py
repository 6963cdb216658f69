"""Losses whose distributions are sparse: the Fenchel-Young losses of Tsallis entropies."""

from __future__ import annotations

import math
from typing import Any

from ..authoring.annotations import Label
from ..authoring.options import is_number, require_above
from .classification import sparse_cross_entropy
from .limits import less_log, relative_expm1, smallest
from .margin import simplex_projection
from .pairs import HIDDEN

_HALVINGS = 40  # of the interval that the logarithm of the largest probability lies in
_STEPS = 2  # of Newton's method after that
_BITS = 24  # of the number of classes
_CONVEX_STEPS = 20  # of Newton's method alone, from the side where it cannot overshoot
_TERMS = 13  # of series below a quarter
_SMALL = 1e-30  # at and below which alpha - 1 makes no difference to its limit


def entmax(F: Any, logits: Any, label: Label, alpha: float = 1.5) -> Any:
    r"""The entmax loss, whose distribution gives unlikely classes exactly 0.

    .. math:: \ell = (p - e_y) \cdot x + \frac{1 - \sum_c p_c^\alpha}{\alpha (\alpha - 1)}, \quad
        p_c = \max(0, (\alpha - 1) x_c - \tau)^{1 / (\alpha - 1)}

    with tau such that p sums to 1. The gradient is :math:`p - e_y`. ``alpha`` 1 is cross-entropy,
    2 the sparsemax loss; 1.5 is solved by sorting, others by halving and Newton's method.

    ``logits``: (..., C); ``label``, classes: (...); ``alpha``: at least 1, as an array too.
    Value: (...). A label outside the classes is refused, or NaN where a graph cannot refuse.

    Source: Peters, Niculae and Martins (2019), ACL, arXiv:1905.05702.
    """
    require_above("alpha", alpha, 1, closed=True)
    index = F.expand_dims(label, axis=-1)
    if is_number(alpha) and alpha == 1:
        loss = sparse_cross_entropy(F, F.log_softmax(logits, axis=-1), index, -1)
        return F.sum(loss, axis=-1)
    # One number for each row, as it may be an input that has a derivative.
    rate = alpha - 1 if is_number(alpha) else F.zeros_like(F.max(logits, -1, True)) + (alpha - 1)
    r = _above_limit(F, rate, logits)
    x = logits - F.stop_gradient(F.max(logits, axis=-1, keepdims=True))
    at = r if is_number(r) else F.stop_gradient(r)
    log_p, short = _distribution(F, x, at)
    p = _with_slopes(F, log_p, x, rate, r)
    hot = F.one_hot(label, logits.shape[-1], dtype=logits.dtype)
    # 0, and NaN for a label that is no class, for the gradient too
    known = F.pick(F.zeros_like(x), index, axis=-1, keepdims=True, mode="raise")
    value = _loss(F, log_p, short, hot, r) + known
    by, gradients = [logits], [p - hot + known]
    if not is_number(alpha):
        by, gradients = [logits, rate], [*gradients, _entropy_slope(F, p, log_p, r) + known]
    return F.sum(F.with_gradient(value, by, gradients), axis=-1)


def _above_limit(F: Any, rate: Any, like: Any) -> Any:
    """``alpha - 1``, not so small that what is divided by it has no digits; NaN below 0."""
    least = max(_SMALL, smallest(like))
    if is_number(rate):
        return max(rate, least)
    return F.where(rate < 0, F.zeros_like(rate) + math.nan, F.maximum(rate, least))


def _loss(F: Any, log_p: Any, short: Any, hot: Any, r: Any) -> Any:
    """The loss of a distribution as a divergence, a sum of terms that are not negative.

    They are the powers of the other probabilities, the integral of ``s^(r-1) (1-s)`` from the
    label's to 1, and by how much its logit is too low to have one.
    """
    nothing = F.zeros_like(log_p)
    others = F.where(hot, nothing - math.inf, log_p)
    rest = F.sum(F.exp(others), axis=-1, keepdims=True)
    powers = F.sum(F.exp((r + 1) * others), axis=-1, keepdims=True)
    own = -F.sum(F.where(hot, log_p, nothing), axis=-1, keepdims=True)
    gap = F.sum(F.where(hot, short, nothing), axis=-1, keepdims=True)
    near = rest < 0.25  # there the logarithm is known better by the others than by itself
    small = F.where(near, rest, F.zeros_like(rest))
    lost = F.where(near, less_log(F, 1 - small, -small), own - rest)
    lost = lost + less_log(F, 1 + r * rest, r * rest) / r
    return (powers - relative_expm1(F, -lost, r)) / (r + 1) + gap


def _entropy_slope(F: Any, p: Any, log_p: Any, r: Any) -> Any:
    """The derivative by alpha of the entropy of a distribution."""
    inside = log_p > -math.inf
    surprise = F.where(inside, -log_p, F.zeros_like(log_p))
    z = r * surprise
    near = z < 0.25
    small, total = F.where(near, z, F.zeros_like(z)), 0.0
    for n in range(_TERMS, -1, -1):  # of (1 - (1+z) exp(-z)) / z^2
        total = 1 / (n + 2) - total * small / (n + 1)
    far = F.where(near, F.ones_like(z), z)
    bend = F.where(near, total, (1 - (1 + far) * F.exp(-far)) / F.square(far))
    each = F.square(surprise) * bend - relative_expm1(F, -surprise, r) / (r + 1)
    return -F.sum(p * each, axis=-1, keepdims=True) / (r + 1)


def _tangent_share(z: Any) -> Any:
    """``(exp(z) - 1 - z) / z^2`` for a small z."""
    total = 1.0
    for n in range(_TERMS, 2, -1):
        total = 1 + total * z / n
    return total / 2


def _with_slopes(F: Any, log_p: Any, x: Any, rate: Any, r: Any) -> Any:
    """The probabilities, with the derivatives of ``p_c = (1 + r (x_c - tau))^(1/r)`` of sum 1."""
    p, nothing = F.exp(log_p), F.zeros_like(x)
    inside = log_p > -math.inf
    logs = F.where(inside, log_p, nothing)
    slope = F.where(inside, F.exp((1 - r) * logs), nothing)
    total = F.sum(slope, axis=-1, keepdims=True)
    start = F.zeros_like(total)
    if is_number(rate):
        tau = F.with_gradient(start, [x], [slope / total])
        return F.with_gradient(p, [x, F.broadcast_like(tau, x)], [slope, -slope])
    z = -r * logs
    near = z < 0.25
    curve = _tangent_share(F.where(near, z, nothing)) * p * F.square(logs)
    far = (slope - p - p * z) / F.square(r)
    bend = -F.where(inside, F.where(near, curve, far), nothing)
    of_rate = F.sum(bend, axis=-1, keepdims=True) / total
    tau = F.with_gradient(start, [x, rate], [slope / total, of_rate])
    inputs = [x, F.broadcast_like(tau, x), F.broadcast_like(rate, x)]
    return F.with_gradient(p, inputs, [slope, -slope, bend])


# --- the distribution -------------------------------------------------------------------------


def _distribution(F: Any, x: Any, r: Any) -> tuple[Any, Any]:
    """Logarithms of the probabilities, and by how much each logit is too low to have one.

    The largest logit is 0. What is unknown is the largest probability where that is well
    conditioned, up to alpha 2, and beyond the least of those that are not 0.
    """
    if is_number(r):
        if r == 1:
            p = simplex_projection(F, x)
            return F.log(p), F.relu(-F.max(p, axis=-1, keepdims=True) - x)
        return _by_least(F, x, r) if r > 1 else _by_largest(F, x, r)
    flat = F.broadcast_like(r <= 1, x)
    pairs = zip(
        _by_largest(F, x, F.minimum(r, 1.0)), _by_least(F, x, F.maximum(r, 1.0)), strict=True
    )
    log_p, short = (F.where(flat, one, other) for one, other in pairs)
    return log_p, short


def _by_largest(F: Any, x: Any, r: Any) -> tuple[Any, Any]:
    """``log p_c = u + log(1 + r x_c e^(-r u)) / r``, u found so that the sum of p is 1."""

    def logs(u: Any) -> tuple[Any, Any]:
        part = r * (x * F.exp(-r * u))
        outside = part <= -1
        log_p = u + F.log1p(F.where(outside, F.zeros_like(x), part)) / r
        return outside, log_p

    def mass(u: Any, power: Any = 1) -> Any:
        outside, log_p = logs(u)
        return F.sum(
            F.where(outside, F.zeros_like(x), F.exp(power * log_p)), axis=-1, keepdims=True
        )

    half = is_number(r) and r == 0.5
    u = 2 * F.log(-_sorted(F, F.clip(x / 2, -1.0, 0.0))) if half else _halved(F, mass, x)
    for _ in range(_STEPS):
        u = u - (mass(u) - 1) / (mass(u, 1 - r) * F.exp(r * u))
    outside, log_p = logs(u)
    short = F.relu(-F.exp(r * u) - r * x) / r
    return F.where(outside, F.zeros_like(x) - math.inf, log_p), short


def _halved(F: Any, mass: Any, x: Any) -> Any:
    """The logarithm of the largest probability: between that of equal ones and 0."""
    span = F.log(F.sum(F.ones_like(x), axis=-1, keepdims=True))
    widths = F.array([[0.5**k] for k in range(1, _HALVINGS + 1)])

    def halve(width: Any, low: Any) -> Any:
        middle = low + F.cast(width, x.dtype) * span
        return [], F.where(mass(middle) <= 1, middle, low)

    return F.contrib.foreach(halve, widths, -span)[1]


def _sorted(F: Any, x: Any) -> Any:
    """Tau for alpha 1.5, where it solves a quadratic equation for each size of the support."""
    ordered = F.sort(x, axis=-1, is_ascend=False)
    count = F.cumsum(F.ones_like(ordered), axis=-1)
    mean, square = (F.cumsum(y, axis=-1) / count for y in (ordered, F.square(ordered)))
    spread = count * (square - F.square(mean))
    taus = mean - F.sqrt(F.relu((1 - spread) / count))
    # the largest support whose smallest member is above its tau
    return F.max(F.where(taus <= ordered, taus, HIDDEN), axis=-1, keepdims=True)


def _by_least(F: Any, x: Any, r: Any) -> tuple[Any, Any]:
    """``p_c = (v^r + r (x_c - z))^(1/r)``, v the least probability and z its logit.

    In v the sum of p is convex and has a slope of 1 at least.
    """
    z = _least_logit(F, x, r)
    outside = x < z
    log_lead = F.log(r * F.relu(x - z))

    def logs(v: Any) -> Any:
        return F.logaddexp(r * F.log(v) + F.zeros_like(x), log_lead) / r

    def step(_: Any, v: Any) -> Any:
        log_p = logs(v)
        shares = [F.exp(log_p), F.exp((r - 1) * (F.log(v) - log_p))]
        total, slope = (
            F.sum(F.where(outside, F.zeros_like(x), y), axis=-1, keepdims=True) for y in shares
        )
        return [], F.maximum(v - (total - 1) / slope, smallest(x))

    alike = F.sum(x == z, axis=-1, keepdims=True)
    above = F.where(outside, F.zeros_like(x), F.exp(log_lead / r))
    start = (1 - F.sum(above, axis=-1, keepdims=True)) / alike
    start = F.maximum(start, smallest(x))
    v = F.contrib.foreach(step, F.zeros((_CONVEX_STEPS, 1)), start)[1]
    short = F.relu(z - x - F.exp(r * F.log(v)) / r)
    return F.where(outside, F.zeros_like(x) - math.inf, logs(v)), short


def _least_logit(F: Any, x: Any, r: Any) -> Any:
    """The least logit of the support, found by halving the ranks.

    It is the last in order that has a probability: which, if it had 0, would leave some.
    """
    ordered = F.sort(x, axis=-1, is_ascend=False)
    classes = F.cast(F.sum(F.ones_like(x), axis=-1, keepdims=True), "int64")
    steps = F.array([[2**k] for k in reversed(range(_BITS))], dtype="int64")

    def at(rank: Any) -> Any:
        return F.pick(ordered, rank, axis=-1, keepdims=True)

    def halve(step: Any, rank: Any) -> Any:
        following = rank + step
        lead = F.exp(F.log(r * F.relu(x - at(following))) / r)
        left = (F.sum(lead, axis=-1, keepdims=True) < 1) * (F.cast(following < classes, x.dtype))
        return [], F.where(left, following, rank)

    return at(F.contrib.foreach(halve, steps, F.zeros_like(classes))[1])
