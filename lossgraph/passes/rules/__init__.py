"""The tables of rules: equations, in order of priority.

``STABILIZE`` runs before differentiation and turns what overflows into the limit; ``SIMPLIFY`` and
``NARROW`` run after it and may do so where fewer operations overflow less. No rule loses an input
of NaN (x*0 = 0 and x/x = 1 are no rules). ``NONEMPTY`` adds to ``NARROW`` what holds where arrays
have elements, ``FUSING`` is for kernels. Every law is tested by value and by gradient on both
sides, on ordinary numbers, and by value on special ones, where the exceptions are listed with the
test.
"""

from __future__ import annotations

from .fusing import FUSING
from .narrow import NARROW
from .nonempty import NONEMPTY
from .simplify import SIMPLIFY
from .stabilize import STABILIZE

__all__ = ["FUSING", "NARROW", "NONEMPTY", "SIMPLIFY", "STABILIZE"]
