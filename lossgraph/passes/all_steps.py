"""What a body computes of its elements alone, computed for all steps at once, outside of it.

A step of a scan costs a few microseconds for each operation, however little it computes: what
does not wait for the carry is done once on the whole sequences instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..ir import batching
from ..ir.dims import Dim
from ..ir.expr import Expr, toposort
from ..ir.ops import broadcast_to, concat, reshape, slice_


def at_once(
    results: Sequence[Expr],
    carry: Sequence[Expr],
    elements: Sequence[Expr],
    sequences: Sequence[Expr],
) -> dict[Expr, Expr]:
    """What of a body can be an element of a sequence, with that sequence.

    Args:
        results: what the body computes.
        carry: the variables of the states.
        elements: the variables of the elements.
        sequences: what they are elements of.

    Returns:
        The nodes of the body that the rest of it, or a result, reads, by sequences.
    """
    stacked = dict(zip(elements, sequences, strict=True))
    length, waits = sequences[0].shape[0], set(carry)
    order = toposort(results)
    for node in order:
        if any(arg in waits for arg in node.args):
            waits.add(node)
        elif any(arg in stacked for arg in node.args):
            made = _stacked(node, stacked, length)
            if made is None:
                waits.add(node)
            else:
                stacked[node] = made
    read = {arg for node in order if node in waits for arg in node.args} | set(results)
    given = set(elements)
    return {node: stacked[node] for node in order if node in read & stacked.keys() - given}


def _stacked(node: Expr, stacked: Mapping[Expr, Expr], length: Dim) -> Expr | None:
    """A node for all steps; None if it is not known how."""
    attrs = node.attrs
    if node.op.batching is batching.pointwise:
        return node.op(*(_aligned(arg, node.rank, stacked) for arg in node.args), **attrs)
    if any(arg not in stacked for arg in node.args):
        return None
    args = [_aligned(arg, node.rank, stacked) for arg in node.args]
    if node.op.batching is batching.broadcast:
        return broadcast_to(args[0], (length, *attrs["shape"]))
    if node.op.batching is batching.slices:
        return slice_(
            args[0], (0, *attrs["starts"]), (1, *attrs["steps"]), (length, *attrs["sizes"])
        )
    if node.op.batching is batching.concat:
        return concat(args, attrs["axis"] + 1)
    return None


def _aligned(arg: Expr, rank: int, stacked: Mapping[Expr, Expr]) -> Expr:
    """An argument whose axes stand right for broadcasting, where it has one of steps in front."""
    if arg not in stacked:
        return arg
    sequence = stacked[arg]
    return reshape(sequence, (sequence.shape[0], *(1,) * (rank - arg.rank), *arg.shape))
