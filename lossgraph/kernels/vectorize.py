"""Which loop becomes vectors: one on every way from the outside to the innermost loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..ir.dims import Dim
from .index import Index, LoopVar, address
from .loops import Loop, Statement, statements
from .values import Load, needed

# Rows of fewer elements than this go by lanes, one row each: along so short a row most lanes of a
# vector would be empty.
NARROW = 48


@dataclass(frozen=True)
class Variant:
    """One way to write a sweep: the variables whose loops are vectors.

    Attributes:
        vectors: those variables.
        rows: whether it is the outermost loop, each lane a row.
    """

    vectors: frozenset[LoopVar]
    rows: bool


def variants(sweep: Loop) -> list[Variant]:
    """The ways to write a sweep, the one for narrow rows first; two where sizes decide."""
    by_rows = Variant(frozenset((sweep.var,)), True)
    if sweep.is_leaf:
        return [by_rows]
    inner = Variant(frozenset(_picked(sweep, inner=True)), False)
    lengths = leaf_sizes(sweep)
    if all(isinstance(size, int) for size in lengths):
        return [by_rows if all(size <= NARROW for size in lengths) else inner]  # type: ignore[operator]
    return [by_rows, inner]


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


def unit_strides(var: LoopVar, inside: Sequence[Statement]) -> float:
    """The share of reads and writes that go along a variable element by element."""
    strides = [stride for place in _accesses(inside) if (stride := stride_of(place, var)) != 0]
    return sum(stride == 1 for stride in strides) / len(strides) if strides else 0.0


def stride_of(index: Index, var: LoopVar) -> Dim:
    """The elements between two steps of a variable."""
    return dict(index.terms).get(var, 0)


def _accesses(inside: Sequence[Statement]) -> list[Index]:
    loads = {
        value.detail
        for statement in inside
        for value in needed([statement.value])
        if isinstance(value.detail, Load)
    }
    stores = [
        address(statement.target, statement.store.shape)
        for statement in inside
        if not statement.store.how
    ]
    return [*(address(load.indices, load.shape) for load in loads), *stores]
