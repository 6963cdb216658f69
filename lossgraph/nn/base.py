"""What the losses of ``torch.nn`` share: reductions, and samples without a batch."""

from __future__ import annotations

from typing import Any

from ..authoring.block import Block
from ..authoring.constructors import constructor_of, refuse_option
from ..authoring.options import one_of
from ..authoring.reductions import REDUCTIONS, reduced
from ..errors import InputError
from ..runtime.arrays import to_numpy


class Loss(Block):
    """Base of the losses, which reduce what they have computed for each sample.

    Args:
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.
        **deprecated: torch's ``size_average`` and ``reduce``, which ``reduction`` replaces: None.
    """

    reductions: tuple[str, ...] = REDUCTIONS

    def __init__(self, reduction: str = "mean", **deprecated: Any) -> None:
        self._refuse(deprecated)
        self.reduction = one_of("reduction", reduction, self.reductions)

    def _refuse(self, deprecated: dict[str, Any]) -> None:
        unknown = [name for name in deprecated if name not in ("size_average", "reduce")]
        if unknown:
            refuse_option(self.name, unknown[0], constructor_of(type(self)).by_name)
        given = {name: value for name, value in deprecated.items() if value is not None}
        if given:
            average, reduce = (bool(given.get(name, True)) for name in ("size_average", "reduce"))
            instead = "none" if not reduce else "mean" if average else "sum"
            raise InputError(f"{next(iter(given))} is deprecated: say reduction={instead!r}")

    def _reduce(self, F: Any, loss: Any, weights: Any = None, batched: bool = True) -> Any:
        return reduced(F, loss, self.reduction, weights, batched)


def as_tensor(name: str, value: Any) -> Any:
    """A tensor given to a constructor: lists become arrays."""
    return to_numpy(name, value) if isinstance(value, (list, tuple)) else value


def without_last(F: Any, x: Any) -> Any:
    """``x`` without its last axis, which has length one; of rank 0 if it has no other."""
    return F.squeeze(x, axis=-1) if len(x.shape) > 1 else F.scalar(x)


def silenced(F: Any, weight: Any, loss: Any) -> Any:
    """``weight * loss``, 0 where the weight is 0 and the loss infinite.

    Unlike ``F.masked_mul`` it leaves the gradient of 0/0 what it is, NaN.
    """
    endless = (weight == 0) * F.isinf(loss)
    return weight * F.where(endless, F.zeros_like(loss), loss)
