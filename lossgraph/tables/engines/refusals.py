"""Refusals from afar: an engine wraps what a worker raises in pages of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from ...errors import InputError, LossgraphError

_MARK = "lossgraph refuses: "
_MARKED = re.compile(re.escape(_MARK) + r'("(?:[^"\\]|\\.)*")')


class RefusedError(Exception):
    """What a worker raises; its text survives that engines pass on only text."""

    def __init__(self, text: str) -> None:
        super().__init__(text)


@contextmanager
def carried() -> Iterator[None]:
    """In a worker: let errors of lossgraph travel."""
    try:
        yield
    except LossgraphError as error:
        raise RefusedError(_MARK + json.dumps(str(error))) from None


@contextmanager
def unwrapped() -> Iterator[None]:
    """Where the engine was called: raise what a worker refused as if it had been refused here.

    Raises:
        InputError: with the worker's text.
    """
    try:
        yield
    except Exception as error:
        found = _MARKED.search(str(error))
        if found is None:
            raise
        raise InputError(json.loads(found[1])) from None
