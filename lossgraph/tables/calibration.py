"""Calibration: whether what a model holds for 90% probable comes true nine times out of ten.

Rows are counted by bins of the probability that was predicted; each bin has the exact means of the
probability and of what came true. Which losses have probabilities, and how they are had from
predictions, is in ``catalogue.probabilities``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ..authoring.block import Block
from ..catalogue.probabilities import PROBABILISTIC, Probabilities, probabilities_of
from ..errors import InputError
from .statistics import Groups

if TYPE_CHECKING:
    from .batch import Place, Rows

__all__ = ["Calibration", "Probabilities", "Reliability", "ReliabilityBins", "asked_for"]

Array = np.ndarray[Any, Any]

CALIBRATION = "calibration"  # what a plan calls it
BINS = 15
_MEASURES = ("confidence", "frequency")
_UNKNOWN = -1  # the bin of what has no probability or no label


@dataclass(frozen=True)
class Reliability:
    """How far probabilities agree with what came true.

    Attributes:
        table: a row for each bin that is not empty: ``low``, ``high``, ``count``, ``weight`` if
            rows have weights, the mean ``confidence``, how often it came true as ``frequency``, and
            the ``standard_error`` of that.
        expected_error: the expected calibration error, the mean over rows of the distance of
            confidence and frequency of their bins; None without rows.
        maximum_error: the largest distance of a bin.
        unknown: how many had no probability, or no label that is one.
        kind: what the probabilities are of, in words.
        proper: whether the mean loss is least for the true probabilities.

    Source: Guo, Pleiss, Sun, Weinberger (2017), ICML.
    """

    table: pa.Table
    expected_error: float | None
    maximum_error: float | None
    unknown: int
    kind: str
    proper: bool


def asked_for(
    loss: Block, calibration: bool | int | Probabilities, weights: str | None = None
) -> ReliabilityBins | None:
    """What a plan asks for; None for False.

    Args:
        loss: the loss.
        calibration: whether it is wanted, a number of bins, or what predictions are.
        weights: the column of weights of rows.

    Raises:
        InputError: for a loss whose predictions are no probabilities of classes.
    """
    if calibration is False:
        return None
    if isinstance(calibration, Probabilities):
        return ReliabilityBins(calibration, weights=weights)
    bins = BINS if calibration is True else calibration
    return ReliabilityBins(probabilities_for(loss), bins, weights)


def probabilities_for(loss: Block) -> Probabilities:
    """How predictions of a loss are probabilities.

    Raises:
        InputError: for a loss whose predictions are none.
    """
    found = probabilities_of(loss)
    if found is None:
        raise InputError(
            f"{loss.name} has no probabilities of classes that could be calibrated; losses that "
            f"have are {', '.join(sorted(PROBABILISTIC))}. For one of your own, "
            "calibration=Probabilities(..) of lossgraph.tables says what its predictions are"
        )
    return found


@dataclass(frozen=True)
class ReliabilityBins:
    """Bins of equal width, for a plan to ask for.

    A bin has what lies above its lower edge and not above its upper one, the first bin 0 too.

    Attributes:
        how: how predictions are probabilities.
        bins: how many.
        weights: the column of weights of rows, if there is one.

    Raises:
        InputError: for a number of bins that is none.
    """

    how: Probabilities
    bins: int = BINS
    weights: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.bins, bool) or not isinstance(self.bins, int) or self.bins < 1:
            raise InputError(
                f"calibration: expected a number of bins, 1 or more, got {self.bins!r}"
            )

    def start(self) -> Calibration:
        """Bins of no rows yet."""
        return Calibration(self)

    def restored(self, table: pa.Table) -> Calibration:
        """The bins of states, of which several may be put one below the other."""
        made = Calibration(self)
        made.groups = Groups.from_arrow(table, ("bin",), _MEASURES, weighted=made.groups.weighted)
        return made


class Calibration:
    """What is known of the probabilities of some rows, by bins.

    All of it is the same whatever the order of the rows and however they were cut into batches.
    """

    def __init__(self, asked: ReliabilityBins) -> None:
        self._asked = asked
        self._edges = np.linspace(0.0, 1.0, asked.bins + 1)
        self.groups = Groups(("bin",), _MEASURES, weighted=asked.weights is not None)

    def add(self, rows: Rows, place: Place) -> None:
        """Add the rows of a batch."""
        name = self._asked.weights
        weights = None if name is None else np.asarray(rows.batch.column(name), "float64")
        self.count(rows.inputs, weights)

    def count(self, arrays: Mapping[str, Array], weights: Array | None = None) -> None:
        """Add rows by the loss's inputs, and a weight for each."""
        confidence, frequency, row = self._asked.how.outcomes(arrays)
        unknown = np.isnan(confidence) | np.isnan(frequency)
        places = np.searchsorted(self._edges[1:-1], confidence).astype("int32")
        places[unknown] = _UNKNOWN
        values = {"confidence": confidence, "frequency": frequency}
        values = {name: np.where(unknown, 0.0, found) for name, found in values.items()}
        self.groups.add([pa.array(places)], values, None if weights is None else weights[row])

    def merge(self, other: Calibration) -> None:
        """Add what was collected elsewhere."""
        self.groups.merge(other.groups)

    def to_arrow(self) -> pa.Table:
        """The state so far."""
        return self.groups.to_arrow()

    def reliability(self) -> Reliability:
        """The bins and their errors."""
        found = self.groups.summary(()).to_pylist()
        unknown = sum(row["rows"] for row in found if row["bin"] == _UNKNOWN)
        rows = [row for row in found if row["count"] and row["bin"] != _UNKNOWN]
        weighted = self.groups.weighted
        table = pa.Table.from_pylist(
            [self._bin(row) for row in rows], _SCHEMA if not weighted else _WEIGHTED
        )
        kind = "the event" if self._asked.how.axis is None else "the most probable class"
        return Reliability(table, *_errors(table), unknown, kind, self._asked.how.proper)

    def _bin(self, row: Mapping[str, Any]) -> dict[str, Any]:
        place = row["bin"]
        return {
            "low": self._edges[place],
            "high": self._edges[place + 1],
            "count": row["count"],
            "weight": row.get("weight"),
            "confidence": row["mean"],
            "frequency": row["frequency_mean"],
            "standard_error": row["frequency_standard_error"],
        }


_FIGURES = ("confidence", "frequency", "standard_error")
_SCHEMA, _WEIGHTED = (
    pa.schema(
        [
            *((name, pa.float64()) for name in ("low", "high")),
            ("count", pa.int64()),
            *((name, pa.float64()) for name in (*weight, *_FIGURES)),
        ]
    )
    for weight in ((), ("weight",))
)


def _errors(table: pa.Table) -> tuple[float | None, float | None]:
    """The expected and the largest distance of confidence and frequency."""
    if not len(table):
        return None, None
    size: Sequence[float] = table[
        "weight" if "weight" in table.column_names else "count"
    ].to_pylist()
    pairs = zip(table["confidence"].to_pylist(), table["frequency"].to_pylist(), strict=True)
    distance = [abs(confidence - frequency) for confidence, frequency in pairs]
    sums = math.fsum(each * n for each, n in zip(distance, size, strict=True))
    return sums / math.fsum(size), max(distance)
