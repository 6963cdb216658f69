"""The losses that are tried without being asked: a line each.

A line says the loss and its options, the types of its inputs, and the sizes of which the one
model is run with data. Of what is said once in a family of lines, there is a base to replace in.
"""

from __future__ import annotations

from dataclasses import replace

from .cases import ROUNDED, Case
from .ctc import impossible, of_ten_thousand, ordinary, with_logits

SIZES = (
    {"N": 4, "T": 6, "C": 5, "L": 2},
    {"N": 5, "T": 7, "C": 4, "L": 3},
    {"N": 3, "T": 3, "C": 6, "L": 3},  # too short for a label that repeats a class
)
LONG = (
    {"N": 4, "T": 60, "C": 5, "L": 12},
    {"N": 4, "T": 1, "C": 3, "L": 1},
    {"N": 3, "T": 41, "C": 4, "L": 20},
)
EMPTY = (
    {"N": 2, "T": 3, "C": 4, "L": 0},
    {"N": 0, "T": 3, "C": 4, "L": 2},
    {"N": 4, "T": 2, "C": 4, "L": 1},
)

_PRED = ("float32", ("N", "T", "C"))
_LABEL = ("int64", ("N", "L"))
_GLUON = Case(
    "gluon.CTCLoss, no lengths",
    "gluon.CTCLoss",
    {"pred": _PRED, "label": _LABEL},
    SIZES,
    data=with_logits(ordinary),
    apart="N",
)
_GLUON_LENGTHS = replace(
    _GLUON,
    types={**_GLUON.types, "pred_lengths": ("int64", ("N",)), "label_lengths": ("int64", ("N",))},
)
_NN = Case(
    "nn.CTCLoss",
    "nn.CTCLoss",
    {
        "log_probs": ("float32", ("T", "N", "C")),
        "targets": _LABEL,
        "input_lengths": ("int64", ("N",)),
        "target_lengths": ("int64", ("N",)),
    },
    SIZES,
    {"reduction": "none"},
    data=with_logits(ordinary),
    apart="N",
)

CASES = (
    _GLUON,
    replace(_GLUON_LENGTHS, name="gluon.CTCLoss, lengths"),
    replace(
        _GLUON_LENGTHS,
        name="gluon.CTCLoss, TNC, TN, int32, weights",
        options={"layout": "TNC", "label_layout": "TN", "weight": 2.0},
        types={
            "pred": ("float32", ("T", "N", "C")),
            "label": ("int32", ("L", "N")),
            "pred_lengths": ("int32", ("N",)),
            "label_lengths": ("int32", ("N",)),
            "sample_weight": ("float32", ("N",)),
        },
        grad=("pred", "sample_weight"),
    ),
    replace(_GLUON_LENGTHS, name="gluon.CTCLoss, T of 1 to 60", sizes=LONG),
    replace(
        _GLUON_LENGTHS,
        name="gluon.CTCLoss, logits of 1e4",
        data=with_logits(of_ten_thousand),
        tolerance=ROUNDED,
    ),
    replace(_GLUON, name="gluon.CTCLoss, a class at -inf", data=with_logits(impossible)),
    replace(_GLUON_LENGTHS, name="gluon.CTCLoss, empty axes", sizes=EMPTY),
    replace(_NN, name="nn.CTCLoss, none"),
    replace(
        _NN,
        name="nn.CTCLoss, mean, zero_infinity, blank 2",
        options={"blank": 2, "zero_infinity": True},
        apart="",
    ),
    replace(_NN, name="nn.CTCLoss, T of 1 to 60", sizes=LONG),
    replace(
        _NN, name="nn.CTCLoss, logits of 1e4", data=with_logits(of_ten_thousand), tolerance=ROUNDED
    ),
    replace(
        _NN,
        name="nn.CTCLoss, sum, targets together",
        options={"reduction": "sum", "zero_infinity": True},
        types={**_NN.types, "targets": ("int64", ("S",))},
        apart="",
    ),
    replace(
        _NN,
        name="nn.CTCLoss, no batch",
        types={
            "log_probs": ("float32", ("T", "C")),
            "targets": ("int64", ("L",)),
            "input_lengths": ("int64", ()),
            "target_lengths": ("int64", ()),
        },
        options={},
        apart="",
    ),
)  # fmt: skip
