"""Values: what one element is computed as, in a graph without loops, shapes or arrays.

A value is a real number, an integer, a truth, or a size (an integer that a whole call shares).
Equal values are one object, so that what two outputs need is computed once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from ..ir.dims import Dim
from ..ir.expr import Expr
from .index import Index, Indices, LoopVar

Kind: TypeAlias = Literal["real", "int", "mask", "size"]


@dataclass(frozen=True, eq=False)
class Buffer:
    """Where a node is kept that one loop computes and others read.

    Attributes:
        node: the node.
        number: what its memory is named by.
        shape: that of the node; of what a recurrence computes with its steps as the first axis.
        carried: whether it is a state of a recurrence: what step t begins with is at t, so that
            the last one is at the count of the steps.
    """

    node: Expr
    number: int
    shape: tuple[Dim, ...]
    carried: bool = False


@dataclass(frozen=True)
class Input:
    """An input of the kernel, by its place among them."""

    number: int
    dtype: str


@dataclass(frozen=True)
class Table:
    """A constant array, by its place among them; as it is stored in C."""

    number: int
    dtype: str


Source: TypeAlias = Input | Table | Buffer
Key: TypeAlias = tuple[Any, ...]


class Value:
    """One number or truth: how it is computed, from which values.

    Attributes:
        op: ``number``, ``size``, ``place`` (of an index), ``load``, or a function of vectors.
        args: the values that it is computed from.
        detail: of a leaf what it is; else None.
        kind: what sort of number it is.
        variables: the loop variables that it depends on.
        buffers: the buffers that it reads, itself or through its arguments.
        number: its place in the order of creation, arguments first.
    """

    __slots__ = ("args", "buffers", "detail", "kind", "number", "op", "variables")

    def __init__(
        self, op: str, args: tuple[Value, ...], detail: Any, kind: Kind, number: int
    ) -> None:
        self.op, self.args, self.detail, self.kind, self.number = op, args, detail, kind, number
        own, read = _leaves(op, detail)
        self.variables: frozenset[LoopVar] = own.union(*(arg.variables for arg in args))
        self.buffers: frozenset[Buffer] = read.union(*(arg.buffers for arg in args))

    def __repr__(self) -> str:
        inside = ", ".join(f"t{arg.number}" for arg in self.args)
        return f"t{self.number} = {self.op}({inside or self.detail}): {self.kind}"


@dataclass(frozen=True)
class Load:
    """An element of an array: its indices, and the shape of the array."""

    source: Source
    indices: Indices
    shape: tuple[Dim, ...]


def _leaves(op: str, detail: Any) -> tuple[frozenset[LoopVar], frozenset[Buffer]]:
    if isinstance(detail, Load):
        variables = frozenset[LoopVar]().union(*(index.variables for index in detail.indices))
        read = frozenset[Buffer]().union(*(_looked_up(index) for index in detail.indices))
        own = frozenset((detail.source,)) if isinstance(detail.source, Buffer) else frozenset()
        return variables, read | own
    if isinstance(detail, Index):
        return detail.variables, _looked_up(detail)
    return frozenset(), frozenset()


def _looked_up(index: Index) -> frozenset[Buffer]:
    """The buffers behind what an index looks up."""
    found: frozenset[Buffer] = frozenset()
    for value in looked_up(index):
        found |= value.buffers
    return found


def looked_up(index: Index) -> Iterable[Value]:
    """The values that an index is made of."""
    for atom, _ in index.terms:
        if hasattr(atom, "value"):
            yield atom.value
        elif hasattr(atom, "index"):
            yield from looked_up(atom.index)


def reads(value: Value) -> tuple[Value, ...]:
    """All values that one needs: its arguments, and what its indices look up."""
    detail = value.detail
    indices = detail.indices if isinstance(detail, Load) else ()
    if isinstance(detail, Index):
        indices = (detail,)
    return (*value.args, *(each for index in indices for each in looked_up(index)))


def needed(roots: Iterable[Value]) -> list[Value]:
    """Values and all that they need, those first that others need."""
    found: dict[int, Value] = {}
    stack = list(roots)
    while stack:
        value = stack.pop()
        if value.number not in found:
            found[value.number] = value
            stack.extend(reads(value))
    return [found[number] for number in sorted(found)]
