"""Groups of parameters, by patterns of their names: frozen ones, those with other optimizers."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ..errors import InputError
from .optimizers import Optimizer
from .selection import Selection


def freeze(selection: Selection, frozen: str | Sequence[str]) -> Selection:
    """A selection without some parameters.

    Raises:
        InputError: for a pattern that fits none, and where all are frozen.
    """
    patterns = [frozen] if isinstance(frozen, str) else list(frozen)
    names = selection.trainable
    out = {name: pattern for pattern in patterns for name in fitting("frozen", pattern, names)}
    kept = tuple(name for name in names if name not in out)
    if names and not kept:
        raise InputError(f"frozen: {patterns} leaves nothing to train of {', '.join(names)}")
    reasons = {name: f"frozen by {pattern!r}" for name, pattern in out.items()}
    return replace(selection, trainable=kept, left_out={**selection.left_out, **reasons})


def by_parameter(
    names: Sequence[str], optimizer: Optimizer, groups: Mapping[str, Optimizer]
) -> dict[str, Optimizer]:
    """The optimizer of each parameter.

    Raises:
        InputError: for a pattern that fits no parameter, and what is no optimizer.
    """
    _require_optimizer("optimizer", optimizer)
    for pattern, own in groups.items():
        _require_optimizer(f"groups[{pattern!r}]", own)
    chosen = dict.fromkeys(names, optimizer)
    for pattern, own in reversed(list(groups.items())):
        chosen |= dict.fromkeys(fitting("groups", pattern, names), own)
    return chosen


def fitting(option: str, pattern: str, names: Sequence[str]) -> list[str]:
    """The names that are a pattern, or that it fits.

    Raises:
        InputError: if there are none.
    """
    found = [pattern] if pattern in names else fnmatch.filter(names, pattern)
    if not found:
        raise InputError(
            f"{option}: no trained parameter is called {pattern!r}; they are {', '.join(names)}"
        )
    return found


def _require_optimizer(option: str, optimizer: Optimizer) -> None:
    if not isinstance(optimizer, Optimizer):
        raise InputError(f"{option}: expected an optimizer, like AdamW(), got {optimizer!r}")
    if not isinstance(getattr(optimizer, "learning_rate", None), (int, float)):
        raise InputError(f"{option}: {type(optimizer).__name__} has no learning_rate")
