"""Arrow's tables as bytes and back, and what older versions of pyarrow do not convert."""

from __future__ import annotations

import pyarrow as pa


def bytes_of(table: pa.Table, compression: str | None = None) -> bytes:
    """A table as bytes; Arrow's own pickles have all that the table was cut from."""
    options = pa.ipc.IpcWriteOptions(compression=compression)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def table_of(data: bytes) -> pa.Table:
    """The table that ``bytes_of`` made bytes of."""
    return pa.ipc.open_stream(data).read_all()


def without_view(array: pa.Array, type_: pa.DataType) -> pa.Array:
    """Views of texts or bytes as texts or bytes, which Arrow has more functions for."""
    try:
        return array.cast(type_)
    except pa.ArrowNotImplementedError:  # before pyarrow 18
        return pa.array(array.to_pylist(), type_)
