"""The register of translations: how each operator of ONNX is said in the language.

A translation is a function of a ``Node`` that returns the expression of its output, or a sequence
of those of its outputs. It is declared with the domain, the names and the oldest version of the
operators that it holds for; of several the newest one is taken that is not newer than the model.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..ir.expr import Expr
from .node import Node, NotTranslatedError

__all__ = [
    "NotTranslatedError",
    "Translation",
    "translated_operators",
    "translates",
    "translation_of",
]

Translation = Callable[[Node], "Expr | Sequence[Expr]"]

_TRANSLATIONS: dict[tuple[str, str], dict[int, Translation]] = {}


def translates(
    *operators: str, since: int = 1, domain: str = ""
) -> Callable[[Translation], Translation]:
    """Declare how operators are translated, from a version of their domain on."""

    def declare(translation: Translation) -> Translation:
        for operator in operators:
            versions = _TRANSLATIONS.setdefault((domain, operator), {})
            if since in versions:
                raise ValueError(f"{operator} is translated twice from version {since} on")
            versions[since] = translation
        return translation

    return declare


def translation_of(domain: str, operator: str, version: int) -> Translation | None:
    """The translation of an operator in a version of its domain; None if there is none."""
    versions = _TRANSLATIONS.get((domain, operator), {})
    known = [since for since in versions if since <= version]
    return versions[max(known)] if known else None


def translated_operators() -> dict[str, list[int]]:
    """The operators of ONNX that have translations, with the versions from which these hold."""
    return {name: sorted(found) for (domain, name), found in _TRANSLATIONS.items() if not domain}
