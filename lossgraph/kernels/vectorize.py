"""Which loop becomes vectors: one on every way from the outside to the innermost loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..ir.dims import Dim, product
from .index import Clamped, Index, LoopVar, address
from .loops import Loop, Statement, loops_of, statements
from .values import Buffer, Input, Load, needed

# Rows whose innermost loops are shorter than this go by lanes, one row each: along so short a row
# most lanes of a vector would be empty. Where several loops along a row wait for each other's total
# (a softmax), each of them ends with a sum across lanes, which pays for rows twice as long only.
NARROW = 48
NARROW_IN_TURNS = 96
MOST_OF_A_ROW = 128  # elements of an array that belong to a row which goes by lanes


@dataclass(frozen=True)
class Variant:
    """One way to write a sweep: the variables whose loops are vectors.

    Attributes:
        vectors: those variables.
        rows: whether it is the outermost loop, each lane a row.
        long: whether what a lane goes along may be long, so that its sums need care.
    """

    vectors: frozenset[LoopVar]
    rows: bool
    long: bool = False


def variants(sweep: Loop) -> list[Variant]:
    """The ways to write a sweep, the one for narrow rows first; two where sizes decide."""
    by_rows = Variant(frozenset((sweep.var,)), True)
    if sweep.is_leaf:
        return [by_rows]
    if all(_lies_across(sweep.var, leaf) for leaf in _leaves(sweep)):
        return [Variant(by_rows.vectors, True, long=True)]
    inner = Variant(frozenset(_picked(sweep, inner=True)), False)
    if any(loop.sequential and not loop.is_leaf for loop in loops_of([sweep])):
        return [inner]  # arrays over steps of as many samples as there are lanes fill caches
    known = [(size, most) for size, most in narrow_if(sweep) if isinstance(size, int)]
    if any(size > most for size, most in known):
        return [inner]
    return [by_rows] if len(known) == len(narrow_if(sweep)) else [by_rows, inner]


def narrow_if(sweep: Loop) -> list[tuple[Dim, int]]:
    """The sizes that must not exceed a number for rows to go by lanes."""
    widths = {array.width for array in row_arrays(sweep)}
    most = NARROW_IN_TURNS if len(_leaves(sweep)) > 1 else NARROW
    return [
        *((size, most) for size in leaf_sizes(sweep)),
        *((width, MOST_OF_A_ROW) for width in sorted(widths, key=str)),
    ]


@dataclass(frozen=True)
class RowArray:
    """An input or output of which each row of a sweep has a piece, and sees no other.

    Attributes:
        number: its place among the inputs or outputs.
        dtype: of an input its dtype.
        width: the elements of a row.
        is_input: which of the two it is.
    """

    number: int
    dtype: str
    width: Dim
    is_input: bool

    @property
    def name(self) -> str:
        """Its name in C."""
        return f"{'in' if self.is_input else 'out'}{self.number}"


def row_arrays(sweep: Loop) -> list[RowArray]:
    """The arrays that a sweep goes through row by row, and in no other way."""
    inside = list(statements([sweep]))
    loads: dict[Input, list[Load]] = {}
    for value in needed([statement.value for statement in inside]):
        if isinstance(value.detail, Load) and isinstance(value.detail.source, Input):
            loads.setdefault(value.detail.source, []).append(value.detail)
    read = [
        RowArray(source.number, source.dtype, product(found[0].shape[1:]), True)
        for source, found in loads.items()
        if all(_is_row(load.shape, load.indices, sweep.var) for load in found)
    ]
    written = [
        RowArray(store.output, "", product(store.node.shape[1:]), False)
        for statement in inside
        if (store := statement.store).output is not None
        and _is_row(store.node.shape, statement.target, sweep.var)
    ]
    return [*read, *written]


def _is_row(shape: Sequence[Dim], indices: Sequence[Index], row: LoopVar) -> bool:
    return (
        len(shape) > 1
        and product(shape[1:]) != 1
        and indices[0].plain is row
        and all(stride_of(index, row) == 0 for index in indices[1:])
    )


def leaf_sizes(loop: Loop) -> list[Dim]:
    """The lengths of the innermost loops inside a loop."""
    found: list[Dim] = []
    for item in loop.body:
        if isinstance(item, Loop):
            found += [item.var.size] if item.is_leaf else leaf_sizes(item)
    return list(dict.fromkeys(found))


def _picked(loop: Loop, inner: bool = False) -> list[LoopVar]:
    """The loops to make vectors of; ``inner`` leaves the loop itself out."""
    if loop.is_leaf:
        return [] if loop.sequential else [loop.var]
    children = [item for item in loop.body if isinstance(item, Loop)]
    if not inner and not loop.sequential:
        mine = unit_strides(loop.var, list(statements([loop])))
        theirs = min(unit_strides(leaf.var, list(statements([leaf]))) for leaf in _leaves(loop))
        if mine > theirs:
            return [loop.var]
    return [var for child in children for var in _picked(child)]


def _leaves(loop: Loop) -> list[Loop]:
    if loop.is_leaf:
        return [loop]
    return [leaf for item in loop.body if isinstance(item, Loop) for leaf in _leaves(item)]


def _lies_across(var: LoopVar, leaf: Loop) -> bool:
    """Whether neighbours in memory are iterations of an outer loop and not of this one."""
    inside = list(statements([leaf]))
    return unit_strides(var, inside) > unit_strides(leaf.var, inside)


def unit_strides(var: LoopVar, inside: Sequence[Statement]) -> float:
    """The share of reads and writes that go along a variable element by element."""
    strides = [stride for place in _accesses(inside) if (stride := _along(place, var)) != 0]
    return sum(stride == 1 for stride in strides) / len(strides) if strides else 0.0


def stride_of(index: Index, var: LoopVar) -> Dim:
    """The elements between two steps of a variable."""
    return dict(index.terms).get(var, 0)


def _along(index: Index, var: LoopVar) -> Dim:
    """The same of an index that may have been moved inside of its axis."""
    inner = (_along(atom.index, var) * f for atom, f in index.terms if isinstance(atom, Clamped))
    return sum(inner, stride_of(index, var))


def _accesses(inside: Sequence[Statement]) -> list[Index]:
    loads = {
        (statement.loops[0], value.detail)
        for statement in inside
        for value in needed([statement.value])
        if isinstance(value.detail, Load)
    }
    stores = [_place(s.target, s.store.shape, _row_of(s)) for s in inside if not s.store.how]
    read = (_place(load.indices, load.shape, _row_if_kept(row, load)) for row, load in loads)
    return [*read, *stores]


def _row_of(statement: Statement) -> LoopVar | None:
    return None if statement.store.buffer is None else statement.loops[0]


def _row_if_kept(row: LoopVar, load: Load) -> LoopVar | None:
    return row if isinstance(load.source, Buffer) else None


def _place(indices: Sequence[Index], shape: Sequence[Dim], row: LoopVar | None) -> Index:
    """An address; what is kept has no axis of the rows."""
    axes = [axis for axis, index in enumerate(indices) if row not in index.variables]
    return address([indices[axis] for axis in axes], [shape[axis] for axis in axes])
