"""Calibration: whether what a model holds for 90% probable comes true nine times out of ten.

Rows are counted by bins of the probability that was predicted; each bin has the exact means of the
probability and of what came true. Which losses have probabilities, and how they are had from
predictions, is in ``catalogue.probabilities``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..authoring.block import Block
from ..catalogue.probabilities import PROBABILISTIC, Probabilities, probabilities_of
from ..errors import InputError
from .statistics import Groups

Array = np.ndarray[Any, Any]

BINS = 15
_MEASURES = ("confidence", "frequency")
_UNKNOWN = b"unknown"  # in a state's metadata: how many had no probability or no label


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


class Calibration:
    """What is known of the probabilities of some rows, by bins of equal width.

    All of it is the same whatever the order of the rows and however they were cut into batches.
    A bin has what lies above its lower edge and not above its upper one, the first bin 0 too.

    Args:
        how: how predictions are probabilities.
        bins: how many.
        weighted: whether rows have weights.

    Raises:
        InputError: for a number of bins that is none.
    """

    def __init__(self, how: Probabilities, *, bins: int = BINS, weighted: bool = False) -> None:
        if not isinstance(bins, int) or isinstance(bins, bool) or bins < 1:
            raise InputError(f"calibration: expected a number of bins, 1 or more, got {bins!r}")
        self.how, self.bins, self.weighted, self.unknown = how, bins, weighted, 0
        self.groups = Groups(("bin",), _MEASURES, weighted=weighted)

    def add(self, arrays: Mapping[str, Array], weights: Array | None = None) -> None:
        """Add a batch of rows: the loss's inputs by name, and a weight for each row."""
        found = self.how.outcomes(arrays)
        known = ~(np.isnan(found.confidence) | np.isnan(found.frequency))
        self.unknown += int(np.count_nonzero(~known))
        confidence, frequency, row = (part[known] for part in found)
        places = np.searchsorted(self._edges()[1:-1], confidence).astype("int16")
        self.groups.add(
            [pa.array(places)],
            {"confidence": confidence, "frequency": frequency},
            None if weights is None else weights[row],
        )

    def _edges(self) -> Array:
        return np.linspace(0.0, 1.0, self.bins + 1)

    def merge(self, other: Calibration) -> None:
        """Add the rows of another with the same options."""
        self.groups.merge(other.groups)
        self.unknown += other.unknown

    def to_arrow(self) -> pa.Table:
        """The state, for ``from_arrow``."""
        state = self.groups.to_arrow()
        metadata = {**(state.schema.metadata or {}), _UNKNOWN: str(self.unknown).encode()}
        return state.replace_schema_metadata(metadata)

    @classmethod
    def from_arrow(
        cls, table: pa.Table, how: Probabilities, *, bins: int = BINS, weighted: bool = False
    ) -> Calibration:
        """What ``to_arrow`` of one with these options has written."""
        made = cls(how, bins=bins, weighted=weighted)
        made.groups = Groups.from_arrow(table, ("bin",), _MEASURES, weighted=weighted)
        made.unknown = int((table.schema.metadata or {}).get(_UNKNOWN, b"0"))
        return made

    def reliability(self) -> Reliability:
        """The bins and their errors."""
        found = self.groups.summary(())
        found = found.filter(pa.compute.greater(found["count"], 0)) if len(found) else found
        edges = self._edges()
        place = np.asarray(found["bin"]).astype("int64")
        columns = {"low": edges[place], "high": edges[place + 1], "count": found["count"]}
        if self.weighted:
            columns["weight"] = found["weight"]
        columns |= {
            "confidence": found["mean"],
            "frequency": found["frequency_mean"],
            "standard_error": found["frequency_standard_error"],
        }
        table = pa.table(columns)
        return Reliability(table, *_errors(table), self.unknown, self.kind, self.how.proper)

    @property
    def kind(self) -> str:
        """What the probabilities are of, in words."""
        return "the event" if self.how.axis is None else "the most probable class"


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
