"""Hyperbolic functions and their inverses, with all their digits wherever they are finite.

Operations of their own, since what the chain rule makes of their formulas is wrong where it
matters: an absolute value stops the gradient at 0, and a derivative in exponentials cancels.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..batching import pointwise
from ..expr import Expr, Op, register
from ..kernel_forms import Elementwise
from ..types import numpy_dtype
from .arithmetic import Arithmetic
from .elementwise import absolute, clip, log1p_positive, maximum
from .intervals import EXPONENTS
from .smooth import sqrt
from .type_rules import float_only


def _halves(b: Any, node: Expr, x: str) -> tuple[Arithmetic, str, str]:
    """``h = x/2`` and ``exp(h)``, kept below what overflows when it is squared.

    The functions are products of functions of ``h``, and so finite up to their own last number,
    which lies beyond that of ``exp(x)``.
    """
    g = Arithmetic(b, node.dtype)
    bound = 0.6 * float(np.log(np.finfo(numpy_dtype(node.dtype)).max))  # exp(2 bound) is inf
    half = g("Clip", g("Mul", x, 0.5), -bound, bound)
    return g, half, g("Exp", half)


def _lower_sinh(b: Any, node: Expr, x: str) -> str:
    """sinh(2h) = 2 sinh(h) cosh(h), with sinh(h) = (E + E/e)/2, E = expm1(h), e = exp(h)."""
    g, half, e = _halves(b, node, x)
    minus_one = g("Mul", g("Tanh", g("Mul", half, 0.5)), g("Add", e, 1.0))
    twice_sinh = g("Add", minus_one, g("Div", minus_one, e))
    twice_cosh = g("Add", e, g("Reciprocal", e))
    return g("Mul", g("Mul", twice_sinh, 0.5), twice_cosh)


def _lower_cosh(b: Any, node: Expr, x: str) -> str:
    """cosh(2h) = 2 cosh(h)^2 - 1, in which nothing cancels: it is at least 1."""
    g, _, e = _halves(b, node, x)
    twice_cosh = g("Add", e, g("Reciprocal", e))
    return g("Sub", g("Mul", g("Mul", twice_cosh, 0.5), twice_cosh), 1.0)


def _lower_asinh(b: Any, node: Expr, x: str) -> str:
    """log1p(a + a^2/(1+sqrt(1+a^2))) of the size a, and log(a/bound) more beyond a bound."""
    g = Arithmetic(b, node.dtype)
    bound = 2.0 ** (np.finfo(numpy_dtype(node.dtype)).maxexp // 4)  # its square is finite
    size = g("Abs", x)
    near = g("Clip", size, 0.0, bound)
    root = g("Sqrt", g("Add", g("Mul", near, near), 1.0))
    above = g("Add", near, g("Mul", near, g("Div", near, g("Add", root, 1.0))))
    beyond = g("Log", g("Mul", g("Clip", size, bound, np.inf), 1 / bound))
    total = g("Add", log1p_positive(b, node.dtype, above), beyond)
    return g("Mul", g("Sign", x), total)


def _inverse_hypotenuse(x: Expr) -> Expr:
    """1/sqrt(1+x^2), where x^2 may overflow."""
    big = float(np.finfo(numpy_dtype(x.dtype)).max)
    x = clip(x, -big, big)
    scale = 1.0 / maximum(absolute(x), 1.0)
    return scale / sqrt(scale * scale + (x * scale) * (x * scale))


def _declare(name: str, ref: Any, derivative: Any, lower: Any, **traits: Any) -> Op:
    return register(
        Op(
            name,
            float_only,
            ref,
            lambda ct, out, x: (ct * derivative(x),),
            lower,
            batching=pointwise,
            **traits,
        )
    )


HYPERBOLIC = ((-EXPONENTS[1], EXPONENTS[1]),)
sinh: Op = _declare(
    "Sinh",
    np.sinh,
    lambda x: cosh(x),
    _lower_sinh,
    finite_on=HYPERBOLIC,
    kernel=Elementwise("sinh", 20.0),
)
cosh: Op = _declare(
    "Cosh",
    np.cosh,
    lambda x: sinh(x),
    _lower_cosh,
    finite_on=HYPERBOLIC,
    kernel=Elementwise("cosh", 20.0),
)
asinh: Op = _declare(
    "Asinh", np.arcsinh, _inverse_hypotenuse, _lower_asinh, kernel=Elementwise("asinh", 20.0)
)
