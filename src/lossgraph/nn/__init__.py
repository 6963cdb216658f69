"""torch.nn's losses: its names, arguments, options, defaults and reductions."""

from __future__ import annotations

from .loss import *  # noqa: F403
from .loss import __all__ as __all__
