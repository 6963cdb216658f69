"""The logarithm of the gamma function and its derivatives, for arguments above zero.

ONNX has none of them. log Gamma(x) below 3 is w (w-1) P(w), w in [0, 1] the argument moved there,
and a logarithm, so that the zeros at 1 and 2 keep their digits; from 3 on it is Stirling's main
terms and P(1/x^2) / x. The derivatives are sums of 1/(x+k)^(n+1) and the asymptotic series
beyond; the first one is (x - zero) P(x) on [1, 2], where its zero lies. The coefficients are
Chebyshev interpolants of what is smooth, computed with 60 digits by
``tools/special_coefficients``.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

from ...errors import InputError
from ...reference import special
from ..batching import pointwise
from ..expr import Expr, Op, builds, register
from ..kernel_forms import Element, Elementwise
from ..types import TensorType
from .arithmetic import Arithmetic
from .by_lowering import formula_of
from .elementwise import POSITIVE
from .intervals import ABOVE_ZERO
from .type_rules import float_only

# fmt: off
BETWEEN = (
    0.48312895054098089,
    -0.072979947957152969,
    0.015727850268641212,
    -0.003913560937631659,
    0.0010498186644508718,
    -0.00029455070140092653,
    8.5100903784680515e-5,
    -2.5094329848494458e-5,
    7.5113915317296575e-6,
    -2.274240971132041e-6,
    6.9484401875500963e-7,
    -2.138843561161159e-7,
    6.6236019397250995e-8,
    -2.057761163373013e-8,
    6.4341523572912017e-9,
    -2.0732827842398213e-9,
    6.5332685284344165e-10,
    -1.6393816009998903e-10,
    5.1819898449443598e-11,
    -3.5338981622758792e-11,
    1.1273354955165048e-11,
)
BETWEEN_32 = (
    0.48312895228038548,
    -0.07297994849403247,
    0.015727763465079111,
    -0.0039135341456487777,
    0.0010505061091983357,
    -0.00029476285871600705,
    8.3218624866485165e-5,
    -2.451356571883962e-5,
    9.5575963132888953e-6,
    -2.9052428528894005e-6,
)
STIRLING = (
    0.083181366976551974,
    -0.00014970021836480925,
    2.1834243383045149e-6,
    -7.74892429164511e-8,
    4.7416914667967543e-9,
    -4.2388084888547384e-10,
    5.0219697501475543e-11,
    -7.4047835851892729e-12,
    1.2994321646038896e-12,
    -2.5574846422193632e-13,
    5.7549087121034684e-14,
    -2.0050813277241965e-14,
    5.751396901346369e-15,
)
STIRLING_32 = (
    0.083181366377415097,
    -0.00014970016442425161,
    2.1882109865935818e-6,
    -7.791980760916471e-8,
)
AROUND = (
    0.95105587603183289,
    -0.21181371064073025,
    0.060135621060193555,
    -0.018550615381738607,
    0.0059367952784338258,
    -0.0019350666647832666,
    0.000636888028319074,
    -0.00021074841215733007,
    6.9950204841606248e-5,
    -2.3258238284313759e-5,
    7.7411568812537071e-6,
    -2.5781078482702169e-6,
    8.5913242224176661e-7,
    -2.8628755280038685e-7,
    9.5009261929240962e-8,
    -3.1666180720271621e-8,
    1.10370884388543e-8,
    -3.6788868183645545e-9,
    8.6682573737616573e-10,
    -2.8893636392161114e-10,
    2.4765474440031764e-10,
    -8.25512972008104e-11,
)
AROUND_32 = (
    0.95105589623291343,
    -0.21181371736950596,
    0.06013461324811798,
    -0.018550279690076198,
    0.0059447638620868137,
    -0.0019377209019169557,
    0.00061514717717834763,
    -0.00020350689239956258,
    9.3394810306941575e-5,
    -3.1067026487559864e-5,
)
# fmt: on
# The zero of digamma, as a number of few bits and the rest.
ZERO, ZERO_REST = 1.4616317749023438, 3.7006601859126265e-07
_BETWEEN = {"float32": BETWEEN_32, "float64": BETWEEN}
_STIRLING = {"float32": STIRLING_32, "float64": STIRLING}
_AROUND = {"float32": AROUND_32, "float64": AROUND}
# By how much derivatives move their argument up, and how many terms of the series follow there.
_SHIFT = {"float32": (5, 4), "float64": (10, 8)}


def _lower_gammaln(b: Any, node: Expr, x: str) -> str:
    g, dtype = Arithmetic(b, node.dtype), node.dtype
    first, second = g("Less", x, 1.0), g("Less", x, 2.0)
    below = g("Sub", x, 1.0)  # exact, as is the next one, where it is taken
    w = g("Where", first, x, g("Where", second, below, g("Sub", x, 2.0)))
    even = g("Mul", w, g("Sub", w, 1.0))
    smooth = g.polynomial(_BETWEEN[dtype], g("Sub", g("Add", w, w), 1.0))
    logarithm = g("Log", g("Where", first, x, g("Where", second, 1.0, below)))
    moved = g("Where", first, g("Neg", logarithm), logarithm)
    near = g("Add", g("Mul", even, smooth), moved)

    main = g("Mul", g("Sub", x, 0.5), g("Sub", g("Log", x), 1.0))
    inverse = g("Reciprocal", x)
    t = g("Sub", g("Mul", g("Mul", inverse, inverse), 18.0), 1.0)
    rest = g("Mul", inverse, g.polynomial(_STIRLING[dtype], t))
    far = g("Add", main, g("Add", rest, (math.log(2 * math.pi) - 1) / 2))
    return g("Where", g("Less", x, 3.0), near, far)


def _gammaln_vjp(ct: Expr, out: Expr, x: Expr) -> tuple[Expr]:
    return (ct * polygamma(x, 0),)


gammaln: Op = register(
    Op(
        "GammaLn",
        float_only,
        lambda x: special.log_gamma(x).astype(x.dtype),
        _gammaln_vjp,
        _lower_gammaln,
        POSITIVE,
        batching=pointwise,
        finite_on=(ABOVE_ZERO,),
        kernel=Elementwise("lgamma", 60.0),
    )
)


def _polygamma_infer(x: TensorType, *, order: int) -> TensorType:
    if order < 0:
        raise InputError(f"order: expected 0 or more, got {order}")
    return float_only(x)


def _power(g: Arithmetic, x: str, exponent: int) -> str:
    """x^exponent, by squaring."""
    if exponent == 1:
        return x
    half = _power(g, x, exponent // 2)
    square = g("Mul", half, half)
    return g("Mul", square, x) if exponent % 2 else square


def _lower_polygamma(b: Any, node: Expr, x: str) -> str:
    g, dtype, order = Arithmetic(b, node.dtype), node.dtype, node.attrs["order"]
    shift, terms = _SHIFT[dtype]
    sign = 1.0 if order % 2 else -1.0
    total = _series(g, g("Add", x, float(shift)), order, terms)
    for k in reversed(range(shift)):  # the small ones first
        inverse = g("Reciprocal", g("Add", x, float(k)) if k else x)
        power = g("Mul", _power(g, inverse, order + 1), float(math.factorial(order)))
        total = g("Add", total, power)
    total = g("Mul", total, sign)
    if order == 0:
        offset = g("Sub", g("Sub", x, ZERO), ZERO_REST)
        t = g("Sub", g("Add", x, x), 3.0)
        around = g("LessOrEqual", g("Abs", t), 1.0)
        total = g("Where", around, g("Mul", offset, g.polynomial(_AROUND[dtype], t)), total)
    return g("Where", g("Less", x, 0.0), math.nan, total)


def _series(g: Arithmetic, y: str, order: int, terms: int) -> str:
    """The asymptotic series, without its sign: y^-order (a + b/y + P(1/y^2)/y^2)."""
    inverse = g("Reciprocal", y)
    square = g("Mul", inverse, inverse)
    series = tuple(
        float(b * Fraction(math.factorial(2 * k + order - 1), math.factorial(2 * k)))
        for k, b in enumerate(special.bernoulli(terms), start=1)
    )
    rest = g("Mul", square, g.polynomial(series, square))
    rest = g("Add", rest, g("Mul", inverse, math.factorial(order) / 2))
    if order == 0:
        return g("Sub", rest, g("Log", y))
    scaled = g("Add", rest, float(math.factorial(order - 1)))
    return g("Mul", scaled, _power(g, inverse, order))


def _polygamma_vjp(ct: Expr, out: Expr, x: Expr, *, order: int) -> tuple[Expr]:
    return (ct * polygamma(x, order + 1),)


def _polygamma_element(k: Any, node: Expr, i: Any) -> Any:
    (x,), order = node.args, node.attrs["order"]
    if order > 1:
        return k.at(formula_of(_lower_polygamma).of(x, order=order), i)
    return k.call("trigamma" if order else "digamma", k.at(x, i))


_polygamma: Op = register(
    Op(
        "Polygamma",
        _polygamma_infer,
        lambda x, order: special.polygamma(x, order).astype(x.dtype),
        _polygamma_vjp,
        _lower_polygamma,
        POSITIVE,
        batching=pointwise,
        finite_on=(ABOVE_ZERO,),
        kernel=Element(_polygamma_element),
    )
)


@builds(_polygamma)
def polygamma(x: Expr, order: int) -> Expr:
    """The derivative of that order of digamma, which is that of ``gammaln``."""
    return _polygamma(x, order=order)
