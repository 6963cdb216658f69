"""Naive formulas composed at random, with their exact values and slopes by mpmath.

A formula is a function ``f(o, x)``: ``o`` is ``lossgraph.symbolic`` or ``Exact``, which computes
with many digits and carries the derivative along. What a formula is made of are ``PIECES``: a new
piece needs a line there, and what it calls a function in ``Exact``.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import mpmath as mp

POINTS = (0.0, 1.0, -1.0, 2.0**-27, 100.0, -100.0, 1e4, -1e4)


@dataclass(frozen=True)
class Dual:
    """A number with its derivative."""

    value: mp.mpf
    slope: mp.mpf

    def __add__(self, other):
        other = dual(other)
        return Dual(self.value + other.value, self.slope + other.slope)

    def __mul__(self, other):
        other = dual(other)
        slope = self.slope * other.value + self.value * other.slope
        return Dual(self.value * other.value, slope)

    def __truediv__(self, other):
        other = dual(other)
        value = self.value / other.value
        return Dual(value, (self.slope - value * other.slope) / other.value)

    def __pow__(self, k):
        return Dual(self.value**k, k * self.value ** (k - 1) * self.slope)

    def __neg__(self):
        return Dual(-self.value, -self.slope)

    def __sub__(self, other):
        return self + -dual(other)

    def __rsub__(self, other):
        return -self + other

    def __rtruediv__(self, other):
        return dual(other) / self

    __radd__, __rmul__ = __add__, __mul__


def dual(x):
    return x if isinstance(x, Dual) else Dual(mp.mpf(x), mp.mpf(0))


def _function(value, slope):
    def apply(x):
        y = value(x.value)
        return Dual(y, slope(x.value, y) * x.slope)

    return staticmethod(apply)


class Exact:
    """The functions of F that formulas are made of, on ``Dual`` numbers."""

    exp = _function(mp.exp, lambda x, y: y)
    expm1 = _function(lambda x: mp.exp(x) - 1, lambda x, y: y + 1)
    log = _function(mp.log, lambda x, y: 1 / x)
    log1p = _function(lambda x: mp.log(1 + x), lambda x, y: 1 / (1 + x))
    sqrt = _function(mp.sqrt, lambda x, y: 1 / (2 * y))
    tanh = _function(mp.tanh, lambda x, y: 1 - y * y)
    sigmoid = _function(lambda x: 1 / (1 + mp.exp(-x)), lambda x, y: y * (1 - y))
    softrelu = _function(lambda x: mp.log(1 + mp.exp(x)), lambda x, y: 1 / (1 + mp.exp(-x)))
    cosh = _function(mp.cosh, lambda x, y: mp.sinh(x))
    sinh = _function(mp.sinh, lambda x, y: mp.cosh(x))
    erf = _function(mp.erf, lambda x, y: 2 / mp.sqrt(mp.pi) * mp.exp(-x * x))
    cos = _function(mp.cos, lambda x, y: -mp.sin(x))


# What is made of a linear function of x: all of them positive.
LEAVES = {
    "exp(u)": lambda o, u: o.exp(u),
    "sigmoid(u)": lambda o, u: o.sigmoid(u),
    "1/(1+exp(u))": lambda o, u: 1 / (1 + o.exp(u)),
    "exp(u)/(1+exp(u))": lambda o, u: o.exp(u) / (1 + o.exp(u)),
    "exp(u)/(1+exp(u))**2": lambda o, u: o.exp(u) / (1 + o.exp(u)) ** 2,
    "1-sigmoid(u)": lambda o, u: 1 - o.sigmoid(u),
    "1-tanh(u)**2": lambda o, u: 1 - o.tanh(u) ** 2,
    "1+tanh(u)": lambda o, u: 1 + o.tanh(u),
    "1-(exp(u)-exp(-u))/(exp(u)+exp(-u))": lambda o, u: (
        1 - (o.exp(u) - o.exp(-u)) / (o.exp(u) + o.exp(-u))
    ),
    "log(1+exp(u))": lambda o, u: o.log(1 + o.exp(u)),
    "cosh(u)": lambda o, u: o.cosh(u),
    "(exp(u)+exp(-u))/2": lambda o, u: (o.exp(u) + o.exp(-u)) / 2,
}
# What is made of positive things, and positive itself.
INNER = {
    "p+q": (2, lambda o, p, q: p + q),
    "p*q": (2, lambda o, p, q: p * q),
    "p/q": (2, lambda o, p, q: p / q),
    "p/(p+q)": (2, lambda o, p, q: p / (p + q)),
    "1-p/(p+q)": (2, lambda o, p, q: 1 - p / (p + q)),
    "p+2": (1, lambda o, p: p + 2),
    "3*p": (1, lambda o, p: 3 * p),
    "p**2": (1, lambda o, p: p**2),
    "sqrt(p)": (1, lambda o, p: o.sqrt(p)),
    "p**.75": (1, lambda o, p: p**0.75),
    "1/p": (1, lambda o, p: 1 / p),
}
# What is made of them at last.
OUTER = {
    "log(p)": (1, lambda o, p: o.log(p)),
    "log(p+q)": (2, lambda o, p, q: o.log(p + q)),
    "log1p(p)": (1, lambda o, p: o.log1p(p)),
    "p/(1+p)": (1, lambda o, p: p / (1 + p)),
    "p/(p+q)": (2, lambda o, p, q: p / (p + q)),
    "(p-q)/(p+q)": (2, lambda o, p, q: (p - q) / (p + q)),
    "log(p/(p+q))": (2, lambda o, p, q: o.log(p / (p + q))),
    "log(p)-log(q)": (2, lambda o, p, q: o.log(p) - o.log(q)),
}
SLOPES, SHIFTS = (1, -1, 2, -0.5), (0, 1, -2)


def random_formula(seed: int, depth: int = 2):
    """``(f, text)``: a formula, and how it was made."""
    rng = random.Random(seed)

    def linear(text="x"):
        a, b = rng.choice(SLOPES), rng.choice(SHIFTS)
        return (lambda o, x: x * a + b), f"{a}*{text}{b:+}"

    def leaf():
        name = rng.choice(sorted(LEAVES))
        u, text = linear()
        return (lambda o, x: LEAVES[name](o, u(o, x))), f"[{name} of u={text}]"

    def compose(table, below):
        name = rng.choice(sorted(table))
        count, make = table[name]
        parts = [positive(below) for _ in range(count)]
        made = ", ".join(f"{letter}={part[1]}" for letter, part in zip("pq", parts, strict=False))
        return (lambda o, x: make(o, *(part[0](o, x) for part in parts))), f"[{name}: {made}]"

    def positive(below):
        return compose(INNER, below - 1) if below and rng.random() < 0.6 else leaf()

    return compose(OUTER, depth)


def exact(formula, point: float):
    """The value and the slope of a formula at a point, or None where it has none."""
    with mp.workdps(int(60 + 2.2 * abs(point))):
        try:
            found = formula(Exact, Dual(mp.mpf(point), mp.mpf(1)))
        except (ZeroDivisionError, ValueError):
            return None
        if any(mp.im(part) != 0 or not mp.isfinite(part) for part in (found.value, found.slope)):
            return None
        return mp.mpf(found.value), mp.mpf(found.slope)
