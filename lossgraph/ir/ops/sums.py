"""Sums of many float32 numbers, right to their last digits at any length.

An engine adds the numbers of a row to a few partial sums, and rows that are added onto each other
to one: what is added to is soon larger than what is added, and errors grow with the length (a
hundredth of 1e7 equal numbers). So a long sum is cut into blocks that are short enough, which is a
reshape and copies nothing, and the sums of the blocks are added in float64, of which there are few.

Lengths are mostly known at run time only. A graph then asks, and adds short rows as ever.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from typing import Any

from ..dims import Dim, Size, evaluate, floordiv, names, product
from ..expr import Expr, toposort
from ..types import TensorType, numpy_dtype
from .elementwise import cast

# Numbers from which on a sum is long: of a row, whose elements lie beside each other and are added
# to sixteen and more partial sums; and of rows onto each other. Equal numbers, the worst case, are
# then summed to 4e-6 and 5e-6; ONNX Runtime 1.32.
LONG_ROW, LONG_COLUMN = 4096, 512
# The same for a softmax, which the engine sums in more partial sums: 1e-6 (ONNX Runtime 1.32).
LONG_SOFTMAX = 8192


class LongSums(IntEnum):
    """What sums of many float32 numbers a graph may have."""

    NONE = 0
    ROWS = 1  # only over several axes, of which the last has a good length for blocks
    ANY = 2


@dataclass(frozen=True)
class _Blocks:
    """Which lengths of blocks are good: from ``low``, where they cost nothing, to ``high``.

    Equal numbers are summed to 1e-6 in blocks of ``high``. ``padded`` is the length where none
    divides the whole, and zeros are added.
    """

    low: int
    high: int
    padded: int
    common: tuple[int, ...]  # lengths that are tried where the sum's is known at run time only


_ROWS = _Blocks(
    16,
    1024,
    256,
    (*range(32, 129), 144, 160, 192, 196, 200, 224, 250, 256, 320, 384, 400, 500, 512),
)
_COLUMNS = _Blocks(4, 128, 64, tuple(range(8, 129)))


@dataclass(frozen=True)
class _Plan:
    """How a sum is laid out: ``shape`` is before, group, after.

    The group are the last axes that are summed, one beside the other; ``others`` are axes before
    it that are summed too.
    """

    shape: tuple[Dim, ...]
    axes: tuple[int, ...]

    @cached_property
    def _reduced(self) -> list[int]:
        return [i for i, dim in enumerate(self.shape) if i in self.axes or dim == 1]

    @cached_property
    def last(self) -> int:
        """Where the axes after the group begin."""
        return max((i for i in self._reduced if self.shape[i] != 1), default=-1) + 1

    @cached_property
    def first(self) -> int:
        """Where the group begins."""
        first = self.last
        while first - 1 in self._reduced:
            first -= 1
        return first

    @property
    def before(self) -> tuple[Dim, ...]:
        return self.shape[: self.first]

    @property
    def others(self) -> list[int]:
        return [i for i in self._reduced if i < self.first]

    @property
    def group(self) -> tuple[Dim, ...]:
        return self.shape[self.first : self.last]

    @property
    def after(self) -> tuple[Dim, ...]:
        """The lengths after the group, as one; none for rows."""
        rest = product(self.shape[self.last :])
        return () if rest == 1 else (rest,)

    @property
    def blocks(self) -> _Blocks:
        return _COLUMNS if self.after else _ROWS

    @property
    def last_axis(self) -> Dim | None:
        """The length of the group's last axis, where there is more to be summed than that."""
        return self.group[-1] if len(self.group) > 1 or self.others else None

    @property
    def bounds(self) -> tuple[int, int]:
        """What a last axis has to have to be a block; any is right that stands alone."""
        alone = len(self.group) == 1
        return 1 if alone else self.blocks.low, self.blocks.high

    @property
    def count(self) -> Dim:
        """How many numbers make one sum."""
        return product(self.shape[axis] for axis in self.axes)

    @property
    def limit(self) -> int:
        """How many of them are many."""
        return LONG_COLUMN if self.after else LONG_ROW

    @property
    def result(self) -> list[Dim]:
        return [1 if i in self.axes else dim for i, dim in enumerate(self.shape)]

    @property
    def static_block(self) -> int | None:
        """A good length of blocks that divides the group's whatever the lengths at run time are."""
        known = 1
        for dim in reversed(self.group):
            if not isinstance(dim, int):
                break
            known *= dim
        if known == product(self.group) <= self.blocks.high:  # type: ignore[operator]
            return known
        low, high = self.blocks.common[0], min(self.blocks.high, known)
        return next((n for n in range(high, low - 1, -1) if known % n == 0), None)


def lower_sum(
    b: Any, x: str, source: Expr, axes: Sequence[int], shape: Sequence[Dim] | None = None
) -> str:
    """The sum of an array over axes, which keep the length one.

    Args:
        b: the builder.
        x: the name of the array.
        source: what it was computed from, element by element.
        axes: what it is summed over.
        shape: the array's, where it is not the source's.
    """
    if source.dtype == "int64" and not b.is_faithful("ReduceSum", "int64"):
        return _integer_sum(b, x, source, axes)
    plan = _Plan(source.shape if shape is None else tuple(shape), tuple(axes))
    known = isinstance(plan.count, int)
    short = (known and plan.count <= plan.limit) or _are_counts(source)  # type: ignore[operator]
    if source.dtype != "float32" or b.long_sums is LongSums.NONE or short:
        return str(b.reduce("ReduceSum", x, axes))
    if known or plan.static_block is not None:
        return _long_sum(b, x, plan)
    if b.long_sums is LongSums.ROWS:
        return str(b.reduce("ReduceSum", x, axes)) if plan.last_axis is None else _rows(b, x, plan)
    if _is_cheap_in_float64(source):
        return _in_float64(b, x, axes)
    if not b.may_choose:
        return _in_any_blocks(b, x, plan)
    return str(
        b.choose(
            b.add("Greater", _number(b, x, plan), b.const(plan.limit, "int64")),
            source.type.with_shape(plan.result),
            lambda inner: _long_sum(inner, x, plan),
            lambda inner: inner.reduce("ReduceSum", x, axes),
        )
    )


def lower_mean(b: Any, x: str, source: Expr, axes: Sequence[int]) -> str:
    """The mean, of at least one element."""
    if source.dtype != "float32" or b.long_sums is LongSums.NONE:
        return str(b.reduce("ReduceMean", x, axes))
    count = b.scalar_size(_Plan(source.shape, tuple(axes)).count)
    total = lower_sum(b, x, source, axes)
    return str(b.add("Div", total, b.add("Cast", count, to=b.dtype_code(source.dtype))))


def long_sums(roots: Iterable[Expr], sizes: Mapping[str, int]) -> LongSums:
    """What sums an expression has where named dims have these sizes."""
    return max((_kind(node, sizes) for node in toposort(roots)), default=LongSums.NONE)


def _kind(node: Expr, sizes: Mapping[str, int]) -> LongSums:
    if node.op.has_body:
        return long_sums(node.attrs["body"].outputs, sizes)
    if "axes" not in node.attrs:
        return LongSums.NONE
    plan = _Plan(node.args[0].shape, node.attrs["axes"])
    if not names(plan.count) <= sizes.keys():
        return LongSums.ANY
    if evaluate(plan.count, sizes) <= plan.limit:
        return LongSums.NONE
    if plan.last_axis is None:
        return LongSums.ANY
    low, high = plan.bounds
    fits = low <= evaluate(plan.last_axis, sizes) <= high
    return LongSums.ROWS if fits else LongSums.ANY


def _are_counts(x: Expr) -> bool:
    """Whether it is ones and zeros, which float32 adds exactly up to a hundred million."""
    return x.op is cast.op and x.args[0].dtype == "bool"


_STEPS_BACK = 8  # as many as a loss of a sample takes after it has looked at the row


def _is_cheap_in_float64(x: Expr) -> bool:
    """Whether it was computed, not long before, from an array of many times its elements."""
    count, near = product(x.shape), {x}
    for _ in range(_STEPS_BACK):
        near = {arg for node in near for arg in node.args if isinstance(arg.type, TensorType)}
        for arg in near:
            times = floordiv(product(arg.shape), count)
            if times != 1 and times * count == product(arg.shape):
                return True
    return False


def _number(b: Any, x: str, plan: _Plan) -> str:
    if plan.count == product(plan.shape):
        return str(b.add("Size", x))
    return str(b.scalar_size(plan.count))


# --- of integers --------------------------------------------------------------------------

_PART = 22  # bits, of which float64 adds two thousand millions exactly


def _integer_sum(b: Any, x: str, source: Expr, axes: Sequence[int]) -> str:
    """The sum of 64 bits from those of parts, for an engine that adds in float64."""
    if source.op is cast.op and numpy_dtype(source.args[0].dtype).itemsize < 8:
        return str(b.reduce("ReduceSum", x, axes))
    base, low = b.const(1 << _PART, "int64"), []
    for _ in range(2):
        above = b.add("Div", x, base)
        low.append(b.add("Sub", x, b.add("Mul", above, base)))
        x = above
    total = b.reduce("ReduceSum", x, axes)
    for part in reversed(low):
        total = b.add("Add", b.add("Mul", total, base), b.reduce("ReduceSum", part, axes))
    return str(total)


# --- in blocks ----------------------------------------------------------------------------


def _long_sum(b: Any, x: str, plan: _Plan) -> str:
    length, block = product(plan.group), plan.static_block
    if block is not None:
        count = floordiv(length, block)
        shape = (*plan.before, count, block, *plan.after)
        return _sum_of_blocks(b, x, b.sizes(shape), b.sizes((count,)), plan)
    if isinstance(length, int):
        return _in_float64(b, x, plan.axes)
    return _in_common_blocks(b, x, plan)


def _rows(b: Any, x: str, plan: _Plan) -> str:
    """Blocks as long as the last axis of the group."""
    partial = b.reduce("ReduceSum", x, [plan.last - 1])
    return _in_float64(b, partial, [axis for axis in plan.axes if axis != plan.last - 1])


def _in_float64(b: Any, x: str, axes: Sequence[int]) -> str:
    total = b.reduce("ReduceSum", b.add("Cast", x, to=b.dtype_code("float64")), axes)
    return str(b.add("Cast", total, to=b.dtype_code("float32")))


def _in_common_blocks(b: Any, x: str, plan: _Plan) -> str:
    """Blocks of the largest of the common lengths that divides the group's, if one does.

    The group's last axis is among them. Where none does, all numbers are added in float64.
    """
    length, common = b.sizes((product(plan.group),)), plan.blocks.common
    own = [dim for dim in {plan.group[-1]: 0, product(plan.group): 0} if isinstance(dim, Size)]
    if len(own) == 1 and not plan.others:
        own = []  # the whole group, which is long
    lengths = b.const(list(common), "int64")
    if own:
        short = b.add("Min", b.sizes(own), b.const(plan.blocks.high, "int64"))
        lengths = b.add("Concat", lengths, short, axis=0)
    divides = b.add("Equal", b.add("Mod", length, lengths), b.const(0, "int64"))
    block = b.reduce("ReduceMax", b.add("Where", divides, lengths, b.const(0, "int64")), [0])
    enough = b.const([common[0]], "int64")
    if plan.others:  # the group may be short, and one block
        enough = b.add("Min", length, enough)
    return str(
        b.choose(
            b.add("GreaterOrEqual", block, enough),
            TensorType("float32", tuple(plan.result)),
            lambda inner: _divided(inner, x, plan, block),
            lambda inner: _in_float64(inner, x, plan.axes),
        )
    )


def _in_any_blocks(b: Any, x: str, plan: _Plan) -> str:
    """Blocks without a choice: one, if the group is short, and of one number each where none fits.

    For engines that are not to choose at run time; the sums of the blocks are added in float64.
    """
    length, one = b.sizes((product(plan.group),)), b.const([1], "int64")
    short = b.add("LessOrEqual", length, b.const([plan.limit], "int64"))
    whole = b.add("Where", short, b.add("Max", length, one), one)
    lengths = b.add("Concat", b.const([1, *plan.blocks.common], "int64"), whole, axis=0)
    divides = b.add("Equal", b.add("Mod", length, lengths), b.const(0, "int64"))
    fitting = b.add("Where", divides, lengths, one)
    return _divided(b, x, plan, b.reduce("ReduceMax", fitting, [0]))


def _sum_of_blocks(b: Any, x: str, shape: str, count: str, plan: _Plan) -> str:
    """The sum, ``shape`` being that of ``x`` with its group in blocks, ``count`` of them."""
    rank, blocks = len(plan.before), b.reshape_to(x, shape)
    if not (plan.after or plan.others):
        total = _of_many_rows(b, b.reduce("ReduceSum", blocks, [rank + 1], keepdims=0), count)
        if len(plan.shape) == rank + 1:
            return total
        return str(b.reshape_to(total, b.sizes(plan.result)))
    partial = b.reduce("ReduceSum", blocks, [rank + 1])
    total = _in_float64(b, partial, [*plan.others, rank])
    return str(b.reshape_to(total, b.sizes(plan.result)))


def _of_many_rows(b: Any, x: str, length: str) -> str:
    """Rows summed in float64 by a product with ones.

    ONNX Runtime takes 0.1 us for each row of a ReduceSum, however short it is (1.32), which is more
    than the blocks of a row take where there are thousands of rows.
    """
    double = b.dtype_code("float64")
    shape = b.add("Concat", length, b.const([1], "int64"), axis=0)
    ones = b.add("Expand", b.const([[1.0]], "float64"), shape)
    total = b.add("MatMul", b.add("Cast", x, to=double), ones)
    return str(b.add("Cast", total, to=b.dtype_code("float32")))


def _divided(b: Any, x: str, plan: _Plan, block: str) -> str:
    count = b.add("Div", b.sizes((product(plan.group),)), block)
    around = [b.sizes(part) if part else "" for part in (plan.before, plan.after)]
    parts = [part for part in (around[0], count, block, around[1]) if part]
    return _sum_of_blocks(b, x, b.add("Concat", *parts, axis=0), count, plan)
