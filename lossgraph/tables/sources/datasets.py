"""Data sets of pyarrow: parts are row groups of Parquet, and fragments of all else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds

from ...errors import InputError
from ..where import Condition, Where, where_in
from .base import Part, Source, described, digest
from .files import READ_ERRORS, File, first_line
from .parquet import describe_parquet, footer, parquet_parts
from .schemas import Conform, distinct


@dataclass(frozen=True, kw_only=True)
class FragmentPart(Part):
    """A fragment of a data set."""

    fragment: ds.Fragment = field(compare=False, repr=False)
    schema: pa.Schema

    def read(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        conform = Conform(self.schema, columns)
        wanted = list(columns) or self.schema.names[:1]
        try:
            for batch in self.fragment.to_batches(
                schema=self.schema, columns=wanted, batch_size=rows, use_threads=False
            ):
                yield conform(batch)
        except READ_ERRORS as error:
            raise InputError(f"{self.name} cannot be read: {first_line(error)}") from error


@dataclass(frozen=True, kw_only=True)
class ScannedPart(Part):
    """All of a data set whose fragments are not its rows: it is in memory, or was filtered."""

    dataset: ds.Dataset = field(compare=False, repr=False)
    schema: pa.Schema

    def read(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        conform = Conform(self.schema, columns)
        wanted = list(columns) or self.schema.names[:1]
        try:
            for batch in self.dataset.to_batches(
                columns=wanted, batch_size=rows, use_threads=False
            ):
                yield conform(batch)
        except READ_ERRORS as error:
            raise InputError(f"{self.name} cannot be read: {first_line(error)}") from error


def open_dataset(dataset: ds.Dataset, where: Where) -> Source:
    """A data set of pyarrow."""
    schema = dataset.schema
    distinct("the data set", schema)
    chosen = where_in(schema, where)
    fragments = _fragments(dataset)
    if fragments is None:
        name = "the data set"
        part = ScannedPart(
            name=name, identity=name, condition=chosen, dataset=dataset, schema=schema
        )
        return Source(schema, [described("data set")], (part,))
    pieces, opened = list[Part](), list[dict[str, Any]]()
    for i, fragment in enumerate(fragments):
        found, about = _parts(fragment, i, schema, chosen)
        pieces += found
        opened.append(about)
    return Source(schema, opened, tuple(pieces))


def _fragments(dataset: ds.Dataset) -> list[ds.Fragment] | None:
    """The fragments that a data set is made of, unless it cannot be read by them."""
    if isinstance(dataset, ds.InMemoryDataset):
        return None
    try:
        return list(dataset.get_fragments())
    except pa.ArrowException as error:
        raise InputError(f"the data set cannot be read: {first_line(error)}") from error
    except ValueError:  # how pyarrow says that the data set was filtered
        return None


def _parts(
    fragment: ds.Fragment, number: int, schema: pa.Schema, chosen: Condition | None
) -> tuple[list[Part], dict[str, Any]]:
    """The parts of a fragment, and what a report says of it."""
    path = getattr(fragment, "path", None)
    if isinstance(fragment, ds.ParquetFileFragment) and path:
        info = fragment.filesystem.get_file_info(path)
        file = File(path, path, info.size or 0, info.mtime_ns, (), fragment.filesystem)
        keys = ds.get_partition_keys(fragment.partition_expression)
        values = {key: pa.scalar(value).cast(_plain(schema, key)) for key, value in keys.items()}
        groups = {group.id for group in fragment.row_groups}
        found = footer(file)
        pieces = parquet_parts(file, found, schema, values, chosen, groups)
        return list(pieces), describe_parquet(file, found)
    name = path or f"fragment {number} of the data set"
    part = FragmentPart(
        name=name,
        identity=digest(name),
        file=path,
        condition=chosen,
        fragment=fragment,
        schema=schema,
    )
    return [part], described("fragment", path=path)


def _plain(schema: pa.Schema, name: str) -> pa.DataType:
    kind = schema.field(name).type
    return kind.value_type if pa.types.is_dictionary(kind) else kind
