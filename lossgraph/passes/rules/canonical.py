"""Rules that both tables share, and the folding of constants."""

from __future__ import annotations

from ...ir.batching import pointwise
from ...ir.dims import Dim, Size, product
from ...ir.evaluate import evaluate
from ...ir.expr import Expr, Movement, const, is_literal, scalar_value
from ...ir.ops import broadcast_to
from ...ir.types import TupleType, tensor_type
from ..rewrite import Rule
from .examples import BOOL, ROW, WIDE

_UNARY = (
    "absolute", "ceil", "erf", "exp", "expm1", "floor", "log", "log1p", "neg", "relu", "rint",
    "sigmoid", "sign", "softplus", "log1p_exp_neg_abs", "sqrt", "step", "tanh",
)  # fmt: skip
_BINARY = (
    "add", "div", "equal", "greater", "greater_equal", "less", "less_equal", "masked_mul",
    "maximum", "minimum", "mod", "mul", "power", "sub",
)  # fmt: skip


def _unary_of_broadcast(name: str) -> Rule:
    return Rule(
        f"{name}(broadcast(a)) = broadcast({name}(a))",
        lambda o, a, *, shape: getattr(o, name)(o.broadcast_to(a, shape)),
        lambda o, a, *, shape: o.broadcast_to(getattr(o, name)(a), shape),
        example=WIDE,
    )


def _implied_broadcast(name: str) -> list[Rule]:
    return [
        Rule(
            f"{name}(broadcast(a), b) = {name}(a, b)",
            lambda o, a, b, *, shape: getattr(o, name)(o.broadcast_to(a, shape), b),
            lambda o, a, b, *, shape: getattr(o, name)(a, b),
            example=WIDE,
        ),
        Rule(
            f"{name}(b, broadcast(a)) = {name}(b, a)",
            lambda o, a, b, *, shape: getattr(o, name)(b, o.broadcast_to(a, shape)),
            lambda o, a, b, *, shape: getattr(o, name)(b, a),
            example=WIDE,
        ),
    ]


def fold_constants(node: Expr) -> Expr | None:
    """A small operation on literals, or one on a number however wide, computed now."""
    several = node.dtype == "tuple"  # results that one literal cannot hold
    if not node.args or several or node.op.has_body or node.op.movement is Movement.BROADCAST:
        return None
    if isinstance(node.type, TupleType):  # its results are folded, if there is a reference
        return None
    if _has_sizes(node):
        return None
    sizes = [node.shape, *(arg.shape for arg in node.args)]
    if all(is_literal(arg) for arg in node.args) and not any(_is_large(shape) for shape in sizes):
        return const(evaluate([node], {})[0], node.dtype)
    numbers = [scalar_value(arg) for arg in node.args]
    if node.op.batching is not pointwise or any(number is None for number in numbers):
        return None
    one = node.op(
        *(const(n, a.dtype) for n, a in zip(numbers, node.args, strict=True)), **node.attrs
    )
    return broadcast_to(const(evaluate([one], {})[0], node.dtype), node.shape)


def _has_sizes(node: Expr) -> bool:
    """Whether what it computes depends on the value of a named dim, as a slice from one on does."""
    values = node.attrs.values()
    listed = (item for value in values for item in (value if isinstance(value, tuple) else [value]))
    return any(isinstance(item, Size) for item in listed)


def _is_large(shape: tuple[Dim, ...]) -> bool:
    count = product(shape)
    return not isinstance(count, int) or count > 64


CANONICAL = [
    Rule("-(-x) = x", lambda o, x: -(-x), lambda o, x: x),
    Rule("x+(-y) = x-y", lambda o, x, y: x + -y, lambda o, x, y: x - y),
    Rule(
        "reshape(reshape(x)) = reshape(x)",
        lambda o, x, *, shape, inner: o.reshape(o.reshape(x, inner), shape),
        lambda o, x, *, shape, inner: o.reshape(x, shape),
        example={"shape": (2, 10), "inner": (20,)},
    ),
    Rule(
        "broadcast(broadcast(x)) = broadcast(x)",
        lambda o, a, *, shape, inner: o.broadcast_to(o.broadcast_to(a, inner), shape),
        lambda o, a, *, shape, inner: o.broadcast_to(a, shape),
        example={"shape": (3, 4, 5), "inner": (4, 5), "a": ROW},
    ),
    Rule(
        "reshape(broadcast(number)) = broadcast(number)",
        lambda o, a, *, shape, inner: o.reshape(o.broadcast_to(a, inner), shape),
        lambda o, a, *, shape, inner: o.broadcast_to(o.reshape(a, ()), shape),
        lambda a, shape, inner: all(dim == 1 for dim in a.shape),
        {"shape": (20,), "inner": (4, 5), "a": tensor_type("float64", (1,))},
    ),
    Rule(
        "slice(slice(x)) = slice(x)",
        lambda o, x, *, starts, steps, sizes, begins, strides, lengths: o.slice_(
            o.slice_(x, begins, strides, lengths), starts, steps, sizes
        ),
        lambda o, x, *, starts, steps, sizes, begins, strides, lengths: o.slice_(
            x,
            [b + s * start for b, s, start in zip(begins, strides, starts, strict=True)],
            [s * step for s, step in zip(strides, steps, strict=True)],
            sizes,
        ),
        example={
            "begins": (3, 0),
            "strides": (-1, 2),
            "lengths": (4, 3),
            "starts": (1, 2),
            "steps": (1, -1),
            "sizes": (2, 2),
        },
    ),
    Rule(
        "cast(broadcast(a)) = broadcast(cast(a))",
        lambda o, a, *, shape, to: o.cast(o.broadcast_to(a, shape), to),
        lambda o, a, *, shape, to: o.broadcast_to(o.cast(a, to), shape),
        example={**WIDE, "to": "float32"},
    ),
    Rule(
        "transpose(transpose(x)) = transpose(x)",
        lambda o, x, *, perm, inner: o.transpose(o.transpose(x, inner), perm),
        lambda o, x, *, perm, inner: o.transpose(x, [inner[axis] for axis in perm]),
        example={"perm": (1, 0), "inner": (1, 0)},
    ),
    Rule(
        "where(broadcast(a), x, y) = where(a, x, y)",
        lambda o, a, x, y, *, shape: o.where(o.broadcast_to(a, shape), x, y),
        lambda o, a, x, y, *, shape: o.where(a, x, y),
        example={"shape": (4, 5), "a": tensor_type("bool", (1, 5))},
    ),
    Rule(
        "where(c, broadcast(a), y) = where(c, a, y)",
        lambda o, c, a, y, *, shape: o.where(c, o.broadcast_to(a, shape), y),
        lambda o, c, a, y, *, shape: o.where(c, a, y),
        example={**WIDE, "c": BOOL},
    ),
    Rule(
        "where(c, x, broadcast(a)) = where(c, x, a)",
        lambda o, c, x, a, *, shape: o.where(c, x, o.broadcast_to(a, shape)),
        lambda o, c, x, a, *, shape: o.where(c, x, a),
        example={**WIDE, "c": BOOL},
    ),
    *(rule for name in _BINARY for rule in _implied_broadcast(name)),
    *(_unary_of_broadcast(name) for name in _UNARY),
]

OUTWARD = [
    Rule("(-x)*y = -(x*y)", lambda o, x, y: -x * y, lambda o, x, y: -(x * y)),
]
