"""``lossgraph list``."""

from __future__ import annotations

from ..catalogue import Entry, entries
from .options import Json
from .output import print_json, print_table

NAME = "list"
EXAMPLE = "Example: lossgraph list --json"


def command(json: Json = False) -> None:
    """List the losses: names, inputs, options and what they are."""
    if json:
        print_json([describe(entry) for entry in entries()])
        return
    head = ("name", "alias", "inputs", "options", "summary")
    print_table(head, [_row(entry) for entry in entries()])


def describe(entry: Entry) -> dict[str, object]:
    """A loss for programs to read."""
    return {
        "name": entry.name,
        "aliases": entry.aliases,
        "summary": entry.summary,
        "formula": entry.formula,
        "inputs": [{"name": name, "required": required} for name, required in entry.inputs.items()],
        "options": entry.options,
    }


def _row(entry: Entry) -> tuple[str, ...]:
    inputs = (name if required else f"[{name}]" for name, required in entry.inputs.items())
    options = (f"{key}={value!r}" for key, value in entry.options.items())
    alias = next(iter(entry.aliases), "")
    return entry.name, alias, " ".join(inputs), " ".join(options), entry.summary
