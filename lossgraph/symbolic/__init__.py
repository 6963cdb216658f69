"""``F``, symbolic: MXNet's operators on symbols, with MXNet's names and conventions.

What a loss body receives as ``F`` when it is traced. ``lossgraph.reference`` has the same
functions for numpy arrays.
"""

from __future__ import annotations

from . import elementwise, index, reduce, sequence, shape
from .control import contrib
from .symbol import Symbol, SymbolicSize, functions

_MODULES = (elementwise, index, reduce, sequence, shape)  # which declare the functions
globals().update(functions())

__all__ = ["Symbol", "SymbolicSize", "contrib", *sorted(functions())]
