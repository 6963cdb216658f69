"""Gradients by inputs that all rows share: sums over a table."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from .statistics import Groups
from .statistics.summary import prefix

if TYPE_CHECKING:
    from .batch import Place, Rows

Array = np.ndarray[Any, Any]

GRADIENTS = "gradients"  # what a plan calls them


@dataclass(frozen=True)
class GradientSums:
    """Sums of the gradients of the terms of rows, weighed by the weights of rows.

    Within a batch the graph adds them up; batches are added exactly. So they depend on how the
    table is cut by the rounding of the sums within batches, some units in the last place of the
    dtype.

    Attributes:
        shapes: of the inputs, by name.
    """

    shapes: Mapping[str, tuple[int, ...]]

    def start(self) -> SumsOfBatches:
        """Sums of nothing yet."""
        return SumsOfBatches(self.shapes)

    def restored(self, table: pa.Table) -> SumsOfBatches:
        """The sums that were written."""
        made = SumsOfBatches(self.shapes)
        made.sums = Groups.from_arrow(table, (), made.places, weighted=False)
        return made


class SumsOfBatches:
    """The sum of each element of each gradient, over batches."""

    def __init__(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self._shapes = shapes
        self.places = [f"{n}_{i}" for n, shape in shapes.items() for i in range(math.prod(shape))]
        self.sums = Groups((), self.places, weighted=False)

    def add(self, rows: Rows, place: Place) -> None:
        """Add the sums of a batch."""
        flat = {name: np.ravel(rows.sums[name]) for name in self._shapes}
        values = {f"{n}_{i}": x[i : i + 1] for n, x in flat.items() for i in range(len(x))}
        self.sums.add([], values, None)

    def merge(self, other: SumsOfBatches) -> None:
        """Add the sums of other batches."""
        self.sums.merge(other.sums)

    def to_arrow(self) -> pa.Table:
        """The sums so far."""
        return self.sums.to_arrow()

    def totals(self) -> dict[str, Array]:
        """The sums, in the shapes of the inputs."""
        table = self.sums.summary(())
        if not len(table):
            return {name: np.zeros(shape) for name, shape in self._shapes.items()}
        (row,) = table.to_pylist()
        found = iter([row["count"] * row[f"{prefix(i, n)}mean"] for i, n in enumerate(self.places)])
        return {
            name: np.reshape(list(itertools.islice(found, math.prod(shape))), shape)
            for name, shape in self._shapes.items()
        }
