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
    "takes_any_value",
    "translated_operators",
    "translates",
    "translation_of",
]

Translation = Callable[[Node], "Expr | Sequence[Expr]"]

_TRANSLATIONS: dict[tuple[str, str], dict[int, Translation]] = {}
_OF_ANY_VALUES: set[Translation] = set()


def translates(
    *operators: str, since: int = 1, domain: str = "", any_values: bool = False
) -> Callable[[Translation], Translation]:
    """Declare how operators are translated, from a version of their domain on.

    Args:
        operators: their names.
        since: the version.
        domain: the domain; the standard one by default.
        any_values: whether the translation takes values that are no tensors, as sequences.
    """

    def declare(translation: Translation) -> Translation:
        if any_values:
            _OF_ANY_VALUES.add(translation)
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


def takes_any_value(translation: Translation | None) -> bool:
    """Whether a translation takes values that are no tensors."""
    return translation in _OF_ANY_VALUES


def translated_operators() -> dict[str, list[int]]:
    """The operators of ONNX that have translations, with the versions from which these hold."""
    return {name: sorted(found) for (domain, name), found in _TRANSLATIONS.items() if not domain}
