"""``mxnet.np``: NumPy's names on symbols and arrays, as far as ``F`` has them."""

from __future__ import annotations

from typing import Any

import numpy

from .arrays import NDArray, array, operator

__all__ = ["array", "ndarray"]

ndarray = NDArray


def __getattr__(name: str) -> Any:
    """The operator of a name, or what is no function of NumPy: dtypes, pi, newaxis.

    Raises:
        UnknownOperatorError: for one that F has not.
    """
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    constant = getattr(numpy, name, None)
    if isinstance(constant, (float, int, type)) or (constant is None and hasattr(numpy, name)):
        return constant
    return operator(name)
