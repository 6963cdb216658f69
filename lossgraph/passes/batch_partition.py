"""Whether a graph may be computed for parts of a batch, and how the whole follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..ir.batching import Lane, MixedError, checked
from ..ir.dims import Apply, Size, named, names
from ..ir.expr import (
    Expr,
    const,
    is_const,
    is_input,
    rebuild,
    substitute,
    toposort,
    transform,
    variable,
)
from ..ir.ops import cast, reduce_sum, size_of
from ..ir.types import tensor_type

# The input of a part that says how many samples there are in all parts together.
COUNT = "_count"


@dataclass(frozen=True)
class Batch:
    """A dim along which inputs may be cut, and what its parts compute.

    Attributes:
        dim: its name.
        inputs: its axis in each input; None for one that every part needs whole.
        outputs: its axis in each output that has the samples: parts of it are right as they are.
        parts: what a part computes, by name: these outputs, and sums over its samples.
        rest: the other outputs, from variables of the names of these sums, added up, and
            ``COUNT``.
    """

    dim: str
    inputs: Mapping[str, int | None]
    outputs: Mapping[str, int]
    parts: Mapping[str, Expr]
    rest: Mapping[str, Expr]

    @property
    def contiguous(self) -> bool:
        """Whether samples lie one after the other in memory."""
        return all(axis in (0, None) for axis in (*self.inputs.values(), *self.outputs.values()))

    @property
    def sums(self) -> list[str]:
        """The names of the sums."""
        return [name for name in self.parts if name not in self.outputs]


def find_batch(inputs: Sequence[Expr], outputs: Mapping[str, Expr]) -> Batch | None:
    """The dim that a graph can be computed along in parts; None if there is none.

    Samples are separate where each operation keeps them apart, until they are summed. What
    follows from a sum for each sample, like a gradient of the root of a mean, needs all samples
    first: such a graph is not separable.
    """
    for dim in _candidates(inputs, outputs):
        try:
            return _batch(dim, inputs, outputs)
        except MixedError:
            continue
    return None


def sample_dim(inputs: Sequence[Expr], outputs: Sequence[Expr]) -> str | None:
    """The dim that inputs and outputs all begin with, if no sample's outputs depend on others.

    Nor on how many there are: then batches may be put together, and their outputs taken apart.
    """
    dims = {node.shape[0] if node.rank else 1 for node in (*inputs, *outputs)}
    first = dims.pop()
    if dims or isinstance(first, int) or not first.name:
        return None
    try:
        lanes = [_input_lane(node, first.name) for node in inputs]
        found = lanes_of(outputs, dict(zip(inputs, lanes, strict=True)), first.name)
    except MixedError:
        return None
    return first.name if all(lane == Lane(0) for lane in found) else None


def _candidates(inputs: Sequence[Expr], outputs: Mapping[str, Expr]) -> list[str]:
    """Named dims of the first output, and those that an input begins with."""
    first = next(iter(outputs.values()))
    dims = [*first.shape, *(node.shape[0] for node in inputs if node.rank)]
    return list(dict.fromkeys(dim.name for dim in dims if not isinstance(dim, int) and dim.name))


def _batch(dim: str, inputs: Sequence[Expr], outputs: Mapping[str, Expr]) -> Batch:
    lanes: dict[Expr, Any] = {node: _input_lane(node, dim) for node in inputs}
    axes: dict[str, int | None] = {n.attrs["name"]: lane and lane.axis for n, lane in lanes.items()}
    roots = _with_count(list(outputs.values()), dim)
    lanes[_COUNT] = None
    found, sums = _before_and_sums(roots, lanes, dim)
    parts: dict[str, Expr] = {}
    rest: dict[str, Expr] = {}
    for name, root in zip(outputs, roots, strict=True):
        (parts if root in found else rest)[name] = root
    if any(found[root] is None or found[root].blocks != 1 for root in parts.values()):
        raise MixedError
    made = {node: variable(f"_sum_{i}", node.type) for i, node in enumerate(sums)}
    partial = {f"_sum_{i}": _partial(node, found[node.args[0]].axis) for i, node in enumerate(sums)}
    return Batch(
        dim,
        axes,
        {name: found[root].axis for name, root in parts.items()},
        {**parts, **partial},
        dict(zip(rest, substitute(list(rest.values()), made), strict=True)),
    )


def _input_lane(node: Expr, dim: str) -> Lane | None:
    axes = [axis for axis, size in enumerate(node.shape) if dim in names(size)]
    if not axes:
        return None
    if len(axes) > 1 or node.shape[axes[0]] != named(dim):
        raise MixedError
    return Lane(axes[0])


# --- how many samples there are -----------------------------------------------------------

_COUNT = variable(COUNT, tensor_type("int64", ()))


def _with_count(roots: Sequence[Expr], dim: str) -> list[Expr]:
    """The roots with sizes that the number of samples is in computed from ``COUNT``."""

    def choose(node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op.name == "SizeOf" and dim in names(node.attrs["size"]):
            return _computed(node.attrs["size"], dim)
        return rebuild(node, args)

    return transform(roots, choose)


def _computed(size: Size, dim: str) -> Expr:
    total: Expr = const(0, "int64")
    for monomial, coefficient in size.terms:
        term: Expr = const(coefficient, "int64")
        for atom in monomial:
            if isinstance(atom, Apply):
                raise MixedError
            term = term * (_COUNT if atom == dim else size_of(named(atom)))
        total = total + term
    return total


# --- sums over the samples ----------------------------------------------------------------


def _before_and_sums(
    roots: Sequence[Expr], lanes: Mapping[Expr, Any], dim: str
) -> tuple[dict[Expr, Any], list[Expr]]:
    """The lanes of what comes before sums over samples, and these sums: no sample needs them."""
    found, sums, after = dict(lanes), [], set[Expr]()
    for node in toposort(roots):
        if node in found:
            continue
        if any(arg in after for arg in node.args):
            apart = [found[arg] for arg in node.args if arg not in after]
            if any(lane is not None for lane in apart) or _has(node.type, dim):
                raise MixedError
            after.add(node)
        elif _is_sum_over(node, found):
            sums.append(node)
            after.add(node)
        else:
            found[node] = checked(node, _lane(node, found, dim), dim)
    return found, sums


def _is_sum_over(node: Expr, found: Mapping[Expr, Any]) -> bool:
    if node.op.name != "ReduceSum":
        return False
    lane = found[node.args[0]]
    return lane is not None and lane.blocks == 1 and lane.axis in node.attrs["axes"]


def _has(type_: Any, dim: str) -> bool:
    shapes = [item.shape for item in type_.items] if hasattr(type_, "items") else [type_.shape]
    return any(dim in names(size) for shape in shapes for size in shape)


def _partial(node: Expr, axis: int) -> Expr:
    """The sum over a part's samples: over them in float64, which long sums need."""
    inner = reduce_sum(node.args[0], [i for i in node.attrs["axes"] if i != axis])
    return reduce_sum(cast(inner, "float64") if node.type.is_float else inner, [axis])


# --- lanes --------------------------------------------------------------------------------


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
