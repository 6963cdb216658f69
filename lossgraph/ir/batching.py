"""Which axis of a value runs over the samples of a batch, and whether samples stay apart.

A graph is separable along a named dim if every operation keeps what it computes for one sample
apart from the others: then any part of the batch may be computed by itself. Each operation
declares how that axis passes through it (``Op.along``); the rules that several share are here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .dims import Dim, Size, floordiv, named, names, product

if TYPE_CHECKING:
    from .expr import Expr


class Lane(NamedTuple):
    """An axis along which samples lie, in ``blocks`` runs of the whole batch each."""

    axis: int
    blocks: int = 1


Lanes = Sequence[Lane | None]  # of the arguments; None for what is the same for every sample


class MixedError(Exception):
    """Samples see each other, or their number, or their place in the batch."""


def one(found: Iterable[Lane | None]) -> Lane | None:
    """The lane that all agree on who have one."""
    distinct = {lane for lane in found if lane is not None}
    if len(distinct) > 1:
        raise MixedError
    return distinct.pop() if distinct else None


def pointwise(node: Expr, lanes: Lanes, batch: str) -> Lane | None:
    """Element by element, with broadcasting."""
    return one(
        lane and Lane(node.rank - arg.rank + lane.axis, lane.blocks)
        for arg, lane in zip(node.args, lanes, strict=True)
    )


def not_over(axes: Iterable[int], lane: Lane | None) -> Lane | None:
    """A lane that an operation over ``axes`` leaves alone."""
    if lane is not None and lane.axis in axes:
        raise MixedError
    return lane


def reduction(node: Expr, lanes: Lanes, batch: str) -> Lane | None:
    """Over the attribute ``axes``, which keep the length one."""
    return not_over(node.attrs["axes"], lanes[0])


def within_axis(node: Expr, lanes: Lanes, batch: str) -> Lane | None:
    """Along the attribute ``axis``, by arguments that all have the rank of the result."""
    axis = node.attrs["axis"]
    return one(not_over((axis,), lane) for lane in lanes)


def sizes_only(node: Expr, lanes: Lanes, batch: str) -> None:
    """Values made of sizes."""
    if any(isinstance(v, Size) and batch in names(v) for v in node.attrs.values()):
        raise MixedError


def reshape(node: Expr, lanes: Lanes, batch: str) -> Lane | None:
    """The axis survives where as many elements lie before it as did."""
    if lanes[0] is None:
        return None
    before, (axis, blocks) = node.args[0].shape, lanes[0]
    for i, dim in enumerate(node.shape):
        if dim == before[axis] and product(node.shape[:i]) == product(before[:axis]):
            return Lane(i, blocks)
    raise MixedError


def broadcast(node: Expr, lanes: Lanes, batch: str) -> Lane | None:
    """What is repeated for each sample is the same for each."""
    if lanes[0] is not None:
        return pointwise(node, lanes, batch)
    return one(Lane(i, _blocks(dim, batch)) for i, dim in enumerate(node.shape) if _has(dim, batch))


def transpose(node: Expr, lanes: Lanes, batch: str) -> Lane | None:
    """To where the permutation brings it."""
    if lanes[0] is None:
        return None
    return Lane(node.attrs["perm"].index(lanes[0].axis), lanes[0].blocks)


def slices(node: Expr, lanes: Lanes, batch: str) -> Lane | None:
    """All of the axis, or some of its blocks."""
    lane, attrs = lanes[0], node.attrs
    if any(
        _has(start, batch) for i, start in enumerate(attrs["starts"]) if not lane or i != lane.axis
    ):
        raise MixedError
    if lane is None:
        return None
    start = attrs["starts"][lane.axis]
    if attrs["steps"][lane.axis] != 1 or (start != 0 and _blocks(start, batch) < 1):
        raise MixedError
    return Lane(lane.axis, _blocks(attrs["sizes"][lane.axis], batch))


def pad(node: Expr, lanes: Lanes, batch: str) -> Lane | None:
    """Along other axes."""
    grown = [
        i for i, (a, b) in enumerate(zip(node.shape, node.args[0].shape, strict=True)) if a != b
    ]
    return not_over(grown, lanes[0])


def concat(node: Expr, lanes: Lanes, batch: str) -> Lane | None:
    """Beside each other along another axis, or block after block."""
    axis = node.attrs["axis"]
    if all(lane is not None and lane.axis == axis for lane in lanes):
        return Lane(axis, sum(lane.blocks for lane in lanes if lane is not None))
    return within_axis(node, lanes, batch)


def take(node: Expr, lanes: Lanes, batch: str) -> Lane | None:
    """From a table by the samples' indices, or the same slices of every sample."""
    (table, index), axis = lanes, node.attrs["axis"]
    if table is not None and index is not None:
        raise MixedError
    if index is not None:
        return Lane(axis + index.axis, index.blocks)
    not_over((axis,), table)
    if table is None or table.axis < axis:
        return table
    return Lane(table.axis + node.args[1].rank - 1, table.blocks)


def matmul(node: Expr, lanes: Lanes, batch: str) -> Lane | None:
    """One product for each sample, or samples as rows or columns."""
    left, right = node.args
    row, column = node.rank - 2, node.rank - 1
    if lanes[0] is not None and lanes[0].axis == left.rank - 1:
        raise MixedError
    if lanes[1] is not None and lanes[1].axis == right.rank - 2:
        raise MixedError
    lane = pointwise(node, lanes, batch)
    if lane is not None and lane.axis in (row, column) and None not in lanes:
        raise MixedError
    return lane


def one_hot(node: Expr, lanes: Lanes, batch: str) -> Lane | None:
    """With a new last axis."""
    return lanes[0]


def checked(node: Expr, lane: Any, batch: str) -> Any:
    """A lane that is where the type says that the batch is, and nowhere else."""
    for type_, found in zip(*_each(node.type, lane), strict=True):
        places = [(i, dim) for i, dim in enumerate(type_.shape) if _has(dim, batch)]
        if [(i, _blocks(dim, batch)) for i, dim in places] != ([found] if found else []):
            raise MixedError
    return lane


def _each(type_: Any, lane: Any) -> tuple[Sequence[Any], Sequence[Any]]:
    """Types and lanes of an operation with several results, or of one."""
    return (type_.items, lane) if hasattr(type_, "items") else ((type_,), (lane,))


def _has(dim: Dim, batch: str) -> bool:
    return batch in names(dim)


def _blocks(dim: Dim, batch: str) -> int:
    """How many times the batch a length is."""
    count = floordiv(dim, named(batch))
    if not isinstance(count, int) or named(batch) * count != dim:
        raise MixedError
    return count
