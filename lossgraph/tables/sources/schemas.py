"""Columns of files that make one table: the same ones, and what a batch of a file lacks of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import pyarrow as pa

from ...errors import InputError
from .files import File, key_columns


def common_schema(files: Sequence[File], schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The columns of a table in several files: the first one's, and those of folders.

    Raises:
        InputError: for a file that has other columns, or other types.
    """
    first = schemas[0]
    for file, schema in zip(files, schemas, strict=True):
        distinct(file.name, schema)
        for text in _differences(first, schema, files[0].name):
            raise InputError(f"{file.name}: {text}: the files of a table have the same columns")
    columns = [_known(column, schemas) for column in first]
    # Some writers keep the keys in the files too.
    columns += [key for key in key_columns(files) if key.name not in first.names]
    return pa.schema(columns)


def distinct(name: str, schema: pa.Schema) -> None:
    """Refuse a table with two columns of one name.

    Raises:
        InputError: if there are such.
    """
    twice = sorted({column for column in schema.names if schema.names.count(column) > 1})
    if twice:
        raise InputError(f"{name} has two columns called {twice[0]!r}")


class Conform:
    """Makes of batches of a file, or whatever holds rows, batches of a table.

    Args:
        schema: of the table.
        columns: which of its columns are wanted, in this order.
        constants: those that the file has not, and their values; further ones are null.
    """

    def __init__(
        self,
        schema: pa.Schema,
        columns: Sequence[str],
        constants: Mapping[str, pa.Scalar] = MappingProxyType({}),
    ) -> None:
        self._schema = pa.schema([schema.field(name) for name in columns])
        self._constants = constants

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if batch.schema.equals(self._schema):
            return batch
        if not len(self._schema):
            return batch.select([])  # which knows how many rows it has
        places = {name: i for i, name in enumerate(batch.schema.names)}
        arrays = [
            self._cast(batch.column(places[wanted.name]), wanted.type)
            if wanted.name in places
            else self._constant(wanted, batch.num_rows)
            for wanted in self._schema
        ]
        return pa.RecordBatch.from_arrays(arrays, schema=self._schema)

    def _cast(self, column: pa.Array, kind: pa.DataType) -> pa.Array:
        return column if column.type == kind else column.cast(kind)

    def _constant(self, column: pa.Field, rows: int) -> pa.Array:
        value, kind = self._constants.get(column.name), column.type
        if value is None or not value.is_valid:
            return pa.nulls(rows, kind)
        if pa.types.is_dictionary(kind):
            indices = pa.repeat(pa.scalar(0, kind.index_type), rows)
            return pa.DictionaryArray.from_arrays(indices, pa.array([value.as_py()]))
        return pa.repeat(value, rows)


def _differences(first: pa.Schema, schema: pa.Schema, name: str) -> Iterator[str]:
    """What a schema has otherwise than that of the first file."""
    for column in first:
        if column.name not in schema.names:
            yield f"there is no column {column.name!r}, {column.type} in {name}"
        elif not _alike(column.type, schema.field(column.name).type):
            found = schema.field(column.name).type
            yield f"column {column.name!r} is {found}, and {column.type} in {name}"
    for column in schema:
        if column.name not in first.names:
            yield f"there is a column {column.name!r}, which {name} has not"


def _known(column: pa.Field, schemas: Sequence[pa.Schema]) -> pa.Field:
    """A column with the first type that is more than null, without metadata of its file."""
    kinds = [schema.field(column.name).type for schema in schemas]
    return pa.field(column.name, next((k for k in kinds if not pa.types.is_null(k)), kinds[0]))


def _alike(one: pa.DataType, other: pa.DataType) -> bool:
    """Whether writers wrote the same in two ways."""
    unknown = pa.types.is_null(one) or pa.types.is_null(other)
    return unknown or _spelled(one) == _spelled(other)


def _spelled(kind: pa.DataType) -> str:
    """A type without the widths of its offsets."""
    return str(kind).replace("large_", "").replace("_view", "")
