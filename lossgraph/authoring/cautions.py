"""Warnings of shapes that are allowed and are more likely a mistake: (6, 1) against (6,)."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import combinations, zip_longest
from typing import Any, NamedTuple

from ..errors import LossgraphWarning
from ..ir.dims import as_dim, evaluate, names
from ..symbolic.symbol import SymbolicSize, same_size
from .shapes import Shape, same, shown

_PACKAGE = __name__.partition(".")[0]


class _Call(NamedTuple):
    """A call with arrays, while its loss is traced.

    Attributes:
        lengths: the lengths that the trace knows by name.
        said: the warnings of the call; it may be traced several times.
    """

    lengths: Mapping[str, int]
    said: set[str]


_CALL: ContextVar[_Call | None] = ContextVar("call", default=None)


@contextmanager
def call_of(lengths: Mapping[str, int], said: set[str]) -> Iterator[None]:
    """Say warnings in these lengths, and none that is ``said`` already."""
    token = _CALL.set(_Call(lengths, said))
    try:
        yield
    finally:
        _CALL.reset(token)


def warn_if_unequal(**shapes: Shape) -> None:
    """Warn of two arrays of different shapes, unless one is a single number, as PyTorch does."""
    (one, x), (other, y) = shapes.items()
    if not same(x, y) and x and y:
        _warn(one, x, other, y)


def warn_if_both_stretch(shapes: Mapping[str, Shape], value: Shape | None = None) -> None:
    """Warn of the first two arrays of which each is stretched along an axis of the other.

    Args:
        shapes: those of all arrays.
        value: the shape of the result: what a pair is stretched to has to be that.
    """
    for (one, x), (other, y) in combinations(shapes.items(), 2):
        together = _stretched(x, y)
        alone = together is None or same(together, x) or same(together, y)
        if not alone and (value is None or same(together or (), value)):
            _warn(one, x, other, y)
            return


def _stretched(x: Shape, y: Shape) -> Shape | None:
    """The shape that two broadcast to, None where they do not."""
    found: list[Any] = []
    for a, b in zip_longest(reversed(x), reversed(y), fillvalue=1):
        if not (same_size(a, 1) or same_size(b, 1) or same_size(a, b)):
            return None
        found.insert(0, b if same_size(a, 1) else a)
    return found


def _warn(one: str, x: Shape, other: str, y: Shape) -> None:
    together = _stretched(x, y)
    if together is None:  # which is an error
        return
    message = (
        f"{other} of shape {_known(y)} differs from {one} of shape {_known(x)}: they broadcast to "
        f"{_known(together)}, which is likely a mistake; give them one shape"
    )
    call = _CALL.get()
    if call is not None:
        if message in call.said:
            return
        call.said.add(message)
    warnings.warn(message, LossgraphWarning, stacklevel=depth_of_user())


def _known(shape: Shape) -> str:
    """A shape in the lengths of the call, where there is one."""
    call = _CALL.get()
    lengths = {} if call is None else call.lengths
    dims = [as_dim(d.dim if isinstance(d, SymbolicSize) else d) for d in shape]
    return shown([evaluate(d, lengths) if names(d) <= lengths.keys() else d for d in dims])


def depth_of_user() -> int:
    """How far up the first frame is that is none of the package's, for ``stacklevel``."""
    frame, depth = sys._getframe(1), 1
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] == _PACKAGE:
        frame, depth = frame.f_back, depth + 1
    return depth
