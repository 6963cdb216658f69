"""What ``F`` has not: the nearest names, and the way around where there is one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from ..errors import UnknownOperatorError

MASK_REFUSED = (
    "x[mask] has as many elements as the mask has ones, which no shape can say: use "
    "F.where(mask, x, 0), or x * mask, and divide a sum by F.sum(mask) for a mean"
)
_NOISE = (
    "a graph has no random numbers: make the noise an input of the loss, "
    "hybrid_forward(self, F, pred, label, noise), and draw it where the loss is called"
)
_MASKED = "F.where(mask, x, 0), or x * mask and a sum divided by F.sum(mask)"
# By name, or the beginning of one.
_WAYS = {
    "random": _NOISE,
    "sample_": _NOISE,
    "normal": _NOISE,
    "uniform": _NOISE,
    "shuffle": _NOISE,
    "Dropout": _NOISE,
    "nonzero": f"the number of elements is not known: {_MASKED}",
    "unique": f"the number of elements is not known: {_MASKED}",
    "asscalar": "a loss is traced with symbols: compute with arrays, as F.where instead of if",
    "asnumpy": "a loss is traced with symbols, which have no numbers: compute with F alone",
    "item": "a loss is traced with symbols, which have no numbers: compute with F alone",
    "tolist": "a loss is traced with symbols, which have no numbers: compute with F alone",
    "attach_grad": "gradients come from loss.value_and_grad, or lg.grad inside a body",
    "backward": "gradients come from loss.value_and_grad, or lg.grad inside a body",
    "BatchNorm": "normalization belongs to the model: give the loss what it computes",
    "RNN": "a recurrence is F.contrib.foreach",
    "Custom": "write the operation with F; F.with_gradient gives it a gradient of its own",
}


def missing(owner: str, name: str, known: Iterable[str]) -> UnknownOperatorError:
    """The error for an operator that is not there."""
    way = next((text for start, text in _WAYS.items() if name.startswith(start)), None)
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.6)
    if way is None and near:
        way = f"the nearest {'names are' if len(near) > 1 else 'name is'} {', '.join(near)}"
    return UnknownOperatorError(
        f"{owner} has no {name!r}: {way or 'the documentation lists the operators of F'}"
    )
