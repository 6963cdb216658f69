"""The losses of ``torch.nn`` for classes, sets of classes and distributions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from ..authoring.annotations import Label, TensorOption
from ..authoring.cautions import warn_if_both_stretch
from ..authoring.options import between, integer, is_zero, number
from ..authoring.reductions import REDUCTIONS
from ..authoring.shapes import Shape, require_broadcast, require_classes, require_same, same
from ..authoring.signature import Domain, Role
from ..errors import InputError
from ..ir.types import TensorType
from ..losses import classification, distribution
from .base import Loss, as_tensor, silenced, without_last

_Probability = Annotated[Any, Role(domain=Domain(0.0, 1.0, refused=True))]


class _WeightedLoss(Loss):
    """Base of the losses with a tensor ``weight``."""

    def __init__(self, weight: Any = None, *, reduction: str = "mean", **deprecated: Any) -> None:
        super().__init__(reduction, **deprecated)
        self.weight = as_tensor("weight", weight)


class BCELoss(_WeightedLoss):
    r"""Cross-entropy of a probability against labels in [0, 1].

    .. math:: \ell = -w \left[y \max(\log p, -100) + (1 - y) \max(\log(1 - p), -100)\right]

    Inputs: ``input`` and ``target``, of one shape; ``weight``, which broadcasts to it. Value: the
    same shape without a reduction, else (). The gradient by input divides by
    ``max(p(1 - p), 1e-12)``, as torch's does.

    Args:
        weight: as the input of this name, which a call may give instead.
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.
        **deprecated: torch's ``size_average`` and ``reduce``, None: ``reduction`` replaces them.
    """

    def require_shapes(self, shapes: Mapping[str, Shape]) -> None:
        _require_elementwise(shapes)

    def hybrid_forward(
        self, F: Any, input: _Probability, target: _Probability, weight: TensorOption = None
    ) -> Any:
        target = F.cast(target, dtype=input.dtype)
        loss = classification.clamped_cross_entropy(F, input, target)
        return self._reduce(F, loss if weight is None else weight * loss)


class BCEWithLogitsLoss(Loss):
    r"""Cross-entropy of a logit against labels in [0, 1].

    .. math:: \ell = w \left[p_w y \log(1 + e^{-x}) + (1 - y) \log(1 + e^x)\right]

    Inputs: ``input`` and ``target``, of one shape; ``weight`` and ``pos_weight``, which broadcast
    to it. Value: the same shape without a reduction, else ().

    Args:
        weight: as the input of this name, which a call may give instead.
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.
        pos_weight: likewise; it multiplies the loss of positive labels.
        **deprecated: torch's ``size_average`` and ``reduce``, None: ``reduction`` replaces them.
    """

    def __init__(
        self,
        weight: Any = None,
        *,
        reduction: str = "mean",
        pos_weight: Any = None,
        **deprecated: Any,
    ) -> None:
        super().__init__(reduction, **deprecated)
        self.weight = as_tensor("weight", weight)
        self.pos_weight = as_tensor("pos_weight", pos_weight)

    def require_shapes(self, shapes: Mapping[str, Shape]) -> None:
        _require_elementwise(shapes)

    def hybrid_forward(
        self,
        F: Any,
        input: Any,
        target: Any,
        weight: TensorOption = None,
        pos_weight: TensorOption = None,
    ) -> Any:
        loss = classification.sigmoid_cross_entropy(F, input, target, pos_weight)
        return self._reduce(F, loss if weight is None else F.masked_mul(weight, loss))


class NLLLoss(_WeightedLoss):
    r"""Minus the log-probability of a class.

    .. math:: \ell = -w_y x_y

    Inputs: ``input``, log-probabilities (N, C, ...), or (C,) without a batch; ``target``, classes
    (N, ...) or (); ``weight``, (C,). Value: (N, ...) or () without a reduction, else ().

    Any other target that is no class is refused, or NaN where a graph cannot refuse.

    Args:
        weight: as the input of this name, which a call may give instead: one for each class.
        ignore_index: a target that counts for nothing.
        reduction: ``mean``, which divides by the sum of the weights, ``sum`` or ``none``.
        **deprecated: torch's ``size_average`` and ``reduce``, None: ``reduction`` replaces them.
    """

    def __init__(
        self,
        weight: Any = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        **deprecated: Any,
    ) -> None:
        super().__init__(weight, reduction=reduction, **deprecated)
        self.ignore_index = integer("ignore_index", ignore_index)

    def require_shapes(self, shapes: Mapping[str, Shape]) -> None:
        _require_labels(shapes)

    def hybrid_forward(self, F: Any, input: Any, target: Label, weight: TensorOption = None) -> Any:
        input, target, batched = _as_batch(F, input, target, False)
        return self._of_classes(F, input, target, weight, batched)

    def _of_classes(
        self, F: Any, log_probs: Any, target: Any, weight: Any, batched: bool, smoothing: float = 0
    ) -> Any:
        """The loss of log-probabilities (N, C, ...) against classes (N, ...)."""
        if target.dtype.kind != "f":
            target = F.cast(target, dtype="int64")  # narrow integers may not hold ignore_index
        counted = F.cast(target != self.ignore_index, dtype=log_probs.dtype)
        target = F.where(counted, target, F.zeros_like(target))
        loss = F.squeeze(classification.sparse_cross_entropy(F, log_probs, target, axis=1), axis=1)
        weights = counted
        if weight is not None:
            weights = counted * F.take(weight, target)
            loss = silenced(F, weights, loss)
        if not is_zero(smoothing):
            spread = classification.uniform_cross_entropy(F, log_probs, weight)
            loss = (1 - smoothing) * loss + smoothing * F.squeeze(spread, axis=1)
        loss = F.where(counted, loss, F.zeros_like(loss))
        return self._reduce(F, loss, weights, batched)


class CrossEntropyLoss(NLLLoss):
    r"""Cross-entropy of the softmax of ``input`` against classes or distributions.

    .. math:: \ell = -w_y \log p_y \quad\text{or}\quad -\sum_c w_c y_c \log p_c

    The mean of classes divides by the sum of their weights ``w_y``, that of distributions by their
    number.

    Inputs: ``input``, logits (N, C, ...), or (C,) without a batch; ``target``, classes (N, ...) or
    (), or distributions in input's shape; ``weight``, (C,). Value: (N, ...) or () without a
    reduction, else ().

    Any other target that is no class is refused, or NaN where a graph cannot refuse.

    Args:
        weight: as the input of this name, which a call may give instead: one for each class.
        ignore_index: a target that counts for nothing.
        reduction: ``mean``, ``sum`` or ``none``.
        label_smoothing: the share of each target, 0 to 1, that moves to all classes alike.
        **deprecated: torch's ``size_average`` and ``reduce``, None: ``reduction`` replaces them.

    Source: Szegedy et al. (2016), CVPR (label smoothing).
    """

    def __init__(
        self,
        weight: Any = None,
        *,
        ignore_index: int = -100,
        reduction: str = "mean",
        label_smoothing: float = 0.0,
        **deprecated: Any,
    ) -> None:
        super().__init__(weight, ignore_index=ignore_index, reduction=reduction, **deprecated)
        self.label_smoothing = between("label_smoothing", label_smoothing, 0.0, 1.0)

    def labels_among(self, types: Mapping[str, TensorType]) -> tuple[str, ...]:
        return () if _is_dense({name: t.shape for name, t in types.items()}) else ("target",)

    def require_shapes(self, shapes: Mapping[str, Shape]) -> None:
        _require_labels(shapes, _is_dense(shapes))

    def hybrid_forward(self, F: Any, input: Any, target: Any, weight: TensorOption = None) -> Any:
        dense = _is_dense({"input": input.shape, "target": target.shape})
        input, target, batched = _as_batch(F, input, target, dense)
        log_probs = F.log_softmax(input, axis=1)
        if not dense:
            return self._of_classes(F, log_probs, target, weight, batched, self.label_smoothing)
        smoothing = self.label_smoothing
        if not is_zero(smoothing):
            target = target * (1 - smoothing) + smoothing / input.shape[1]
        if weight is not None:
            target = target * classification.along_classes(F, weight, input)
        loss = classification.dense_cross_entropy(F, log_probs, target, axis=1)
        return self._reduce(F, F.squeeze(loss, axis=1), batched=batched)


class KLDivLoss(Loss):
    r"""The Kullback-Leibler divergence of a true from a predicted distribution.

    .. math:: \ell = y (\log y - x) \quad\text{or}\quad e^y (y - x)

    What has probability 0 adds nothing, whatever was predicted for it. Inputs: ``input``,
    log-probabilities, any shape; ``target``, which broadcasts with it. Value: their shape without a
    reduction, else ().

    Args:
        reduction: ``mean`` over the elements, ``batchmean``, the sum divided by the length of the
            first axis, ``sum`` or ``none``.
        log_target: whether ``target`` holds logarithms too.
        **deprecated: torch's ``size_average`` and ``reduce``, None: ``reduction`` replaces them.

    Source: Kullback, Leibler (1951), Annals of Mathematical Statistics 22(1).
    """

    reductions = (*REDUCTIONS, "batchmean")

    def __init__(
        self, *, reduction: str = "mean", log_target: bool = False, **deprecated: Any
    ) -> None:
        super().__init__(reduction, **deprecated)
        self.log_target = bool(log_target)

    def hybrid_forward(self, F: Any, input: Any, target: Any) -> Any:
        warn_if_both_stretch({"input": input.shape, "target": target.shape})
        target = F.cast(target, dtype=input.dtype)
        if self.log_target:
            x, y = input + F.zeros_like(target), target + F.zeros_like(input)
            loss = distribution.log_kl_divergence(F, x, y)
        else:
            loss = distribution.kl_divergence(F, input, target, epsilon=0)
        if self.reduction != "batchmean":
            return self._reduce(F, loss)
        samples = input.shape[0] if len(input.shape) else 1
        return F.scalar(F.sum(loss) / samples)


class SoftMarginLoss(Loss):
    r"""The logistic loss of a logit against signed labels.

    .. math:: \ell = \log(1 + e^{-x y})

    Inputs: ``input`` and ``target``, -1 and 1, any shape, broadcast together. Value: their shape
    without a reduction, else ().

    Args:
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.
        **deprecated: torch's ``size_average`` and ``reduce``, None: ``reduction`` replaces them.
    """

    def hybrid_forward(self, F: Any, input: Any, target: Any) -> Any:
        warn_if_both_stretch({"input": input.shape, "target": target.shape})
        return self._reduce(F, classification.soft_margin(F, input, target))


class MultiMarginLoss(_WeightedLoss):
    r"""The hinge of one class's score against those of the others.

    .. math:: \ell = \frac{w_y}{C} \sum_{c \ne y} \max(0, m - x_y + x_c)^p

    Inputs: ``input``, scores (N, C), or (C,) without a batch; ``target``, classes (N,) or ();
    ``weight``, (C,). Value: (N,) or () without a reduction, else ().

    Args:
        p: the power of the hinge, 1 or 2.
        margin: how far the class's score must be above the others.
        weight: as the input of this name, which a call may give instead: one for each class.
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.
        **deprecated: torch's ``size_average`` and ``reduce``, None: ``reduction`` replaces them.
    """

    def __init__(
        self,
        p: int = 1,
        margin: float = 1.0,
        weight: Any = None,
        *,
        reduction: str = "mean",
        **deprecated: Any,
    ) -> None:
        super().__init__(weight, reduction=reduction, **deprecated)
        self.p = integer("p", p)
        if self.p not in (1, 2):
            raise InputError(f"p: expected 1 or 2, got {p!r}")
        self.margin = number("margin", margin)

    def require_shapes(self, shapes: Mapping[str, Shape]) -> None:
        _require_scores(self.name, shapes["input"])
        if len(shapes["input"]) < 2 and same(shapes["target"], (1,)):
            shapes = {**shapes, "target": ()}
        _require_labels(shapes)

    def hybrid_forward(self, F: Any, input: Any, target: Any, weight: TensorOption = None) -> Any:
        batched = len(target.shape) > 0  # the one target of one sample may be (1,)
        if len(input.shape) < 2:
            input, target = F.reshape(input, (1, -1)), F.reshape(target, (-1,))
        loss = classification.multi_margin(F, input, target, self.margin, self.p)
        loss = F.sum(loss, axis=1) / input.shape[1]
        if weight is not None:
            loss = F.take(weight, target) * loss
        return self._reduce(F, loss, batched=batched)


class MultiLabelMarginLoss(Loss):
    r"""The hinge of the scores of several classes against those of the others.

    .. math:: \ell = \frac1C \sum_{j \in y} \sum_{i \notin y} \max(0, 1 - x_j + x_i)

    Inputs: ``input``, scores (N, C), or (C,) without a batch; ``target``, in the same shape,
    classes, which end at the first -1. Value: (N,) or () without a reduction, else ().

    Args:
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.
        **deprecated: torch's ``size_average`` and ``reduce``, None: ``reduction`` replaces them.
    """

    def require_shapes(self, shapes: Mapping[str, Shape]) -> None:
        _require_scores(self.name, shapes["input"])
        _require_labels(shapes, dense=True)

    def hybrid_forward(self, F: Any, input: Any, target: Label) -> Any:
        input, target, batched = _as_batch(F, input, target, dense=True)
        return self._reduce(F, classification.multi_label_margin(F, input, target), batched=batched)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    r"""Cross-entropy of a logit for each class, averaged over the classes.

    .. math:: \ell = \frac1C \sum_c w_c \left[y_c \log(1 + e^{-x_c}) + (1 - y_c) \log(1 + e^{x_c})
        \right]

    Inputs: ``input``, logits (..., C), and ``target``, labels in [0, 1], broadcast together;
    ``weight``, (C,) or what broadcasts to that shape. Value: (...) without a reduction, else ().

    Args:
        weight: as the input of this name, which a call may give instead: one for each class.
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.
        **deprecated: torch's ``size_average`` and ``reduce``, None: ``reduction`` replaces them.
    """

    def require_shapes(self, shapes: Mapping[str, Shape]) -> None:
        if not shapes["input"]:
            raise InputError(f"{self.name} takes input (..., C), got one number")
        if "weight" in shapes:
            require_broadcast("weight", shapes["weight"], shapes["input"])

    def hybrid_forward(self, F: Any, input: Any, target: Any, weight: TensorOption = None) -> Any:
        warn_if_both_stretch({"input": input.shape, "target": target.shape})
        loss = classification.sigmoid_cross_entropy(F, input, target)
        if weight is not None:
            loss = F.masked_mul(weight, loss)
        return self._reduce(F, without_last(F, F.mean(loss, axis=-1, keepdims=True)))


def _as_batch(F: Any, input: Any, target: Any, dense: bool) -> tuple[Any, Any, bool]:
    """Input (N, C, ...), target (N, ...) or of input's shape, and whether there was a batch."""
    if len(input.shape) > 1:
        return input, target, True
    return F.reshape(input, (1, -1)), F.reshape(target, (1, -1) if dense else (1,)), False


def _is_dense(shapes: Mapping[str, Shape]) -> bool:
    """Whether the target is a distribution, rather than a class."""
    return len(shapes["target"]) == len(shapes["input"]) > 0


def _require_elementwise(shapes: Mapping[str, Shape]) -> None:
    require_same("target", shapes["target"], "input", shapes["input"])
    for name in ("weight", "pos_weight"):
        if name in shapes:
            require_broadcast(name, shapes[name], shapes["input"])


def _require_labels(shapes: Mapping[str, Shape], dense: bool = False) -> None:
    """One class for each sample (or something in input's shape), one weight for each class."""
    input = shapes["input"] or (1,)
    axis = min(len(input) - 1, 1)
    require_classes(input, axis)
    if dense:
        require_same("target", shapes["target"], "input", shapes["input"])
    else:
        without = (*input[:axis], *input[axis + 1 :])
        require_same("target", shapes["target"], "input without its classes", without)
    if "weight" in shapes:
        require_same("weight", shapes["weight"], "the classes", input[axis : axis + 1])


def _require_scores(name: str, input: Shape) -> None:
    if len(input) > 2:
        raise InputError(f"{name} takes input (N, C) or (C,), got {tuple(input)}")
