"""Where a table comes from: what has columns becomes parts that are read apart, batch by batch.

In come a path, a data frame, a query or a stream of Arrow; out goes a `Source`: its columns, and
its parts in the order of the table. Parts are the unit of parallelism: each is read by one thread,
in batches of bounded size, and only the columns that are asked for. Read `base` first, then
`parquet`; `opening` says what is taken for what.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import InputError

if TYPE_CHECKING:
    import pyarrow.dataset

    from .base import Source


def open_source(
    data: Any, where: str | pyarrow.dataset.Expression | None = None, *, filesystem: Any = None
) -> Source:
    """The table in ``data``.

    Args:
        data: a path or a URL of a file, a folder or a glob, or a list of them (Parquet, CSV, Arrow
            IPC); or a table, data set, reader or batch of pyarrow; or whatever exports the Arrow
            stream interface.
        where: the rows that count, an expression of pyarrow or text such as
            ``"country == 'de' and year >= 2020"``.
        filesystem: of pyarrow or fsspec, that paths are looked up in.

    Raises:
        InputError: for data that are no table, files that cannot be read, tables that do not have
            the same columns, and conditions on columns that are not there.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise InputError("tables need pyarrow: pip install 'lossgraph[tables]'") from None
    from .opening import opened

    return opened(data, where, filesystem)
