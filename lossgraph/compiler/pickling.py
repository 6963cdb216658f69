"""Programs as plain data: what ``pickle`` and ``copy`` get.

Expressions are interned, their operations hold functions, and a graph is deeper than Python's
stack. So the nodes go as a list, arguments before users, that names operations and numbers
arguments; they are built again on the other side, where equal ones are interned as always.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..ir.expr import Body, Expr, Op, const, is_input, registered, toposort, variable
from ..ir.types import TensorType

# The operations of nodes that no call of an operation makes.
_CONST = const(0).op
_INPUT = variable("x", TensorType("float32", ())).op


@dataclass(frozen=True)
class PlainNode:
    """One node: its operation by name, its arguments by number, its attributes."""

    op: str
    args: tuple[int, ...]
    attrs: Mapping[str, Any]


@dataclass(frozen=True)
class PlainGraph:
    """Expressions without expressions: all nodes, and the numbers of the roots."""

    nodes: tuple[PlainNode, ...]
    roots: tuple[int, ...]


@dataclass(frozen=True)
class _PlainBody:
    graph: PlainGraph
    inputs: int
    depth: int


def flatten(roots: Sequence[Expr]) -> PlainGraph:
    """Expressions as plain data."""
    numbers = {node: number for number, node in enumerate(toposort(roots))}
    return PlainGraph(
        tuple(_plain(node, numbers) for node in numbers), tuple(numbers[root] for root in roots)
    )


def restore(graph: PlainGraph) -> list[Expr]:
    """The expressions of plain data."""
    made: list[Expr] = []
    ops = registered()
    for node in graph.nodes:
        made.append(_built(ops[node.op], node.attrs, [made[number] for number in node.args]))
    return [made[number] for number in graph.roots]


def _plain(node: Expr, numbers: Mapping[Expr, int]) -> PlainNode:
    attrs = {key: _without_body(value) for key, value in node.attrs.items()}
    if is_input(node):
        attrs["type"] = node.type
    return PlainNode(node.op.name, tuple(numbers[arg] for arg in node.args), attrs)


def _built(op: Op, plain: Mapping[str, Any], args: Sequence[Expr]) -> Expr:
    attrs = {key: _with_body(value) for key, value in plain.items()}
    if op is _INPUT:
        return variable(attrs["name"], attrs["type"])
    if op is _CONST:
        return const(attrs["value"])
    return op(*args, **attrs)


def _without_body(value: Any) -> Any:
    if not isinstance(value, Body):
        return value
    return _PlainBody(flatten([*value.inputs, *value.outputs]), len(value.inputs), value.depth)


def _with_body(value: Any) -> Any:
    if not isinstance(value, _PlainBody):
        return value
    made = restore(value.graph)
    return Body(tuple(made[: value.inputs]), tuple(made[value.inputs :]), value.depth)
