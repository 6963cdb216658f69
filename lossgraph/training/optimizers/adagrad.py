"""Optimizers that divide by the root of squared gradients, without a mean of the gradients."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .optimizer import Optimizer
from .options import Fraction, Rate, ascending, decayed, mixed


@dataclass(frozen=True)
class Adagrad(Optimizer):
    r"""Adagrad, as ``torch.optim.Adagrad`` (Duchi et al., 2011).

    With g the gradient, to which ``weight_decay`` x is added, and t the number of the step,
    s = s + g^2, then x = x - lr / (1 + (t - 1) ``lr_decay``) g / (sqrt(s) + eps).

    Args:
        learning_rate: lr.
        lr_decay: how the rate falls with the steps.
        weight_decay: of the parameters, by their gradients.
        initial_accumulator_value: s in the beginning.
        eps: what keeps the quotient finite.
        maximize: ascend.
    """

    learning_rate: Rate = 1e-2
    lr_decay: Rate = 0.0
    weight_decay: Rate = 0.0
    initial_accumulator_value: Rate = 0.0
    eps: Rate = 1e-10
    maximize: bool = False

    elementwise = True

    @property
    def slots(self) -> Mapping[str, float]:  # type: ignore[override]
        return {"sum": self.initial_accumulator_value}

    def update(
        self, F: Any, parameter: Any, gradient: Any, step: Any, learning_rate: Any, **slots: Any
    ) -> Any:
        gradient = decayed(parameter, ascending(gradient, self.maximize), self.weight_decay)
        total = slots["sum"] + F.square(gradient)
        rate = learning_rate / (1 + (step - 1) * self.lr_decay) if self.lr_decay else learning_rate
        return parameter - rate * gradient / (F.sqrt(total) + self.eps), total


@dataclass(frozen=True)
class RMSprop(Optimizer):
    r"""RMSprop, as ``torch.optim.RMSprop`` (Hinton, 2012; centered: Graves, 2013).

    With g the gradient, to which ``weight_decay`` x is added,
    s = a s + (1 - a) g^2, u = g / (sqrt(s) + eps), then x = x - lr u.
    ``centered`` takes the square of a moving average of g from s under the root; ``momentum`` m
    has b = m b + u and x = x - lr b.

    Args:
        learning_rate: lr.
        alpha: a.
        eps: what keeps the quotient finite.
        weight_decay: of the parameters, by their gradients.
        momentum: m.
        centered: divide by the deviation of the gradients, not by their size.
        maximize: ascend.
    """

    learning_rate: Rate = 1e-2
    alpha: Fraction = 0.99
    eps: Rate = 1e-8
    weight_decay: Rate = 0.0
    momentum: Rate = 0.0
    centered: bool = False
    maximize: bool = False

    elementwise = True

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        with_mean = ("square_avg", "grad_avg") if self.centered else ("square_avg",)
        return with_mean + ("momentum_buffer",) * bool(self.momentum)

    def update(
        self, F: Any, parameter: Any, gradient: Any, step: Any, learning_rate: Any, **slots: Any
    ) -> Any:
        gradient = decayed(parameter, ascending(gradient, self.maximize), self.weight_decay)
        kept = [mixed(slots["square_avg"], F.square(gradient), self.alpha)]
        spread = kept[0]
        if self.centered:
            kept.append(mixed(slots["grad_avg"], gradient, self.alpha))
            spread = spread - F.square(kept[1])
        move = gradient / (F.sqrt(spread) + self.eps)
        if self.momentum:
            move = self.momentum * slots["momentum_buffer"] + move
            kept.append(move)
        return parameter - learning_rate * move, *kept
