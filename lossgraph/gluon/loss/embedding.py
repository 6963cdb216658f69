"""Gluon's losses of vectors and of the distances between them."""

from __future__ import annotations

from typing import Any

from ...authoring.annotations import Label
from ...authoring.options import number, require_above, require_below
from ...authoring.shapes import require_same, require_size, shown
from ...authoring.weighting import weigh
from ...errors import InputError
from ...losses import embedding
from ...symbolic.symbol import same_size
from .base import Loss, _apply_weighting, matched


class TripletLoss(Loss):
    r"""An anchor closer to its positive than to its negative, by a margin.

    .. math:: \ell = w \max(0, \|x - x^+\|^2 - \|x - x^-\|^2 + m)

    Sums over the features. Inputs: ``pred``, any shape; ``positive``, ``negative``, as many
    elements. Value: (N,).

    Args:
        margin: by how much the negative must be further than the positive, as a squared distance.
        weight: a number that multiplies the loss, or None.
        batch_axis: the axis of samples, which is not averaged over.
        **kwargs: Gluon's ``prefix`` and ``params``, which have no effect.
    """

    def __init__(
        self, margin: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = number("margin", margin)

    def hybrid_forward(self, F: Any, pred: Any, positive: Any, negative: Any) -> Any:
        positive = matched(F, "positive", positive, "pred", pred)
        negative = matched(F, "negative", negative, "pred", pred)
        loss = embedding.triplet(F, pred, positive, negative, self._margin, self._batch_axis)
        return self._weigh(F, loss)


class CosineEmbeddingLoss(Loss):
    r"""The angle between two vectors, small for pairs labelled 1, wide for those labelled -1.

    .. math:: \ell = w \begin{cases} 1 - \cos(x_1, x_2) & y = 1 \\
        \max(0, \cos(x_1, x_2) - m) & y = -1 \end{cases}

    Inputs: ``input1`` and ``input2``, vectors along the last axis, any shape; ``label``, one for
    each vector; ``sample_weight``. Value: one number for each vector, (N,) for (N, D), as Gluon
    documents (MXNet 1.9.1 itself gives (N, 1)).

    Args:
        weight: a number that multiplies the loss, or None.
        batch_axis: without effect: there is one number for each vector.
        margin: the largest cosine of vectors labelled -1 that costs nothing.
        **kwargs: Gluon's ``prefix`` and ``params``, which have no effect.
    """

    def __init__(
        self, weight: float | None = None, batch_axis: int = 0, margin: float = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = number("margin", margin)

    def hybrid_forward(
        self, F: Any, input1: Any, input2: Any, label: Label, sample_weight: Any = None
    ) -> Any:
        input1 = matched(F, "input1", input1, "input2", input2)
        similarity = embedding.cosine_similarity(F, input1, input2).reshape((-1, 1))
        column = label.reshape((-1, 1))
        if not same_size(column.shape[0], 1):
            require_size("label", label.shape, "the pairs of vectors", input2.shape[:-1])
        loss = embedding.cosine_embedding(F, similarity, column, self._margin)
        if sample_weight is not None:
            loss = weigh(F, loss, sample_weight, label)
        return _apply_weighting(F, F.reshape(loss, (-1,)), self._weight)


class SDMLLoss(Loss):
    r"""Smoothed deep metric learning: row i of ``x1`` belongs to row i of ``x2``.

    .. math:: \ell_i = w D_{KL}\left(s_i \,\|\, \operatorname{softmax}(-\|x_{1,i} - x_2\|^2)\right)

    ``s_i`` has ``1 - smoothing_parameter`` at i and shares the rest among the others. Inputs:
    ``x1``, ``x2``, both (N, D). Value: (N,).

    Args:
        smoothing_parameter: the share of the target distribution that the other rows have, at
            least 0 and below 1.
        weight: a number that multiplies the loss, or None.
        batch_axis: without effect: there is one number for each row.
        **kwargs: Gluon's ``prefix`` and ``params``, which have no effect.

    Source: Bonadiman, Kumar, Mittal (2019), arXiv:1905.12786.
    """

    def __init__(
        self,
        smoothing_parameter: float = 0.3,
        weight: float | None = 1.0,
        batch_axis: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self.smoothing_parameter = number("smoothing_parameter", smoothing_parameter)
        require_above("smoothing_parameter", self.smoothing_parameter, 0, closed=True)
        require_below("smoothing_parameter", self.smoothing_parameter, 1)

    def hybrid_forward(self, F: Any, x1: Any, x2: Any) -> Any:
        if len(x1.shape) != 2 or len(x2.shape) != 2:
            raise InputError(
                f"SDMLLoss takes x1 and x2 of shape (N, D), got {shown(x1.shape)} and "
                f"{shown(x2.shape)}"
            )
        require_same("x2", x2.shape, "x1", x1.shape)
        loss = embedding.smoothed_metric(F, x1, x2, self.smoothing_parameter)
        return self._weigh(F, loss)
