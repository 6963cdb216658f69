"""The rules that run after differentiation: the same values from fewer and cheaper operations."""

from __future__ import annotations

from ...ir import ops
from ...ir.dims import product
from ...ir.expr import const, scalar_value, variable
from ...ir.types import tensor_type
from ..rewrite import Rule, RuleSet
from .canonical import CANONICAL, OUTWARD, fold_constants
from .conditions import (
    both_numbers,
    broadcasts_to,
    one_index,
    spread_along,
)
from .examples import BOOL, INDEX, MINUS, ROW
from .joining import joined_pads
from .sigmoids import difference_as_tanh, difference_of_sigmoids

SIMPLIFY = RuleSet(
    "simplify",
    [
        *CANONICAL,
        *OUTWARD,
        Rule("x*1 = x", lambda o, x: x * 1, lambda o, x: x),
        Rule("x/1 = x", lambda o, x: x / 1, lambda o, x: x),
        Rule("x+0 = x", lambda o, x: x + 0, lambda o, x: x),
        Rule(
            "broadcast(0)+x = broadcast(x)",
            lambda o, a, x, *, shape: o.broadcast_to(a, shape) + x,
            lambda o, a, x, *, shape: o.broadcast_to(x, shape),
            lambda a, x, shape: scalar_value(a) == 0 and broadcasts_to(x.shape, shape),
            {"shape": (4, 5), "a": const(0.0), "x": ROW},
        ),
        Rule(
            "transpose(transpose(x)@y) = transpose(y)@x",
            lambda o, x, y, *, perm, inner: o.transpose(o.matmul(o.transpose(x, inner), y), perm),
            lambda o, x, y, *, perm, inner: o.matmul(o.transpose(y, inner), x),
            lambda x, y, perm, inner: perm == inner == (1, 0),  # of matrices, no stacks of them
            {"perm": (1, 0), "inner": (1, 0)},
        ),
        Rule("x-0 = x", lambda o, x: x - 0, lambda o, x: x),
        Rule("0-x = -x", lambda o, x: 0 - x, lambda o, x: -x),
        Rule("x*(-1) = -x", lambda o, x: x * -1, lambda o, x: -x),
        Rule("(-x)/y = -(x/y)", lambda o, x, y: -x / y, lambda o, x, y: -(x / y)),
        Rule(
            "sum(-x) = -sum(x)",
            lambda o, x, *, axes: o.reduce_sum(-x, axes),
            lambda o, x, *, axes: -o.reduce_sum(x, axes),
            example={"axes": (1,)},
        ),
        Rule("x-(-y) = x+y", lambda o, x, y: x - -y, lambda o, x, y: x + y),
        Rule("x+x = 2x", lambda o, x: x + x, lambda o, x: x * 2),
        Rule("-(x-y) = y-x", lambda o, x, y: -(x - y), lambda o, x, y: y - x),
        Rule("|-x| = |x|", lambda o, x: o.absolute(-x), lambda o, x: o.absolute(x)),
        Rule(
            "where(c, x, x) = x",
            lambda o, c, x: o.where(c, x, x),
            lambda o, c, x: x,
            example={"c": BOOL},
        ),
        Rule(
            "where(not c, x, y) = where(c, y, x)",
            lambda o, c, x, y: o.where(o.logical_not(c), x, y),
            lambda o, c, x, y: o.where(c, y, x),
            example={"c": BOOL},
        ),
        Rule(
            "(x*a)*b = x*(a*b), a and b numbers",
            lambda o, x, a, b: (x * a) * b,
            lambda o, x, a, b: x * const(scalar_value(a) * scalar_value(b), a.dtype),
            both_numbers,
            {"a": const(2.0), "b": const(-0.25)},
        ),
        Rule(
            "-(x*a) = x*(-a), a a number",
            lambda o, x, a: -(x * a),
            lambda o, x, a: x * const(-scalar_value(a), a.dtype),
            lambda x, a: scalar_value(a) is not None,
            {"a": const(2.0)},
        ),
        Rule(
            "sum(broadcast(a)) = a*n",
            lambda o, a, *, shape, axes: o.reduce_sum(o.broadcast_to(a, shape), axes),
            lambda o, a, *, shape, axes: o.broadcast_to(
                a * o.cast(o.size_of(product(shape[axis] for axis in axes)), a.dtype),
                [1 if axis in axes else dim for axis, dim in enumerate(shape)],
            ),
            lambda a, shape, axes: spread_along(a, shape, axes) and a.type.is_float,
            {"shape": (4, 5), "axes": (0,), "a": ROW},
        ),
        Rule(
            "take(broadcast(a)) = broadcast(a), a a number",
            lambda o, a, index, *, shape, axis: o.take(o.broadcast_to(a, shape), index, axis),
            lambda o, a, index, *, shape, axis: o.broadcast_to(
                o.reshape(a, ()), (*shape[:axis], *index.shape, *shape[axis + 1 :])
            ),
            lambda a, index, shape, axis: scalar_value(a) is not None,
            {"shape": (4, 5), "axis": 1, "a": const(1.0), "index": INDEX},
        ),
        Rule(
            "sum(x) = x over axes of length one",
            lambda o, x, *, axes: o.reduce_sum(x, axes),
            lambda o, x, *, axes: x,
            lambda x, axes: all(x.shape[axis] == 1 for axis in axes),
            {"x": ROW, "axes": (0,)},
        ),
        # the cotangent of a pick has one element a row, and that is its sum
        Rule(
            "sum(scatter_add(x)) = x",
            lambda o, x, index, *, axis, size, unique_indices, axes: o.reduce_sum(
                o.scatter_add(x, index, axis, size, unique_indices), axes
            ),
            lambda o, x, index, *, axis, size, unique_indices, axes: x,
            lambda x, index, axis, axes, **_: axes == (axis,) and one_index(index, axis),
            {
                "x": tensor_type("float64", (4, 1)),
                "index": INDEX,
                "axis": 1,
                "size": 5,
                "unique_indices": True,
                "axes": (1,),
            },
        ),
        # a second derivative of sigmoid, softplus or tanh, whose digits cancel near 0
        Rule(
            "a sigmoid(-x) - a sigmoid(x) = -a tanh(x/2)",
            lambda o, a, b, c, d: a * b - c * d,
            lambda o, a, b, c, d: difference_as_tanh(a, b, c, d),
            difference_of_sigmoids,
            {
                "b": ops.sigmoid(MINUS),
                "c": ops.sigmoid(MINUS.args[0]),
                "d": variable("a", MINUS.type),
            },
        ),
        # softplus as relu and a tail, which softplus(-x) shares, and which is added last
        Rule(
            "softplus(-x) = relu(-x) + tail(x)",
            lambda o, x: o.softplus(-x),
            lambda o, x: o.relu(-x) + o.log1p_exp_neg_abs(x),
        ),
        Rule(
            "softplus(x) = relu(x) + tail(x)",
            lambda o, x: o.softplus(x),
            lambda o, x: o.relu(x) + o.log1p_exp_neg_abs(x),
        ),
        Rule(
            "tail(-x) = tail(x)",
            lambda o, x: o.log1p_exp_neg_abs(-x),
            lambda o, x: o.log1p_exp_neg_abs(x),
        ),
        Rule(
            "tail(|x|) = tail(x)",
            lambda o, x: o.log1p_exp_neg_abs(o.absolute(x)),
            lambda o, x: o.log1p_exp_neg_abs(x),
        ),
        # products with logarithms, whose derivatives have been taken
        Rule(
            "xlogy(x, y) = masked(x, log(y))",
            lambda o, x, y: o.xlogy(x, y),
            lambda o, x, y: o.masked_mul(x, o.log(y)),
        ),
        Rule(
            "xlog1py(x, y) = masked(x, log1p(y))",
            lambda o, x, y: o.xlog1py(x, y),
            lambda o, x, y: o.masked_mul(x, o.log1p(y)),
        ),
        Rule(
            "masked(x, log(y)) z = masked(x z, log(y))",
            lambda o, x, y, z: o.masked_mul(x, o.log(y)) * z,
            lambda o, x, y, z: o.masked_mul(x * z, o.log(y)),
            lambda x, y, z: scalar_value(z) is None,
        ),
        # relu(x) - y*x, where both are infinite
        Rule(
            "relu(x) - masked(y, x) = masked(step(x) - y, x)",
            lambda o, x, y: o.relu(x) - o.masked_mul(y, x),
            lambda o, x, y: o.masked_mul(o.step(x) - y, x),
        ),
        Rule(
            "(relu(x) + tail(x)) - b = (relu(x) - b) + tail(x)",
            lambda o, x, b: (o.relu(x) + o.log1p_exp_neg_abs(x)) - b,
            lambda o, x, b: (o.relu(x) - b) + o.log1p_exp_neg_abs(x),
        ),
    ],
    fold_constants,
    lambda: joined_pads,
)
