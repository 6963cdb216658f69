"""Control flow of ``F.contrib``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir import ops
from ..ir.dims import Dim
from ..ir.expr import Expr
from ..passes.scan import scan
from .arguments import shown
from .symbol import Symbol, SymbolicSize, _dim_of, as_expr, promote, truth, wrap


def foreach(
    body: Callable[[Any, Any], tuple[Any, Any]],
    data: Any,
    init_states: Any,
    name: str | None = None,
) -> tuple[Any, Any]:
    """Run ``body(element, states) -> (outputs, states)`` over the first axis of ``data``.

    Args:
        body: what is done at each step; it may use symbols from outside.
        data: a symbol, or a list of them, of one length, which may be 0. Or a number of steps:
            the element is then its number, from 0 on, as one of ``F.arange``.
        init_states: a symbol, or lists of them; each keeps its type.
        name: MXNet's name of the operator, without meaning here.

    Returns:
        The outputs stacked along a new first axis, and the last states, single or in lists as
        the body's outputs and ``init_states`` are.
    """
    _require_functions("foreach", body=body)
    shape_of_outputs: list[Any] = []
    counted = isinstance(data, (int, np.integer, SymbolicSize)) and not isinstance(data, bool)
    try:
        read = [ops.iota(_steps(data))] if counted else _exprs(data)
    except InputError as error:
        raise InputError(f"F.contrib.foreach: data: {error}, or a number of steps") from None

    def step(states: list[Expr], elements: list[Expr]) -> tuple[list[Expr], list[Expr]]:
        # MXNet knows no rank 0: the elements of a vector have one element
        given = [e if e.rank else ops.reshape(e, (1,)) for e in elements]
        element = _number(given[0]) if counted else _like(data, given)
        result = body(element, _like(init_states, states))
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise InputError("F.contrib.foreach: the body returns (outputs, new states)")
        outputs, following = result
        shape_of_outputs.append(outputs)
        return _exprs(following), _exprs(outputs)

    last, stacked = scan(step, _states(init_states, [] if counted else read), read)
    return _like(shape_of_outputs[0], stacked), _like(init_states, last)


def _require_functions(owner: str, **functions: Any) -> None:
    for name, function in functions.items():
        if not callable(function):
            raise InputError(
                f"F.contrib.{owner}: {name}: expected a function, got {shown(function)}"
            )


def _steps(count: Any) -> Dim:
    steps = _dim_of(count)
    if isinstance(steps, int) and steps < 0:
        raise InputError(f"F.contrib.foreach: a number of steps is at least 0, got {steps}")
    return steps


def _number(index: Expr) -> Symbol:
    """An index that takes the dtype of what it meets."""
    return Symbol(ops.cast(index, "float64"), weak=True)


def while_loop(
    cond: Callable[..., Any],
    func: Callable[..., tuple[Any, Any]],
    loop_vars: Any,
    max_iterations: int | None = None,
    name: str | None = None,
) -> tuple[Any, Any]:
    """Run ``func(*loop_vars) -> (outputs, loop_vars)`` while ``cond(*loop_vars)`` is not zero.

    It is a scan of ``max_iterations`` steps, of which those after the last one change nothing:
    their outputs are 0 (MXNet leaves them undefined), and no gradient comes from them. They are
    computed all the same, from the first variables.

    Args:
        cond: whether to go on, one number.
        func: what is done at each step; it may use symbols from outside.
        loop_vars: a symbol, or a list of them; each keeps its type.
        max_iterations: the most steps that are taken. It has to be given.
        name: MXNet's name of the operator, without meaning here.

    Returns:
        The outputs stacked along a new first axis of length ``max_iterations``, and the last
        variables.
    """
    _require_functions("while_loop", cond=cond, func=func)
    if max_iterations is None:
        raise InputError("F.contrib.while_loop: max_iterations has to be given")
    first = _states(loop_vars, [])
    if not first:
        raise InputError("F.contrib.while_loop: loop_vars: expected at least one array")
    several = isinstance(loop_vars, (list, tuple))
    shape_of_outputs: list[Any] = []

    def call(function: Callable[..., Any], states: list[Expr]) -> Any:
        given = _like(loop_vars, states)
        return function(*given) if several else function(given)

    def step(states: list[Expr], _: list[Expr]) -> tuple[list[Expr], list[Expr]]:
        before, alive = states[:-1], states[-1]
        goes_on = ops.logical_and(alive, ops.reshape(_one_truth(call(cond, before)), (1,)))
        safe = [_chosen(goes_on, now, start) for now, start in zip(before, first, strict=True)]
        result = call(func, safe)
        if not isinstance(result, (tuple, list)) or len(result) != 2:
            raise InputError("F.contrib.while_loop: func returns (outputs, new loop_vars)")
        outputs, following = result
        shape_of_outputs.append(outputs)
        after = [
            _chosen(goes_on, new, old) for new, old in zip(_exprs(following), before, strict=True)
        ]
        kept = [_chosen(goes_on, out, ops.full(0, out.dtype, out.shape)) for out in _exprs(outputs)]
        return [*after, goes_on], kept

    alive = ops.full(True, "bool", (1,))
    last, stacked = scan(step, [*first, alive], [], length=_steps(max_iterations))
    return _like(shape_of_outputs[0], stacked), _like(loop_vars, last[:-1])


def _one_truth(value: Any) -> Expr:
    """Whether one number is not zero."""
    found = truth(value)
    if any(dim != 1 for dim in found.shape):
        raise InputError(f"a condition is one number, got {found.type}")
    return found


def _chosen(condition: Expr, x: Expr, y: Expr) -> Expr:
    """One of two arrays of a type, by one truth."""
    if x.type.dtype != y.type.dtype or x.rank != y.rank:
        raise InputError(f"what a condition chooses from has one type, got {x.type} and {y.type}")
    return ops.where(ops.reshape(condition, (1,) * x.rank), x, y)


def cond(
    pred: Any,
    then_func: Callable[[], Any],
    else_func: Callable[[], Any],
    name: str | None = None,
) -> Any:
    """``then_func()`` where ``pred`` is not zero, else ``else_func()``: one number decides.

    Both are computed, and the one that is not chosen has no gradient.

    Args:
        pred: one number.
        then_func: gives an array or a list of arrays, of symbols from outside.
        else_func: gives as many, of the same types.
        name: MXNet's name of the operator, without meaning here.
    """
    _require_functions("cond", then_func=then_func, else_func=else_func)
    chosen = _one_truth(pred)
    then, otherwise = then_func(), else_func()
    one, other = _exprs(then), _exprs(otherwise)
    if len(one) != len(other):
        raise InputError(f"F.contrib.cond: one branch has {len(one)} results, one {len(other)}")
    pairs = [promote(wrap(x), wrap(y))[0] for x, y in zip(one, other, strict=True)]
    return _like(then, [_chosen(chosen, x, y) for x, y in pairs])


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
