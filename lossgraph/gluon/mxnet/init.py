"""``mxnet.init``: how training begins with parameters; a loss only says it."""

from __future__ import annotations

from typing import Any

from ...reference.missing import missing

_NAMES = (
    "Bilinear", "Constant", "LSTMBias", "Load", "MSRAPrelu", "Mixed", "Normal", "One", "Orthogonal",
    "Uniform", "Xavier", "Zero",
)  # fmt: skip

__all__ = ["Initializer", *_NAMES]


class Initializer:
    """An initializer by its name, with what it was given: for whoever trains the parameter."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs

    def __repr__(self) -> str:
        given = [*map(repr, self.args), *(f"{k}={v!r}" for k, v in self.kwargs.items())]
        return f"{type(self).__name__}({', '.join(given)})"


globals().update({name: type(name, (Initializer,), {}) for name in _NAMES})


def __getattr__(name: str) -> Any:
    """Say which initializers there are.

    Raises:
        UnknownOperatorError: naming those that are spelled alike.
    """
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise missing("init", name, __all__)
