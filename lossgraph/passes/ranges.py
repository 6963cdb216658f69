"""What values can be, as far as their making says: between which numbers, and where without slope.

The inputs of a graph count as finite numbers. An interval that ends at infinity stands for values
that may overflow or be NaN.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..ir.batching import pointwise
from ..ir.expr import Expr, Interval, is_literal, scalar_value
from ..ir.ops import add, div, mul, size_of, where
from ..ir.ops.intervals import ANY, BIG, TINY, TYPICAL
from ..ir.types import TensorType, numpy_dtype

_FINITE: Interval = (-TYPICAL, TYPICAL)


class Ranges:
    """Facts about the nodes of an order, arguments before users."""

    def __init__(self, order: Sequence[Expr], active: set[Expr]) -> None:
        self._active = active
        self._intervals: dict[Expr, Interval] = {}
        self._flat: set[Expr] = set()
        self._sizes: set[Expr] = set()
        chosen = Counter(node.args[0] for node in order if node.op is where)
        self._guarding = {condition for condition, count in chosen.items() if count > 1}
        for node in order:
            self._intervals[node] = self._interval(node)
            if self._is_flat(node):
                self._flat.add(node)

    def in_domain(self, node: Expr) -> bool:
        """Whether a node and its derivatives are finite, whatever its arguments are."""
        given = [self._kept_out(arg) for arg in node.args]
        if not node.op.finite_on:
            return all(math.isfinite(end) for interval in given for end in interval)
        return all(
            (low < start or low == -math.inf) and (end < high or high == math.inf)
            for (start, end), (low, high) in zip(given, node.op.finite_on, strict=True)
        )

    def finite(self, node: Expr) -> bool:
        """Whether a node is finite, of inputs that are."""
        return all(math.isfinite(end) for end in self._intervals[node])

    def flat(self, node: Expr) -> bool:
        """Whether it is never below zero, and where it is zero its derivative is zero too."""
        return node in self._flat

    def has_pole(self, node: Expr) -> bool:
        """Whether it may be finite where its derivative is not, as a root is at zero."""
        return node.op.root and self._intervals[node.args[0]][0] <= 0 and _exponent(node) < 1

    def _kept_out(self, arg: Expr) -> Interval:
        """What an argument is where a guard keeps it out: what its writer put there, if he did.

        That is, if another choice is made by the same condition, so that there are two of them, or
        if a number is put in the place of zeros.
        """
        if arg.op is where and (arg.args[0] in self._guarding or at_zero(arg.args[0], arg.args[2])):
            numbers = [value for value in map(scalar_value, arg.args[1:]) if value is not None]
            if len(numbers) == 1:
                return (float(numbers[0]), float(numbers[0]))
        return self._intervals[arg]

    def _interval(self, node: Expr) -> Interval:
        if not isinstance(node.type, TensorType):
            return ANY
        number = scalar_value(node)
        if number is not None:
            return (float(number), float(number)) if math.isfinite(number) else ANY
        if self._is_of_sizes(node):
            return 1.0, TYPICAL
        if is_literal(node) and node.type.is_float:
            return _FINITE if np.isfinite(node.attrs["value"]).all() else ANY
        if not node.args or not node.type.is_float:
            return _FINITE if node.dtype != "bool" else (0.0, 1.0)
        if node.op.movement is not None:
            return self._intervals[node.args[0]]
        given = [self._intervals[arg] for arg in node.args]
        if node.op.range_of is None:
            finite = all(math.isfinite(end) for interval in given for end in interval)
            return _FINITE if finite and self.in_domain(node) else ANY
        if node.op in (add, where) and len({*map(id, node.args)}) > 1:
            given = [self._filled(node, arg) for arg in node.args]
        low, high = node.op.range_of(node, *given)
        if node.op is div and math.isinf(high) and math.isfinite(given[0][1] - given[0][0]):
            low, high = (max(low, -TYPICAL), TYPICAL) if self.in_domain(node) else (low, high)
        return low if low >= -BIG else -math.inf, high if high <= BIG else math.inf

    def _filled(self, node: Expr, arg: Expr) -> Interval:
        """An interval without the zeros that a node fills: ``x + (x == 0)``, or by a choice."""
        interval = self._intervals[arg]
        if interval[0] != 0:
            return interval
        others = [other for other in node.args if other is not arg]
        taken = others[0] if node.op is where or len(others) == 1 else None
        filled = taken is not None and at_zero(taken, arg)
        if filled and (node.op is add or arg is node.args[2]):
            return TINY, interval[1]
        return interval

    def _is_of_sizes(self, node: Expr) -> bool:
        """Whether it is made of the sizes of arrays, which have elements wherever it is used."""
        found = node.op is size_of.op or any(arg in self._sizes for arg in node.args)
        if found and all(arg in self._sizes or is_literal(arg) for arg in node.args):
            self._sizes.add(node)
            return True
        return False

    def _is_flat(self, node: Expr) -> bool:
        op, args = node.op, node.args
        if op.flat_if is not None:
            return all(args[i] in self._flat or scalar_value(args[i]) == 0 for i in op.flat_if)
        low = self._intervals[node][0]
        if op.chosen is not None:  # it has no slope where its bound of zero is reached
            return low >= 0
        if op.batching is not pointwise or not args:
            return False
        if op.root:
            exponent = _exponent(node)
            return exponent > 0 and (exponent % 2 == 0 or args[0] in self._flat)
        return op is mul and self._is_flat_product(node)

    def _is_flat_product(self, node: Expr) -> bool:
        """Of squares and what is flat, by weights: of these the derivative is not asked for."""
        once: set[Expr] = set()
        for factor in _factors(node):
            once ^= {factor}
        weights = [x for x in once if x not in self._flat]
        flat = len(once) < len(_factors(node)) or len(weights) < len(once)
        return flat and all(x not in self._active or self._intervals[x][0] >= 0 for x in weights)


def _factors(node: Expr, depth: int = 6) -> list[Expr]:
    """What a product is made of."""
    if node.op is not mul or not depth:
        return [node]
    return [factor for arg in node.args for factor in _factors(arg, depth - 1)]


def _exponent(node: Expr) -> float:
    """The power that a root takes, minus infinity for one that is not known."""
    number = 0.5 if len(node.args) == 1 else scalar_value(node.args[1])
    return -math.inf if number is None else float(number)


def at_zero(node: Expr, x: Expr, depth: int = 6) -> Any:
    """The number that a node is where ``x`` is zero, if nothing else is in it; else None."""
    if node is x:
        return np.zeros((), numpy_dtype(x.dtype))
    number = scalar_value(node)
    if number is not None:
        return number
    if not depth or not node.args or node.attrs.keys() - {"to"}:
        return None
    given = [at_zero(arg, x, depth - 1) for arg in node.args]
    if any(value is None for value in given):
        return None
    with np.errstate(all="ignore"):
        return node.op.ref(*given, **node.attrs)
