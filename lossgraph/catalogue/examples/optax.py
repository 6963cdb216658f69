"""Plausible inputs of the losses of ``optax``."""

from __future__ import annotations

from .example import (
    CLASS_SPACE,
    EVENTS,
    GROUPS,
    LABELS,
    LOG_SIMPLEX,
    MASK,
    MATRIX,
    SHARES,
    SIGNS,
    SIMPLEX,
    UNIT,
    Example,
    Table,
)

_LABEL_PADDINGS = Example(shape=("N", "L"), values="zero")
_LOGIT_PADDINGS = Example(shape=("N", "T"), values="zero")

TABLE: Table = {
    ("binary_dice_loss", "predictions"): (Example(), {("apply_sigmoid", False): UNIT}),
    ("binary_dice_loss", "targets"): (UNIT, {}),
    ("convex_kl_divergence", "log_predictions"): (LOG_SIMPLEX, {}),
    ("convex_kl_divergence", "targets"): (SIMPLEX, {}),
    ("convex_kl_divergence", "where"): (MASK, {}),
    ("cosine_distance", "where"): (MASK, {}),
    ("cosine_similarity", "where"): (MASK, {}),
    ("ctc_loss", "label_paddings"): (_LABEL_PADDINGS, {}),
    ("ctc_loss", "labels"): (EVENTS, {}),
    ("ctc_loss", "logit_paddings"): (_LOGIT_PADDINGS, {}),
    ("ctc_loss", "logits"): (Example(shape=("N", "T", "C")), {}),
    # States that cannot be reached have scores near -1e5, which in float32 have no digits left.
    ("ctc_loss_with_forward_probs", "label_paddings"): (
        Example("float64", ("N", "L"), "zero"), {}
    ),
    ("ctc_loss_with_forward_probs", "labels"): (EVENTS, {}),
    ("ctc_loss_with_forward_probs", "logit_paddings"): (
        Example("float64", ("N", "T"), "zero"), {}
    ),
    ("ctc_loss_with_forward_probs", "logits"): (Example("float64", ("N", "T", "C")), {}),
    ("dice_loss", "class_weights"): (Example(shape=("C",), values="positive"), {}),
    ("dice_loss", "predictions"): (CLASS_SPACE, {("apply_softmax", False): SHARES}),
    ("dice_loss", "targets"): (SHARES, {}),
    ("generalized_kl_divergence", "log_predictions"): (LOG_SIMPLEX, {}),
    ("generalized_kl_divergence", "targets"): (SIMPLEX, {}),
    ("generalized_kl_divergence", "where"): (MASK, {}),
    ("hinge_loss", "targets"): (SIGNS, {}),
    ("kl_divergence", "log_predictions"): (LOG_SIMPLEX, {}),
    ("kl_divergence", "targets"): (SIMPLEX, {}),
    ("kl_divergence", "where"): (MASK, {}),
    ("kl_divergence_with_log_targets", "log_predictions"): (LOG_SIMPLEX, {}),
    ("kl_divergence_with_log_targets", "log_targets"): (LOG_SIMPLEX, {}),
    ("kl_divergence_with_log_targets", "where"): (MASK, {}),
    ("make_fenchel_young_loss", "targets"): (SIMPLEX, {}),
    ("multiclass_generalized_dice_loss", "predictions"): (
        CLASS_SPACE, {("apply_softmax", False): SHARES}
    ),
    ("multiclass_generalized_dice_loss", "targets"): (SHARES, {}),
    ("multiclass_hinge_loss", "labels"): (LABELS, {}),
    ("multiclass_perceptron_loss", "labels"): (LABELS, {}),
    ("multiclass_sparsemax_loss", "labels"): (LABELS, {}),
    ("ntxent", "embeddings"): (MATRIX, {}),
    ("ntxent", "labels"): (GROUPS, {}),
    ("perceptron_loss", "targets"): (SIGNS, {}),
    ("poly_loss_cross_entropy", "labels"): (SIMPLEX, {}),
    ("poly_loss_cross_entropy", "where"): (MASK, {}),
    ("ranking_softmax_loss", "labels"): (Example(values="positive"), {}),
    ("ranking_softmax_loss", "weights"): (Example(values="positive"), {}),
    ("ranking_softmax_loss", "where"): (MASK, {}),
    ("safe_softmax_cross_entropy", "labels"): (SIMPLEX, {}),
    ("sigmoid_binary_cross_entropy", "labels"): (UNIT, {}),
    ("sigmoid_focal_loss", "labels"): (UNIT, {}),
    ("smooth_labels", "labels"): (SIMPLEX, {}),
    ("smooth_labels", "where"): (MASK, {}),
    ("softmax_cross_entropy", "labels"): (SIMPLEX, {}),
    ("softmax_cross_entropy", "where"): (MASK, {}),
    ("softmax_cross_entropy_with_integer_labels", "labels"): (LABELS, {}),
    ("softmax_cross_entropy_with_integer_labels", "where"): (MASK, {}),
    ("sparsemax_loss", "labels"): (Example("int64", values="class"), {}),
}  # fmt: skip
