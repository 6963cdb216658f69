"""optax's losses: its names, arguments, options and defaults, unreduced as optax returns them.

``optax.huber_loss(predictions, targets, delta=2.0)`` computes, and has the methods of every loss:
``optax.huber_loss.value_and_grad(..)``, ``.to_onnx(..)``, ``.with_options(delta=2.0)``.
"""

from __future__ import annotations

from ..authoring.functions import FunctionLoss
from . import classification, distribution, regression, segmentation
from .factory import FenchelYoung

binary_dice_loss = FunctionLoss(segmentation.binary_dice_loss)
convex_kl_divergence = FunctionLoss(distribution.convex_kl_divergence)
cosine_distance = FunctionLoss(regression.cosine_distance)
cosine_similarity = FunctionLoss(regression.cosine_similarity)
ctc_loss = FunctionLoss(segmentation.ctc_loss)
ctc_loss_with_forward_probs = FunctionLoss(segmentation.ctc_loss_with_forward_probs)
dice_loss = FunctionLoss(segmentation.dice_loss)
generalized_kl_divergence = FunctionLoss(distribution.generalized_kl_divergence)
hinge_loss = FunctionLoss(classification.hinge_loss)
huber_loss = FunctionLoss(regression.huber_loss)
kl_divergence = FunctionLoss(distribution.kl_divergence)
kl_divergence_with_log_targets = FunctionLoss(distribution.kl_divergence_with_log_targets)
l2_loss = FunctionLoss(regression.l2_loss)
log_cosh = FunctionLoss(regression.log_cosh)
make_fenchel_young_loss = FenchelYoung(distribution.make_fenchel_young_loss)
multiclass_generalized_dice_loss = FunctionLoss(segmentation.multiclass_generalized_dice_loss)
multiclass_hinge_loss = FunctionLoss(classification.multiclass_hinge_loss)
multiclass_perceptron_loss = FunctionLoss(classification.multiclass_perceptron_loss)
multiclass_sparsemax_loss = FunctionLoss(classification.multiclass_sparsemax_loss)
ntxent = FunctionLoss(regression.ntxent)
perceptron_loss = FunctionLoss(classification.perceptron_loss)
poly_loss_cross_entropy = FunctionLoss(classification.poly_loss_cross_entropy)
ranking_softmax_loss = FunctionLoss(distribution.ranking_softmax_loss)
safe_softmax_cross_entropy = FunctionLoss(classification.safe_softmax_cross_entropy)
sigmoid_binary_cross_entropy = FunctionLoss(classification.sigmoid_binary_cross_entropy)
sigmoid_focal_loss = FunctionLoss(classification.sigmoid_focal_loss)
smooth_labels = FunctionLoss(classification.smooth_labels)
softmax_cross_entropy = FunctionLoss(classification.softmax_cross_entropy)
softmax_cross_entropy_with_integer_labels = FunctionLoss(
    classification.softmax_cross_entropy_with_integer_labels
)
sparsemax_loss = FunctionLoss(classification.sparsemax_loss)
squared_error = FunctionLoss(regression.squared_error)
triplet_margin_loss = FunctionLoss(regression.triplet_margin_loss)

__all__ = [
    "binary_dice_loss",
    "convex_kl_divergence",
    "cosine_distance",
    "cosine_similarity",
    "ctc_loss",
    "ctc_loss_with_forward_probs",
    "dice_loss",
    "generalized_kl_divergence",
    "hinge_loss",
    "huber_loss",
    "kl_divergence",
    "kl_divergence_with_log_targets",
    "l2_loss",
    "log_cosh",
    "make_fenchel_young_loss",
    "multiclass_generalized_dice_loss",
    "multiclass_hinge_loss",
    "multiclass_perceptron_loss",
    "multiclass_sparsemax_loss",
    "ntxent",
    "perceptron_loss",
    "poly_loss_cross_entropy",
    "ranking_softmax_loss",
    "safe_softmax_cross_entropy",
    "sigmoid_binary_cross_entropy",
    "sigmoid_focal_loss",
    "smooth_labels",
    "softmax_cross_entropy",
    "softmax_cross_entropy_with_integer_labels",
    "sparsemax_loss",
    "squared_error",
    "triplet_margin_loss",
]
