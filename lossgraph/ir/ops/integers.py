"""Arithmetic of integers that stays in integers, of 64 bits too, and the modulus of floats."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..expr import Array, Expr


def quotient(x: Array, y: Array) -> Array:
    """Division; of integers truncating towards zero, as ONNX's Div does."""
    if x.dtype.kind == "f":
        return np.divide(x, y)
    return np.asarray(np.sign(x) * np.sign(y) * (np.abs(x) // np.abs(y))).astype(x.dtype)


def power_of(x: Array, y: Array) -> Array:
    """The power; of integers by negative exponents truncated, where NumPy has none."""
    if x.dtype.kind == "f":
        return np.power(x, y)
    whole = np.power(x, np.maximum(y, 0))
    with np.errstate(all="ignore"):
        fraction = np.power(x.astype(np.float64), y).astype(x.dtype)
    return np.where(y < 0, fraction, whole)


_EXPONENT_BITS = 6  # whatever is not 0, 1 or -1 has no power of 2^6 in 64 bits


def lower_power(b: Any, node: Expr, x: str, y: str) -> str:
    """ONNX's Pow; of integers, which engines raise in float64, by squaring.

    An exponent beyond the bits is replaced by one that is as odd.
    """
    if node.type.is_float or b.is_faithful("Pow", node.dtype):
        return str(b.add("Pow", x, y))
    zero, one, two, most = (b.const(n, node.dtype) for n in (0, 1, 2, 2**_EXPONENT_BITS - 1))
    even = b.const(2**_EXPONENT_BITS - 2, node.dtype)
    large = b.add("Add", even, b.add("Mod", b.add("Max", y, zero), two))
    bits, total, square = b.add("Where", b.add("Greater", y, most), large, y), one, x
    for _ in range(_EXPONENT_BITS):
        odd = b.add("Equal", b.add("Mod", bits, two), one)
        total = b.add("Mul", total, b.add("Where", odd, square, one))
        bits, square = b.add("Div", bits, two), b.add("Mul", square, square)
    return str(b.add("Where", b.add("Less", y, zero), b.add("Pow", x, y), total))


def lower_mod(b: Any, node: Expr, x: str, y: str) -> str:
    """The modulus with the divisor's sign, as NumPy and MXNet have it.

    ONNX's Mod of floats is C's fmod, which is exact and has the dividend's sign. Of a remainder of
    0 the sign is the divisor's too; ONNX Runtime 1.32's Where loses it in the second argument.
    """
    if not node.type.is_float:
        return str(b.add("Mod", x, y))
    zero, rest = b.const(0, node.dtype), b.add("Mod", x, y, fmod=1)
    other_sign = b.add("Xor", b.add("Less", rest, zero), b.add("Less", y, zero))
    remains = b.add("Not", b.add("Equal", rest, zero))
    found = b.add("Where", b.add("And", other_sign, remains), b.add("Add", rest, y), rest)
    return str(b.add("Where", remains, found, b.add("Mul", zero, b.add("Sign", y))))
