"""The tables of rules: equations, in order of priority.

A rule that is false at a special value (x*0 = 0, x/x = 1) is not admitted. Every law is tested
by evaluating both sides.
"""

from __future__ import annotations

from .narrow import NARROW
from .nonempty import NONEMPTY
from .simplify import SIMPLIFY
from .stabilize import STABILIZE

__all__ = ["NARROW", "NONEMPTY", "SIMPLIFY", "STABILIZE"]
