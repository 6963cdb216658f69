"""How far outputs are from what was expected, and how far they may be: as ``lossgraph`` has it."""

from __future__ import annotations

from lossgraph.differences import Deviation, Tolerance, deviation, worst

__all__ = ["Deviation", "Tolerance", "deviation", "worst"]
