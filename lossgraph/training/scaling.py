"""Loss scaling: gradients of few bits kept within the range of their dtype."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..ir import ops
from ..ir.expr import Expr
from ..symbolic.arguments import is_real
from .gradients import is_finite
from .optimizers.options import Above, Count, check_fields


@dataclass(frozen=True)
class LossScale:
    """What the loss is multiplied by before it is differentiated, as ``torch.amp.GradScaler``.

    A step whose gradients are not all finite is skipped: parameters, what the optimizer keeps and
    the number of steps stay as they are, and the scale falls. After ``interval`` steps in a row
    without that it grows. The scale and the length of that row are parts of the state.

    Args:
        start: the scale in the beginning.
        growth: the factor by which it grows.
        backoff: the factor by which it falls.
        interval: the steps that it takes to grow.
    """

    start: Above = 65536.0
    growth: Above = 2.0
    backoff: Above = 0.5
    interval: Count = 2000

    def __post_init__(self) -> None:
        check_fields(self)

    def following(self, scale: Expr, steps: Expr, finite: Expr) -> tuple[Expr, Expr]:
        """The scale and the number of finite steps in a row after a step.

        Args:
            scale: the scale in the step.
            steps: the finite steps in a row before it.
            finite: whether its gradients are.
        """
        grown, longer = scale * self.growth, steps + 1
        grows = ops.equal(longer, self.interval)
        larger = ops.where(ops.logical_and(grows, is_finite(grown)), grown, scale)
        return (
            ops.where(finite, larger, scale * self.backoff),
            ops.where(ops.logical_and(finite, ops.logical_not(grows)), longer, 0),
        )


def as_loss_scale(scale: Any, precision: str | None = None) -> LossScale | None:
    """A scale as users give it, or what a precision needs; a number stays as it is.

    Raises:
        InputError: for anything else.
    """
    if scale is None:
        return LossScale() if precision == "float16" else None
    if isinstance(scale, LossScale):
        return scale
    if not is_real(scale):
        raise InputError(f"loss_scale: expected a number or a LossScale, got {scale!r}")
    return LossScale(scale, growth=1.0, backoff=1.0)
