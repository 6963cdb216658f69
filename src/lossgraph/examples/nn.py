"""Plausible inputs of the losses of ``torch.nn``."""

from __future__ import annotations

from .example import MATRIX, Example, Table

TABLE: Table = {
    ("CTCLoss", "input_lengths"): (Example("int64", ("N",)), {}),
    ("CTCLoss", "log_probs"): (Example(shape=("T", "N", "C"), values="log_simplex"), {}),
    ("CTCLoss", "target_lengths"): (Example("int64", ("N",)), {}),
    ("CTCLoss", "targets"): (Example("int64", ("N", "L"), "class"), {}),
    ("LinearCrossEntropyLoss", "input"): (MATRIX, {}),
    ("LinearCrossEntropyLoss", "linear_bias"): (Example(shape=("C",)), {}),
    ("LinearCrossEntropyLoss", "linear_weight"): (Example(shape=("C", "D")), {}),
    ("LinearCrossEntropyLoss", "target"): (Example("int64", ("N",), "class"), {}),
    ("LinearCrossEntropyLoss", "weight"): (Example(shape=("C",), values="positive"), {}),
}  # fmt: skip
