"""Names of values in a model: a stem and a number, each once in a graph and those inside it."""

from __future__ import annotations

import re
from collections.abc import Iterable


class Names:
    """The names that are taken."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)
        self._numbers: dict[str, int] = {}

    def take(self, name: str) -> None:
        """Reserve a name that is given."""
        self._taken.add(name)

    def fresh(self, stem: str) -> str:
        """The first name of a stem, numbered, that is not taken; names are never given back."""
        number = self._numbers.get(stem, 0)
        while f"{stem}_{number}" in self._taken:
            number += 1
        self._numbers[stem] = number + 1
        self.take(f"{stem}_{number}")
        return f"{stem}_{number}"


def snake_case(name: str) -> str:
    """``log_softmax`` of ``LogSoftmax``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
