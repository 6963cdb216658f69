"""Two models on the same rows: an interval of the mean difference by a bootstrap over blocks.

Rows next to each other are often alike: of one user, one day. A block is so many rows after each
other within a part of the table; blocks are drawn with replacement, all their rows at once, so that
what rows of a block have in common widens the interval. The sums of blocks are exact, and the draws
have a fixed seed: the interval depends on neither threads nor batches. But it does depend on what
the blocks are, that is on the order of the rows and on how files are cut into row groups.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import InputError
from .batch import Place, Rows
from .collected import Collected
from .sources.base import Part
from .statistics import Groups
from .statistics.keys import Keys

Array = np.ndarray[Any, Any]

BOOTSTRAP = "bootstrap"  # what a plan calls it
RESAMPLES, LEVEL = 1000, 0.95

_BLOCKS = 1000  # of a table of known length
_BLOCK_ROWS = 8192  # of one of unknown length
_SEED = 20_240_229
_NUMBERS = 1 << 22  # that are held at once: counts of blocks in resamples, sums of blocks
_ACCURACY = 0.5  # of quantiles of blocks, which nobody reads
_DIFFERENCE, _PLACES = "difference", ("part of the block", "number of the block")


@dataclass(frozen=True)
class Bootstrap:
    """Sums of differences by blocks of rows, and what is drawn of them.

    Attributes:
        by: the columns of groups.
        rows: of a block.
        resamples: how often as many blocks are drawn as there are.
        level: of the interval: the share of the resamples that lies in it.
    """

    by: tuple[str, ...]
    rows: int
    resamples: int = RESAMPLES
    level: float = LEVEL

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise InputError(f"interval: expected a share between 0 and 1, got {self.level}")
        if self.resamples < 1:
            raise InputError(f"resamples: expected 1 or more, got {self.resamples}")

    def start(self) -> Blocks:
        """Blocks of no rows yet."""
        return Blocks(self)

    def restored(self, table: pa.Table) -> Blocks:
        """The blocks that were written."""
        made = Blocks(self)
        made.sums = Groups.from_arrow(
            table, made.sums.by, (_DIFFERENCE,), weighted=True, accuracy=_ACCURACY
        )
        return made


def bootstrap(
    against: Mapping[str, Any] | None,
    parts: Sequence[Part],
    by: tuple[str, ...],
    resamples: int,
    level: float,
) -> Bootstrap | None:
    """What is asked for where models are compared."""
    return Bootstrap(by, block_rows(parts), resamples, level) if against else None


def block_rows(parts: Sequence[Part]) -> int:
    """How many rows are to be a block: a thousandth of the table's, where these are known."""
    counts = [part.rows for part in parts]
    known = [count for count in counts if count is not None]
    return max(1, sum(known) // _BLOCKS) if known and len(known) == len(counts) else _BLOCK_ROWS


class Blocks:
    """The sum of the differences of each block and group, and of their weights."""

    def __init__(self, asked: Bootstrap) -> None:
        self.asked = asked
        self.sums = Groups((*_PLACES, *asked.by), (_DIFFERENCE,), weighted=True, accuracy=_ACCURACY)

    def add(self, rows: Rows, place: Place) -> None:
        """Add the rows of a batch."""
        numbers = np.asarray(rows.numbers, np.int64) // self.asked.rows
        places = [pa.array(np.full(len(numbers), place.part)), pa.array(numbers)]
        keys = [*places, *(rows.batch.column(name) for name in self.asked.by)]
        weights = np.ones(len(numbers)) if rows.weights is None else rows.weights
        self.sums.add(keys, {_DIFFERENCE: rows.measures[_DIFFERENCE]}, weights)

    def merge(self, other: Blocks) -> None:
        """Add other rows."""
        self.sums.merge(other.sums)

    def to_arrow(self) -> pa.Table:
        """The sums so far."""
        return self.sums.to_arrow()

    def intervals(self, groups: Sequence[pa.Array]) -> tuple[Array, Array, int]:
        """The ends of the interval of each group, that of all rows last, and how many blocks.

        A group whose rows are all in one block has no interval: NaN.

        Args:
            groups: the columns of the groups, without that of all rows; none without groups.
        """
        table = self.sums.summary(())
        blocks, weights, sums = _of_blocks(table)
        count = int(blocks.max()) + 1
        length = len(groups[0]) if groups else 0
        ends = [
            self._ends(count, _matrix(blocks, some, weights), _matrix(blocks, some, sums))
            for some in self._chunks(table, groups, length, count)
        ]
        ends.append(
            self._ends(count, *(_matrix(blocks, np.zeros_like(blocks), x) for x in (weights, sums)))
        )
        low, high = np.concatenate(ends, 1)
        return low, high, count

    def _chunks(
        self, table: pa.Table, groups: Sequence[pa.Array], length: int, count: int
    ) -> Iterator[Array]:
        """The place of each row's group among some groups, -1 for others, until all had a turn."""
        if not groups:
            return
        keys = Keys(self.asked.by)
        order = keys.number(groups)
        own = keys.number([table.column(name) for name in self.asked.by])
        assert order is not None
        assert own is not None
        places = np.empty(len(keys), np.int64)
        places[order.groups] = np.arange(length)
        step = max(1, _NUMBERS // count)
        for first in range(0, length, step):
            found = places[own.groups] - first
            yield np.where((found >= 0) & (found < min(step, length - first)), found, -1)

    def _ends(self, count: int, weights: Array, sums: Array) -> Array:
        """The ends of the intervals, of shape (2, groups)."""
        random = np.random.Generator(np.random.PCG64(_SEED))
        shares = np.full(count, 1 / count)
        drawn = []
        step = max(1, _NUMBERS // count)
        for first in range(0, self.asked.resamples, step):
            size = min(step, self.asked.resamples - first)
            times = random.multinomial(count, shares, size).astype(np.float64)
            with np.errstate(invalid="ignore", divide="ignore"):
                drawn.append((times @ sums) / (times @ weights))
        levels = [(1 - self.asked.level) / 2, (1 + self.asked.level) / 2]
        return _quantiles(np.concatenate(drawn), levels, (weights > 0).sum(0) > 1, sums)


def _of_blocks(table: pa.Table) -> tuple[Array, Array, Array]:
    """Of each row of the summary of blocks: the number of its block, the weight, the sum."""
    part, number = (np.asarray(table.column(name)) for name in _PLACES)
    blocks = np.unique(np.stack([part, number]), axis=1, return_inverse=True)[1].reshape(-1)
    weights = np.asarray(table.column("weight"), np.float64)
    means = table.column("mean").to_numpy(zero_copy_only=False).astype(np.float64)
    return blocks, weights, np.where(weights > 0, means * weights, 0.0)


def _matrix(blocks: Array, groups: Array, values: Array) -> Array:
    """Values by block and group."""
    kept = groups >= 0
    made = np.zeros((int(blocks.max()) + 1, int(groups.max(initial=0)) + 1))
    np.add.at(made, (blocks[kept], groups[kept]), values[kept])
    return made


def _quantiles(drawn: Array, levels: Sequence[float], several: Array, sums: Array) -> Array:
    """Of each column, over the resamples in which its group has rows."""
    found = np.full((len(levels), drawn.shape[1]), np.nan)
    good = several & np.isfinite(sums).all(0)
    if good.any():
        found[:, good] = np.nanquantile(drawn[:, good], levels, axis=0)
    return found


def compared(
    table: pa.Table, collected: Collected, by: Sequence[str]
) -> tuple[pa.Table, dict[str, Any]]:
    """A report's table with the interval of each group, and what was drawn.

    Args:
        table: a row for each group, and one of all rows at the end.
        collected: of the whole table.
        by: the columns of groups.
    """
    blocks = collected.others.get(BOOTSTRAP)
    if not isinstance(blocks, Blocks):
        return table, {}
    groups = [table.column(name).slice(0, len(table) - 1) for name in by]
    low, high, count = blocks.intervals(groups)
    ends = {"difference_low": low, "difference_high": high}
    table = table.rename_columns(
        ["difference" if name == "difference_mean" else name for name in table.column_names]
    )
    for name, values in reversed(ends.items()):
        place = table.column_names.index("difference_standard_error") + 1
        table = table.add_column(place, name, pa.array(values, mask=np.isnan(values)))
    asked = blocks.asked
    drawn: Mapping[str, Any] = {
        "blocks": count, "rows": asked.rows, "resamples": asked.resamples, "level": asked.level,
        "seed": _SEED,
    }  # fmt: skip
    return table, {BOOTSTRAP: dict(drawn)}
