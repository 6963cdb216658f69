"""The builder of ONNX nodes and initializers, each made once, and what of them a graph needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from ..ir.ops.sums import LongSums
from ..ir.types import TensorType, numpy_dtype
from ..passes.costs import Target
from .kernels import is_faithful
from .names import Names
from .onnx_api import helper, numpy_helper, onnx, value_info


class NodeBuilder:
    """Collects the nodes of a graph; one inside another shares its names, and may read it."""

    def __init__(
        self, inputs: Iterable[str], opset: int, target: Target, outer: Self | None = None
    ) -> None:
        self.opset = opset
        self._target = target
        self._outer = outer
        self._reads_outside = not target.portable  # what a graph around it has made
        self._captured: dict[str, tuple[str, TensorType]] = {}
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[tuple[Any, ...], onnx.TensorProto] = {}
        self._memo: dict[tuple[Any, ...], list[str]] = {}
        self._names: Names = outer._names if outer else Names(inputs)
        self._stem = "size"  # of the names of values that are added
        self.domains: dict[str, int] = {}  # versions of other operators than the standard ones

    def add(self, operator: str, *inputs: str, **attrs: Any) -> str:
        """One node with one output; an equal one is not made twice."""
        return self.add_many(operator, 1, *inputs, **attrs)[0]

    def add_many(self, operator: str, count: int, *inputs: str, **attrs: Any) -> list[str]:
        """One node with several outputs."""
        key = (operator, count, inputs, repr(sorted(attrs.items())))
        if key not in self._memo:
            outputs = [self._fresh(self._stem) for _ in range(count)]
            label = f"{outputs[0]}/{operator}"
            self._nodes.append(helper.make_node(operator, inputs, outputs, name=label, **attrs))
            self._memo[key] = outputs
        return self._memo[key]

    def const(self, value: object, dtype: str) -> str:
        """A constant as an initializer, shared between equal ones."""
        if self._outer is not None and self._reads_outside:
            return self._outer.const(value, dtype)
        array = np.asarray(value, numpy_dtype(dtype))
        key = (dtype, array.shape, array.tobytes())
        if key not in self._initializers:
            label = self._fresh("const")
            self._initializers[key] = numpy_helper.from_array(array, label)
        return self._initializers[key].name

    @property
    def long_sums(self) -> LongSums:
        """What sums may be of so many numbers that float32 loses digits."""
        return self._target.long_sums

    @property
    def may_choose(self) -> bool:
        """Whether a graph may ask for lengths in ``If`` at run time: here, but not in all engines.

        OpenVINO mixes up the memory of several of them in one graph, without a word (2026.4.1;
        ``tools/conformance`` tells when that has been mended).
        """
        return not self._target.portable

    @staticmethod
    def is_faithful(operator: str, dtype: str) -> bool:
        """Whether the engine's kernel keeps NaN and infinities, or all digits of integers."""
        return is_faithful(operator, dtype)

    def live_nodes(self, outputs: Sequence[str]) -> list[onnx.NodeProto]:
        """The nodes that outputs need; a node that only feeds an Identity writes the output."""
        nodes = _fuse_identities(self._nodes, outputs)
        needed, live = set(outputs), []
        for node in reversed(nodes):
            if any(output in needed for output in node.output):
                live.append(_without_unread(node, needed))
                needed.update(_reads(node))
        self._needed = needed
        return live[::-1]

    def live_initializers(self) -> list[onnx.TensorProto]:
        """The constants that live nodes read."""
        return [tensor for tensor in self._initializers.values() if tensor.name in self._needed]

    def _copy(self, value: str, name: str) -> None:
        """A value under another name."""
        label = f"{name}/Identity"
        self._nodes.append(helper.make_node("Identity", [value], [name], name=label))

    def _capture(self, outside: str, type_: TensorType) -> str:
        """The name, inside a body, of a value outside."""
        if self._reads_outside:
            return outside
        if outside not in self._captured:
            self._captured[outside] = (self._fresh("in"), type_)
        return self._captured[outside][0]

    def _fresh(self, stem: str) -> str:
        return self._names.fresh(stem)


def subgraph(
    name: str,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[str],
    types: Sequence[TensorType],
    initializers: Sequence[onnx.TensorProto] = (),
) -> onnx.GraphProto:
    """A graph inside a node, with the types of its outputs."""
    declared = [value_info(o, t) for o, t in zip(outputs, types, strict=True)]
    return helper.make_graph(list(nodes), name, list(inputs), declared, list(initializers))


def _reads(node: onnx.NodeProto) -> set[str]:
    """The names that a node reads, those that its graphs read from outside included."""
    names = set(node.input)
    for attribute in node.attribute:
        for inner in attribute.g.node:
            names |= _reads(inner)
    return names


def _without_unread(node: onnx.NodeProto, needed: Collection[str]) -> onnx.NodeProto:
    """A node without the last outputs that nothing reads, where its operator may lack them.

    Engines have faster kernels for a MaxPool that need not say where it found its results.
    """
    optional = onnx.defs.OpSchema.FormalParameterOption.Optional
    while len(node.output) > 1 and node.output[-1] not in needed and not node.domain:
        listed = onnx.defs.get_schema(node.op_type).outputs
        optional = onnx.defs.OpSchema.FormalParameterOption.Optional
        place = len(node.output) - 1
        if place >= len(listed) or listed[place].option != optional:
            break
        del node.output[-1]
    return node


def _rename_reads(node: onnx.NodeProto, renamed: Mapping[str, str]) -> None:
    node.input[:] = [renamed.get(name, name) for name in node.input]
    for attribute in node.attribute:
        for inner in attribute.g.node:
            _rename_reads(inner, renamed)


def _fuse_identities(
    nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]
) -> list[onnx.NodeProto]:
    """Let the producer of an output write it itself, where no other output wants it too."""
    renamed: dict[str, str] = {}
    produced = {output for node in nodes for output in node.output}
    for node in nodes:
        source = node.input[0] if node.op_type == "Identity" else ""
        if node.output[0] in outputs and source in produced and source not in outputs:
            renamed.setdefault(source, node.output[0])
    result = []
    for node in nodes:
        if node.op_type == "Identity" and renamed.get(node.input[0]) == node.output[0]:
            continue
        _rename_reads(node, renamed)
        node.output[:] = [renamed.get(name, name) for name in node.output]
        result.append(node)
    return result
