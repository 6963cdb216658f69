"""A node of a model as its translation sees it: inputs as expressions, attributes as Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import onnx

from ..errors import InputError, LossgraphError
from ..ir import ops
from ..ir.dims import Dim
from ..ir.expr import Expr
from ..ir.types import TensorType
from .known import Known
from .types import Dims


class NotTranslatedError(LossgraphError):
    """A node that a translation does not hold for; the text says why."""


class GraphReader(Protocol):
    """What a translation needs of the reader."""

    dims: Dims

    def value(self, name: str) -> Expr:
        """The expression of a value around a graph inside the node."""

    def labelled(self, value: Expr) -> str:
        """What an error calls the node that a value came of."""

    def graph(
        self,
        graph: onnx.GraphProto,
        inputs: Sequence[Expr],
        captured: Mapping[str, Expr] | None = None,
    ) -> list[Expr]:
        """The outputs of a graph inside a node, of its inputs."""

    def native(
        self,
        operator: str,
        args: Sequence[Expr],
        outputs: int,
        attrs: Mapping[str, Any],
        label: str,
        types: Sequence[TensorType] = (),
    ) -> list[Expr]:
        """The outputs of a node that a translation is made of."""

    def length(self, value: Expr, name: str) -> Dim:
        """The dim that an int64 is when the model runs, for a value of a name."""


@dataclass(frozen=True)
class Node:
    """One node that is translated.

    Attributes:
        operator: the name of its operator.
        version: of the operator's domain.
        inputs: its inputs; None for one that is left out, at the end or before others.
        attributes: its attributes: numbers, text, lists of them, arrays, ``onnx.GraphProto``.
        outputs: how many outputs it has, and which of them are wanted.
        label: what an error calls it.
        name: that of its first output.
        known: what is known of values when the model is read.
        reader: the reader of the graph that it stands in, for the graphs inside it.
    """

    operator: str
    version: int
    inputs: tuple[Expr | None, ...]
    attributes: Mapping[str, Any]
    outputs: tuple[bool, ...]
    label: str
    name: str
    known: Known
    reader: GraphReader | None = field(default=None, compare=False)

    def optional(self, place: int) -> Expr | None:
        """An input, or None if it is left out."""
        return self.inputs[place] if place < len(self.inputs) else None

    def __getitem__(self, place: int) -> Expr:
        """An input that has to be there."""
        found = self.optional(place)
        if found is None:
            raise InputError(f"{self.label} lacks its input {place}")
        return found

    def wants(self, output: int) -> bool:
        """Whether an output has a name."""
        return output < len(self.outputs) and self.outputs[output]

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute, or what it is by default."""
        return self.attributes.get(name, default)

    def other(
        self, operator: str, version: int, inputs: Sequence[Expr | None], **attributes: Any
    ) -> Node:
        """Another node in its place, for a translation that it is a case of."""
        return replace(
            self,
            operator=operator,
            version=version,
            inputs=tuple(inputs),
            attributes=attributes,
        )

    @property
    def around(self) -> GraphReader:
        """The reader of the graph that it stands in."""
        assert self.reader is not None
        return self.reader

    def new_dim(self, output: int, axis: int) -> tuple[str, Dim]:
        """A name for a length of an output that is known when the model runs, and the dim."""
        name = self.around.dims.fresh(f"{self.name}_{output}", axis)
        return name, self.around.dims.named(name)

    def native(
        self,
        operator: str,
        *args: Expr,
        outputs: int = 1,
        types: Sequence[TensorType] = (),
        **attrs: Any,
    ) -> list[Expr]:
        """The outputs of another operator of ONNX, which has no derivative, of these arguments.

        Args:
            operator: its name; it is one of the model's version.
            args: what it reads.
            outputs: how many it has.
            types: those of the outputs; by default what ONNX's inference says.
            attrs: its attributes.
        """
        return self.around.native(operator, args, outputs, attrs, self.label, types)

    def parts(self, place: int, attribute: str = "", default: Any = None) -> list[Any] | Any:
        """Integers that an input holds: numbers, dims, and expressions of what it computes.

        Raises:
            NotTranslatedError: if it is not known how many they are.
        """
        if attribute and attribute in self.attributes:
            return [int(value) for value in self.attributes[attribute]]
        given = self.optional(place)
        if given is None:
            return default
        found = self.known.parts(ops.cast(given, "int64"))
        if found is None:
            raise NotTranslatedError(f"how many elements its input {place} has is not known")
        return list(found.flat)

    def length(self, element: Dim | Expr) -> Dim:
        """A size: what is known of it, else a dim that it is when the model runs.

        Args:
            element: an int, a dim or an int64 expression, not below zero.
        """
        if not isinstance(element, Expr):
            return element
        return self.around.length(element, self.name)

    def lengths(self, place: int, attribute: str = "", default: Any = None) -> list[Dim] | Any:
        """Sizes that an input holds, of which some may be known only when the model runs."""
        found = self.parts(place, attribute, default)
        return found if found is default else [self.length(element) for element in found]

    def ints(self, place: int, attribute: str = "", default: Any = None) -> Any:
        """Integers that an input holds, or in other versions an attribute; of a scalar one.

        Raises:
            NotTranslatedError: if they are known only when the model runs.
        """
        values = self.sizes(place, attribute, default)
        if values is None or values is default:
            return default
        if not all(isinstance(value, int) for value in values):
            raise NotTranslatedError(f"its input {place} is {values}, which is no constant")
        return values

    def sizes(self, place: int, attribute: str = "", default: Any = None) -> Sequence[Dim] | Any:
        """The same, of which each may be a size of the inputs of the model.

        Raises:
            NotTranslatedError: if they are known only when the model runs.
        """
        if attribute and attribute in self.attributes:
            return [int(value) for value in self.attributes[attribute]]
        given = self.optional(place)
        if given is None:
            return default
        found = self.known.elements(given)
        if found is None:
            raise NotTranslatedError(f"its input {place} is computed when the model runs")
        return [
            value if not isinstance(value, np.generic) else value.item() for value in found.flat
        ]

    def number(self, place: int, default: Any = None) -> Any:
        """The number that an input holds, a constant of one element.

        Raises:
            NotTranslatedError: if it is none.
        """
        given = self.optional(place)
        if given is None:
            return default
        found = self.known.elements(given)
        if found is None or found.size != 1 or isinstance(found.flat[0], Expr):
            raise NotTranslatedError(f"its input {place} is no constant")
        return found.flat[0]
