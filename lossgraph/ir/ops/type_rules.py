"""Type rules that operations share: which dtypes they take, and what broadcasting makes of two."""

from __future__ import annotations

from ...errors import DtypeError
from ..types import TensorType, broadcast_shapes


def same(x: TensorType, **_: object) -> TensorType:
    """The argument's type."""
    return x


def float_only(x: TensorType, **_: object) -> TensorType:
    """The argument's type, which must be floating."""
    if not x.is_float:
        raise DtypeError(f"needs a floating dtype, got {x.dtype}")
    return x


def number_only(x: TensorType, **_: object) -> TensorType:
    """The argument's type, which must not be bool."""
    if x.dtype == "bool":
        raise DtypeError("needs numbers, got bool: cast first")
    return x


def arithmetic(x: TensorType, y: TensorType, **_: object) -> TensorType:
    """Broadcast two arrays of numbers of one dtype."""
    return broadcasting(number_only(x), y)


def broadcasting(x: TensorType, y: TensorType) -> TensorType:
    """Broadcast two arrays of one dtype."""
    if x.dtype != y.dtype:
        raise DtypeError(f"dtypes {x.dtype} and {y.dtype} differ: cast one of them")
    return TensorType(x.dtype, broadcast_shapes(x.shape, y.shape))


def comparison(x: TensorType, y: TensorType) -> TensorType:
    """Broadcast two arrays of one dtype, to truths."""
    return broadcasting(x, y).with_dtype("bool")


def bool_only(x: TensorType) -> TensorType:
    """The argument's type, which must be bool."""
    if x.dtype != "bool":
        raise DtypeError(f"needs bool, got {x.dtype}")
    return x


def logical(x: TensorType, y: TensorType) -> TensorType:
    """Broadcast two arrays of truths."""
    return broadcasting(bool_only(x), bool_only(y))
