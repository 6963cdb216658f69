"""Sizes in a model: constants where they are known, read off the inputs' shapes where not."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

from ..errors import LoweringError
from ..ir.dims import Apply, Dim, Size, named, names
from ..ir.expr import Expr, toposort
from ..ir.types import TensorType
from ..passes.costs import Target
from .nodes import NodeBuilder
from .opsets import axes_are_input


class SizeBuilder(NodeBuilder):
    """Adds nodes that compute sizes, and those that take sizes or axes."""

    def __init__(
        self, inputs: Sequence[Expr], opset: int, target: Target, outer: Self | None = None
    ) -> None:
        super().__init__([node.attrs["name"] for node in inputs], opset, target, outer)
        self._sources: dict[str, tuple[str, int | None]] = _size_sources(inputs)
        self._reads_inputs = outer is None  # those of the whole graph
        self._definitions: dict[str, tuple[Expr, int | None]] = {}

    def sizes(self, dims: Sequence[Dim]) -> str:
        """Sizes as a vector of int64."""
        if all(isinstance(dim, int) for dim in dims):
            return self.const(list(dims), "int64")
        if self._outer is not None and not self._computes(dims):
            type_ = TensorType("int64", (len(dims),))
            return self._capture(self._outer.sizes(dims), type_)
        parts = [self._size(dim) for dim in dims]
        return parts[0] if len(parts) == 1 else self.add("Concat", *parts, axis=0)

    def scalar_size(self, dim: Dim) -> str:
        """A size as an int64 scalar."""
        if isinstance(dim, int):
            return self.const(dim, "int64")
        if self._outer is not None and not self._computes([dim]):
            return self._capture(self._outer.scalar_size(dim), TensorType("int64", ()))
        return self.add("Squeeze", self._size(dim), self.const([0], "int64"))

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

    def reshape_to(self, x: str, shape: str) -> str:
        """Reshape to sizes that a value has, zeros among them where the opset can say so."""
        if self.opset < 14:
            return self.add("Reshape", x, shape)
        return self.add("Reshape", x, shape, allowzero=1)

    def reduce(self, operator: str, x: str, axes: Sequence[int], keepdims: int = 1) -> str:
        """A reduction, whose axes are an attribute or an input depending on the opset."""
        if axes_are_input(operator, self.opset):
            return self.add(operator, x, self.const(list(axes), "int64"), keepdims=keepdims)
        return self.add(operator, x, axes=list(axes), keepdims=keepdims)

    def cut(self, x: str, axis: int, start: Dim, end: Dim) -> str:
        """The elements of an axis from one place to another, found out at run time."""
        ends = (self.sizes([dim]) for dim in (start, end))
        return self.add("Slice", x, *ends, self.const([axis], "int64"))

    def _reshape_exactly(self, x: str, after: Sequence[Dim]) -> str:
        if self.opset < 14 and 0 in after:
            raise LoweringError(
                f"Reshape to ({', '.join(map(str, after))}): a length of zero needs opset 14"
            )
        return self.reshape_to(x, self.sizes(after))

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
            if self._outer is not None and not self._computes([named(atom)]):
                type_ = TensorType("int64", (1,))
                return self._capture(self._outer.sizes([named(atom)]), type_)
            source, axis = self._source(atom)
            if axis is None:  # the length itself
                return self.add("Reshape", source, self.const([1], "int64"))
            shape = self.add("Shape", source)
            return self.add("Gather", shape, self.const([axis], "int64"), axis=0)
        operator = {"//": "Div", "min": "Min", "max": "Max"}[atom.function]
        left, right = self._size(atom.left), self._size(atom.right)
        if atom.function == "//":  # a division by zero would end the process
            right = self.add("Max", right, self.const([1], "int64"))
        return self.add(operator, left, right)

    def _computes(self, dims: Sequence[Dim]) -> bool:
        """Whether sizes are computed here: a body that reads nothing outside is given them."""
        own = self._definitions.keys()
        return self._reads_inputs or any(not names(dim).isdisjoint(own) for dim in dims)

    def define_sizes(self, roots: Sequence[Expr]) -> None:
        """Note where dims that no input has can be read off."""
        for node in toposort(roots):
            if node.op.defines is not None:
                for name, source in node.op.defines(node).items():
                    if self._outer is None or not self._outer._has(name):
                        # The first one waits for no other.
                        self._definitions.setdefault(name, source)

    def _has(self, name: str) -> bool:
        """Whether a dim is known here or outside."""
        outside = self._outer is not None and self._outer._has(name)
        return outside or name in self._sources or name in self._definitions

    def _source(self, name: str) -> tuple[str, int | None]:
        """The value that has a dim, and its axis; or that is it."""
        if name not in self._sources and name in self._definitions:
            value, axis = self._definitions[name]
            self._sources[name] = (self.lower(value), axis)
        if name not in self._sources and self._outer is not None:
            return self._outer._source(name)
        if name not in self._sources:
            raise LoweringError(f"no input of the graph has the dim {name!r}: add one")
        return self._sources[name]

    @abstractmethod
    def lower(self, root: Expr) -> str:
        """The name of the value of an expression."""


def _size_sources(inputs: Sequence[Expr]) -> dict[str, tuple[str, int | None]]:
    """Where to read each named dim: the first input that has it."""
    sources: dict[str, tuple[str, int | None]] = {}
    for node in inputs:
        for axis, dim in enumerate(node.shape):
            for name in names(dim):
                sources.setdefault(name, (node.attrs["name"], axis))
    return sources
