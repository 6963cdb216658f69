"""What one row adds to a mean, a sum or a quotient of sums over rows.

In: an expression of sums over rows and of their number, which is the sum of ones. Out: its
``Share``: a term for each row, and what it is divided by. The expression is the sum of the terms,
or their mean, or the sum of the terms by the sum of the scales; of any other there is no share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ..ir.dims import named
from ..ir.expr import Expr, Op, const, inputs_of, is_input, is_literal
from ..ir.ops import add, cast, div, full, mul, neg, reduce_sum, reshape, sub
from ..passes.batch_partition import BATCH_SIZE

_DIFFERENT = (
    "it adds means over different elements, as of losses with ignored elements or weights of "
    "classes: give the losses that it adds reduction='none'"
)
_SUM_AND_MEAN = (
    "it adds sums over rows to means, which only one batch has: take the same reduction of both"
)


class NotASumOfRowsError(Exception):
    """An expression that no row has a part of; its message is empty where nothing helps."""


@dataclass(frozen=True)
class Share:
    """What rows add to an expression.

    Attributes:
        expr: the terms, of shape (N, *shape); of the expression's own shape where they are alike.
        each: whether ``expr`` has an axis of rows.
        grows: whether the expression is the sum of the terms, not their mean.
        scale: of shape (N,), if the sum of the terms is divided by the sum of these.
    """

    expr: Expr
    each: bool
    grows: bool
    scale: Expr | None = None

    @property
    def is_shared(self) -> bool:
        """Whether it is the same whatever rows there are."""
        return not (self.each or self.grows)

    def term(self, dim: str) -> Expr:
        """One term for each row, of shape (N,): the mean of it where that has several elements."""
        rows, mean = (named(dim),), self.mean()
        return mean if self.each else mul(full(1.0, mean.dtype, rows), mean)

    def mean(self) -> Expr:
        """The mean of the elements of the terms: of shape (N,), of () where they are alike."""
        value = self.expr if self.expr.type.is_float else cast(self.expr, "float64")
        return reshape(_mean(value, self.each), value.shape[: self.each])


def share_of_rows(value: Expr) -> Share:
    """The share of a list of losses of rows, whose mean is meant."""
    return Share(value, each=True, grows=False)


def share_of(node: Expr, sums: Mapping[str, Expr]) -> Share:
    """The share of each row.

    Args:
        node: of sums over rows, which are variables, and ``BATCH_SIZE``.
        sums: how these are computed, by the name of the variable.

    Raises:
        NotASumOfRowsError: if it is none of the sums of ``Share``.
    """
    if is_input(node) and node.attrs["name"] in sums:
        return Share(_own(sums[node.attrs["name"]], node), each=True, grows=True)
    if is_input(node) and node.attrs["name"] == BATCH_SIZE:
        return Share(const(1, "int64"), each=False, grows=True)
    varying = {*sums, BATCH_SIZE}
    if not any(each.attrs["name"] in varying for each in inputs_of([node])):
        return Share(node, each=False, grows=False)
    rule = _RULES.get(node.op)
    if rule is None:
        raise NotASumOfRowsError
    return rule(node, *(share_of(arg, sums) for arg in node.args))


def _own(total: Expr, node: Expr) -> Expr:
    """What one row adds to a sum over rows, in the dtype of the sum."""
    (addend,) = total.args
    if addend.op is cast.op and addend.args[0].type.is_float:
        addend = addend.args[0]  # the sum of a shard is accumulated in float64
    (axis,) = total.attrs["axes"]
    rows = (addend.shape[axis], *node.shape)
    return cast(reshape(addend, rows), node.dtype)


def _mean(value: Expr, first: int) -> Expr:
    """The mean over the axes from ``first`` on."""
    axes = tuple(range(first, value.rank))
    if all(value.shape[axis] == 1 for axis in axes):
        return value
    count = full(1.0, value.dtype, value.shape)
    return div(reduce_sum(value, axes), reduce_sum(count, axes))


# --- rules: of a node and the shares of its arguments ---


def _sum(node: Expr, left: Share, right: Share) -> Share:
    if node.op is add and _is_zero(left.expr) and node.type == node.args[1].type:
        return right
    if left.grows != right.grows:
        raise NotASumOfRowsError(_SUM_AND_MEAN if left.each and right.each else "")
    left, right = _over(left, right), _over(right, left)
    if left.scale is not right.scale:
        raise NotASumOfRowsError(_DIFFERENT)
    return _joined(node.op, left, right, left.grows, left.scale)


def _over(share: Share, other: Share) -> Share:
    """What all rows share, as a quotient with the scale of another."""
    if not share.is_shared or other.scale is None:
        return share
    scale = cast(other.scale, share.expr.dtype)
    scale = reshape(scale, (*scale.shape, *(1,) * share.expr.rank))
    return Share(mul(share.expr, scale), each=True, grows=False, scale=other.scale)


def _product(node: Expr, left: Share, right: Share) -> Share:
    if (left.each and right.each) or (left.grows and right.grows):
        raise NotASumOfRowsError
    for one, other in ((left, right), (right, left)):
        if one.scale is not None and not other.is_shared:
            raise NotASumOfRowsError
    scale = left.scale if right.scale is None else right.scale
    return _joined(node.op, left, right, left.grows or right.grows, scale)


def _quotient(node: Expr, left: Share, right: Share) -> Share:
    if not node.type.is_float:
        raise NotASumOfRowsError
    if right.is_shared:
        return _joined(node.op, left, right, left.grows, left.scale)
    if left.grows != right.grows or left.scale is not right.scale:
        raise NotASumOfRowsError
    if not right.each:
        return _joined(node.op, left, right, False)
    if any(size != 1 for size in right.expr.shape[1:]):
        raise NotASumOfRowsError
    return replace(left, grows=False, scale=reshape(right.expr, right.expr.shape[:1]))


def _negative(node: Expr, share: Share) -> Share:
    return replace(share, expr=node.op(share.expr))


def _converted(node: Expr, share: Share) -> Share:
    if not node.type.is_float and share.expr.type.is_float:
        raise NotASumOfRowsError
    return replace(share, expr=cast(share.expr, node.dtype))


def _reshaped(node: Expr, share: Share) -> Share:
    shape = (*share.expr.shape[: share.each], *node.shape)
    return replace(share, expr=reshape(share.expr, shape))


def _added_up(node: Expr, share: Share) -> Share:
    axes = [axis + share.each for axis in node.attrs["axes"]]
    return replace(share, expr=reduce_sum(share.expr, axes))


def _joined(op: Op, left: Share, right: Share, grows: bool, scale: Expr | None = None) -> Share:
    rank = max(left.expr.rank - left.each, right.expr.rank - right.each)
    expr = op(_aligned(left, rank), _aligned(right, rank))
    return Share(expr, left.each or right.each, grows, scale)


def _aligned(share: Share, rank: int) -> Expr:
    """With the rank that broadcasting gives it, so that rows stay the first axis."""
    if not share.each:
        return share.expr
    first, *others = share.expr.shape
    return reshape(share.expr, (first, *(1,) * (rank - len(others)), *others))


def _is_zero(node: Expr) -> bool:
    return is_literal(node) and not node.attrs["value"].any()


_RULES: Mapping[Op, Callable[..., Share]] = {
    add: _sum,
    sub: _sum,
    mul: _product,
    div: _quotient,
    neg: _negative,
    cast.op: _converted,
    reshape.op: _reshaped,
    reduce_sum.op: _added_up,
}
