"""Plausible inputs of the losses of ``torch.nn``."""

from __future__ import annotations

from .example import Example, Table

TABLE: Table = {
    ("CTCLoss", "input_lengths"): (Example("int64", ("N",)), {}),
    ("CTCLoss", "log_probs"): (Example(shape=("T", "N", "C"), values="log_simplex"), {}),
    ("CTCLoss", "target_lengths"): (Example("int64", ("N",)), {}),
    ("CTCLoss", "targets"): (Example("int64", ("N", "L"), "class"), {}),
}  # fmt: skip
