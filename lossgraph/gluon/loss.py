"""``mxnet.gluon.loss``: Gluon's losses, with its names, options, defaults and order of weighting.

Every loss is multiplied by ``sample_weight`` and ``weight``, then averaged over all axes but
``batch_axis``; what differs is said at the class. The mathematics is in ``losses``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..authoring.annotations import Label
from ..authoring.options import integer, number, one_of, positive
from ..authoring.shapes import require_broadcast, require_classes, require_samples
from ..authoring.weighting import weigh
from ..errors import InputError
from ..losses import classification, ctc, distribution, embedding, regression
from .block import HybridBlock

__all__ = [
    "CTCLoss", "CosineEmbeddingLoss", "HingeLoss", "HuberLoss", "KLDivLoss", "L1Loss", "L2Loss",
    "LogisticLoss", "Loss", "PoissonNLLLoss", "SDMLLoss", "SigmoidBCELoss",
    "SigmoidBinaryCrossEntropyLoss", "SoftmaxCELoss", "SoftmaxCrossEntropyLoss",
    "SquaredHingeLoss", "TripletLoss",
]  # fmt: skip


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


class Loss(HybridBlock):
    """Base of the losses: subclass it and write ``hybrid_forward(self, F, pred, label, ..)``.

    Args:
        weight: a number that multiplies the loss, or None.
        batch_axis: the axis of samples.
        **kwargs: Gluon's ``prefix`` and ``params``.
    """

    def __init__(self, weight: float | None, batch_axis: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._weight = number("weight", weight, optional=True)
        self._batch_axis = integer("batch_axis", batch_axis)

    def _average(self, F: Any, loss: Any, sample_weight: Any = None, label: Any = None) -> Any:
        """Weigh, then average over every axis but the batch's."""
        return F.mean(self._weigh(F, loss, sample_weight, label), self._batch_axis, exclude=True)

    def _weigh(self, F: Any, loss: Any, sample_weight: Any = None, label: Any = None) -> Any:
        if sample_weight is not None:
            loss = weigh(F, loss, sample_weight, label, self._batch_axis)
        return _apply_weighting(F, loss, self._weight)


class L2Loss(Loss):
    r"""Half the mean squared error.

    .. math:: \ell = \frac{w}{2} \operatorname{mean}\, (y - x)^2

    Inputs: ``pred``, any shape; ``label``, as many elements; ``sample_weight``. Value: (N,).
    """

    def __init__(self, weight: float | None = 1.0, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        target = _reshape_like(F, label, pred)
        return self._average(F, regression.squared_error(F, pred, target), sample_weight, label)


class L1Loss(Loss):
    r"""The mean absolute error.

    .. math:: \ell = w \operatorname{mean}\, |y - x|

    Inputs: ``pred``, any shape; ``label``, as many elements; ``sample_weight``. Value: (N,).
    """

    def __init__(self, weight: float | None = None, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        target = _reshape_like(F, label, pred)
        return self._average(F, regression.absolute_error(F, pred, target), sample_weight, label)


class SigmoidBinaryCrossEntropyLoss(Loss):
    r"""Cross-entropy of a logit (or a probability) against labels in [0, 1].

    .. math:: \ell = w \operatorname{mean}\left[\log(1 + e^x) - x y\right],
        \quad\text{with } p: p_w y \log(1 + e^{-x}) + (1 - y) \log(1 + e^x)

    ``from_sigmoid=True``: pred is a probability, and ``1e-12`` is added inside the logarithms.

    Inputs: ``pred``, any shape; ``label``, as many elements; ``sample_weight``; ``pos_weight``,
    which broadcasts to the label. Value: (N,).
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
        self, F: Any, pred: Any, label: Any, sample_weight: Any = None, pos_weight: Any = None
    ) -> Any:
        target = _reshape_like(F, label, pred)
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
    ``sample_weight``. Value: (N,).
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
            loss = classification.sparse_cross_entropy(F, log_probs, label, self._axis)
            return self._average(F, loss, sample_weight, label)
        label = _reshape_like(F, label, pred)
        loss = classification.dense_cross_entropy(F, log_probs, label, self._axis)
        return self._average(F, loss, sample_weight)


class KLDivLoss(Loss):
    r"""The Kullback-Leibler divergence of a true from a predicted distribution.

    .. math:: \ell = w \operatorname{mean}\left[y (\log(y + 10^{-12}) - \log p)\right]

    The mean, over classes too, is what Gluon documents (MXNet 1.9.1 itself sums).

    Inputs: ``pred``, log-probabilities or, with ``from_logits=False``, logits along ``axis``;
    ``label``, probabilities in the same shape; ``sample_weight``. Value: (N,).

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

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        if self._from_logits:
            log_probs = pred
        else:
            require_classes(pred.shape, self._axis)
            log_probs = F.log_softmax(pred, axis=self._axis)
        return self._average(F, distribution.kl_divergence(F, log_probs, label), sample_weight)


class CTCLoss(Loss):
    r"""Connectionist temporal classification: labels against unaligned steps.

    .. math:: \ell = -w \log \sum_{\pi : B(\pi) = y} \prod_t p_t(\pi_t),
        \quad p_t = \operatorname{softmax}(x_t)

    The blank is the last class. A label without an alignment (more labels than steps) has loss 0
    and gradient 0.

    Inputs: ``pred``, logits (N, T, C), or (T, N, C) with ``layout="TNC"``; ``label``, classes
    (N, L), or (L, N) with ``label_layout="TN"``, which end at the first -1 where
    ``label_lengths`` are not given; ``pred_lengths``, ``label_lengths``, (N,);
    ``sample_weight``. Value: (N,).

    Source: Graves et al. (2006), ICML.
    """

    def __init__(
        self,
        layout: str = "NTC",
        label_layout: str = "NT",
        weight: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, 0, **kwargs)
        self._layout = one_of("layout", layout, ("NTC", "TNC"))
        self._label_layout = one_of("label_layout", label_layout, ("NT", "TN"))

    def check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        if not {"pred", "label"} <= set(shapes):
            return
        pred, label = shapes["pred"], shapes["label"]
        _require_ranks(pred, label)
        samples = (pred[self._layout.find("N")],)
        lengths = {n: shapes[n] for n in ("pred_lengths", "label_lengths") if n in shapes}
        per_sample = {"label": (label[self._label_layout.find("N")],), **lengths}
        require_samples(samples, per_sample)

    def hybrid_forward(
        self,
        F: Any,
        pred: Any,
        label: Label,
        pred_lengths: Label = None,
        label_lengths: Label = None,
        sample_weight: Any = None,
    ) -> Any:
        _require_ranks(pred.shape, label.shape)
        if self._layout == "TNC":
            pred = F.swapaxes(pred, 0, 1)
        if self._label_layout == "TN":
            label = F.swapaxes(label, 0, 1)
        if label_lengths is None:
            ended = F.cumsum(label == -1, axis=1)
            label_lengths = F.sum(ended == 0, axis=1)
        lengths = F.cast(label_lengths, "int64")
        in_place = self._label_layout == "TN"
        labels, known = ctc.checked_labels(F, label, lengths, pred.shape[2], pred, in_place)
        if pred_lengths is not None:  # what lies past the end may be anything
            pred_lengths = F.cast(pred_lengths, "int64")
            known = known * ctc.in_range(F, pred_lengths, pred.shape[1] + 1, pred)
            steps = F.arange(pred.shape[1], dtype="int64").reshape((1, -1, 1))
            running = F.broadcast_lesser(steps, pred_lengths.reshape((-1, 1, 1)))
            pred = F.where(F.broadcast_like(running, pred), pred, F.zeros_like(pred))
        likelihood = known * ctc.ctc_log_likelihood(
            F, F.log_softmax(pred, axis=-1), labels, lengths, pred.shape[2] - 1, pred_lengths
        )
        impossible = likelihood <= ctc.LOG_ZERO / 2
        loss = F.where(impossible, F.zeros_like(likelihood), -likelihood)
        return self._weigh(F, loss, sample_weight)


class HuberLoss(Loss):
    r"""Squared for errors up to ``rho``, linear of slope 1 beyond.

    .. math:: \ell = w \operatorname{mean} \begin{cases} e^2 / 2\rho & |e| \le \rho \\
        |e| - \rho/2 & \text{else} \end{cases}, \quad e = y - x

    Inputs: ``pred``, any shape; ``label``, as many elements; ``sample_weight``. Value: (N,).

    Source: Huber (1964), Ann. Math. Statist. 35(1).
    """

    def __init__(
        self, rho: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._rho = positive("rho", rho)

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        error = _reshape_like(F, label, pred) - pred
        return self._average(F, regression.huber(F, error, self._rho), sample_weight, label)


class HingeLoss(Loss):
    r"""The hinge of signed labels.

    .. math:: \ell = w \operatorname{mean} \max(0, m - x y)

    Inputs: ``pred``, any shape; ``label``, -1 or 1, as many elements; ``sample_weight``.
    Value: (N,).
    """

    def __init__(
        self, margin: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = number("margin", margin)

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        target = _reshape_like(F, label, pred)
        loss = regression.hinge(F, pred, target, self._margin)
        return self._average(F, loss, sample_weight, label)


class SquaredHingeLoss(HingeLoss):
    r"""The squared hinge of signed labels.

    .. math:: \ell = w \operatorname{mean} \max(0, m - x y)^2

    Inputs and value as ``HingeLoss``.
    """

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        target = _reshape_like(F, label, pred)
        loss = F.square(regression.hinge(F, pred, target, self._margin))
        return self._average(F, loss, sample_weight, label)


class LogisticLoss(Loss):
    r"""The logistic loss of a logit against signed or binary labels.

    .. math:: \ell = w \operatorname{mean} \log(1 + e^{-x y})

    Inputs: ``pred``, any shape; ``label``, as many elements, -1 and 1, or 0 and 1 with
    ``label_format="binary"``; ``sample_weight``. Value: (N,).
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
        target = _reshape_like(F, label, pred)
        if self._label_format == "signed":
            loss = classification.logistic(F, pred, target)
        else:
            loss = classification.sigmoid_cross_entropy(F, pred, target)
        return self._average(F, loss, sample_weight, label)


class TripletLoss(Loss):
    r"""An anchor closer to its positive than to its negative, by a margin.

    .. math:: \ell = w \max(0, \|x - x^+\|^2 - \|x - x^-\|^2 + m)

    Sums over the features. Inputs: ``pred``, any shape; ``positive``, ``negative``, as many
    elements. Value: (N,).
    """

    def __init__(
        self, margin: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = number("margin", margin)

    def hybrid_forward(self, F: Any, pred: Any, positive: Any, negative: Any) -> Any:
        positive = _reshape_like(F, positive, pred)
        negative = _reshape_like(F, negative, pred)
        loss = embedding.triplet(F, pred, positive, negative, self._margin, self._batch_axis)
        return self._weigh(F, loss)


class PoissonNLLLoss(Loss):
    r"""Negative log-likelihood of counts under a predicted rate.

    .. math:: \ell = w \operatorname{mean}\left[e^x - t x\right]
        \quad\text{or}\quad w \operatorname{mean}\left[x - t \log(x + \epsilon)\right]

    ``from_logits=True``: pred is the logarithm of the rate. ``compute_full`` adds Stirling's
    ``log(t!)`` for targets above 1. One mean over everything; ``batch_axis`` has no effect.

    Inputs: ``pred``, any shape; ``target``, as many elements; ``sample_weight``; ``epsilon``, a
    number, here or in the constructor. Value: (1,).
    """

    def __init__(
        self,
        weight: float | None = None,
        from_logits: bool = True,
        batch_axis: int = 0,
        compute_full: bool = False,
        epsilon: float = 1e-8,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._from_logits = bool(from_logits)
        self._compute_full = bool(compute_full)
        self._epsilon = number("epsilon", epsilon)

    def hybrid_forward(
        self,
        F: Any,
        pred: Any,
        target: Any,
        sample_weight: Any = None,
        epsilon: float | None = None,
    ) -> Any:
        counts = F.cast(_reshape_like(F, target, pred), dtype=pred.dtype)
        eps = self._epsilon if epsilon is None else number("epsilon", epsilon)
        loss = regression.poisson_nll(F, pred, counts, self._from_logits, eps)
        if self._compute_full:
            loss = loss + regression.log_factorial(F, counts)
        return F.mean(self._weigh(F, loss, sample_weight, target))


class CosineEmbeddingLoss(Loss):
    r"""The angle between two vectors, small for pairs labelled 1, wide for those labelled -1.

    .. math:: \ell = w \begin{cases} 1 - \cos(x_1, x_2) & y = 1 \\
        \max(0, \cos(x_1, x_2) - m) & y = -1 \end{cases}

    Inputs: ``input1`` and ``input2``, vectors along the last axis, any shape; ``label``, one for
    each vector; ``sample_weight``. Value: (vectors, 1); ``batch_axis`` has no effect.
    """

    def __init__(
        self, weight: float | None = None, batch_axis: int = 0, margin: float = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = number("margin", margin)

    def hybrid_forward(
        self, F: Any, input1: Any, input2: Any, label: Label, sample_weight: Any = None
    ) -> Any:
        input1 = _reshape_like(F, input1, input2)
        similarity = embedding.cosine_similarity(F, input1, input2).reshape((-1, 1))
        column = label.reshape((-1, 1))
        loss = embedding.cosine_embedding(F, similarity, column, self._margin)
        if sample_weight is not None:
            loss = weigh(F, loss, sample_weight, label)
        return _apply_weighting(F, loss, self._weight)


class SDMLLoss(Loss):
    r"""Smoothed deep metric learning: row i of ``x1`` belongs to row i of ``x2``.

    .. math:: \ell_i = w D_{KL}\left(s_i \,\|\, \operatorname{softmax}(-\|x_{1,i} - x_2\|^2)\right)

    ``s_i`` has ``1 - smoothing_parameter`` at i and shares the rest among the others. Inputs:
    ``x1``, ``x2``, both (N, D). Value: (N,); ``batch_axis`` has no effect.

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

    def hybrid_forward(self, F: Any, x1: Any, x2: Any) -> Any:
        if len(x1.shape) != 2 or len(x2.shape) != 2:
            raise InputError(f"SDMLLoss takes matrices (N, D), got {x1.shape} and {x2.shape}")
        loss = embedding.smoothed_metric(F, x1, _reshape_like(F, x2, x1), self.smoothing_parameter)
        return self._weigh(F, loss)


SigmoidBCELoss = SigmoidBinaryCrossEntropyLoss
SoftmaxCELoss = SoftmaxCrossEntropyLoss


def _require_ranks(pred: Sequence[Any], label: Sequence[Any]) -> None:
    if len(pred) != 3 or len(label) != 2:
        raise InputError(
            f"CTCLoss takes predictions of rank 3 and labels of rank 2, got {pred} and {label}"
        )
