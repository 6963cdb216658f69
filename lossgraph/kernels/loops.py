"""Loop nests: what each output, reduction and kept value is a loop over, and which loops fuse.

Every one of these is first a nest of its own. Nests are then put into one another from the outside
in: a nest joins a loop of the same size if what it reads there is made in the same iteration.
The result is a tree in the order of execution, in which most buffers have shrunk to registers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..ir.dims import Dim
from ..ir.expr import Expr
from .index import ZERO, Indices, LoopVar, index_of
from .values import Buffer, Load, Value, needed

At: TypeAlias = Callable[[Indices], Value]


@dataclass(frozen=True, eq=False)
class Store:
    """What a nest computes: elements that are stored, or combined if it is a reduction.

    Attributes:
        node: the node whose elements these are.
        domain: the shape that the nest goes over, longer than the node's in what is reduced.
        at: the value at indices of the domain.
        how: the reduction; empty if there is none.
        buffer: where loops that follow read it; None for an output.
        output: the place of the output; None for what is only read inside.
    """

    node: Expr
    domain: tuple[Dim, ...]
    at: At
    how: str = ""
    buffer: Buffer | None = None
    output: int | None = None

    def reduced(self, axis: int) -> bool:
        """Whether an axis of the domain is combined."""
        return bool(self.how) and self.node.shape[axis] == 1


@dataclass(frozen=True, eq=False)
class Statement:
    """A store inside loops.

    Attributes:
        store: what is stored.
        indices: the variable of each axis of its domain.
        loops: the variables of the loops around it, the outermost first.
    """

    store: Store
    indices: Indices
    loops: tuple[LoopVar, ...] = ()

    @property
    def value(self) -> Value:
        """What is stored."""
        return self.store.at(self.indices)

    @property
    def target(self) -> Indices:
        """Where in the node it is stored."""
        return tuple(
            ZERO if self.store.reduced(axis) else index for axis, index in enumerate(self.indices)
        )

    def is_reduced(self, var: LoopVar) -> bool:
        """Whether a loop around it is one that it combines."""
        return any(
            index.plain is var and self.store.reduced(axis)
            for axis, index in enumerate(self.indices)
        )


@dataclass(eq=False)
class Loop:
    """A loop and what stands in it, in order."""

    var: LoopVar
    body: list[Loop | Statement] = field(default_factory=list)

    @property
    def is_leaf(self) -> bool:
        """Whether there is no loop in it."""
        return all(isinstance(item, Statement) for item in self.body)


Block: TypeAlias = Loop | Statement


def statements(blocks: Sequence[Block]) -> Iterator[Statement]:
    """The statements of blocks, in order."""
    for block in blocks:
        if isinstance(block, Loop):
            yield from statements(block.body)
        else:
            yield block


def loops_of(blocks: Sequence[Block]) -> Iterator[Loop]:
    """The loops of blocks, outer ones first."""
    for block in blocks:
        if isinstance(block, Loop):
            yield block
            yield from loops_of(block.body)


# --- fusion -------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Nest:
    """A statement, and the axes of its domain whose loops are still to be placed."""

    store: Store
    indices: Indices
    open: tuple[int, ...]
    loops: tuple[LoopVar, ...]

    def inside(self, axis: int, var: LoopVar) -> _Nest:
        """The nest with the loop of an axis placed: it is the loop of ``var``."""
        indices = list(self.indices)
        indices[axis] = index_of(var)
        rest = tuple(other for other in self.open if other != axis)
        return _Nest(self.store, tuple(indices), rest, (*self.loops, var))

    def reads(self) -> list[Load]:
        """What it reads of buffers."""
        return [
            value.detail
            for value in needed([self.store.at(self.indices)])
            if isinstance(value.detail, Load) and isinstance(value.detail.source, Buffer)
        ]


@dataclass(eq=False)
class _Group:
    """Nests in one loop, or one statement without loops left (``var`` is None)."""

    var: LoopVar | None
    members: list[tuple[_Nest, int]] = field(default_factory=list)


def fused(stores: Sequence[Store]) -> list[Block]:
    """The loops of stores, which are in an order of execution, as few as dependences allow."""
    nests = []
    for store in stores:
        indices = tuple(ZERO if dim == 1 else index_of(LoopVar(dim)) for dim in store.domain)
        axes = tuple(axis for axis, dim in enumerate(store.domain) if dim != 1)
        nests.append(_Nest(store, indices, axes, ()))
    return _placed(nests)


def _placed(nests: Sequence[_Nest]) -> list[Block]:
    groups: list[_Group] = []
    made: dict[Buffer, tuple[int, _Nest, int]] = {}  # its group, nest and the axis of that loop
    for nest in nests:
        reads = [load for load in nest.reads() if load.source in made]
        first = max((made[load.source][0] for load in reads), default=0)  # type: ignore[index]
        place, axis = _joined(nest, groups, first, reads, made)
        if place == len(groups):
            groups.append(_Group(LoopVar(nest.store.domain[axis]) if axis >= 0 else None))
        groups[place].members.append((nest, axis))
        if nest.store.buffer is not None:
            made[nest.store.buffer] = place, nest, axis
    return [_block(group) for group in groups]


def _joined(
    nest: _Nest,
    groups: Sequence[_Group],
    first: int,
    reads: Sequence[Load],
    made: dict[Buffer, tuple[int, _Nest, int]],
) -> tuple[int, int]:
    """The group that a nest joins and the axis that becomes its loop; else a new group."""
    if not nest.open:
        return len(groups), -1
    for place in range(first, len(groups)):
        group = groups[place]
        if group.var is None:
            continue
        inside = [load for load in reads if made[load.source][0] == place]  # type: ignore[index]
        for axis in nest.open:
            if nest.store.domain[axis] != group.var.size or _splits(nest, axis):
                continue
            if all(_same_iteration(nest, axis, load, made) for load in inside):
                return place, axis
    return len(groups), _outermost(nest, reads)


def _splits(nest: _Nest, axis: int) -> bool:
    """Whether a loop that is combined would stand around one that is not."""
    reduced = nest.store.reduced
    return reduced(axis) and any(not reduced(other) for other in nest.open)


def _same_iteration(
    nest: _Nest, axis: int, load: Load, made: dict[Buffer, tuple[int, _Nest, int]]
) -> bool:
    """Whether a load, if the axis is the loop, takes what the same iteration has made."""
    _, producer, loop = made[load.source]  # type: ignore[index]
    if loop < 0 or producer.store.reduced(loop):
        return False
    mine = nest.indices[axis].plain
    return load.indices[loop].plain is mine


def _outermost(nest: _Nest, reads: Sequence[Load]) -> int:
    """The axis of a new loop: the first that is not combined, of those that reads go along."""
    free = [axis for axis in nest.open if not nest.store.reduced(axis)] or list(nest.open)
    along = [axis for axis in free if any(nest.indices[axis] in load.indices for load in reads)]
    return (along or free)[0]


def _block(group: _Group) -> Block:
    if group.var is None:
        ((nest, _),) = group.members
        return Statement(nest.store, nest.indices, nest.loops)
    inner = [nest.inside(axis, group.var) for nest, axis in group.members]
    return Loop(group.var, _placed(inner))
