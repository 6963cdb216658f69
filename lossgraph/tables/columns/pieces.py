"""Rows of a batch that are computed together, and their results in the order of the batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Piece:
    """Rows of a batch that are one array for each input.

    Attributes:
        rows: their numbers in the batch; None for all of them in order.
        arrays: the arrays, by input.
    """

    rows: Array | None
    arrays: dict[str, Array]


def joined(
    pieces: Sequence[Piece], found: Sequence[Mapping[str, Array]], sums: Sequence[str] = ()
) -> dict[str, Array]:
    """Arrays of the rows of pieces as arrays of the batch.

    Args:
        pieces: of a batch.
        found: arrays of the rows of each, by name; longer lists leave zeros behind shorter ones.
        sums: the names of arrays that are sums over rows.
    """
    if len(pieces) == 1 and pieces[0].rows is None:
        return dict(found[0])
    return {
        name: np.sum([each[name] for each in found], axis=0)
        if name in sums
        else _placed(pieces, [each[name] for each in found])
        for name in found[0]
    }


def _placed(pieces: Sequence[Piece], arrays: Sequence[Array]) -> Array:
    shape = np.max([array.shape for array in arrays], axis=0)
    shape[0] = sum(len(array) for array in arrays)
    out = np.zeros(shape, arrays[0].dtype)
    for piece, array in zip(pieces, arrays, strict=True):
        out[(piece.rows, *(slice(length) for length in array.shape[1:]))] = array
    return out
