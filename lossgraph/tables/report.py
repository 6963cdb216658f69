"""What an evaluation of a table found: statistics by group, and what belongs to them."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from ..errors import InputError
from ..ir import html
from ..models.files import write_file
from .calibration import Reliability
from .page import page, tells
from .page.numbers import real, shown, whole

Array = np.ndarray[Any, Any]

RAN = b"lossgraph"  # in the metadata of tables that are written: what was run, as JSON
_FEW = 20  # groups that a text or a notebook shows


@dataclass(frozen=True, repr=False)
class Report:
    """What an evaluation found.

    Attributes:
        table: a row for each group, and one of all rows at the end, where the group's columns are
            null; see ``to_arrow``.
        by: the columns of groups.
        ran: what was run: the ``loss`` with its ``options``, digests of its model, ``versions``,
            ``sources`` with their digests, numbers of rows, seconds.
        worst: the rows with the largest losses, or None.
        histogram: bins of the loss of all rows: above ``low``, up to ``high``, ``count``; or None.
        curve: how large losses are: the ``share`` of rows up to each ``value``; or None.
        calibration: how far probabilities came true, or None.
        gradients: of the mean by inputs that all rows share, by name.
    """

    table: pa.Table
    by: tuple[str, ...] = ()
    ran: Mapping[str, Any] = field(default_factory=dict)
    worst: pa.Table | None = None
    histogram: pa.Table | None = None
    curve: pa.Table | None = None
    calibration: Reliability | None = None
    gradients: Mapping[str, Array] = field(default_factory=dict)

    def to_arrow(self) -> pa.Table:
        """The table of groups: ``rows``, ``count``, ``mean``, ``standard_error``, ``min``, ..

        The last row is of all rows. What was run is in the metadata of the schema, as JSON.
        """
        metadata = {**(self.table.schema.metadata or {}), RAN: _json(self.ran).encode()}
        return self.table.replace_schema_metadata(metadata)

    @property
    def total(self) -> dict[str, Any]:
        """The figures of all rows, by name."""
        row: dict[str, Any] = self.table.slice(len(self.table) - 1).to_pylist()[0]
        return {name: value for name, value in row.items() if name not in self.by}

    def write(self, path: str | Path) -> Path:
        """Write the report, whole or not at all; the table of groups as the suffix says.

        ``.parquet``, ``.arrow`` (an IPC file) and ``.csv`` have the table of groups; ``.json`` has
        all of the report; ``.html`` is the page.

        Raises:
            InputError: for another suffix, columns that such a file cannot have, and if the system
                refuses to write.
        """
        path = Path(path)
        form = _FORMS.get(path.suffix.lower())
        if form is None:
            known = ", ".join(_FORMS)
            raise InputError(f"{path}: a report is written as one of {known}, not {path.suffix!r}")
        try:
            content = form(self)
        except pa.ArrowException as error:
            raise InputError(f"{path}: {path.suffix} has no place for a column: {error}") from None
        return write_file(path, content)

    def to_html(self, path: str | Path | None = None) -> str:
        """The report as a page in one file; it is written too, if there is a path.

        Raises:
            InputError: if Jinja2 is not installed, and if the system refuses to write.
        """
        text = page(
            self.table,
            self.by,
            self.ran,
            worst=self.worst,
            histogram=self.histogram,
            curve=self.curve,
            calibration=self.calibration,
            gradients=self.gradients,
        )
        if path is not None:
            write_file(Path(path), text.encode())
        return text

    def __repr__(self) -> str:
        groups = len(self.table) - 1
        of = f", {whole(groups)} {'group' if groups == 1 else 'groups'}" if self.by else ""
        mean = self.total.get("mean")
        said = "no mean" if mean is None else f"mean {real(mean)}"
        return f"<Report of {self.ran.get('loss', 'a loss')}: {said}{of}>"

    def __str__(self) -> str:
        head, rows = self._texts()
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        keys = len(self.by)
        lines = [
            "  ".join(
                cell.ljust(width) if i < keys else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (head, *rows)
        ]
        return "\n".join([*lines, *self._left_out()])

    def _repr_html_(self) -> str:
        head, rows = self._texts()
        return html.card(
            str(self.ran.get("loss", "loss")), html.table(head, rows), *self._left_out()
        )

    def _texts(self) -> tuple[list[str], list[list[str]]]:
        """The first groups and all rows, as texts."""
        names = [
            name for name in self.table.column_names if name in self.by or tells(self.table, name)
        ]
        last = len(self.table) - 1
        rows = [
            *self.table.slice(0, min(last, _FEW)).to_pylist(),
            *self.table.slice(last).to_pylist(),
        ]
        texts = [["" if row[n] is None else shown(row[n]) for n in names] for row in rows]
        for line, row in zip(texts[:-1], rows, strict=False):
            line[: len(self.by)] = [shown(row[name]) for name in self.by]
        if self.by:
            texts[-1][: len(self.by)] = ["all", *[""] * (len(self.by) - 1)]
        return names, texts

    def _left_out(self) -> list[str]:
        left = len(self.table) - 1 - _FEW
        return [f"{whole(left)} more groups, of {whole(left + _FEW)}"] if left > 0 else []


# --- files ---


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(_jsonable(value), indent=indent, allow_nan=False)


def _jsonable(value: Any) -> Any:
    """A value of JSON; numbers that JSON has not, and what it has no type for, are strings."""
    if isinstance(value, Mapping):
        return {str(key): _jsonable(each) for key, each in value.items()}
    if isinstance(value, pa.Table):
        return _jsonable(value.to_pylist())
    if isinstance(value, np.ndarray):
        return _jsonable(value.tolist())
    if isinstance(value, list | tuple):
        return [_jsonable(each) for each in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    return value.hex() if isinstance(value, bytes) else str(value)


def _all(report: Report) -> bytes:
    """Everything, as JSON."""
    found = {
        "by": report.by,
        "groups": report.table.slice(0, len(report.table) - 1),
        "total": report.total,
        "worst": report.worst,
        "histogram": report.histogram,
        "curve": report.curve,
        "calibration": None if report.calibration is None else vars(report.calibration),
        "gradients": report.gradients,
        "ran": report.ran,
    }
    return (_json(found, indent=2) + "\n").encode()


def _parquet(report: Report) -> bytes:
    return _bytes(lambda sink: pyarrow.parquet.write_table(report.to_arrow(), sink))


def _arrow(report: Report) -> bytes:
    return _bytes(
        lambda sink: pyarrow.feather.write_feather(
            report.to_arrow(), sink, compression="uncompressed"
        )
    )


def _csv(report: Report) -> bytes:
    return _bytes(lambda sink: pyarrow.csv.write_csv(report.table, sink))


def _bytes(write: Callable[[io.BytesIO], Any]) -> bytes:
    sink = io.BytesIO()
    write(sink)
    return sink.getvalue()


_FORMS: Mapping[str, Callable[[Report], bytes]] = {
    ".parquet": _parquet,
    ".arrow": _arrow,
    ".csv": _csv,
    ".json": _all,
    ".html": lambda report: report.to_html().encode(),
}
