"""What a body takes for a constant: what ``stop_gradient`` gives, kept while its inputs move.

The gradient of such a body is not that of its value, but that of the value in which these arrays
stay what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

Raw = np.ndarray[Any, Any]

_treat: ContextVar[Callable[[Raw], Raw] | None] = ContextVar("constants", default=None)


def constant(value: Raw) -> Raw:
    """The value, unless constants of an earlier run are to be held."""
    treat = _treat.get()
    return np.array(value) if treat is None else treat(value)


@contextmanager
def recorded_constants() -> Iterator[list[Raw]]:
    """The constants of the bodies that run meanwhile, in the order of their calls."""
    found: list[Raw] = []

    def record(value: Raw) -> Raw:
        found.append(np.array(value))
        return found[-1]

    yield from _treating(record, found)


@contextmanager
def held_constants(constants: Sequence[Raw]) -> Iterator[Sequence[Raw]]:
    """Give recorded constants to a body that runs again."""
    left = iter(constants)
    yield from _treating(lambda value: next(left), constants)


def _treating(treat: Callable[[Raw], Raw], given: Any) -> Iterator[Any]:
    token = _treat.set(treat)
    try:
        yield given
    finally:
        _treat.reset(token)
