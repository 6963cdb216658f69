"""Lowering: expressions to an ONNX model of standard operators.

The only module that makes ONNX of expressions. Which operators an operation becomes is said
where the operation is declared; what differs between opsets is here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ..errors import InputError, LoweringError
from ..ir.dims import Apply, Dim, Size, is_positive, names
from ..ir.expr import Body, Expr, is_input, is_literal, toposort
from ..ir.types import TensorType, numpy_dtype
from ..passes.costs import PORTABLE, Target
from ..passes.mixed_precision import widen

DEFAULT_OPSET = 18
MIN_OPSET, MAX_OPSET = 13, 26

_CODES = {
    "float16": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16,
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "int8": TensorProto.INT8,
    "int16": TensorProto.INT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
    "uint16": TensorProto.UINT16,
    "uint32": TensorProto.UINT32,
    "uint64": TensorProto.UINT64,
    "bool": TensorProto.BOOL,
}
_AXES_INPUT_SINCE = {"ReduceSum": 13}  # the other reductions follow in opset 18


def lower(
    inputs: Sequence[Expr],
    outputs: Mapping[str, Expr],
    *,
    opset: int | None = None,
    name: str = "loss",
    metadata: Mapping[str, str] | None = None,
    target: Target = PORTABLE,
) -> onnx.ModelProto:
    """An ONNX model that computes ``outputs`` from ``inputs``.

    Args:
        inputs: the graph's inputs, in order; unused ones stay in the signature.
        outputs: expressions by output name, in order.
        opset: version of the standard operator set, 13 to 26; 18 by default.
        name: name of the graph.
        metadata: text stored in the model.
        target: where it is to run. In a portable model the bodies of scans read nothing outside,
            which some engines cannot do; ONNX Runtime can, and is a little faster for it.

    Raises:
        InputError: for an opset outside the range, or a name that is used twice.
        LoweringError: for an expression that the opset cannot say.
    """
    opset = DEFAULT_OPSET if opset is None else opset
    _check_request(inputs, outputs, opset)
    from .. import __version__

    builder = Builder(inputs, opset, target)
    for output, value in zip(outputs, widen(list(outputs.values())), strict=True):
        builder.output(output, value)
    graph = helper.make_graph(
        builder.live_nodes(list(outputs)),
        name,
        [_value_info(node.attrs["name"], node.type) for node in inputs],
        [_value_info(output, value.type) for output, value in outputs.items()],
        builder.live_initializers(),
    )
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(
        graph,
        opset_imports=imports,
        ir_version=helper.find_min_ir_version_for(imports),
        producer_name="lossgraph",
        producer_version=__version__,
    )
    helper.set_model_props(model, dict(metadata or {}))
    return model


class Builder:
    """Collects ONNX nodes; what the ``lower`` fields of operations are called with."""

    def __init__(
        self, inputs: Sequence[Expr], opset: int, target: Target, outer: Builder | None = None
    ) -> None:
        self.opset = opset
        self._target = target
        self._outer = outer
        self._captured: dict[str, tuple[str, TensorType]] = {}
        self._tuples: dict[Expr, list[str]] = {}
        self._lowered: dict[Expr, str] = {node: node.attrs["name"] for node in inputs}
        self._sources = _size_sources(inputs)
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: dict[tuple[Any, ...], onnx.TensorProto] = {}
        self._memo: dict[tuple[Any, ...], list[str]] = {}
        names = {node.attrs["name"] for node in inputs}
        self._taken: set[str] = outer._taken if outer else names
        self._prefix = "size"

    # --- what lowering rules use ---

    def add(self, operator: str, *inputs: str, **attrs: Any) -> str:
        """One node with one output; an equal one is not made twice."""
        return self.add_many(operator, 1, *inputs, **attrs)[0]

    def add_many(self, operator: str, count: int, *inputs: str, **attrs: Any) -> list[str]:
        """One node with several outputs."""
        key = (operator, count, inputs, repr(sorted(attrs.items())))
        if key not in self._memo:
            outputs = [self._fresh(self._prefix) for _ in range(count)]
            label = f"{outputs[0]}/{operator}"
            self._nodes.append(helper.make_node(operator, inputs, outputs, name=label, **attrs))
            self._memo[key] = outputs
        return self._memo[key]

    def const(self, value: object, dtype: str) -> str:
        """A constant as an initializer, shared between equal ones."""
        if self._outer is not None and not self._target.portable:
            return self._outer.const(value, dtype)
        array = np.asarray(value, numpy_dtype(dtype))
        key = (dtype, array.shape, array.tobytes())
        if key not in self._initializers:
            label = self._fresh("const")
            self._initializers[key] = numpy_helper.from_array(array, label)
        return self._initializers[key].name

    def lower(self, root: Expr) -> str:
        """The name of the value of an expression."""
        outer = self._prefix
        for node in toposort([root]):
            if node not in self._lowered:
                self._prefix = node.op.stem or _snake(node.op.name)
                self._lowered[node] = self._lower_node(node)
        self._prefix = outer
        return self._lowered[root]

    def reduce(self, operator: str, x: str, axes: Sequence[int], keepdims: int = 1) -> str:
        """A reduction, whose axes are an attribute or an input depending on the opset."""
        if self.opset >= _AXES_INPUT_SINCE.get(operator, 18):
            return self.add(operator, x, self.const(list(axes), "int64"), keepdims=keepdims)
        return self.add(operator, x, axes=list(axes), keepdims=keepdims)

    def reshape(self, x: str, before: Sequence[Dim], after: Sequence[Dim]) -> str:
        """Reshape, reading sizes at run time only where constants cannot say the shape."""
        symbolic = [axis for axis, dim in enumerate(after) if isinstance(dim, Size)]
        kept = [axis for axis in symbolic if axis < len(before) and before[axis] == after[axis]]
        if 0 in after or (set(symbolic) != set(kept) and len(symbolic) > 1):
            return self._reshape_exactly(x, after)
        if set(symbolic) == set(kept):  # 0 copies the length of the same axis
            target = [0 if axis in kept else dim for axis, dim in enumerate(after)]
        else:
            target = [-1 if axis in symbolic else dim for axis, dim in enumerate(after)]
        return self.add("Reshape", x, self.const(target, "int64"))

    def sizes(self, dims: Sequence[Dim]) -> str:
        """Sizes as a vector of int64."""
        if all(isinstance(dim, int) for dim in dims):
            return self.const(list(dims), "int64")
        if self._outer is not None:
            type_ = TensorType("int64", (len(dims),))
            return self._capture(self._outer.sizes(dims), type_)
        parts = [self._size(dim) for dim in dims]
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=0)

    def scalar_size(self, dim: Dim) -> str:
        """A size as an int64 scalar."""
        if isinstance(dim, int):
            return self.const(dim, "int64")
        if self._outer is not None:
            return self._capture(self._outer.scalar_size(dim), TensorType("int64", ()))
        return self.add("Squeeze", self._size(dim), self.const([0], "int64"))

    def scan(self, node: Expr, names: Sequence[str]) -> str:
        """A scan: ONNX's Scan, which ONNX Runtime refuses to run zero times, so asked before."""
        if node.attrs["length"] == 0:
            self._tuples[node] = self._results_of_no_steps(self, node, names)
            return ""
        made, length = [self._fresh("scan") for _ in node.type.items], node.attrs["length"]
        from_scan = self._scan_node(node, names, made)
        if is_positive(length):
            self._nodes.append(from_scan)
            self._tuples[node] = made
            return ""
        outputs = [self._fresh("if") for _ in node.type.items]
        empty = self._no_steps(node, names)
        some = self.add("Greater", self.scalar_size(length), self.const(0, "int64"))
        branches = {
            "then_branch": _graph("steps", [from_scan], [], made, node.type.items),
            "else_branch": _graph("no_steps", *empty, node.type.items),
        }
        label = f"{outputs[0]}/If"
        self._nodes.append(helper.make_node("If", [some], outputs, name=label, **branches))
        self._tuples[node] = outputs
        return ""

    def cut(self, x: str, axis: int, start: Dim, end: Dim) -> str:
        """The elements of an axis from one place to another, found out at run time."""
        ends = (self.sizes([dim]) for dim in (start, end))
        return self.add("Slice", x, *ends, self.const([axis], "int64"))

    def choose(
        self,
        condition: str,
        type_: TensorType,
        then: Callable[[Builder], str],
        otherwise: Callable[[Builder], str],
    ) -> str:
        """One of two values of a type, of which only that one is computed."""
        output = self._fresh("if")
        branches = {
            f"{name}_branch": _graph(name, *self._branch(name, value), [type_])
            for name, value in (("then", then), ("else", otherwise))
        }
        label = f"{output}/If"
        self._nodes.append(helper.make_node("If", [condition], [output], name=label, **branches))
        return output

    def item(self, node: Expr) -> str:
        """One result of an operation with several."""
        return self._tuples[node.args[0]][node.attrs["index"]]

    @staticmethod
    def dtype_code(dtype: str) -> int:
        """ONNX's number for a dtype."""
        return int(_CODES[dtype])

    # --- what ``lower`` uses ---

    def output(self, name: str, value: Expr) -> None:
        """Give a value the name of an output."""
        self._taken.add(name)
        self._copy(self.lower(value), name)

    def live_nodes(self, outputs: Sequence[str]) -> list[onnx.NodeProto]:
        """The nodes that outputs need; a node that only feeds an Identity writes the output."""
        nodes = _fuse_identities(self._nodes, outputs)
        needed, live = set(outputs), []
        for node in reversed(nodes):
            if any(output in needed for output in node.output):
                live.append(node)
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

    def _scan_node(self, node: Expr, names: Sequence[str], made: Sequence[str]) -> onnx.NodeProto:
        """What the body captures becomes states that stay as they are."""
        attrs, body = node.attrs, node.attrs["body"]
        states, read = attrs["states"], attrs["sequences"]
        graph, captured = self._body(body, states, read, names[states + read :])
        unchanged = [self._fresh("same") for _ in captured]
        return helper.make_node(
            "Scan",
            [*names[:states], *captured, *names[states : states + read]],
            [*made[:states], *unchanged, *made[states:]],
            name=f"{made[0]}/Scan",
            body=graph,
            num_scan_inputs=read,
        )

    def _body(
        self, body: Body, states: int, read: int, outside: Sequence[str]
    ) -> tuple[onnx.GraphProto, list[str]]:
        """A body as a graph of its own, and the names outside of what it takes beside its own."""
        inner = Builder((), self.opset, self._target, outer=self)
        inputs = [inner._fresh("in") for _ in range(states + read)]
        fixed = body.inputs[states + read :]
        beside = [inner._capture(n, v.type) for n, v in zip(outside, fixed, strict=True)]
        inner._lowered.update(zip(body.inputs, [*inputs, *beside], strict=True))
        values = [inner.lower(output) for output in body.outputs]
        if states and self._target.portable and not _is_read(body, range(states, states + read)):
            values[0] = inner._chosen_by(inputs[states], values[0], inputs[0])
        names = []
        for value in values:
            names.append(inner._fresh("out"))
            inner._copy(value, names[-1])
        declared = [_value_info(name, v.type) for name, v in zip(inputs, body.inputs, strict=False)]
        types = [output.type for output in body.outputs]
        kept = [inner._fresh("out") for _ in inner._captured]
        for (name, _), copy in zip(inner._captured.values(), kept, strict=True):
            inner._copy(name, copy)
        captured = [_value_info(name, type_) for name, type_ in inner._captured.values()]
        graph = _graph(
            "body",
            inner.live_nodes([*names, *kept]),
            [*declared[:states], *captured, *declared[states:]],
            [*names[:states], *kept, *names[states:]],
            [*types[:states], *(t for _, t in inner._captured.values()), *types[states:]],
            inner.live_initializers(),
        )
        return graph, list(inner._captured)

    def _chosen_by(self, element: str, new: str, old: str) -> str:
        """The new state, and not the old one, by what the body is given of a sequence.

        OpenVINO takes one step alone of a scan whose body reads none of its sequences.
        """
        number = self.add("Cast", element, to=TensorProto.INT64)
        number = self.add("Reshape", number, self.const([], "int64"))
        return self.add("Where", self.add("Equal", number, number), new, old)

    def _capture(self, outside: str, type_: TensorType) -> str:
        """The name, inside a body, of a value outside."""
        if not self._target.portable:
            return outside
        if outside not in self._captured:
            self._captured[outside] = (self._fresh("in"), type_)
        return self._captured[outside][0]

    def _no_steps(
        self, node: Expr, names: Sequence[str]
    ) -> tuple[list[onnx.NodeProto], list[onnx.ValueInfoProto], list[str]]:
        """A graph of the results of a scan of length zero."""
        inner = Builder((), self.opset, self._target, outer=self)
        outputs = []
        for value in self._results_of_no_steps(inner, node, names):
            outputs.append(inner._fresh("none"))
            inner._copy(value, outputs[-1])
        return inner._nodes, [], outputs

    def _branch(
        self, name: str, value: Callable[[Builder], str]
    ) -> tuple[list[onnx.NodeProto], list[onnx.ValueInfoProto], list[str]]:
        """A graph of one value, which reads what it needs from outside."""
        inner = Builder((), self.opset, self._target, outer=self)
        output = inner._fresh(name)
        inner._copy(value(inner), output)
        return inner.live_nodes([output]), [], [output]

    def _results_of_no_steps(self, builder: Builder, node: Expr, names: Sequence[str]) -> list[str]:
        """The states as they were, and empty stacks."""
        states = node.attrs["states"]
        stacks = [
            builder.add("Expand", self.const(0, t.dtype), self.sizes((0, *t.shape[1:])))
            for t in node.type.items[states:]
        ]
        return [*names[:states], *stacks]

    def _lower_node(self, node: Expr) -> str:
        if is_literal(node):
            return self.const(node.attrs["value"], node.dtype)
        if is_input(node):
            raise LoweringError(f"{node!r} is not among the inputs of the graph")
        arguments = [self._lowered[arg] for arg in node.args]
        variant = self._target.variant(node.op, node.dtype)
        if isinstance(variant, str):
            return self.add(variant, *arguments)
        return variant(self, node, *arguments)

    def _reshape_exactly(self, x: str, after: Sequence[Dim]) -> str:
        if self.opset < 14:
            if 0 in after:
                raise LoweringError(
                    f"Reshape to ({', '.join(map(str, after))}): a length of zero needs opset 14"
                )
            return self.add("Reshape", x, self.sizes(after))
        return self.add("Reshape", x, self.sizes(after), allowzero=1)

    def _size(self, dim: Dim) -> str:
        """A size as a vector of one int64."""
        if isinstance(dim, int):
            return self.const([dim], "int64")
        total: str | None = None
        for monomial, coefficient in dim.terms:
            term = None if coefficient == 1 and monomial else self.const([coefficient], "int64")
            for atom in monomial:
                value = self._atom(atom)
                term = value if term is None else self.add("Mul", term, value)
            assert term is not None
            total = term if total is None else self.add("Add", total, term)
        assert total is not None
        return total

    def _atom(self, atom: str | Apply) -> str:
        if isinstance(atom, str):
            if atom not in self._sources:
                raise LoweringError(f"no input of the graph has the dim {atom!r}: add one")
            source, axis = self._sources[atom]
            shape = self.add("Shape", source)
            return self.add("Gather", shape, self.const([axis], "int64"), axis=0)
        operator = {"//": "Div", "min": "Min", "max": "Max"}[atom.function]
        left, right = self._size(atom.left), self._size(atom.right)
        if atom.function == "//":  # a division by zero would end the process
            right = self.add("Max", right, self.const([1], "int64"))
        return self.add(operator, left, right)

    def _fresh(self, stem: str) -> str:
        number = 0
        while f"{stem}_{number}" in self._taken:
            number += 1
        self._taken.add(f"{stem}_{number}")
        return f"{stem}_{number}"


def _is_read(body: Body, positions: Sequence[int]) -> bool:
    """Whether a body reads one of its inputs, or they are more than the number of a step."""
    inputs = [body.inputs[k] for k in positions]
    return not set(inputs).isdisjoint(toposort(body.outputs)) or inputs[0].shape not in ((), (1,))


def _graph(
    name: str,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[onnx.ValueInfoProto],
    outputs: Sequence[str],
    types: Sequence[TensorType],
    initializers: Sequence[onnx.TensorProto] = (),
) -> onnx.GraphProto:
    declared = [_value_info(o, t) for o, t in zip(outputs, types, strict=True)]
    return helper.make_graph(list(nodes), name, list(inputs), declared, list(initializers))


def _reads(node: onnx.NodeProto) -> set[str]:
    """The names that a node reads, those that its graphs read from outside included."""
    names = set(node.input)
    for attribute in node.attribute:
        for inner in attribute.g.node:
            names |= _reads(inner)
    return names


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


def _size_sources(inputs: Sequence[Expr]) -> dict[str, tuple[str, int]]:
    """Where to read each named dim: the first input that has it."""
    sources: dict[str, tuple[str, int]] = {}
    for node in inputs:
        for axis, dim in enumerate(node.shape):
            for name in names(dim):
                sources.setdefault(name, (node.attrs["name"], axis))
    return sources


def _check_request(inputs: Sequence[Expr], outputs: Mapping[str, Expr], opset: int) -> None:
    if not isinstance(opset, int) or not MIN_OPSET <= opset <= MAX_OPSET:
        raise InputError(f"opset {opset!r}: expected {MIN_OPSET} to {MAX_OPSET}")
    listed = [node.attrs["name"] for node in inputs]
    clashes = {name for name in [*listed, *outputs] if (listed + list(outputs)).count(name) > 1}
    if clashes:
        raise InputError(
            f"name {sorted(clashes)[0]!r} stands for two inputs or outputs: rename one"
        )


def _value_info(name: str, type_: TensorType) -> onnx.ValueInfoProto:
    shape = [dim if isinstance(dim, int) else str(dim) for dim in type_.shape]
    return helper.make_tensor_value_info(name, _CODES[type_.dtype], shape)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
