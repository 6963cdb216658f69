"""Batch-axis propagation: on which axis of a value the samples of a batch lie.

An operation is batchable if what it computes for a sample depends on that sample alone: then any
part of the batch may be computed by itself. Each operation declares how the batch axis passes
through it (``Op.batching``); the rules that several operations share are here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .dims import Dim, Size, floordiv, named, names, product

if TYPE_CHECKING:
    from .expr import Expr


class BatchDim(NamedTuple):
    """The axis that the samples lie on, which holds the whole batch ``blocks`` times over."""

    axis: int
    blocks: int = 1


BatchDims = Sequence[BatchDim | None]  # of the arguments; None for a value that all samples share


class NotBatchableError(Exception):
    """A result depends on other samples, on their number, or on the place in the batch."""


def common(found: Iterable[BatchDim | None]) -> BatchDim | None:
    """The one batch dim of the arguments that have any."""
    different = {batch_dim for batch_dim in found if batch_dim is not None}
    if len(different) > 1:
        raise NotBatchableError
    return different.pop() if different else None


def pointwise(node: Expr, batch_dims: BatchDims, batch: str) -> BatchDim | None:
    """Element by element, with broadcasting."""
    return common(
        batch_dim and BatchDim(node.rank - arg.rank + batch_dim.axis, batch_dim.blocks)
        for arg, batch_dim in zip(node.args, batch_dims, strict=True)
    )


def not_over(axes: Iterable[int], batch_dim: BatchDim | None) -> BatchDim | None:
    """The same batch dim, for an operation over other axes."""
    if batch_dim is not None and batch_dim.axis in axes:
        raise NotBatchableError
    return batch_dim


def reduction(node: Expr, batch_dims: BatchDims, batch: str) -> BatchDim | None:
    """Over the axes of the attribute ``axes``, which keep the length one."""
    return not_over(node.attrs["axes"], batch_dims[0])


def within_axis(node: Expr, batch_dims: BatchDims, batch: str) -> BatchDim | None:
    """Along the axis of the attribute ``axis``; all arguments have the rank of the result."""
    axis = node.attrs["axis"]
    return common(not_over((axis,), batch_dim) for batch_dim in batch_dims)


def sizes_only(node: Expr, batch_dims: BatchDims, batch: str) -> None:
    """Values made of sizes."""
    if any(isinstance(v, Size) and batch in names(v) for v in node.attrs.values()):
        raise NotBatchableError


def reshape(node: Expr, batch_dims: BatchDims, batch: str) -> BatchDim | None:
    """The axis survives where as many elements lie before it as did."""
    if batch_dims[0] is None:
        return None
    before, (axis, blocks) = node.args[0].shape, batch_dims[0]
    for i, dim in enumerate(node.shape):
        if dim == before[axis] and product(node.shape[:i]) == product(before[:axis]):
            return BatchDim(i, blocks)
    raise NotBatchableError


def broadcast(node: Expr, batch_dims: BatchDims, batch: str) -> BatchDim | None:
    """A value that all samples share may be repeated for each of them."""
    if batch_dims[0] is not None:
        return pointwise(node, batch_dims, batch)
    return common(
        BatchDim(i, _blocks(dim, batch)) for i, dim in enumerate(node.shape) if _has(dim, batch)
    )


def transpose(node: Expr, batch_dims: BatchDims, batch: str) -> BatchDim | None:
    """To where the permutation brings it."""
    if batch_dims[0] is None:
        return None
    return BatchDim(node.attrs["perm"].index(batch_dims[0].axis), batch_dims[0].blocks)


def slices(node: Expr, batch_dims: BatchDims, batch: str) -> BatchDim | None:
    """The whole batch axis, or some of its blocks."""
    batch_dim, attrs = batch_dims[0], node.attrs
    if any(
        _has(start, batch)
        for i, start in enumerate(attrs["starts"])
        if not batch_dim or i != batch_dim.axis
    ):
        raise NotBatchableError
    if batch_dim is None:
        return None
    start = attrs["starts"][batch_dim.axis]
    if attrs["steps"][batch_dim.axis] != 1 or (start != 0 and _blocks(start, batch) < 1):
        raise NotBatchableError
    return BatchDim(batch_dim.axis, _blocks(attrs["sizes"][batch_dim.axis], batch))


def pad(node: Expr, batch_dims: BatchDims, batch: str) -> BatchDim | None:
    """Of other axes than that of the batch."""
    grown = [
        i for i, (a, b) in enumerate(zip(node.shape, node.args[0].shape, strict=True)) if a != b
    ]
    return not_over(grown, batch_dims[0])


def concat(node: Expr, batch_dims: BatchDims, batch: str) -> BatchDim | None:
    """Along another axis, or of whole batches along the batch axis."""
    axis = node.attrs["axis"]
    if all(batch_dim is not None and batch_dim.axis == axis for batch_dim in batch_dims):
        return BatchDim(
            axis, sum(batch_dim.blocks for batch_dim in batch_dims if batch_dim is not None)
        )
    return within_axis(node, batch_dims, batch)


def take(node: Expr, batch_dims: BatchDims, batch: str) -> BatchDim | None:
    """Each sample indexes a shared table, or a shared index selects from every sample."""
    (table, index), axis = batch_dims, node.attrs["axis"]
    if table is not None and index is not None:
        raise NotBatchableError
    if index is not None:
        return BatchDim(axis + index.axis, index.blocks)
    not_over((axis,), table)
    if table is None or table.axis < axis:
        return table
    return BatchDim(table.axis + node.args[1].rank - 1, table.blocks)


def matmul(node: Expr, batch_dims: BatchDims, batch: str) -> BatchDim | None:
    """Stacked products, or samples as the rows or columns of one product."""
    left, right = node.args
    row, column = node.rank - 2, node.rank - 1
    if batch_dims[0] is not None and batch_dims[0].axis == left.rank - 1:
        raise NotBatchableError
    if batch_dims[1] is not None and batch_dims[1].axis == right.rank - 2:
        raise NotBatchableError
    batch_dim = pointwise(node, batch_dims, batch)
    if batch_dim is not None and batch_dim.axis in (row, column) and None not in batch_dims:
        raise NotBatchableError
    return batch_dim


def one_hot(node: Expr, batch_dims: BatchDims, batch: str) -> BatchDim | None:
    """With a new last axis."""
    return batch_dims[0]


def checked(node: Expr, batch_dim: Any, batch: str) -> Any:
    """The batch dim, if the type has the batch in its shape there and nowhere else."""
    for type_, found in zip(*_each(node.type, batch_dim), strict=True):
        places = [(i, dim) for i, dim in enumerate(type_.shape) if _has(dim, batch)]
        if [(i, _blocks(dim, batch)) for i, dim in places] != ([found] if found else []):
            raise NotBatchableError
    return batch_dim


def _each(type_: Any, batch_dim: Any) -> tuple[Sequence[Any], Sequence[Any]]:
    """Types and batch dims of the results, several or one."""
    return (type_.items, batch_dim) if hasattr(type_, "items") else ((type_,), (batch_dim,))


def _has(dim: Dim, batch: str) -> bool:
    return batch in names(dim)


def _blocks(dim: Dim, batch: str) -> int:
    """How many times the batch a length is."""
    count = floordiv(dim, named(batch))
    if not isinstance(count, int) or named(batch) * count != dim:
        raise NotBatchableError
    return count
