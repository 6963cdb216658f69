"""What is to happen in a step, as ``build`` was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .optimizers import Optimizer
from .scaling import LossScale


@dataclass(frozen=True)
class Plan:
    """How the gradients of batches move parameters.

    Attributes:
        main: the optimizer whose learning rate is the input.
        optimizers: that of each parameter, by its name.
        clip_value: the largest size of an element of a gradient; None for any.
        clip_norm: the largest norm of all gradients together; None for any.
        accumulate: the batches whose mean gradients make a step.
        precision: the dtype of heavy operations; None for that of the model.
        scale: how the loss is scaled; None if it is not.
    """

    main: Optimizer
    optimizers: Mapping[str, Optimizer]
    clip_value: float | None = None
    clip_norm: float | None = None
    accumulate: int = 1
    precision: str | None = None
    scale: LossScale | None = None
