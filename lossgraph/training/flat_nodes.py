"""The nodes of a model in one list: bodies of functions and graphs inside nodes in their places.

Names inside get a prefix, so that each is one value; what enters and leaves a body goes by
``Identity``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import onnx

from ..models.walk import STANDARD

_LOOP_OWN = 2  # inputs of Loop before the values that it carries: trip count and condition
_MOST_CALLS = 10_000


@dataclass(frozen=True)
class FlatNode:
    """A node with the names that its values have in the whole model."""

    operator: str
    domain: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    label: str


@dataclass
class _Flattener:
    functions: Mapping[tuple[str, str, str], onnx.FunctionProto]
    made: list[FlatNode] = field(default_factory=list)
    bodies: int = 0

    def add(self, nodes: Iterable[onnx.NodeProto], name_of: Callable[[str], str]) -> None:
        for node in nodes:
            inputs = tuple(name_of(name) for name in node.input)
            outputs = tuple(name_of(name) for name in node.output)
            function = self.functions.get((node.domain, node.op_type, node.overload))
            if function is not None and self.bodies < _MOST_CALLS:
                self._call(function, inputs, outputs)
                continue
            domain = "" if node.domain in STANDARD else node.domain
            label = f"{node.op_type} (node {(node.name or ''.join(node.output[:1]))!r})"
            self.made.append(FlatNode(node.op_type, domain, inputs, outputs, label))
            for attribute in node.attribute:
                for graph in [
                    *([attribute.g] if attribute.HasField("g") else []),
                    *attribute.graphs,
                ]:
                    self._graph(node.op_type, graph, inputs, outputs, name_of)

    def _call(
        self, function: onnx.FunctionProto, inputs: Sequence[str], outputs: Sequence[str]
    ) -> None:
        names = dict(zip(function.output, outputs, strict=False))
        names |= dict(zip(function.input, inputs, strict=False))
        prefix = self._prefix()
        self.add(function.node, lambda name: names.get(name, name and prefix + name))
        for own, given in zip(function.output, outputs, strict=False):
            if names[own] != given:  # an input that is an output too
                self._same(names[own], given)

    def _graph(
        self,
        operator: str,
        graph: onnx.GraphProto,
        inputs: Sequence[str],
        outputs: Sequence[str],
        name_of: Callable[[str], str],
    ) -> None:
        prefix = self._prefix()
        own = {info.name for info in graph.input} | {t.name for t in graph.initializer}
        own |= {name for node in graph.node for name in node.output}

        def inside(name: str) -> str:
            return prefix + name if name in own else name_of(name)

        entering = inputs if operator == "Scan" else inputs[_LOOP_OWN:]
        formal = graph.input if operator == "Scan" else graph.input[_LOOP_OWN:]
        leaving = graph.output[1:] if operator == "Loop" else graph.output
        for name, info in zip(entering, formal, strict=False):
            self._same(name, inside(info.name))
        self.add(graph.node, inside)
        for info, name in zip(leaving, outputs, strict=False):
            self._same(inside(info.name), name)

    def _same(self, value: str, name: str) -> None:
        if value and name:
            self.made.append(FlatNode("Identity", "", (value,), (name,), ""))

    def _prefix(self) -> str:
        self.bodies += 1
        return f"\0{self.bodies}/"


def flat_nodes(model: onnx.ModelProto) -> list[FlatNode]:
    """All nodes that run when a model runs."""
    functions = {(f.domain, f.name, f.overload): f for f in model.functions}
    flattener = _Flattener(functions)
    flattener.add(model.graph.node, lambda name: name)
    return flattener.made
