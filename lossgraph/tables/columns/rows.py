"""The refusal of a row."""

from __future__ import annotations

from typing import Any

from ...errors import InputError


class BadRowError(InputError):
    """A cell of a table is not what the loss needs.

    Attributes:
        row: the number of the row, in what ``part`` names.
        column: the name of the column.
        reason: what is wrong with its cell.
        part: what of the table the row is counted in; empty for a batch.
    """

    def __init__(self, row: int, column: str, reason: str, part: str = "") -> None:
        self.row, self.column, self.reason, self.part = int(row), column, reason, part
        place = f"{part}, row {self.row}" if part else f"row {self.row}"
        super().__init__(f"{place}: column {column!r} {reason}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.row, self.column, str(self.reason), self.part)

    def placed(self, part: str, first_row: int, rows: Any = None) -> BadRowError:
        """The same of a row of a part of the table.

        Args:
            part: its name.
            first_row: the number of the batch's first row in it.
            rows: which of the batch's rows were looked at, where not all were.
        """
        row = self.row if rows is None else int(rows[self.row])
        return BadRowError(first_row + row, self.column, str(self.reason), part)
