"""``mxnet.nd``: arrays, and the operators of ``F`` on symbols and arrays."""

from __future__ import annotations

from typing import Any

from .arrays import NDArray, Operators, array, operator

__all__ = ["NDArray", "array", "contrib", "linalg"]

contrib, linalg = Operators("contrib"), Operators("linalg")


def __getattr__(name: str) -> Any:
    """The operator of a name.

    Raises:
        UnknownOperatorError: for one that F has not.
    """
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return operator(name)
