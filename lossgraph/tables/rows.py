"""The rows of a table with their losses beside them, written while they are computed.

Rows are in the order of the table, whichever thread computes what. A file gets its name when all of
it is written. A folder gets a file for each file of the table.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from ..compiler.outputs import auxiliary_name, gradient_name
from ..errors import InputError
from ..ir.types import TensorType, numpy_dtype
from ..models.files import replacing
from .batch import Place, Rows
from .in_order import InOrder
from .local import Listener
from .plan import Plan
from .sources.base import Part

Array = np.ndarray[Any, Any]

_GROUP_ROWS = 1 << 17  # of a row group
_GROUP_BYTES = 1 << 26


class RowsWriter(Listener):
    """Writes rows and losses, in the order of the table.

    Args:
        plan: what is computed.
        schema: of the table.
        names: the columns of the table that are written.
        append: what the column of losses is called; others are called by it too.
        target: a file that is not there yet, or a folder if it has no suffix.
        parts: of the table.
    """

    def __init__(
        self,
        plan: Plan,
        schema: pa.Schema,
        names: Sequence[str],
        append: str,
        target: Path,
        parts: Sequence[Part],
    ) -> None:
        self._names, self._append = names, append
        self._fields = fields_beside(plan, append, names)
        self._schema = pa.schema([*map(schema.field, names), *self._fields])
        self._target, self._parts = target, parts
        self._files = {} if target.suffix else _file_names(parts)
        self._open: tuple[str, _File] | None = None
        self._order = InOrder(self._write)

    def took(self, batch: pa.RecordBatch, rows: Rows | None, place: Place) -> None:
        """Write a batch, when it is its turn; rows without a loss have null."""
        losses = _losses(len(batch), rows, place, self._fields)
        kept = [batch.column(name) for name in self._names]
        self._order.put(place, pa.RecordBatch.from_arrays([*kept, *losses], schema=self._schema))

    def ended(self, part: int, rows: int) -> None:
        self._order.end(part, rows)

    def stopped(self) -> None:
        self._order.stop()

    def close(self) -> None:
        """End the file that is being written."""
        if self._open is not None:
            opened, self._open = self._open[1], None
            with _writing(self._target):
                opened.close()

    def _write(self, part: int, batch: pa.RecordBatch) -> None:
        name = self._files.get(part, "")
        with _writing(self._target):
            if self._open is None or self._open[0] != name:
                self.close()
                path = self._target / name if name else self._target
                path.parent.mkdir(parents=True, exist_ok=True)
                self._open = name, _File(path, self._schema)
            self._open[1].write(batch)


@contextmanager
def rows_into(
    target: str | os.PathLike[str] | None,
    append: str,
    plan: Plan,
    schema: pa.Schema,
    names: Sequence[str],
    parts: Sequence[Part],
) -> Iterator[list[Listener]]:
    """The listeners of a run that write its rows; what they wrote is there if all went well.

    Raises:
        InputError: for a file of another kind, and columns that it cannot have.
    """
    if target is None:
        yield []
        return
    path = Path(target)
    check_rows(path, append, plan, schema, names)
    with replacing(path) as aside:
        writer = RowsWriter(plan, schema, names, append, aside, parts)
        try:
            yield [writer]
        except BaseException:
            writer.stopped()
            with suppress(InputError):  # it says nothing new: something else failed before
                writer.close()
            raise
        writer.close()
        if not aside.exists():
            raise InputError(f"{path}: there are no rows to write")


def check_rows(
    path: Path, append: str, plan: Plan, schema: pa.Schema, names: Sequence[str]
) -> None:
    """Refuse a file that cannot be written, before anything is computed.

    Raises:
        InputError: for a file of another kind, a column that is there already, lists in CSV.
    """
    if path.suffix and path.suffix.lower() not in _WRITERS:
        known = ", ".join(_WRITERS)
        raise InputError(f"{path}: rows are written as one of {known}, or into a folder")
    fields = fields_beside(plan, append, names)
    if path.suffix.lower() == ".csv":
        for field in [*map(schema.field, names), *fields]:
            if pa.types.is_nested(field.type):
                raise InputError(
                    f"{path}: CSV has no column of lists such as {field.name!r}: write .parquet, "
                    "or keep other columns"
                )


# --- losses as columns ---


def fields_beside(plan: Plan, append: str, names: Collection[str]) -> list[pa.Field]:
    """The columns beside those of the table, in the order of ``_losses``.

    Raises:
        InputError: if a column of the table is called as one of them.
    """
    fields = _fields(plan, append)
    for field in fields:
        if field.name in names:
            raise InputError(
                f"append: the table has a column {field.name!r}: call the losses otherwise"
            )
    return fields


def _fields(plan: Plan, append: str) -> list[pa.Field]:
    program = plan.rows.program
    (value,) = program.values
    outputs = {"loss": value, **{name: auxiliary_name(name) for name in plan.rows.parts}}
    fields = []
    for name in plan.measures:
        own = outputs.get(name, value)
        wide = plan.rows.scaled or name == "difference"
        dtype = "float64" if wide else program.outputs[own].dtype
        fields.append(pa.field(append if name == "loss" else f"{append}_{name}", _number(dtype)))
    for name in plan.gradients_of_rows:
        type_ = program.outputs[gradient_name(name)].type
        fields.append(pa.field(f"{append}_grad_{name}", _lists(type_)))
    return fields


def _number(dtype: str) -> pa.DataType:
    return pa.from_numpy_dtype(numpy_dtype(dtype))


def _lists(type_: TensorType) -> pa.DataType:
    """A cell of a gradient: lists in lists, of equal lengths where these are known."""
    made = _number(type_.dtype)
    for size in reversed(type_.shape[1:]):
        made = pa.list_(made, size if isinstance(size, int) else -1)
    return made


def _losses(
    count: int, rows: Rows | None, place: Place, fields: Sequence[pa.Field]
) -> list[pa.Array]:
    """The columns of losses of a batch, null where a row has none."""
    if rows is None:
        return [pa.nulls(count, field.type) for field in fields]
    found = [*rows.measures.values(), *rows.gradients.values()]
    arrays = [_cells(array, field.type) for array, field in zip(found, fields, strict=True)]
    uncounted = None if rows.weights is None else np.isnan(found[0]) & (rows.weights == 0)
    if len(rows.numbers) == count and (uncounted is None or not uncounted.any()):
        return arrays
    places = np.zeros(count, np.int64)
    known = np.zeros(count, bool)
    inside = rows.numbers - place.first
    places[inside] = np.arange(len(inside))
    known[inside] = True if uncounted is None else ~uncounted
    taken = pa.array(places, mask=~known)
    return [array.take(taken) for array in arrays]


def _cells(array: Array, type_: pa.DataType) -> pa.Array:
    cells = pa.array(np.ascontiguousarray(array).reshape(-1))
    for size in reversed(array.shape[1:]):
        cells = pa.FixedSizeListArray.from_arrays(cells, size)
    return cells if cells.type == type_ else cells.cast(type_)


# --- files ---


class _Writer(Protocol):
    def write(self, table: pa.Table) -> None: ...

    def close(self) -> None: ...


class _File:
    """A file of rows; small batches are gathered, so that row groups are no smaller than needed."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._writer: _Writer = _WRITERS[path.suffix.lower()](path, schema)
        self._waiting: list[pa.RecordBatch] = []
        self._rows = self._bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows."""
        self._waiting.append(batch)
        self._rows += len(batch)
        self._bytes += batch.nbytes
        if self._rows >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def close(self) -> None:
        """Write what waits, and the end of the file."""
        try:
            self._flush()
        finally:
            self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write(pa.Table.from_batches(self._waiting))
        self._waiting, self._rows, self._bytes = [], 0, 0


def _parquet(path: Path, schema: pa.Schema) -> _Writer:
    import pyarrow.parquet as pq

    writer: _Writer = pq.ParquetWriter(str(path), schema)
    return writer


class _Decoded:
    """Writes without dictionaries: those of a file of Arrow are the same in all its batches."""

    def __init__(self, make: Callable[[str, pa.Schema], Any], path: Path, schema: pa.Schema):
        self._schema = pa.schema([_decoded(field) for field in schema])
        self._writer = make(str(path), self._schema)

    def write(self, table: pa.Table) -> None:
        """Write rows."""
        self._writer.write_table(table.cast(self._schema))

    def close(self) -> None:
        """End the file."""
        self._writer.close()


def _decoded(field: pa.Field) -> pa.Field:
    if pa.types.is_dictionary(field.type):
        return field.with_type(field.type.value_type)
    return field


def _arrow(path: Path, schema: pa.Schema) -> _Writer:
    return _Decoded(pa.ipc.new_file, path, schema)


def _csv(path: Path, schema: pa.Schema) -> _Writer:
    from pyarrow import csv

    return _Decoded(csv.CSVWriter, path, schema)


_WRITERS: Mapping[str, Callable[[Path, pa.Schema], _Writer]] = {
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".csv": _csv,
}


def _file_names(parts: Sequence[Part]) -> dict[int, str]:
    """The file within a folder of each part: as those of the table lie, all of them Parquet."""
    files = {part.file for part in parts if part.file}
    common = os.path.commonpath([os.path.dirname(file) or "." for file in files]) if files else ""
    names: dict[int, str] = {}
    last: str | None = ""
    for i, part in enumerate(parts):
        if i and part.file == last:
            names[i] = names[i - 1]
            continue
        own = os.path.relpath(part.file, common) if part.file else "rows"
        names[i] = _unused(os.path.splitext(own)[0], names.values())
        last = part.file
    return names


def _unused(stem: str, used: Collection[str]) -> str:
    """The name of a file that no other has, as where the table has a file twice."""
    found, number = f"{stem}.parquet", 1
    while found in used:
        number += 1
        found = f"{stem}-{number}.parquet"
    return found


@contextmanager
def _writing(target: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"{target.name} cannot be written: {error}") from error
