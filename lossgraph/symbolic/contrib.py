"""``F.contrib``: control flow, and what else MXNet keeps there."""

from __future__ import annotations

from ..reference.missing import Namespace
from .control import cond, foreach, while_loop
from .outputs import CTCLoss
from .register import function_of_f
from .resize import BilinearResize2D
from .scatter import boolean_mask
from .spectral import fft, ifft

contrib = Namespace(
    "F.contrib",
    **{
        function.__name__: function_of_f(f"F.contrib.{function.__name__}", function)
        for function in (BilinearResize2D, cond, fft, foreach, ifft, while_loop)
    },
    CTCLoss=CTCLoss,
    boolean_mask=boolean_mask,
    ctc_loss=CTCLoss,
)
