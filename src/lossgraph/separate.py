"""Whether a graph may be computed for parts of a batch, and where the batch lies in its arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .dims import named, names
from .expr import Expr, is_const, is_input, toposort
from .lanes import Lane, MixedError, checked


@dataclass(frozen=True)
class Batch:
    """A dim along which inputs and outputs may be cut: what one part gives is right for it.

    Attributes:
        dim: its name.
        inputs: its axis in each input; None for one that every part needs whole.
        outputs: its axis in each output.
    """

    dim: str
    inputs: Mapping[str, int | None]
    outputs: Mapping[str, int]


def find_batch(inputs: Sequence[Expr], outputs: Mapping[str, Expr]) -> Batch | None:
    """The dim that all outputs are separable along; None if there is none.

    Samples are separate where each operation keeps them apart. Outputs that are summed over the
    samples, their gradients by parameters among them, are not separable.
    """
    first = next(iter(outputs.values()))
    for dim in first.shape:
        name = None if isinstance(dim, int) else dim.name
        if name is not None:
            try:
                return _batch(name, inputs, outputs)
            except MixedError:
                continue
    return None


def _batch(dim: str, inputs: Sequence[Expr], outputs: Mapping[str, Expr]) -> Batch:
    known = {node: _input_lane(node, dim) for node in inputs}
    found = lanes_of(list(outputs.values()), known, dim)
    if any(lane is None or lane.blocks != 1 for lane in found):
        raise MixedError
    return Batch(
        dim,
        {node.attrs["name"]: lane and lane.axis for node, lane in known.items()},
        {name: lane.axis for name, lane in zip(outputs, found, strict=True) if lane},
    )


def _input_lane(node: Expr, dim: str) -> Lane | None:
    axes = [axis for axis, size in enumerate(node.shape) if dim in names(size)]
    if not axes:
        return None
    if len(axes) > 1 or node.shape[axes[0]] != named(dim):
        raise MixedError
    return Lane(axes[0])


def lanes_of(roots: Sequence[Expr], known: Mapping[Expr, Any], batch: str) -> list[Any]:
    """The lane of each root, given those of the inputs.

    Raises:
        MixedError: if samples do not stay apart.
    """
    found: dict[Expr, Any] = dict(known)
    for node in toposort(roots):
        if node not in found:
            found[node] = checked(node, _lane(node, found, batch), batch)
    return [found[root] for root in roots]


def _lane(node: Expr, found: Mapping[Expr, Any], batch: str) -> Any:
    if is_const(node):
        return None
    if is_input(node) or node.op.along is None:
        raise MixedError
    return node.op.along(node, [found[arg] for arg in node.args], batch)
