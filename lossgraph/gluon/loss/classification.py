"""Gluon's losses of classes, of signed and binary labels, and of distributions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from ...authoring.annotations import NonNegative
from ...authoring.options import integer, number, one_of
from ...authoring.shapes import require_broadcast, require_classes, same, shown
from ...authoring.signature import Domain, Role
from ...errors import InputError
from ...losses import classification, distribution, regression
from .base import Loss, matched, truncated

_FOR_CLASSES = ": class indices are for sparse_label=True"
_FOR_DISTRIBUTIONS = ": distributions over the classes are for sparse_label=False"

_Probability = Annotated[Any, Role(domain=Domain(0.0, 1.0, lambda given: given["from_sigmoid"]))]


class SigmoidBinaryCrossEntropyLoss(Loss):
    r"""Cross-entropy of a logit (or a probability) against labels in [0, 1].

    .. math:: \ell = w \operatorname{mean}\left[\log(1 + e^x) - x y\right],
        \quad\text{with } p: p_w y \log(1 + e^{-x}) + (1 - y) \log(1 + e^x)

    Inputs: ``pred``, any shape; ``label``, as many elements; ``sample_weight``; ``pos_weight``,
    which broadcasts to the label. Value: (N,).

    Args:
        from_sigmoid: whether ``pred`` is a probability; then ``1e-12`` is added inside the
            logarithms.
        weight: a number that multiplies the loss, or None.
        batch_axis: the axis of samples, which is not averaged over.
        **kwargs: Gluon's ``prefix`` and ``params``, which have no effect.
    """

    def __init__(
        self,
        from_sigmoid: bool = False,
        weight: float | None = None,
        batch_axis: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._from_sigmoid = bool(from_sigmoid)

    def hybrid_forward(
        self,
        F: Any,
        pred: _Probability,
        label: Any,
        sample_weight: Any = None,
        pos_weight: Any = None,
    ) -> Any:
        target = matched(F, "label", label, "pred", pred)
        if pos_weight is not None and not isinstance(pos_weight, (int, float)):
            require_broadcast("pos_weight", pos_weight.shape, target.shape)
        if self._from_sigmoid:
            loss = classification.binary_cross_entropy(F, pred, target, 1e-12, pos_weight)
        else:
            loss = classification.sigmoid_cross_entropy(F, pred, target, pos_weight)
        return self._average(F, loss, sample_weight, label)


class SoftmaxCrossEntropyLoss(Loss):
    r"""Cross-entropy of the softmax of ``pred`` against classes or distributions.

    .. math:: \ell = -w \operatorname{mean} \log p_y
        \quad\text{or}\quad -w \operatorname{mean} \sum_c y_c \log p_c

    Inputs: ``pred``, any shape with the classes along ``axis``, logits or, with
    ``from_logits=True``, log-probabilities; ``label``, class indices in the shape of pred
    without the class axis (``sparse_label=True``), or a distribution in pred's shape;
    ``sample_weight``. Value: (N,). Class indices with fractions are cut off, towards zero, as
    MXNet does.

    Args:
        axis: the axis of the classes.
        sparse_label: whether ``label`` holds class indices, rather than distributions.
        from_logits: whether ``pred`` holds log-probabilities (so Gluon names it), rather than
            logits.
        weight: a number that multiplies the loss, or None.
        batch_axis: the axis of samples, which is not averaged over.
        **kwargs: Gluon's ``prefix`` and ``params``, which have no effect.
    """

    def __init__(
        self,
        axis: int = -1,
        sparse_label: bool = True,
        from_logits: bool = False,
        weight: float | None = None,
        batch_axis: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._axis = integer("axis", axis)
        self._sparse_label = bool(sparse_label)
        self._from_logits = bool(from_logits)

    def check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        if "pred" in shapes:  # a loss made of this one may have other inputs
            require_classes(shapes["pred"], self._axis)

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        require_classes(pred.shape, self._axis)
        log_probs = pred if self._from_logits else F.log_softmax(pred, axis=self._axis)
        if self._sparse_label:
            self._require_indices(pred.shape, label.shape)
            classes = truncated(F, label)
            loss = classification.sparse_cross_entropy(F, log_probs, classes, self._axis)
            return self._average(F, loss, sample_weight, label)
        label = matched(F, "label", label, "pred", pred, _FOR_CLASSES)
        loss = classification.dense_cross_entropy(F, log_probs, label, self._axis)
        return self._average(F, loss, sample_weight)

    def _require_indices(self, pred: Sequence[Any], label: Sequence[Any]) -> None:
        """Refuse labels that are not one class for each place of pred without its classes."""
        axis = self._axis % len(pred)
        expected = (*pred[:axis], *pred[axis + 1 :])
        kept = (*pred[:axis], 1, *pred[axis + 1 :])
        if same(label, expected) or same(label, kept) or (not expected and same(label, (1,))):
            return
        raise InputError(
            f"label: expected classes in the shape of pred without the axis {self._axis} of the "
            f"classes, {shown(expected)}, as pred has shape {shown(pred)}; got shape "
            f"{shown(label)}{_FOR_DISTRIBUTIONS if same(label, pred) else ''}"
        )


class KLDivLoss(Loss):
    r"""The Kullback-Leibler divergence of a true from a predicted distribution.

    .. math:: \ell = w \operatorname{mean}\left[y (\log(y + 10^{-12}) - \log p)\right]

    The mean, over classes too, is what Gluon documents (MXNet 1.9.1 itself sums).

    Inputs: ``pred``, log-probabilities or, with ``from_logits=False``, logits along ``axis``;
    ``label``, probabilities, as many elements; ``sample_weight``. Value: (N,).

    Args:
        from_logits: whether ``pred`` holds log-probabilities (so Gluon names it), rather than
            logits.
        axis: the axis of the classes, along which the softmax of logits is taken.
        weight: a number that multiplies the loss, or None.
        batch_axis: the axis of samples, which is not averaged over.
        **kwargs: Gluon's ``prefix`` and ``params``, which have no effect.

    Source: Kullback, Leibler (1951), Annals of Mathematical Statistics 22(1).
    """

    def __init__(
        self,
        from_logits: bool = True,
        axis: int = -1,
        weight: float | None = None,
        batch_axis: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._from_logits = bool(from_logits)
        self._axis = integer("axis", axis)

    def check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        if not self._from_logits and "pred" in shapes:
            require_classes(shapes["pred"], self._axis)

    def hybrid_forward(
        self, F: Any, pred: Any, label: NonNegative, sample_weight: Any = None
    ) -> Any:
        if self._from_logits:
            log_probs = pred
        else:
            require_classes(pred.shape, self._axis)
            log_probs = F.log_softmax(pred, axis=self._axis)
        target = matched(F, "label", label, "pred", pred)
        loss = distribution.kl_divergence(F, log_probs, target)
        return self._average(F, loss, sample_weight, label)


class HingeLoss(Loss):
    r"""The hinge of signed labels.

    .. math:: \ell = w \operatorname{mean} \max(0, m - x y)

    Inputs: ``pred``, any shape; ``label``, -1 or 1, as many elements; ``sample_weight``.
    Value: (N,).

    Args:
        margin: the least product of ``pred`` and ``label`` that costs nothing.
        weight: a number that multiplies the loss, or None.
        batch_axis: the axis of samples, which is not averaged over.
        **kwargs: Gluon's ``prefix`` and ``params``, which have no effect.
    """

    def __init__(
        self, margin: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = number("margin", margin)

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        target = matched(F, "label", label, "pred", pred)
        loss = regression.hinge(F, pred, target, self._margin)
        return self._average(F, loss, sample_weight, label)


class SquaredHingeLoss(HingeLoss):
    r"""The squared hinge of signed labels.

    .. math:: \ell = w \operatorname{mean} \max(0, m - x y)^2

    Inputs and value as ``HingeLoss``.

    Args:
        margin: the least product of ``pred`` and ``label`` that costs nothing.
        weight: a number that multiplies the loss, or None.
        batch_axis: the axis of samples, which is not averaged over.
        **kwargs: Gluon's ``prefix`` and ``params``, which have no effect.
    """

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        target = matched(F, "label", label, "pred", pred)
        loss = F.square(regression.hinge(F, pred, target, self._margin))
        return self._average(F, loss, sample_weight, label)


class LogisticLoss(Loss):
    r"""The logistic loss of a logit against signed or binary labels.

    .. math:: \ell = w \operatorname{mean} \log(1 + e^{-x y})

    Inputs: ``pred``, any shape; ``label``, as many elements, -1 and 1, or 0 and 1 with
    ``label_format="binary"``; ``sample_weight``. Value: (N,).

    Args:
        weight: a number that multiplies the loss, or None.
        batch_axis: the axis of samples, which is not averaged over.
        label_format: ``signed`` for labels -1 and 1, ``binary`` for 0 and 1.
        **kwargs: Gluon's ``prefix`` and ``params``, which have no effect.
    """

    def __init__(
        self,
        weight: float | None = None,
        batch_axis: int = 0,
        label_format: str = "signed",
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._label_format = one_of("label_format", label_format, ("signed", "binary"))

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        target = matched(F, "label", label, "pred", pred)
        if self._label_format == "signed":
            loss = classification.logistic(F, pred, target)
        else:
            loss = classification.sigmoid_cross_entropy(F, pred, target)
        return self._average(F, loss, sample_weight, label)


SigmoidBCELoss = SigmoidBinaryCrossEntropyLoss
SoftmaxCELoss = SoftmaxCrossEntropyLoss
