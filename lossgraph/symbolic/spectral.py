"""Frames of signals and their Fourier transforms, of ``F``.

A transform is a product with matrices of cosines and sines, which are constants of the graph
(2 n (n/2+1) numbers for n places), right to float64 before they are rounded: for frames of some
thousands of places, not for whole signals. A complex number is two arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir import dims, ops
from ..ir.expr import Expr, const
from ..ir.types import broadcast_shapes
from .elementwise import _floating
from .register import function
from .shape import _pad_from_inside
from .symbol import (
    Operand,
    Symbol,
    _dim_of,
    as_expr,
    beside,
    promote,
    static,
    user_size,
    with_axes,
    wrap,
)


def _length(name: str, value: Any) -> int:
    length = static(_dim_of(value), name.partition(":")[0])
    if length < 1:
        raise InputError(f"{name}: expected 1 or more, got {length}")
    return length


@function(True)
def frame(data: Operand, frame_length: int, hop_length: int) -> Symbol:
    """Frames of the last axis, ``hop_length`` apart: (.., frames, frame_length).

    What is left after the last whole frame is dropped.
    """
    size, hop = _length("frame_length", frame_length), _length("hop_length", hop_length)
    return wrap(_frames(with_axes(as_expr(data), 1, "frame"), size, hop))


def _frames(x: Expr, size: int, hop: int) -> Expr:
    """From pieces of one hop, of which a frame has several."""
    length = x.shape[-1]
    if isinstance(length, int) and length < size:
        raise InputError(f"a frame of {size} does not fit a signal of {length}")
    count = dims.floordiv(length - size, hop) + 1
    pieces = -(-size // hop)
    total = (count + (pieces - 1)) * hop
    none = [0] * (x.rank - 1)
    x = ops.pad(x, (*none, 0), (*none, dims.maximum(total - length, 0)))
    x = ops.take_range(x, x.rank - 1, 0, total)
    hops = ops.reshape(x, (*x.shape[:-1], count + (pieces - 1), hop))
    axis = hops.rank - 2
    frames = ops.concat([ops.take_range(hops, axis, i, count) for i in range(pieces)], -1)
    return ops.take_range(frames, frames.rank - 1, 0, size)


# --- transforms ---------------------------------------------------------------------------------


def _waves(places: int, bins: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Cosines and sines of 2 pi j k / places, (places, bins), of angles in one turn."""
    angle = np.outer(np.arange(places), np.arange(bins)) % places * (2 * np.pi / places)
    return np.cos(angle), np.sin(angle)


def _times(x: Expr, matrix: np.ndarray[Any, Any]) -> Expr:
    """A product with a constant, of a signal or of a stack of them."""
    rows = ops.expand_dims(x, (0,)) if x.rank == 1 else x
    product = ops.matmul(rows, const(matrix, x.dtype))
    return ops.squeeze(product, (0,)) if x.rank == 1 else product


def _of_length(x: Expr, places: int) -> Expr:
    """The last axis cut, or filled with zeros."""
    length = static(x.shape[-1], "a transform")
    if length >= places:
        return ops.take_range(x, x.rank - 1, 0, places)
    none = [0] * (x.rank - 1)
    return ops.pad(x, (*none, 0), (*none, places - length))


@function()
def rfft(data: Operand, n: int | None = None) -> list[Symbol]:
    """The Fourier transform of the last axis: the real and the imaginary part, n//2+1 each.

    NumPy's function, with a complex result in two arrays; ``n`` cuts the signal, or fills it
    with zeros.
    """
    x = with_axes(_floating(data), 1, "rfft")
    places = _length("rfft: the length", user_size(x.shape[-1]) if n is None else n)
    cosines, sines = _waves(places, places // 2 + 1)
    x = _of_length(x, places)
    return [wrap(_times(x, cosines)), wrap(_times(x, -sines))]


@function()
def irfft(real: Operand, imag: Operand, n: int | None = None) -> Symbol:
    """The signal of ``n`` places (2 (bins-1) by default) whose ``rfft`` that is."""
    (a, b), _ = promote(real, imag, floating=True)
    for part in (a, b):
        with_axes(part, 1, "irfft")
    shape = broadcast_shapes(a.shape, b.shape)  # before either is cut or padded
    a, b = ops.broadcast_to(a, shape), ops.broadcast_to(b, shape)
    bins = static(a.shape[-1], "irfft")
    places = _length("irfft: the length", 2 * (bins - 1) if n is None else n)
    used = places // 2 + 1
    cosines, sines = _waves(places, used)
    weights = np.full((used, 1), 2.0 / places)  # a bin stands for its conjugate too,
    weights[0] = 1 / places  # but for the first one
    if places % 2 == 0:
        weights[-1] = 1 / places  # and the one in the middle
    from_real = _times(_of_length(a, used), weights * cosines.T)
    return wrap(from_real - _times(_of_length(b, used), weights * sines.T))


def fft(data: Operand, compute_size: int = 128, name: str | None = None) -> Symbol:
    """The Fourier transform of the last axis, real and imaginary parts side by side: (.., 2d).

    Args:
        data: real signals (.., d).
        compute_size: without meaning here.
        name: MXNet's name of the operator, without meaning here.
    """
    x = with_axes(_floating(data), 1, "fft")
    places = _length("fft: the length", user_size(x.shape[-1]))
    cosines, sines = _waves(places, places)
    both = np.stack([cosines, -sines], axis=-1).reshape(places, 2 * places)
    return wrap(_times(x, both))


def ifft(data: Operand, compute_size: int = 128, name: str | None = None) -> Symbol:
    """The real part of the inverse of ``fft``, times d, as MXNet has it.

    Args:
        data: real and imaginary parts side by side (.., 2d).
        compute_size: without meaning here.
        name: MXNet's name of the operator, without meaning here.
    """
    x = with_axes(_floating(data), 1, "ifft")
    places = _length("ifft: half the length", user_size(x.shape[-1] // 2))
    cosines, sines = _waves(places, places)
    both = np.stack([cosines, -sines], axis=1).reshape(2 * places, places)
    return wrap(_times(x, both))


@function()
def stft(
    data: Operand,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Operand | Sequence[float] | None = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
) -> list[Symbol]:
    """The short-time Fourier transform: the real and the imaginary part, (.., bins, frames).

    PyTorch's function, with a complex result in two arrays.

    Args:
        data: signals (.., length).
        n_fft: the length of a frame.
        hop_length: how far frames are apart, a quarter of it by default.
        win_length: the length of the window, ``n_fft`` by default.
        window: its weights, ones by default; zeros around them make it ``n_fft`` long.
        center: whether frames are centered, and the signal is padded for it.
        pad_mode: how: ``reflect``, ``edge`` or ``constant``.
        normalized: whether to divide by the root of ``n_fft``.
    """
    x, size = with_axes(_floating(data), 1, "stft"), _length("n_fft", n_fft)
    hop = size // 4 if hop_length is None else hop_length
    if center:
        x = _centered(x, size // 2, pad_mode)
    frames = _frames(x, size, _length("hop_length", hop))
    if window is not None or win_length is not None:
        frames = frames * _weights(window, win_length, size, x)
    parts = [as_expr(part) for part in rfft(wrap(frames))]
    scale = size**-0.5 if normalized else 1.0
    turned = [ops.matrix_transpose(part) for part in parts]
    return [wrap(part if scale == 1 else part * scale) for part in turned]


def _centered(x: Expr, half: int, mode: str) -> Expr:
    if mode not in ("reflect", "edge", "constant"):
        raise InputError(f"pad_mode: expected reflect, edge or constant, got {mode!r}")
    if mode == "constant":
        none = [0] * (x.rank - 1)
        return ops.pad(x, (*none, half), (*none, half))
    return _pad_from_inside(x, x.rank - 1, half, half, mode)


def _weights(window: Any, win_length: int | None, size: int, x: Expr) -> Expr:
    """The window in the middle of a frame."""
    length = size if win_length is None else _length("win_length", win_length)
    given = ops.full(1.0, x.dtype, (length,)) if window is None else beside(window, x)
    if given.shape != (length,) or length > size:
        raise InputError(
            f"stft: a window of {length} in a frame of {size} needs as many weights, "
            f"got {given.type}"
        )
    before = (size - length) // 2
    return ops.pad(given, (before,), (size - length - before,))
