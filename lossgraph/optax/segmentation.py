"""optax's losses of overlap, and CTC; the mathematics is in ``losses``."""

from __future__ import annotations

from typing import Any

from ..authoring.options import integer, one_of
from ..authoring.reductions import REDUCTIONS
from ..authoring.shapes import require_same
from ..errors import InputError
from ..losses import ctc_forward, soft_dice
from ..losses.axes import Axis
from ..symbolic.symbol import same_size


def dice_loss(
    F: Any,
    predictions: Any,
    targets: Any,
    *,
    class_weights: Any = None,
    smooth: float = 1.0,
    alpha: float = 0.5,
    beta: float = 0.5,
    apply_softmax: bool = True,
    reduction: str = "mean",
    ignore_background: bool = False,
    axis: Axis = None,
) -> Any:
    r"""What each class lacks of full overlap, with false positives and negatives weighed.

    .. math:: \ell_c = w_c \left(1 - \frac{I_c + s}{I_c + \alpha (P_c - I_c) +
        \beta (T_c - I_c) + s}\right), \quad I_c = \sum_i p_{ic} t_{ic}

    Predictions, logits or (``apply_softmax=False``) probabilities, and targets (N, .., classes),
    one of which may be without the classes where there is one; ``class_weights`` (classes,).
    Value: (N,), or (N, classes) with ``reduction="none"``; ``axis`` sums over other axes.

    Source: Milletari, Navab, Ahmadi (2016), arXiv:1606.04797.
    """
    one_of("reduction", reduction, REDUCTIONS)
    predictions, targets = soft_dice.with_classes(F, predictions, targets)
    require_same("targets", targets.shape, "predictions", predictions.shape)
    loss = soft_dice.dice(
        F, predictions, targets, class_weights, smooth, alpha, beta,
        apply_softmax, ignore_background, axis,
    )  # fmt: skip
    return loss if reduction == "none" else _over_classes(F, loss, reduction)


def _over_classes(F: Any, loss: Any, reduction: str) -> Any:
    reduced = F.mean(loss, axis=-1) if reduction == "mean" else F.sum(loss, axis=-1)
    return F.scalar(reduced) if len(loss.shape) == 1 else reduced


def multiclass_generalized_dice_loss(
    F: Any,
    predictions: Any,
    targets: Any,
    *,
    smooth: float = 1.0,
    apply_softmax: bool = True,
    ignore_background: bool = False,
) -> Any:
    r"""The mean loss of overlap with weights that make rare classes count as much as frequent ones.

    .. math:: \ell_c = w_c \left(1 - \frac{2 I_c + 2 s}{P_c + T_c + 2 s}\right), \quad
        w_c \propto \frac{1}{f_c^2 + 10^{-7}}

    Predictions and targets (N, .., classes). Value: (), the mean over samples and classes.

    Source: Sudre et al. (2017), arXiv:1707.03237.
    """
    require_same("targets", targets.shape, "predictions", predictions.shape)
    loss = soft_dice.generalized_dice(
        F, predictions, targets, smooth, apply_softmax, ignore_background
    )
    return F.scalar(F.mean(loss))


def binary_dice_loss(
    F: Any, predictions: Any, targets: Any, *, smooth: float = 1.0, apply_sigmoid: bool = True
) -> Any:
    r"""What one class lacks of full overlap.

    .. math:: \ell = 1 - \frac{2 I + 2 s}{P + T + 2 s}, \quad I = \sum_i p_i t_i

    Predictions, logits or (``apply_sigmoid=False``) probabilities, and targets (N, ..) or
    (N, .., 1). Value: (N,).

    Source: Milletari, Navab, Ahmadi (2016), arXiv:1606.04797.
    """
    alike = len(predictions.shape) == len(targets.shape)
    if alike and not same_size(predictions.shape[-1], 1):
        predictions, targets = (F.expand_dims(x, axis=len(x.shape)) for x in (predictions, targets))
    return dice_loss(F, predictions, targets, smooth=smooth, apply_softmax=apply_sigmoid)


def ctc_loss(
    F: Any,
    logits: Any,
    logit_paddings: Any,
    labels: Any,
    label_paddings: Any,
    *,
    blank_id: int = 0,
    log_epsilon: float = -1e5,
) -> Any:
    r"""Connectionist temporal classification: labels against unaligned steps.

    .. math:: \ell = -\log \sum_{\pi : B(\pi) = y} \prod_t p_t(\pi_t)

    Logits (N, T, classes), labels (N, L), paddings (N, T) and (N, L): 0 for what counts, 1 for
    what does not, of the labels at the end. Value: (N,). What no alignment allows costs
    ``-log_epsilon``.

    Source: Graves et al. (2006), ICML.
    """
    return ctc_loss_with_forward_probs(
        F, logits, logit_paddings, labels, label_paddings,
        blank_id=blank_id, log_epsilon=log_epsilon,
    )[0]  # fmt: skip


def ctc_loss_with_forward_probs(
    F: Any,
    logits: Any,
    logit_paddings: Any,
    labels: Any,
    label_paddings: Any,
    *,
    blank_id: int = 0,
    log_epsilon: float = -1e5,
) -> tuple[Any, Any, Any]:
    r"""``ctc_loss``, and the logarithms of the probabilities of having come to each label.

    .. math:: \ell = -\log \sum_{\pi : B(\pi) = y} \prod_t p_t(\pi_t)

    Inputs and options as ``ctc_loss``. Value: (N,); (T, N, L+1) for the blanks before, between
    and after the labels; (T, N, L) for the labels.

    Source: Graves et al. (2006), ICML.
    """
    _require_ranks(logits, logit_paddings, labels, label_paddings, blank_id)
    return ctc_forward.ctc_forward(
        F, logits, logit_paddings, labels, label_paddings, blank_id, log_epsilon
    )


def _require_ranks(
    logits: Any, logit_paddings: Any, labels: Any, label_paddings: Any, blank_id: int
) -> None:
    if len(logits.shape) != 3 or len(labels.shape) != 2:
        raise InputError(f"logits (N, T, C) and labels (N, L), got {logits.shape}, {labels.shape}")
    require_same("label_paddings", label_paddings.shape, "labels", labels.shape)
    require_same("logit_paddings", logit_paddings.shape, "logits' steps", logits.shape[:2])
    integer("blank_id", blank_id, least=0)
