"""Reductions and scans along axes.

Every reduction keeps its axes with length one: what drops them is a reshape of its own, so
that one rewriting rule serves both forms, and broadcasting back needs nothing.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from ...errors import InputError, SpecializationError
from ...reference.reduce import extreme
from ..batching import reduction
from ..dims import Dim, floordiv, product
from ..expr import Array, Choice, Expr, Op, OpFunction, builds, const, register
from ..kernel_forms import Formula
from ..kernel_forms import Reduction as ReductionForm
from ..types import TensorType, canonical_axes, numpy_dtype, shape_names
from . import intervals
from .elementwise import (
    POSITIVE,
    absolute,
    cast,
    clip,
    div,
    equal,
    exp,
    exp_minus_abs,
    greater,
    less,
    less_equal,
    log,
    log1p,
    log1p_positive,
    logical_and,
    neg,
    sign,
    where,
)
from .shape import size_of
from .smooth import (
    sigmoid,
    sqrt,
)
from .sums import LONG_SOFTMAX, LongSums, lower_mean, lower_sum
from .type_rules import float_only, number_only

Axes = tuple[int, ...]
Reduction: TypeAlias = OpFunction[[Expr, Sequence[int]]]


def _keepdims(x: TensorType, *, axes: Axes) -> TensorType:
    number_only(x)
    return x.with_shape([1 if i in axes else dim for i, dim in enumerate(x.shape)])


def _float_keepdims(x: TensorType, *, axes: Axes) -> TensorType:
    return _keepdims(float_only(x), axes=axes)


def nonempty_keepdims(x: TensorType, *, axes: Axes) -> TensorType:
    """The type of a reduction that needs elements."""
    kept = _keepdims(x, axes=axes)
    if any(x.shape[axis] == 0 for axis in axes) and 0 not in kept.shape:
        why = "an axis of length zero has no largest or smallest element"
        if names := sorted(shape_names(kept.shape)):  # one of which may make the result empty too
            raise SpecializationError(tuple(names), why)
        raise InputError(why)
    return kept


def _reduction(
    name: str,
    ref: Callable[..., Array],
    vjp: Callable[..., tuple[Expr | None, ...]],
    lower: Callable[..., str] | None = None,
    infer: Callable[..., TensorType] = _keepdims,
    domain: tuple[tuple[float, float], ...] = ((-3.0, 3.0),),
    **traits: Any,
) -> Reduction:
    lower = lower or _lower_reduction(name)
    op = register(Op(name, infer, ref, vjp, lower, domain, batching=reduction, **traits))

    def reduce(x: Expr, axes: Sequence[int]) -> Expr:
        axes = canonical_axes(axes, x.rank)
        return op(x, axes=axes) if axes else x

    reduce.__name__ = name
    reduce.__doc__ = f"{name} of ``x`` over ``axes``, which keep the length one."
    return builds(op)(reduce)


def _lower_reduction(operator: str) -> Callable[..., str]:
    def lower(b: Any, node: Expr, x: str) -> str:
        return str(b.reduce(operator, x, node.attrs["axes"]))

    return lower


def nans(b: Any, x: str) -> str:
    """1 where there is a NaN, else 0, in float32: its extrema are the cheapest."""
    return str(b.add("Cast", b.add("IsNaN", x), to=b.dtype_code("float32")))


def _lower_extremum(operator: str) -> Callable[..., str]:
    """The engine's reduction, and NaN put back where that passes over it."""

    def lower(b: Any, node: Expr, x: str) -> str:
        axes = node.attrs["axes"]
        best = str(b.reduce(operator, x, axes))
        if not node.type.is_float or b.is_faithful(operator, node.dtype):
            return best
        any_nan = b.add("Greater", b.reduce("ReduceMax", nans(b, x), axes), b.const(0, "float32"))
        return str(b.add("Where", any_nan, b.const(np.nan, node.dtype), best))

    return lower


def _shared(ct: Expr, out: Expr, x: Expr, *, axes: Axes) -> tuple[Expr]:
    """The elements that attain the extremum share the cotangent equally."""
    attained = cast(equal(x, out), x.dtype)
    return (attained * (ct / reduce_sum(attained, axes)),)


def _below(out: Expr, x: Expr, *, axes: Axes) -> tuple[Choice]:
    return (Choice(less(x, out), False),)


def _above(out: Expr, x: Expr, *, axes: Axes) -> tuple[Choice]:
    return (Choice(less(out, x), False),)


def _prod_vjp(ct: Expr, out: Expr, x: Expr, *, axes: Axes) -> tuple[Expr]:
    """The product of the others, right where elements are zero, and for its own derivative.

    ``zeros_sum`` is zero in value; it carries the derivative with respect to the zeros.
    """
    is_zero = equal(x, 0.0)
    count = reduce_sum(cast(is_zero, x.dtype), axes)
    safe = where(is_zero, 1.0, x)
    rest = reduce_prod(safe, axes)  # of the elements that are not zero
    zeros_sum = reduce_sum(where(is_zero, x, 0.0), axes)
    one_zero, two_zeros = equal(count, 1.0), equal(count, 2.0)
    at_zero = where(one_zero, rest, where(two_zeros, (zeros_sum - x) * rest, 0.0))
    beside = where(equal(count, 0.0), rest / safe, where(one_zero, zeros_sum * rest / safe, 0.0))
    return (ct * where(is_zero, at_zero, beside),)


def _axis_ref(function: Callable[..., Array]) -> Callable[..., Array]:
    def ref(x: Array, axes: Axes) -> Array:
        return function(x, axis=axes, keepdims=True).astype(x.dtype)

    return ref


def _sum_over(b: Any, node: Expr, x: str) -> str:
    """The sum of an array of the argument's type over the node's axes."""
    return lower_sum(b, x, node.args[0], node.attrs["axes"])


def _added(function: Callable[..., Array]) -> Callable[..., Array]:
    """A sum or mean of floats in float64: NumPy adds rows onto each other one by one."""

    def ref(x: Array, axes: Axes) -> Array:
        wide = x if x.dtype.kind in "iub" else x.astype(np.promote_types(x.dtype, np.float64))
        return np.asarray(function(wide, axis=axes, keepdims=True).astype(x.dtype))

    return ref


# --- formulas, for kernels: what several reductions have in common is computed once --------


def _mean_formula(x: Expr, axes: Axes) -> Expr:
    return reduce_mean(x, axes)


def _norm_formula(x: Expr, axes: Axes) -> Expr:
    """s*sqrt(sum((x/s)^2)) with s = max|x|: no square leaves the range of the dtype."""
    largest = reduce_max(absolute(x), axes)
    big = float(np.finfo(numpy_dtype(x.dtype)).max)
    ordinary = logical_and(greater(largest, 0.0), less_equal(largest, big))
    scale = where(ordinary, largest, const(1, x.dtype))
    scaled = x / scale
    return sqrt(reduce_sum(scaled * scaled, axes)) * scale


def _tail_sum_formula(x: Expr, axes: Axes) -> Expr:
    return reduce_sum(log1p(exp(neg(absolute(x)))), axes)


def _shifted(x: Expr, axes: Axes) -> Expr:
    return x - reduce_max(x, axes)


def _softmax_formula(x: Expr, axes: Axes) -> Expr:
    shares = exp(_shifted(x, axes))
    return shares / reduce_sum(shares, axes)


def _log_softmax_formula(x: Expr, axes: Axes) -> Expr:
    shifted = _shifted(x, axes)
    return shifted - log(reduce_sum(exp(shifted), axes))


def _logsumexp_formula(x: Expr, axes: Axes) -> Expr:
    """The largest element is finite inside, so that infinities come out."""
    big = float(np.finfo(numpy_dtype(x.dtype)).max)
    top = reduce_max(x, axes)
    return top + log(reduce_sum(exp(x - clip(top, -big, big)), axes))


# --- sums and extrema ---------------------------------------------------------------------

reduce_sum = _reduction(
    "ReduceSum",
    _added(np.sum),
    lambda ct, out, x, axes: (ct,),
    _sum_over,
    linear=True,
    range_of=intervals.sum_of,
    flat_if=(0,),
    kernel=ReductionForm("sum"),
)
reduce_prod = _reduction("ReduceProd", _axis_ref(np.prod), _prod_vjp, kernel=ReductionForm("prod"))
reduce_max = _reduction(
    "ReduceMax",
    _axis_ref(extreme(np.max)),
    _shared,
    _lower_extremum("ReduceMax"),
    nonempty_keepdims,
    finite_on=(intervals.ANY,),
    range_of=lambda node, x: x,
    chosen=_below,
    kernel=ReductionForm("max"),
)
reduce_max_finite = _reduction(  # of finite numbers, which have no NaN to be put back
    "ReduceMaxFinite",
    _axis_ref(extreme(np.max)),
    _shared,
    _lower_reduction("ReduceMax"),
    nonempty_keepdims,
    finite_on=(intervals.ANY,),
    range_of=lambda node, x: x,
    chosen=_below,
    kernel=ReductionForm("max"),
)
reduce_min = _reduction(
    "ReduceMin",
    _axis_ref(extreme(np.min)),
    _shared,
    _lower_extremum("ReduceMin"),
    nonempty_keepdims,
    finite_on=(intervals.ANY,),
    range_of=lambda node, x: x,
    chosen=_above,
    kernel=ReductionForm("min"),
)


mean_of_some = _reduction(  # of at least one element: nothing has a mean of 0 in some engines
    "MeanOfSome",
    _added(np.mean),
    lambda ct, out, x, axes: (
        ct / cast(size_of(product(x.shape[axis] for axis in axes)), x.dtype),
    ),
    lambda b, node, x: lower_mean(b, x, node.args[0], node.attrs["axes"]),
    _float_keepdims,
    linear=True,
    range_of=lambda node, x: x,
    flat_if=(0,),
    kernel=Formula(_mean_formula),
)


def reduce_mean(x: Expr, axes: Sequence[int]) -> Expr:
    """The mean over axes; over nothing it is 0/0, which is NaN."""
    count = product(x.shape[axis] for axis in canonical_axes(axes, x.rank))
    return div(reduce_sum(x, axes), cast(size_of(count), x.dtype))


# --- norms --------------------------------------------------------------------------------


def _norm_ref(x: Array, axes: Axes) -> Array:
    squares = np.square(x.astype(np.longdouble))  # whose range holds every square
    return np.sqrt(np.sum(squares, axis=axes, keepdims=True)).astype(x.dtype)


def _norm_vjp(ct: Expr, out: Expr, x: Expr, *, axes: Axes) -> tuple[Expr]:
    """x/|x|, and 0 at the zero vector, where the norm has its kink."""
    at_zero = equal(out, 0.0)
    return (x * where(at_zero, 0.0, ct / where(at_zero, 1.0, out)),)


def _lower_norm(b: Any, node: Expr, x: str) -> str:
    """s*sqrt(sum((x/s)^2)) with s = max|x|: no square leaves the range of the dtype."""
    axes, dtype = node.attrs["axes"], node.dtype
    largest = b.reduce("ReduceMax", b.add("Abs", x), axes)
    zero, one = b.const(0, dtype), b.const(1, dtype)
    big = b.const(float(np.finfo(numpy_dtype(dtype)).max), dtype)
    ordinary = b.add("And", b.add("Greater", largest, zero), b.add("LessOrEqual", largest, big))
    scale = b.add("Where", ordinary, largest, one)
    scaled = b.add("Div", x, scale)
    total = _sum_over(b, node, b.add("Mul", scaled, scaled))
    return str(b.add("Mul", b.add("Sqrt", total), scale))


def _guarded_norm(b: Any, node: Expr, x: str) -> str:
    """The root of the sum of squares; scaled only where a sum is out of the ordinary."""
    dtype = node.dtype
    total = _sum_over(b, node, b.add("Mul", x, x))
    info = np.finfo(numpy_dtype(dtype))
    # A sum of squares above this lost nothing to squares that are subnormal.
    low, high = float(info.tiny) / float(info.eps) ** 2, float(info.max)
    ordinary = b.add(
        "And",
        b.add("Greater", total, b.const(low, dtype)),
        b.add("Less", total, b.const(high, dtype)),
    )
    others = b.add("Cast", b.add("Not", ordinary), to=b.dtype_code("int64"))
    count = b.reduce("ReduceSum", others, range(node.rank), keepdims=0)
    return str(
        b.choose(
            b.add("Equal", count, b.const(0, "int64")),
            node.type,
            lambda inner: inner.add("Sqrt", total),
            lambda inner: _lower_norm(inner, node, x),
        )
    )


norm = _reduction(
    "L2Norm",
    _norm_ref,
    _norm_vjp,
    _lower_norm,
    _float_keepdims,
    POSITIVE,
    variants={"guarded": _guarded_norm},
    range_of=lambda node, x: (0.0, x[1] if math.isinf(x[1]) else intervals.BIG),
    flat_if=(),
    kernel=Formula(_norm_formula),
)

# --- sums of logarithms -------------------------------------------------------------------


def _sum_log1p_exp_neg_abs_vjp(ct: Expr, out: Expr, x: Expr, *, axes: Axes) -> tuple[Expr]:
    return (ct * -sign(x) * sigmoid(-absolute(x)),)


def _lower_tail_sum(b: Any, node: Expr, x: str) -> str:
    tails = log1p_positive(b, node.dtype, exp_minus_abs(b, x))
    return _sum_over(b, node, tails)


_PIECES = 8


def _tail_sum_by_products(b: Any, node: Expr, x: str) -> str:
    """One logarithm of the product of eight elements 1+t, t = exp(-|x|), for eight of each.

    (1+p)(1+q) - 1 = p + q + pq has no term to cancel, so that small ones keep their digits.
    """
    axes, dtype, source = node.attrs["axes"], node.dtype, node.args[0]
    axis, terms = axes[-1], exp_minus_abs(b, x)
    length = source.shape[axis]
    each = floordiv(length, _PIECES)
    ends = [each * i for i in range(_PIECES + 1)]
    pieces = [b.cut(terms, axis, *pair) for pair in itertools.pairwise(ends)]
    while len(pieces) > 1:
        pieces = [
            b.add("Add", b.add("Add", p, q), b.add("Mul", p, q))
            for p, q in zip(pieces[::2], pieces[1::2], strict=True)
        ]

    def total_of(x: str, count: Dim) -> str:
        shape = [count if i == axis else dim for i, dim in enumerate(source.shape)]
        return lower_sum(b, log1p_positive(b, dtype, x), source, axes, shape)

    total = total_of(pieces[0], each)
    if ends[-1] == length:
        return str(total)
    rest = total_of(b.cut(terms, axis, ends[-1], length), length - ends[-1])
    return str(b.add("Add", total, rest))


sum_log1p_exp_neg_abs = _reduction(  # the sum of log1p(exp(-|x|))
    "SumLog1pExpNegAbs",
    lambda x, axes: np.sum(np.log1p(np.exp(-np.abs(x))), axis=axes, keepdims=True).astype(x.dtype),
    _sum_log1p_exp_neg_abs_vjp,
    _lower_tail_sum,
    _float_keepdims,
    POSITIVE,
    variants={"products": _tail_sum_by_products},
    stem="softplus_tail_sum",
    kernel=Formula(_tail_sum_formula),
)

# --- softmax and its logarithms -----------------------------------------------------------


def _stable_max(x: Array, axes: Axes) -> Array:
    big = np.finfo(x.dtype).max
    return np.clip(np.max(x, axis=axes, keepdims=True, initial=-big), -big, big)


def _logsumexp_ref(x: Array, axes: Axes) -> Array:
    top = _stable_max(x, axes)
    return top + np.log(np.sum(np.exp(x - top), axis=axes, keepdims=True))


def _softmax_ref(x: Array, axes: Axes) -> Array:
    e = np.exp(x - np.max(x, axis=axes, keepdims=True, initial=-np.inf))
    return e / np.sum(e, axis=axes, keepdims=True)


def _log_softmax_ref(x: Array, axes: Axes) -> Array:
    shifted = x - np.max(x, axis=axes, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.sum(np.exp(shifted), axis=axes, keepdims=True))


def _lower_logsumexp(b: Any, node: Expr, x: str) -> str:
    """m + log(sum(exp(x-m))), m the maximum, made finite inside so that -inf and inf come out."""
    axes, dtype = node.attrs["axes"], node.dtype
    big = float(np.finfo(numpy_dtype(dtype)).max)
    top = b.reduce("ReduceMax", x, axes)
    finite = b.add("Clip", top, b.const(-big, dtype), b.const(big, dtype))
    total = _sum_over(b, node, b.add("Exp", b.add("Sub", x, finite)))
    return str(b.add("Add", b.add("Log", total), top))


def _lower_softmax(b: Any, node: Expr, x: str) -> str:
    return _unless_long(b, node, x, "Softmax", _softmax_by_sums)


def _softmax_by_sums(b: Any, node: Expr, x: str) -> str:
    e = b.add("Exp", b.add("Sub", x, b.reduce("ReduceMax", x, node.attrs["axes"])))
    return str(b.add("Div", e, _sum_over(b, node, e)))


def _lower_log_softmax(b: Any, node: Expr, x: str) -> str:
    return _unless_long(b, node, x, "LogSoftmax", _portable_log_softmax)


def _portable_log_softmax(b: Any, node: Expr, x: str) -> str:
    """Of several axes, or where LogSoftmax may be the logarithm of a Softmax, which is of 0."""
    shifted = b.add("Sub", x, b.reduce("ReduceMax", x, node.attrs["axes"]))
    total = _sum_over(b, node, b.add("Exp", shifted))
    return str(b.add("Sub", shifted, b.add("Log", total)))


def _unless_long(b: Any, node: Expr, x: str, operator: str, by_sums: Callable[..., str]) -> str:
    """The engine's operator for rows that are not too long for its sums, and where it is right."""
    axes, dtype = node.attrs["axes"], node.dtype
    if len(axes) != 1 or not b.is_faithful(operator, dtype):
        return by_sums(b, node, x)
    length = node.shape[axes[0]]
    static = isinstance(length, int)
    short = b.long_sums is LongSums.NONE or (static and length <= LONG_SOFTMAX)
    if short or dtype != "float32":
        return str(b.add(operator, x, axis=axes[0]))
    if static:
        return by_sums(b, node, x)
    if not b.may_choose:
        return str(b.add(operator, x, axis=axes[0]))
    return str(
        b.choose(
            b.add("Greater", b.scalar_size(length), b.const(LONG_SOFTMAX, "int64")),
            node.type,
            lambda inner: by_sums(inner, node, x),
            lambda inner: inner.add(operator, x, axis=axes[0]),
        )
    )


def _float_same(x: TensorType, *, axes: Axes) -> TensorType:
    return float_only(x)


def _softmax_vjp(ct: Expr, out: Expr, x: Expr, *, axes: Axes) -> tuple[Expr]:
    return (out * (ct - reduce_sum(ct * out, axes)),)


def _log_softmax_vjp(ct: Expr, out: Expr, x: Expr, *, axes: Axes) -> tuple[Expr]:
    return (ct - exp(out) * reduce_sum(ct, axes),)


logsumexp = _reduction(
    "LogSumExp",
    _logsumexp_ref,
    # The softmax of x, not exp(x - out): at logits of 1e4 out has lost the digits that count.
    lambda ct, out, x, axes: (ct * softmax(x, axes),),
    _lower_logsumexp,
    _float_keepdims,
    kernel=Formula(_logsumexp_formula),
)
softmax: Reduction = _reduction(
    "Softmax",
    _softmax_ref,
    _softmax_vjp,
    _lower_softmax,
    _float_same,
    positive_if=(),
    nonnegative=True,
    range_of=lambda node, x: (0.0, 1.0),
    kernel=Formula(_softmax_formula),
)
log_softmax = _reduction(
    "LogSoftmax",
    _log_softmax_ref,
    _log_softmax_vjp,
    _lower_log_softmax,
    _float_same,
    portable=_portable_log_softmax,
    kernel=Formula(_log_softmax_formula),
)
