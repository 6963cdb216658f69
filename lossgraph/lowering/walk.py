"""The walk over expressions: each node lowered once, in the variant for the target."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self

from ..errors import LoweringError
from ..ir.expr import Expr, is_input, is_literal, toposort
from ..passes.costs import Target
from .foreign import placed
from .names import snake_case
from .onnx_api import dtype_code
from .sizes import SizeBuilder


class ExpressionBuilder(SizeBuilder):
    """Adds the nodes of expressions."""

    def __init__(
        self, inputs: Sequence[Expr], opset: int, target: Target, outer: Self | None = None
    ) -> None:
        super().__init__(inputs, opset, target, outer)
        self._lowered: dict[Expr, str] = {node: node.attrs["name"] for node in inputs}
        self._tuples: dict[Expr, list[str]] = {}

    def lower(self, root: Expr) -> str:
        """The name of the value of an expression."""
        before = self._stem
        for node in toposort([root], known=self._lowered):
            if node in self._lowered:  # meanwhile, for a length that it says
                continue
            self._stem = node.op.stem or snake_case(node.op.name)
            self._lowered[node] = self._lower_node(node)
        self._stem = before
        return self._lowered[root]

    def results(self, node: Expr, operator: str, *inputs: str, **attrs: Any) -> str:
        """One node with as many outputs as an operation has results, which ``item`` finds."""
        self._tuples[node] = self.add_many(operator, len(node.type.items), *inputs, **attrs)
        return ""

    def give(self, node: Expr, names: Sequence[str]) -> None:
        """Say what the results of an operation with several are, which ``item`` finds."""
        self._tuples[node] = list(names)

    def item(self, node: Expr) -> str:
        """One result of an operation with several."""
        return self._tuples[node.args[0]][node.attrs["index"]]

    def opaque(self, node: Expr, names: Sequence[str]) -> str:
        """A node as it was read from a model."""
        outputs = [self._fresh(self._stem) for _ in node.type.items]
        made = placed(node.attrs["proto"], names, outputs, self._fresh)
        if made.domain:
            self.domains[made.domain] = node.attrs["version"]
        self._nodes.append(made)
        self._tuples[node] = outputs
        return ""

    @staticmethod
    def dtype_code(dtype: str) -> int:
        """ONNX's number for a dtype."""
        return dtype_code(dtype)

    def reserve(self, names: Iterable[str]) -> None:
        """Keep names for outputs, before any value is called so."""
        for name in names:
            self._names.take(name)

    def output(self, name: str, value: Expr) -> None:
        """Give a value the name of an output, which is reserved."""
        self._copy(self.lower(value), name)

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
