"""Statistics of the rows of a table by group: collected in batches, merged, finished."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import InputError
from . import state, summary
from .collected import ACCURACY, Collected
from .native import add_squares, rows_in_c

Array = np.ndarray[Any, Any]


class Groups(Collected):
    """What is known of some rows: by group counts, exact sums, extremes and sketches.

    All of it is the same whatever the order of the rows and however they were cut into batches and
    into objects that are merged.

    A row of weight 0 counts among the rows and nowhere else. Values are multiplied by their weights
    in float64; the sums of what comes out are exact.

    Args:
        by: the names of the columns that make groups; none for one group.
        measures: the names of what is measured of each row; the first one is the loss.
        weighted: whether rows have weights.
        accuracy: the relative accuracy of quantiles.
    """

    def add(
        self,
        keys: Sequence[pa.Array],
        values: Mapping[str, Array],
        weights: Array | None = None,
    ) -> None:
        """Add a batch of rows.

        Args:
            keys: an array of any type for each column of ``by``, of length n.
            values: of each measure, float32 or float64 of shape (n,).
            weights: finite and not negative, of shape (n,), if there are weights.

        Raises:
            InputError: for other arguments.
        """
        found = {name: _floats(name, values) for name in self.measures}
        length = len(next(iter(found.values()), ()))
        checked = self._weights(weights, length)
        numbered = self.keys.number(keys)
        groups = None if numbered is None else numbered.groups
        lengths = {len(each) for each in (*found.values(), groups, checked) if each is not None}
        if len(lengths) > 1:
            raise InputError(f"a batch of rows: expected columns of one length, got {lengths}")
        self.make_place()
        some = _ZERO if numbered is None else numbered.distinct
        counts = length if numbered is None else numbered.counts
        np.add.at(self.rows, some, counts)
        if checked is not None and not checked.all():
            kept = np.flatnonzero(checked)
            found = {name: array[kept] for name, array in found.items()}
            groups = None if groups is None else groups[kept]
            checked, length = checked[kept], len(kept)
            some, counts = (_ZERO, length) if groups is None else (groups, 1)
        np.add.at(self.count, some, counts)
        if checked is not None:
            add_squares(rows_in_c(length), groups, checked, *self.weights)
        for name, measure in self.measures.items():
            measure.add(groups, found[name], checked)

    def _weights(self, weights: Array | None, length: int) -> Array | None:
        if (weights is not None) != self.weighted:
            raise InputError("weights: all batches have them, or none")
        if weights is None:
            return None
        found = np.ascontiguousarray(weights, np.float64)
        rows = rows_in_c(len(found))
        if rows is not None and rows.are_positive(found):
            return found
        wrong = np.flatnonzero(~(np.isfinite(found) & (found >= 0)))
        if len(wrong):
            row = int(wrong[0])
            raise InputError(
                f"weights: row {row} has {found[row]}: expected a finite number, 0 or more"
            )
        return found

    def merge(self, other: Groups) -> None:
        """Add the rows that another has collected, which stays as it is.

        Raises:
            InputError: if the other has collected something else.
        """
        if self.options() != other.options():
            raise InputError(f"cannot merge {other.options()} into {self.options()}")
        if not len(other):
            return
        numbered = self.keys.number(other.keys.columns())
        self.merge_rows(_ZERO if numbered is None else numbered.groups, other)

    def _new(self, by: Sequence[str]) -> Groups:
        return Groups(by, tuple(self.measures), weighted=self.weighted, accuracy=self.accuracy)

    def total(self) -> Groups:
        """All groups as one."""
        made = self._new(())
        made.merge_rows(np.zeros(len(self), np.int64), self)
        return made

    def to_arrow(self) -> pa.Table:
        """The state, a row a group, sorted by its keys, for ``from_arrow``: see ``state``."""
        return state.written(self)

    @classmethod
    def from_arrow(
        cls,
        table: pa.Table,
        by: Sequence[str],
        measures: Sequence[str],
        *,
        weighted: bool,
        accuracy: float = ACCURACY,
    ) -> Groups:
        """The groups of states, of which several may be put one below the other.

        Raises:
            InputError: for a table that ``to_arrow`` did not make with these options.
        """
        made = cls(by, measures, weighted=weighted, accuracy=accuracy)
        apart = cls((), measures, weighted=weighted, accuracy=accuracy)
        state.read(table, apart)
        numbered = made.keys.number(state.keys(table, len(made.by)))
        groups = np.zeros(len(table), np.int64) if numbered is None else numbered.groups
        made.merge_rows(groups, apart)
        return made

    def summary(self, quantiles: Sequence[float] = (0.5, 0.9, 0.99)) -> pa.Table:
        """Finished statistics, a row a group, sorted by its keys: see ``summary``.

        Raises:
            InputError: for quantiles outside [0, 1], or a group column named as a figure is.
        """
        return summary.finished(self, quantiles)


def _floats(name: str, values: Mapping[str, Array]) -> Array:
    """The values of a measure."""
    if name not in values:
        raise InputError(f"values: {name!r} is missing, there are {', '.join(values)}")
    found = np.asarray(values[name])
    if found.ndim != 1:
        raise InputError(f"values: {name!r} has shape {found.shape}: expected a number a row")
    return np.ascontiguousarray(found, found.dtype if found.dtype in _FLOATS else np.float64)


_ZERO = np.zeros(1, np.int64)
_FLOATS = (np.float32, np.float64)
