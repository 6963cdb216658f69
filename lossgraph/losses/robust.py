"""Losses of real predictions that care less for large errors, or for their scale."""

from __future__ import annotations

import math
from typing import Annotated, Any

from ..authoring.options import between, is_number, require_above
from ..authoring.signature import Domain, Role
from .limits import broadcast_all, hypot, log1p_ratio, relative_expm1, smallest

_AboveMinusOne = Annotated[Any, Role(domain=Domain(low=-1.0))]


def quantile(F: Any, pred: Any, target: Any, q: float = 0.5) -> Any:
    r"""The pinball loss, whose mean is least at the quantile ``q``.

    .. math:: \ell = \max(q e, (q - 1) e), \quad e = y - x

    Its derivative at an error of 0 is 0.

    Inputs: ``pred`` and ``target``, which broadcast; ``q`` given as an array broadcasts too.
    Value: their shape.

    Raises:
        InputError: for a number ``q`` outside [0, 1].

    Source: Koenker, Bassett (1978), Econometrica 46(1).
    """
    if is_number(q):
        between("q", q, 0, 1)
    error = target - pred
    return q * F.relu(error) + (1 - q) * F.relu(-error)


def charbonnier(F: Any, pred: Any, target: Any, epsilon: float = 1e-3) -> Any:
    r"""The absolute error with its kink rounded off.

    .. math:: \ell = \sqrt{(x - y)^2 + \epsilon^2}

    Inputs: ``pred`` and ``target``, which broadcast. Value: their shape.

    Source: Charbonnier, Blanc-Féraud, Aubert, Barlaud (1994), ICIP.
    """
    error, epsilon = broadcast_all(F, pred - target, epsilon)
    return hypot(F, error, epsilon)


def wing(F: Any, pred: Any, target: Any, width: float = 10.0, epsilon: float = 2.0) -> Any:
    r"""Logarithmic for small errors, which it enlarges, and linear beyond ``width``.

    .. math:: \ell = \begin{cases} w \log(1 + |e| / \epsilon) & |e| < w \\
        |e| - w + w \log(1 + w / \epsilon) & \text{else} \end{cases}, \quad e = x - y

    Inputs: ``pred`` and ``target``, which broadcast. Value: their shape.

    Raises:
        InputError: for a number ``width`` or ``epsilon`` that is not positive.

    Source: Feng, Kittler, Awais, Huber, Wu (2018), CVPR.
    """
    require_above("width", width, 0)
    require_above("epsilon", epsilon, 0)
    size = F.abs(pred - target)
    if is_number(width) and is_number(epsilon):
        most = width * math.log1p(width / epsilon)
    else:
        size, width, epsilon = broadcast_all(F, size, width, epsilon)
        most = width * log1p_ratio(F, width, epsilon)
    near = size < width
    small = F.where(near, size, F.zeros_like(size))
    return F.where(near, width * log1p_ratio(F, small, epsilon), size - width + most)


def general_robust(F: Any, pred: Any, target: Any, alpha: float = 1.0, scale: float = 1.0) -> Any:
    r"""A family from squared errors (``alpha`` 2) over Charbonnier (1) to Cauchy (0) and Welsch.

    .. math:: \ell = \frac{|\alpha - 2|}{\alpha} \left(\left(\frac{(e/c)^2}{|\alpha - 2|} + 1
        \right)^{\alpha/2} - 1\right), \quad e = x - y

    Its limits are ``(e/c)^2/2`` at 2, ``log(1 + (e/c)^2/2)`` at 0 and ``1 - exp(-(e/c)^2/2)`` at
    minus infinity. The derivative by ``alpha`` exists but at 2, where it is infinite.

    Inputs: ``pred`` and ``target``, which broadcast, as do ``alpha`` and ``scale`` given as
    arrays. Value: their shape.

    Raises:
        InputError: for a number ``scale`` that is not positive.

    Source: Barron (2019), CVPR.
    """
    require_above("scale", scale, 0)
    half = F.square((pred - target) / scale) / 2
    if not is_number(alpha):
        return _any_shape(F, *broadcast_all(F, half, alpha))
    if math.isinf(alpha):
        return _bounded(F, half, math.copysign(1.0, alpha))
    return half if alpha == 2 else _robust(F, half, alpha, abs(alpha - 2))


def _any_shape(F: Any, half: Any, alpha: Any) -> Any:
    """Barron's family where ``alpha`` is an array: its limits chosen by element."""
    one = F.ones_like(half)
    squared, infinite = alpha == 2, F.abs(alpha) == float("inf")
    shape = F.where(infinite, one, F.where(squared, one, alpha))
    inner = _robust(F, half, shape, F.abs(shape - 2))
    sign = F.where(infinite, F.sign(alpha), one)
    bounded = _bounded(F, F.where(infinite, half, F.zeros_like(half)), sign)
    steep = F.where(squared * (half > 0), one * float("inf"), F.zeros_like(half))
    at_two = F.with_gradient(half, [half, alpha], [one, steep])
    return F.where(infinite, bounded, F.where(squared, at_two, inner))


def _robust(F: Any, half: Any, alpha: Any, gap: Any) -> Any:
    """Barron's loss of half the squared error, ``alpha`` not at its limits 2 and infinity."""
    return relative_expm1(F, F.log1p(half * (2 / gap)), alpha / 2) * (gap / 2)


def _bounded(F: Any, half: Any, sign: Any) -> Any:
    """Its limit at minus or plus infinity."""
    return sign * F.expm1(sign * half)


def tukey_biweight(F: Any, pred: Any, target: Any, c: float = 4.685) -> Any:
    r"""Squared for small errors, constant for those beyond ``c``, which have no gradient.

    .. math:: \ell = \tfrac{c^2}{6} \left(1 - (1 - \min(1, |e / c|)^2)^3\right), \quad e = x - y

    Inputs: ``pred`` and ``target``, which broadcast. Value: their shape.

    Raises:
        InputError: for a number ``c`` that is not positive.

    Source: Beaton, Tukey (1974), Technometrics 16(2).
    """
    require_above("c", c, 0)
    error = F.abs(pred - target)
    near = F.minimum(error, c)
    share = F.square(near / (max(c, smallest(error)) if is_number(c) else c))
    return F.square(near) * ((3 - share * (3 - share)) / 6)


def root_mean_square(F: Any, pred: Any, target: Any) -> Any:
    r"""The root of the mean of all squared errors: the root comes after the mean.

    .. math:: \ell = \sqrt{\operatorname{mean} (x - y)^2}

    Its gradient where all errors are 0 is 0.

    Inputs: ``pred`` and ``target``, of one shape. Value: one number, (). See
    ``sample_root_mean_square`` for the root before the mean over samples.

    Source: Hyndman, Koehler (2006), International Journal of Forecasting 22(4).
    """
    return F.scalar(F.sqrt(F.mean(F.square(pred - target))))


def sample_root_mean_square(F: Any, pred: Any, target: Any) -> Any:
    r"""The root of each sample's mean squared error: a mean over samples comes after the root.

    .. math:: \ell = \sqrt{\operatorname{mean}_{i > 0} (x - y)^2}

    Its gradient where all errors of a sample are 0 is 0.

    Inputs: ``pred`` and ``target``, (N, ...). Value: (N,). See ``root_mean_square`` for one root
    of the mean of everything.

    Source: Hyndman, Koehler (2006), International Journal of Forecasting 22(4).
    """
    return F.sqrt(F.mean(F.square(pred - target), axis=0, exclude=True))


def absolute_percentage(F: Any, pred: Any, target: Any, epsilon: float = 0.0) -> Any:
    r"""The absolute error relative to the target: MAPE before its mean.

    .. math:: \ell = \frac{|x - y|}{\max(|y|, \epsilon)}

    A target of 0 predicted exactly has the error 0, else it is infinite without ``epsilon``.

    Inputs: ``pred`` and ``target``, which broadcast. Value: their shape, as a fraction.

    Source: de Myttenaere, Golden, Le Grand, Rossi (2016), Neurocomputing 192.
    """
    error, size = broadcast_all(F, F.abs(target - pred), F.abs(target))
    exact = error == 0
    safe = F.where(exact, F.ones_like(size), F.broadcast_maximum(size, epsilon))
    return F.where(exact, F.zeros_like(error), error / safe)


def squared_log(F: Any, pred: _AboveMinusOne, target: _AboveMinusOne) -> Any:
    r"""The squared difference of logarithms: MSLE before its mean.

    .. math:: \ell = (\log(1 + x) - \log(1 + y))^2

    Inputs: ``pred`` and ``target``, above -1, which broadcast. Value: their shape.

    Source: scikit-learn, ``mean_squared_log_error``.
    """
    return F.square(F.log1p(pred) - F.log1p(target))
