"""Plausible inputs of the losses of ``torch.nn``."""

from __future__ import annotations

from collections.abc import Mapping

from .example import EVENTS, LENGTHS, MATRIX, SIGNS, Example, Table

CLASSES = Example("int64", ("N",), "class")  # those that may be ignored no graph says the range of
PER_CLASS = Example(shape=("C",), values="positive")
LOG_PROBS = Example(values="log_simplex")
UNIT = Example(values="unit")

OPTIONS: Mapping[str, Mapping[str, object]] = {
    "AdaptiveLogSoftmaxWithLoss": {"in_features": 16, "n_classes": 10, "cutoffs": (4,)},
}
TABLE: Table = {
    ("AdaptiveLogSoftmaxWithLoss", "input"): (Example(shape=("N", 16)), {}),
    ("AdaptiveLogSoftmaxWithLoss", "target"): (CLASSES, {}),
    ("BCELoss", "input"): (UNIT, {}),
    ("BCELoss", "target"): (UNIT, {}),
    ("BCELoss", "weight"): (PER_CLASS, {}),
    ("BCEWithLogitsLoss", "pos_weight"): (PER_CLASS, {}),
    ("BCEWithLogitsLoss", "target"): (UNIT, {}),
    ("BCEWithLogitsLoss", "weight"): (PER_CLASS, {}),
    ("CTCLoss", "input_lengths"): (LENGTHS, {}),
    ("CTCLoss", "log_probs"): (Example(shape=("T", "N", "C"), values="log_simplex"), {}),
    ("CTCLoss", "target_lengths"): (LENGTHS, {}),
    ("CTCLoss", "targets"): (EVENTS, {}),
    ("CosineEmbeddingLoss", "input1"): (MATRIX, {}),
    ("CosineEmbeddingLoss", "input2"): (MATRIX, {}),
    ("CosineEmbeddingLoss", "target"): (Example(shape=("N",), values="sign"), {}),
    ("CrossEntropyLoss", "target"): (CLASSES, {}),
    ("CrossEntropyLoss", "weight"): (PER_CLASS, {}),
    ("GaussianNLLLoss", "var"): (Example(values="positive"), {}),
    ("HingeEmbeddingLoss", "target"): (SIGNS, {}),
    ("KLDivLoss", "input"): (LOG_PROBS, {}),
    ("KLDivLoss", "target"): (Example(values="simplex"), {("log_target", True): LOG_PROBS}),
    ("LinearCrossEntropyLoss", "input"): (MATRIX, {}),
    ("LinearCrossEntropyLoss", "linear_bias"): (Example(shape=("C",)), {}),
    ("LinearCrossEntropyLoss", "linear_weight"): (Example(shape=("C", "D")), {}),
    ("LinearCrossEntropyLoss", "target"): (Example("int64", ("N",), "class"), {}),
    ("LinearCrossEntropyLoss", "weight"): (Example(shape=("C",), values="positive"), {}),
    ("MarginRankingLoss", "target"): (SIGNS, {}),
    ("MultiLabelMarginLoss", "target"): (Example("int64", ("N", "C"), "class"), {}),
    ("MultiLabelSoftMarginLoss", "target"): (UNIT, {}),
    ("MultiLabelSoftMarginLoss", "weight"): (PER_CLASS, {}),
    ("MultiMarginLoss", "target"): (CLASSES, {}),
    ("MultiMarginLoss", "weight"): (PER_CLASS, {}),
    ("NLLLoss", "input"): (LOG_PROBS, {}),
    ("NLLLoss", "target"): (CLASSES, {}),
    ("NLLLoss", "weight"): (PER_CLASS, {}),
    ("PoissonNLLLoss", "input"): (
        Example(), {("log_input", False): Example(values="positive")}
    ),
    ("PoissonNLLLoss", "target"): (Example(values="count"), {}),
    ("SoftMarginLoss", "target"): (SIGNS, {}),
    ("TripletMarginLoss", "anchor"): (MATRIX, {}),
    ("TripletMarginLoss", "negative"): (MATRIX, {}),
    ("TripletMarginLoss", "positive"): (MATRIX, {}),
    ("TripletMarginWithDistanceLoss", "anchor"): (MATRIX, {}),
    ("TripletMarginWithDistanceLoss", "negative"): (MATRIX, {}),
    ("TripletMarginWithDistanceLoss", "positive"): (MATRIX, {}),
}  # fmt: skip
