"""Where a long run shows how it goes on: a display of rich on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any


def live_display(wanted: bool | None, columns: Callable[[Any], Sequence[Any]]) -> Any:
    """A display of rich that is drawn when it is refreshed; None where there is to be none.

    Args:
        wanted: whether there is to be one; None for where somebody watches and rich is there.
        columns: makes the columns of a line, given the module ``rich.progress``.
    """
    if wanted is False or (wanted is None and not sys.stderr.isatty()):
        return None
    try:
        from rich import progress
        from rich.console import Console
    except ImportError:
        return None
    return progress.Progress(
        *columns(progress), console=Console(stderr=True), transient=True, auto_refresh=False
    )
