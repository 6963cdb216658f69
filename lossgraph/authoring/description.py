"""What a loss says of itself: its documentation's first line and formula, and a card of it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..ir import html
from .signature import Kind, Parameter, Signature


def summary_of(documentation: str) -> str:
    """The first line."""
    return documentation.strip().partition("\n")[0].strip()


def formula_of(documentation: str) -> str:
    """What stands under ``.. math::``, on one line; empty if nothing does."""
    match = re.search(r"\.\. math::(.*?)(?:\n\s*\n|\Z)", documentation, re.DOTALL)
    return " ".join(match.group(1).split()) if match else ""


def card_of(
    name: str,
    documentation: str,
    options: Mapping[str, str],
    signature: Signature,
    shapes: Mapping[str, tuple[int, ...]],
) -> str:
    """A loss for notebooks: name, formula, options with their values, and inputs.

    Args:
        name: the loss's name.
        documentation: its documentation.
        options: its options as texts.
        signature: what a call takes.
        shapes: of inputs that the signature does not name.
    """
    tex = formula_of(documentation)
    inputs = [(html.code(p.name), what_is(p)) for p in signature.parameters if _is_input(p)]
    inputs += [(html.code(other), f"array of shape {shape}") for other, shape in shapes.items()]
    return html.card(
        name,
        html.Markup(f" {html.text(summary_of(documentation))}"),
        html.formula(tex) if tex else html.Markup(""),
        html.table(("option", "value"), [(html.code(k), html.code(v)) for k, v in options.items()]),
        html.table(("input", "what it is"), inputs),
    )


def what_is(parameter: Parameter) -> str:
    """An input in words."""
    if parameter.kind is Kind.INPUTS:
        return "arrays"
    if parameter.kind is Kind.SCALAR:
        return "a number in the place of an option"
    what = "array or number" if parameter.role.number else "array"
    if not parameter.role.gradient:
        what = f"{what} without gradient: labels or lengths"
    return what if parameter.required else f"{what}, optional"


def _is_input(parameter: Parameter) -> bool:
    return parameter.kind in (Kind.ARRAY, Kind.SCALAR, Kind.INPUTS)
