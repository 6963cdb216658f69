"""All checks of a loss at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..symbolic.arguments import checked
from .dtypes import check_dtypes
from .edge_cases import check_extremes
from .gradients import gradcheck
from .report import Report
from .shapes import check_shapes
from .subjects import loss_of


@checked
def check(
    loss: Any,
    inputs: Mapping[str, Any] | None = None,
    wrt: Sequence[str] | None = None,
    *,
    independent: bool | None = None,
    seed: int = 0,
) -> Report:
    """All checks: ``gradcheck``, ``check_dtypes``, ``check_extremes``, ``check_shapes``.

    Args:
        loss: a loss, or a function of F.
        inputs: an array for each input, or its ``(dtype, shape)``; the example of a loss of the
            catalogue if there are none.
        wrt: the inputs to differentiate by; the predictions by default.
        independent: as for ``check_shapes``.
        seed: of drawn inputs.

    Raises:
        AssertionError: of the first check that fails.
    """
    block = loss_of(loss)
    return (
        gradcheck(block, inputs, wrt, seed=seed)
        + check_dtypes(block, inputs, wrt, seed=seed)
        + check_extremes(block, inputs, wrt, seed=seed)
        + check_shapes(block, inputs, wrt, independent=independent, seed=seed)
    )
