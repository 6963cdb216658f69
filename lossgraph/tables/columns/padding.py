"""Lists of different lengths: padded with zeros, and the inputs that say where the padding is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

Array = np.ndarray[Any, Any]
Type = tuple[str, tuple[str | int, ...]]

_MASKS = ("mask", "where")
_LENGTHS = ("lengths", "length")
_PADDINGS = ("paddings", "padding")


@dataclass(frozen=True)
class Filler:
    """An input that says where the lists of other inputs end.

    Attributes:
        input: its name.
        kind: ``lengths`` of lists; ``mask``, true for what is of a list; ``paddings``, 1 for what
            is not.
        of: the inputs of lists.
        dtype: its dtype.
    """

    input: str
    kind: str
    of: tuple[str, ...]
    dtype: str

    def type(self, dim: str, axis: str | int) -> Type:
        """The dtype and the shape of the array, ``axis`` being that of the lists' elements."""
        return self.dtype, (dim,) if self.kind == "lengths" else (dim, axis)

    def array(self, lengths: Array, longest: int) -> Array:
        """The array for lists of these lengths."""
        if self.kind == "lengths":
            return lengths.astype(self.dtype)
        beyond = is_beyond(lengths, longest)
        return (~beyond if self.kind == "mask" else beyond).astype(self.dtype, copy=False)


def fillers_of(inputs: Sequence[str], lists: Sequence[str], dtype: str) -> list[Filler]:
    """The inputs of a loss that say where lists end, by their names.

    ``mask``, ``where`` and ``lengths`` are of all lists, ``pred_lengths`` and ``logit_paddings`` of
    ``pred`` and ``logits``; where there are no such, of the first that no other is of.

    Args:
        inputs: the inputs of the loss that may be one; a column of lengths is one as well.
        lists: the inputs that lists are given for.
        dtype: that of paddings.
    """
    found: dict[str, Filler] = {}
    for kind, words, dtype_ in (
        ("lengths", _LENGTHS, "int64"), ("paddings", _PADDINGS, dtype), ("mask", _MASKS, "bool"),
    ):  # fmt: skip
        for name in inputs:
            if name in words:
                found[name] = Filler(name, kind, tuple(lists), dtype_)
            stem, _, word = name.rpartition("_")
            if word in words and stem:
                of = [x for x in lists if x.rstrip("s") == stem.rstrip("s")]
                found[name] = Filler(name, kind, tuple(of), dtype_)
    taken = {x for filler in found.values() for x in filler.of}
    left = [x for x in lists if x not in taken]
    for name, filler in found.items():
        if not filler.of and left:
            found[name] = Filler(name, filler.kind, (left.pop(0),), filler.dtype)
    return [found[name] for name in inputs if name in found and found[name].of]


def axes_of(fillers: Sequence[Filler]) -> dict[str, str]:
    """The names of the axes of padded inputs: one for all that one input is of."""
    axes: dict[str, str] = {}
    for filler in fillers:
        name = next((axes[x] for x in filler.of if x in axes), f"{filler.of[0]}_length")
        axes |= dict.fromkeys(filler.of, name)
    return axes


@dataclass(frozen=True)
class Ragged:
    """Lists of different lengths.

    Attributes:
        elements: the elements of all lists, one after the other.
        lengths: the length of each list.
    """

    elements: Array
    lengths: Array

    def padded(self, longest: int, rows: Array | None = None) -> Array:
        """The lists, or some of them, with zeros behind them up to a length."""
        lengths = self.lengths if rows is None else self.lengths[rows]
        shape = (len(lengths), longest, *self.elements.shape[1:])
        if rows is None and len(self.elements) == len(lengths) * longest:
            return self.elements.reshape(shape)
        each = math.prod(shape[2:])
        starts = self._starts if rows is None else self._starts[rows]
        flat = self._flat  # a list's elements, the next lists', and in the end zeros
        if longest > self._room:
            flat = self._followed_by(longest)
        out: Array = sliding_window_view(flat, longest * each)[starts * each].reshape(shape)
        out[is_beyond(lengths, longest)] = 0
        return out

    @cached_property
    def _room(self) -> int:
        return 2 * int(self.lengths.max(initial=1))

    @cached_property
    def _flat(self) -> Array:
        return self._followed_by(self._room)

    def _followed_by(self, count: int) -> Array:
        each = math.prod(self.elements.shape[1:])
        behind = np.zeros(count * each, self.elements.dtype)
        return np.concatenate([self.elements.reshape(-1), behind])

    @cached_property
    def _starts(self) -> Array:
        return np.cumsum(self.lengths) - self.lengths


def lengths_of(level: int | Array, count: int) -> Array:
    """The lengths of lists that are opened."""
    return np.full(count, level) if isinstance(level, int) else np.diff(level).astype(np.int64)


def is_beyond(lengths: Array, longest: int) -> Array:
    """Where there is padding, and no element of a list."""
    found: Array = np.arange(longest) >= lengths[:, None]
    return found


def groups_of(lengths: Mapping[str, Array]) -> list[tuple[Array, dict[str, int]]]:
    """Rows that are padded to the same lengths, with these, each a function of a row's own ones."""
    steps = _steps(max(int(each.max(initial=1)) for each in lengths.values()))
    places = {name: np.searchsorted(steps, each) for name, each in lengths.items()}
    group = sum(each * len(steps) ** i for i, each in enumerate(places.values()))
    counts = np.bincount(group)
    narrow = group.astype(np.min_scalar_type(len(counts)))  # which is sorted by its digits
    order = np.argsort(narrow, kind="stable")
    rows = np.split(order, np.cumsum(counts[counts > 0])[:-1])
    return [(each, {name: int(steps[x[each[0]]]) for name, x in places.items()}) for each in rows]


def _steps(most: int) -> Array:
    """Lengths to pad to: 1, 2, 3, 4, 6, 8, 12, 16, 24 and so on, up to one that is enough."""
    steps = [1]
    while steps[-1] < most:
        power = 1 << (steps[-1].bit_length() - 1)
        is_power = steps[-1] == power
        steps.append(power + power // 2 if is_power and power > 1 else 2 * power)
    return np.asarray(steps)
