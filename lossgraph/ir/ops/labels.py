"""Class labels, which users give, become indices here and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...errors import DtypeError, InputError
from .. import batching
from ..dims import Dim
from ..expr import (
    Array,
    Expr,
    Op,
    builds,
    const,
    inputs_of,
    no_gradient,
    rebuild,
    register,
    toposort,
    transform,
)
from ..kernel_forms import Formula
from ..types import TensorType, numpy_dtype
from .elementwise import (
    cast,
    equal,
    floor,
    greater_equal,
    isnan,
    less,
    logical_and,
    logical_not,
    where,
)
from .index import SELECTING
from .reduce import reduce_max, reduce_min, reduce_sum
from .shape import full, reshape, size_of
from .type_rules import float_only


def _inside(label: Expr, classes: Dim) -> Expr:
    """Where a label is a class; NaN and what lies between two classes are none."""
    if label.type.is_float:
        below = less(label, cast(size_of(classes), label.dtype))
        return logical_and(_whole_from_zero(label), below)
    wide = cast(label, "int64")  # a uint64 beyond int64 wraps below zero: outside
    return logical_and(greater_equal(wide, 0), less(wide, size_of(classes)))


def _whole_from_zero(label: Expr) -> Expr:
    """Where a float is a whole number that is not negative."""
    return logical_and(greater_equal(label, 0.0), equal(floor(label), label))


def _np_inside(label: Array, classes: int) -> Array:
    if label.dtype.kind not in "biu":  # bfloat16 has a kind of its own
        return (label >= 0) & (label < classes) & (np.floor(label) == label)
    wide = label.astype(np.int64)
    return (wide >= 0) & (wide < classes)


def count_outside(label: Expr, classes: Dim) -> Expr:
    """How many labels are no class: int64, rank 0."""
    outside = cast(logical_not(_inside(label, classes)), "int64")
    return reshape(reduce_sum(outside, range(outside.rank)), ())


def first_outside(label: Array, classes: int) -> tuple[int, ...] | None:
    """The index of the first label that is no class, None where all are."""
    outside = ~_np_inside(label, classes)
    if not outside.any():
        return None
    return tuple(int(i) for i in np.unravel_index(np.argmax(outside), label.shape))


def _class_infer(label: TensorType, *, classes: Dim) -> TensorType:
    if label.dtype == "bool":
        raise DtypeError("class labels are integers or floats, got bool")
    if classes == 0:
        raise InputError("there are no classes to choose from: the class axis has length 0")
    return label.with_dtype("int64")


_class_index: Op = register(
    Op(
        "ClassIndex",
        _class_infer,
        lambda label, classes: np.where(_np_inside(label, classes), label, 0).astype(np.int64),
        no_gradient,
        lambda b, node, label: b.lower(_index_of(node.args[0], node.attrs["classes"])),
        index_args=(0,),
        batching=batching.pointwise,
        kernel=Formula(lambda label, classes: _index_of(label, classes)),
    )
)


def _index_of(label: Expr, classes: Dim) -> Expr:
    """Integers are widened first, as engines have few kernels for the narrow ones."""
    wide = label if label.type.is_float else cast(label, "int64")
    return cast(where(_inside(wide, classes), wide, const(0, wide.dtype)), "int64")


@builds(_class_index)
def class_index(label: Expr, classes: Dim) -> Expr:
    """The int64 index of a label's class; 0 for a label that is no class."""
    return _class_index(label, classes=classes)


def _mask_ref(label: Array, classes: int, dtype: str) -> Array:
    return np.where(_np_inside(label, classes), 1.0, np.nan).astype(numpy_dtype(dtype))


def _mask_of(label: Expr, classes: Dim, dtype: str) -> Expr:
    return where(_inside(label, classes), const(1, dtype), const(np.nan, dtype))


def _nan_mask_of(index: Expr, dtype: str) -> Expr:
    return where(isnan(index), const(np.nan, dtype), const(1, dtype))


_class_mask: Op = register(
    Op(
        "ClassMask",
        lambda label, *, classes, dtype: _class_infer(label, classes=classes).with_dtype(dtype),
        _mask_ref,
        no_gradient,
        lambda b, node, label: b.lower(_mask_of(node.args[0], **node.attrs)),
        index_args=(0,),
        batching=batching.pointwise,
        kernel=Formula(lambda label, classes, dtype: _mask_of(label, classes, dtype)),
    )
)


_nan_mask: Op = register(
    Op(
        "NanMask",
        lambda index, *, dtype: float_only(index).with_dtype(dtype),
        lambda index, dtype: np.where(np.isnan(index), np.nan, 1.0).astype(numpy_dtype(dtype)),
        no_gradient,
        lambda b, node, index: b.lower(_nan_mask_of(node.args[0], **node.attrs)),
        index_args=(0,),
        batching=batching.pointwise,
        kernel=Formula(lambda index, dtype: _nan_mask_of(index, dtype)),
    )
)


def assume_valid_labels(roots: Sequence[Expr], checked: bool) -> list[Expr]:
    """The roots for labels that are known to be classes: no mask spoils a sample.

    Args:
        roots: expressions.
        checked: whether indices need no look either, as the engine refuses those out of bounds.
    """

    def choose(node: Expr, args: tuple[Expr, ...]) -> Expr:
        if not inputs_of(node.args):  # a constant label, which nothing looks at
            return rebuild(node, args)
        if node.op is _class_mask:
            return full(1.0, node.dtype, node.shape)
        if node.op is _class_index and checked:
            return cast(args[0], "int64")
        return rebuild(node, args)

    return transform(roots, choose)


def only_select(labels: Sequence[Expr], roots: Sequence[Expr]) -> bool:
    """Whether class labels serve as indices, and as nothing else: an engine may check these."""
    order = toposort(roots)
    derived = {node for node in order if node.op is _class_index}
    checked = {node for index in derived for node in toposort(index.args)}
    for node in order:
        for position, arg in enumerate(node.args):
            if arg in derived and not (position in node.op.index_args and node.op in SELECTING):
                if node.op.movement is None or not node.op.movement.keeps_all:
                    return False
                derived.add(node)
    return all(label in checked for label in labels) and not any(root in derived for root in roots)


def any_negative(label: Expr) -> Expr:
    """Positive if a label is below zero, or is no whole number: int64, rank 0."""
    if label.type.is_float:
        bad = cast(logical_not(_whole_from_zero(label)), "int64")
        return reshape(reduce_max(bad, range(bad.rank)), ())
    index = cast(label, "int64")
    return reshape(-reduce_min(index, range(index.rank)), ())


@builds(_nan_mask)
def nan_mask(index: Expr, dtype: str) -> Expr:
    """1, but NaN where a floating index is NaN and so has no nearest element."""
    return _nan_mask(index, dtype=dtype)


@builds(_class_mask)
def class_mask(label: Expr, classes: Dim, dtype: str) -> Expr:
    """1 for a label that is a class, NaN for one outside: a factor that spoils its sample."""
    return _class_mask(label, classes=classes, dtype=dtype)
