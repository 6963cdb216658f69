"""A recurrence in a program: its body as arrays over steps, its states as arrays with one more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from ..ir.expr import Expr, toposort
from .values import Buffer


class Recurrence:
    """A scan, of whose body each node is an array with the steps as its first axis.

    Attributes:
        node: the scan.
        length: the number of steps.
        kept: where each state is kept: at t what step t begins with, at the end the last.
    """

    def __init__(self, node: Expr) -> None:
        self.node, self.length = node, node.attrs["length"]
        self.kept: list[Buffer] = []
        self._body = node.attrs["body"]
        self._places = {variable: i for i, variable in enumerate(self._body.inputs)}

    @property
    def states(self) -> Sequence[Expr]:
        """The variables of the states."""
        count: int = self.node.attrs["num_carry"]
        return self._body.inputs[:count]

    @property
    def outputs(self) -> Sequence[Expr]:
        """What a step computes: the states that follow, then what it puts out."""
        outputs: Sequence[Expr] = self._body.outputs
        return outputs

    @cached_property
    def nodes(self) -> list[Expr]:
        """The nodes of the body that differ from step to step or belong to it, in order."""
        found = set(self._body.inputs)
        for node in toposort(self.outputs):
            if any(arg in found for arg in node.args):
                found.add(node)
        inside = [node for node in toposort(self.outputs) if node in found]
        return [*(v for v in self._body.inputs if v not in inside), *inside]

    @cached_property
    def following(self) -> Mapping[Expr, int]:
        """The nodes that are states of the next step, and which."""
        count = len(self.states)
        found = {node: i for i, node in reversed(list(enumerate(self.outputs[:count])))}
        return {node: i for node, i in found.items() if node.args and node in set(self.nodes)}

    def place(self, variable: Expr) -> int:
        """The place of a variable among them, and of what it stands for among the arguments."""
        return self._places[variable]

    def is_read(self, place: int) -> bool:
        """Whether it is read step by step, along the first axis of its argument."""
        states = len(self.states)
        return states <= place < states + int(self.node.attrs["num_xs"])

    def put_out(self) -> list[Expr]:
        """The nodes whose elements of all steps are asked for, and are not kept as states."""
        inside = set(self.nodes)
        made = dict.fromkeys(self.outputs[len(self.states) :])
        return [n for n in made if n.args and n in inside and n not in self.following]
