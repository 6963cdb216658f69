"""Random numbers that are a function of a seed: the same on every engine and in every run."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...errors import InputError
from ..dims import Dim
from ..expr import Array, Expr, Op, builds, no_gradient, register
from ..types import TensorType

# The generator "squares" (Widynski, 2020, arXiv:2004.06278): four rounds of squaring a counter of
# 64 bits times a key, modulo 2^64. The counter has the place in its lower half and the seed and
# the stream in its upper one; the key is one of those that the paper's program makes.
_KEY = np.uint64(0x548C9DECBCE65297)
_SEED_STEP, _STREAM_STEP = 0x9E3779B97F4A7C15, 0xD1B54A32D192ED03
_BITS = 24  # of a float32 in [0, 1)


def _signed(number: int) -> int:
    """The int64 with the bits of a number modulo 2^64."""
    number %= 1 << 64
    return number - (1 << 64) if number >= 1 << 63 else number


def _infer(seed: TensorType, *, size: Dim, stream: int) -> TensorType:
    if seed != TensorType("int64", ()):
        raise InputError(f"a seed is one int64, got {seed}")
    return TensorType("float32", (size,))


def _ref(seed: Array, size: int, stream: int) -> Array:
    half, low = np.uint64(32), np.uint64(0xFFFFFFFF)

    def turned(x: Any) -> Any:
        return (x >> half) + (x << half)

    with np.errstate(over="ignore"):
        start = seed.astype(np.uint64) * np.uint64(_SEED_STEP)
        start = (start + np.uint64((stream + 1) * _STREAM_STEP % (1 << 64))) & ~low
        y = (np.arange(size, dtype=np.uint64) + start) * _KEY
        z = y + _KEY
        x = y
        for added in (y, z, y):
            x = turned(x * x + added)
        bits = (x * x + z) >> np.uint64(64 - _BITS)
    return bits.astype(np.float32) * np.float32(2.0**-_BITS)


def _lower(b: Any, node: Expr, seed: str) -> str:
    """In int64, whose products wrap around; only shifts need uint64."""
    half = b.const(_signed(1 << 32), "int64")

    def shifted(x: str, bits: int) -> str:
        x = b.add("Cast", x, to=b.dtype_code("uint64"))
        x = b.add("BitShift", x, b.const(bits, "uint64"), direction="RIGHT")
        return str(b.add("Cast", x, to=b.dtype_code("int64")))

    key = b.const(_signed(int(_KEY)), "int64")
    start = b.add("Mul", seed, b.const(_signed(_SEED_STEP), "int64"))
    stream = _signed((node.attrs["stream"] + 1) * _STREAM_STEP)
    start = b.add("Add", start, b.const(stream, "int64"))
    start = b.add("Mul", shifted(start, 32), half)
    stop = b.add("Add", start, b.scalar_size(node.attrs["size"]))
    y = b.add("Mul", b.add("Range", start, stop, b.const(1, "int64")), key)
    z = b.add("Add", y, key)
    x = y
    for added in (y, z, y):
        x = b.add("Add", b.add("Mul", x, x), added)
        x = b.add("Add", shifted(x, 32), b.add("Mul", x, half))
    x = shifted(b.add("Add", b.add("Mul", x, x), z), 64 - _BITS)
    x = b.add("Cast", x, to=b.dtype_code("float32"))
    return str(b.add("Mul", x, b.const(2.0**-_BITS, "float32")))


_random_uniform: Op = register(
    Op("RandomUniform", _infer, _ref, no_gradient, _lower, domain=(), stem="random")
)


@builds(_random_uniform)
def random_uniform(seed: Expr, size: Dim, stream: int = 0) -> Expr:
    """Numbers in [0, 1) of 24 bits: a function of the seed and the stream."""
    return _random_uniform(seed, size=size, stream=stream)
