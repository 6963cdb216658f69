"""Losses of real predictions against real labels."""

from __future__ import annotations

import math
from typing import Any


def squared_error(F: Any, pred: Any, label: Any) -> Any:
    r"""Half the squared difference, any shape.

    .. math:: \ell = \tfrac12 (y - x)^2
    """
    return F.square(label - pred) * 0.5


def absolute_error(F: Any, pred: Any, label: Any) -> Any:
    r"""The absolute difference, any shape; its derivative at 0 is 0.

    .. math:: \ell = |y - x|
    """
    return F.abs(label - pred)


def huber(F: Any, error: Any, rho: float) -> Any:
    r"""Squared near zero, linear past ``rho``; any shape.

    .. math:: \ell(e) = e^2 / 2\rho \text{ if } |e| \le \rho \text{ else } |e| - \rho/2

    Source: Huber (1964), Ann. Math. Statist. 35(1).
    """
    size = F.abs(error)
    near = F.clip(size, 0.0, rho)
    # No branch is chosen, so none can spoil the other: an infinite error has gradient 1. The
    # parts have slopes that add without cancelling: near/rho up to the edge, 1 beyond it.
    return near * (near * (0.5 / rho)) + F.relu(size - rho)


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

    About ``e^2/2`` for small errors, with all digits, and ``|e| - log 2`` for large ones. Any
    shape; targets broadcast.

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
