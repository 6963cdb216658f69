"""Loop nests: what each output, reduction and kept value is a loop over, and which loops fuse.

Every one of these is first a nest of its own. Nests are then put into one another from the outside
in: a nest joins a loop of the same size if what it reads there is made in the same iteration.
The result is a tree in the order of execution, in which most buffers have shrunk to registers.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import groupby
from typing import TypeAlias

from ..ir.dims import Dim
from ..ir.expr import Expr
from .index import ZERO, Index, Indices, LoopVar, index_of
from .integers import KernelUnsupportedError
from .recurrence import Recurrence
from .values import Buffer, Load, Value, looked_up, needed

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
        recurrence: the one that it is part of.
        begins: whether it is a state before the first step.
        shift: what is added to the step: a state is that of the next one.
        scatter: the axis of the domain whose elements are added up at an index.
        index: that index.
    """

    node: Expr
    domain: tuple[Dim, ...]
    at: At
    how: str = ""
    buffer: Buffer | None = None
    output: int | None = None
    recurrence: Recurrence | None = None
    begins: bool = False
    shift: int = 0
    scatter: int | None = None
    index: Callable[[Indices], Index] | None = None

    @property
    def shape(self) -> tuple[Dim, ...]:
        """The shape of what it stores into."""
        return self.node.shape if self.buffer is None else self.buffer.shape

    @property
    def has_steps(self) -> bool:
        """Whether its first axis is that of the steps of a recurrence."""
        return self.recurrence is not None and not self.begins

    def places(self, indices: Indices) -> list[Value]:
        """The values that an index to scatter to is made of."""
        return [] if self.index is None else list(looked_up(self.index(indices)))

    def reduced(self, axis: int) -> bool:
        """Whether an axis of the domain is combined."""
        if self.scatter is not None:
            return axis == self.scatter
        return bool(self.how) and self.shape[axis] == 1 and self.domain[axis] != 1


def target(store: Store, indices: Indices) -> Indices:
    """Where an element of the domain is stored."""
    found = [ZERO if store.reduced(axis) else index for axis, index in enumerate(indices)]
    if store.index is not None and store.scatter is not None:
        found[store.scatter] = store.index(indices)
    if store.shift:
        found[0] = found[0] + store.shift
    return tuple(found)


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
    def values(self) -> list[Value]:
        """What is stored, and the values of the index that it is stored at."""
        return [self.value, *self.store.places(self.indices)]

    @property
    def buffers(self) -> frozenset[Buffer]:
        """The buffers that it reads."""
        return frozenset[Buffer]().union(*(value.buffers for value in self.values))

    @property
    def target(self) -> Indices:
        """Where in the node it is stored."""
        return target(self.store, self.indices)

    def is_reduced(self, var: LoopVar) -> bool:
        """Whether a loop around it is one that it combines."""
        return any(
            index.plain is var and self.store.reduced(axis)
            for axis, index in enumerate(self.indices)
        )


@dataclass(eq=False)
class Loop:
    """A loop and what stands in it, in order.

    Attributes:
        var: its variable.
        body: what stands in it.
        sequential: whether an iteration needs the one before it.
    """

    var: LoopVar
    body: list[Loop | Statement] = field(default_factory=list)
    sequential: bool = False

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
    """A statement, and the axes of its domain whose loops are still to be placed.

    Attributes:
        recurrence: the one whose steps have not begun, or none.
    """

    store: Store
    indices: Indices
    open: tuple[int, ...]
    loops: tuple[LoopVar, ...]
    recurrence: Recurrence | None

    def inside(self, axis: int, var: LoopVar) -> _Nest:
        """The nest with the loop of an axis placed: it is the loop of ``var``."""
        indices = list(self.indices)
        indices[axis] = index_of(var)
        rest = tuple(other for other in self.open if other != axis)
        return replace(self, indices=tuple(indices), open=rest, loops=(*self.loops, var))

    @cached_property
    def reads(self) -> list[Load]:
        """What it reads of buffers."""
        values = needed([self.store.at(self.indices), *self.store.places(self.indices)])
        return [
            value.detail
            for value in values
            if isinstance(value.detail, Load) and isinstance(value.detail.source, Buffer)
        ]


@dataclass(eq=False)
class _Group:
    """Nests in one loop, or one statement without loops left (``var`` is None)."""

    var: LoopVar | None
    sequential: bool = False
    members: list[tuple[_Nest, int]] = field(default_factory=list)


def fused(stores: Sequence[Store]) -> list[Block]:
    """The loops of stores, which are in an order of execution, as few as dependences allow."""
    return _placed([_nest(store) for store in stores], outermost=True)


def _nest(store: Store) -> _Nest:
    steps = (0,) if store.has_steps else ()
    axes = tuple(axis for axis, dim in enumerate(store.domain) if dim != 1 or axis in steps)
    indices = tuple(
        index_of(LoopVar(dim)) if axis in axes else ZERO for axis, dim in enumerate(store.domain)
    )
    return _Nest(store, indices, axes, (), store.recurrence)


def _placed(nests: Sequence[_Nest], outermost: bool = False) -> list[Block]:
    level = _Level(outermost)
    for recurrence, members in groupby(nests, lambda nest: nest.recurrence):
        if recurrence is None:
            for nest in members:
                level.place(nest)
        else:
            level.place_recurrence(list(members))
    return [_block(group) for group in level.groups]


class _Level:
    """Loops that follow each other inside of the same loops, as they are filled."""

    def __init__(self, outermost: bool) -> None:
        self.groups: list[_Group] = []
        self._outermost = outermost
        self._made: dict[Buffer, tuple[int, _Nest, int]] = {}  # its group, nest and loop's axis

    def place(self, nest: _Nest) -> None:
        """Put a nest into the first loop that it can join, or into one of its own."""
        for place in self._candidates([nest]):
            axis = self._axis(nest, place)
            if axis is not None:
                return self._add(place, nest, axis)
        axis = self._first_axis(nest) if nest.open else -1
        return self._add(self._new(nest.store.domain[axis] if nest.open else None), nest, axis)

    def place_recurrence(self, nests: Sequence[_Nest]) -> None:
        """Put all nests of a recurrence into one loop outside of its steps, or begin these."""
        for place in self._candidates(nests):
            axes = self._axes(nests, place)
            if axes is not None:
                return self._add_all(place, nests, axes)
        for size in dict.fromkeys(nests[0].store.domain[axis] for axis in _outer_axes(nests[0])):
            place = self._new(size)
            axes = self._axes(nests, place)
            if axes is not None:
                return self._add_all(place, nests, axes)
            self.groups.pop()
        return self._begin_steps(nests)

    def _begin_steps(self, nests: Sequence[_Nest]) -> None:
        if self._outermost:
            raise KernelUnsupportedError("kernels follow each sample by itself: a scan mixes them")
        begun = [replace(nest, recurrence=None) for nest in nests]
        for nest in begun:
            if nest.store.begins:
                self.place(nest)
        steps = [nest for nest in begun if not nest.store.begins]
        length = steps[0].store.domain[0]
        for place in self._candidates(steps):
            group = self.groups[place]
            if group.sequential and self._joins_steps(steps, place):
                break
        else:
            place = self._new(length, sequential=True)
        self._add_all(place, steps, [0] * len(steps))

    def _joins_steps(self, steps: Sequence[_Nest], place: int) -> bool:
        """Whether steps can go along with those of another recurrence."""
        own = {nest.store.buffer for nest in steps}
        return self.groups[place].var is not None and all(
            self._size_fits(nest, 0, place) and self._fits(nest, 0, place, own) for nest in steps
        )

    # --- which loops ---

    def _candidates(self, nests: Sequence[_Nest]) -> Iterable[int]:
        """The groups from the first on that comes no earlier than what is read."""
        found = [self._made.get(load.source) for nest in nests for load in nest.reads]  # type: ignore[arg-type]
        return range(max((made[0] for made in found if made), default=0), len(self.groups))

    def _axes(self, nests: Sequence[_Nest], place: int) -> list[int] | None:
        """An axis of each nest of a recurrence that can be the loop, none that of its steps."""
        before = dict(self._made)
        axes: list[int] | None = []
        for nest in nests:
            axis = self._axis(nest, place)
            if axis is None:
                axes = None
                break
            axes.append(axis)  # type: ignore[union-attr]
            self._note(place, nest, axis)
        self._made = before
        return axes

    def _axis(self, nest: _Nest, place: int) -> int | None:
        """The axis of a nest that can be the loop of a group."""
        for axis in _outer_axes(nest):
            if (
                self._size_fits(nest, axis, place)
                and not _splits(nest, axis)
                and self._fits(nest, axis, place)
            ):
                return axis
        return None

    def _size_fits(self, nest: _Nest, axis: int, place: int) -> bool:
        var = self.groups[place].var
        return var is not None and nest.store.domain[axis] == var.size

    def _fits(
        self, nest: _Nest, axis: int, place: int, apart: Container[Buffer | None] = ()
    ) -> bool:
        """Whether what is read of a group's loop is made in the same iteration."""
        inside = [
            load
            for load in nest.reads
            if load.source not in apart
            and load.source in self._made
            and self._made[load.source][0] == place
        ]
        return all(self._same_iteration(nest, axis, load) for load in inside)

    def _same_iteration(self, nest: _Nest, axis: int, load: Load) -> bool:
        """Whether a load, if the axis is the loop, takes what the same iteration has made."""
        _, producer, loop = self._made[load.source]  # type: ignore[index]
        if _is_earlier(load, producer):
            return True
        if loop < 0 or producer.store.reduced(loop):
            return False
        return load.indices[loop].plain is nest.indices[axis].plain

    def _first_axis(self, nest: _Nest) -> int:
        """The axis of a new loop: the first that is not combined, of those that reads go along."""
        free = [axis for axis in nest.open if not nest.store.reduced(axis)] or list(nest.open)
        reads = [load for load in nest.reads if load.source in self._made]
        along = [axis for axis in free if any(nest.indices[axis] in load.indices for load in reads)]
        return (along or free)[0]

    # --- filling ---

    def _new(self, size: Dim | None, *, sequential: bool = False) -> int:
        self.groups.append(_Group(None if size is None else LoopVar(size), sequential))
        return len(self.groups) - 1

    def _add(self, place: int, nest: _Nest, axis: int) -> None:
        self.groups[place].members.append((nest, axis))
        self._note(place, nest, axis)

    def _add_all(self, place: int, nests: Sequence[_Nest], axes: Sequence[int]) -> None:
        for nest, axis in zip(nests, axes, strict=True):
            self._add(place, nest, axis)

    def _note(self, place: int, nest: _Nest, axis: int) -> None:
        if nest.store.buffer is not None:
            self._made[nest.store.buffer] = place, nest, axis


def _outer_axes(nest: _Nest) -> list[int]:
    """The axes that are placed outside of steps that have not begun."""
    if nest.recurrence is not None and nest.store.has_steps:
        return [axis for axis in nest.open if axis != 0]
    return list(nest.open)


def _is_earlier(load: Load, producer: _Nest) -> bool:
    """Whether it reads a state of an earlier step than the one that is being made."""
    if not producer.store.shift or not producer.loops:
        return False
    made = target(producer.store, producer.indices)[0]
    step = made + (-producer.store.shift)
    return step.plain in producer.loops and load.indices[0] == step


def _splits(nest: _Nest, axis: int) -> bool:
    """Whether a loop that is combined would stand around one that is not."""
    reduced = nest.store.reduced
    return reduced(axis) and any(not reduced(other) for other in nest.open)


def _block(group: _Group) -> Block:
    if group.var is None:
        ((nest, _),) = group.members
        return Statement(nest.store, nest.indices, nest.loops)
    inner = [nest.inside(axis, group.var) for nest, axis in group.members]
    return Loop(group.var, _placed(inner), group.sequential)
