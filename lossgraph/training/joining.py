"""Small parameters that one update moves, as one array.

An operator costs an engine some microseconds, which is more than it takes to compute with a few
thousand numbers; an update has a dozen of them for each parameter. Joined, the updates of the
biases and norms of a network take about three quarters of the time. Large parameters stay apart:
copies of them cost more than they save. So does an optimizer with less than two slots, for which
a join is as many operators as it spares.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from ..ir import ops
from ..ir.dims import Dim
from ..ir.expr import Expr
from .optimizers import Optimizer

_SMALL = 8192  # elements
_SLOTS = 2


def small_alike(
    gradients: Mapping[str, Expr], optimizers: Mapping[str, Optimizer]
) -> list[dict[str, Expr]]:
    """Gradients that parameters move by, those together that one update may serve."""
    groups: dict[object, dict[str, Expr]] = {}
    for name, gradient in gradients.items():
        optimizer = optimizers[name]
        joins = optimizer.elementwise and len(optimizer.slots) >= _SLOTS and _is_small(gradient)
        key = (id(optimizer), gradient.dtype) if joins else name
        groups.setdefault(key, {})[name] = gradient
    return list(groups.values())


def joined(arrays: Sequence[Expr]) -> Expr:
    """The elements of arrays, one after another; one alone stays as it is."""
    if len(arrays) == 1:
        return arrays[0]
    return ops.concat([ops.reshape(array, (_size(array.shape),)) for array in arrays], 0)


def as_rows(arrays: Sequence[Expr]) -> list[Expr]:
    """The elements of arrays as matrices of one row each, those of small arrays in one."""
    parts: dict[object, list[Expr]] = {}
    for place, array in enumerate(arrays):
        parts.setdefault(array.dtype if _is_small(array) else place, []).append(array)
    flat = (joined(alike) for alike in parts.values())
    return [ops.reshape(elements, (1, _size(elements.shape))) for elements in flat]


def apart(elements: Expr, shapes: Sequence[Sequence[Dim]]) -> list[Expr]:
    """Arrays of elements that were joined."""
    if len(shapes) == 1:
        return [elements]
    parts, start = [], 0
    for shape in shapes:
        size = _size(shape)
        parts.append(ops.reshape(ops.take_range(elements, 0, start, size), shape))
        start += size
    return parts


def _is_small(array: Expr) -> bool:
    return all(isinstance(dim, int) for dim in array.shape) and _size(array.shape) <= _SMALL


def _size(shape: Sequence[Dim]) -> int:
    return math.prod(dim for dim in shape if isinstance(dim, int))
