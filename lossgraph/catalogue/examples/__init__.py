"""Plausible inputs of every loss: what no signature tells of types and values."""

from __future__ import annotations

from collections.abc import Mapping

from . import gluon, losses, nn, optax
from .example import OBSERVED, VALUES, Example, Table

__all__ = ["OBSERVED", "VALUES", "Example", "example", "example_options"]

TABLES: Mapping[str, Table] = {
    "gluon": gluon.TABLE,
    "losses": losses.TABLE,
    "nn": nn.TABLE,
    "optax": optax.TABLE,
}
OPTIONS: Mapping[str, Mapping[str, Mapping[str, object]]] = {"nn": nn.OPTIONS}
_BY_INPUT = {"sample_weight": Example(shape=("N",), values="positive")}


def example(namespace: str, loss: str, name: str, options: Mapping[str, object]) -> Example:
    """A plausible input ``name`` of a loss with its options: real numbers if nothing is said."""
    table = TABLES.get(namespace, {})
    found, replaced = table.get((loss, name), (_BY_INPUT.get(name, Example()), {}))
    for (option, value), other in replaced.items():
        if options.get(option) == value:
            return other
    return found


def example_options(namespace: str, loss: str) -> Mapping[str, object]:
    """Plausible options of a loss that has options without defaults; the examples fit them."""
    return OPTIONS.get(namespace, {}).get(loss, {})
