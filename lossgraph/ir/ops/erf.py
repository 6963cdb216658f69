"""The error function for float64, which no ONNX engine has a kernel for.

erf(x) = x P(x^2) for |x| <= 1 and sign(x) (1 - exp(-x^2) Q(t)) beyond, t = (|x|-3)/(|x|+1)
mapped into [-1, 1]. The coefficients are Chebyshev interpolants of the two smooth factors,
computed with 60 digits by ``tools/special_coefficients``.
"""

from __future__ import annotations

from typing import Any

from ..expr import Expr
from .polynomial import horner

# fmt: off
NEAR = (
    0.96546873866986731,
    -0.14053608902271712,
    0.019852496688983707,
    -0.0022854855611440673,
    0.00021751715604160107,
    -1.7537169441492005e-5,
    1.2233827383524027e-6,
    -7.5115691607106235e-8,
    4.1158005976616647e-9,
    -2.0352493866103599e-10,
    9.1676067489981638e-12,
    -3.7910973708931528e-13,
    1.4548169783352386e-14,
    -5.1647287894230198e-16,
)
FAR = (
    0.17900115118138995,
    -0.21748904002869155,
    0.036660898529249909,
    0.0041272519113534588,
    -0.0019919824739409826,
    -0.00050336478315128493,
    0.00011974318260654649,
    8.3548182075389234e-5,
    5.6765382742042498e-6,
    -1.0577066427502612e-5,
    -4.5416393253217961e-6,
    1.0261598287661747e-7,
    8.8034511978229387e-7,
    3.7211716804727337e-7,
    -3.622452053606023e-9,
    -8.0805712036439354e-8,
    -4.2445994714765664e-8,
    -6.0170898405961886e-9,
    7.6604126263223765e-9,
    7.3799667013896436e-9,
    1.6325439219308658e-9,
    -1.7369102104321497e-9,
    -9.4359735261427928e-10,
    1.5353245041879895e-10,
    1.336169877895807e-10,
)
# fmt: on


def lower_erf(b: Any, node: Expr, x: str) -> str:
    """ONNX's Erf in float32, the two polynomials in float64."""
    if node.dtype != "float64":
        return str(b.add("Erf", x))
    one, three = b.const(1.0, node.dtype), b.const(3.0, node.dtype)
    size = b.add("Abs", x)
    inner = b.add("Min", size, one)  # each branch stays finite where the other one is taken
    square = b.add("Mul", inner, inner)
    twice = b.add("Sub", b.add("Add", square, square), one)
    near = b.add("Mul", x, horner(b, NEAR, twice, node.dtype))
    # Beyond 30 the tail is 0 in float64, and inf/inf is kept out.
    outer = b.add("Min", b.add("Max", size, one), b.const(30.0, node.dtype))
    t = b.add("Div", b.add("Sub", outer, three), b.add("Add", outer, one))
    decay = b.add("Exp", b.add("Neg", b.add("Mul", outer, outer)))
    tail = b.add("Mul", decay, horner(b, FAR, t, node.dtype))
    far = b.add("Mul", b.add("Sign", x), b.add("Sub", one, tail))
    return str(b.add("Where", b.add("Greater", size, one), far, near))
