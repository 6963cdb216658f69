"""Optimizers by the names that the command line takes."""

from __future__ import annotations

from typing import Any

from ..errors import InputError
from ..training import optimizers
from ..training.optimizers import Optimizer


def named_optimizer(name: str, **options: Any) -> Optimizer:
    """An optimizer by its name in any case, with its options.

    Raises:
        InputError: for a name or an option that there is not.
    """
    public = {known.lower(): getattr(optimizers, known) for known in optimizers.__all__}
    kinds = {
        known: kind
        for known, kind in public.items()
        if isinstance(kind, type) and issubclass(kind, Optimizer) and kind is not Optimizer
    }
    if name.lower() not in kinds:
        raise InputError(f"no optimizer is called {name!r}: there are {', '.join(sorted(kinds))}")
    try:
        made: Optimizer = kinds[name.lower()](**options)
    except TypeError as error:
        raise InputError(f"optimizer {name}: {error}") from error
    return made
