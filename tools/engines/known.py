"""What engines are known to get wrong: defects of theirs that no model here can help.

Such a cell is shown, and does not make the whole fail. An entry stands for what it says only, so
that anything else which goes wrong with the same model is noticed.
"""

from __future__ import annotations

from typing import NamedTuple


class Known(NamedTuple):
    """A defect of an engine.

    Attributes:
        engine: its name.
        model: what the names of the models concerned have in them.
        says: what the message of the cell has in it.
        why: the cause.
    """

    engine: str
    model: str
    says: str
    why: str


KNOWN = (
    Known(
        "onnx.reference",
        "gluon.CTCLoss, logits of 1e4",
        "loss[0] is 0 instead of",
        "its LogSoftmax is the logarithm of a Softmax, so -inf 104 below the largest logit",
    ),
    Known(
        "openvino",
        "CTCLoss, empty axes, static",
        "the process ended with -8",
        "it divides by zero when it compiles a Gather whose indices are none by their static type",
    ),
)


def cause(engine: str, model: str, said: str) -> str:
    """Why an engine says something about a model, empty if that is not known."""
    return next(
        (
            each.why
            for each in KNOWN
            if each.engine == engine and each.model in model and each.says in said
        ),
        "",
    )
