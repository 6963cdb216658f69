"""Optimizers: how a parameter moves by its gradient, each a body on ``F`` like a loss."""

from __future__ import annotations

from .adam import AdamW
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "AdamW", "Optimizer"]
