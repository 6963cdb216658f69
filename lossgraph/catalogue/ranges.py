"""Between what a loss lies for inputs of its domain and its default options, and where it is 0."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Range:
    """The values that a loss can have.

    Attributes:
        low: the lower bound.
        high: the upper bound.
        zero: where the value is 0, in words; empty if nowhere in particular.
        same: two inputs for which it is 0 where they are equal.
    """

    low: float = 0.0
    high: float = math.inf
    zero: str = ""
    same: tuple[str, ...] = ()

    def __str__(self) -> str:
        if math.isinf(self.low):
            bounds = "all real numbers"
        elif math.isinf(self.high):
            bounds = "at least 0" if self.low == 0 else f"at least {self.low:g}"
        else:
            bounds = f"from {self.low:g} to {self.high:g}"
        where = " and ".join(f"``{name}``" for name in self.same)
        zero = self.zero or (f"where {where} are equal" if where else "")
        return f"{bounds}; 0 {zero}" if zero else bounds


def _equal(first: str, second: str, high: float = math.inf) -> Range:
    return Range(high=high, same=(first, second))


ANY = -math.inf
_SURE = "in the limit of sure predictions that are right"
_SEPARATE = "where every score is right by the margin"
_OVERLAP = "for a perfect overlap"
_ERROR = _equal("pred", "target")
_BOXES = {"iou": 1.0, "giou": 2.0, "diou": 2.0, "ciou": 3.0}
_PREFERENCE = "in the limit of a chosen answer that is far ahead"
_CONTRASTIVE = "in the limit of a pair that is alone alike"
_DENSITY = Range(low=ANY, zero="where the density is 1")

RANGES = {
    "gluon.CTCLoss": Range(zero=_SURE),
    "gluon.CosineEmbeddingLoss": Range(high=2, zero="for like pairs of one direction, unlike ones "
                                       "whose cosine is at most the margin"),
    "gluon.HingeLoss": Range(zero=_SEPARATE),
    "gluon.HuberLoss": _equal("pred", "label"),
    "gluon.KLDivLoss": Range(low=ANY, zero="where both distributions are equal; the mean over "
                             "whole distributions is not negative, but for its epsilon"),
    "gluon.L1Loss": _equal("pred", "label"),
    "gluon.L2Loss": _equal("pred", "label"),
    "gluon.LogisticLoss": Range(zero=_SURE),
    "gluon.PoissonNLLLoss": Range(low=ANY),
    "gluon.SDMLLoss": Range(zero="where the softmax of the distances is the smoothed identity"),
    "gluon.SigmoidBinaryCrossEntropyLoss": Range(zero=_SURE),
    "gluon.SoftmaxCrossEntropyLoss": Range(zero=_SURE),
    "gluon.SquaredHingeLoss": Range(zero=_SEPARATE),
    "gluon.TripletLoss": Range(zero=_SEPARATE),
    "losses.absolute_percentage": _ERROR,
    "losses.approx_ndcg": Range(high=1, zero="in the limit of the best order, far apart"),
    "losses.arcface": Range(zero=_SURE),
    "losses.barlow_twins": Range(zero="where the correlations are the identity"),
    "losses.batch_hard_triplet": Range(zero=_SEPARATE),
    "losses.binary_sparsemax": Range(zero="where every logit is right by 1"),
    "losses.charbonnier": Range(zero="nowhere: ``epsilon`` where both are equal"),
    **{f"losses.{name}": _equal("pred", "target", high) for name, high in _BOXES.items()},
    "losses.circle": Range(zero="for a sample without positives or without negatives"),
    "losses.contrastive": Range(zero="for like pairs that are equal, unlike ones a margin apart"),
    "losses.cosface": Range(zero=_SURE),
    "losses.cox_partial_likelihood": Range(zero="for censored samples, and the last at risk"),
    "losses.cross_entropy": Range(zero="where both are sure of the same class"),
    "losses.dice": Range(high=1, zero=_OVERLAP),
    "losses.distillation": _equal("student", "teacher"),
    "losses.dpo": Range(zero=_PREFERENCE),
    "losses.entmax": Range(zero="where the class leads by 1 / (alpha - 1)"),
    "losses.entropy": Range(zero="where one class is sure"),
    "losses.fenchel_young": Range(zero="where the prediction is the target"),
    "losses.focal_ctc": Range(zero=_SURE),
    "losses.focal_tversky": Range(high=1, zero=_OVERLAP),
    "losses.gamma_nll": _DENSITY,
    "losses.gaussian_crps": Range(zero="where ``scale`` is 0 and ``mean`` is ``target``"),
    "losses.gaussian_nll": _DENSITY,
    "losses.gaussian_nll_by_log_variance": _DENSITY,
    "losses.general_robust": _ERROR,
    "losses.generalized_cross_entropy": Range(high=1 / 0.7, zero=_SURE),
    "losses.generalized_dice": Range(zero=_OVERLAP),
    "losses.info_nce": Range(zero=_CONTRASTIVE),
    "losses.ipo": Range(zero="where the lead is ``1 / (2 beta)``"),
    "losses.jaccard": Range(high=1, zero=_OVERLAP),
    "losses.jensen_shannon": _equal("p", "q", math.log(2)),
    "losses.kl_to_standard_normal": Range(zero="where both inputs are 0"),
    "losses.laplace_nll": _DENSITY,
    "losses.list_mle": Range(zero="in the limit of the right order, far apart"),
    "losses.list_net": Range(zero="in the limit of one item that is far above, in both"),
    "losses.log_cosh": _equal("predictions", "targets"),
    "losses.lovasz_hinge": Range(zero=_SEPARATE),
    "losses.lovasz_softmax": Range(high=1, zero=_OVERLAP),
    "losses.multiclass_hinge": Range(zero=_SEPARATE),
    "losses.mutual_information": Range(zero="where the table is the product of its margins"),
    "losses.n_pair": Range(zero=_CONTRASTIVE),
    "losses.negative_binomial_nll": Range(zero="where the count is sure, like 0 for a mean of 0"),
    "losses.nt_xent": Range(zero=_CONTRASTIVE),
    "losses.orpo": Range(zero="where the chosen answer is sure"),
    "losses.poly_cross_entropy": Range(zero=_SURE),
    "losses.proxy_nca": Range(low=ANY),
    "losses.quantile": _ERROR,
    "losses.rank_net": Range(zero="in the limit of the right order, far apart"),
    "losses.ranking_softmax": Range(zero="for a list of which nothing is relevant"),
    "losses.relative_entropy": _equal("p", "q"),
    "losses.root_mean_square": _ERROR,
    "losses.sample_root_mean_square": _ERROR,
    "losses.siglip": Range(zero=_CONTRASTIVE),
    "losses.sigmoid_focal": Range(zero=_SURE),
    "losses.sinkhorn": Range(zero="where mass moves at no cost, if costs are not negative"),
    "losses.smooth_labels": Range(high=1, zero="where the label is 0, for ``alpha`` 0"),
    "losses.softmax_focal": Range(zero=_SURE),
    "losses.sparsemax": Range(zero="where the class leads by 1"),
    "losses.squared_log": _ERROR,
    "losses.student_t_nll": _DENSITY,
    "losses.supcon": Range(zero="for a sample that has no other of its class"),
    "losses.symmetric_cross_entropy": Range(zero=_SURE),
    "losses.tukey_biweight": _equal("pred", "target", 4.685**2 / 6),
    "losses.tversky": Range(high=1, zero=_OVERLAP),
    "losses.tweedie_deviance": _equal("mean", "target"),
    "losses.vicreg": Range(zero="for equal views of which every feature is spread and none "
                           "correlated"),
    "losses.wasserstein_1d": _equal("x", "y"),
    "losses.wasserstein_histogram": _equal("pred", "target"),
    "losses.weibull_survival_nll": Range(low=ANY),
    "losses.wing": _ERROR,
    "losses.z_loss": Range(zero="where the exponentials of the logits sum to 1"),
    "nn.AdaptiveLogSoftmaxWithLoss": Range(low=ANY, zero="in the limit of the right class (the "
                                           "output is its log-probability)"),
    "nn.BCELoss": Range(high=100, zero="where the prediction is the label, 0 or 1"),
    "nn.BCEWithLogitsLoss": Range(zero=_SURE),
    "nn.CTCLoss": Range(zero=_SURE),
    "nn.CosineEmbeddingLoss": Range(high=2, zero="for like pairs of one direction, unlike ones "
                                    "whose cosine is at most the margin"),
    "nn.CrossEntropyLoss": Range(zero=_SURE),
    "nn.GaussianNLLLoss": Range(low=ANY),
    "nn.HingeEmbeddingLoss": Range(zero="for like pairs at distance 0, unlike ones a margin apart"),
    "nn.HuberLoss": _equal("input", "target"),
    "nn.KLDivLoss": Range(low=ANY, zero="where both distributions are equal; the sum over whole "
                          "distributions is not negative"),
    "nn.L1Loss": _equal("input", "target"),
    "nn.LinearCrossEntropyLoss": Range(zero=_SURE),
    "nn.MSELoss": _equal("input", "target"),
    "nn.MarginRankingLoss": Range(zero=_SEPARATE),
    "nn.MultiLabelMarginLoss": Range(zero=_SEPARATE),
    "nn.MultiLabelSoftMarginLoss": Range(zero=_SURE),
    "nn.MultiMarginLoss": Range(zero=_SEPARATE),
    "nn.NLLLoss": Range(zero="where the class has the log-probability 0"),
    "nn.PoissonNLLLoss": Range(low=ANY),
    "nn.SmoothL1Loss": _equal("input", "target"),
    "nn.SoftMarginLoss": Range(zero=_SURE),
    "nn.TripletMarginLoss": Range(zero=_SEPARATE),
    "nn.TripletMarginWithDistanceLoss": Range(zero=_SEPARATE),
    "optax.binary_dice_loss": Range(high=1, zero=_OVERLAP),
    "optax.convex_kl_divergence": Range(low=ANY, zero="where both measures are equal; not "
                                        "negative but for rounding"),
    "optax.cosine_distance": _equal("predictions", "targets", 2),
    "optax.cosine_similarity": Range(low=-1, high=1, zero="for vectors at right angles"),
    "optax.ctc_loss": Range(zero=_SURE),
    "optax.ctc_loss_with_forward_probs": Range(zero=_SURE),
    "optax.dice_loss": Range(high=1, zero=_OVERLAP),
    "optax.generalized_kl_divergence": Range(low=ANY, zero="where both measures are equal; not "
                                             "negative but for rounding"),
    "optax.hinge_loss": Range(zero=_SEPARATE),
    "optax.huber_loss": _equal("predictions", "targets"),
    "optax.kl_divergence": Range(low=ANY, zero="where both distributions are equal; not negative "
                                 "for distributions, but for rounding"),
    "optax.kl_divergence_with_log_targets": Range(low=ANY, zero="where both distributions are "
                                                  "equal; not negative for distributions, but "
                                                  "for rounding"),
    "optax.l2_loss": _equal("predictions", "targets"),
    "optax.log_cosh": _equal("predictions", "targets"),
    "optax.make_fenchel_young_loss": Range(zero="where the prediction is the target"),
    "optax.multiclass_generalized_dice_loss": Range(zero=_OVERLAP),
    "optax.multiclass_hinge_loss": Range(zero=_SEPARATE),
    "optax.multiclass_perceptron_loss": Range(zero="where the class has the best score"),
    "optax.multiclass_sparsemax_loss": Range(zero="where the class leads by 1"),
    "optax.ntxent": Range(zero=_CONTRASTIVE),
    "optax.perceptron_loss": Range(zero="where the sign is right"),
    "optax.poly_loss_cross_entropy": Range(zero=_SURE),
    "optax.ranking_softmax_loss": Range(zero="for lists of which nothing is relevant"),
    "optax.safe_softmax_cross_entropy": Range(zero=_SURE),
    "optax.sigmoid_binary_cross_entropy": Range(zero=_SURE),
    "optax.sigmoid_focal_loss": Range(zero=_SURE),
    "optax.smooth_labels": Range(high=1, zero="where the label is 0, for ``alpha`` 0"),
    "optax.softmax_cross_entropy": Range(zero=_SURE),
    "optax.softmax_cross_entropy_with_integer_labels": Range(zero=_SURE),
    "optax.sparsemax_loss": Range(zero="where every logit is right by 1"),
    "optax.squared_error": _equal("predictions", "targets"),
    "optax.triplet_margin_loss": Range(zero=_SEPARATE),
}  # fmt: skip
