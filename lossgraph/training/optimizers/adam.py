"""Adam and its kin."""

from __future__ import annotations

from typing import Any

from .optimizer import Optimizer


class AdamW(Optimizer):
    r"""Adam with decoupled weight decay, as ``torch.optim.AdamW`` (Loshchilov and Hutter, 2019)."""

    slots = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        learning_rate: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.01,
    ) -> None:
        self.learning_rate = learning_rate
        self.betas = betas
        self.eps = eps
        self.weight_decay = weight_decay

    def update(
        self, F: Any, parameter: Any, gradient: Any, step: Any, learning_rate: Any, **slots: Any
    ) -> Any:
        first, second = self.betas
        mean = first * slots["exp_avg"] + (1 - first) * gradient
        square = second * slots["exp_avg_sq"] + (1 - second) * F.square(gradient)
        rate = learning_rate / (1 - first**step)
        scale = F.sqrt(square) / F.sqrt(1 - second**step) + self.eps
        decayed = parameter * (1 - learning_rate * self.weight_decay)
        return decayed - rate * mean / scale, mean, square
