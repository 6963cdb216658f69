"""Where rows of a table are from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """Where a batch is from: for messages, and for the order of rows.

    Attributes:
        part: the place of its part among the parts of the table.
        first: the number of its first row within the part.
        name: what the part is called.
    """

    part: int = 0
    first: int = 0
    name: str = "the table"
