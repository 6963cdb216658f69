"""Operations that work element by element, with NumPy broadcasting.

Each declaration holds all that lossgraph knows of the operation. Where ONNX has no operator
of enough accuracy the lowering is a short identity, and the comment says which.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..batching import pointwise
from ..expr import (
    Array,
    Choice,
    Expr,
    Lower,
    Movement,
    Op,
    Vjp,
    builds,
    const,
    depends_on_no_input,
    is_literal,
    no_gradient,
    rebuild,
    register,
)
from ..kernel_forms import Element, Elementwise
from ..types import FLOATS, TensorType, broadcast_shapes, dtype_name, numpy_dtype
from . import elements, intervals
from .integers import lower_mod, lower_power, power_of, quotient
from .intervals import ABOVE_MINUS_ONE, ABOVE_ZERO, ANY, EXPONENTS
from .type_rules import (
    arithmetic,
    bool_only,
    broadcasting,
    comparison,
    float_only,
    logical,
    number_only,
    same,
)

POSITIVE = ((0.2, 3.0),)
UNIT = ((-0.9, 0.9),)


def _unary(
    name: str,
    ref: Callable[[Array], Array],
    vjp: Callable[..., Any],
    lower: Lower | None = None,
    domain: tuple[tuple[float, float], ...] = ((-3.0, 3.0),),
    infer: Callable[..., TensorType] = float_only,
    **traits: Any,
) -> Op:
    """An operation on one argument; its ``vjp`` gives the one cotangent, or is no_gradient."""
    rule = vjp if vjp is no_gradient else lambda ct, out, x: (vjp(ct, out, x),)
    return register(Op(name, infer, ref, rule, lower or name, domain, batching=pointwise, **traits))


def _binary(
    name: str,
    ref: Callable[[Array, Array], Array],
    vjp: Vjp,
    domain: tuple[tuple[float, float], ...] = ((-3.0, 3.0), (-3.0, 3.0)),
    infer: Callable[..., TensorType] = arithmetic,
    lower: Lower | None = None,
    **traits: Any,
) -> Op:
    return register(Op(name, infer, ref, vjp, lower or name, domain, batching=pointwise, **traits))


# --- arithmetic ---------------------------------------------------------------------------

neg = _unary(
    "Neg",
    np.negative,
    lambda ct, out, x: -ct,
    infer=number_only,
    linear=True,
    range_of=lambda node, x: (-x[1], -x[0]),
    kernel=Elementwise("neg"),
)
add = _binary(
    "Add",
    np.add,
    lambda ct, out, x, y: (ct, ct),
    commutative=True,
    positive_if=(0, 1),
    linear=True,
    range_of=lambda node, x, y: intervals.total(x, y),
    flat_if=(0, 1),
    kernel=Elementwise("+"),
)
sub = _binary(
    "Sub",
    np.subtract,
    lambda ct, out, x, y: (ct, -ct),
    linear=True,
    range_of=lambda node, x, y: intervals.total(x, (-y[1], -y[0])),
    kernel=Elementwise("-"),
)
mul = _binary(
    "Mul",
    np.multiply,
    lambda ct, out, x, y: (ct * y, ct * x),
    commutative=True,
    positive_if=(0, 1),
    linear_in=(0, 1),
    range_of=intervals.product,
    kernel=Elementwise("*"),
)


def _div_of_equal_ranks(b: Any, node: Expr, x: str, y: str) -> str:
    """The divisor of a 1 that has more axes gets those first.

    ONNX Runtime makes a/b of a * (1/b) and forgets that the 1 had axes: it then refuses the model
    in WebAssembly, and where the product is an output of a scan's body, as in tiles.
    """
    numerator, divisor = node.args
    if is_literal(numerator) and divisor.rank < node.rank:
        before = divisor.shape
        y = b.reshape(y, before, (*(1,) * (node.rank - divisor.rank), *before))
    return str(b.add("Div", x, y))


div = _binary(
    "Div",
    quotient,
    lambda ct, out, x, y: (ct / y, -(ct / y) * out),
    domain=((-3.0, 3.0), (0.5, 3.0)),
    lower=_div_of_equal_ranks,
    positive_if=(0, 1),
    linear_in=(0,),
    finite_on=(ANY, ABOVE_ZERO),
    range_of=intervals.quotient,
    flat_if=(0,),
    kernel=Elementwise("/", 2.0),
)


def _masked_mul_ref(w: Array, x: Array) -> Array:
    big = np.finfo(x.dtype).max
    return w * np.where(w == 0, np.clip(x, -big, big), x)


def _clipped(b: Any, node: Expr, x: str) -> str:
    """A finite factor, for where the weight is zero; NaN stays."""
    big = float(np.finfo(numpy_dtype(node.dtype)).max)
    return str(b.add("Clip", x, b.const(-big, node.dtype), b.const(big, node.dtype)))


def _lower_masked_mul(b: Any, node: Expr, w: str, x: str) -> str:
    silent = b.add("Equal", w, b.const(0, node.dtype))
    return str(b.add("Mul", w, b.add("Where", silent, _clipped(b, node, x), x)))


def _masked_mul_by_cast(b: Any, node: Expr, w: str, x: str) -> str:
    """A weight is true unless it is zero, which costs less to ask than whether it is."""
    counts = b.add("Cast", w, to=b.dtype_code("bool"))
    return str(b.add("Mul", w, b.add("Where", counts, x, _clipped(b, node, x))))


masked_mul: Op = _binary(  # w*x, where a weight of 0 silences an infinity: 0*inf = 0 (0*nan is nan)
    "MaskedMul",
    _masked_mul_ref,
    lambda ct, out, w, x: (masked_mul(ct, x), masked_mul(w, ct)),
    lower=_lower_masked_mul,
    chosen=lambda out, w, x: (None, Choice(equal(w, 0.0), False)),
    variants={"cast": _masked_mul_by_cast},
    kernel=Elementwise("masked_mul", 3.0),
)


mod: Op = _binary(
    "Mod",
    np.mod,
    lambda ct, out, x, y: (ct, -ct * floor(x / y)),
    domain=((0.1, 0.9), (1.1, 1.9)),
    lower=lower_mod,
    finite_on=(ANY, ABOVE_ZERO),
    kernel=Elementwise("mod", 8.0),
)


power: Op = _binary(
    "Pow",
    power_of,
    # y*x^(y-1) with 0*inf = 0 at x = y = 0; x^y*log(x) is 0 where the power is.
    lambda ct, out, x, y: (
        ct * masked_mul(y, power(x, y - 1)),
        None if depends_on_no_input(y) else ct * masked_mul(out, log(x)),
    ),
    domain=((0.3, 3.0), (-2.0, 2.0)),
    lower=lower_power,
    positive_if=(0,),
    finite_on=((0.0, 1e9), (-4.0, 4.0)),
    root=True,
    range_of=intervals.power,
    kernel=Element(elements.power_element),
)

# --- extrema and kinks --------------------------------------------------------------------


def _lower_saturating(low: float, portable: bool = False) -> Callable[..., str]:
    """Clip x*huge to [low, 1]: a sign or a step in three cheap operators, NaN to NaN.

    Two factors, because the smallest subnormal times the largest power of two is below one.
    OpenVINO multiplies them first, which is infinite, and 0 times that is not 0; so where the
    engine is not known a Clip stands between the two.
    """

    def lower(b: Any, node: Expr, x: str) -> str:
        if not node.type.is_float:
            return str(b.add("Sign", x))
        bounds = b.const(low, node.dtype), b.const(1, node.dtype)
        exponent = np.finfo(numpy_dtype(node.dtype)).maxexp - 1
        huge = b.add("Mul", x, b.const(2.0**exponent, node.dtype))
        if portable:
            huge = b.add("Clip", huge, *bounds)
        huge = b.add("Mul", huge, b.const(2.0**64, node.dtype))
        return str(b.add("Clip", huge, *bounds))

    return lower


step = _unary(  # 1 above 0, 0 at and below it
    "Step",
    lambda x: np.where(np.isnan(x), x, x > 0).astype(x.dtype),
    no_gradient,
    lower=_lower_saturating(0.0),
    domain=POSITIVE,
    portable=_lower_saturating(0.0, portable=True),
    kernel=Elementwise("step"),
)
sign = _unary(
    "Sign",
    np.sign,
    no_gradient,
    _lower_saturating(-1.0),
    POSITIVE,
    number_only,
    portable=_lower_saturating(-1.0, portable=True),
    kernel=Elementwise("sign"),
)
absolute = _unary(
    "Abs",
    np.abs,
    lambda ct, out, x: ct * sign(x),
    domain=POSITIVE,
    infer=number_only,
    nonnegative=True,
    range_of=lambda node, x: (max(x[0], -x[1], 0.0), max(-x[0], x[1])),
    flat_if=(),
    finite_on=(ANY,),
    kernel=Elementwise("abs"),
)


def _relu_choice(out: Expr, x: Expr) -> tuple[Choice]:
    return (Choice(less_equal(x, 0.0), False),)


def _lower_relu(b: Any, node: Expr, x: str) -> str:
    """Max in float64: ONNX Runtime joins Relu and Clip to a Clip that it has in 32 bits only."""
    if node.dtype == "float64":
        return str(b.add("Max", x, b.const(0, node.dtype)))
    return str(b.add("Relu", x))


relu = _unary(
    "Relu",
    lambda x: np.maximum(x, x.dtype.type(0)),  # NumPy 1 widens a scalar array beside a number
    lambda ct, out, x: ct * step(x),
    _lower_relu,
    domain=POSITIVE,
    nonnegative=True,
    selecting=True,
    range_of=lambda node, x: (max(x[0], 0.0), max(x[1], 0.0)),
    chosen=_relu_choice,
    flat_if=(),
    finite_on=(ANY,),
    kernel=Elementwise("relu"),
)


def _extremum_vjp(wins: Callable[[Expr, Expr], Expr]) -> Vjp:
    """The gradient goes to the winner; two variables share a tie, a constant passes none."""

    def vjp(ct: Expr, out: Expr, x: Expr, y: Expr) -> tuple[Expr | None, ...]:
        x_wins, y_wins = (cast(wins(a, b), ct.dtype) for a, b in ((x, y), (y, x)))
        if depends_on_no_input(x) or depends_on_no_input(y):
            return (ct * x_wins, ct * y_wins)
        half_tie = cast(equal(x, y), ct.dtype) * 0.5
        return (ct * (x_wins + half_tie), ct * (y_wins + half_tie))

    return vjp


maximum = _binary(
    "Max",
    np.maximum,
    _extremum_vjp(lambda a, b: greater(a, b)),
    domain=((-3.0, 0.0), (0.5, 3.0)),
    commutative=True,
    range_of=lambda node, x, y: (max(x[0], y[0]), max(x[1], y[1])),
    chosen=lambda out, x, y: (Choice(less(x, y), False), Choice(less(y, x), False)),
    finite_on=(ANY, ANY),
    kernel=Elementwise("max"),
)
minimum = _binary(
    "Min",
    np.minimum,
    _extremum_vjp(lambda a, b: less(a, b)),
    domain=((-3.0, 0.0), (0.5, 3.0)),
    commutative=True,
    range_of=lambda node, x, y: (min(x[0], y[0]), min(x[1], y[1])),
    chosen=lambda out, x, y: (Choice(less(y, x), False), Choice(less(x, y), False)),
    finite_on=(ANY, ANY),
    kernel=Elementwise("min"),
)


def _clip_infer(x: TensorType, *, low: float, high: float) -> TensorType:
    return number_only(x)


def _clip_vjp(ct: Expr, out: Expr, x: Expr, *, low: float, high: float) -> tuple[Expr]:
    """Inside and at the bounds the output is the input itself."""
    return (ct * cast(equal(x, out), ct.dtype),)


_clip: Op = register(
    Op(
        "Clip",
        _clip_infer,
        lambda x, low, high: np.clip(x, x.dtype.type(low), x.dtype.type(high)),
        _clip_vjp,
        lambda b, node, x: b.add(
            "Clip",
            x,
            b.const(node.attrs["low"], node.dtype),
            b.const(node.attrs["high"], node.dtype),
        ),
        batching=pointwise,
        finite_on=(ANY,),
        range_of=lambda node, x: tuple(
            min(max(end, node.attrs["low"]), node.attrs["high"]) for end in x
        ),
        chosen=lambda out, x, low, high: (Choice(logical_or(less(x, out), less(out, x)), False),),
        kernel=Element(elements.clip_element),
    )
)


@builds(_clip)
def clip(x: Expr, low: float, high: float) -> Expr:
    """``x`` limited to [low, high]; the gradient passes at the bounds."""
    bound = float if x.type.is_float else _within(x.dtype)
    return _clip(x, low=bound(low), high=bound(high))


def _within(dtype: str) -> Callable[[float], int]:
    """A bound of integers as one of them, the nearest that there is."""
    info = np.iinfo(numpy_dtype(dtype))

    def bound(value: float) -> int:
        return int(min(max(value, int(info.min)), int(info.max)))

    return bound


# --- exponentials and logarithms ----------------------------------------------------------

exp = _unary(
    "Exp",
    np.exp,
    lambda ct, out, x: ct * out,
    positive_if=(),
    nonnegative=True,
    finite_on=(EXPONENTS,),
    range_of=lambda node, x: (intervals.exp(x[0]), intervals.exp(x[1])),
    kernel=Elementwise("exp", 6.0),
)
log: Op = _unary(
    "Log",
    np.log,
    lambda ct, out, x: ct / x,
    domain=POSITIVE,
    finite_on=(ABOVE_ZERO,),
    kernel=Elementwise("log", 8.0),
)


def _lower_log1p(b: Any, node: Expr, x: str) -> str:
    """log(1+x) = log(u) + (x - (u-1))/u with u = fl(1+x): the rounding of u, put back.

    The clamps keep x = inf (inf - inf) and x = -1 (0/0) away from the correction.
    """
    info = np.finfo(numpy_dtype(node.dtype))
    one, big = b.const(1, node.dtype), b.const(2.0 ** (info.maxexp // 2), node.dtype)
    u = b.add("Add", x, one)
    error = b.add("Sub", b.add("Min", x, big), b.add("Sub", b.add("Min", u, big), one))
    divisor = b.add("Max", u, b.const(float(info.tiny), node.dtype))
    return str(b.add("Add", b.add("Log", u), b.add("Div", error, divisor)))


def log1p_positive(b: Any, dtype: str, x: str) -> str:
    """log1p by the correction above, which needs no clamps for finite numbers well above -1."""
    one = b.const(1, dtype)
    u = b.add("Add", x, one)
    error = b.add("Sub", x, b.add("Sub", u, one))
    return str(b.add("Add", b.add("Log", u), b.add("Div", error, u)))


def exp_minus_abs(b: Any, x: str) -> str:
    """exp(-|x|), in [0, 1]."""
    return str(b.add("Exp", b.add("Neg", b.add("Abs", x))))


def _lower_tail(b: Any, node: Expr, x: str) -> str:
    return log1p_positive(b, node.dtype, exp_minus_abs(b, x))


log1p = _unary(
    "Log1p",
    np.log1p,
    lambda ct, out, x: ct / (x + 1),
    _lower_log1p,
    ((-0.5, 3.0),),
    finite_on=(ABOVE_MINUS_ONE,),
    kernel=Elementwise("log1p", 10.0),
)
expm1 = _unary(
    "Expm1",
    np.expm1,
    lambda ct, out, x: ct * exp(x),
    # expm1(x) = tanh(x/2) (exp(x)+1): no cancellation at 0, -1 and inf at the ends.
    lambda b, node, x: b.add(
        "Mul",
        b.add("Tanh", b.add("Mul", x, b.const(0.5, node.dtype))),
        b.add("Add", b.add("Exp", x), b.const(1, node.dtype)),
    ),
    finite_on=(EXPONENTS,),
    kernel=Elementwise("expm1", 8.0),
)

# --- rounding -----------------------------------------------------------------------------

floor: Op = _unary(
    "Floor", np.floor, no_gradient, domain=((0.1, 0.9),), kernel=Elementwise("floor")
)
ceil = _unary("Ceil", np.ceil, no_gradient, domain=((0.1, 0.9),), kernel=Elementwise("ceil"))
rint = _unary("Round", np.rint, no_gradient, domain=((0.1, 0.4),), kernel=Elementwise("rint"))

# --- comparison and choice ----------------------------------------------------------------

equal: Op = _binary(
    "Equal", np.equal, no_gradient, infer=comparison, commutative=True, kernel=Elementwise("==")
)
greater: Op = _binary("Greater", np.greater, no_gradient, infer=comparison, kernel=Elementwise(">"))
less: Op = _binary("Less", np.less, no_gradient, infer=comparison, kernel=Elementwise("<"))
greater_equal = _binary(
    "GreaterOrEqual", np.greater_equal, no_gradient, infer=comparison, kernel=Elementwise(">=")
)
less_equal: Op = _binary(
    "LessOrEqual", np.less_equal, no_gradient, infer=comparison, kernel=Elementwise("<=")
)
logical_and = _binary(
    "And", np.logical_and, no_gradient, infer=logical, commutative=True, kernel=Elementwise("&")
)
logical_or: Op = _binary(
    "Or", np.logical_or, no_gradient, infer=logical, commutative=True, kernel=Elementwise("|")
)
logical_xor = _binary(
    "Xor", np.logical_xor, no_gradient, infer=logical, commutative=True, kernel=Elementwise("^")
)
logical_not = _unary("Not", np.logical_not, no_gradient, infer=bool_only, kernel=Elementwise("~"))
isnan = _unary(
    "IsNaN",
    np.isnan,
    no_gradient,
    infer=lambda x: float_only(x).with_dtype("bool"),
    kernel=Element(elements.isnan_element),
)


def _where_infer(condition: TensorType, x: TensorType, y: TensorType) -> TensorType:
    bool_only(condition)
    both = broadcasting(x, y)
    return both.with_shape(broadcast_shapes(condition.shape, both.shape))


def _where_vjp(ct: Expr, out: Expr, condition: Expr, x: Expr, y: Expr) -> tuple[Expr | None, ...]:
    return (None, ct, ct)


where = register(
    Op(
        "Where",
        _where_infer,
        np.where,
        _where_vjp,
        "Where",
        batching=pointwise,
        positive_if=(1, 2),
        linear=True,
        range_of=lambda node, c, x, y: (min(x[0], y[0]), max(x[1], y[1])),
        chosen=lambda out, c, x, y: (None, Choice(c, True, True), Choice(c, False, True)),
        flat_if=(1, 2),
        kernel=Element(elements.where_element),
    )
)


def _cast_infer(x: TensorType, *, to: str) -> TensorType:
    return x.with_dtype(to)


def _cast_vjp(ct: Expr, out: Expr, x: Expr, *, to: str) -> tuple[Expr | None]:
    return (cast(ct, x.dtype) if to in FLOATS and x.type.is_float else None,)


_cast: Op = register(
    Op(
        "Cast",
        _cast_infer,
        lambda x, to: x.astype(numpy_dtype(to)),
        _cast_vjp,
        lambda b, node, x: b.add("Cast", x, to=b.dtype_code(node.dtype)),
        batching=pointwise,
        linear=True,
        range_of=lambda node, x: x,
        flat_if=(0,),
        kernel=Element(elements.cast_element),
    )
)


@builds(_cast)
def cast(x: Expr, to: object) -> Expr:
    """``x`` in another dtype; floats to integers truncate."""
    to = dtype_name(to)
    if x.dtype == to:
        return x
    if is_literal(x):
        with np.errstate(invalid="ignore"):  # no integer is NaN, and an engine does not say so
            return const(x.attrs["value"].astype(numpy_dtype(to)))
    if x.op.movement is Movement.BROADCAST and is_literal(x.args[0]) and to != "bfloat16":
        return rebuild(x, (cast(x.args[0], to),))  # ONNX Runtime has no Expand of bfloat16
    if x.op is _cast and x.dtype == "float64" and x.args[0].dtype in ("int64", "bool"):
        return cast(x.args[0], to)  # what has only been widened
    if "dtype" in x.op.attributes and to in FLOATS:
        return rebuild(x, x.args, dtype=to)  # made of ones and zeros, which every dtype has
    return _cast(x, to=to)


stop_gradient = register(
    Op(
        "StopGradient",
        same,
        lambda x: x,
        no_gradient,
        "Identity",
        batching=pointwise,
        range_of=lambda node, x: x,
        kernel=Element(elements.same_element),
    )
)
