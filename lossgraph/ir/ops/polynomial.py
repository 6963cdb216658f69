"""Polynomials in ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def horner(b: Any, coefficients: Sequence[float], t: str, dtype: str) -> str:
    """The polynomial of coefficients, lowest first, at ``t``."""
    total = b.const(coefficients[-1], dtype)
    for coefficient in reversed(coefficients[:-1]):
        total = b.add("Add", b.add("Mul", total, t), b.const(coefficient, dtype))
    return str(total)
