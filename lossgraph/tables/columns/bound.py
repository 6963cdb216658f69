"""One input of a loss, and the columns that it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import InputError
from .cells import equal_lengths, is_list, null_rows, numbers, opened, stored
from .classes import Classes
from .convert import converted
from .layout import Layout, dtype_of, layout_of
from .names import columns_of, is_several, require_column
from .padding import Ragged, lengths_of
from .rows import BadRowError, Elements

Array = np.ndarray[Any, Any]
Type = tuple[str, tuple[str | int, ...]]

_NULL = "is null: fill it, or skip such rows by nulls='skip'"


@dataclass(frozen=True)
class BoundInput:
    """An input, and the columns that it is made of.

    Attributes:
        input: the name of the input.
        columns: the columns, side by side if they are several.
        several: whether they stand side by side.
        layout: of each of the columns.
        dtype: of the array.
        lengths: of the axes of a cell; None where the rows say it.
        names: of these axes.
        classes: what its labels stand for, None for numbers.
        padded: the name of the first axis of cells, where rows may differ; empty if they may not.
        advice: what is said of rows that differ, beside that.
    """

    input: str
    columns: tuple[str, ...]
    several: bool
    layout: Layout
    dtype: np.dtype[Any]
    lengths: tuple[int | None, ...]
    names: tuple[str, ...]
    classes: Classes | None = None
    padded: str = ""
    advice: str = ""

    @property
    def rank(self) -> int:
        """The rank of the array."""
        return self.layout.rank + self.several

    @property
    def is_settled(self) -> bool:
        """Whether all lengths are known that are those of all rows."""
        return None not in self.lengths[bool(self.padded) :]

    def type(self, dim: str) -> Type:
        """The dtype and the shape of the array."""
        lengths: list[int | str] = [
            name if n is None else n for n, name in zip(self.lengths, self.names, strict=True)
        ]
        if self.padded:
            lengths[0] = self.padded
        if self.layout.order is not None:
            lengths = [lengths[axis] for axis in self.layout.order]
        if self.several:
            lengths.insert(0, len(self.columns))
        return self.dtype.name, (dim, *lengths)

    def named(self, shape: Sequence[str | int]) -> BoundInput:
        """The same with the names that the axes of a shape have, if it is of this rank."""
        own = shape[1 + self.several :]
        if len(own) != len(self.names):
            return self
        names = (n if isinstance(n, str) else old for n, old in zip(own, self.names, strict=True))
        return replace(self, names=tuple(names))

    def united(self, dims: Sequence[object]) -> BoundInput:
        """The same with one name for axes of two, or with a length for an axis of a name."""
        length = next((dim for dim in dims if isinstance(dim, int)), None)
        texts = [str(dim) for dim in dims if not isinstance(dim, int)]
        lengths = [
            length if old is None and name in texts else old
            for old, name in zip(self.lengths, self.names, strict=True)
        ]
        names = [texts[0] if name in texts else name for name in self.names]
        return replace(self, names=tuple(names), lengths=tuple(lengths))

    def read(self, batch: pa.RecordBatch) -> Array | Ragged:
        """The array of a batch, or its lists where they are to be padded.

        Raises:
            BadRowError: for a cell that is null, or does not fit.
        """
        parts = [self._cells(batch.column(column), column) for column in self.columns]
        return np.stack(parts, axis=1) if self.several else parts[0]

    def numbers(self, batch: pa.RecordBatch) -> Array:
        """The array of a batch of an input of one number a row.

        Raises:
            BadRowError: for a cell that is null.
        """
        return np.asarray(self.read(batch))

    def measured(self, batch: pa.RecordBatch) -> tuple[int | None, ...]:
        """The lengths of the first lists of a batch without nulls, where they are not known."""
        found = list(self.lengths)
        cells = stored(batch.column(self.columns[0]))
        for axis, known in enumerate(found):
            if not is_list(cells):
                raise self._other_type(self.columns[0], cells)
            level, elements = opened(cells)
            if known is None and not isinstance(level, int) and len(level) > 1:
                found[axis] = int(level[1] - level[0])
            cells = stored(elements)
        if self.padded:
            found[0] = None
        return tuple(found)

    def _cells(self, cells: pa.Array, column: str) -> Any:
        """The array of one column, or its lists."""
        cells, elements = stored(cells), Elements(column)
        nulls = null_rows(cells)
        if nulls is not None:
            raise BadRowError(nulls[0], column, _NULL)
        shape, lengths = [len(cells)], None
        for axis, wanted in enumerate(self.lengths):
            if not is_list(cells):
                raise self._other_type(column, cells)
            level, inside = opened(cells)
            if axis == 0 and self.padded:
                lengths, shape = lengths_of(level, len(cells)), [len(inside)]
            elif isinstance(level, int):
                shape.append(level)
            else:
                shape.append(equal_lengths(elements, level, wanted, self.advice))
            elements, cells = elements.inside(level), stored(inside)
        found = self._leaf(cells, elements).reshape(shape)
        if lengths is not None:
            return Ragged(found, lengths)
        if self.layout.order is not None:
            found = found.transpose(0, *(axis + 1 for axis in self.layout.order))
        return np.require(found, requirements=["C", "A"])

    def _leaf(self, cells: pa.Array, elements: Elements) -> Array:
        if is_list(cells):
            raise self._other_type(elements.column, cells)
        if self.classes is not None:
            return self.classes.labels(cells, elements)
        return converted(numbers(cells), self.dtype, elements)

    def _other_type(self, column: str, cells: pa.Array) -> InputError:
        levels = len(self.lengths)
        return InputError(
            f"column {column!r}: expected lists {levels} deep of {self.layout.leaf}, as the schema "
            f"says, and found {cells.type}"
        )


def bound_input(
    schema: pa.Schema, input: str, said: str | Sequence[str], classes: Classes | None = None
) -> BoundInput:
    """An input in the dtype of its columns, int32 for classes by name.

    Args:
        schema: of the table.
        input: the name of the input.
        said: a column, a pattern, or a list of these.
        classes: what labels stand for.

    Raises:
        InputError: for columns that there are not, or that cannot be this.
    """
    names = columns_of(input, said, schema.names)
    layouts = [layout_of(schema.field(name).type) for name in names]
    for name, layout in zip(names, layouts, strict=True):
        if (layout.lengths, layout.order) != (layouts[0].lengths, layouts[0].order):
            raise InputError(
                f"{input}: columns side by side have cells of one shape: {names[0]!r} is of "
                f"{schema.field(names[0]).type}, {name!r} of {schema.field(name).type}"
            )
        if classes is not None:
            classes.require(name, layout.leaf)
    if classes is not None:
        dtype: np.dtype[Any] = np.dtype(np.int32)
    else:
        dtypes = [dtype_of(name, x.leaf) for name, x in zip(names, layouts, strict=True)]
        dtype = np.result_type(*dtypes)
    several, lengths = is_several(said, schema.names), layouts[0].lengths
    axes = tuple(f"{input}_{i + 1}" for i in range(len(lengths)))
    return BoundInput(input, names, several, layouts[0], dtype, lengths, axes, classes)


def bound_numbers(schema: pa.Schema, what: str, column: str) -> BoundInput:
    """A column with one number for each row, as float64: weights.

    Args:
        schema: of the table.
        what: what an error calls it.
        column: the column.

    Raises:
        InputError: for a column that there is not, or that is of lists.
    """
    require_column(what, column, schema.names)
    found = bound_input(schema, what, column)
    if found.rank != 1:
        type_ = schema.field(column).type
        raise InputError(f"{what}: column {column!r} is of {type_}: expected one number a row")
    return replace(found, dtype=np.dtype(np.float64))
