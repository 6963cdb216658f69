"""Plausible inputs of the losses that belong to no framework."""

from __future__ import annotations

from .example import CLASS_SPACE, LABELS, MASK, MATRIX, SHARES, SIMPLEX, UNIT, Example, Table

TABLE: Table = {
    ("binary_sparsemax", "labels"): (Example("int64", values="class"), {}),
    ("dice", "class_weights"): (Example(shape=("C",), values="positive"), {}),
    ("dice", "predictions"): (CLASS_SPACE, {("from_logits", False): SHARES}),
    ("dice", "targets"): (SHARES, {}),
    ("fenchel_young", "targets"): (SIMPLEX, {}),
    ("generalized_dice", "predictions"): (CLASS_SPACE, {("from_logits", False): SHARES}),
    ("generalized_dice", "targets"): (SHARES, {}),
    ("multiclass_hinge", "labels"): (LABELS, {}),
    ("nt_xent", "embeddings"): (MATRIX, {}),
    ("nt_xent", "labels"): (Example("int64", ("N",), "class"), {}),
    ("poly_cross_entropy", "labels"): (SIMPLEX, {}),
    ("poly_cross_entropy", "where"): (MASK, {}),
    ("ranking_softmax", "labels"): (Example(values="positive"), {}),
    ("ranking_softmax", "weights"): (Example(values="positive"), {}),
    ("ranking_softmax", "where"): (MASK, {}),
    ("sigmoid_focal", "labels"): (UNIT, {}),
    ("smooth_labels", "labels"): (SIMPLEX, {}),
    ("smooth_labels", "where"): (MASK, {}),
    ("sparsemax", "labels"): (LABELS, {}),
}  # fmt: skip
