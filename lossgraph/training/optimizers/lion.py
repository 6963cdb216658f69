"""Lion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .optimizer import Optimizer
from .options import Fractions, Rate, ascending, mixed


@dataclass(frozen=True)
class Lion(Optimizer):
    r"""Lion (Chen et al., 2023, algorithm 2).

    With g the gradient, u = sign(b1 m + (1 - b1) g), m = b2 m + (1 - b2) g, then
    x = x - lr (u + ``weight_decay`` x).

    Args:
        learning_rate: lr; about a tenth of what AdamW is given.
        betas: b1 and b2.
        weight_decay: of the parameters themselves; about ten times that of AdamW.
        maximize: ascend.
    """

    learning_rate: Rate = 1e-4
    betas: Fractions = (0.9, 0.99)
    weight_decay: Rate = 0.0
    maximize: bool = False

    elementwise = True
    slots = ("exp_avg",)

    def update(
        self, F: Any, parameter: Any, gradient: Any, step: Any, learning_rate: Any, **slots: Any
    ) -> Any:
        gradient = ascending(gradient, self.maximize)
        move = F.sign(mixed(slots["exp_avg"], gradient, self.betas[0]))
        if self.weight_decay:
            parameter = parameter * (1 - learning_rate * self.weight_decay)
        return parameter - learning_rate * move, mixed(slots["exp_avg"], gradient, self.betas[1])
