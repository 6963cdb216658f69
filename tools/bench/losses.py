"""The losses that are measured: their sizes, and arrays of these sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
Sizes = tuple[int, ...]


class Loss(NamedTuple):
    """A loss, under the name of the method that peers have for it."""

    name: str
    title: str
    dims: tuple[str, ...]  # what its sizes are called
    sizes: tuple[Sizes, ...]  # what is measured if nothing else is asked for
    arrays: Callable[..., dict[str, Array]]  # by dims, and ``rng``
    fault: Callable[..., str | None]  # why such sizes cannot be measured, by dims


class Case(NamedTuple):
    """What is measured at once: a loss of some sizes, with its gradient or without."""

    loss: Loss
    sizes: Sizes
    gradient: bool

    @property
    def what(self) -> str:
        return "value + gradient" if self.gradient else "value"

    def arrays(self) -> dict[str, Array]:
        """The same arrays in every run."""
        named = dict(zip(self.loss.dims, self.sizes, strict=True))
        return self.loss.arrays(rng=np.random.default_rng(0), **named)


def _ctc_arrays(T: int, N: int, C: int, L: int, rng: np.random.Generator) -> dict[str, Array]:
    """Logits (N, T, C), and labels of L classes each. The blank is the last class."""
    return {
        "logits": rng.normal(size=(N, T, C)).astype(np.float32),
        "labels": rng.integers(0, C - 1, (N, L)),
    }


def _ctc_fault(T: int, N: int, C: int, L: int) -> str | None:
    if C < 2:
        return "CTC needs a class beside the blank: C >= 2"
    if T < 2 * L - 1:  # each repeated class has a blank between
        return "a label may have no alignment, where libraries differ: T has to be >= 2 L - 1"
    return None


LOSSES: Mapping[str, Loss] = {
    loss.name: loss
    for loss in [
        Loss(
            name="ctc",
            title="CTC loss",
            dims=("T", "N", "C", "L"),
            sizes=((20, 4, 20, 5), (100, 32, 40, 20), (200, 32, 80, 40)),
            arrays=_ctc_arrays,
            fault=_ctc_fault,
        ),
    ]
}
