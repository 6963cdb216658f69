"""The losses of ``torch.nn`` for real targets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from ..authoring.annotations import Number
from ..authoring.cautions import warn_if_both_stretch, warn_if_unequal
from ..authoring.options import is_zero, number, positive, require_above
from ..authoring.shapes import Shape, broadcasts, same
from ..authoring.signature import Domain, Role
from ..errors import InputError
from ..losses import regression
from ..runtime.arrays import can_read, detached, to_numpy
from .base import Loss

_Rate = Annotated[Any, Role(domain=Domain(low=0.0, when=lambda given: not given["log_input"]))]


class L1Loss(Loss):
    r"""The absolute error.

    .. math:: \ell = |x - y|

    Inputs: ``input`` and ``target``, any shape, broadcast together. Value: their shape without a
    reduction, else ().

    Args:
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.
        **deprecated: torch's ``size_average`` and ``reduce``, None: ``reduction`` replaces them.
    """

    def hybrid_forward(self, F: Any, input: Any, target: Any) -> Any:
        warn_if_unequal(input=input.shape, target=target.shape)
        return self._reduce(F, regression.absolute_number(F, input - target))


class MSELoss(Loss):
    r"""The squared error.

    .. math:: \ell = (x - y)^2

    Inputs: ``input`` and ``target``, any shape, broadcast together. Value: their shape without a
    reduction, else ().

    Args:
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.
        **deprecated: torch's ``size_average`` and ``reduce``, None: ``reduction`` replaces them.
    """

    def hybrid_forward(self, F: Any, input: Any, target: Any) -> Any:
        warn_if_unequal(input=input.shape, target=target.shape)
        return self._reduce(F, regression.squared_error(F, input, target, 1.0))


class SmoothL1Loss(Loss):
    r"""Squared for errors up to ``beta``, linear of slope 1 beyond.

    .. math:: \ell = \begin{cases} e^2 / 2\beta & |e| \le \beta \\ |e| - \beta/2 & \text{else}
        \end{cases}, \quad e = x - y

    Inputs: ``input`` and ``target``, any shape, broadcast together. Value: their shape without a
    reduction, else ().

    Args:
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.
        beta: the largest error whose loss is quadratic; 0 makes it ``L1Loss``.
        **deprecated: torch's ``size_average`` and ``reduce``, None: ``reduction`` replaces them.

    Source: Girshick (2015), ICCV.
    """

    def __init__(self, *, reduction: str = "mean", beta: float = 1.0, **deprecated: Any) -> None:
        super().__init__(reduction, **deprecated)
        self.beta = number("beta", beta)
        require_above("beta", self.beta, 0, closed=True)

    def hybrid_forward(self, F: Any, input: Any, target: Any) -> Any:
        warn_if_unequal(input=input.shape, target=target.shape)
        if is_zero(self.beta):
            return self._reduce(F, regression.absolute_number(F, input - target))
        return self._reduce(F, regression.huber(F, target - input, self.beta))


class HuberLoss(Loss):
    r"""Squared for errors up to ``delta``, linear of slope ``delta`` beyond.

    .. math:: \ell = \begin{cases} e^2 / 2 & |e| \le \delta \\
        \delta (|e| - \delta/2) & \text{else} \end{cases}, \quad e = x - y

    Inputs: ``input`` and ``target``, any shape, broadcast together. Value: their shape without a
    reduction, else ().

    Args:
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.
        delta: the largest error whose loss is quadratic, above 0.

    Source: Huber (1964), Ann. Math. Statist. 35(1).
    """

    def __init__(self, reduction: str = "mean", delta: float = 1.0) -> None:
        super().__init__(reduction)
        self.delta = positive("delta", delta)

    def hybrid_forward(self, F: Any, input: Any, target: Any) -> Any:
        warn_if_unequal(input=input.shape, target=target.shape)
        return self._reduce(F, regression.huber_of_slope(F, target - input, self.delta))


class PoissonNLLLoss(Loss):
    r"""Negative log-likelihood of counts under a predicted rate.

    .. math:: \ell = e^x - y x \quad\text{or}\quad x - y \log(x + \epsilon)

    Inputs: ``input`` and ``target``, any shape, broadcast together. Value: their shape without a
    reduction, else ().

    Args:
        log_input: whether ``input`` is the logarithm of the rate.
        full: whether to add Stirling's approximation of ``log(y!)``, for targets above 1.
        eps: what is added to the rate inside the logarithm.
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.
        **deprecated: torch's ``size_average`` and ``reduce``, None: ``reduction`` replaces them.
    """

    def __init__(
        self,
        log_input: bool = True,
        full: bool = False,
        *,
        eps: float = 1e-8,
        reduction: str = "mean",
        **deprecated: Any,
    ) -> None:
        super().__init__(reduction, **deprecated)
        self.log_input = bool(log_input)
        self.full = bool(full)
        self.eps = number("eps", eps)

    def hybrid_forward(self, F: Any, input: _Rate, target: Any) -> Any:
        warn_if_both_stretch({"input": input.shape, "target": target.shape})
        counts = F.cast(target, dtype=input.dtype)
        loss = regression.poisson_nll(F, input, counts, self.log_input, self.eps)
        if self.full:
            loss = loss + regression.log_factorial(F, counts)
        return self._reduce(F, loss)


class GaussianNLLLoss(Loss):
    r"""Negative log-likelihood of a normal distribution by its mean and variance.

    .. math:: \ell = \tfrac12 \log v + \frac{(x - y)^2}{2 v}, \quad v = \max(\sigma^2, \epsilon)

    Inputs: ``input`` and ``target``, any shape, broadcast together; ``var``, in input's shape, with
    lengths of 1 in it, without its last axis, or one number, and not negative. Value: input's shape
    without a reduction, else ().

    Args:
        full: whether to add ``log(2 pi)/2``.
        eps: the least variance; a smaller one counts as it, and has no gradient (torch's has).
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.

    Source: Nix, Weigend (1994), ICNN.
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: str = "mean") -> None:
        super().__init__(reduction)
        self.full = bool(full)
        self.eps = positive("eps", eps)

    def prepare(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """Negative variances are refused; a graph, which cannot, takes them for ``eps``."""
        var = arrays.get("var")
        if var is not None and can_read(var) and (to_numpy("var", detached(var)) < 0).any():
            raise InputError("var: a variance is negative")
        return dict(arrays)

    def require_shapes(self, shapes: Mapping[str, Shape]) -> None:
        input, var = shapes["input"], shapes["var"]
        aligned = len(var) in (0, len(input)) and broadcasts(var, input)
        if not aligned and not same(var, input[:-1]):
            raise InputError(
                f"var: expected the shape of input, {tuple(input)}, with lengths of 1 in it, "
                f"or without its last axis, got {tuple(var)}"
            )

    def hybrid_forward(self, F: Any, input: Any, target: Any, var: Number) -> Any:
        warn_if_both_stretch({"input": input.shape, "target": target.shape})
        if len(var.shape) < len(input.shape):  # one for each sample, or one number
            var = F.reshape(var, (*var.shape, 1))
        loss = regression.gaussian_nll(F, input, target, F.cast(var, dtype=input.dtype), self.eps)
        return self._reduce(F, loss + 0.5 * math.log(2 * math.pi) if self.full else loss)
