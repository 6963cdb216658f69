"""``F.contrib``: control flow, and what else MXNet keeps there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from ..errors import InputError
from ..ir import ops
from ..ir.expr import Expr
from ..passes.scan import scan
from .arguments import shown
from .resize import BilinearResize2D
from .symbol import Symbol, as_expr, checked, promote, wrap


def foreach(
    body: Callable[[Any, Any], tuple[Any, Any]],
    data: Any,
    init_states: Any,
    name: str | None = None,
) -> tuple[Any, Any]:
    """Run ``body(element, states) -> (outputs, states)`` over the first axis of ``data``.

    Args:
        body: what is done at each step; it may use symbols from outside.
        data: a symbol, or a list of them, of one length, which may be 0.
        init_states: a symbol, or lists of them; each keeps its type.
        name: MXNet's name of the operator, without meaning here.

    Returns:
        The outputs stacked along a new first axis, and the last states, single or in lists as
        the body's outputs and ``init_states`` are.
    """
    if not callable(body):
        raise InputError(f"F.contrib.foreach: body: expected a function, got {shown(body)}")
    shape_of_outputs: list[Any] = []
    read = _exprs(data)

    def step(states: list[Expr], elements: list[Expr]) -> tuple[list[Expr], list[Expr]]:
        # MXNet knows no rank 0: the elements of a vector have one element
        given = [e if e.rank else ops.reshape(e, (1,)) for e in elements]
        result = body(_like(data, given), _like(init_states, states))
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise InputError("F.contrib.foreach: the body returns (outputs, new states)")
        outputs, following = result
        shape_of_outputs.append(outputs)
        return _exprs(following), _exprs(outputs)

    last, stacked = scan(step, _states(init_states, read), read)
    return _like(shape_of_outputs[0], stacked), _like(init_states, last)


def _states(init_states: Any, data: Sequence[Expr]) -> list[Expr]:
    """The first states; zeros without a dtype of their own take that of all the others."""
    given = _flat(init_states)
    typed = [s for s in given if not (isinstance(s, Symbol) and s.weak)]
    floats = [wrap(x) for x in data if x.type.is_float]
    common = promote(*typed, *floats)[0][0].dtype if typed or floats else "float32"
    return [
        ops.cast(s.expr, common) if isinstance(s, Symbol) and s.weak else as_expr(s) for s in given
    ]


def _exprs(value: Any) -> list[Expr]:
    return [as_expr(part) for part in _flat(value)]


def _flat(value: Any) -> list[Any]:
    """The arrays in lists of lists."""
    if isinstance(value, (list, tuple)):
        return [part for item in value for part in _flat(item)]
    return [value]


def _like(value: Any, exprs: Sequence[Expr]) -> Any:
    """Symbols in the lists that ``value`` has."""
    left = iter(exprs)

    def build(part: Any) -> Any:
        nested = isinstance(part, (list, tuple))
        return [build(item) for item in part] if nested else wrap(next(left))

    return build(value)


contrib = SimpleNamespace(
    **{f.__name__: checked(f"F.contrib.{f.__name__}", f) for f in (BilinearResize2D, foreach)}
)
