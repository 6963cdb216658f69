"""What engines are known to get wrong: defects of theirs that no model here can help.

Such a cell is shown, and does not make the whole fail. An entry stands for what it says only, so
that anything else which goes wrong with the same model is noticed.
"""

from __future__ import annotations

from typing import NamedTuple

# Engines that are run as far as they get: what they refuse or get wrong is shown and fails nothing.
TRIED = ("iree",)


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


_MEMORY = (
    "it plans the memory of a Scan at the first run, and the second one is wrong: "
    "`enable_mem_pattern = False` in the session's options helps"
)
_TIES = "its TopK takes equal numbers in any order, where ONNX says the first one first"
_STACKED = (
    "of what a Scan stacks along dims that have names it keeps one element; right with --static"
)
_UNBOUNDED = "it finds no place for arrays whose dims have names; right with --static"
_STATES = "it takes the state of a Scan for what its first value is, and not for what its body says"
_NOTHING = "its sum over no elements has no element, where it ought to be 0"

KNOWN = (
    Known(
        "openvino",
        "CTCLoss, empty axes, static",
        "the process ended with -8",
        "it divides by zero when it compiles a Gather whose indices are none by their static type",
    ),
    Known(
        "openvino",
        "",
        "Input shape dimension equal 0 cannot be broadcasted (numpy mode) to 1",
        "it moves an Expand behind the arithmetic that follows, and then takes the larger one of "
        "a length of 0 and a 1 that is broadcast",
    ),
    Known("openvino", "losses.lovasz_hinge training", "edge cases: grad_logits", _TIES),
    Known("openvino", "losses.lovasz_softmax training", "edge cases: grad_prob", _TIES),
    Known("openvino", "losses.wasserstein_1d training", "edge cases: grad_", _TIES),
    Known("iree", "CTC", "mismatching contracting dimension", _STACKED),
    Known("iree", "losses.focal_ctc", "mismatching contracting dimension", _STACKED),
    Known("iree", "gluon.CTCLoss, empty axes", "grad_pred", _STACKED),
    Known("iree", "losses.sinkhorn", "grad_cost", _STACKED),
    Known("iree", "", "expected no unbounded stack allocations", _UNBOUNDED),
    Known("iree", "CTC", "'torch.prim.Loop' op along control flow edge", _STATES),
    Known("onnxruntime-1.16", "", "N=0: ", _NOTHING),
    Known("onnxruntime-1.16", "CTCLoss, empty axes", "L=0: ", _NOTHING),
    Known("onnxruntime-1.16", "losses.sinkhorn training", "", _MEMORY),
    Known("onnxruntime-1.16", "optax.ctc_loss training", "", _MEMORY),
    Known("onnxruntime-1.16", "optax.ctc_loss_with_forward_probs training", "", _MEMORY),
    Known("onnxruntime-1.16", "nn.LinearCrossEntropyLoss", "", _MEMORY),
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
