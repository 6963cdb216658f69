"""Graphs inside graphs: scans, loops and choices.

A body is lowered by a builder of its own, inside the one of the graph around it. In a portable
model it reads nothing outside, which some engines cannot do: what it would read (its captures)
becomes a state that stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..ir.dims import is_positive
from ..ir.expr import Body, Expr, toposort
from ..ir.types import TensorType
from .nodes import subgraph
from .onnx_api import helper, onnx, value_info
from .walk import ExpressionBuilder


class Builder(ExpressionBuilder):
    """What the ``lower`` fields of operations are called with."""

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
            "then_branch": subgraph("steps", [from_scan], [], made, node.type.items),
            "else_branch": subgraph("no_steps", *empty, node.type.items),
        }
        label = f"{outputs[0]}/If"
        self._nodes.append(helper.make_node("If", [some], outputs, name=label, **branches))
        self._tuples[node] = outputs
        return ""

    def while_loop(self, node: Expr, names: Sequence[str]) -> str:
        """A loop that ends by a condition: ONNX's Loop, whose states but the first are carried."""
        states, body = node.attrs["num_carry"], node.attrs["body"]
        made = [self._fresh("loop") for _ in node.type.items[1:]]
        inner = self._reading_outside(body)
        inputs = [inner._fresh("in") for _ in range(states)]
        step = inner._fresh("step")
        inner._lowered.update(zip(body.inputs, [*inputs, *names[states:]], strict=True))
        outputs = inner._copies(body.outputs)
        declared = [value_info(n, v.type) for n, v in zip(inputs, body.inputs, strict=False)]
        graph = subgraph(
            "body",
            inner.live_nodes(outputs),
            [value_info(step, TensorType("int64", ())), *declared],
            outputs,
            [output.type for output in body.outputs],
        )
        label = f"{made[0]}/Loop" if made else "Loop"
        given = ["", *names[:states]]
        self._nodes.append(helper.make_node("Loop", given, made, name=label, body=graph))
        self.give(node, [self.const(False, "bool"), *made])
        return ""

    def cond(self, node: Expr, names: Sequence[str]) -> str:
        """A choice between two bodies, which read what they need from outside."""
        body, count = node.attrs["body"], len(node.type.items)
        made = [self._fresh("if") for _ in node.type.items]
        branches = {}
        for name, values in (("then", body.outputs[:count]), ("else", body.outputs[count:])):
            inner = self._reading_outside(Body(body.inputs, values, body.depth))
            inner._lowered.update(zip(body.inputs, names[1:], strict=True))
            outputs = inner._copies(values)
            nodes = inner.live_nodes(outputs)
            types = [value.type for value in values]
            branches[f"{name}_branch"] = subgraph(name, nodes, [], outputs, types)
        label = f"{made[0]}/If"
        self._nodes.append(helper.make_node("If", [names[0]], made, name=label, **branches))
        self.give(node, made)
        return ""

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
            f"{name}_branch": subgraph(name, *self._branch(name, value), [type_])
            for name, value in (("then", then), ("else", otherwise))
        }
        label = f"{output}/If"
        self._nodes.append(helper.make_node("If", [condition], [output], name=label, **branches))
        return output

    def _reading_outside(self, body: Body | None = None) -> Builder:
        """A builder inside this one, which reads what is around it, as every engine lets it.

        What only it needs is computed in it, unless a body is around that reads nothing outside.
        """
        inner = Builder((), self.opset, self._target, outer=self)
        inner._reads_outside, inner._reads_inputs = True, self._reads_inputs
        inner.define_sizes(body.outputs if body is not None else ())
        return inner

    def _copies(self, values: Sequence[Expr]) -> list[str]:
        """New names for values, each once."""
        lowered = [self.lower(value) for value in values]
        made = [self._fresh("out") for _ in values]
        for name, copy in zip(lowered, made, strict=True):
            self._copy(name, copy)
        return made

    def _scan_node(self, node: Expr, names: Sequence[str], made: Sequence[str]) -> onnx.NodeProto:
        """What the body captures becomes states that stay as they are."""
        attrs, body = node.attrs, node.attrs["body"]
        states, read = attrs["num_carry"], attrs["num_xs"]
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
        inner.define_sizes(body.outputs)
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
        declared = [value_info(name, v.type) for name, v in zip(inputs, body.inputs, strict=False)]
        types = [output.type for output in body.outputs]
        kept = [inner._fresh("out") for _ in inner._captured]
        for (name, _), copy in zip(inner._captured.values(), kept, strict=True):
            inner._copy(name, copy)
        captured = [value_info(name, type_) for name, type_ in inner._captured.values()]
        graph = subgraph(
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
        number = self.add("Cast", element, to=self.dtype_code("int64"))
        number = self.add("Reshape", number, self.const([], "int64"))
        return self.add("Where", self.add("Equal", number, number), new, old)

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
        inner = self._reading_outside()
        output = inner._fresh(name)
        inner._copy(value(inner), output)
        return inner.live_nodes([output]), [], [output]

    def _results_of_no_steps(self, builder: Builder, node: Expr, names: Sequence[str]) -> list[str]:
        """The states as they were, and empty stacks."""
        states = node.attrs["num_carry"]
        stacks = [
            builder.add("Expand", self.const(0, t.dtype), self.sizes((0, *t.shape[1:])))
            for t in node.type.items[states:]
        ]
        return [*names[:states], *stacks]


def _is_read(body: Body, positions: Sequence[int]) -> bool:
    """Whether a body reads one of its inputs, or they are more than the number of a step."""
    inputs = [body.inputs[k] for k in positions]
    return not set(inputs).isdisjoint(toposort(body.outputs)) or inputs[0].shape not in ((), (1,))
