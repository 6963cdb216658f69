"""``mxnet.gluon.loss``: Gluon's losses, with its names, options, defaults and order of weighting.

Every loss is multiplied by ``sample_weight`` and ``weight``, then averaged over all axes but
``batch_axis``; what differs is said at the class. The mathematics is in ``losses``.
"""

from __future__ import annotations

from .base import Loss, _apply_weighting, _reshape_like
from .classification import (
    HingeLoss,
    KLDivLoss,
    LogisticLoss,
    SigmoidBCELoss,
    SigmoidBinaryCrossEntropyLoss,
    SoftmaxCELoss,
    SoftmaxCrossEntropyLoss,
    SquaredHingeLoss,
)
from .embedding import CosineEmbeddingLoss, SDMLLoss, TripletLoss
from .regression import HuberLoss, L1Loss, L2Loss, PoissonNLLLoss
from .sequence import CTCLoss

__all__ = [
    "CTCLoss", "CosineEmbeddingLoss", "HingeLoss", "HuberLoss", "KLDivLoss", "L1Loss", "L2Loss",
    "LogisticLoss", "Loss", "PoissonNLLLoss", "SDMLLoss", "SigmoidBCELoss",
    "SigmoidBinaryCrossEntropyLoss", "SoftmaxCELoss", "SoftmaxCrossEntropyLoss",
    "SquaredHingeLoss", "TripletLoss", "_apply_weighting", "_reshape_like",
]  # fmt: skip
