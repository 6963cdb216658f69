"""What is collected of the rows of a table: pieces of it are merged in any order.

Statistics by group are always collected, and what else a plan asks for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from .asked import Collector
from .batch import Place, Rows
from .gradients import GRADIENTS, SumsOfBatches
from .plan import Plan
from .statistics import Groups

Array = np.ndarray[Any, Any]

GROUPS, _COUNTS = "groups", "counts"  # names of tables
_WAITING = 1024  # losses of whole batches that are added together: one costs what many do


class Collected:
    """Statistics by group, how many rows there were, and what else the plan asks for.

    Attributes:
        rows: how many rows were read.
        skipped: how many of them had nulls.
        others: what else was collected, by the names that the plan gives.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._groups = Groups(
            plan.by, plan.measures, weighted=plan.weighted, accuracy=plan.accuracy
        )
        self._waiting: list[Rows] = []
        self.rows = self.skipped = 0
        self.others: dict[str, Collector] = {n: each.start() for n, each in plan.collect.items()}

    def add(self, rows: Rows | None, read: int, place: Place) -> None:
        """Add the rows of a batch, of which so many were read; None if all were skipped."""
        if rows is None:
            self.rows += read
            self.skipped += read
            return
        self._waiting.append(rows)
        if rows.together is None or len(self._waiting) >= _WAITING:
            self._add_waiting()
        self.rows += read
        self.skipped += read - rows.used
        for collector in self.others.values():
            collector.add(rows, place)

    @property
    def groups(self) -> Groups:
        """The statistics of each measure, by group."""
        self._add_waiting()
        return self._groups

    def _add_waiting(self) -> None:
        if not self._waiting:
            return
        rows, self._waiting = self._waiting, []
        if len(rows) == 1:
            columns = [rows[0].batch.column(name) for name in self.plan.by]
            self._groups.add(columns, rows[0].measures, rows[0].weights)
            return
        keys = [pa.concat_arrays([x.batch.column(name) for x in rows]) for name in self.plan.by]
        measures = {n: np.concatenate([x.measures[n] for x in rows]) for n in rows[0].measures}
        self._groups.add(keys, measures, None)  # batches have no weights

    def merge(self, other: Collected) -> None:
        """Add what was collected elsewhere."""
        self.groups.merge(other.groups)
        self.rows += other.rows
        self.skipped += other.skipped
        for name, collector in self.others.items():
            collector.merge(other.others[name])

    def gradients(self) -> dict[str, Array]:
        """The gradients of the mean by what all rows share; none where nobody asked for them."""
        sums = self.others.get(GRADIENTS)
        if not isinstance(sums, SumsOfBatches):
            return {}
        (row,) = self.groups.total().summary(()).to_pylist()
        weight = row["weight"] if self.plan.weighted else row["count"]
        return {name: total / weight for name, total in sums.totals().items()}

    def to_tables(self) -> dict[str, pa.Table]:
        """All of it as tables by name: for engines, and for files of runs that go on later."""
        counts = pa.table({"rows": [self.rows], "skipped": [self.skipped]})
        others = {f"other_{name}": each.to_arrow() for name, each in self.others.items()}
        return {GROUPS: self.groups.to_arrow(), _COUNTS: counts, **others}

    @classmethod
    def from_tables(cls, plan: Plan, tables: Mapping[str, pa.Table]) -> Collected:
        """What ``to_tables`` wrote; of several, with the rows of tables of one name together."""
        made = cls(plan)
        made._groups = Groups.from_arrow(
            tables[GROUPS], plan.by, plan.measures, weighted=plan.weighted, accuracy=plan.accuracy
        )
        counts = tables[_COUNTS]
        made.rows = sum(counts.column("rows").to_pylist())
        made.skipped = sum(counts.column("skipped").to_pylist())
        made.others = {
            name: each.restored(tables[f"other_{name}"]) for name, each in plan.collect.items()
        }
        return made


def merged(plan: Plan, pieces: Iterable[Collected]) -> Collected:
    """What several workers collected."""
    whole = Collected(plan)
    for piece in pieces:
        whole.merge(piece)
    return whole
