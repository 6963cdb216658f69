"""Guards in differentiation: what a condition keeps out of a value stays out of its gradient.

The cotangent of what a guard does not choose is zero, and zero times the derivative of what
overflows there or has left its domain is NaN. So such a cotangent is not multiplied by anything
before it is masked: it travels with a mask, its ``Live`` elements, on through the operations whose
derivative may not be finite, and becomes zero after the last of them. Where none of them follows
it becomes zero at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..ir import ops
from ..ir.batching import matmul, pointwise, reduction
from ..ir.expr import Expr, Movement, inputs_of, scalar_value
from ..ir.types import TensorType, numpy_dtype, stretches
from .ranges import Ranges
from .rules.conditions import broadcasts_to

_COMBINE = (ops.logical_and, ops.logical_or, ops.logical_not)
_ALL_ELEMENTS = (Movement.RESHAPE, Movement.PERMUTE)


class Live(NamedTuple):
    """The elements of a cotangent that count; the others are zero, whatever they hold."""

    condition: Expr
    holds: bool
    explicit: bool

    def keep(self, ct: Expr) -> Expr:
        """The cotangent with zeros."""
        if self.holds:
            return ops.where(self.condition, ct, 0.0)
        return ops.where(self.condition, 0.0, ct)

    @property
    def mask(self) -> Expr:
        return self.condition if self.holds else ops.logical_not(self.condition)

    def where(self, count: Expr) -> Live:
        """The mask of another place, where live elements have been counted."""
        return Live(ops.greater(count, 0.0), True, self.explicit)

    def along(self, axes: Iterable[int], dtype: str) -> Live | None:
        """Where a sum over axes, counted from the last, has an element that counts.

        Only a mask that is an input leaves out whole rows of what is mixed; one that is made of
        class labels has an element in each, and is not asked.
        """
        rank, shape = self.condition.rank, self.condition.shape
        summed = [axis for axis in axes if axis >= -rank and shape[axis] != 1]
        if not summed:
            return self
        if not self.explicit or all(_is_index(node) for node in inputs_of([self.condition])):
            return None
        return self.where(ops.reduce_sum(ops.cast(self.mask, dtype), summed))


class Cotangent(NamedTuple):
    """A cotangent, and where it counts: everywhere, if nothing is said."""

    value: Expr
    live: Live | None = None

    def kept(self) -> Expr:
        return self.live.keep(self.value) if self.live else self.value


def settle(found: Sequence[Cotangent]) -> Cotangent:
    """The sum of the cotangents of a node."""
    total, live = found[0]
    for value, mask in found[1:]:
        if (mask and mask[:2]) == (live and live[:2]):
            total = total + value
        else:
            total = Cotangent(total, live).kept() + Cotangent(value, mask).kept()
            live = either(live, mask)
    return Cotangent(total, live)


def both(a: Live | None, b: Live | None) -> Live | None:
    """Where two masks both let pass."""
    if a is None or b is None or a[:2] == b[:2]:
        return a or b
    return Live(ops.logical_and(a.mask, b.mask), True, a.explicit or b.explicit)


def either(a: Live | None, b: Live | None) -> Live | None:
    """Where one of two masks lets pass."""
    if a is None or b is None or (a.condition is b.condition and a.holds != b.holds):
        return None
    if a.condition is b.condition:
        return a
    return Live(ops.logical_or(a.mask, b.mask), True, a.explicit or b.explicit)


class Guards:
    """Where the masks of cotangents come from, and how far they have to travel."""

    def __init__(self, order: Sequence[Expr], active: set[Expr]) -> None:
        self._active = active
        self._far: set[Expr] = set()  # masks of conditions go on to the arguments of these
        self._near: set[Expr] = set()  # masks of values, which are finite numbers, too
        self._direct: set[Expr] = set()  # the same, by way of single elements
        self._unbounded: set[Expr] = set()  # whose cotangents may be infinite
        used = any(_guards(node) for node in order if node in active)
        self._ranges = Ranges(order, active) if used else None
        for node in order if used else ():
            if node in active and node.op.differentiable and _carries(node):
                self._look_below(node)

    def _look_below(self, node: Expr) -> None:
        below = [arg for arg in node.args if arg in self._active]
        if not below or self._ranges is None:
            return
        constant = node.op.linear or _has_one_factor(node)
        if _aligned(node) and (not constant or any(arg in self._far for arg in below)):
            self._far.add(node)
        risky = not constant and not self._ranges.in_domain(node)
        if risky or any(arg in self._near for arg in below):
            self._far.add(node)
            if node.op.batching is not matmul:
                self._near.add(node)
        if _aligned(node) and (risky or any(arg in self._direct for arg in below)):
            self._direct.add(node)

    def _travels(self, node: Expr, live: Live) -> bool:
        """Whether a mask on the cotangent of ``node`` is to be kept until after its derivative."""
        return node in (self._far if live.explicit else self._near)

    def passed(self, node: Expr, place: int, ct: Cotangent, choice: Live | None) -> Cotangent:
        """The cotangent of an argument, from what the derivative of ``node`` gave for it."""
        arg = node.args[place]
        live = both(ct.live and _at_argument(node, place, ct.live), choice)
        if live is None:
            return Cotangent(unbroadcast(ct.value, arg.type))
        summed = _summed_axes(arg, live)
        left = live.along(summed, arg.dtype) if self._travels(arg, live) else None
        value = live.keep(ct.value) if summed or left is None else ct.value
        return Cotangent(unbroadcast(value, arg.type), left and _narrowed(arg, left))

    def arguments(self, node: Expr, live: Live | None) -> Sequence[Expr]:
        """The arguments as a derivative takes them: those of matrices without rows that are NaN."""
        if live is None or node.op.batching is not matmul or self._ranges is None:
            return node.args
        kept = [_at_argument(node, place, live) for place in range(2)]
        return [
            live.keep(arg) if live and not self._ranges.finite(arg) else arg
            for arg, live in zip(node.args, kept, strict=True)
        ]

    def choices(self, node: Expr) -> Sequence[Live | None]:
        """The masks that a node puts on the cotangents of its arguments, one for each."""
        found = self._choices(node)
        return (*found, *(None,) * (len(node.args) - len(found)))

    def _choices(self, node: Expr) -> Sequence[Live | None]:
        op = node.op
        if self._ranges is None:
            return ()
        if self._ranges.has_pole(node):
            if self._ranges.flat(node.args[0]):
                return (Live(ops.equal(node.args[0], 0.0), False, False),)
            self._unbounded.add(node.args[0])
        unbounded = node in self._unbounded
        if unbounded:
            self._unbounded.update(node.args)
        if op.movement is Movement.SELECT:
            return self._selected(node)
        if op.chosen is None:
            return ()
        found = op.chosen(node, *node.args, **node.attrs)
        return [
            Live(
                choice.condition, choice.holds, choice.explicit and self._is_given(choice.condition)
            )
            if choice and (choice.explicit or unbounded or arg in self._near)
            else None
            for arg, choice in zip(node.args, found, strict=True)
        ]

    def _is_given(self, condition: Expr) -> bool:
        """Whether a condition is a mask: no function of what is differentiated, or about NaN.

        What it keeps out may be anything. What other conditions do is made of finite numbers, and
        of rows that integers leave out too.
        """
        if condition.op in _COMBINE:
            return any(self._is_given(part) for part in condition.args)
        if condition in self._active:
            return _asks_for_numbers(condition)
        return not any(numpy_dtype(arg.dtype).kind == "i" for arg in condition.args)

    def _selected(self, node: Expr) -> Sequence[Live | None]:
        if node.args[0] not in self._direct:
            return ()
        every = ops.full(1.0, node.dtype, node.shape)
        return (Live(ops.greater(_pulled(node, every), 0.0), True, False),)


def _guards(node: Expr) -> bool:
    return node.op.chosen is not None or node.op.root or node.op.movement is Movement.SELECT


def _is_index(node: Expr) -> bool:
    return numpy_dtype(node.dtype).kind in "iu"


def _asks_for_numbers(node: Expr) -> bool:
    """Whether it is ``isnan(x)``, ``x == x``, or a comparison with infinity."""
    compared = len(node.args) == 2 and node.dtype == "bool"
    same = compared and node.args[0] is node.args[1]
    return node.op is ops.isnan or same or any(scalar_value(x) == math.inf for x in node.args)


def _has_one_factor(node: Expr) -> bool:
    """Whether it multiplies its one argument that is no number by numbers."""
    others = [i for i, arg in enumerate(node.args) if scalar_value(arg) is None]
    return len(others) == 1 and others[0] in node.op.linear_in


def _aligned(node: Expr) -> bool:
    """Whether each element of the result is made of one element, so that a mask is free."""
    if node.op.batching is reduction:
        return node.op.linear
    return node.op.batching is pointwise or node.op.movement in _ALL_ELEMENTS


def _carries(node: Expr) -> bool:
    """Whether a mask can go from the result to the arguments."""
    op = node.op
    if op.is_item or op.has_body or not node.args:
        return False
    return op.batching in (pointwise, reduction, matmul) or op.linear


def before(node: Expr, ct: Cotangent) -> Cotangent:
    """A cotangent as the derivative of a node takes it: what mixes elements gets zeros."""
    if ct.live is None or not _carries(node):
        return Cotangent(ct.kept())
    if node.op.batching is matmul:
        return Cotangent(ct.kept(), ct.live)
    if node.op.batching is not reduction:
        return ct
    left = ct.live.along([axis - node.rank for axis in node.attrs["axes"]], node.dtype)
    return ct if left is ct.live else Cotangent(ct.kept(), left)


def _at_argument(node: Expr, place: int, live: Live) -> Live | None:
    """The mask of a result for what the derivative gives for an argument."""
    op = node.op
    if op.batching is matmul:  # a row counts, or a column, of which any element does
        return live.along([-1 if place == 0 else -2], node.dtype)
    if op.batching in (pointwise, reduction) or op.movement is Movement.BROADCAST:
        return live
    if op.movement in (Movement.RESHAPE, Movement.PERMUTE):
        condition = ops.broadcast_to(live.condition, node.shape)
        return live._replace(condition=_pulled(node, condition, place))
    mask = ops.cast(ops.broadcast_to(live.mask, node.shape), node.dtype)
    return live.where(_pulled(node, mask, place))


def _summed_axes(arg: Expr, live: Live) -> list[int]:
    """Over which axes, counted from the last, the cotangents of a broadcast argument are summed."""
    shape, inner = live.condition.shape, min(live.condition.rank, arg.rank)
    return [
        axis
        for axis in range(-len(shape), 0)
        if shape[axis] != 1 and (axis < -inner or stretches(arg.shape[axis], shape[axis]))
    ]


def _narrowed(arg: Expr, live: Live) -> Live:
    """A mask in the shape of an argument."""
    inner = live.condition.shape[max(live.condition.rank - arg.rank, 0) :]
    condition = ops.reshape(live.condition, inner)
    if not broadcasts_to(inner, arg.shape):  # other names of the same lengths
        condition = ops.broadcast_to(condition, arg.shape)
    return live._replace(condition=condition)


def _pulled(node: Expr, ct: Expr, place: int = 0) -> Expr:
    """The cotangent of an argument of a linear operation."""
    assert node.op.vjp is not None
    found = node.op.vjp(ct, node, *node.args, **node.attrs)[place]
    assert found is not None
    return found


def unbroadcast(ct: Expr, target: TensorType) -> Expr:
    """A cotangent in the shape and dtype of its primal: broadcasting transposed."""
    if ct.shape != target.shape:
        extra = ct.rank - target.rank
        if extra > 0:
            ct = ops.reshape(ops.reduce_sum(ct, range(extra)), ct.shape[extra:])
        padded = (1,) * -extra + ct.shape if extra < 0 else ct.shape
        stretched = [
            axis
            for axis, (dim, size) in enumerate(zip(target.shape, padded, strict=True))
            if stretches(dim, size)
        ]
        ct = ops.reduce_sum(ops.reshape(ct, padded), stretched)
        ct = ops.broadcast_to(ct, target.shape) if ct.shape != target.shape else ct
    return ops.cast(ct, target.dtype)
