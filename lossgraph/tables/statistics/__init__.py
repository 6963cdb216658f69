"""Statistics of rows by group, exact and mergeable: any order and any cut of the rows, equal bits.

In come the values of batches of rows with the keys of their groups; out goes one row a group, as a
state that others can be merged with, or finished. Read ``groups`` first, then ``sums``.
"""

from __future__ import annotations

from .groups import Groups

__all__ = ["Groups"]
