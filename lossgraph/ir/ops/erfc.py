"""The complement of the error function, and its logarithm, with their digits in the tails.

``(1 + 2x) exp(x^2) erfc(x)`` is smooth from 0 to infinity: a polynomial in t = (x-3)/(x+3), which
lies in [-1, 1]. The coefficients are Chebyshev interpolants computed with 60 digits by
``tools/special_coefficients``, of fewer terms for float32.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ...reference import special
from ..batching import pointwise
from ..expr import Expr, Op, register
from ..kernel_forms import Elementwise, KernelForm
from .arithmetic import Arithmetic
from .by_lowering import formula_of
from .elementwise import exp, log1p_positive
from .erf import lower_erf
from .intervals import ANY
from .type_rules import float_only

# fmt: off
SCALED = (
    1.2530080582697297,
    -0.13562110612458117,
    -0.047562294353450872,
    0.12964515870276062,
    -0.11927366341530699,
    0.068308027343978475,
    -0.023770514918645887,
    0.0025293918160662392,
    0.0018886903591561552,
    -0.00077983227210839912,
    -0.00010515979981501178,
    0.00012509935235563108,
    4.9494849925705952e-6,
    -2.0100567931289228e-5,
    -7.3151051641590619e-7,
    3.472414602875686e-6,
    3.5683839153992205e-7,
    -6.1664960776043528e-7,
    -1.4160064940265986e-7,
    1.0187000600072885e-7,
    4.1807846988455822e-8,
    -1.3326364813003833e-8,
    -8.5003979297726154e-9,
    9.8857988311393649e-10,
    8.864219016427092e-10,
)
SCALED_32 = (
    1.2530080582697297,
    -0.13562021387623403,
    -0.04756225170643757,
    0.12962717489066664,
    -0.11927451860620696,
    0.06841075952200409,
    -0.023765692173267206,
    0.0022849521490433769,
    0.00187749464838414,
    -0.00051315943599518425,
    -9.3510629153444789e-5,
)
# fmt: on
_SLOPE = 2 / math.sqrt(math.pi)


def _scaled(g: Arithmetic, dtype: str, x: str) -> str:
    """exp(x^2) erfc(x) of x from 0 on."""
    t = g("Sub", 1.0, g("Div", 6.0, g("Add", x, 3.0)))  # 1 for infinity
    smooth = g.polynomial(SCALED if dtype == "float64" else SCALED_32, t)
    return g("Div", smooth, g("Add", g("Add", x, x), 1.0))


def _gauss(b: Any, g: Arithmetic, dtype: str, x: str) -> str:
    """exp(-x^2) of x from 0 on, as exp(-h^2) exp(-(x-h)(x+h)), h the leading half of the digits.

    The square of x would be rounded, and the exponential of that relative to 1.
    """
    x = g("Min", x, 40.0)  # beyond which it is 0
    shifted = g("Mul", x, 2.0 ** (27 if dtype == "float64" else 12) + 1)
    lead = g("Sub", shifted, g("Sub", shifted, x))
    rest = g("Mul", g("Sub", x, lead), g("Add", x, lead))
    return g("Mul", g("Exp", g("Neg", g("Mul", lead, lead))), g("Exp", g("Neg", rest)))


def _lower_erfc(b: Any, node: Expr, x: str) -> str:
    """1 - erf(x) up to 1/2, where little cancels; exp(-x^2) times the smooth factor beyond."""
    g = Arithmetic(b, node.dtype)
    near = g("Sub", 1.0, lower_erf(b, node, x))
    outer = g("Max", x, 0.5)
    far = g("Mul", _gauss(b, g, node.dtype, outer), _scaled(g, node.dtype, outer))
    return g("Where", g("Greater", x, 0.5), far, near)


def _lower_log_erfc(b: Any, node: Expr, x: str) -> str:
    """log1p(-erf(x)) up to 1/2, which is log1p of what is above -0.53; log(..) - x^2 beyond."""
    g = Arithmetic(b, node.dtype)
    near = log1p_positive(b, node.dtype, g("Neg", lower_erf(b, node, g("Min", x, 0.5))))
    outer = g("Max", x, 0.5)
    far = g("Sub", g("Log", _scaled(g, node.dtype, outer)), g("Mul", outer, outer))
    return g("Where", g("Greater", x, 0.5), far, near)


def _lower_inverse_erfcx(b: Any, node: Expr, x: str) -> str:
    g, dtype = Arithmetic(b, node.dtype), node.dtype
    above = g("Reciprocal", _scaled(g, dtype, g("Max", x, 0.0)))
    below = g("Min", x, 0.0)
    whole = g("Sub", 1.0, lower_erf(b, node, below))
    tail = g("Div", _gauss(b, g, dtype, g("Neg", below)), whole)
    return g("Where", g("Greater", x, 0.0), above, tail)


def _declare(
    name: str,
    ref: Any,
    slope: Callable[[Expr, Expr], Expr],
    lower: Any,
    kernel: KernelForm | None = None,
) -> Op:
    return register(
        Op(
            name,
            float_only,
            lambda x: ref(x).astype(x.dtype),
            lambda ct, out, x: (ct * slope(x, out),),
            lower,
            batching=pointwise,
            finite_on=(ANY,),
            kernel=kernel or formula_of(lower),
        )
    )


erfc: Op = _declare(
    "Erfc",
    special.erfc,
    lambda x, out: exp(-(x * x)) * -_SLOPE,
    _lower_erfc,
    Elementwise("erfc", 20.0),
)
log_erfc: Op = _declare(
    "LogErfc", special.log_erfc, lambda x, out: inverse_erfcx(x) * -_SLOPE, _lower_log_erfc
)
inverse_erfcx: Op = _declare(  # exp(-x^2) / erfc(x)
    "InverseErfcx",
    lambda x: 1 / special.erfcx(x),
    lambda x, out: out * (out * _SLOPE - x * 2),
    _lower_inverse_erfcx,
)
