"""Adam and its kin."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .optimizer import Optimizer
from .options import Fractions, Rate, ascending, decayed, mixed, started


@dataclass(frozen=True)
class Adam(Optimizer):
    r"""Adam, as ``torch.optim.Adam`` (Kingma and Ba, 2015).

    With g the gradient, to which ``weight_decay`` x is added, and t the number of the step,
    m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2, then
    x = x - lr / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + eps).

    Args:
        learning_rate: lr.
        betas: b1 and b2.
        eps: what keeps the quotient finite.
        weight_decay: of the parameters, by their gradients.
        amsgrad: take the largest v of all steps (Reddi et al., 2018).
        maximize: ascend.
    """

    learning_rate: Rate = 1e-3
    betas: Fractions = (0.9, 0.999)
    eps: Rate = 1e-8
    weight_decay: Rate = 0.0
    amsgrad: bool = False
    maximize: bool = False

    elementwise = True

    @property
    def slots(self) -> tuple[str, ...]:  # type: ignore[override]
        return ("exp_avg", "exp_avg_sq") + ("max_exp_avg_sq",) * self.amsgrad

    def update(
        self, F: Any, parameter: Any, gradient: Any, step: Any, learning_rate: Any, **slots: Any
    ) -> Any:
        gradient = decayed(parameter, ascending(gradient, self.maximize), self.weight_decay)
        return self._moved(F, parameter, gradient, step, learning_rate, **slots)

    def _moved(
        self, F: Any, parameter: Any, gradient: Any, step: Any, learning_rate: Any, **slots: Any
    ) -> Any:
        first, second = self.betas
        mean = mixed(slots["exp_avg"], gradient, first)
        square = mixed(slots["exp_avg_sq"], F.square(gradient), second)
        kept: tuple[Any, ...] = (mean, square)
        if self.amsgrad:
            kept = (mean, square, F.maximum(slots["max_exp_avg_sq"], square))
        # Numerator and denominator times the root, a number: one pass over the arrays fewer.
        root = F.sqrt(started(F, second, step))
        rate = learning_rate * root / started(F, first, step)
        return parameter - rate * mean / (F.sqrt(kept[-1]) + self.eps * root), *kept


@dataclass(frozen=True)
class AdamW(Adam):
    r"""Adam with decoupled weight decay, as ``torch.optim.AdamW`` (Loshchilov and Hutter, 2019).

    x = (1 - lr ``weight_decay``) x before the step of ``Adam``, whose gradient has no decay.

    Args:
        learning_rate: lr.
        betas: b1 and b2.
        eps: what keeps the quotient finite.
        weight_decay: of the parameters themselves.
        amsgrad: take the largest v of all steps (Reddi et al., 2018).
        maximize: ascend.
    """

    weight_decay: Rate = 0.01

    def update(
        self, F: Any, parameter: Any, gradient: Any, step: Any, learning_rate: Any, **slots: Any
    ) -> Any:
        if self.weight_decay:
            parameter = parameter * (1 - learning_rate * self.weight_decay)
        gradient = ascending(gradient, self.maximize)
        return self._moved(F, parameter, gradient, step, learning_rate, **slots)
