"""What a shell offers where the name or the option of a loss is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import typer

from ..catalogue import NAMESPACES, Entry, entries, lookup
from ..errors import InputError


def complete_loss(incomplete: str) -> Iterator[tuple[str, str]]:
    """Names and aliases of losses that begin so, as they are spelled, with what they are."""
    for entry in entries():
        summary = entry.summary.replace("``", "")
        for name in (entry.name, *entry.aliases):
            if name.startswith(incomplete):
                yield name, summary


def complete_option(context: typer.Context, incomplete: str) -> Iterator[str]:
    """``OPTION=`` for the options of the losses that stand on the line already."""
    for entry in _losses(context):
        for option in entry.options:
            if option.startswith(incomplete):
                yield f"{option}="


def complete_namespace(incomplete: str) -> Iterator[str]:
    """Namespaces that begin so."""
    return (name for name in NAMESPACES if name.startswith(incomplete))


def _losses(context: typer.Context) -> Iterator[Entry]:
    """The losses on the line; they are in ``args`` where an option still lacks its value."""
    found = context.params
    named = (*(found.get("losses") or ()), found.get("loss"), *context.args)
    for name in dict.fromkeys(filter(None, named)):
        with suppress(InputError):
            yield lookup(name)
