"""Losses of some elements only: those of a mask, or of sequences before their ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..authoring.block import Block
from ..authoring.functions import as_loss
from ..authoring.options import one_of
from ..authoring.reductions import REDUCTIONS
from ..authoring.shapes import same
from ..errors import InputError
from ..symbolic.arguments import checked
from .composite import Composite, array_input

_HIDDEN = 0.5  # a logit, a probability, a rate: whatever a loss takes, this has a finite loss


@checked
def masked(
    loss: Any,
    over: Sequence[str] | None = None,
    reduction: str = "mean",
    per_sample: bool = False,
) -> Block:
    """A loss of the elements where the input ``mask`` is not 0.

    What is masked has no effect and the gradient 0, whatever it is: NaN, infinite, a label that
    is no class. Where all is masked, the mean is 0 and so are its gradients.

    Args:
        loss: a loss of one number for each element of the mask, whose elements are independent.
        over: names of the inputs that have an entry for each element: their shapes begin with the
            mask's. By default all inputs that the loss requires.
        reduction: ``mean`` or ``sum`` over the elements that are not masked, or ``none``.
        per_sample: reduce the elements of each sample, not those of all samples.
    """
    return Masked(loss, over, reduction, per_sample)


@checked
def padded(
    loss: Any,
    over: Sequence[str] | None = None,
    reduction: str = "mean",
    per_sample: bool = False,
) -> Block:
    """As ``masked``, for padded sequences (N, T, ...) that end at the input ``lengths``, (N,).

    Args:
        loss: a loss of one number for each step of each sample, (N, T).
        over: names of the inputs that have an entry for each step; by default all that the loss
            requires.
        reduction: as in ``masked``.
        per_sample: as in ``masked``.
    """
    return Padded(loss, over, reduction, per_sample)


class _Selected(Composite):
    """Base of the losses of selected elements; ``by`` names the input that selects them."""

    by: str

    def __init__(
        self,
        loss: Any,
        over: Sequence[str] | None = None,
        reduction: str = "mean",
        per_sample: bool = False,
    ) -> None:
        block = as_loss(loss)
        inputs = block.signature.by_name
        if self.by in inputs:
            raise InputError(
                f"{block.name} has an input {self.by!r} of its own: use that, or `renamed`"
            )
        super().__init__({"loss": block}, [array_input(self.by, gradient=False)])
        scalars = block.scalar_inputs
        required = [n for n, p in inputs.items() if p.required and n not in scalars]
        self.over = tuple(required if over is None else over)
        for name in self.over:
            one_of("over", name, tuple(inputs))
        self.reduction = one_of("reduction", reduction, REDUCTIONS)
        self.per_sample = bool(per_sample)

    @property
    def options(self) -> dict[str, Any]:
        own = {"over": self.over, "reduction": self.reduction, "per_sample": self.per_sample}
        return {**super().options, **own}

    def _mask(self, F: Any, given: dict[str, Any]) -> Any:
        """The mask, taken out of what is given: 1 and 0."""
        raise NotImplementedError

    def hybrid_forward(self, F: Any, **given: Any) -> Any:
        mask = self._mask(F, given)
        seen = dict(given)
        for name in self.over:
            if name in given:
                spread = _spread(F, name, mask, given[name])
                seen[name] = F.where(spread, given[name], _harmless(F, given[name]))
        value, parts = self._value("loss", seen)
        total = self._reduced(F, mask, value)
        if not parts:
            return total
        return total, {name: self._reduced(F, mask, part) for name, part in parts.items()}

    def _reduced(self, F: Any, mask: Any, value: Any) -> Any:
        spread = _spread(F, "the loss", mask, value)
        kept = F.where(spread, value, F.zeros_like(value))
        if self.reduction == "none":
            return kept
        axes = tuple(range(1, len(value.shape))) if self.per_sample else None
        if axes == ():
            return kept
        total, count = F.sum(kept, axis=axes), F.sum(F.cast(spread, value.dtype), axis=axes)
        if self.reduction == "mean":
            total = total / F.maximum(count, 1)
        return total if self.per_sample else F.scalar(total)


class Masked(_Selected):
    """See ``masked``."""

    by = "mask"

    def _mask(self, F: Any, given: dict[str, Any]) -> Any:
        return given.pop("mask") != 0


class Padded(_Selected):
    """See ``padded``."""

    by = "lengths"

    def _mask(self, F: Any, given: dict[str, Any]) -> Any:
        lengths, first = given.pop("lengths"), given[self.over[0]]
        if len(lengths.shape) != 1 or len(first.shape) < 2:
            raise InputError(
                f"lengths are (N,) for sequences (N, T, ...), got {lengths.shape} for "
                f"{self.over[0]} of shape {first.shape}"
            )
        steps = F.expand_dims(F.arange(first.shape[1], dtype="int64"), axis=0)
        return F.broadcast_lesser(steps, F.expand_dims(F.cast(lengths, "int64"), axis=1))


def _spread(F: Any, name: str, mask: Any, x: Any) -> Any:
    """A mask broadcast to an array whose leading axes are the mask's."""
    if not same(x.shape[: len(mask.shape)], mask.shape):
        raise InputError(
            f"{name} of shape {x.shape} has no entry for each element of the mask {mask.shape}: "
            "say with over=(..) which inputs have"
        )
    for axis in range(len(mask.shape), len(x.shape)):
        mask = F.expand_dims(mask, axis=axis)
    return F.broadcast_like(mask, x)


def _harmless(F: Any, x: Any) -> Any:
    """The stand-in for masked elements: class 0, or a number for which every loss is finite."""
    zeros = F.zeros_like(x)
    return zeros + _HIDDEN if x.dtype.kind == "f" else zeros
