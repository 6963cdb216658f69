"""The rows of a table with the largest losses, with any of their columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import InputError
from .batch import Place, Rows
from .sources.base import Part

Array = np.ndarray[Any, Any]

WORST = "worst"  # what a plan calls them
FIGURES = ("loss", "part", "row")
_PLACE = "part_number"  # of a state: where the part stands in the table


@dataclass(frozen=True)
class WorstRows:
    """Some rows with the largest losses, for a plan to ask for.

    A loss that is NaN comes before all others; of equal losses the first in the table is the worst.
    Rows of weight 0 are none. So it is the same rows however the table is cut.

    Attributes:
        most: how many rows.
        columns: what is kept of them beside the loss, the part and the row's number in it.

    Raises:
        InputError: for a number of rows that is none, and columns that are named as a figure is.
    """

    most: int
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if isinstance(self.most, bool) or self.most < 1:
            raise InputError(f"worst: expected a number of rows, 1 or more, got {self.most!r}")
        for name in self.columns:
            if name in (*FIGURES, _PLACE):
                raise InputError(f"keep: column {name!r} has the name of a figure: rename it")

    def start(self) -> Worst:
        """No rows yet."""
        return Worst(self)

    def restored(self, table: pa.Table) -> Worst:
        """The worst of the rows that were written, of several one below the other."""
        made = Worst(self)
        # An empty table may not know the types of its columns.
        made.kept = _first(table, self.most) if len(table) else None
        return made


class Worst:
    """The worst of some rows."""

    def __init__(self, asked: WorstRows) -> None:
        self._asked = asked
        self.kept: pa.Table | None = None

    def add(self, rows: Rows, place: Place) -> None:
        """Look at the rows of a batch."""
        loss = rows.measures["loss"].astype("float64")
        chosen = np.flatnonzero(self._may_be_kept(loss, rows.weights))
        if not len(chosen):
            return
        order = np.lexsort((rows.numbers[chosen], *_from_worst(loss[chosen])))
        chosen = chosen[order[: self._asked.most]]
        columns: dict[str, Any] = {
            "loss": loss[chosen],
            "part": pa.array([place.name] * len(chosen), pa.string()),
            "row": rows.numbers[chosen].astype("int64"),
            _PLACE: np.full(len(chosen), place.part, "int64"),
        }
        places = pa.array(chosen)
        for name in self._asked.columns:
            columns[name] = _plain(rows.batch.column(name).take(places))
        self._keep(pa.table(columns))

    def _may_be_kept(self, loss: Array, weights: Array | None) -> Array:
        """The rows that are no better than the best that is kept."""
        counted = np.ones(len(loss), bool) if weights is None else weights > 0
        if self.kept is None or len(self.kept) < self._asked.most:
            return counted
        least = self.kept["loss"][-1].as_py()
        with np.errstate(invalid="ignore"):
            return counted & ~(loss < least) & (np.isnan(loss) if np.isnan(least) else True)

    def _keep(self, table: pa.Table) -> None:
        both = table if self.kept is None else pa.concat_tables([self.kept, table])
        self.kept = _first(both, self._asked.most)

    def merge(self, other: Worst) -> None:
        """Look at what was kept elsewhere."""
        if other.kept is not None:
            self._keep(other.kept)

    def to_arrow(self) -> pa.Table:
        """What is kept so far."""
        if self.kept is not None:
            return self.kept
        figures = {"loss": pa.float64(), "part": pa.string(), "row": pa.int64(), _PLACE: pa.int64()}
        return pa.schema(figures | dict.fromkeys(self._asked.columns, pa.null())).empty_table()

    def table(self, parts: Sequence[Part] = ()) -> pa.Table:
        """The rows, from the worst on: ``loss``, ``part``, ``row`` and the columns.

        Args:
            parts: those of the table, by which rows are told by their file and their number there,
                where that is known without counting.
        """
        table = self.to_arrow()
        numbers = table[_PLACE].to_pylist() if len(parts) else [None] * len(table)
        places = zip(table["part"].to_pylist(), table["row"].to_pylist(), numbers, strict=True)
        told = [_located(*each, parts) for each in places]
        columns = {
            "part": pa.array([part for part, _ in told], pa.string()),
            "row": pa.array([row for _, row in told], pa.int64()),
        }
        for name, column in columns.items():
            table = table.set_column(table.schema.get_field_index(name), name, column)
        return table.drop_columns([_PLACE])


def worst_rows(most: int, keep: Sequence[str], by: Sequence[str]) -> WorstRows | None:
    """What a plan asks for: the columns of groups are kept too; None for no rows.

    Raises:
        InputError: for columns that are kept of no rows, and as ``WorstRows`` does.
    """
    if most == 0 and keep:
        raise InputError("keep: says what is kept of the worst rows: give worst, how many")
    columns = tuple(dict.fromkeys((*keep, *(name for name in by if name not in FIGURES))))
    return None if most == 0 else WorstRows(most, columns)


def _located(name: str, row: int, number: int | None, parts: Sequence[Part]) -> tuple[str, int]:
    """A row by its file, or table, and its number there."""
    part = None if number is None else parts[number]
    if part is None or part.start is None or not (part.repeats or part.condition is None):
        return name, row
    return part.located(row)


def _first(table: pa.Table, most: int) -> pa.Table:
    """The worst rows of a table of them, in order."""
    table = table.filter(table["loss"].is_valid())
    loss = table["loss"].to_numpy()
    place, row = (table[name].to_numpy() for name in (_PLACE, "row"))
    order = np.lexsort((row, place, *_from_worst(loss)))
    return table.take(pa.array(order[:most])).combine_chunks()


def _from_worst(loss: Array) -> tuple[Array, Array]:
    """Keys to sort by, the last one first: NaN, then from the largest down."""
    unknown = np.isnan(loss)
    return -np.where(unknown, 0.0, loss), ~unknown


def _plain(column: pa.Array) -> pa.Array:
    """Without a dictionary, which other batches need not share."""
    is_encoded = pa.types.is_dictionary(column.type)
    return column.dictionary_decode() if is_encoded else column
