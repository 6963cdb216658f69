"""``F.contrib``: control flow, and what else MXNet keeps there."""

from __future__ import annotations

from types import SimpleNamespace

from .control import cond, foreach, while_loop
from .outputs import CTCLoss
from .resize import BilinearResize2D
from .spectral import fft, ifft

contrib = SimpleNamespace(
    BilinearResize2D=BilinearResize2D,
    CTCLoss=CTCLoss,
    cond=cond,
    ctc_loss=CTCLoss,
    fft=fft,
    foreach=foreach,
    ifft=ifft,
    while_loop=while_loop,
)
