"""What recipes choose from, and what they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

Recipe = Callable[["Chooser"], str | None]


class Chooser(Protocol):
    """What recipes choose from."""

    def array(self, kind: str = "f", least: int = 0, most: int = 4) -> str:
        """The name of an array of a kind ("f" floats, "a" any) with a rank in a range."""

    def like(self, name: str) -> str:
        """An array that broadcasts with a given one, by chance the same; or a number."""

    def shaped(self, shape: Sequence[int], dtype: str = "") -> str:
        """An array of a shape: one that there is, or a new input."""

    def index(self, shape: Sequence[int], length: int) -> str:
        """A new input of indices, some of them outside where they may be."""

    def distinct(self, count: int, length: int) -> str:
        """A new input of one row of indices that differ, as many as there are at most."""

    def shape(self, name: str) -> tuple[int, ...]:
        """The lengths of an array."""

    def dtype_of(self, name: str) -> str:
        """The dtype of an array."""

    def size(self, name: str, axis: int) -> str:
        """A length as text, by its symbol or as a number."""

    def axis(self, name: str) -> int:
        """An axis of an array, counted from either end."""

    def axes(self, name: str) -> Any:
        """Axes to reduce over: none, one, or several."""

    def integer(self, low: int, high: int) -> int:
        """A whole number."""

    def number(self) -> float:
        """A number of few binary digits, so that every dtype has it exactly."""

    def one_of(self, *options: Any) -> Any:
        """One of some options."""
