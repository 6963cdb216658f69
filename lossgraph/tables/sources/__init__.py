"""Where a table comes from: what has columns becomes parts that are read apart, batch by batch.

In come a path, a data frame, a query or a stream of Arrow; out goes a `Source`: its columns, and
its parts in the order of the table. Parts are the unit of parallelism: each is read by one thread,
in batches of bounded size, and only the columns that are asked for. Read `base` first, then
`parquet`; `opening` says what is taken for what.
"""

from __future__ import annotations

from .base import Part, Source
from .opening import open_source
from .streams import sql

__all__ = ["Part", "Source", "open_source", "sql"]
