"""Parts that are ranges of a file: of its bytes, or of its record batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import pyarrow as pa

from ..where import Condition
from .base import Part, digest
from .files import File, key_values


class Layout(Protocol):
    """How a file is written: its columns, and a digest of it."""

    @property
    def schema(self) -> pa.Schema: ...

    @property
    def digest(self) -> str: ...


@dataclass(frozen=True, kw_only=True)
class RangePart(Part):
    """A range of a file, from ``begin`` to before ``end``.

    Attributes:
        source: the file.
        schema: of the table.
        layout: of the file.
        constants: the columns that the names of folders give.
    """

    source: File
    schema: pa.Schema
    layout: Any
    begin: int
    end: int
    constants: tuple[tuple[str, pa.Scalar], ...] = ()


_RangePart = TypeVar("_RangePart", bound=RangePart)


def ranges_of(
    kind: type[_RangePart],
    file: File,
    layout: Layout,
    schema: pa.Schema,
    condition: Condition | None,
    whole: range,
    label: Callable[[int, int], str],
) -> Iterator[_RangePart]:
    """The parts of a file.

    Args:
        kind: of parts.
        file: the file.
        layout: of the file.
        schema: of the table.
        condition: which rows count.
        whole: all of the file, with the length of a part as its step.
        label: what a part is called beside the file, where it is not all of it.
    """
    constants = tuple(key_values(file, schema, layout.schema.names).items())
    identity = file.identity(layout.digest)
    for begin in whole:
        end = min(begin + whole.step, whole.stop)
        is_all = end - begin >= whole.stop - whole.start
        yield kind(
            name=file.name if is_all else f"{file.name}, {label(begin, end)}",
            identity=digest(identity, begin, end),
            file=file.name,
            start=None,
            condition=condition,
            source=file,
            schema=schema,
            layout=layout,
            begin=begin,
            end=end,
            constants=constants,
        )
