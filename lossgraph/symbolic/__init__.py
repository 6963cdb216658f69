"""``F``, symbolic: MXNet's operators on symbols, with MXNet's names and conventions.

What a loss body receives as ``F`` when it is traced. ``lossgraph.reference`` has the same
functions for numpy arrays.
"""

from __future__ import annotations

from typing import Any

from ..reference.missing import missing
from . import (
    activations,
    cumulative,
    elementwise,
    index,
    layers,
    linear_algebra,
    matrices,
    outputs,
    ranges,
    reduce,
    scatter,
    sequence,
    shape,
    spectral,
)
from .contrib import contrib
from .linear_algebra import linalg
from .register import functions
from .symbol import Symbol, SymbolicSize

_MODULES = (  # which declare the functions
    activations,
    cumulative,
    elementwise,
    index,
    layers,
    linear_algebra,
    matrices,
    outputs,
    ranges,
    reduce,
    scatter,
    sequence,
    shape,
    spectral,
)
globals().update(functions())

__all__ = ["Symbol", "SymbolicSize", "contrib", "linalg", *sorted(functions())]


def __getattr__(name: str) -> Any:
    """Names that modules of Python are asked for are none; others are operators that are not."""
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise missing("F", name, __all__)
