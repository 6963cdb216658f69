"""The mathematics of losses: pure functions on ``F``, unreduced.

A formula never asks which ``F`` it has, reads no values, reduces only what its definition
sums, and stands once; names, options, weighting and reduction belong to the conventions
(``gluon``, ``nn``). Formulas that belong to no framework are losses here themselves.
"""

from __future__ import annotations

from ..loss import FunctionLoss
from . import (
    boxes,
    information,
    likelihood,
    multiclass,
    robust,
    segmentation,
    sequence,
    survival,
)

absolute_percentage = FunctionLoss(robust.absolute_percentage)
charbonnier = FunctionLoss(robust.charbonnier)
ciou = FunctionLoss(boxes.ciou)
cox_partial_likelihood = FunctionLoss(survival.cox_partial_likelihood)
cross_entropy = FunctionLoss(information.cross_entropy)
diou = FunctionLoss(boxes.diou)
entropy = FunctionLoss(information.entropy)
focal_ctc = FunctionLoss(sequence.focal_ctc)
focal_tversky = FunctionLoss(segmentation.focal_tversky)
gamma_nll = FunctionLoss(likelihood.gamma_nll)
gaussian_crps = FunctionLoss(likelihood.gaussian_crps)
gaussian_nll = FunctionLoss(likelihood.gaussian_nll)
gaussian_nll_by_log_variance = FunctionLoss(likelihood.gaussian_nll_by_log_variance)
general_robust = FunctionLoss(robust.general_robust)
generalized_cross_entropy = FunctionLoss(multiclass.generalized_cross_entropy)
giou = FunctionLoss(boxes.giou)
iou = FunctionLoss(boxes.iou)
jaccard = FunctionLoss(segmentation.jaccard)
jensen_shannon = FunctionLoss(information.jensen_shannon)
kl_to_standard_normal = FunctionLoss(likelihood.kl_to_standard_normal)
laplace_nll = FunctionLoss(likelihood.laplace_nll)
lovasz_hinge = FunctionLoss(segmentation.lovasz_hinge)
lovasz_softmax = FunctionLoss(segmentation.lovasz_softmax)
mutual_information = FunctionLoss(information.mutual_information)
negative_binomial_nll = FunctionLoss(likelihood.negative_binomial_nll)
quantile = FunctionLoss(robust.quantile)
relative_entropy = FunctionLoss(information.relative_entropy)
root_mean_square = FunctionLoss(robust.root_mean_square)
sample_root_mean_square = FunctionLoss(robust.sample_root_mean_square)
softmax_focal = FunctionLoss(multiclass.softmax_focal)
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
    "charbonnier",
    "ciou",
    "cox_partial_likelihood",
    "cross_entropy",
    "diou",
    "entropy",
    "focal_ctc",
    "focal_tversky",
    "gamma_nll",
    "gaussian_crps",
    "gaussian_nll",
    "gaussian_nll_by_log_variance",
    "general_robust",
    "generalized_cross_entropy",
    "giou",
    "iou",
    "jaccard",
    "jensen_shannon",
    "kl_to_standard_normal",
    "laplace_nll",
    "lovasz_hinge",
    "lovasz_softmax",
    "mutual_information",
    "negative_binomial_nll",
    "quantile",
    "relative_entropy",
    "root_mean_square",
    "sample_root_mean_square",
    "softmax_focal",
    "squared_log",
    "student_t_nll",
    "symmetric_cross_entropy",
    "tukey_biweight",
    "tversky",
    "tweedie_deviance",
    "weibull_survival_nll",
    "wing",
]
