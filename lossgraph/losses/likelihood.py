"""Negative log-likelihoods, with all their constants, and scores of predicted distributions.

The parameters of the distribution come first, then what was observed. All broadcast.
"""

from __future__ import annotations

import math
from typing import Any

from ..authoring.annotations import NonNegative
from ..authoring.options import is_number
from ..errors import InputError
from .limits import broadcast_all, less_log, log_near, relative_expm1, xlogy

HALF_LOG_TWO_PI = math.log(2 * math.pi) / 2
_LARGE = 8.0  # from here on eight terms of Stirling's series have all digits
_STIRLING = (
    1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400,
)  # fmt: skip
_SHIFT = 8  # by how much a small argument is moved to be large
_FLAT = -80.0  # a log-variance below which exp(-s) is out of range in float32


def gaussian_nll(F: Any, mean: Any, variance: NonNegative, target: Any) -> Any:
    r"""Negative log-likelihood of a normal distribution by its mean and variance.

    .. math:: \ell = \tfrac12 \left(\frac{(y - \mu)^2}{v} + \log v + \log 2 \pi\right)

    Inputs: ``mean``, ``variance`` > 0 and ``target``. Value: the shape they broadcast to.

    Source: Nix, Weigend (1994), ICNN.
    """
    error = target - mean
    return (error * (error / variance) + F.log(variance)) / 2 + HALF_LOG_TWO_PI


def gaussian_nll_by_log_variance(F: Any, mean: Any, log_variance: Any, target: Any) -> Any:
    r"""Negative log-likelihood of a normal distribution by its mean and log-variance.

    .. math:: \ell = \tfrac12 \left((y - \mu)^2 e^{-s} + s + \log 2 \pi\right)

    Inputs: ``mean``, ``log_variance`` and ``target``. Value: the shape they broadcast to.

    Source: Kendall, Gal (2017), NeurIPS.
    """
    error, s = broadcast_all(F, target - mean, log_variance)
    exact = (error == 0) * (s < _FLAT)  # 0 * inf
    precision = F.exp(-F.where(exact, F.zeros_like(s), s))
    return (F.square(error) * precision + s) / 2 + HALF_LOG_TWO_PI


def laplace_nll(F: Any, location: Any, scale: NonNegative, target: Any) -> Any:
    r"""Negative log-likelihood of a Laplace distribution.

    .. math:: \ell = \frac{|y - \mu|}{b} + \log 2 b

    Inputs: ``location``, ``scale`` > 0 and ``target``. Value: the shape they broadcast to.

    Source: Laplace (1774), Mémoires de l'Académie Royale des Sciences 6.
    """
    return F.abs(target - location) / scale + F.log(scale) + math.log(2)


def student_t_nll(
    F: Any, location: Any, scale: NonNegative, degrees: NonNegative, target: Any
) -> Any:
    r"""Negative log-likelihood of Student's t distribution, moved and scaled.

    .. math:: \ell = \tfrac{\nu + 1}{2} \log\left(1 + \frac{z^2}{\nu}\right) + \log \sigma
        - \log \frac{\Gamma(\frac{\nu + 1}{2})}{\Gamma(\frac{\nu}{2}) \sqrt{\nu \pi}},
        \quad z = \frac{y - \mu}{\sigma}

    Inputs: ``location``, ``scale`` > 0, ``degrees`` > 0 and ``target``. Value: the shape they
    broadcast to.

    Source: Lange, Little, Taylor (1989), JASA 84(408).
    """
    location, scale, degrees, target = broadcast_all(F, location, scale, degrees, target)
    z, half = (target - location) / scale, degrees / 2
    ratio = z * (z / degrees)
    norm = half * F.log1p(0.5 / half) - 0.5 + (_stirling(F, half + 0.5) - _stirling(F, half))
    value = F.log1p(ratio) * ((degrees + 1) / 2) + F.log(scale) + (HALF_LOG_TWO_PI - norm)
    # the slopes written out, as the chain rule's terms cancel: near |z| = 1, and for many degrees
    rest, each = 1 / (1 + ratio), 1 / degrees
    by_target = (1 + each) * z * rest / scale
    by_scale = (1 - z) * (1 + z) * rest / scale
    taken = -ratio * rest  # rest - 1
    by_degrees = less_log(F, rest, taken) + less_log(F, 1 + each, each) + taken / degrees
    by_degrees = (by_degrees - _digamma_gap(F, half, half + 0.5, 0.5)) / 2
    slopes = [-by_target, by_scale, by_degrees, by_target]
    return F.with_gradient(value, [location, scale, degrees, target], slopes)


def negative_binomial_nll(
    F: Any, mean: NonNegative, total_count: NonNegative, target: NonNegative
) -> Any:
    r"""Negative log-likelihood of a negative binomial distribution by its mean and failures r.

    .. math:: \ell = -\log \frac{\Gamma(k + r)}{\Gamma(r) k!} - r \log \frac{r}{r + \mu}
        - k \log \frac{\mu}{r + \mu}

    The variance is ``mean + mean^2 / total_count``.

    Inputs: ``mean`` >= 0, ``total_count`` > 0 and ``target``, counts. Value: the shape they
    broadcast to.

    Source: Hilbe (2011), Negative Binomial Regression.
    """
    mean, r, k = broadcast_all(F, mean, total_count, target)
    none, one = k == 0, F.ones_like(k)
    seen, gap, both = F.maximum(k, 1.0), mean - k, r + k
    # what the mean loses to the count itself, and the loss at that: neither has large terms
    excess = F.where(k < 1, one, r / (r + mean) * (gap / seen))
    hit = log_near(F, mean / seen * (both / (r + mean)), excess)
    total = log_near(F, (r + mean) / both, gap / both)
    lost = r * total - F.where(none, 0 * one, k * hit)
    choices = F.log1p(k / r) / 2 + (_stirling(F, r) - _stirling(F, both))
    value = lost + (_own_count(F, k) + choices)
    # the slopes written out, as the chain rule's terms cancel
    by_mean = F.where(none, one, gap / F.where(none, one, mean)) * (r / (r + mean))
    by_count = less_log(F, both / (r + mean), -gap / (r + mean)) - _digamma_gap(F, r, both, k)
    excess = (r + mean - r * gap) / (mean * both)
    by_target = log_near(F, (r + mean) / mean * ((k + 1) / both), excess)
    by_target = by_target - _digamma_gap(F, k + 1, both, r - 1)
    return F.with_gradient(value, [mean, r, k], [by_mean, by_count, by_target])


def gamma_nll(F: Any, concentration: NonNegative, rate: NonNegative, target: NonNegative) -> Any:
    r"""Negative log-likelihood of a gamma distribution by its shape and rate.

    .. math:: \ell = \log \Gamma(a) - a \log b - (a - 1) \log y + b y

    Inputs: ``concentration`` > 0, ``rate`` > 0 and ``target`` > 0. Value: the shape they
    broadcast to.

    Source: Thom (1958), Monthly Weather Review 86(4).
    """
    a, b, y = broadcast_all(F, concentration, rate, target)
    large, one = a > _LARGE, F.ones_like(a)
    small, bound = F.where(large, one, a), F.maximum(a, _LARGE)
    near = F.gammaln(small) - small * F.log(b) - xlogy(F, small - 1, y) + b * y
    # around its mean the large terms cancel: what is left is a (t - log(1+t))
    t = F.where(large, (b * y - bound) / bound, F.zeros_like(y))
    far = bound * (t - log_near(F, b * y / bound, t)) - F.log(bound) / 2 + _series(bound)
    return F.where(large, far + F.log(F.where(large, y, one)) + HALF_LOG_TWO_PI, near)


def tweedie_deviance(F: Any, mean: Any, target: Any, power: float = 1.5) -> Any:
    r"""Twice the log-likelihood that a mean loses to the observed value, for variances ``mean^p``.

    .. math:: \ell = 2 \left(\frac{y^{2-p}}{(1-p)(2-p)} - \frac{y \mu^{1-p}}{1-p}
        + \frac{\mu^{2-p}}{2-p}\right)

    Its limits are the squared error at a ``power`` of 0, the deviances of Poisson at 1 and of
    the gamma distribution at 2; between those two what is 0 may be observed.

    Inputs: ``mean`` > 0 and ``target``, at least 0 for ``power`` from 1 to below 2 and above 0
    from 2 on; both any for 0. Value: the shape they broadcast to.

    Raises:
        InputError: for a number ``power`` between 0 and 1, where there is no distribution.

    Source: Jørgensen (1987), JRSS B 49(2).
    """
    if is_number(power) and 0 < power < 1:
        raise InputError(f"power: expected a number that is not between 0 and 1, got {power!r}")
    if is_number(power) and power == 0:
        return F.square(mean - target)
    if is_number(power):
        mean, target = broadcast_all(F, mean, target)
        return _deviance(F, mean, target, power)
    mean, target, power = broadcast_all(F, mean, target, power)
    normal, one = power == 0, F.ones_like(mean)
    others = _deviance(F, F.where(normal, one, mean), F.where(normal, one, target), power)
    return F.where(normal, F.square(mean - target), others)


def _deviance(F: Any, mean: Any, y: Any, p: Any) -> Any:
    """Tweedie's unit deviance by the logarithm of ``mean / y``, or of nothing observed."""
    none = (y == 0) * (p < 2)
    one = F.ones_like(y)
    safe = F.where(none, one, y)
    gap = F.log(mean) - F.log(safe)
    parts = relative_expm1(F, gap, 2 - p) - relative_expm1(F, gap, 1 - p)
    above = F.where(none, one * (2 - p), one)
    nothing = F.power(F.where(none, mean, one), above) / above
    return 2 * F.where(none, nothing, F.power(safe, 2 - p) * parts)


def weibull_survival_nll(
    F: Any, shape: NonNegative, scale: NonNegative, time: NonNegative, event: Any
) -> Any:
    r"""Negative log-likelihood of a Weibull distribution of times, seen or censored.

    .. math:: \ell = (t / \lambda)^k - d \log\left(\frac{k}{\lambda} (t / \lambda)^{k - 1}\right)

    Inputs: ``shape`` > 0, ``scale`` > 0, ``time`` >= 0 and ``event``, 1 where it was seen and 0
    where the time is censored. Value: the shape they broadcast to.

    Source: Kalbfleisch, Prentice (1980), The Statistical Analysis of Failure Time Data.
    """
    k, scale, time, event = broadcast_all(F, shape, scale, time, event)
    start = time == 0
    ratio = F.log(F.where(start, F.ones_like(time), time)) - F.log(scale)
    hazard = F.where(start, F.zeros_like(time), F.exp(k * ratio))
    rate = F.log(k) - k * F.log(scale) + xlogy(F, k - 1, time)
    return hazard - F.masked_mul(event, rate)


def gaussian_crps(F: Any, mean: Any, scale: Any, target: Any) -> Any:
    r"""The continuous ranked probability score of a normal distribution.

    .. math:: \ell = \sigma \left(z (2 \Phi(z) - 1) + 2 \varphi(z) - \frac{1}{\sqrt\pi}\right),
        \quad z = \frac{y - \mu}{\sigma}

    It is the absolute error where ``scale`` is 0.

    Inputs: ``mean``, ``scale`` >= 0 and ``target``. Value: the shape they broadcast to.

    Source: Gneiting, Raftery (2007), JASA 102(477).
    """
    mean, scale, target = broadcast_all(F, mean, scale, target)
    error = target - mean
    z = error / (scale + (error == 0) * (scale == 0))
    inside = F.erf(z * math.sqrt(0.5))
    spread = F.exp(-F.square(z) / 2) * math.sqrt(2 / math.pi) - math.sqrt(1 / math.pi)
    # written out, as the chain rule meets inf * 0 where the scale is 0
    return F.with_gradient(
        error * inside + scale * spread, [mean, scale, target], [-inside, spread, inside]
    )


def kl_to_standard_normal(F: Any, mean: Any, log_variance: Any) -> Any:
    r"""The divergence of a normal distribution from the standard one: a VAE's latents.

    .. math:: \ell = \tfrac12 (e^s + \mu^2 - 1 - s)

    Inputs: ``mean`` and ``log_variance``, of one shape. Value: that shape, to be summed over
    latents.

    Source: Kingma, Welling (2014), ICLR.
    """
    return (F.square(mean) + (F.expm1(log_variance) - log_variance)) / 2


def _own_count(F: Any, k: Any) -> Any:
    """``log k! - k log(k) + k``; without the logarithm below 1."""
    large = k > _LARGE
    small, bound = F.where(large, F.ones_like(k), k), F.maximum(k, _LARGE)
    near = F.gammaln(small + 1) - small * F.log(F.maximum(small, 1.0)) + small
    return F.where(large, F.log(bound) / 2 + HALF_LOG_TWO_PI + _series(bound), near)


def _stirling(F: Any, x: Any) -> Any:
    """The remainder of ``log Gamma(x)`` after Stirling's main terms."""
    large = x > _LARGE
    small = F.where(large, F.ones_like(x), x)
    near = F.gammaln(small) - (small - 0.5) * F.log(small) + (small - HALF_LOG_TWO_PI)
    return F.where(large, _series(F.maximum(x, _LARGE)), near)


def _series(x: Any) -> Any:
    """``_stirling`` for a large x."""
    square, total = 1 / (x * x), 0.0
    for coefficient in reversed(_STIRLING):
        total = total * square + coefficient
    return total / x


def _digamma_gap(F: Any, x: Any, end: Any, step: Any) -> Any:
    """``psi(end) - psi(x) - log(end / x)`` for ``end = x + step``, near numbers not subtracted.

    From ``_SHIFT`` on, ``psi(x) - log(x)`` is a series in ``1 / x``.
    """
    total = 0.0
    for k in range(_SHIFT):
        total = total + step / (x + k) / (end + k)
    nearer, farther = 1 / (x + _SHIFT), 1 / (end + _SHIFT)
    first, second = nearer * nearer, farther * farther
    value, slope = 0.0, 0.0  # of the series at the second, and up to the first
    for n in range(len(_STIRLING), 0, -1):
        value, slope = value * second + (2 * n - 1) * _STIRLING[n - 1], slope * first + value
    slope = slope * first + value
    beyond = step * nearer * farther * (0.5 + (nearer + farther) * slope)
    moved = log_near(F, end / x * ((x + _SHIFT) * farther), step / x * (_SHIFT * farther))
    return total - moved + beyond
