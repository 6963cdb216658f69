"""Operators that work element by element, and the softmax family."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import InputError
from .array import (
    Array,
    arithmetic,
    axis_of,
    comparison,
    describe,
    divided,
    floating,
    operands,
    operator,
    raised,
    raw,
    remainder,
    truths,
)
from .constants import constant
from .dtypes import Raw, as_float, is_float, with_number
from .special import erfinv as inverse_erf
from .special import log_gamma, polygamma

Function = Callable[[Raw], Raw]
Binary = Callable[[Raw, Raw], Raw]
Operator1 = Callable[[Array], Array]
Operator2 = Callable[..., Array]


def _unary(
    name: str, function: Function, formula: str, keeps_int: bool = False, relation: bool = False
) -> Operator1:
    """Declare an operator of one array; integers become float32 unless it keeps them."""

    def apply(data: Array) -> Array:
        value = raw(data) if keeps_int else floating(data)
        found = function(value).astype(value.dtype)
        return truths(found) if relation else Array(found)

    apply.__name__, apply.__doc__ = name, f"Element-wise {formula}."
    return operator(apply)


def _binary(name: str, function: Binary, relation: bool = False) -> Operator2:
    """Declare an operator of two arrays or numbers, broadcast as in numpy."""
    combine = comparison if relation else arithmetic

    # MXNet ignores options here, and Gluon's CosineEmbeddingLoss gives an axis
    def apply(lhs: Any, rhs: Any, axis: Any = None) -> Array:
        return combine(function, lhs, rhs)

    apply.__name__, apply.__doc__ = name, f"Element-wise {name.replace('_', ' ')} of two operands."
    return operator(apply)


def _same_shape(name: str, function: Binary) -> Operator2:
    """Declare an operator of two arrays of one shape."""

    def apply(lhs: Any, rhs: Any) -> Array:
        if raw(lhs).shape != raw(rhs).shape:
            raise InputError("both arrays need the same shape: use the broadcast_ operator")
        return arithmetic(function, lhs, rhs)

    apply.__name__, apply.__doc__ = name, "Element-wise on two arrays of the same shape."
    return operator(apply)


def _erf(value: Raw) -> Raw:
    return np.asarray(np.vectorize(math.erf, otypes=[np.float64])(value))


def _sigmoid(value: Raw) -> Raw:
    tail = np.exp(-np.abs(value))  # never overflows
    return np.where(value >= 0, 1 / (1 + tail), tail / (1 + tail))


def _softrelu(value: Raw) -> Raw:
    return np.asarray(np.logaddexp(value, np.zeros_like(value)))


def _relu(value: Raw) -> Raw:
    return np.asarray(np.maximum(value, np.zeros_like(value)))


def _softsign(value: Raw) -> Raw:
    return np.where(np.isinf(value), np.sign(value), value / (1 + np.abs(value)))


def _round(value: Raw) -> Raw:
    if not is_float(value.dtype):
        return value
    size = np.abs(value)
    whole = np.floor(size)  # adding 1/2 would round the number just below 1/2 up
    return np.asarray(np.copysign(whole + (size - whole >= 0.5), value))


def _rint(value: Raw) -> Raw:
    if not is_float(value.dtype):
        return value
    low, high = np.floor(value), np.ceil(value)
    return np.where(value - low <= high - value, low, high)


abs = _unary("abs", np.abs, "|x|", keeps_int=True)
square = _unary("square", np.square, "x^2", keeps_int=True)
sign = _unary("sign", np.sign, "sign, NaN for NaN", keeps_int=True)
relu = _unary("relu", _relu, "max(x, 0)", keeps_int=True)
negative = _unary("negative", np.negative, "-x", keeps_int=True)
floor = _unary("floor", np.floor, "largest whole number <= x", keeps_int=True)
ceil = _unary("ceil", np.ceil, "smallest whole number >= x", keeps_int=True)
fix = _unary("fix", np.trunc, "rounding towards zero", keeps_int=True)
trunc = _unary("trunc", np.trunc, "rounding towards zero", keeps_int=True)
round = _unary("round", _round, "rounding, halves away from zero", keeps_int=True)
rint = _unary("rint", _rint, "rounding, halves down", keeps_int=True)
sqrt = _unary("sqrt", np.sqrt, "square root")
rsqrt = _unary("rsqrt", lambda x: np.asarray(1 / np.sqrt(x)), "1/sqrt(x)")
cbrt = _unary("cbrt", np.cbrt, "cube root")
rcbrt = _unary("rcbrt", lambda x: np.asarray(1 / np.cbrt(x)), "1/cbrt(x)")
reciprocal = _unary("reciprocal", lambda x: np.asarray(1 / x), "1/x")
exp = _unary("exp", np.exp, "e^x")
expm1 = _unary("expm1", np.expm1, "e^x - 1")
log = _unary("log", np.log, "natural logarithm")
log2 = _unary("log2", np.log2, "logarithm to base 2")
log10 = _unary("log10", np.log10, "logarithm to base 10")
log1p = _unary("log1p", np.log1p, "log(1 + x)")
sin = _unary("sin", np.sin, "sine")
cos = _unary("cos", np.cos, "cosine")
tan = _unary("tan", np.tan, "tangent")
arcsin = _unary("arcsin", np.arcsin, "inverse sine")
arccos = _unary("arccos", np.arccos, "inverse cosine")
arctan = _unary("arctan", np.arctan, "inverse tangent")
sinh = _unary("sinh", np.sinh, "hyperbolic sine")
cosh = _unary("cosh", np.cosh, "hyperbolic cosine")
tanh = _unary("tanh", np.tanh, "hyperbolic tangent")
arcsinh = _unary("arcsinh", np.arcsinh, "inverse hyperbolic sine")
arccosh = _unary("arccosh", np.arccosh, "inverse hyperbolic cosine")
arctanh = _unary("arctanh", np.arctanh, "inverse hyperbolic tangent")
degrees = _unary("degrees", np.degrees, "radians to degrees")
radians = _unary("radians", np.radians, "degrees to radians")
sigmoid = _unary("sigmoid", _sigmoid, "1/(1 + e^-x)")
softrelu = _unary("softrelu", _softrelu, "log(1 + e^x)")
softsign = _unary("softsign", _softsign, "x/(1 + |x|)")
erf = _unary("erf", _erf, "error function")
erfinv = _unary("erfinv", inverse_erf, "inverse error function, NaN beyond -1 and 1")
gammaln = _unary("gammaln", log_gamma, "log Gamma(x) above 0, NaN below")
digamma = _unary("digamma", lambda x: polygamma(x, 0), "derivative of gammaln, NaN below 0")
isnan = _unary("isnan", np.isnan, "1 at NaN, else 0", relation=True)
isinf = _unary("isinf", np.isinf, "1 at an infinity, else 0", relation=True)
isfinite = _unary("isfinite", np.isfinite, "1 at a finite number, else 0", relation=True)
logical_not = _unary("logical_not", np.logical_not, "1 at 0, else 0", relation=True)
identity = _unary("identity", np.array, "x itself", keeps_int=True)
stop_gradient = _unary("stop_gradient", constant, "x, as a constant", keeps_int=True)
make_loss = _unary("make_loss", np.array, "x, as a loss", keeps_int=True)
BlockGrad = stop_gradient

add = broadcast_add = broadcast_plus = _binary("add", np.add)
subtract = broadcast_sub = broadcast_minus = _binary("subtract", np.subtract)
multiply = broadcast_mul = _binary("multiply", np.multiply)
divide = true_divide = broadcast_div = _binary("divide", divided)
modulo = mod = broadcast_mod = _binary("modulo", remainder)
floor_divide = _binary("floor_divide", np.floor_divide)
power = broadcast_power = _binary("power", raised)
maximum = broadcast_maximum = _binary("maximum", np.maximum)
minimum = broadcast_minimum = _binary("minimum", np.minimum)

equal = broadcast_equal = _binary("equal", np.equal, relation=True)
not_equal = broadcast_not_equal = _binary("not_equal", np.not_equal, relation=True)
greater = broadcast_greater = _binary("greater", np.greater, relation=True)
greater_equal = broadcast_greater_equal = _binary("greater_equal", np.greater_equal, relation=True)
lesser = broadcast_lesser = _binary("lesser", np.less, relation=True)
lesser_equal = broadcast_lesser_equal = _binary("lesser_equal", np.less_equal, relation=True)
logical_and = broadcast_logical_and = _binary("logical_and", np.logical_and, relation=True)
logical_or = broadcast_logical_or = _binary("logical_or", np.logical_or, relation=True)
logical_xor = broadcast_logical_xor = _binary("logical_xor", np.logical_xor, relation=True)

elemwise_add = _same_shape("elemwise_add", np.add)
elemwise_sub = _same_shape("elemwise_sub", np.subtract)
elemwise_mul = _same_shape("elemwise_mul", np.multiply)
elemwise_div = _same_shape("elemwise_div", divided)


@operator
def hypot(lhs: Any, rhs: Any) -> Array:
    """Element-wise sqrt(x^2 + y^2), without overflow; integers as float32."""
    first, second = operands(lhs, rhs)
    return arithmetic(np.hypot, Array(as_float(first)), Array(as_float(second)))


broadcast_hypot = hypot


@operator
def masked_mul(lhs: Any, rhs: Any) -> Array:
    """The product, where a factor of 0 on the left silences an infinity on the right.

    Lossgraph's own; NaN stays NaN.
    """
    weight, value = operands(lhs, rhs)
    silent = np.isinf(as_float(value)) & (weight == 0)
    return arithmetic(np.multiply, Array(weight), Array(np.where(silent, 0, value)))


@operator
def logaddexp(lhs: Any, rhs: Any, finite: bool = False) -> Array:
    """Element-wise log(e^x + e^y); what ``finite`` promises is not needed here."""
    first, second = operands(lhs, rhs)
    return arithmetic(np.logaddexp, Array(as_float(first)), Array(as_float(second)))


@operator
def with_gradient(data: Array, wrt: Any, gradients: Any, beside: Any = None) -> Array:
    """The array itself: a derivative is given to those who ask for it."""
    return Array(raw(data))


@operator
def add_n(*args: Array) -> Array:
    """Sum of arrays of one shape."""
    if not args:
        raise InputError("expected at least one array")
    total = Array(raw(args[0]))
    for term in args[1:]:
        total = elemwise_add(total, term)
    return total


@operator
def where(condition: Array, x: Any, y: Any) -> Array:
    """X where the condition is not 0, else y; a condition of rank 1 selects whole rows.

    It does where it is as long as the first axis; all else broadcasts as in numpy.
    """
    chosen = raw(condition) != 0
    left, right = operands(x, y)
    shape = np.broadcast_shapes(left.shape, right.shape)
    if chosen.ndim == 1 and len(shape) > 1 and chosen.shape == shape[:1]:
        lower = [part for part in (left, right) if 0 < part.ndim < len(shape)]
        if chosen.size != 1 and any(
            part.shape[-1:] == chosen.shape == shape[-1:] for part in lower
        ):
            raise InputError(
                f"the condition could choose along the first or the last axis of {shape}"
            )
        chosen = chosen.reshape((-1,) + (1,) * (len(shape) - 1))
    try:
        return Array(np.where(chosen, left, right))
    except ValueError:
        raise InputError(
            f"the condition of shape {chosen.shape} does not broadcast to {shape}"
        ) from None


@operator
def clip(data: Array, a_min: float | None = None, a_max: float | None = None) -> Array:
    """Each element moved into the interval [a_min, a_max], one of which may be None."""
    value = raw(data)
    if a_min is None and a_max is None:
        raise InputError("give a_min, a_max or both")
    for bound in (a_min, a_max):
        value = value if bound is None else value.astype(with_number(value.dtype, bound))
    low, high = (None if b is None else np.asarray(b).astype(value.dtype) for b in (a_min, a_max))
    value = value if low is None else np.maximum(value, low)
    return Array(value if high is None else np.minimum(value, high))


@operator
def hard_sigmoid(data: Array, alpha: float = 0.2, beta: float = 0.5) -> Array:
    """Element-wise alpha x + beta, clipped to [0, 1]."""
    return Array(np.clip(alpha * floating(data) + beta, 0, 1))


@operator
def smooth_l1(data: Array, scalar: float = 1.0) -> Array:
    """Element-wise (scalar x)^2 / 2 where |x| < 1/scalar^2, else |x| - 1/(2 scalar^2)."""
    value = floating(data)
    size, square_ = np.abs(value), scalar * scalar
    linear = size - 0.5 / square_ if square_ else size
    return Array(np.where(size * square_ < 1, 0.5 * square_ * value * value, linear))


def log_probs(value: Raw, axis: int) -> Raw:
    """Log-softmax by the shift: x - max - log(sum(exp(x - max)))."""
    wide = value.astype(np.float32) if value.dtype == np.float16 else value
    top = np.max(wide, axis=axis, keepdims=True, initial=-np.inf)
    shifted = wide - top
    return np.asarray(shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True)))


def _probs(value: Raw, axis: int) -> Raw:
    wide = value.astype(np.float32) if value.dtype == np.float16 else value
    shifted = np.exp(wide - np.max(wide, axis=axis, keepdims=True, initial=-np.inf))
    return np.asarray(shifted / np.sum(shifted, axis=axis, keepdims=True))


def _inside(length: Any, value: Raw, axis: int) -> Raw:
    """True before each row's length along the axis."""
    lengths = raw(length)
    expected = value.shape[:axis] + value.shape[axis + 1 :]
    if lengths.shape != (expected or (1,)):
        raise InputError(f"length is {describe(length)}: expected the shape {expected or (1,)}")
    steps = [1] * value.ndim
    steps[axis] = value.shape[axis]
    counted = lengths.reshape((*value.shape[:axis], 1, *value.shape[axis + 1 :]))
    return np.asarray(np.arange(value.shape[axis]).reshape(steps) < counted)


def _soft(
    function: Callable[[Raw, int], Raw],
    data: Array,
    length: Any,
    axis: int,
    scale: float,
    options: tuple[Any, bool, float],
) -> Array:
    """Softmax or its logarithm of scale * data, over the elements inside each length."""
    dtype, use_length, outside = options
    value = floating(data)
    result_dtype = value.dtype if dtype is None else np.dtype(dtype)
    value = value.astype(result_dtype)
    axis = axis_of(axis, value.ndim)
    logits = value * scale if scale != 1 else value
    if not use_length:
        return Array(function(logits, axis).astype(result_dtype))
    if length is None:
        raise InputError("use_length=True needs the array `length`")
    inside = _inside(length, value, axis)
    result = function(np.where(inside, logits, -np.inf).astype(result_dtype), axis)
    return Array(np.where(inside, result, outside).astype(result_dtype))


@operator
def softmax(
    data: Array,
    length: Array | None = None,
    axis: int = -1,
    temperature: float | None = None,
    dtype: Any = None,
    use_length: bool = False,
) -> Array:
    """exp(x/temperature) over its sum along the axis; 0 beyond ``length``."""
    return _soft(_probs, data, length, axis, 1 / (temperature or 1), (dtype, use_length, 0.0))


@operator
def softmin(
    data: Array, axis: int = -1, temperature: float | None = None, dtype: Any = None
) -> Array:
    """Softmax of -x."""
    return _soft(_probs, data, None, axis, -1 / (temperature or 1), (dtype, False, 0.0))


@operator
def log_softmax(
    data: Array,
    length: Array | None = None,
    axis: int = -1,
    temperature: float | None = None,
    dtype: Any = None,
    use_length: bool = False,
) -> Array:
    """Logarithm of ``softmax``; -inf beyond ``length``."""
    options = (dtype, use_length, -np.inf)
    return _soft(log_probs, data, length, axis, 1 / (temperature or 1), options)


pow = broadcast_power
ElementWiseSum = add_n
MakeLoss = make_loss
