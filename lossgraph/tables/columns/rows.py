"""Rows of a batch: which one an element is in, and the refusal of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InputError
from ..sources.base import Part

Array = np.ndarray[Any, Any]


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

    def among(self, rows: Array | None) -> BadRowError:
        """The same, counted among all rows of a batch, of which ``rows`` were looked at."""
        return self if rows is None else self.placed(self.part, 0, rows)

    def placed(self, part: str, first_row: int, rows: Array | None = None) -> BadRowError:
        """The same, counted in a part of the table.

        Args:
            part: its name.
            first_row: the number of the batch's first row in it.
            rows: which of the batch's rows were looked at, where not all were.
        """
        row = first_row + int(self.row if rows is None else rows[self.row])
        return BadRowError(row, self.column, str(self.reason), part)

    def located(self, part: Part) -> BadRowError:
        """The same of a row of a part, by the file and the number of the row there."""
        if self.part != part.name:  # it is counted in something else, such as a query
            return self
        place, row = part.located(self.row)
        return BadRowError(row, self.column, str(self.reason), place)


@dataclass(frozen=True)
class Elements:
    """The elements inside the cells of a column, from all rows one after the other.

    Attributes:
        column: the column.
        levels: for each level of lists, from outside, the length of all of them or where each
            begins and the last one ends.
    """

    column: str
    levels: Sequence[int | Array] = ()

    def inside(self, level: int | Array) -> Elements:
        """The elements of these, which are lists."""
        return Elements(self.column, (*self.levels, level))

    def row(self, number: int) -> int:
        """The row that an element is in."""
        for level in reversed(self.levels):
            if isinstance(level, int):
                number //= level
            else:
                number = int(np.searchsorted(level, number + level[0], side="right")) - 1
        return number

    def bad(self, number: int, reason: str) -> BadRowError:
        """The refusal of an element."""
        return BadRowError(self.row(int(number)), self.column, reason)
