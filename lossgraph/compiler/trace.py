"""Tracing: a loss's body run on symbols, once for a set of input types."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import symbolic
from ..errors import InputError
from ..ir import ops
from ..ir.dims import Dim
from ..ir.expr import Expr, inputs_of, is_input, toposort, variable
from ..ir.types import Constraint, TensorType
from ..passes.mixed_precision import HALF
from ..symbolic.symbol import Symbol, as_expr

Body = Callable[..., Any]


@dataclass(frozen=True)
class Traced:
    """What a body computes, as expressions.

    Attributes:
        inputs: the graph's inputs in the order of the arguments.
        values: what the body returned, as written: one, or several of a tuple.
        several: whether the body returned a tuple or a list.
        constraints: pairs of sizes that must be equal when the graph runs.
        labels: inputs that hold class labels, with the number of classes.
        derived: expressions of inputs that are class labels, likewise.
        constants: options of the call.
        aux: values by name that the body returned beside the value, of which no gradient is
            taken.
    """

    inputs: tuple[Expr, ...]
    values: tuple[Expr, ...]
    several: bool
    constraints: tuple[Constraint, ...]
    labels: tuple[tuple[str, Dim], ...]
    derived: tuple[tuple[Expr, Dim], ...] = ()
    constants: Mapping[str, Any] = field(default_factory=dict)
    aux: Mapping[str, Expr] = field(default_factory=dict)


def trace(body: Body, types: Mapping[str, TensorType], constants: Mapping[str, Any]) -> Traced:
    """Run ``body(F, **symbols, **constants)`` and take down what it returns.

    That is a value, a tuple of values, or ``(value, {name: output})``. Floating inputs are computed
    in the dtype of the first of them.

    Raises:
        InputError: for shapes and dtypes that do not fit, and for a result that is no array.
        SpecializationError: where the body needs the value of a named dim.
    """
    inputs = {name: variable(name, type_) for name, type_ in types.items()}
    result, aux = _value_and_aux(body(symbolic, **_arguments(inputs), **constants))
    several = isinstance(result, (tuple, list))
    values = list(result) if several else [result]
    if not values:
        raise InputError("the loss returned an empty tuple: it has to return an array")
    raw = [_output(value, types) for value in values]
    outputs = {name: _output(value, types) for name, value in aux.items()}
    return make_traced(tuple(inputs.values()), raw, several, constants, outputs)


def make_traced(
    inputs: Sequence[Expr],
    raw: Sequence[Expr],
    several: bool,
    constants: Mapping[str, Any],
    aux: Mapping[str, Expr] | None = None,
) -> Traced:
    """Expressions as they were written, with what they demand of sizes and labels."""
    written = [*raw, *(aux or {}).values()]
    return Traced(
        tuple(inputs),
        tuple(raw),
        several,
        _constraints(written),
        _labels(written),
        _derived_labels(written),
        dict(constants),
        dict(aux or {}),
    )


def _value_and_aux(result: Any) -> tuple[Any, Mapping[str, Any]]:
    """What a body returned, as the value and the auxiliary outputs by name."""
    pair = isinstance(result, (tuple, list)) and len(result) == 2
    if not (pair and isinstance(result[1], Mapping)):
        return result, {}
    for name in result[1]:
        if not (isinstance(name, str) and name.isidentifier()):
            raise InputError(f"an auxiliary output of a loss has a name like 'boxes', not {name!r}")
    return result[0], result[1]


def _arguments(inputs: Mapping[str, Expr]) -> dict[str, Symbol]:
    floats = [node.dtype for node in inputs.values() if node.type.is_float]
    first = floats[0] if floats else "float32"
    common = "float32" if first in HALF else first
    return {
        name: Symbol(ops.cast(node, common) if _is_cast(node) else node)
        for name, node in inputs.items()
    }


def _is_cast(node: Expr) -> bool:
    """Floats get the common dtype; so do truth values, which MXNet keeps as floats."""
    return node.type.is_float or node.dtype == "bool"


def _output(value: Any, types: Mapping[str, TensorType]) -> Expr:
    if not isinstance(value, (Symbol, int, float, np.ndarray, np.number)):
        raise InputError(f"a loss returns arrays, this one returned {type(value).__name__}")
    expr = as_expr(value)
    halves = [t.dtype for t in types.values() if t.is_float]
    if halves and halves[0] in HALF and expr.type.is_float:
        return ops.cast(expr, halves[0])
    return expr


def _constraints(roots: Sequence[Expr]) -> tuple[Constraint, ...]:
    demanded: dict[Constraint, None] = {}
    for node in toposort(roots):
        demanded.update(dict.fromkeys(sorted(node.constraints, key=str)))  # they have no order
        if node.op.has_body:
            demanded.update(dict.fromkeys(_constraints(node.attrs["body"].outputs)))
    return tuple(demanded)


def _derived_labels(roots: Sequence[Expr]) -> tuple[tuple[Expr, Dim], ...]:
    """Labels that are computed from inputs."""
    labels: dict[tuple[Expr, Dim], None] = {}
    for node in toposort(roots):
        if node.op is ops.class_index.op:
            label = _source(node.args[0])  # so that an error names an index that users know
            if inputs_of([label]) and not is_input(label):
                labels[(label, node.attrs["classes"])] = None
    return tuple(labels)


def _source(node: Expr) -> Expr:
    """What a label is before it is cast and shaped."""
    while node.op in (ops.cast.op, ops.reshape.op, ops.broadcast_to.op):
        node = node.args[0]
    return node


def _labels(roots: Sequence[Expr]) -> tuple[tuple[str, Dim], ...]:
    """Inputs whose elements become class indices as they are."""
    labels: dict[tuple[str, Dim], None] = {}
    for node in toposort(roots):
        if node.op is not ops.class_index.op:
            continue
        source = _source(node.args[0])
        if is_input(source):
            labels[(source.attrs["name"], node.attrs["classes"])] = None
    return tuple(labels)
