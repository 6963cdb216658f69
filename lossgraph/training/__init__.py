"""Training graphs of ONNX models, of standard operators, and what runs them.

In comes a model of anyone and a loss; out go the graphs of a step, which any ONNX Runtime
executes, and a trainer around them. Read ``build`` first.
"""

from __future__ import annotations

from . import schedules
from .build import build
from .callbacks import Callback, Checkpoints, EarlyStopping
from .data import Batches
from .history import History
from .optimizers import SGD, Adagrad, Adam, AdamW, Lion, Optimizer, RMSprop
from .scaling import LossScale
from .step import TrainingStep
from .trainer import Trainer

__all__ = [
    "SGD",
    "Adagrad",
    "Adam",
    "AdamW",
    "Batches",
    "Callback",
    "Checkpoints",
    "EarlyStopping",
    "History",
    "Lion",
    "LossScale",
    "Optimizer",
    "RMSprop",
    "Trainer",
    "TrainingStep",
    "build",
    "schedules",
]
