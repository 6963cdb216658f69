"""The rules that run last: factors move to where there are fewer elements to multiply.

The cotangent of a mean is one number, that of a weighted loss one a row. After differentiation
they stand in products with whole arrays, several of them in a chain: here they meet first.
"""

from __future__ import annotations

from ...ir.expr import const, scalar_value
from ...ir.types import broadcast_shapes, tensor_type
from ..rewrite import Rule, RuleSet
from .canonical import CANONICAL, fold_constants
from .conditions import (
    constant_along,
    finite_weight,
    narrow_factor,
    narrow_factors,
    narrow_of_both,
    one_index,
    opposite_numbers,
    power_of_two,
)
from .examples import INDEX, ROW

_COLUMN = tensor_type("float64", (4, 1))
_ONE = tensor_type("float64", (1, 1))
_SAME = {"a": ROW}

NARROW = RuleSet(
    "narrow",
    [
        *CANONICAL,
        Rule("x*1 = x", lambda o, x: x * 1, lambda o, x: x),
        Rule(
            "a*(b*x) = (a*b)*x, a and b narrow",
            lambda o, a, b, x: a * (b * x),
            lambda o, a, b, x: (a * b) * x,
            narrow_factors,
            {"a": ROW, "b": _ONE},
        ),
        Rule(
            "-(a*x) = (-a)*x, a narrow",
            lambda o, a, x: -(a * x),
            lambda o, a, x: -a * x,
            narrow_factor,
            _SAME,
        ),
        Rule(
            "-((a*x)*y) = ((-a)*x)*y, a narrow",
            lambda o, a, x, y: -((a * x) * y),
            lambda o, a, x, y: (-a * x) * y,
            narrow_factor,
            _SAME,
        ),
        Rule(
            "a*(-x) = (-a)*x, a narrow",
            lambda o, a, x: a * -x,
            lambda o, a, x: -a * x,
            narrow_factor,
            _SAME,
        ),
        Rule(
            "a*(x/b) = (a/b)*x, a and b narrow",
            lambda o, a, b, x: a * (x / b),
            lambda o, a, b, x: (a / b) * x,
            narrow_factors,
            {"a": ROW, "b": _ONE},
        ),
        Rule(
            "x/b = x*(1/b), b a power of two",
            lambda o, x, b: x / b,
            lambda o, x, b: x * const(1 / scalar_value(b), b.dtype),
            power_of_two,
            {"b": const(4.0)},
        ),
        Rule(
            "a*x + a*y = a*(x+y), a narrow",
            lambda o, a, x, y: a * x + a * y,
            lambda o, a, x, y: a * (x + y),
            narrow_of_both,
            _SAME,
        ),
        Rule(
            "a*x - a*y = a*(x-y), a narrow",
            lambda o, a, x, y: a * x - a * y,
            lambda o, a, x, y: a * (x - y),
            narrow_of_both,
            _SAME,
        ),
        Rule(
            "a*x + (-a)*y = a*(x-y), a narrow",
            lambda o, a, x, y: a * x + -a * y,
            lambda o, a, x, y: a * (x - y),
            narrow_of_both,
            _SAME,
        ),
        Rule(
            "(a*b)*x + (a*c)*y = (a*b)*(x-y), a narrow, b = -c numbers",
            lambda o, a, b, c, x, y: (a * b) * x + (a * c) * y,
            lambda o, a, b, c, x, y: (a * b) * (x - y),
            opposite_numbers,
            {"a": ROW, "b": const(2.0), "c": const(-2.0)},
        ),
        Rule(
            "sum(a*x) = a*sum(x), a narrow and constant along the axes",
            lambda o, a, x, *, axes: o.reduce_sum(a * x, axes),
            lambda o, a, x, *, axes: a * o.reduce_sum(x, axes),
            constant_along,
            {"a": _COLUMN, "axes": (1,)},
        ),
        Rule(
            "a*broadcast(b) = broadcast(a*b), a and b narrow",
            lambda o, a, b, *, shape: a * o.broadcast_to(b, shape),
            lambda o, a, b, *, shape: o.broadcast_to(a * b, shape),
            lambda a, b, shape: (a * b).shape != shape == broadcast_shapes(a.shape, shape),
            {"a": _ONE, "b": ROW, "shape": (4, 5)},
        ),
        Rule(
            "scatter_add(a) + x = x with a added",
            lambda o, a, index, x, *, axis, size, unique_indices: (
                o.scatter_add(a, index, axis, size, unique_indices) + x
            ),
            lambda o, a, index, x, *, axis, size, unique_indices: o.add_at(x, a, index, axis),
            lambda a, index, x, axis, size, **_: (
                one_index(index, axis)
                and x.shape == (*index.shape[:axis], size, *index.shape[axis + 1 :])
            ),
            {"a": _COLUMN, "index": INDEX, "axis": 1, "size": 5, "unique_indices": True},
        ),
        Rule(
            "sum(tail(x)) = tail_sum(x)",
            lambda o, x, *, axes: o.reduce_sum(o.log1p_exp_neg_abs(x), axes),
            lambda o, x, *, axes: o.sum_log1p_exp_neg_abs(x, axes),
            example={"axes": (1,)},
        ),
        Rule(
            "sum(y + tail(x)) = sum(y) + tail_sum(x)",
            lambda o, x, y, *, axes: o.reduce_sum(y + o.log1p_exp_neg_abs(x), axes),
            lambda o, x, y, *, axes: o.reduce_sum(y, axes) + o.sum_log1p_exp_neg_abs(x, axes),
            lambda x, y, axes: x.shape == y.shape,
            {"axes": (1,)},
        ),
        Rule(
            "masked(w, a) = w*a, a finite",
            lambda o, w, a: o.masked_mul(w, a),
            lambda o, w, a: w * a,
            finite_weight,
            {"a": const(2.0)},
        ),
    ],
    fold_constants,
)
