"""Options: what they may be, and what those that optimizers share do to a gradient."""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Any, TypeAlias, get_type_hints

from ...symbolic.arguments import Check, check_of, is_int, is_real


def is_rate(value: Any) -> bool:
    """Whether a value is a finite number of at least 0."""
    return is_real(value) and math.isfinite(value) and value >= 0


def _is_fraction(value: Any) -> bool:
    return is_rate(value) and value < 1


def _are_fractions(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and len(value) == 2 and all(map(_is_fraction, value))


def _is_above(value: Any) -> bool:
    return is_rate(value) and value > 0


def _is_count(value: Any) -> bool:
    return is_int(value) and value > 0


Rate: TypeAlias = Annotated[float, Check(is_rate, "a finite number of at least 0")]
Fraction: TypeAlias = Annotated[float, Check(_is_fraction, "a number of at least 0 and below 1")]
Fractions: TypeAlias = Annotated[
    "tuple[float, float]", Check(_are_fractions, "two numbers of at least 0 and below 1")
]

Above: TypeAlias = Annotated[float, Check(_is_above, "a finite number above 0")]
Count: TypeAlias = Annotated[int, Check(_is_count, "an int above 0")]


def check_fields(options: Any) -> None:
    """Refuse options, the fields of a dataclass, that are not what they are annotated as.

    Raises:
        InputError: naming the first.
    """
    hints = get_type_hints(type(options), include_extras=True)
    for field in dataclasses.fields(options):
        if (check := check_of(hints[field.name])) is not None:
            check.require(f"{type(options).__name__}: {field.name}", getattr(options, field.name))


def ascending(gradient: Any, maximize: bool) -> Any:
    """The gradient to descend by: the negated one of what is maximized."""
    return -gradient if maximize else gradient


def decayed(parameter: Any, gradient: Any, weight_decay: float) -> Any:
    """The gradient with that of ``weight_decay / 2 * |parameter|^2`` added."""
    return gradient + weight_decay * parameter if weight_decay else gradient


def mixed(average: Any, value: Any, share: float) -> Any:
    """A moving average: it keeps this share of itself."""
    return share * average + (1 - share) * value


def started(F: Any, share: float, step: Any) -> Any:
    """1 - share^step: what a moving average that began with 0 has seen of a constant.

    By ``expm1``: in float32, 1 - 0.999 has an error of 3e-5.
    """
    return -F.expm1(step * math.log(share)) if share else F.ones_like(step)
