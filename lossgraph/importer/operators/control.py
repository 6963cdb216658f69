"""Graphs inside nodes: a choice between two, and loops.

What is read of a graph inside has the values around it as captures. A loop whose number of steps
is known before it begins is a scan; another one is a loop that ends by a condition. Where a graph
gives what no operation takes, as sequences, or states that change their shape, the node is kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx

from ...ir import ops
from ...ir.dims import Dim
from ...ir.expr import Body, Expr, const, foreign_variable, is_literal, toposort, variable
from ...ir.types import OpaqueType, TensorType, canonical_axis, unify
from ...passes.bodies import deeper, local_dims, mentioned
from ...passes.branches import cond
from ...passes.scan import applied
from ...passes.while_loop import while_applied
from ..node import Node
from ..opaque_nodes import captured
from ..translations import NotTranslatedError, translates
from .sequences import appending, is_empty, split

_NUMBER = TensorType("int64", ())
_TRUE = const(True, "bool")


# --- If ----------------------------------------------------------------------------------------


@translates("If")
def _if(node: Node) -> list[Expr]:
    condition = ops.reshape(node[0], ())
    graphs = [node.attributes["then_branch"], node.attributes["else_branch"]]
    known = node.known.elements(condition)
    if known is not None and isinstance(known.item(), bool):
        return node.around.graph(graphs[0 if known.item() else 1], [])
    outside = _outside(node, graphs)
    with deeper() as depth:
        names = [f"_captured{depth}_{i}" for i in range(len(outside))]
        inside = {
            name: foreign_variable(own, value.type)
            for own, (name, value) in zip(names, outside.items(), strict=True)
        }
        results = [node.around.graph(graph, [], inside) for graph in graphs]
    _require_tensors(node, [value for each in results for value in each])
    body = Body(tuple(inside.values()), (*results[0], *results[1]), depth)
    return cond(condition, list(outside.values()), body, node.new_dim)


def _outside(node: Node, graphs: Sequence[onnx.GraphProto]) -> dict[str, Expr]:
    """What graphs read of the values around them, but for what is known of shapes."""
    names = dict.fromkeys(name for graph in graphs for name in captured(graph))
    values = {name: node.around.value(name) for name in names}
    return {
        name: value
        for name, value in values.items()
        if isinstance(value.type, OpaqueType) or node.known.elements(value) is None
    }


def _require_tensors(node: Node, values: Sequence[Expr]) -> None:
    for value in values:
        if isinstance(value.type, OpaqueType):
            made = node.around.labelled(value)
            raise NotTranslatedError(f"{made} in it gives no tensor of a known rank")


# --- loops ---------------------------------------------------------------------------------------


@translates("Loop", any_values=True)
def _loop(node: Node) -> list[Expr]:
    """Sequences that it appends to are read as what it puts out."""
    init = [node[place] for place in range(2, len(node.inputs))]
    lists = [place for place, x in enumerate(init) if isinstance(x.type, OpaqueType)]
    if not lists:
        return _loop_of_tensors(node, init, node.attributes["body"])
    if not all(is_empty(init[place]) for place in lists):
        raise NotTranslatedError("it has sequences that are not empty when it begins")
    states = [x for place, x in enumerate(init) if place not in lists]
    made = _loop_of_tensors(node, states, appending(node.attributes["body"], lists))
    kept, stacks = made[: len(made) - len(lists)], made[len(made) - len(lists) :]
    for place, stacked in zip(lists, stacks, strict=True):
        kept.insert(place, split(node, stacked))
    return kept


def _loop_of_tensors(node: Node, init: Sequence[Expr], graph: onnx.GraphProto) -> list[Expr]:
    limit, start = node.optional(0), node.optional(1)
    with deeper() as depth:
        number = variable(f"_number{depth}", _NUMBER)
        carry = [variable(f"_carry{depth}_{i}", x.type) for i, x in enumerate(init)]
        again, *results = node.around.graph(graph, [number, _TRUE, *carry])
    _require_states(node, carry, results)
    goes_on = _TRUE if start is None else ops.reshape(start, ())
    again = ops.reshape(again, ())
    if limit is not None and _is_true(goes_on) and _is_true(again):
        count, numbers = _counted(node, ops.reshape(ops.cast(limit, "int64"), ()))
        args = [*init, numbers]
        items = applied(results, carry, [number], args, depth, count)
        return [item for place, item in enumerate(items) if place < len(results)]
    return _until(node, (goes_on, again, limit), number, carry, init, results, depth)


def _is_true(condition: Expr) -> bool:
    return is_literal(condition) and bool(condition.attrs["value"])


def _require_states(node: Node, carry: Sequence[Expr], results: Sequence[Expr]) -> None:
    """A state has one type in all steps, and what is stacked one shape."""
    _require_tensors(node, results)
    for before, after in zip(carry, results, strict=False):
        if before.dtype != after.dtype or before.rank != after.rank:
            raise NotTranslatedError(f"a state changes from {before.type} to {after.type}")
        for one, other in zip(before.shape, after.shape, strict=True):
            if one != other:
                unify(one, other)  # names are found to be one, and the model is read again
                raise NotTranslatedError(f"a state changes from {before.type} to {after.type}")
    local = local_dims(toposort(results))
    if any(not local.isdisjoint(mentioned(value)) for value in results):
        raise NotTranslatedError("what it puts out has a length that is known in a step alone")


def _counted(node: Node, limit: Expr) -> tuple[Dim, Expr]:
    """A number of steps as a dim, and the numbers of the steps."""
    known = node.known.elements(limit)
    if known is not None:
        count = known.item()
        count = max(count, 0) if isinstance(count, int) else count
        return count, ops.iota(count)
    bound = ops.maximum(limit, const(0, "int64"))
    (numbers,) = node.native("Range", const(0, "int64"), bound, const(1, "int64"))
    return numbers.shape[0], numbers


def _until(
    node: Node,
    conditions: tuple[Expr, Expr, Expr | None],
    number: Expr,
    carry: Sequence[Expr],
    init: Sequence[Expr],
    results: Sequence[Expr],
    depth: int,
) -> list[Expr]:
    """A loop that ends by a condition, of which a limit is a part: it carries its number too."""
    goes_on, again, limit = conditions
    following = ops.add(number, const(1, "int64"))
    if limit is not None:
        limit = ops.reshape(ops.cast(limit, "int64"), ())
        goes_on = ops.logical_and(goes_on, ops.less(const(0, "int64"), limit))
        again = ops.logical_and(again, ops.less(following, limit))
    flag = variable(f"_goes_on{depth}", TensorType("bool", ()))
    items = while_applied(
        [again, following, *results],
        [flag, number, *carry],
        [goes_on, const(0, "int64"), *init],
        depth,
        node.new_dim(len(init), 0)[1],
    )
    return items[2:]


@translates("Scan", since=9)
def _scan(node: Node) -> list[Expr]:
    read = node.attributes["num_scan_inputs"]
    states = len(node.inputs) - read
    init = [node[place] for place in range(states)]
    xs = [
        _in_front(node[states + i], axis, backwards)
        for i, (axis, backwards) in enumerate(
            zip(_each(node, "scan_input_axes", read), _each(node, "scan_input_directions", read),
                strict=True)
        )
    ]  # fmt: skip
    length = xs[0].shape[0]
    for x in xs[1:]:
        length = unify(length, x.shape[0])
    with deeper() as depth:
        carry = [variable(f"_carry{depth}_{i}", x.type) for i, x in enumerate(init)]
        elements = [
            variable(f"_x{depth}_{i}", x.type.with_shape(x.shape[1:])) for i, x in enumerate(xs)
        ]
        results = node.around.graph(node.attributes["body"], [*carry, *elements])
    _require_states(node, carry, results)
    items = applied(results, carry, elements, [*init, *xs], depth, length)
    outputs = items[states : len(results)]
    axes = _each(node, "scan_output_axes", len(outputs))
    directions = _each(node, "scan_output_directions", len(outputs))
    return [
        *items[:states],
        *(
            _put_back(x, axis, turned)
            for x, axis, turned in zip(outputs, axes, directions, strict=True)
        ),
    ]


def _each(node: Node, name: str, count: int) -> list[int]:
    return list(node.attribute(name, [0] * count))


def _in_front(x: Expr, axis: int, backwards: int) -> Expr:
    """A sequence whose steps are along its first axis, in their order."""
    axis = canonical_axis(axis, x.rank)
    x = ops.transpose(x, [axis, *(k for k in range(x.rank) if k != axis)])
    return ops.flip(x, (0,)) if backwards else x


def _put_back(x: Expr, axis: int, backwards: int) -> Expr:
    x = ops.flip(x, (0,)) if backwards else x
    axis = canonical_axis(axis, x.rank)
    others = list(range(1, x.rank))
    return ops.transpose(x, [*others[:axis], 0, *others[axis:]])
