"""Gluon's losses of real targets and of counts."""

from __future__ import annotations

from typing import Annotated, Any

from ...authoring.options import number, positive
from ...authoring.signature import Domain, Role
from ...losses import regression
from .base import Loss, matched

_Rate = Annotated[Any, Role(domain=Domain(low=0.0, when=lambda given: not given["from_logits"]))]


class L2Loss(Loss):
    r"""Half the mean squared error.

    .. math:: \ell = \frac{w}{2} \operatorname{mean}\, (y - x)^2

    Inputs: ``pred``, any shape; ``label``, as many elements; ``sample_weight``. Value: (N,).

    Args:
        weight: a number that multiplies the loss, or None.
        batch_axis: the axis of samples, which is not averaged over.
        **kwargs: Gluon's ``prefix`` and ``params``, which have no effect.
    """

    def __init__(self, weight: float | None = 1.0, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        target = matched(F, "label", label, "pred", pred)
        return self._average(F, regression.squared_error(F, pred, target), sample_weight, label)


class L1Loss(Loss):
    r"""The mean absolute error.

    .. math:: \ell = w \operatorname{mean}\, |y - x|

    Inputs: ``pred``, any shape; ``label``, as many elements; ``sample_weight``. Value: (N,).

    Args:
        weight: a number that multiplies the loss, or None.
        batch_axis: the axis of samples, which is not averaged over.
        **kwargs: Gluon's ``prefix`` and ``params``, which have no effect.
    """

    def __init__(self, weight: float | None = None, batch_axis: int = 0, **kwargs: Any) -> None:
        super().__init__(weight, batch_axis, **kwargs)

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        target = matched(F, "label", label, "pred", pred)
        return self._average(F, regression.absolute_error(F, pred, target), sample_weight, label)


class HuberLoss(Loss):
    r"""Squared for errors up to ``rho``, linear of slope 1 beyond.

    .. math:: \ell = w \operatorname{mean} \begin{cases} e^2 / 2\rho & |e| \le \rho \\
        |e| - \rho/2 & \text{else} \end{cases}, \quad e = y - x

    Inputs: ``pred``, any shape; ``label``, as many elements; ``sample_weight``. Value: (N,).

    Args:
        rho: the largest error whose loss is quadratic, above 0.
        weight: a number that multiplies the loss, or None.
        batch_axis: the axis of samples, which is not averaged over.
        **kwargs: Gluon's ``prefix`` and ``params``, which have no effect.

    Source: Huber (1964), Ann. Math. Statist. 35(1).
    """

    def __init__(
        self, rho: float = 1, weight: float | None = None, batch_axis: int = 0, **kwargs: Any
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._rho = positive("rho", rho)

    def hybrid_forward(self, F: Any, pred: Any, label: Any, sample_weight: Any = None) -> Any:
        error = matched(F, "label", label, "pred", pred) - pred
        return self._average(F, regression.huber(F, error, self._rho), sample_weight, label)


class PoissonNLLLoss(Loss):
    r"""Negative log-likelihood of counts under a predicted rate.

    .. math:: \ell = w \operatorname{mean}\left[e^x - t x\right]
        \quad\text{or}\quad w \operatorname{mean}\left[x - t \log(x + \epsilon)\right]

    Inputs: ``pred``, any shape; ``target``, as many elements; ``sample_weight``; ``epsilon``, a
    number, here or in the constructor. Value: (1,).

    Args:
        weight: a number that multiplies the loss, or None.
        from_logits: whether ``pred`` is the logarithm of the rate, rather than the rate.
        batch_axis: without effect: there is one mean over everything.
        compute_full: whether to add Stirling's approximation of ``log(t!)``, for targets above 1.
        epsilon: what is added to the rate inside the logarithm.
        **kwargs: Gluon's ``prefix`` and ``params``, which have no effect.
    """

    def __init__(
        self,
        weight: float | None = None,
        from_logits: bool = True,
        batch_axis: int = 0,
        compute_full: bool = False,
        epsilon: float = 1e-8,
        **kwargs: Any,
    ) -> None:
        super().__init__(weight, batch_axis, **kwargs)
        self._from_logits = bool(from_logits)
        self._compute_full = bool(compute_full)
        self._epsilon = number("epsilon", epsilon)

    def hybrid_forward(
        self,
        F: Any,
        pred: _Rate,
        target: Any,
        sample_weight: Any = None,
        epsilon: float | None = None,
    ) -> Any:
        counts = F.cast(matched(F, "target", target, "pred", pred), dtype=pred.dtype)
        eps = self._epsilon if epsilon is None else number("epsilon", epsilon)
        loss = regression.poisson_nll(F, pred, counts, self._from_logits, eps)
        if self._compute_full:
            loss = loss + regression.log_factorial(F, counts)
        return F.mean(self._weigh(F, loss, sample_weight, target))
