"""Plausible inputs of the losses that belong to no framework."""

from __future__ import annotations

from .example import (
    CLASS_SPACE,
    EVENTS,
    GROUPS,
    LABELS,
    LENGTHS,
    MASK,
    MATRIX,
    SHARES,
    SIMPLEX,
    UNIT,
    Condition,
    Example,
    Table,
)

_BINARY = Example(values="class")
_BOXES = Example(shape=("N", 4), values="box")
_DISTRIBUTION: tuple[Example, dict[Condition, Example]] = (
    SIMPLEX, {("from_logits", True): Example()}
)  # fmt: skip
_FLAGS = Example(shape=("N",), values="class")
_LIST = {
    "mask": Example("bool", ("N", "L")),
    "relevance": Example(shape=("N", "L"), values="count"),
    "score": Example(shape=("N", "L")),
}
_NUMBERS = Example(shape=("N",))
_POSITIVE = Example(values="positive")
_LOG_PROBABILITY = Example(shape=("N",), values="log_probability")

TABLE: Table = {
    ("absolute_percentage", "target"): (_POSITIVE, {}),
    **{(loss, name): (example, {}) for loss in ("approx_ndcg", "list_mle", "list_net", "rank_net")
       for name, example in _LIST.items()},
    **{(loss, "embedding"): (MATRIX, {})
       for loss in ("arcface", "batch_hard_triplet", "circle", "cosface", "proxy_nca", "supcon")},
    **{(loss, "label"): (LABELS, {}) for loss in ("arcface", "cosface", "entmax", "proxy_nca")},
    **{(loss, "weight"): (Example(shape=("C", "D")), {}) for loss in ("arcface", "cosface")},
    **{(loss, name): (MATRIX, {})
       for loss in ("barlow_twins", "contrastive", "vicreg") for name in ("x1", "x2")},
    **{(loss, "label"): (GROUPS, {}) for loss in ("batch_hard_triplet", "circle", "supcon")},
    ("binary_sparsemax", "labels"): (Example("int64", values="class"), {}),
    **{(loss, name): (_BOXES, {}) for loss in ("ciou", "diou", "giou", "iou")
       for name in ("pred", "target")},
    ("contrastive", "label"): (_FLAGS, {}),
    ("cox_partial_likelihood", "event"): (_FLAGS, {}),
    ("cox_partial_likelihood", "log_risk"): (_NUMBERS, {}),
    ("cox_partial_likelihood", "time"): (Example(shape=("N",), values="positive"), {}),
    **{(loss, name): _DISTRIBUTION for loss in ("cross_entropy", "jensen_shannon",
       "relative_entropy") for name in ("p", "q")},
    ("dice", "class_weights"): (Example(shape=("C",), values="positive"), {}),
    ("dice", "predictions"): (CLASS_SPACE, {("from_logits", False): SHARES}),
    ("dice", "targets"): (SHARES, {}),
    **{(loss, f"{model}_{answer}"): (_LOG_PROBABILITY, {})
       for loss in ("dpo", "ipo") for model in ("policy", "reference")
       for answer in ("chosen", "rejected")},
    ("entropy", "p"): _DISTRIBUTION,
    ("fenchel_young", "targets"): (SIMPLEX, {}),
    ("focal_ctc", "input_lengths"): (LENGTHS, {}),
    ("focal_ctc", "log_probs"): (Example(shape=("N", "T", "C"), values="log_simplex"), {}),
    ("focal_ctc", "target_lengths"): (LENGTHS, {}),
    ("focal_ctc", "targets"): (EVENTS, {}),
    **{(loss, name): (example, {}) for loss in ("focal_tversky", "jaccard", "tversky")
       for name, example in (("label", _BINARY), ("prob", UNIT))},
    **{("gamma_nll", name): (_POSITIVE, {}) for name in ("concentration", "rate", "target")},
    ("gaussian_crps", "scale"): (_POSITIVE, {}),
    ("gaussian_nll", "variance"): (_POSITIVE, {}),
    ("generalized_cross_entropy", "label"): (LABELS, {}),
    ("generalized_dice", "predictions"): (CLASS_SPACE, {("from_logits", False): SHARES}),
    ("generalized_dice", "targets"): (SHARES, {}),
    ("info_nce", "key"): (MATRIX, {}),
    ("info_nce", "negative"): (Example(shape=("M", "D")), {}),
    ("info_nce", "query"): (MATRIX, {}),
    ("laplace_nll", "scale"): (_POSITIVE, {}),
    ("lovasz_hinge", "label"): (_BINARY, {}),
    ("lovasz_softmax", "label"): (Example("int64", ("N", "T")), {}),
    ("lovasz_softmax", "prob"): (Example(shape=("N", "C", "T"), values="shares"), {}),
    ("multiclass_hinge", "labels"): (LABELS, {}),
    ("mutual_information", "joint"): (
        Example(shape=("N", "C", "D"), values="table"),
        {("from_logits", True): Example(shape=("N", "C", "D"))},
    ),
    ("n_pair", "anchor"): (MATRIX, {}),
    ("n_pair", "positive"): (MATRIX, {}),
    ("negative_binomial_nll", "mean"): (_POSITIVE, {}),
    ("negative_binomial_nll", "target"): (Example(values="count"), {}),
    ("negative_binomial_nll", "total_count"): (_POSITIVE, {}),
    ("nt_xent", "embeddings"): (MATRIX, {}),
    ("nt_xent", "labels"): (GROUPS, {}),
    ("orpo", "chosen"): (_LOG_PROBABILITY, {}),
    ("orpo", "rejected"): (_LOG_PROBABILITY, {}),
    ("poly_cross_entropy", "labels"): (SIMPLEX, {}),
    ("poly_cross_entropy", "where"): (MASK, {}),
    ("proxy_nca", "proxy"): (Example(shape=("C", "D")), {}),
    ("ranking_softmax", "labels"): (_POSITIVE, {}),
    ("ranking_softmax", "weights"): (_POSITIVE, {}),
    ("ranking_softmax", "where"): (MASK, {}),
    ("siglip", "image"): (MATRIX, {}),
    ("siglip", "text"): (MATRIX, {}),
    ("sigmoid_focal", "labels"): (UNIT, {}),
    ("sinkhorn", "cost"): (Example(shape=("N", "A", "B"), values="positive"), {}),
    ("sinkhorn", "source"): (Example(shape=("N", "A"), values="simplex"), {}),
    ("sinkhorn", "target"): (Example(shape=("N", "B"), values="simplex"), {}),
    ("smooth_labels", "labels"): (SIMPLEX, {}),
    ("smooth_labels", "where"): (MASK, {}),
    ("softmax_focal", "alpha"): (Example(shape=("C",), values="positive"), {}),
    ("softmax_focal", "label"): (LABELS, {}),
    ("sparsemax", "labels"): (LABELS, {}),
    ("squared_log", "pred"): (_POSITIVE, {}),
    ("squared_log", "target"): (_POSITIVE, {}),
    ("student_t_nll", "degrees"): (_POSITIVE, {}),
    ("student_t_nll", "scale"): (_POSITIVE, {}),
    ("symmetric_cross_entropy", "label"): (LABELS, {}),
    ("tweedie_deviance", "mean"): (_POSITIVE, {}),
    ("tweedie_deviance", "target"): (_POSITIVE, {}),
    ("wasserstein_1d", "x"): (Example(shape=("N", "A")), {}),
    ("wasserstein_1d", "x_weight"): (Example(shape=("N", "A"), values="positive"), {}),
    ("wasserstein_1d", "y"): (Example(shape=("N", "B")), {}),
    ("wasserstein_1d", "y_weight"): (Example(shape=("N", "B"), values="positive"), {}),
    ("wasserstein_histogram", "pred"): (SIMPLEX, {}),
    ("wasserstein_histogram", "target"): (SIMPLEX, {}),
    ("weibull_survival_nll", "event"): (_BINARY, {}),
    **{("weibull_survival_nll", name): (_POSITIVE, {}) for name in ("scale", "shape", "time")},
}  # fmt: skip
