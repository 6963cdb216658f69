"""Batches that were joined along the samples' axis, taken apart again.

An engine that runs operator by operator is faster with two recurrences side by side in one array:
half the operators. A kernel follows one sample at a time, and wants what belongs to one sample in
its own place. Where samples stay apart (``ir.batching``), what is computed of joined batches is
the join of what is computed of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..ir import batching
from ..ir.batching import BatchDim, NotBatchableError, checked
from ..ir.dims import Dim, Size, floordiv, named
from ..ir.expr import Body, Expr, is_input, is_literal, rebuild, toposort, variable
from ..ir.ops import concat, slice_

_MIXED = object()  # the batch dim of what no sample has alone


def taken_apart(inputs: Sequence[Expr], roots: Sequence[Expr]) -> list[Expr]:
    """The roots, with recurrences over one batch each in the place of those over several."""
    if not any(node.op.has_body for node in toposort(roots)):
        return list(roots)
    firsts = [node.shape[0] for node in (*inputs, *roots) if node.rank]
    for name in dict.fromkeys(d.name for d in firsts if isinstance(d, Size) and d.name):
        known = {node: _of_input(node, named(name)) for node in inputs}
        apart = _Apart(roots, known, name)
        if any(_blocks(found) > 1 for found in apart.batch_dims.values()):
            return [apart.whole(root) for root in roots]
    return list(roots)


class _Apart:
    """Nodes as their parts, one of each batch that they hold."""

    def __init__(self, roots: Sequence[Expr], known: Mapping[Expr, Any], batch: str) -> None:
        self._batch = batch
        self.batch_dims: dict[Expr, Any] = dict(known)
        self._parts: dict[Expr, list[Expr]] = {}
        nodes = toposort(roots)
        for node in nodes:
            if node not in self.batch_dims:
                self.batch_dims[node] = self._batch_dim(node)
        for node in nodes:
            count = _blocks(self.batch_dims[node])
            self._parts[node] = [self._part(node, place) for place in range(count)]

    def whole(self, node: Expr) -> Expr:
        """A node of its parts."""
        parts = self._parts[node]
        return parts[0] if len(parts) == 1 else concat(parts, self.batch_dims[node].axis)

    def part(self, node: Expr, place: int) -> Expr:
        """One part of a node; all of what holds one batch, or none."""
        parts = self._parts[node]
        return parts[place] if len(parts) > 1 else parts[0]

    def _batch_dim(self, node: Expr) -> Any:
        if is_literal(node):
            return None
        found = [self.batch_dims[arg] for arg in node.args]
        if is_input(node) or node.op.batching is None or _MIXED in found:
            return _MIXED
        try:
            return checked(node, node.op.batching(node, found, self._batch), self._batch)
        except NotBatchableError:
            return _MIXED

    def _part(self, node: Expr, place: int) -> Expr:
        here = self.batch_dims[node]
        if is_literal(node):
            return node
        if is_input(node):
            return self._input(node, _blocks(here))
        several = any(_blocks(self.batch_dims[arg]) > 1 for arg in node.args)
        if node.op.batching is batching.concat and _blocks(here) > 1:
            if node.attrs["axis"] == here.axis:
                return self._joined(node, place)
        elif here is _MIXED or not several:
            args = [self.whole(arg) for arg in node.args]
            return self._rebuilt(node, args, _blocks(here))
        if node.op is slice_.op:
            return self._slice(node, here, place)
        args = [self.part(arg, place) for arg in node.args]
        return self._rebuilt(node, args, max(_blocks(self.batch_dims[a]) for a in node.args))

    def _input(self, node: Expr, blocks: int) -> Expr:
        if blocks == 1:
            return node
        shape = [self._one(dim, blocks) for dim in node.shape]
        return variable(node.attrs["name"], node.type.with_shape(shape))

    def _joined(self, node: Expr, place: int) -> Expr:
        for arg in node.args:
            count = _blocks(self.batch_dims[arg])
            if place < count:
                return self.part(arg, place)
            place -= count
        raise AssertionError("a join has the parts of its arguments")

    def _slice(self, node: Expr, here: BatchDim, place: int) -> Expr:
        """The part that it begins with, or one that follows, sliced along the other axes."""
        axis, attrs, batch = here.axis, node.attrs, named(self._batch)
        start = attrs["starts"][axis]
        begin = 0 if start == 0 else floordiv(start, batch)
        assert isinstance(begin, int)
        starts, sizes = list(attrs["starts"]), list(attrs["sizes"])
        starts[axis], sizes[axis] = 0, batch
        return slice_(self.part(node.args[0], begin + place), starts, attrs["steps"], sizes)

    def _rebuilt(self, node: Expr, args: Sequence[Expr], blocks: int) -> Expr:
        if blocks == 1:
            return rebuild(node, args)
        attrs = {key: self._attr(value, blocks) for key, value in node.attrs.items()}
        if node.op.has_body:
            attrs["body"] = self._body(node)
        return node.op(*args, **attrs)

    def _attr(self, value: Any, blocks: int) -> Any:
        if isinstance(value, tuple):
            return tuple(self._attr(item, blocks) for item in value)
        return self._one(value, blocks) if isinstance(value, Size) else value

    def _one(self, dim: Dim, blocks: int) -> Dim:
        return named(self._batch) if dim == named(self._batch) * blocks else dim

    def _body(self, node: Expr) -> Body:
        body, states, read = (node.attrs[key] for key in ("body", "num_carry", "num_xs"))
        outer = [self.batch_dims[arg] for arg in node.args]
        elements = [d and BatchDim(d.axis - 1, d.blocks) for d in outer[states : states + read]]
        inside = [*outer[:states], *elements, *outer[states + read :]]
        parts = _Apart(body.outputs, dict(zip(body.inputs, inside, strict=True)), self._batch)
        names = [parts._input(v, _blocks(d)) for v, d in zip(body.inputs, inside, strict=True)]
        return Body(tuple(names), tuple(parts.part(o, 0) for o in body.outputs), body.depth)


def _of_input(node: Expr, batch: Dim) -> Any:
    axes = [axis for axis, dim in enumerate(node.shape) if dim == batch]
    return BatchDim(axes[0]) if len(axes) == 1 else _MIXED if axes else None


def _blocks(batch_dim: Any) -> int:
    """How many batches there are, of one result or the most of several."""
    if isinstance(batch_dim, BatchDim):
        return batch_dim.blocks
    return max(map(_blocks, batch_dim), default=1) if isinstance(batch_dim, tuple) else 1
