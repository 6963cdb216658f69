"""Plausible inputs of the losses of ``mxnet.gluon.loss``."""

from __future__ import annotations

from .example import LENGTHS, MATRIX, SIGNS, Example, Table

TABLE: Table = {
    ("CTCLoss", "label"): (
        Example("int64", ("N", "L"), "class"),
        {("label_layout", "TN"): Example("int64", ("L", "N"), "class")},
    ),
    ("CTCLoss", "label_lengths"): (LENGTHS, {}),
    ("CTCLoss", "pred"): (
        Example(shape=("N", "T", "C")), {("layout", "TNC"): Example(shape=("T", "N", "C"))}
    ),
    ("CTCLoss", "pred_lengths"): (LENGTHS, {}),
    ("CosineEmbeddingLoss", "input1"): (MATRIX, {}),
    ("CosineEmbeddingLoss", "input2"): (MATRIX, {}),
    ("CosineEmbeddingLoss", "label"): (Example(shape=("N",), values="sign"), {}),
    ("HingeLoss", "label"): (SIGNS, {}),
    ("KLDivLoss", "label"): (Example(values="simplex"), {}),
    ("KLDivLoss", "pred"): (
        Example(values="log_simplex"), {("from_logits", False): Example()}
    ),
    ("LogisticLoss", "label"): (
        SIGNS, {("label_format", "binary"): Example(values="unit")}
    ),
    ("PoissonNLLLoss", "pred"): (
        Example(), {("from_logits", False): Example(values="positive")}
    ),
    ("PoissonNLLLoss", "target"): (Example(values="count"), {}),
    ("SDMLLoss", "x1"): (MATRIX, {}),
    ("SDMLLoss", "x2"): (MATRIX, {}),
    ("SigmoidBinaryCrossEntropyLoss", "label"): (Example(values="unit"), {}),
    ("SigmoidBinaryCrossEntropyLoss", "pos_weight"): (
        Example(shape=("C",), values="positive"), {}
    ),
    ("SigmoidBinaryCrossEntropyLoss", "pred"): (
        Example(), {("from_sigmoid", True): Example(values="unit")}
    ),
    ("SoftmaxCrossEntropyLoss", "label"): (
        Example("int64", ("N",)), {("sparse_label", False): Example(values="simplex")}
    ),
    ("SoftmaxCrossEntropyLoss", "pred"): (
        Example(), {("from_logits", True): Example(values="log_simplex")}
    ),
    ("SquaredHingeLoss", "label"): (SIGNS, {}),
}  # fmt: skip
