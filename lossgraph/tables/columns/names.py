"""Which columns an input is made of: a name, names, or a pattern like ``logit_*``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from itertools import pairwise
from typing import Any

from ...catalogue import hint
from ...errors import InputError

_MOST_LISTED = 12
_NUMBER = re.compile(r"\d+")


def columns_of(input: str, said: str | Sequence[str], known: Sequence[str]) -> tuple[str, ...]:
    """The columns of an input; several stand side by side.

    Args:
        input: the input.
        said: a column, a pattern, or a list of these.
        known: the columns of the table.

    Raises:
        InputError: for columns that there are not, and patterns whose order is not clear.
    """
    if isinstance(said, str):
        return _found(input, said, known)
    if not isinstance(said, Sequence) or not said or not all(isinstance(s, str) for s in said):
        raise InputError(f"{input}: expected the name of a column, or a list, got {said!r}")
    return tuple(name for each in said for name in _found(input, each, known))


def is_several(said: str | Sequence[str], known: Sequence[str]) -> bool:
    """Whether columns stand side by side, be it only one."""
    return not isinstance(said, str) or said not in known


def require_column(input: str, name: str, known: Sequence[str]) -> None:
    """Refuse a column that the table has not, or has twice.

    Raises:
        InputError: naming those that it has.
    """
    count = list(known).count(name)
    if count > 1:
        raise InputError(f"{input}: the table has {count} columns {name!r}: rename them")
    if not count:
        raise InputError(
            f"{input}: the table has no column {name!r}{hint(name, known)}: it has {listed(known)}"
        )


def listed(names: Sequence[Any]) -> str:
    """Names in a message, the first of many."""
    more = f", .. ({len(names)} in all)" if len(names) > _MOST_LISTED else ""
    return ", ".join(map(repr, names[:_MOST_LISTED])) + more


def _found(input: str, said: str, known: Sequence[str]) -> tuple[str, ...]:
    if said in known or not any(letter in said for letter in "*?["):
        require_column(input, said, known)
        return (said,)
    matches = [name for name in known if fnmatchcase(name, said)]
    if not matches:
        raise InputError(f"{input}: no column is like {said!r}: the table has {listed(known)}")
    for name in matches:
        require_column(input, name, known)
    return _in_order(input, said, matches)


def _in_order(input: str, said: str, matches: Sequence[str]) -> tuple[str, ...]:
    """Matches in the order of the numbers in them, in which none may be missing."""
    ordered = sorted(matches, key=_natural)
    if len({_NUMBER.sub("#", name) for name in matches}) > 1:
        if any(_NUMBER.search(name) for name in matches):
            raise InputError(
                f"{input}: {said!r} means columns of several kinds, {listed(ordered)}: list them"
            )
        return tuple(ordered)
    for left, right in pairwise(ordered):
        steps = [b - a for a, b in zip(_numbers(left), _numbers(right), strict=True)]
        if sum(step != 0 for step in steps) == 1 and max(steps) > 1:
            raise InputError(
                f"{input}: {said!r} has none between {left!r} and {right!r}: list the columns"
            )
    return tuple(ordered)


def _numbers(name: str) -> list[int]:
    return [int(number) for number in _NUMBER.findall(name)]


def _natural(name: str) -> tuple[tuple[int, str], ...]:
    """Texts and the numbers between them: 2 stands before 10."""
    parts = re.split(r"(\d+)", name)
    return tuple((int(part), part) if i % 2 else (-1, part) for i, part in enumerate(parts))
