"""Plausible inputs of the unreduced formulas of ``lossgraph.losses``."""

from __future__ import annotations

from .example import Condition, Example, Table

_CLASS = Example("int64", ("N",))
_ONE_EACH = Example(shape=("N",))
_POSITIVE = Example(values="positive")
_UNIT = Example(values="unit")
_BOXES = Example(shape=("N", 4), values="box")
_BINARY = Example(values="class")
_DISTRIBUTION: tuple[Example, dict[Condition, Example]] = (
    Example(values="simplex"), {("from_logits", True): Example()}
)  # fmt: skip

TABLE: Table = {
    ("absolute_percentage", "target"): (_POSITIVE, {}),
    **{(loss, name): (_BOXES, {}) for loss in ("ciou", "diou", "giou", "iou")
       for name in ("pred", "target")},
    ("cox_partial_likelihood", "event"): (Example(shape=("N",), values="class"), {}),
    ("cox_partial_likelihood", "log_risk"): (_ONE_EACH, {}),
    ("cox_partial_likelihood", "time"): (Example(shape=("N",), values="positive"), {}),
    **{(loss, name): _DISTRIBUTION for loss in ("cross_entropy", "jensen_shannon",
       "relative_entropy") for name in ("p", "q")},
    ("entropy", "p"): _DISTRIBUTION,
    ("focal_ctc", "input_lengths"): (_CLASS, {}),
    ("focal_ctc", "log_probs"): (Example(shape=("N", "T", "C"), values="log_simplex"), {}),
    ("focal_ctc", "target_lengths"): (_CLASS, {}),
    ("focal_ctc", "targets"): (Example("int64", ("N", "L"), "class"), {}),
    **{(loss, name): (example, {}) for loss in ("focal_tversky", "jaccard", "tversky")
       for name, example in (("label", _BINARY), ("prob", _UNIT))},
    **{("gamma_nll", name): (_POSITIVE, {}) for name in ("concentration", "rate", "target")},
    ("gaussian_crps", "scale"): (_POSITIVE, {}),
    ("gaussian_nll", "variance"): (_POSITIVE, {}),
    ("generalized_cross_entropy", "label"): (_CLASS, {}),
    ("laplace_nll", "scale"): (_POSITIVE, {}),
    ("lovasz_hinge", "label"): (_BINARY, {}),
    ("lovasz_softmax", "label"): (Example("int64", ("N", "T")), {}),
    ("lovasz_softmax", "prob"): (Example(shape=("N", "C", "T"), values="unit"), {}),
    ("mutual_information", "joint"): (
        Example(shape=("N", "C", "D"), values="simplex"),
        {("from_logits", True): Example(shape=("N", "C", "D"))},
    ),
    ("negative_binomial_nll", "mean"): (_POSITIVE, {}),
    ("negative_binomial_nll", "target"): (Example(values="count"), {}),
    ("negative_binomial_nll", "total_count"): (_POSITIVE, {}),
    ("softmax_focal", "alpha"): (Example(shape=("C",), values="positive"), {}),
    ("softmax_focal", "label"): (_CLASS, {}),
    ("squared_log", "pred"): (_POSITIVE, {}),
    ("squared_log", "target"): (_POSITIVE, {}),
    ("student_t_nll", "degrees"): (_POSITIVE, {}),
    ("student_t_nll", "scale"): (_POSITIVE, {}),
    ("symmetric_cross_entropy", "label"): (_CLASS, {}),
    ("tweedie_deviance", "mean"): (_POSITIVE, {}),
    ("tweedie_deviance", "target"): (_POSITIVE, {}),
    ("weibull_survival_nll", "event"): (_BINARY, {}),
    **{("weibull_survival_nll", name): (_POSITIVE, {}) for name in ("scale", "shape", "time")},
}  # fmt: skip
