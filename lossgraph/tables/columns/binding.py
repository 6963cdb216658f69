"""Columns bound to the inputs of a loss: their types, and the arrays of a batch of rows."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from ...authoring.block import Block
from ...errors import InputError
from .cells import elements_of, equal_lengths, is_list, null_cells, numbers, offsets_of, stored
from .convert import converted
from .inputs import check_inputs, dtype_for, inputs_of
from .layout import Layout, dtype_of, layout_of
from .names import columns_of, is_several
from .rows import BadRowError

Array = np.ndarray[Any, Any]
Columns = Mapping[str, str | Sequence[str]]
Type = tuple[str, tuple[str | int, ...]]

_ROWS_AT_ONCE = 1024  # of columns put side by side, so that they stay in the cache


@dataclass(frozen=True)
class BoundInput:
    """An input, and the columns that it is made of.

    Attributes:
        input: the name of the input.
        columns: the columns, side by side if they are several.
        several: whether they stand side by side.
        layout: of each of the columns.
        dtype: of the array.
        lengths: of the axes of a cell; None where it is that of the first row.
    """

    input: str
    columns: tuple[str, ...]
    several: bool
    layout: Layout
    dtype: np.dtype[Any]
    lengths: tuple[int | None, ...]

    @property
    def rank(self) -> int:
        """The rank of the array."""
        return self.layout.rank + self.several

    def type(self, dim: str) -> Type:
        """The dtype and the shape of the array."""
        lengths = list(self.lengths)
        if self.layout.order is not None:
            lengths = [lengths[axis] for axis in self.layout.order]
        if self.several:
            lengths.insert(0, len(self.columns))
        named = [n if n is not None else f"{self.input}_{i + 1}" for i, n in enumerate(lengths)]
        return self.dtype.name, (dim, *named)

    def array(self, batch: pa.RecordBatch) -> Array:
        """The array of a batch."""
        parts = [self._cells(batch, column) for column in self.columns]
        if not self.several:
            return parts[0]
        out = np.empty((batch.num_rows, len(parts), *parts[0].shape[1:]), self.dtype)
        for start in range(0, batch.num_rows, _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            for i, part in enumerate(parts):
                out[rows, i] = part[rows]
        return out

    def measured(self, batch: pa.RecordBatch) -> tuple[int | None, ...]:
        """The lengths of the cells of a batch's first row."""
        if None not in self.lengths:
            return self.lengths
        return self.array(batch.slice(0, 1)).shape[1 + self.several :]

    def _cells(self, batch: pa.RecordBatch, column: str) -> Array:
        """The array of one column."""
        cells, shape = stored(batch.column(column)), [batch.num_rows]
        nulls = null_cells(cells)
        if nulls is not None:
            raise BadRowError(nulls[0], column, "is null")
        while is_list(cells):
            cells, length = self._opened(column, cells, shape)
            shape.append(length)
            cells = stored(cells)
        found = converted(column, numbers(cells), self.dtype, math.prod(shape[1:]))
        found = found.reshape(shape)
        if self.layout.order is not None:
            found = found.transpose(0, *(axis + 1 for axis in self.layout.order))
        return np.ascontiguousarray(found)

    def _opened(self, column: str, cells: pa.Array, shape: Sequence[int]) -> tuple[pa.Array, int]:
        """The elements of lists, and the length that all lists have."""
        if isinstance(cells, pa.FixedSizeListArray):
            size = cells.type.list_size
            return cells.values.slice(cells.offset * size, len(cells) * size), size
        offsets, wanted = offsets_of(cells), self.lengths[len(shape) - 1]
        length = equal_lengths(column, offsets, wanted, math.prod(shape[1:]))
        return elements_of(cells, offsets), length


@dataclass(frozen=True)
class Binding:
    """The columns of a table as inputs of a loss; made by ``bind``.

    Attributes:
        bound: the inputs.
    """

    bound: tuple[BoundInput, ...]

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return tuple(each.input for each in self.bound)

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns to be read, each once."""
        return tuple(dict.fromkeys(name for each in self.bound for name in each.columns))

    @property
    def is_settled(self) -> bool:
        """Whether all lengths are known."""
        return all(None not in each.lengths for each in self.bound)

    def settled(self, batch: pa.RecordBatch) -> Binding:
        """The same with the lengths of the lists in the first row of a batch for all rows.

        Types then have no dims but that of the rows, and a row of another length is refused in
        whatever batch it is.

        Raises:
            BadRowError: if the row has a null, or lists inside of unequal lengths.
        """
        if not batch.num_rows:
            return self
        return replace(self, bound=tuple(replace(x, lengths=x.measured(batch)) for x in self.bound))

    def types(self, dim: str) -> dict[str, Type]:
        """The types of the inputs, ``dim`` being the name of the axis of rows."""
        return {each.input: each.type(dim) for each in self.bound}

    def arrays(self, batch: pa.RecordBatch) -> dict[str, Array]:
        """The arrays of a batch by input, C-contiguous; read-only where they are Arrow's memory.

        Raises:
            BadRowError: for a cell that is null, or does not fit.
        """
        return {each.input: each.array(batch) for each in self.bound}

    def missing(self, batch: pa.RecordBatch) -> Array | None:
        """Which rows have a null in a column, at any depth of its lists; None if none has."""
        found = None
        for column in self.columns:
            nulls = null_cells(batch.column(column))
            if nulls is not None:
                found = np.zeros(batch.num_rows, bool) if found is None else found
                found[nulls] = True
        return found


def bind(
    schema: pa.Schema,
    loss: Block,
    columns: Columns,
    *,
    shared: Collection[str] = (),
    ragged: str = "refuse",
) -> Binding:
    """The columns of a table as inputs of a loss.

    Args:
        schema: of the table.
        loss: the loss.
        columns: the column of each input; a list of columns, or a pattern like ``logit_*``, is one
            input of columns side by side.
        shared: the inputs that all rows share, which no column gives.
        ragged: what lists of different lengths are.

    Raises:
        InputError: for inputs and columns that there are not, and columns of no numbers.
    """
    check_inputs(loss, columns, shared)
    found = [_bound(schema, input, said) for input, said in columns.items()]
    ranks = {each.input: each.rank for each in found}
    order = {name: i for i, name in enumerate(inputs_of(loss))}
    found = [
        replace(each, dtype=dtype_for(loss, each.input, each.dtype, ranks))
        for each in sorted(found, key=lambda each: order.get(each.input, len(order)))
    ]
    return Binding(tuple(found))


def _bound(schema: pa.Schema, input: str, said: str | Sequence[str]) -> BoundInput:
    """An input in the dtype of its columns."""
    names = columns_of(input, said, schema.names)
    layouts = [layout_of(schema.field(name).type) for name in names]
    for name, layout in zip(names, layouts, strict=True):
        if layout.lengths != layouts[0].lengths or layout.order != layouts[0].order:
            raise InputError(
                f"{input}: columns side by side have cells of one shape: {names[0]!r} is of "
                f"{schema.field(names[0]).type}, {name!r} of {schema.field(name).type}"
            )
    dtypes = [dtype_of(name, x.leaf) for name, x in zip(names, layouts, strict=True)]
    several = is_several(said, schema.names)
    lengths = layouts[0].lengths
    return BoundInput(input, names, several, layouts[0], np.result_type(*dtypes), lengths)
