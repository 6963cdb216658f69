"""The mathematics of losses, each once: unreduced formulas that are pure functions on ``F``.

The frameworks' conventions are made of them (``gluon``, ``nn``, ``optax``). Those that belong to no
framework are losses here, ready to be called: ``losses.sigmoid_focal(logits, labels, gamma=1.5)``.
"""

from __future__ import annotations

from ..authoring.functions import FunctionLoss
from . import (
    boxes,
    classification,
    embedding,
    information,
    likelihood,
    listwise,
    margin,
    metric,
    multiclass,
    preference,
    regression,
    robust,
    segmentation,
    selfsupervised,
    sequence,
    soft_dice,
    softened,
    survival,
    transport,
    tsallis,
)

absolute_percentage = FunctionLoss(robust.absolute_percentage)
approx_ndcg = FunctionLoss(listwise.approx_ndcg)
arcface = FunctionLoss(metric.arcface)
barlow_twins = FunctionLoss(selfsupervised.barlow_twins)
batch_hard_triplet = FunctionLoss(metric.batch_hard_triplet)
binary_sparsemax = FunctionLoss(classification.binary_sparsemax)
charbonnier = FunctionLoss(robust.charbonnier)
ciou = FunctionLoss(boxes.ciou)
circle = FunctionLoss(metric.circle)
contrastive = FunctionLoss(metric.contrastive)
cosface = FunctionLoss(metric.cosface)
cox_partial_likelihood = FunctionLoss(survival.cox_partial_likelihood)
cross_entropy = FunctionLoss(information.cross_entropy)
dice = FunctionLoss(soft_dice.dice)
diou = FunctionLoss(boxes.diou)
distillation = FunctionLoss(softened.distillation)
dpo = FunctionLoss(preference.dpo)
entmax = FunctionLoss(tsallis.entmax)
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
info_nce = FunctionLoss(selfsupervised.info_nce)
iou = FunctionLoss(boxes.iou)
ipo = FunctionLoss(preference.ipo)
jaccard = FunctionLoss(segmentation.jaccard)
jensen_shannon = FunctionLoss(information.jensen_shannon)
kl_to_standard_normal = FunctionLoss(likelihood.kl_to_standard_normal)
laplace_nll = FunctionLoss(likelihood.laplace_nll)
list_mle = FunctionLoss(listwise.list_mle)
list_net = FunctionLoss(listwise.list_net)
log_cosh = FunctionLoss(regression.log_cosh)
lovasz_hinge = FunctionLoss(segmentation.lovasz_hinge)
lovasz_softmax = FunctionLoss(segmentation.lovasz_softmax)
multiclass_hinge = FunctionLoss(margin.multiclass_hinge)
mutual_information = FunctionLoss(information.mutual_information)
n_pair = FunctionLoss(metric.n_pair)
negative_binomial_nll = FunctionLoss(likelihood.negative_binomial_nll)
nt_xent = FunctionLoss(embedding.nt_xent)
orpo = FunctionLoss(preference.orpo)
poly_cross_entropy = FunctionLoss(classification.poly_cross_entropy)
proxy_nca = FunctionLoss(metric.proxy_nca)
quantile = FunctionLoss(robust.quantile)
rank_net = FunctionLoss(listwise.rank_net)
ranking_softmax = FunctionLoss(classification.ranking_softmax)
relative_entropy = FunctionLoss(information.relative_entropy)
root_mean_square = FunctionLoss(robust.root_mean_square)
sample_root_mean_square = FunctionLoss(robust.sample_root_mean_square)
siglip = FunctionLoss(selfsupervised.siglip)
sigmoid_focal = FunctionLoss(classification.sigmoid_focal)
sinkhorn = FunctionLoss(transport.sinkhorn)
smooth_labels = FunctionLoss(classification.smooth_labels)
softmax_focal = FunctionLoss(multiclass.softmax_focal)
sparsemax = FunctionLoss(margin.sparsemax)
squared_log = FunctionLoss(robust.squared_log)
student_t_nll = FunctionLoss(likelihood.student_t_nll)
supcon = FunctionLoss(selfsupervised.supcon)
symmetric_cross_entropy = FunctionLoss(multiclass.symmetric_cross_entropy)
tukey_biweight = FunctionLoss(robust.tukey_biweight)
tversky = FunctionLoss(segmentation.tversky)
tweedie_deviance = FunctionLoss(likelihood.tweedie_deviance)
vicreg = FunctionLoss(selfsupervised.vicreg)
wasserstein_1d = FunctionLoss(transport.wasserstein_1d)
wasserstein_histogram = FunctionLoss(transport.wasserstein_histogram)
weibull_survival_nll = FunctionLoss(likelihood.weibull_survival_nll)
wing = FunctionLoss(robust.wing)
z_loss = FunctionLoss(softened.z_loss)

__all__ = [
    "absolute_percentage",
    "approx_ndcg",
    "arcface",
    "barlow_twins",
    "batch_hard_triplet",
    "binary_sparsemax",
    "charbonnier",
    "ciou",
    "circle",
    "contrastive",
    "cosface",
    "cox_partial_likelihood",
    "cross_entropy",
    "dice",
    "diou",
    "distillation",
    "dpo",
    "entmax",
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
    "info_nce",
    "iou",
    "ipo",
    "jaccard",
    "jensen_shannon",
    "kl_to_standard_normal",
    "laplace_nll",
    "list_mle",
    "list_net",
    "log_cosh",
    "lovasz_hinge",
    "lovasz_softmax",
    "multiclass_hinge",
    "mutual_information",
    "n_pair",
    "negative_binomial_nll",
    "nt_xent",
    "orpo",
    "poly_cross_entropy",
    "proxy_nca",
    "quantile",
    "rank_net",
    "ranking_softmax",
    "relative_entropy",
    "root_mean_square",
    "sample_root_mean_square",
    "siglip",
    "sigmoid_focal",
    "sinkhorn",
    "smooth_labels",
    "softmax_focal",
    "sparsemax",
    "squared_log",
    "student_t_nll",
    "supcon",
    "symmetric_cross_entropy",
    "tukey_biweight",
    "tversky",
    "tweedie_deviance",
    "vicreg",
    "wasserstein_1d",
    "wasserstein_histogram",
    "weibull_survival_nll",
    "wing",
    "z_loss",
]
