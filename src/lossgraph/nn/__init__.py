"""torch.nn's losses: its names, arguments, options, defaults and reductions."""

from __future__ import annotations

from . import linear, loss
from .linear import *  # noqa: F403
from .loss import *  # noqa: F403

__all__ = [*linear.__all__, *loss.__all__]
