"""Checks for tests of one's own: a loss against another framework's, and against itself.

``assert_same`` compares a loss with a function of PyTorch, JAX, MXNet or numpy, in value and
gradient. ``check`` runs all the others, which need nothing to compare with: ``gradcheck``,
``check_dtypes``, ``check_extremes`` and ``check_shapes``. Each raises an AssertionError that says
what is wrong, where and with which inputs, and returns what it saw. pytest is not needed.
"""

from __future__ import annotations

from .all_checks import check
from .dtypes import check_dtypes
from .edge_cases import check_extremes
from .gradients import gradcheck
from .report import Report
from .same import assert_same
from .shapes import check_shapes

__all__ = [
    "Report", "assert_same", "check", "check_dtypes", "check_extremes", "check_shapes", "gradcheck",
]  # fmt: skip
