"""The rules for graphs whose inputs all have elements, as is known where one is run."""

from __future__ import annotations

from ...ir.dims import named, plain_sizes, product
from ...ir.expr import Expr
from ...ir.types import tensor_type
from ..rewrite import Rule, RuleSet
from .conditions import constant_along
from .narrow import NARROW


def _is_their_number(x: Expr, axes: tuple[int, ...], n: object, **_: object) -> bool:
    lengths = [x.shape[axis] for axis in axes]
    return bool(product(lengths) == n) and plain_sizes(lengths)


_EXAMPLE = {
    "axes": (1,), "n": named("C"), "to": "float64", "x": tensor_type("float64", (4, "C")),
}  # fmt: skip

NONEMPTY = RuleSet(
    "nonempty",
    [
        Rule(
            "sum(x)/n = mean(x), n the number of elements",
            lambda o, x, *, axes, n, to: o.reduce_sum(x, axes) / o.cast(o.size_of(n), to),
            lambda o, x, *, axes, n, to: o.mean_of_some(x, axes),
            _is_their_number,
            _EXAMPLE,
        ),
        Rule(
            "(a*sum(x))/n = a*mean(x), n the number of elements",
            lambda o, a, x, *, axes, n, to: (a * o.reduce_sum(x, axes)) / o.cast(o.size_of(n), to),
            lambda o, a, x, *, axes, n, to: a * o.mean_of_some(x, axes),
            lambda a, x, axes, n, to: _is_their_number(x, axes, n) and constant_along(a, x, axes),
            {**_EXAMPLE, "a": tensor_type("float64", (4, 1))},
        ),
        *NARROW.rules,
    ],
    NARROW.fold,
)
