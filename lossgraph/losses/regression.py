"""Losses of real predictions against real labels."""

from __future__ import annotations

import math
from typing import Any

from ..authoring.options import is_number
from .limits import broadcast_all, smallest


def clamp(F: Any, x: Any, low: Any = 0.0) -> Any:
    """``max(x, low)`` that passes the gradient where the two are equal, as ``relu`` does not."""
    if is_number(low):
        return F.clip(x, low, math.inf)
    x, low = broadcast_all(F, x, low)
    return F.where(x < low, low, x)


def squared_error(F: Any, pred: Any, label: Any, factor: float = 0.5) -> Any:
    r"""The squared difference times a factor, any shape.

    .. math:: \ell = \tfrac12 (y - x)^2
    """
    return F.square(label - pred) * factor


def absolute_error(F: Any, pred: Any, label: Any) -> Any:
    r"""The absolute difference, any shape; its derivative at 0 is 0.

    .. math:: \ell = |y - x|
    """
    return F.abs(label - pred)


def absolute_number(F: Any, error: Any) -> Any:
    r"""The absolute value, which has the gradient 0 where it is NaN, as in torch; any shape.

    .. math:: \ell = |e|
    """
    return F.with_gradient(F.abs(error), [error], [(error > 0) - (error < 0)])


def huber(F: Any, error: Any, rho: float) -> Any:
    r"""Squared near zero, linear past ``rho``; any shape.

    .. math:: \ell(e) = e^2 / 2\rho \text{ if } |e| \le \rho \text{ else } |e| - \rho/2

    Source: Huber (1964), Ann. Math. Statist. 35(1).
    """
    if not is_number(rho):
        return _huber_of_input(F, *broadcast_all(F, error, rho))
    if rho < smallest(error):  # whose reciprocal may be no number
        return F.abs(error)
    near = F.clip(error, -rho, rho)
    # No branch is chosen, so none can spoil the other: an infinite error has gradient 1. The
    # derivative is the clipped error itself, which no chain rule over the product would find.
    slope = near * (1 / rho)
    return F.with_gradient(slope * (error - 0.5 * near), [error], [slope])


def _huber_of_input(F: Any, error: Any, rho: Any) -> Any:
    """``huber`` by a ``rho`` that has a derivative; the absolute value where it is 0."""
    near = F.maximum(F.minimum(error, rho), -rho)
    nothing = rho == 0
    slope = F.where(nothing, F.sign(error), near / F.where(nothing, F.ones_like(rho), rho))
    value = slope * (error - 0.5 * near)
    return F.with_gradient(value, [error, rho], [slope, -0.5 * F.square(slope)])


def huber_of_slope(F: Any, error: Any, delta: float) -> Any:
    r"""``huber`` times ``delta``, which is its slope then; squared everywhere if that is infinite.

    .. math:: \ell(e) = e^2 / 2 \text{ if } |e| \le \delta \text{ else } \delta (|e| - \delta/2)
    """
    if is_number(delta):
        near = F.clip(error, -delta, delta)
        return F.with_gradient(near * (error - 0.5 * near), [error], [near])
    error, delta = broadcast_all(F, error, delta)
    near = F.maximum(F.minimum(error, delta), -delta)
    value = near * (error - 0.5 * near)
    return F.with_gradient(value, [error, delta], [near, F.abs(error - near)])


def hinge_embedding(F: Any, distance: Any, label: Any, margin: float) -> Any:
    r"""A distance for pairs labelled 1, what it lacks to a margin for those labelled -1.

    .. math:: \ell = [y \ne -1]\, x + [y \ne 1] \max(0, m - x)

    Any other label has both. The gradient passes at the margin. Any shape.
    """
    label = label + F.zeros_like(distance)
    distance = distance + F.zeros_like(label)
    nothing = F.zeros_like(distance)
    near = F.where(label == -1, nothing, distance)
    return near + F.where(label == 1, nothing, clamp(F, margin - distance))


def margin_ranking(F: Any, x1: Any, x2: Any, label: Any, margin: float) -> Any:
    r"""How far the order of two scores falls short of what the label says; any shape.

    .. math:: \ell = \max(0, m - y (x_1 - x_2))

    Labels 1, if the first is to be larger, and -1. The gradient passes at the margin.
    """
    return clamp(F, margin - label * (x1 - x2))


def gaussian_nll(F: Any, pred: Any, target: Any, variance: Any, epsilon: float) -> Any:
    r"""Negative log-likelihood of a Gaussian, without ``log(2 pi)/2``; any shape.

    .. math:: \ell = \tfrac12 \log v + \frac{(x - y)^2}{2 v}, \quad v = \max(\sigma^2, \epsilon)
    """
    variance = clamp(F, variance, epsilon)
    return 0.5 * (F.log(variance) + F.square(pred - target) / variance)


def hinge(F: Any, pred: Any, label: Any, margin: float) -> Any:
    r"""How far a signed prediction falls short of the margin; any shape, labels -1 and 1.

    .. math:: \ell = \max(0, m - x y)
    """
    return F.relu(margin - pred * label)


def positive_part(F: Any, x: Any) -> Any:
    r"""What is above 0; the derivative at 0 is the mean of those beside it.

    .. math:: \ell = \max(0, x), \quad \ell'(0) = \tfrac12
    """
    return F.with_gradient(F.relu(x), [x], [(1 + F.sign(x)) * 0.5])


def log_cosh(F: Any, predictions: Any, targets: Any = None) -> Any:
    r"""The logarithm of the hyperbolic cosine of an error; without targets, of the predictions.

    .. math:: \ell = \log \cosh(x - y)

    About ``e^2/2`` for small errors, with all digits, and ``|e| - log 2`` for large ones.
    Predictions of any shape; targets broadcast.

    Source: Chen et al. (2019), "Log Hyperbolic Cosine Loss Improves Variational Auto-Encoder".
    """
    error = predictions if targets is None else predictions - targets
    size = F.abs(error)
    # cosh(e) = 1 + 2 sinh(e/2)^2 keeps the digits of small errors, and overflows at large ones
    near = F.log1p(2 * F.square(F.sinh(F.minimum(size, 1.0) * 0.5)))
    far = size - math.log(2) + F.log1p(F.exp(-2 * size))
    value = F.where(size < 1, near, far)
    return F.with_gradient(value, [error], [F.tanh(error)])


def poisson_nll(F: Any, pred: Any, target: Any, from_logits: bool, epsilon: float) -> Any:
    r"""Negative log-likelihood of counts under a Poisson rate, without ``log(target!)``.

    .. math:: \ell = e^x - t x \text{ from logits, else } x - t \log(x + \epsilon)
    """
    if from_logits:
        return F.exp(pred) - target * pred
    return pred - target * F.log(pred + epsilon)


def log_factorial(F: Any, target: Any) -> Any:
    r"""Stirling's approximation of ``log(target!)`` for targets above 1, else 0.

    .. math:: t \log t - t + \tfrac12 \log(2 \pi t)
    """
    above = target > 1
    safe = F.where(above, target, F.ones_like(target))
    stirling = safe * F.log(safe) - safe + 0.5 * F.log(2 * math.pi * safe)
    return F.where(above, stirling, F.zeros_like(target))
