"""The inverse of the error function, which ONNX has not.

erfinv(x) = x P(w), w = -log(1-x^2), with polynomials in w up to 25/4 and in its square root
beyond; 1-x^2 is (1-x)(1+x), which keeps its digits where x comes near 1. The coefficients are
Chebyshev interpolants, computed with 60 digits by ``tools/special_coefficients``.
"""

from __future__ import annotations

import math
from typing import Any

from ...reference import special
from ..batching import pointwise
from ..expr import Expr, Op, register
from ..kernel_forms import Elementwise
from .arithmetic import Arithmetic
from .elementwise import UNIT, exp
from .type_rules import float_only

# fmt: off
CENTER = (
    1.6536545626831027,
    0.75049432007996357,
    -0.058922567103777843,
    -0.022604447453449802,
    0.017808361818295657,
    -0.0041373143774144298,
    -0.0012716922684373015,
    0.0012324855686812835,
    -0.00026439366843661737,
    -0.00011688883993097131,
    9.3367391778047894e-5,
    -1.5027710420277575e-5,
    -1.1257319182677935e-5,
    7.1300572630824492e-6,
    -6.8371872181211699e-7,
    -1.0593214025407311e-6,
    5.3943206487070086e-7,
    -1.0185147576818286e-8,
    -9.8677131401742485e-8,
    3.9154731140230453e-8,
    4.7923699961003877e-9,
    -8.5627877967429322e-9,
    1.5401738716654887e-9,
    7.689312733742569e-10,
    -2.7032254091069343e-10,
)
CENTER_32 = (
    1.6536545680743834,
    0.75049431805790869,
    -0.058922955487879111,
    -0.022604301409597722,
    0.017812905613285046,
    -0.0041390457603892291,
    -0.0012911827111619905,
    0.0012401178688580215,
    -0.00022648746467734878,
    -0.00013252552754013338,
    5.9301684287408005e-5,
    6.5434555925476394e-7,
)
MIDDLE = (
    3.0838856104922206,
    0.75394422577062397,
    0.0030211394363840698,
    -0.0015825410894034398,
    0.00078830785099813529,
    -0.00040063569842118247,
    0.00016966502592018016,
    -4.7391826778828647e-5,
    2.4058391918338325e-6,
    5.1273144703487668e-6,
    -2.6646983082852558e-6,
    5.264680305425013e-7,
    9.2676427755231179e-8,
    -9.4698459375381102e-8,
    2.6703991718481456e-8,
    -3.6086983146965075e-10,
    -2.7195823537882848e-9,
    9.8504713312471309e-10,
    3.9290565981829759e-12,
    -6.3858464048751912e-11,
)
TAIL = (
    4.9130495872337852,
    1.073423220166283,
    -0.00020015887271187523,
    -0.00023602855403233343,
    8.9339629541148753e-5,
    -2.4458703338186218e-5,
    5.9208105684471077e-6,
    -1.3562359453959552e-6,
    3.176676644782329e-7,
    -9.02857961491731e-8,
    3.7300342961290383e-8,
    -2.0104540484989307e-8,
    1.1148085942295705e-8,
    -5.5439081937884264e-9,
    2.2998628628793293e-9,
    -7.82861185118183e-10,
    2.0991798627999425e-10,
    8.4105090680433396e-13,
    -4.3609866841394082e-11,
    1.519153594035806e-11,
)
TAIL_32 = (
    3.0838856104922207,
    0.75394401500097068,
    0.0030212230250003238,
    -0.001579741939058423,
    0.00078718828772595183,
    -0.00041060123530838359,
    0.00017374386718346517,
    -3.4479327984653424e-5,
    -3.1764041538304694e-6,
)
# fmt: on

_EDGE = 6.25  # of w, where its square root takes over; 4 is the next edge of that
_LARGEST = {"float32": 4.0, "float64": 6.125}  # square roots of w of numbers below 1


def _on(g: Arithmetic, coefficients: tuple[float, ...], x: str, low: float, high: float) -> str:
    """A polynomial over an interval, which is mapped to [-1, 1]; arguments are kept inside."""
    inside = g("Clip", x, low, high)
    scaled = g("Sub", g("Mul", g("Sub", inside, low), 2 / (high - low)), 1.0)
    return g.polynomial(coefficients, scaled)


def _lower_erfinv(b: Any, node: Expr, x: str) -> str:
    g, wide = Arithmetic(b, node.dtype), node.dtype == "float64"
    w = g("Neg", g("Log", g("Mul", g("Sub", 1.0, x), g("Add", x, 1.0))))
    root, largest = g("Sqrt", g("Max", w, 0.0)), _LARGEST[node.dtype]
    factor = _on(g, CENTER if wide else CENTER_32, w, 0.0, _EDGE)
    middle = _on(g, MIDDLE if wide else TAIL_32, root, math.sqrt(_EDGE), 4.0)
    factor = g("Where", g("Greater", w, _EDGE), middle, factor)
    if wide:
        tail = _on(g, TAIL, root, 4.0, largest)
        factor = g("Where", g("Greater", root, 4.0), tail, factor)
    factor = g("Where", g("Equal", w, math.inf), math.inf, factor)  # at -1 and 1
    return g("Mul", x, factor)


erfinv: Op = register(
    Op(
        "ErfInv",
        float_only,
        lambda x: special.erfinv(x).astype(x.dtype),
        lambda ct, out, x: (ct * (exp(out * out) * (math.sqrt(math.pi) / 2)),),
        _lower_erfinv,
        UNIT,
        batching=pointwise,
        finite_on=((-1.0, 1.0),),
        kernel=Elementwise("erfinv", 40.0),
    )
)
