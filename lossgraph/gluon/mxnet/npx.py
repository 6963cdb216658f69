"""``mxnet.npx``: the operators beside NumPy's, on symbols and arrays."""

from __future__ import annotations

from typing import Any

from .arrays import operator

__all__ = ["reset_np", "set_np"]


def set_np(*args: Any, **kwargs: Any) -> None:
    """Nothing: shapes are MXNet's classic ones here, and arrays are NumPy's."""


reset_np = set_np


def __getattr__(name: str) -> Any:
    """The operator of a name.

    Raises:
        UnknownOperatorError: for one that F has not.
    """
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return operator(name)
