"""What Gluon's losses share: weights, and the mean over every axis but that of the samples."""

from __future__ import annotations

from typing import Any

from ...authoring.options import integer, number
from ...authoring.shapes import require_size
from ...authoring.weighting import weigh
from ...symbolic.arguments import is_int
from ..block import HybridBlock


def _apply_weighting(
    F: Any, loss: Any, weight: float | None = None, sample_weight: Any = None
) -> Any:
    """Gluon's helper: the loss times a sample weight, times a number."""
    if sample_weight is not None:
        loss = weigh(F, loss, sample_weight)
    return loss if weight is None else loss * weight


def _reshape_like(F: Any, x: Any, y: Any) -> Any:
    """Gluon's helper: ``x`` in the shape of ``y``."""
    return F.reshape_like(x, y)


def matched(F: Any, name: str, x: Any, like_name: str, like: Any, hint: str = "") -> Any:
    """``x`` in the shape of ``like``, which has as many elements, or an error that names both."""
    require_size(name, x.shape, like_name, like.shape, hint)
    return F.reshape_like(x, like)


def truncated(F: Any, label: Any) -> Any:
    """Class labels as MXNet reads them: fractions are cut off, towards zero."""
    return F.fix(label) if label.dtype.kind == "f" else label


class Loss(HybridBlock):
    """Base of the losses: subclass it and write ``hybrid_forward(self, F, pred, label, ..)``.

    Args:
        weight: a number that multiplies the loss, or None.
        batch_axis: the axis of samples.
        **kwargs: Gluon's ``prefix`` and ``params``.
    """

    def __init__(self, weight: float | None, batch_axis: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if is_int(weight) and (batch_axis is None or isinstance(batch_axis, float)):
            # public losses pass the two in the wrong order, and use neither: MXNet keeps both
            self._weight, self._batch_axis = weight, batch_axis
            return
        self._weight = number("weight", weight, optional=True)
        self._batch_axis = integer("batch_axis", batch_axis)

    def _average(self, F: Any, loss: Any, sample_weight: Any = None, label: Any = None) -> Any:
        """Weigh, then average over every axis but the batch's."""
        return F.mean(self._weigh(F, loss, sample_weight, label), self._batch_axis, exclude=True)

    def _weigh(self, F: Any, loss: Any, sample_weight: Any = None, label: Any = None) -> Any:
        """The loss times the sample weight, which may have the label's shape, times ``weight``."""
        if sample_weight is not None:
            loss = weigh(F, loss, sample_weight, label, self._batch_axis)
        return _apply_weighting(F, loss, self._weight)
