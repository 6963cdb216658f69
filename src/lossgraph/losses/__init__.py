"""The mathematics of losses: pure functions on ``F``, unreduced.

A formula never asks which ``F`` it has, reads no values, reduces only what its definition
sums, and stands once; names, options, weighting and reduction belong to the conventions
(``gluon``, ``nn``, ``optax``). Those that no convention is needed for are losses here, ready to be
called: ``losses.sigmoid_focal(logits, labels, gamma=1.5)``.
"""

from __future__ import annotations

from ..functions import FunctionLoss
from . import classification, embedding, margin, regression, soft_dice

binary_sparsemax = FunctionLoss(classification.binary_sparsemax)
dice = FunctionLoss(soft_dice.dice)
fenchel_young = FunctionLoss(margin.fenchel_young)
generalized_dice = FunctionLoss(soft_dice.generalized_dice)
log_cosh = FunctionLoss(regression.log_cosh)
multiclass_hinge = FunctionLoss(margin.multiclass_hinge)
nt_xent = FunctionLoss(embedding.nt_xent)
poly_cross_entropy = FunctionLoss(classification.poly_cross_entropy)
ranking_softmax = FunctionLoss(classification.ranking_softmax)
sigmoid_focal = FunctionLoss(classification.sigmoid_focal)
smooth_labels = FunctionLoss(classification.smooth_labels)
sparsemax = FunctionLoss(margin.sparsemax)

__all__ = [
    "binary_sparsemax",
    "dice",
    "fenchel_young",
    "generalized_dice",
    "log_cosh",
    "multiclass_hinge",
    "nt_xent",
    "poly_cross_entropy",
    "ranking_softmax",
    "sigmoid_focal",
    "smooth_labels",
    "sparsemax",
]
