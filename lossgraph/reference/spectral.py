"""Frames of signals and their Fourier transforms, by numpy's."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from .array import Array, floating, one_of, operator, raw
from .dtypes import Raw


@operator
def frame(data: Array, frame_length: int, hop_length: int) -> Array:
    """Frames of the last axis, ``hop_length`` apart; what is left after the last one is dropped."""
    value = raw(data)
    if value.shape[-1] < frame_length:
        raise InputError(f"a frame of {frame_length} does not fit {value.shape[-1]}")
    windows = np.lib.stride_tricks.sliding_window_view(value, frame_length, axis=-1)
    return Array(windows[..., ::hop_length, :].copy())


def _parts(found: Any, dtype: Any) -> list[Array]:
    return [Array(np.ascontiguousarray(part).astype(dtype)) for part in (found.real, found.imag)]


@operator
def rfft(data: Array, n: int | None = None) -> list[Array]:
    """The real and the imaginary part of the Fourier transform of the last axis."""
    value = floating(data)
    return _parts(np.fft.rfft(value.astype(np.float64), n), value.dtype)


@operator
def irfft(real: Array, imag: Array, n: int | None = None) -> Array:
    """The signal whose ``rfft`` that is."""
    whole = floating(real).astype(np.float64) + 1j * floating(imag).astype(np.float64)
    return Array(np.fft.irfft(whole, n).astype(floating(real).dtype))


def fft(data: Array, compute_size: int = 128, name: str | None = None) -> Array:
    """Real and imaginary parts of the Fourier transform of the last axis, side by side."""
    value = floating(data)
    found = np.fft.fft(value.astype(np.float64))
    both = np.stack([found.real, found.imag], axis=-1)
    return Array(both.reshape(*value.shape[:-1], 2 * value.shape[-1]).astype(value.dtype))


def ifft(data: Array, compute_size: int = 128, name: str | None = None) -> Array:
    """The real part of the inverse of ``fft``, times the number of places."""
    value = floating(data)
    pairs = value.astype(np.float64).reshape(*value.shape[:-1], value.shape[-1] // 2, 2)
    whole = pairs[..., 0] + 1j * pairs[..., 1]
    return Array((np.fft.ifft(whole).real * pairs.shape[-2]).astype(value.dtype))


@operator
def stft(
    data: Array,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
) -> list[Array]:
    """The real and the imaginary part of the short-time Fourier transform, (.., bins, frames)."""
    value = floating(data)
    one_of("pad_mode", pad_mode, ("reflect", "edge", "constant"))
    length = n_fft if win_length is None else win_length
    weights = np.ones(length) if window is None else np.asarray(_numbers(window), np.float64)
    before = (n_fft - length) // 2
    weights = np.pad(weights, (before, n_fft - length - before))
    if center:
        sides = [(0, 0)] * (value.ndim - 1) + [(n_fft // 2, n_fft // 2)]
        value = np.pad(value, sides, mode=pad_mode)  # type: ignore[call-overload]
    hop = n_fft // 4 if hop_length is None else hop_length
    windows = np.lib.stride_tricks.sliding_window_view(value, n_fft, axis=-1)[..., ::hop, :]
    found = np.fft.rfft(windows.astype(np.float64) * weights)
    scale = n_fft**-0.5 if normalized else 1.0
    return _parts(np.swapaxes(found, -1, -2) * scale, value.dtype)


def _numbers(window: Any) -> Raw:
    return window.value if isinstance(window, Array) else np.asarray(window)
