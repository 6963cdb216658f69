"""What a type of Arrow is as an array: an axis for each level of lists, and a dtype."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ...errors import InputError

_IS_LIST = (
    pa.types.is_list, pa.types.is_large_list, pa.types.is_list_view, pa.types.is_large_list_view,
)  # fmt: skip
_IS_TEXT = (
    pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view, pa.types.is_binary,
    pa.types.is_large_binary, pa.types.is_binary_view, pa.types.is_fixed_size_binary,
)  # fmt: skip
_NUMBERS = "a column is of numbers, or of lists of them"


@dataclass(frozen=True)
class Layout:
    """The cells of a column as an array.

    Attributes:
        lengths: of the axes after the rows; None where the type leaves it to the rows.
        leaf: the type of the elements, whatever encodes them.
        order: how axes of a tensor are to be exchanged; None if they stand as they are stored.
    """

    lengths: tuple[int | None, ...]
    leaf: pa.DataType
    order: tuple[int, ...] | None = None

    @property
    def rank(self) -> int:
        """The rank of the array."""
        return 1 + len(self.lengths)


def layout_of(type_: pa.DataType) -> Layout:
    """The layout of a column of a type."""
    if isinstance(type_, pa.FixedShapeTensorType):
        order = tuple(type_.permutation or range(len(type_.shape)))
        is_plain = order == tuple(range(len(order)))
        return Layout(tuple(type_.shape), type_.value_type, None if is_plain else order)
    if isinstance(type_, pa.BaseExtensionType):
        return layout_of(type_.storage_type)
    if pa.types.is_dictionary(type_) or pa.types.is_run_end_encoded(type_):
        return layout_of(type_.value_type)
    if pa.types.is_fixed_size_list(type_):
        return _list_of(type_, type_.list_size)
    if any(holds(type_) for holds in _IS_LIST):
        return _list_of(type_, None)
    return Layout((), type_)


def _list_of(type_: pa.DataType, length: int | None) -> Layout:
    inner = layout_of(type_.value_type)
    if inner.order is not None:
        raise InputError(f"lists of tensors whose axes are exchanged are no input: {type_}")
    return Layout((length, *inner.lengths), inner.leaf)


def is_text(leaf: pa.DataType) -> bool:
    """Whether elements are texts or bytes."""
    return any(holds(leaf) for holds in _IS_TEXT)


def dtype_of(column: str, leaf: pa.DataType) -> np.dtype[np.generic]:
    """The dtype of elements, float64 for decimals, which no dtype has.

    Raises:
        InputError: for elements that are no numbers.
    """
    if pa.types.is_boolean(leaf):
        return np.dtype(bool)
    if pa.types.is_integer(leaf) or pa.types.is_floating(leaf):
        return np.dtype(leaf.to_pandas_dtype())
    if pa.types.is_decimal(leaf) or pa.types.is_null(leaf):
        return np.dtype(np.float64)
    if is_text(leaf):
        raise InputError(
            f"column {column!r} is of {leaf}: say which class each text is by classes="
        )
    raise InputError(f"column {column!r} is of {leaf}: {_NUMBERS}")
