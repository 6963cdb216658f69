"""Where what a loop computes for others is kept: a register, a row of scratch memory, or arrays."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from ..ir.dims import Dim, product
from .index import Index, LoopVar, Remainder, address, index_of
from .loops import Block, Statement, statements
from .values import Buffer, Load, Value, needed


class Place(enum.Enum):
    """What memory a buffer needs."""

    REGISTER = enum.auto()  # read in the iteration that makes it
    SCRATCH = enum.auto()  # an array of each chunk
    SHARED = enum.auto()  # an array of the call: other loops over the samples read it
    NUMBER = enum.auto()  # one number of the call


@dataclass(frozen=True)
class Storage:
    """Memory of a buffer.

    Attributes:
        place: what sort it is.
        axes: the axes of the buffer that the memory has; the others are one iteration's.
        around: the loops that producers and readers share.
        folded: whether of the first axis, that of steps, only this one and the next are kept.
    """

    place: Place
    axes: tuple[int, ...]
    around: tuple[LoopVar, ...]
    folded: bool = False

    def shape(self, buffer: Buffer) -> list[Dim]:
        """The lengths of its axes."""
        return [2 if self.folded and not axis else buffer.shape[axis] for axis in self.axes]

    def elements(self, buffer: Buffer) -> Dim:
        """How many numbers it holds."""
        return product(self.shape(buffer))

    def address(self, buffer: Buffer, indices: Sequence[Index]) -> Index:
        """The place of an element of the node."""
        found = list(indices)
        if self.folded:
            found[0] = index_of(Remainder(found[0], 2))
        return address([found[axis] for axis in self.axes], self.shape(buffer))


def storage_of(blocks: Sequence[Block]) -> dict[Buffer, Storage]:
    """The memory of every buffer."""
    order = list(statements(blocks))
    readers: dict[Buffer, list[Statement]] = {}
    producers: dict[Buffer, list[Statement]] = {}
    for statement in order:
        for buffer in statement.buffers:
            readers.setdefault(buffer, []).append(statement)
        if statement.store.buffer is not None:
            producers.setdefault(statement.store.buffer, []).append(statement)
    return {b: _storage(b, made, readers.get(b, [])) for b, made in producers.items()}


def _storage(buffer: Buffer, made: Sequence[Statement], readers: Sequence[Statement]) -> Storage:
    free = [_until(each.loops, each.is_reduced) for each in made]
    shared = _common([*free, *(reader.loops for reader in readers)])
    axes = tuple(
        axis
        for axis in range(len(buffer.shape))
        if any(not each.target[axis].variables <= set(shared) for each in made)
    )
    if not all(free):
        return Storage(Place.NUMBER, (), ())
    if not shared:
        return Storage(Place.SHARED, axes, ())
    if not axes:
        return Storage(Place.REGISTER, axes, shared)
    return Storage(Place.SCRATCH, axes, shared, _is_folded(buffer, made, readers))


def _is_folded(buffer: Buffer, made: Sequence[Statement], readers: Sequence[Statement]) -> bool:
    """Whether only the step that is made, the one before it, and the last of all are read."""
    if not buffer.carried:
        return False
    steps = {loop for each in made for loop in each.target[0].variables}
    return all(
        not load.indices[0].terms or (load.indices[0].variables <= steps and steps <= {*each.loops})
        for each in readers
        for load in loads_of(needed(each.values))
        if load.source is buffer
    )


def _common(paths: Sequence[Sequence[LoopVar]]) -> tuple[LoopVar, ...]:
    """The loops that all paths from the outside inwards begin with."""
    found: list[LoopVar] = []
    for each in zip(*paths, strict=False):
        if any(var is not each[0] for var in each):
            break
        found.append(each[0])
    return tuple(found)


def _until(loops: Sequence[LoopVar], stop: Callable[[LoopVar], bool]) -> tuple[LoopVar, ...]:
    return tuple(itertools.takewhile(lambda var: not stop(var), loops))


def loads_of(values: Iterable[Value]) -> list[Load]:
    """The loads among values."""
    return [value.detail for value in values if isinstance(value.detail, Load)]


Storages = Mapping[Buffer, Storage]
