"""Loops that end by a condition: how many steps they take is known when they have run.

A body is applied to states, of which the first says whether it is applied again. What each step
puts out is stacked along an axis whose length the loop defines; backwards it is that of a scan.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import InputError
from ..ir.dims import Dim, Size
from ..ir.expr import Array, Body, Expr, Op, register
from ..ir.ops.item import item, results_of
from ..ir.types import TensorType, TupleType
from .bodies import hoisted
from .scan import joined, loop_infer, loop_vjp, stepped


def _infer(*types: TensorType, body: Body, num_carry: int, num_xs: int, length: Dim) -> TupleType:
    if not num_carry or types[0] != TensorType("bool", ()) or num_xs:
        raise InputError("the first state of a loop says whether it goes on")
    return loop_infer(*types, body=body, num_carry=num_carry, num_xs=0, length=length)


def _ref(*arrays: Array, body: Body, num_carry: int, num_xs: int, length: Dim) -> tuple[Array, ...]:
    current = list(arrays[:num_carry])
    stacks: list[list[Array]] = [[] for _ in body.outputs[num_carry:]]
    while current[0]:
        current = stepped(body, [*current, *arrays[num_carry:]], stacks)
    return (*current, *joined(stacks, body.outputs[num_carry:]))


def _defined(node: Expr) -> dict[str, tuple[Expr, int]]:
    """The length, by the first stack; without one nobody asks."""
    length, states = node.attrs["length"], node.attrs["num_carry"]
    if not isinstance(length, Size) or length.name is None or len(node.type.items) == states:
        return {}
    return {length.name: (item(node, states), 0)}


_WHILE: Op = register(
    Op(
        "While",
        _infer,
        _ref,
        loop_vjp,
        lambda b, node, *names: b.while_loop(node, names),
        defines=_defined,
    )
)


def while_applied(
    results: Sequence[Expr], carry: Sequence[Expr], init: Sequence[Expr], depth: int, length: Dim
) -> list[Expr]:
    """The results of a loop whose step has been computed.

    Args:
        results: the states after a step, of which the first is whether there is another one, and
            what the step puts out.
        carry: the variables of the states before it.
        init: the states to begin with.
        depth: that of the variables.
        length: a new dim for the number of steps.
    """
    outputs, consts = hoisted(results, carry, depth)
    node = _WHILE(
        *init,
        *consts.values(),
        body=Body((*carry, *consts), tuple(outputs), depth),
        num_carry=len(carry),
        num_xs=0,
        length=length,
    )
    return results_of(node)
