"""``mxnet.autograd``: a loss is differentiated as a whole, so nothing is recorded."""

from __future__ import annotations

from typing import Any, NoReturn

from ...errors import InputError

__all__ = [
    "Function", "backward", "grad", "is_recording", "is_training", "mark_variables", "pause",
    "predict_mode", "record", "train_mode",
]  # fmt: skip


def is_recording() -> bool:
    """No: nothing is recorded."""
    return False


is_training = is_recording


def record(*args: Any, **kwargs: Any) -> NoReturn:
    """Refuse to record.

    Raises:
        InputError: saying what to do.
    """
    raise InputError(
        "autograd: nothing is recorded here: gradients come from loss.value_and_grad(..), "
        "lg.value_and_grad, or lg.grad inside a body; F.stop_gradient keeps one from flowing"
    )


pause = train_mode = predict_mode = backward = grad = mark_variables = record


class Function:
    """MXNet's base of functions with a gradient of their own, which may be subclassed only."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise InputError(
            f"{type(self).__name__}: a function with a gradient of its own is written with "
            "F.with_gradient(value, [x], [gradient]) inside hybrid_forward"
        )
