"""Stand-ins for what public losses import of MXNet: real where that can be, else an error in use.

``from lossgraph import nd, autograd, init`` takes the place of ``from mxnet import ..``. Operators
of ``nd``, ``np`` and ``npx`` are those of ``F``: on symbols inside a loss, and at once on arrays.
What has no meaning for a loss (recording, layers, random numbers) may be imported, and says what to
do instead when it is used.
"""

from __future__ import annotations

from . import autograd, init, nd, nn, np, npx

__all__ = ["autograd", "init", "nd", "nn", "np", "npx"]
