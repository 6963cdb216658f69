"""Arithmetic for lowerings that are formulas: ONNX's builder with operators and numbers."""

from __future__ import annotations

from typing import Any

from .polynomial import horner


class Arithmetic:
    """Calls that add nodes, ``g("Mul", x, 0.5)``: numbers are constants of the dtype."""

    def __init__(self, b: Any, dtype: str) -> None:
        self._b, self._dtype = b, dtype

    def __call__(self, kind: str, *args: str | float) -> str:
        named = [a if isinstance(a, str) else self._b.const(a, self._dtype) for a in args]
        return str(self._b.add(kind, *named))

    def polynomial(self, coefficients: tuple[float, ...], t: str) -> str:
        """The polynomial of coefficients, lowest first, at ``t``."""
        return horner(self._b, coefficients, t, self._dtype)
