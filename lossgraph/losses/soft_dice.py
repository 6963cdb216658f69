"""Losses of overlap: predicted shares of classes against true ones, over space."""

from __future__ import annotations

from typing import Any

from ..authoring.shapes import require_rank_from
from ..symbolic.symbol import same_size
from .axes import Axis, axes_of, total, without

FREQUENCY_EPSILON = 1e-7  # of the weights of classes that are absent


def dice(
    F: Any,
    predictions: Any,
    targets: Any,
    class_weights: Any = None,
    smooth: float = 1.0,
    alpha: float = 0.5,
    beta: float = 0.5,
    from_logits: bool = True,
    ignore_background: bool = False,
    axis: Axis = None,
    ignore_index: int | None = None,
) -> Any:
    r"""What each class lacks of full overlap, with false positives and negatives weighed.

    .. math:: \ell_c = w_c \left(1 - \frac{I_c + s}{I_c + \alpha (P_c - I_c) +
        \beta (T_c - I_c) + s}\right), \quad I_c = \sum_i p_{ic} t_{ic}

    ``P`` and ``T`` are the sums of predictions and targets. Both (N, .., classes); the axes
    between go, or those of ``axis``. Logits become shares by a softmax over the classes, by a
    sigmoid if there is but one. ``ignore_background`` leaves out the first of several classes.
    ``class_weights`` has the w, one for each class. Where a target is ``ignore_index`` (in all
    classes of a pixel, say), it and its prediction are left out.

    Source: Milletari, Navab, Ahmadi (2016), arXiv:1606.04797; Salehi et al. (2017),
    arXiv:1706.05721.
    """
    require_rank_from("predictions", predictions.shape, 1)
    rank, classes = len(predictions.shape), predictions.shape[-1]
    shares = shares_of(F, predictions) if from_logits else predictions
    targets, shares = without(F, targets, ignore_index, shares)
    axes = tuple(range(1, rank - 1)) if axis is None else axes_of(axis, rank)
    overlap, predicted, true = (total(F, x, axes) for x in (shares * targets, shares, targets))
    union = overlap + alpha * (predicted - overlap) + beta * (true - overlap) + smooth
    loss = 1 - (overlap + smooth) / union
    if class_weights is not None:
        loss = loss * class_weights
    if ignore_background and not same_size(classes, 1):
        loss = F.slice_axis(loss, axis=len(loss.shape) - 1, begin=1, end=None)
    return loss


def shares_of(F: Any, logits: Any) -> Any:
    """Probabilities of classes along the last axis; of one class against none.

    A share above a half is what the others leave: the gradient where a class is nearly sure keeps
    its digits.
    """
    if same_size(logits.shape[-1], 1):
        return F.sigmoid(logits)
    shares = F.softmax(logits, axis=-1)
    major = F.stop_gradient(shares > 0.5)
    minor = shares * (1 - major)
    return minor + major * (1 - F.sum(minor, axis=-1, keepdims=True))


def generalized_dice(
    F: Any,
    predictions: Any,
    targets: Any,
    smooth: float = 1.0,
    from_logits: bool = True,
    ignore_background: bool = False,
    ignore_index: int | None = None,
) -> Any:
    r"""The loss of overlap with weights that make rare classes count as much as frequent ones.

    .. math:: \ell_c = w_c \left(1 - \frac{2 I_c + 2 s}{P_c + T_c + 2 s}\right), \quad
        w_c \propto \frac{1}{f_c^2 + 10^{-7}}

    ``f`` are the sums of the targets over all else than classes; the mean of the weights is 1.
    Predictions, targets (N, .., classes). Value: (N, classes). Targets of
    ``ignore_index`` are left out as by ``dice``.

    Source: Sudre et al. (2017), arXiv:1707.03237.
    """
    require_rank_from("targets", targets.shape, 1)
    rank = len(targets.shape)
    (known,) = without(F, targets, ignore_index)
    frequency = total(F, known, tuple(range(rank - 1)))
    weights = 1 / (F.square(frequency) + FREQUENCY_EPSILON)
    weights = weights / F.sum(weights) * targets.shape[-1]
    return dice(
        F, predictions, targets, weights, smooth,
        from_logits=from_logits, ignore_background=ignore_background, ignore_index=ignore_index,
    )  # fmt: skip


def with_classes(F: Any, predictions: Any, targets: Any) -> tuple[Any, Any]:
    """Predictions and targets with a class axis, which is added to the one that lacks it."""
    gap = len(predictions.shape) - len(targets.shape)
    if gap == -1:
        predictions = F.expand_dims(predictions, axis=len(predictions.shape))
    if gap == 1:
        targets = F.expand_dims(targets, axis=len(targets.shape))
    return predictions, targets
