"""Losses of ``torch.nn`` that have a linear layer inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..authoring.annotations import Number, TensorOption
from ..authoring.options import between, integer, is_unknown
from ..errors import InputError
from ..losses.linear_cross_entropy import (
    Linear,
    Target,
    linear_cross_entropy,
    total_linear_cross_entropy,
)
from .base import Loss, as_tensor

__all__ = ["LinearCrossEntropyLoss"]

_IGNORED = -100  # where nothing is said, and the target is of classes
_EXPECTED = (
    "LinearCrossEntropyLoss takes input (N, D) with linear_weight (C, d1, .., D), or (D,) with "
    "(C, D), got {} and {}"
)


class LinearCrossEntropyLoss(Loss):
    r"""Cross-entropy of a linear layer's logits, of which a chunk of rows is there at a time.

    .. math:: \ell = -\sum_c w_c t_c \log \operatorname{softmax}_c(W x + b)

    ``mean`` divides by the weights of the targets, or by their number if they are probabilities.

    Args:
        reduction: ``mean``, ``sum`` or ``none``.
        ignore_index: a class label that counts nothing, -100 if None; not for probabilities.
        label_smoothing: the share, 0 to 1, that all classes have in a target in equal parts.
        batch_chunk_size: how many rows are computed at once, 1 or more; None for as many as
            make 8 million logits, and 64 more. More take more memory, fewer more time.
        weight: as the input of this name, which a call may give instead.
        linear_bias: likewise.

    Inputs: ``input`` (N, D), or (D,) without a batch; ``linear_weight`` (C, D), or
    (C, d1, .., D), which needs a batch; ``target``, classes (N, d1, ..) or (), or probabilities
    (N, C, d1, ..) or (C,); ``linear_bias`` (C, d1, ..), optional; ``weight``, one for each class
    (C,), optional. Value: (N, d1, ..) or () without a reduction, else ().

    ``mean`` and ``sum`` compute value and gradient in one pass over the rows; ``none`` computes
    the logits a second time for the gradient. Beside a chunk or two of logits, the gradient by
    ``linear_weight`` takes three arrays of its size, between which its sum goes to and fro.

    Raises:
        InputError: for options that are none, and shapes that do not fit.

    Source: Hsu et al. (2024), Liger Kernel, arXiv:2410.10989.
    """

    def __init__(
        self,
        reduction: str = "mean",
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        batch_chunk_size: int | None = None,
        *,
        weight: Any = None,
        linear_bias: Any = None,
    ) -> None:
        super().__init__(reduction)
        self.ignore_index = None if ignore_index is None else integer("ignore_index", ignore_index)
        self.label_smoothing = between("label_smoothing", label_smoothing, 0.0, 1.0)
        self.weight = as_tensor("weight", weight)
        self.linear_bias = as_tensor("linear_bias", linear_bias)
        self.batch_chunk_size = batch_chunk_size
        if batch_chunk_size is not None:
            self.batch_chunk_size = integer("batch_chunk_size", batch_chunk_size, least=1)

    def check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Check every shape against those of input and linear_weight."""
        input, weight = shapes["input"], shapes["linear_weight"]
        _check_ranks(input, weight)
        if input[-1] != weight[-1]:
            raise InputError(
                f"linear_weight: expected {input[-1]} features as input has, got {weight}"
            )
        classes, *outer = weight[:-1]
        batch = input[:-1]
        expected: dict[str, list[tuple[int, ...]]] = {
            "target": [(*batch, *outer), (*batch, classes, *outer)],
            "linear_bias": [(classes, *outer)],
            "weight": [(classes,)],
        }
        for name, allowed in expected.items():
            if name in shapes and shapes[name] not in allowed:
                raise InputError(
                    f"{name}: expected {' or '.join(map(str, allowed))}, got {shapes[name]}"
                )

    def hybrid_forward(
        self,
        F: Any,
        input: Any,
        linear_weight: Any,
        target: Number,
        linear_bias: TensorOption = None,
        weight: TensorOption = None,
    ) -> Any:
        _check_ranks(input.shape, linear_weight.shape)
        batched, dense = len(input.shape) == 2, self._is_dense(input, linear_weight, target)
        if not batched:
            input = F.expand_dims(input, axis=0)
            target = F.reshape(target, (1, *target.shape))
        linear = _linear(F, input, linear_weight, linear_bias)
        if dense:
            against, counts, weights = self._probabilities(F, target, linear, weight)
        else:
            against, counts, weights = self._labels(F, target, linear, weight)
        chunk = self.batch_chunk_size
        if self.reduction == "none":
            losses = F.masked_mul(counts, linear_cross_entropy(F, linear, against, chunk))
            shape = (input.shape[0], *linear_weight.shape[1:-1])
            return F.reshape(losses, shape) if batched else F.scalar(losses)
        by = F.sum(weights) if self.reduction == "mean" else None
        return F.scalar(total_linear_cross_entropy(F, linear, against, counts, by, chunk))

    def _smoothing(self, F: Any) -> Any:
        own = self.label_smoothing
        return F.reshape(own, (1,)) if is_unknown(own) else own

    def _is_dense(self, input: Any, linear_weight: Any, target: Any) -> bool:
        """Whether a target is of probabilities: it has an axis of the classes then."""
        rank = len(input.shape) + len(linear_weight.shape) - 2
        if len(target.shape) not in (rank - 1, rank):
            raise InputError(
                f"target: expected {rank - 1} axes for classes or {rank} for probabilities, "
                f"got the shape {tuple(target.shape)}"
            )
        dense = len(target.shape) == rank
        if dense and np.dtype(target.dtype).kind in "iub":
            raise InputError(f"target: probabilities are floats, got dtype {target.dtype}")
        if dense and self.ignore_index is not None:
            raise InputError("ignore_index: there is none where the target is of probabilities")
        return dense

    def _probabilities(
        self, F: Any, target: Any, linear: Linear, weight: Any
    ) -> tuple[Target, Any, Any]:
        """The target, the weight of each row, and the weights whose sum divides the mean."""
        probs = F.reshape(_classes_last(F, target, 1), (target.shape[0], linear.weight.shape[0]))
        counts = F.ones((target.shape[0], linear.positions), dtype=linear.rows.dtype)
        return Target(None, probs, weight, self._smoothing(F)), counts, counts

    def _labels(self, F: Any, target: Any, linear: Linear, weight: Any) -> tuple[Target, Any, Any]:
        """The same for class labels; an ignored label becomes class 0 with weight 0."""
        index = _IGNORED if self.ignore_index is None else self.ignore_index
        kept = F.cast(_wide(F, target) != index, linear.rows.dtype)
        target = F.where(kept, target, F.zeros_like(target))
        ones = F.ones((linear.classes,), dtype=linear.rows.dtype)
        # of what is no class NaN, or an error where there is a user to tell
        counts = kept * F.take(ones, target, mode="raise")
        weights = counts if weight is None else F.masked_mul(counts, F.take(weight, target))
        counts, weights, labels = (
            F.reshape(x, (target.shape[0], linear.positions))
            for x in (counts, weights, F.cast(target, "int64"))
        )
        against = Target(labels, None, weight, self._smoothing(F))
        return against, weights if against.is_hard else counts, weights


def _linear(F: Any, input: Any, linear_weight: Any, linear_bias: Any) -> Linear:
    """The layer with the classes of each position one after the other."""
    classes, *_, features = linear_weight.shape
    flat = F.reshape(_classes_last(F, linear_weight, 0, 1), (-1, features))
    bias = linear_bias
    if linear_bias is not None:
        bias = F.reshape(_classes_last(F, linear_bias, 0), (-1,))
    return Linear(input, flat, bias, classes)


def _wide(F: Any, target: Any) -> Any:
    """Classes in which every class that is ignored can be said: narrow integers may not hold it."""
    return target if target.dtype.kind == "f" else F.cast(target, "int64")


def _classes_last(F: Any, array: Any, axis: int, after: int = 0) -> Any:
    """The axis of the classes moved to the end, before ``after`` others."""
    return F.moveaxis(array, axis, len(array.shape) - 1 - after)


def _check_ranks(input: tuple[Any, ...], weight: tuple[Any, ...]) -> None:
    if len(input) not in (1, 2) or len(weight) < 2 or (len(input) == 1 and len(weight) > 2):
        raise InputError(_EXPECTED.format(tuple(input), tuple(weight)))
