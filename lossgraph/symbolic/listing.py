"""What ``F`` has, by the register of its functions: each once, with all the names it goes by."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from .contrib import contrib
from .linear_algebra import linalg
from .register import functions

SPACES: dict[str, SimpleNamespace] = {"contrib": contrib, "linalg": linalg}
_OTHERS = re.compile(r"(NumPy|PyTorch|MXNet|Lossgraph)'s (?:function|own)")


@dataclass(frozen=True)
class Function:
    """One function of ``F``.

    Attributes:
        names: what it is called, its own name first; with a dot in a namespace of ``F``.
        function: what is called.
    """

    names: tuple[str, ...]
    function: Callable[..., Any]

    @property
    def name(self) -> str:
        """Its own name."""
        return self.names[0]

    @property
    def family(self) -> str:
        """The module that it is written in."""
        return inspect.unwrap(self.function).__module__.rpartition(".")[2]

    @property
    def arguments(self) -> list[inspect.Parameter]:
        """What it takes, without MXNet's name of the operator."""
        parameters = inspect.signature(self.function).parameters.values()
        return [parameter for parameter in parameters if parameter.name != "name"]

    @property
    def summary(self) -> str:
        """The first sentence of its documentation."""
        return (inspect.getdoc(self.function) or "").partition("\n\n")[0].replace("\n", " ")

    @property
    def source(self) -> str:
        """Whose function it is, where the documentation says that it is not MXNet's."""
        match = _OTHERS.search(inspect.getdoc(self.function) or "")
        return match.group(1) if match else ""


def names() -> list[str]:
    """Every name in ``F``, with a dot in its namespaces."""
    inside = [f"{space}.{name}" for space, content in SPACES.items() for name in vars(content)]
    return sorted([*functions(), *inside])


def listing() -> list[Function]:
    """Every function, by family and name."""
    grouped: dict[int, list[str]] = {}
    found: dict[int, Callable[..., Any]] = {}
    for name in names():
        space, _, own = name.rpartition(".")
        function = getattr(SPACES[space], own) if space else functions()[own]
        grouped.setdefault(id(function), []).append(name)
        found[id(function)] = function
    made = [Function(_own_first(found[key], group), found[key]) for key, group in grouped.items()]
    return sorted(made, key=lambda entry: (entry.family, entry.name.lower(), entry.name))


def _own_first(function: Callable[..., Any], group: list[str]) -> tuple[str, ...]:
    """The name that it is written under before the others, those with a dot last."""
    own = function.__name__.rstrip("_")
    return tuple(sorted(group, key=lambda name: (name != own, "." in name, name)))
