"""From exact sums to float64: the mean and its standard error, each rounded once."""

from __future__ import annotations

import math
from collections.abc import Sequence

_DIGITS = 54  # one more than float64 has, and a bit that says whether something is left


def quotient(numerator: int, denominator: int, exponent: int) -> float:
    """``numerator / denominator * 2 ** exponent``, rounded once, of a positive denominator."""
    if exponent >= 0:
        numerator <<= exponent
    else:
        denominator <<= -exponent
    try:
        return numerator / denominator  # of integers Python rounds once
    except OverflowError:
        return math.copysign(math.inf, numerator)


def root(numerator: int, denominator: int, exponent: int) -> float:
    """``sqrt(numerator / denominator * 2 ** exponent)``, rounded once; of less than 0 it is 0."""
    if numerator <= 0:
        return 0.0
    if exponent % 2:
        numerator, exponent = 2 * numerator, exponent - 1
    # Such that the root is an integer of at least so many digits, odd where it is not exact.
    missing = 2 * _DIGITS + denominator.bit_length() - numerator.bit_length()
    shift = max(0, missing + missing % 2) + 2
    shift += shift % 2
    scaled, rest = divmod(numerator << shift, denominator)
    found = math.isqrt(scaled)
    inexact = bool(rest) or found * found != scaled
    return quotient(2 * found + inexact, 2, (exponent - shift) // 2)


def standard_error(
    count: int, value: int, square: int, exponent: int, square_exponent: int
) -> float | None:
    """The standard error of a mean: ``s / sqrt(n)``, ``s^2 = sum (x - m)^2 / (n - 1)``.

    With S = sum x and Q = sum x^2 its square is ``(n Q - S^2) / (n^2 (n - 1))``, here of integers.

    Args:
        count: n; of a single value there is none.
        value: S in units of ``2 ** exponent``.
        square: Q in units of ``2 ** square_exponent``.
        exponent: of S.
        square_exponent: of Q.
    """
    if count < 2:
        return None
    unit = min(2 * exponent, square_exponent)
    total = (value * value) << (2 * exponent - unit)
    spread = count * (square << (square_exponent - unit)) - total
    return root(spread, count * count * (count - 1), unit)


def ratio_error(
    count: int,
    sums: tuple[int, int],
    squares: Sequence[int],
    exponents: Sequence[int],
) -> float | None:
    """The standard error of a ratio of means, linearized.

    Of rows (u, a) with weights u and weighted values a, ``m = sum a / sum u`` has
    ``SE^2 = n / (n - 1) * sum (a - m u)^2 / (sum u)^2``; with equal weights that of a mean.

    Source: W. G. Cochran, Sampling Techniques (1977), section 2.11.

    Args:
        count: n, of the rows with a weight.
        sums: U = sum u, A = sum a.
        squares: sum u^2, sum a u, sum a^2.
        exponents: the powers of two that U, A and the squares are multiplied by.
    """
    if count < 2:
        return None
    unit = min(exponents[:2])
    weight, value = (x << (e - unit) for x, e in zip(sums, exponents[:2], strict=True))
    below = min(exponents[2:])
    uu, au, aa = (x << (e - below) for x, e in zip(squares, exponents[2:], strict=True))
    # sum (a - m u)^2 = (aa U^2 - 2 au U A + uu A^2) / U^2, and the units of U and A cancel in it.
    spread = aa * weight * weight - 2 * au * weight * value + uu * value * value
    return root(count * spread, (count - 1) * weight**4, below - 2 * unit)
