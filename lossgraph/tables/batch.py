"""What is known of a batch of rows once its losses are computed, and where it is from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Place:
    """Where a batch is from: for messages, and for the order of rows.

    Attributes:
        part: the place of its part among the parts of the table.
        first: the number of its first row within the part.
        name: what the part is called.
    """

    part: int = 0
    first: int = 0
    name: str = "the table"


@dataclass(frozen=True)
class Rows:
    """What was computed of the rows of a batch.

    Attributes:
        batch: the rows, without those that were skipped.
        first: the number of the batch's first row within its part.
        kept: which rows of the batch these are; None for all of them.
        measures: the loss of each row, and of its parts and so on, by name.
        weights: the weight of each, if they have any: 0 where nothing counts.
        inputs: the arrays of the inputs of rows.
        gradients: the gradients of each row's loss, by input.
        sums: the gradients by what all rows share: of the weighed sum of the terms of the batch.
        together: how many rows have one loss, where that is of the whole batch.
    """

    batch: pa.RecordBatch
    first: int
    kept: Array | None
    measures: Mapping[str, Array]
    weights: Array | None
    inputs: Mapping[str, Array]
    gradients: Mapping[str, Array] = field(default_factory=dict)
    sums: Mapping[str, Array] = field(default_factory=dict)
    together: int | None = None

    @cached_property
    def numbers(self) -> Array:
        """The number of each row within its part."""
        return self.first + (np.arange(len(self.batch)) if self.kept is None else self.kept)

    @property
    def used(self) -> int:
        """How many rows were not skipped."""
        return len(self.batch) if self.together is None else self.together
