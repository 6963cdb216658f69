"""What checks saw, and how they fail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass
class Report:
    """What checks of a loss saw.

    Attributes:
        loss: its name.
        lines: one for each thing that was checked and found right.
    """

    loss: str
    lines: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return "\n".join([self.loss, *(f"  {line}" for line in self.lines)])

    def __add__(self, other: Report) -> Report:
        return Report(self.loss, [*self.lines, *other.lines])


def fail(title: str, wrong: Sequence[str], also: Iterable[str] = ()) -> None:
    """Raise an AssertionError if something is wrong.

    Raises:
        AssertionError: with all that is, and what goes with it.
    """
    if wrong:
        lines = [f"  {line}" for each in (*wrong, *also) for line in each.splitlines()]
        raise AssertionError("\n".join([title, *lines]))
