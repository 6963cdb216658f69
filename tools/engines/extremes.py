"""Inputs at the extremes of what each kind of number may be."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from lossgraph.catalogue import examples_of

Array = np.ndarray[Any, Any]

# What replaces the elements of an input, drawn at random, by the kind of its values.
NUMBERS: Mapping[str, tuple[float, ...]] = {
    "real": (1e4, -1e4, 0.0, 1.0),
    "unit": (0.0, 1.0, 0.5),
    "positive": (1e-4, 1.0, 1e4),
    "count": (0.0, 1.0, 1e3),
}

# Differences of squares or products of 1e4, which float32 knows to 8 or so, in an exponential, a
# hinge or a choice of the largest: there no float32 knows the result.
PRODUCTS = {
    "gluon.SDMLLoss", "gluon.TripletLoss", "losses.batch_hard_triplet", "losses.vicreg",
    "nn.AdaptiveLogSoftmaxWithLoss",
}  # fmt: skip
_FACTORS = (100.0, -100.0, 0.0, 1.0)


def extreme(name: str, loss: Any, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Inputs of a loss with the numbers that are not class labels, signs or such at extremes."""
    numbers = {**NUMBERS, "real": _FACTORS} if name in PRODUCTS else NUMBERS
    kinds = {each: example.values for each, example in examples_of(loss).items()}
    return {
        each: _replaced(each, array, kinds.get(each, ""), numbers) for each, array in arrays.items()
    }


def _replaced(
    name: str, array: Array, kind: str, numbers: Mapping[str, tuple[float, ...]]
) -> Array:
    rng = np.random.default_rng(zlib.crc32(f"extreme {name}".encode()))
    if array.dtype.kind != "f" or not array.size:
        return array
    if kind in ("simplex", "log_simplex") and array.ndim:
        certain = np.eye(array.shape[-1])[rng.integers(0, array.shape[-1], array.shape[:-1])]
        certain = certain if kind == "simplex" else np.where(certain == 1, 0.0, -1e4)
        return certain.astype(array.dtype)
    if kind not in numbers:
        return array
    return rng.choice(numbers[kind], array.shape).astype(array.dtype)
