"""Numbers and other values of tables as texts for people."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

_LONGEST = 120  # characters of a text, and of a list
_MOST_ITEMS = 8


def shown(value: Any) -> str:
    """A value of any Arrow type, on one line of bounded length."""
    if value is None:
        return "null"
    if isinstance(value, bool | np.bool_):
        return str(bool(value)).lower()
    if isinstance(value, int | np.integer):
        return whole(int(value))
    if isinstance(value, float | np.floating):
        return real(float(value))
    if isinstance(value, bytes):
        return _cut(value[:_LONGEST].hex())
    if isinstance(value, list | tuple | np.ndarray):
        return _items(list(value))
    if isinstance(value, Mapping):
        return _cut("{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}")
    return _cut(str(value))


def whole(value: int) -> str:
    """A whole number with a comma between thousands, from five digits on."""
    return f"{value:,}" if abs(value) >= 10_000 else str(value)


def real(value: float, digits: int = 5) -> str:
    """A number with some significant digits."""
    if math.isfinite(value) and value == round(value) and abs(value) < 1e15:
        return whole(int(value))
    text = f"{value:.{digits}g}"
    return {"nan": "NaN", "inf": "∞", "-inf": "-∞"}.get(text, text)


def percent(share: float) -> str:
    """A share as a percentage."""
    return f"{100 * share:.3g}%"


def _items(values: list[Any]) -> str:
    texts = [shown(value) for value in values[:_MOST_ITEMS]]
    left = len(values) - len(texts)
    return _cut(f"[{', '.join(texts)}{f', … {left} more' if left else ''}]", 2 * _LONGEST)


def _cut(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
