"""Losses over tables: of any size, piece by piece, the same numbers however the table is cut.

In come a loss and a table (files, a data frame, a query); out goes a row of statistics for each
group of rows. Needs pyarrow: ``pip install 'lossgraph[tables]'``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from .calibration import Probabilities
    from .evaluation import evaluate
    from .fitting import Fit, fit
    from .report import Report
    from .sources import sql

__all__ = ["Fit", "Probabilities", "Report", "evaluate", "fit", "sql"]

_HOMES = {  # modules that need pyarrow
    "Fit": "fitting",
    "Probabilities": "calibration",
    "Report": "report",
    "evaluate": "evaluation",
    "fit": "fitting",
    "sql": "sources",
}


def require_pyarrow() -> None:
    """Refuse to go on without pyarrow.

    Raises:
        InputError: with what brings it.
    """
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise InputError("tables need pyarrow: pip install 'lossgraph[tables]'") from None


def __getattr__(name: str) -> Any:
    """What is imported when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    require_pyarrow()
    found = getattr(import_module(f".{_HOMES[name]}", __name__), name)
    globals()[name] = found
    return found
