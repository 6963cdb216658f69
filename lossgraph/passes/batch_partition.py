"""Separability over the batch axis: what shards of a batch compute, and how they combine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..ir.batching import BatchDim, NotBatchableError, checked
from ..ir.dims import Apply, Size, named, names
from ..ir.expr import (
    Expr,
    const,
    is_input,
    is_literal,
    rebuild,
    substitute,
    toposort,
    transform,
    variable,
)
from ..ir.ops import cast, reduce_sum, size_of
from ..ir.types import tensor_type

# The input of a shard that holds the number of samples of the whole batch.
BATCH_SIZE = "_batch_size"


@dataclass(frozen=True)
class BatchPartition:
    """How a graph is computed in shards of a batch.

    Attributes:
        dim: the name of the batch dim.
        inputs: the batch axis of each input; None for one that every shard needs whole.
        outputs: the batch axis of each output that has one: shards of it are concatenated.
        per_shard: what a shard computes, by name: those outputs, and sums over its samples.
        combined: the other outputs, computed once from the totals of those sums, which are
            variables of the same names, and ``BATCH_SIZE``.
    """

    dim: str
    inputs: Mapping[str, int | None]
    outputs: Mapping[str, int]
    per_shard: Mapping[str, Expr]
    combined: Mapping[str, Expr]

    @property
    def contiguous(self) -> bool:
        """Whether samples lie one after the other in memory."""
        return all(axis in (0, None) for axis in (*self.inputs.values(), *self.outputs.values()))

    @property
    def sums(self) -> list[str]:
        """The names of the sums."""
        return [name for name in self.per_shard if name not in self.outputs]


def partition_batch(
    inputs: Sequence[Expr], outputs: Mapping[str, Expr], dim: str | None = None
) -> BatchPartition | None:
    """How a graph separates over a batch dim, one of any name unless given; None if it does not.

    Operations before a sum over the batch must be batchable; after it only values that all
    samples share may follow. A gradient of the root of a mean has a value for each sample that
    depends on the sum, so its graph is not separable.
    """
    for name in _candidates(inputs, outputs) if dim is None else [dim]:
        try:
            return _partition(name, inputs, outputs)
        except NotBatchableError:
            continue
    return None


def independent_batch_dim(inputs: Sequence[Expr], outputs: Sequence[Expr]) -> str | None:
    """The dim that all inputs and outputs begin with, if samples are independent along it.

    Then requests may be joined to one batch, and its outputs split again.
    """
    dims = {node.shape[0] if node.rank else 1 for node in (*inputs, *outputs)}
    first = dims.pop()
    if dims or isinstance(first, int) or not first.name:
        return None
    try:
        batch_dims = [_input_batch_dim(node, first.name) for node in inputs]
        found = batch_dims_of(outputs, dict(zip(inputs, batch_dims, strict=True)), first.name)
    except NotBatchableError:
        return None
    return first.name if all(batch_dim == BatchDim(0) for batch_dim in found) else None


def _candidates(inputs: Sequence[Expr], outputs: Mapping[str, Expr]) -> list[str]:
    """Named dims of the first output, and those that an input begins with."""
    first = next(iter(outputs.values()))
    dims = [*first.shape, *(node.shape[0] for node in inputs if node.rank)]
    return list(dict.fromkeys(dim.name for dim in dims if not isinstance(dim, int) and dim.name))


def _partition(dim: str, inputs: Sequence[Expr], outputs: Mapping[str, Expr]) -> BatchPartition:
    batch_dims: dict[Expr, Any] = {node: _input_batch_dim(node, dim) for node in inputs}
    axes: dict[str, int | None] = {
        n.attrs["name"]: batch_dim and batch_dim.axis for n, batch_dim in batch_dims.items()
    }
    roots = _with_batch_size(list(outputs.values()), dim)
    batch_dims[_BATCH_SIZE] = None
    found, sums = _before_and_sums(roots, batch_dims, dim)
    parts: dict[str, Expr] = {}
    rest: dict[str, Expr] = {}
    for name, root in zip(outputs, roots, strict=True):
        (parts if root in found else rest)[name] = root
    if any(found[root] is None or found[root].blocks != 1 for root in parts.values()):
        raise NotBatchableError
    made = {node: variable(f"_sum_{i}", node.type) for i, node in enumerate(sums)}
    partial = {f"_sum_{i}": _partial(node, found[node.args[0]].axis) for i, node in enumerate(sums)}
    return BatchPartition(
        dim,
        axes,
        {name: found[root].axis for name, root in parts.items()},
        {**parts, **partial},
        dict(zip(rest, substitute(list(rest.values()), made), strict=True)),
    )


def _input_batch_dim(node: Expr, dim: str) -> BatchDim | None:
    axes = [axis for axis, size in enumerate(node.shape) if dim in names(size)]
    if not axes:
        return None
    if len(axes) > 1 or node.shape[axes[0]] != named(dim):
        raise NotBatchableError
    return BatchDim(axes[0])


# --- the batch size -----------------------------------------------------------------------

_BATCH_SIZE = variable(BATCH_SIZE, tensor_type("int64", ()))


def _with_batch_size(roots: Sequence[Expr], dim: str) -> list[Expr]:
    """The roots with sizes that contain the batch dim computed from ``BATCH_SIZE``."""

    def choose(node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op is size_of.op and dim in names(node.attrs["size"]):
            return _computed(node.attrs["size"], dim)
        return rebuild(node, args)

    return transform(roots, choose)


def _computed(size: Size, dim: str) -> Expr:
    total: Expr = const(0, "int64")
    for monomial, coefficient in size.terms:
        term: Expr = const(coefficient, "int64")
        for atom in monomial:
            if isinstance(atom, Apply):
                raise NotBatchableError
            term = term * (_BATCH_SIZE if atom == dim else size_of(named(atom)))
        total = total + term
    return total


# --- sums over the samples ----------------------------------------------------------------


def _before_and_sums(
    roots: Sequence[Expr], batch_dims: Mapping[Expr, Any], dim: str
) -> tuple[dict[Expr, Any], list[Expr]]:
    """The batch dims of all that precedes sums over the batch, and these sums."""
    found, sums, after = dict(batch_dims), [], set[Expr]()
    for node in toposort(roots):
        if node in found:
            continue
        if any(arg in after for arg in node.args):
            apart = [found[arg] for arg in node.args if arg not in after]
            if any(batch_dim is not None for batch_dim in apart) or _has(node.type, dim):
                raise NotBatchableError
            after.add(node)
        elif _is_sum_over(node, found):
            sums.append(node)
            after.add(node)
        else:
            found[node] = checked(node, _batch_dim(node, found, dim), dim)
    return found, sums


def _is_sum_over(node: Expr, found: Mapping[Expr, Any]) -> bool:
    if node.op is not reduce_sum.op:
        return False
    batch_dim = found[node.args[0]]
    return batch_dim is not None and batch_dim.blocks == 1 and batch_dim.axis in node.attrs["axes"]


def _has(type_: Any, dim: str) -> bool:
    shapes = [item.shape for item in type_.items] if hasattr(type_, "items") else [type_.shape]
    return any(dim in names(size) for shape in shapes for size in shape)


def _partial(node: Expr, axis: int) -> Expr:
    """The sum over a shard's samples, accumulated in float64, which long sums need."""
    inner = reduce_sum(node.args[0], [i for i in node.attrs["axes"] if i != axis])
    return reduce_sum(cast(inner, "float64") if node.type.is_float else inner, [axis])


# --- propagation --------------------------------------------------------------------------


def batch_dims_of(roots: Sequence[Expr], known: Mapping[Expr, Any], batch: str) -> list[Any]:
    """The batch dim of each root, given those of the inputs.

    Raises:
        NotBatchableError: if an operation mixes samples.
    """
    found: dict[Expr, Any] = dict(known)
    for node in toposort(roots):
        if node not in found:
            found[node] = checked(node, _batch_dim(node, found, batch), batch)
    return [found[root] for root in roots]


def _batch_dim(node: Expr, found: Mapping[Expr, Any], batch: str) -> Any:
    if is_literal(node):
        return None
    if is_input(node) or node.op.batching is None:
        raise NotBatchableError
    return node.op.batching(node, [found[arg] for arg in node.args], batch)
