"""``lossgraph list``."""

from __future__ import annotations

from typing import Annotated

import typer

from ..catalogue import NAMESPACES, Entry, entries, namespace_entries
from .completion import complete_namespace
from .options import Json
from .output import on_terminal, print_json, print_table

NAME = "list"
EXAMPLE = "Example: lossgraph list --namespace nn"


def command(
    namespace: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help=f"Only one of {', '.join(NAMESPACES)}.",
            autocompletion=complete_namespace,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """List the losses: names, inputs, options and what they are.

    Where no terminal reads it: names and what they are, one loss a line; --json has everything.
    """
    listed = entries() if namespace is None else namespace_entries(namespace)
    if json:
        print_json([describe(entry) for entry in listed])
    elif on_terminal():
        print_table(("loss", "inputs, options"), [_two_cells(entry) for entry in listed])
    else:
        rows = [_cells(entry) for entry in listed]
        print_table(("name", "alias", "summary"), [(row[0], row[1], row[-1]) for row in rows])


def describe(entry: Entry) -> dict[str, object]:
    """A loss for programs to read."""
    return {
        "name": entry.name,
        "aliases": entry.aliases,
        "summary": entry.summary,
        "formula": entry.formula,
        "inputs": [{"name": name, "required": required} for name, required in entry.inputs.items()],
        "options": entry.options,
        "same": entry.same,
        "source": entry.paper,
    }


def _two_cells(entry: Entry) -> tuple[str, str]:
    """Five columns would be too narrow to read on most terminals."""
    name, alias, inputs, options, summary = _cells(entry)
    named = f"{name} ({alias})" if alias else name
    return f"{named}\n{summary}", f"{inputs}\n{options}".rstrip()


def _cells(entry: Entry) -> tuple[str, ...]:
    inputs = (name if required else f"[{name}]" for name, required in entry.inputs.items())
    options = (f"{key}={value!r}" for key, value in entry.options.items())
    alias = next(iter(entry.aliases), "")
    summary = entry.summary.replace("``", "")
    return entry.name, alias, " ".join(inputs), " ".join(options), summary
