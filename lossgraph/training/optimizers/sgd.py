"""Stochastic gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ...errors import InputError
from .optimizer import Optimizer
from .options import Rate, ascending, decayed


@dataclass(frozen=True)
class SGD(Optimizer):
    r"""Gradient descent with momentum, as ``torch.optim.SGD``.

    With g the gradient, to which ``weight_decay`` x is added,
    b = m b + (1 - dampening) g, and b = g in the first step; then x = x - lr b.
    With ``nesterov``, x = x - lr (g + m b) (Sutskever et al., 2013).

    Args:
        learning_rate: lr.
        momentum: m; without it nothing is kept.
        dampening: of the gradients after the first.
        weight_decay: of the parameters, by their gradients.
        nesterov: look ahead; with momentum and without dampening.
        maximize: ascend.
    """

    learning_rate: Rate = 1e-3
    momentum: Rate = 0.0
    dampening: float = 0.0
    weight_decay: Rate = 0.0
    nesterov: bool = False
    maximize: bool = False

    elementwise = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.nesterov and (not self.momentum or self.dampening):
            raise InputError(
                f"SGD: nesterov goes with a momentum and without dampening, which are "
                f"{self.momentum} and {self.dampening}"
            )

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("momentum_buffer",) if self.momentum else ()

    def update(
        self, F: Any, parameter: Any, gradient: Any, step: Any, learning_rate: Any, **slots: Any
    ) -> Any:
        gradient = decayed(parameter, ascending(gradient, self.maximize), self.weight_decay)
        if not self.momentum:
            return parameter - learning_rate * gradient
        kept = self.momentum * slots["momentum_buffer"]
        buffer = kept + (1 - self.dampening) * gradient if self.dampening else kept + gradient
        if self.dampening:
            buffer = F.where(step == 1, gradient, buffer)
        move = gradient + self.momentum * buffer if self.nesterov else buffer
        return parameter - learning_rate * move, buffer
