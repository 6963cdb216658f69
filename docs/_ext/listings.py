"""Listings in the reference: losses of a namespace, operators, by the modules they are written in.

A page has a place for them, ``<!-- losses of gluon -->`` or ``<!-- operators -->``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from sphinx.application import Sphinx

from lossgraph import symbolic
from lossgraph.authoring.functions import FunctionLoss
from lossgraph.catalogue.register import NAMESPACES, Entry, namespace_entries

LOSSES = re.compile(r"^<!-- losses of (\w+) -->$", re.MULTILINE)
OPERATORS = re.compile(r"^<!-- operators -->$", re.MULTILINE)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("source-read", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def fill(app: Sphinx, page: str, source: list[str]) -> None:
    """Write the listings into a page that has places for them."""
    text = LOSSES.sub(lambda match: _listing(_losses(match.group(1))), source[0])
    source[0] = OPERATORS.sub(lambda _: _listing(_operators()), text)


def family_of(module: str) -> str:
    """What a module is called, which has things of one kind."""
    return module.rpartition(".")[2].replace("_", " ").capitalize()


def _listing(members: Iterator[tuple[str, str]]) -> str:
    """Sections by family."""
    parts = []
    for family, directives in groupby(sorted(members), lambda member: member[0]):
        lines = "\n".join(directive for _, directive in directives)
        parts.append(f"## {family}\n\n```{{eval-rst}}\n{lines}\n```\n")
    return "\n".join(parts)


def _losses(namespace: str) -> Iterator[tuple[str, str]]:
    """Families and directives."""
    for entry in namespace_entries(namespace):
        yield family_of(entry.module.__name__), _directive(entry)


def _directive(entry: Entry) -> str:
    kind = "function" if isinstance(entry.source, FunctionLoss) else "class"
    return f".. auto{kind}:: {NAMESPACES[entry.namespace]}.{entry.own_name}"


def _operators() -> Iterator[tuple[str, str]]:
    """Families and directives; what is not a function of ``F`` itself is elsewhere."""
    for name in symbolic.__all__:
        operator = getattr(symbolic, name)
        if callable(operator) and not isinstance(operator, type) and name[0] != "_":
            yield family_of(operator.__module__), f".. autofunction:: {symbolic.__name__}.{name}"
