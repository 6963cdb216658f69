"""Where what a loop computes for others is kept: a register, a row of scratch memory, or arrays."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile

from ..ir.dims import Dim, product
from .index import Index, LoopVar, address
from .loops import Block, Statement, statements
from .values import Buffer


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
        axes: the axes of the node that the memory has; the others are one iteration's.
        around: the loops that producer and readers share.
    """

    place: Place
    axes: tuple[int, ...]
    around: tuple[LoopVar, ...]

    def shape(self, buffer: Buffer) -> list[Dim]:
        """The lengths of its axes."""
        return [buffer.node.shape[axis] for axis in self.axes]

    def elements(self, buffer: Buffer) -> Dim:
        """How many numbers it holds."""
        return product(self.shape(buffer))

    def address(self, buffer: Buffer, indices: Sequence[Index]) -> Index:
        """The place of an element of the node."""
        return address([indices[axis] for axis in self.axes], self.shape(buffer))


def storage_of(blocks: Sequence[Block]) -> dict[Buffer, Storage]:
    """The memory of every buffer."""
    order = list(statements(blocks))
    readers: dict[Buffer, list[Statement]] = {}
    for statement in order:
        for buffer in statement.value.buffers:
            readers.setdefault(buffer, []).append(statement)
    return {
        statement.store.buffer: _storage(statement, readers.get(statement.store.buffer, []))
        for statement in order
        if statement.store.buffer is not None
    }


def _storage(producer: Statement, readers: Iterable[Statement]) -> Storage:
    free = tuple(takewhile(lambda var: not producer.is_reduced(var), producer.loops))
    shared = free
    for reader in readers:
        pairs = zip(shared, reader.loops, strict=False)
        shared = tuple(mine for mine, _ in takewhile(lambda pair: pair[0] is pair[1], pairs))
    axes = tuple(
        axis
        for axis, index in enumerate(producer.target)
        if index.plain is not None and index.plain not in shared
    )
    if not free:
        return Storage(Place.NUMBER, (), ())
    if not shared:
        return Storage(Place.SHARED, axes, ())
    return Storage(Place.SCRATCH if axes else Place.REGISTER, axes, shared)


Storages = Mapping[Buffer, Storage]
