"""Optimizers: how a parameter moves by its gradient, each a body on ``F`` like a loss."""

from __future__ import annotations

from .adagrad import Adagrad, RMSprop
from .adam import Adam, AdamW
from .lion import Lion
from .optimizer import Optimizer
from .sgd import SGD

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Lion", "Optimizer", "RMSprop"]
