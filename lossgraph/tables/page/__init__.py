"""A report as a page: groups, distribution, worst rows, calibration, what was run; in one file.

In: what a report has. Out: HTML that asks for nothing else. Read ``render``, then ``charts``.
"""

from __future__ import annotations

from .render import page, tells

__all__ = ["page", "tells"]
