"""Stochastic gradient descent."""

from __future__ import annotations

from typing import Any

from .optimizer import Optimizer


class SGD(Optimizer):
    r"""Gradient descent with momentum, as ``torch.optim.SGD``.

    b = m b + g, then x = x - lr b.
    """

    slots = ("momentum_buffer",)

    def __init__(self, learning_rate: float = 1e-3, momentum: float = 0.0) -> None:
        self.learning_rate = learning_rate
        self.momentum = momentum

    def update(
        self, F: Any, parameter: Any, gradient: Any, step: Any, learning_rate: Any, **slots: Any
    ) -> Any:
        buffer = self.momentum * slots["momentum_buffer"] + gradient
        return parameter - learning_rate * buffer, buffer
