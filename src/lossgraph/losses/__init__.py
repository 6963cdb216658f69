"""The mathematics of losses, each once: unreduced formulas that are pure functions on ``F``.

The frameworks' conventions are made of them (``gluon``, ``nn``, ``optax``). Those that belong to no
framework are losses here, ready to be called: ``losses.sigmoid_focal(logits, labels, gamma=1.5)``.
"""

from __future__ import annotations

from ..functions import FunctionLoss
from . import (
    boxes,
    classification,
    embedding,
    information,
    likelihood,
    margin,
    multiclass,
    regression,
    robust,
    segmentation,
    sequence,
    soft_dice,
    survival,
)

absolute_percentage = FunctionLoss(robust.absolute_percentage)
binary_sparsemax = FunctionLoss(classification.binary_sparsemax)
charbonnier = FunctionLoss(robust.charbonnier)
ciou = FunctionLoss(boxes.ciou)
cox_partial_likelihood = FunctionLoss(survival.cox_partial_likelihood)
cross_entropy = FunctionLoss(information.cross_entropy)
dice = FunctionLoss(soft_dice.dice)
diou = FunctionLoss(boxes.diou)
entropy = FunctionLoss(information.entropy)
fenchel_young = FunctionLoss(margin.fenchel_young)
focal_ctc = FunctionLoss(sequence.focal_ctc)
focal_tversky = FunctionLoss(segmentation.focal_tversky)
gamma_nll = FunctionLoss(likelihood.gamma_nll)
gaussian_crps = FunctionLoss(likelihood.gaussian_crps)
gaussian_nll = FunctionLoss(likelihood.gaussian_nll)
gaussian_nll_by_log_variance = FunctionLoss(likelihood.gaussian_nll_by_log_variance)
general_robust = FunctionLoss(robust.general_robust)
generalized_cross_entropy = FunctionLoss(multiclass.generalized_cross_entropy)
generalized_dice = FunctionLoss(soft_dice.generalized_dice)
giou = FunctionLoss(boxes.giou)
iou = FunctionLoss(boxes.iou)
jaccard = FunctionLoss(segmentation.jaccard)
jensen_shannon = FunctionLoss(information.jensen_shannon)
kl_to_standard_normal = FunctionLoss(likelihood.kl_to_standard_normal)
laplace_nll = FunctionLoss(likelihood.laplace_nll)
log_cosh = FunctionLoss(regression.log_cosh)
lovasz_hinge = FunctionLoss(segmentation.lovasz_hinge)
lovasz_softmax = FunctionLoss(segmentation.lovasz_softmax)
multiclass_hinge = FunctionLoss(margin.multiclass_hinge)
mutual_information = FunctionLoss(information.mutual_information)
negative_binomial_nll = FunctionLoss(likelihood.negative_binomial_nll)
nt_xent = FunctionLoss(embedding.nt_xent)
poly_cross_entropy = FunctionLoss(classification.poly_cross_entropy)
quantile = FunctionLoss(robust.quantile)
ranking_softmax = FunctionLoss(classification.ranking_softmax)
relative_entropy = FunctionLoss(information.relative_entropy)
root_mean_square = FunctionLoss(robust.root_mean_square)
sample_root_mean_square = FunctionLoss(robust.sample_root_mean_square)
sigmoid_focal = FunctionLoss(classification.sigmoid_focal)
smooth_labels = FunctionLoss(classification.smooth_labels)
softmax_focal = FunctionLoss(multiclass.softmax_focal)
sparsemax = FunctionLoss(margin.sparsemax)
squared_log = FunctionLoss(robust.squared_log)
student_t_nll = FunctionLoss(likelihood.student_t_nll)
symmetric_cross_entropy = FunctionLoss(multiclass.symmetric_cross_entropy)
tukey_biweight = FunctionLoss(robust.tukey_biweight)
tversky = FunctionLoss(segmentation.tversky)
tweedie_deviance = FunctionLoss(likelihood.tweedie_deviance)
weibull_survival_nll = FunctionLoss(likelihood.weibull_survival_nll)
wing = FunctionLoss(robust.wing)

__all__ = [
    "absolute_percentage",
    "binary_sparsemax",
    "charbonnier",
    "ciou",
    "cox_partial_likelihood",
    "cross_entropy",
    "dice",
    "diou",
    "entropy",
    "fenchel_young",
    "focal_ctc",
    "focal_tversky",
    "gamma_nll",
    "gaussian_crps",
    "gaussian_nll",
    "gaussian_nll_by_log_variance",
    "general_robust",
    "generalized_cross_entropy",
    "generalized_dice",
    "giou",
    "iou",
    "jaccard",
    "jensen_shannon",
    "kl_to_standard_normal",
    "laplace_nll",
    "log_cosh",
    "lovasz_hinge",
    "lovasz_softmax",
    "multiclass_hinge",
    "mutual_information",
    "negative_binomial_nll",
    "nt_xent",
    "poly_cross_entropy",
    "quantile",
    "ranking_softmax",
    "relative_entropy",
    "root_mean_square",
    "sample_root_mean_square",
    "sigmoid_focal",
    "smooth_labels",
    "softmax_focal",
    "sparsemax",
    "squared_log",
    "student_t_nll",
    "symmetric_cross_entropy",
    "tukey_biweight",
    "tversky",
    "tweedie_deviance",
    "weibull_survival_nll",
    "wing",
]
