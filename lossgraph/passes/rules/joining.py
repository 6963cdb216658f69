"""What cuts have given back, joined: a sum of padded parts that lie side by side is one array."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir import ops
from ...ir.dims import Dim
from ...ir.expr import Expr

_MOST = 32  # parts that are looked at
_LAW = "pad(x) + pad(y) = pad(concat(x, y)), y behind x"


def joined_pads(node: Expr) -> tuple[Expr, str] | None:
    """The gradient of an array that was cut into parts, as what joins their gradients.

    Each part has zeros around it where the others lie; to join them is to write each element once.
    """
    if node.op is not ops.add:
        return None
    parts = _parts(node)
    if parts is None:
        return None
    axis = _axis_of(parts)
    ordered = None if axis is None else _side_by_side(parts, axis)
    if axis is None or ordered is None:
        return None
    pieces = [piece for part in ordered for piece in _pieces(part.args[0], axis)]
    before, after = ordered[0].attrs["before"], ordered[-1].attrs["after"]
    whole = ops.pad(ops.concat(pieces, axis), before, after)
    return (whole, _LAW) if whole.shape == node.shape else None


def _parts(node: Expr) -> list[Expr] | None:
    """The padded arrays that a sum is of, if it is of nothing else."""
    found, waiting = [], [node]
    while waiting:
        term = waiting.pop()
        if term.op is ops.add and term.shape == node.shape:
            waiting.extend(term.args)
        elif term.op is ops.pad.op and term.shape == node.shape:
            found.append(term)
        else:
            return None
        if len(found) + len(waiting) > _MOST:
            return None
    return found


def _axis_of(parts: Sequence[Expr]) -> int | None:
    """The only axis along which any of them is padded."""
    padded = {
        axis
        for part in parts
        for axis, sides in enumerate(zip(part.attrs["before"], part.attrs["after"], strict=True))
        if sides != (0, 0)
    }
    return padded.pop() if len(padded) == 1 else None


def _side_by_side(parts: Sequence[Expr], axis: int) -> list[Expr] | None:
    """The parts in their order, if each begins where another ends."""
    by_start: dict[Dim, Expr] = {part.attrs["before"][axis]: part for part in parts}
    ends = {_end(part, axis) for part in parts}
    first = [part for start, part in by_start.items() if start not in ends]
    if len(by_start) < len(parts) or len(first) != 1:
        return None
    ordered = first
    while len(ordered) < len(parts):
        following = by_start.get(_end(ordered[-1], axis))
        if following is None or following in ordered:
            return None
        ordered.append(following)
    return ordered


def _end(part: Expr, axis: int) -> Dim:
    start: Dim = part.attrs["before"][axis]
    return start + part.args[0].shape[axis]


def _pieces(x: Expr, axis: int) -> Sequence[Expr]:
    """An array, or what it was joined of along the axis."""
    is_joined = x.op is ops.concat.op and x.attrs["axis"] == axis
    return x.args if is_joined else (x,)
