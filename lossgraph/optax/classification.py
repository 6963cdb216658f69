"""optax's losses of scores or logits against labels; the mathematics is in ``losses``."""

from __future__ import annotations

import math
from typing import Any

from ..authoring.shapes import require_same
from ..losses import classification, margin, regression
from ..losses.axes import Axis, chosen, spread


def sigmoid_binary_cross_entropy(F: Any, logits: Any, labels: Any) -> Any:
    r"""Cross-entropy of a logit against labels in [0, 1].

    .. math:: \ell = \log(1 + e^x) - x y

    Logits of any shape; labels in [0, 1] broadcast.
    """
    labels = F.cast(labels, dtype=logits.dtype)
    return classification.sigmoid_cross_entropy(F, logits, labels)


def sigmoid_focal_loss(
    F: Any, logits: Any, labels: Any, *, alpha: float | None = None, gamma: float = 2.0
) -> Any:
    r"""Cross-entropy of logits, with little weight on what is predicted well.

    .. math:: \ell = \alpha_y (1 - p_y)^\gamma \left(-y \log p - (1 - y) \log(1 - p)\right),
        \quad 1 - p_y = y (1 - p) + (1 - y) p

    Logits of any shape; labels in [0, 1] broadcast. ``alpha_y`` is ``alpha`` for the label 1,
    ``1 - alpha`` for 0; None weighs neither. The gradient by a label of exactly 0 or 1 is JAX's,
    which leaves out the term of weight 0.

    Source: Lin et al. (2017), arXiv:1708.02002.
    """
    return classification.focal_by_shares(F, logits, labels, alpha, gamma, apart=True)


def hinge_loss(F: Any, predictor_outputs: Any, targets: Any) -> Any:
    r"""The hinge of signed labels; its gradient at the kink is half of that beyond.

    .. math:: \ell = \max(0, 1 - x y)

    Predictor outputs of any shape; targets, -1 or 1, broadcast.
    """
    return regression.positive_part(F, 1 - predictor_outputs * targets)


def perceptron_loss(F: Any, predictor_outputs: Any, targets: Any) -> Any:
    r"""How far a signed prediction is on the wrong side; half the gradient at the kink.

    .. math:: \ell = \max(0, -x y)

    Predictor outputs and targets, -1 or 1, of one shape.
    """
    require_same("targets", targets.shape, "predictor_outputs", predictor_outputs.shape)
    return regression.positive_part(F, -predictor_outputs * targets)


def sparsemax_loss(F: Any, logits: Any, labels: Any) -> Any:
    r"""Zero beyond a margin, quadratic up to it, linear on the wrong side.

    .. math:: \ell = \begin{cases} 0 & z \le -1 \\ (z + 1)^2 / 4 & |z| < 1 \\ z & z \ge 1
        \end{cases}, \quad z = x \text{ if } y = 0 \text{ else } -x

    Logits of any shape; labels, 0 or 1, broadcast.

    Source: Blondel, Martins, Niculae (2020), JMLR 21(35).
    """
    return classification.binary_sparsemax(F, logits, labels)


def softmax_cross_entropy(
    F: Any, logits: Any, labels: Any, axis: Axis = -1, where: Any = None
) -> Any:
    r"""Cross-entropy of the softmax of logits against distributions.

    .. math:: \ell = -\sum_c y_c \log \frac{e^{x_c}}{\sum_k e^{x_k}}

    Logits (.., classes); labels broadcast; the axis or axes go. ``where``, of the logits' shape
    or without the axes, has the classes that count; by a label outside it there is no derivative
    (NaN). A logit of -inf whose label is 0 adds nothing.
    """
    where = _with_axes(F, where, logits, axis)
    labels = _undefined_outside(F, labels, where, logits)
    return classification.softmax_cross_entropy(F, logits, labels, axis, where)


def safe_softmax_cross_entropy(F: Any, logits: Any, labels: Any) -> Any:
    r"""Cross-entropy of the softmax of logits against distributions, 0 where label and share are.

    .. math:: \ell = -\sum_c y_c \log \frac{e^{x_c}}{\sum_k e^{x_k}}

    Logits (.., classes); labels broadcast; the last axis goes.
    """
    return classification.softmax_cross_entropy(F, logits, labels)


def softmax_cross_entropy_with_integer_labels(
    F: Any, logits: Any, labels: Any, axis: int | tuple[int, ...] = -1, where: Any = None
) -> Any:
    r"""Cross-entropy of the softmax of logits against classes.

    .. math:: \ell = \log \sum_k e^{x_k} - x_y

    Logits (.., classes); labels without the axis or axes, indices into them as if they were one;
    ``where``, of the logits' shape or of the labels', has the classes that count. The loss is 0
    where none counts. A label outside the classes is refused, or NaN in an exported graph.
    """
    where = _with_axes(F, where, logits, axis)
    return classification.integer_cross_entropy(F, logits, labels, axis, where)


def poly_loss_cross_entropy(
    F: Any, logits: Any, labels: Any, *, epsilon: float = 2.0, axis: Axis = -1, where: Any = None
) -> Any:
    r"""Cross-entropy with the first coefficient of its polynomial expansion changed.

    .. math:: \ell = -\sum_c y_c \log p_c + \epsilon \sum_c y_c (1 - p_c)

    Inputs and options as ``softmax_cross_entropy``, but that ``where`` broadcasts to the logits.

    Source: Leng et al. (2022), arXiv:2204.12511.
    """
    labels = _undefined_outside(F, labels, where, logits)
    return classification.poly_cross_entropy(F, logits, labels, epsilon, axis, where)


def multiclass_hinge_loss(F: Any, scores: Any, labels: Any) -> Any:
    r"""How far the score of the labelled class falls short of the best other one and a margin of 1.

    .. math:: \ell = \max_c \left(s_c + [c \ne y]\right) - s_y

    Scores (.., classes), labels (..). Equal maxima share the gradient.

    Source: Crammer, Singer (2001), JMLR 2.
    """
    return margin.multiclass_hinge(F, scores, labels)


def multiclass_perceptron_loss(F: Any, scores: Any, labels: Any) -> Any:
    r"""How far the score of the labelled class falls short of the best one.

    .. math:: \ell = \max_c s_c - s_y

    Scores (.., classes), labels (..). Equal maxima share the gradient.

    Source: Collins (2002), EMNLP.
    """
    return margin.multiclass_hinge(F, scores, labels, margin=0.0)


def multiclass_sparsemax_loss(F: Any, scores: Any, labels: Any) -> Any:
    r"""The loss of the projection of scores to the simplex.

    .. math:: \ell = \sum_c p_c (s_c - s_y) + \tfrac12 (1 - \|p\|^2), \quad
        p = \operatorname{argmin}_{p \in \Delta} \|p - s\|^2

    Scores (.., classes), labels (..).

    Source: Martins, Astudillo (2016), arXiv:1602.02068.
    """
    return margin.sparsemax(F, scores, labels)


def smooth_labels(
    F: Any, labels: Any, alpha: float = 0.1, *, axis: Axis = -1, where: Any = None
) -> Any:
    r"""Distributions moved towards the uniform one: labels for a cross-entropy.

    .. math:: \ell_c = (1 - \alpha) y_c + \alpha / C

    Labels of any shape, which stays. ``where`` has the classes that are counted; what is added
    goes to all. (In optax ``alpha`` has no default.)

    Source: Müller, Kornblith, Hinton (2019), arXiv:1906.02629.
    """
    return classification.smooth_labels(F, labels, alpha, axis, where)


def _with_axes(F: Any, where: Any, like: Any, axis: Axis) -> Any:
    """A mask of samples with the axes that it is without."""
    if where is None or axis is None or len(where.shape) == len(like.shape):
        return where
    axes = (axis,) if isinstance(axis, int) else tuple(axis)
    rank = len(where.shape) + len(axes)
    for place in sorted(i % rank for i in axes):
        where = F.expand_dims(where, axis=place)
    return where


def _undefined_outside(F: Any, labels: Any, where: Any, like: Any) -> Any:
    """Labels by which there is no derivative outside the mask: JAX's is 0 times -inf."""
    if where is None:
        return labels
    labels = spread(F, F.cast(labels, dtype=like.dtype), like)
    return F.with_gradient(labels, [labels], [chosen(F, where, F.ones_like(like), math.nan)])
