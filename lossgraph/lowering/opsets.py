"""The versions of ONNX's standard operators that models are made for, and what differs in them."""

from __future__ import annotations

from ..errors import InputError

# Inference servers lag: 18 is the first opset whose reductions take axes as inputs.
DEFAULT_OPSET = 18
MIN_OPSET, MAX_OPSET = 13, 26

_AXES_INPUT_SINCE = {"ReduceSum": 13}  # the other reductions follow in opset 18


def axes_are_input(operator: str, opset: int) -> bool:
    """Whether a reduction takes its axes as an input, and not as an attribute."""
    return opset >= _AXES_INPUT_SINCE.get(operator, 18)


def checked_opset(opset: int | None) -> int:
    """The opset that was asked for, or the default one.

    Raises:
        InputError: for an opset outside the range.
    """
    if opset is None:
        return DEFAULT_OPSET
    if not isinstance(opset, int) or not MIN_OPSET <= opset <= MAX_OPSET:
        raise InputError(f"opset {opset!r}: expected {MIN_OPSET} to {MAX_OPSET}")
    return opset
