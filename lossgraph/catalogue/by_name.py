"""Losses by name, however it is spelled."""

from __future__ import annotations

import difflib
import re

from ..errors import InputError
from .aliases import ALIASES
from .entry import Entry
from .own import is_own, own_entry
from .register import entries


def lookup(name: str) -> Entry:
    """The loss of a name: qualified, an alias, or a class's name in any spelling.

    ``gluon.HuberLoss``, ``HuberLoss``, ``huber_loss`` and ``huber`` are one loss;
    ``my_losses.py:SoftHinge`` is one that a user wrote.

    Raises:
        InputError: for a name that no loss has, or several losses of several namespaces.
    """
    if is_own(name):
        return own_entry(name)
    namespace, _, bare = name.rpartition(".")
    namespace = namespace.lower().removesuffix(".loss")  # Gluon says gluon.loss.HuberLoss
    wanted = _plain(bare)
    matches = [
        entry
        for entry in entries()
        if wanted in _plain_names(entry) and namespace in ("", entry.namespace)
    ]
    if len(matches) > 1:
        matches = _preferred(matches, bare)
    if not matches:
        raise InputError(f"no loss is called {name!r}{_near(name)}: `lossgraph list` shows all")
    if len(matches) > 1:
        listed = ", ".join(entry.name for entry in matches)
        raise InputError(f"the name {name!r} is ambiguous: choose one of {listed}")
    return matches[0]


def _preferred(matches: list[Entry], bare: str) -> list[Entry]:
    """Of several losses the one that an alias means, or else the one that is spelled just so."""
    target = {_plain(alias): full for alias, full in ALIASES.items()}.get(_plain(bare))
    meant = [entry for entry in matches if entry.name == target]
    return meant or [entry for entry in matches if entry.own_name == bare] or matches


def _plain(name: str) -> str:
    """A spelling without what spellings differ in: case, underscores and a final "loss"."""
    return re.sub(r"[^a-z0-9]", "", name.lower()).removesuffix("loss")


def _plain_names(entry: Entry) -> set[str]:
    return {_plain(name) for name in (entry.own_name, *entry.aliases)}


def _near(name: str) -> str:
    """A suggestion: the full names of the losses that are spelled alike."""
    spelled: dict[str, list[str]] = {}
    for entry in entries():
        for plain in _plain_names(entry):
            spelled.setdefault(plain, []).append(entry.name)
    close = difflib.get_close_matches(_plain(name.rpartition(".")[2]), spelled, n=3, cutoff=0.5)
    listed = list(dict.fromkeys(full for plain in close for full in spelled[plain]))
    return f" (did you mean {' or '.join(listed)}?)" if listed else ""
