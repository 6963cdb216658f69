"""Losses of ``torch.nn.functional`` that say more than the classes: weights, and two distances.

Each is called as in torch and has the whole contract, as ``huber_loss.value_and_grad(input, target,
weight=weight, reduction="sum")``.
"""

from __future__ import annotations

from typing import Annotated, Any

from ..authoring.annotations import CONSTANT
from ..authoring.cautions import warn_if_unequal
from ..authoring.functions import FunctionLoss
from ..authoring.options import number, one_of, positive
from ..authoring.reductions import REDUCTIONS, reduced
from ..authoring.shapes import require_same, same
from ..losses import embedding, regression
from .base import without_last
from .embedding import cosine_similarity as _cosine

__all__ = ["cosine_similarity", "huber_loss", "l1_loss", "mse_loss", "pairwise_distance"]


def _weighed(F: Any, loss: Any, input: Any, weight: Any) -> Any:
    if weight is None:
        return loss
    require_same("weight", weight.shape, "input", input.shape)
    return loss * weight


@FunctionLoss
def l1_loss(F: Any, input: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Any:
    r"""The absolute error, weighed.

    .. math:: \ell = w |x - y|

    ``mean`` divides by the sum of the weights. Inputs: ``input`` and ``target``, any shape,
    broadcast together; ``weight``, in input's shape. Value: their shape without a reduction,
    else ().
    """
    one_of("reduction", reduction, REDUCTIONS)
    warn_if_unequal(input=input.shape, target=target.shape)
    loss = _weighed(F, regression.absolute_number(F, input - target), input, weight)
    return reduced(F, loss, reduction, weight)


@FunctionLoss
def mse_loss(F: Any, input: Any, target: Any, reduction: str = "mean", weight: Any = None) -> Any:
    r"""The squared error, weighed.

    .. math:: \ell = w (x - y)^2

    ``mean`` divides by the sum of the weights. Inputs and value as of ``l1_loss``.
    """
    one_of("reduction", reduction, REDUCTIONS)
    warn_if_unequal(input=input.shape, target=target.shape)
    loss = _weighed(F, regression.squared_error(F, input, target, 1.0), input, weight)
    return reduced(F, loss, reduction, weight)


@FunctionLoss
def huber_loss(
    F: Any,
    input: Any,
    target: Any,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Any = None,
) -> Any:
    r"""Squared for errors up to ``delta``, linear of slope ``delta`` beyond; weighed.

    .. math:: \ell = w \begin{cases} e^2 / 2 & |e| \le \delta \\
        \delta (|e| - \delta/2) & \text{else} \end{cases}, \quad e = x - y

    ``mean`` divides by the number of elements, as torch's does. Inputs and value as of
    ``l1_loss``.
    """
    one_of("reduction", reduction, REDUCTIONS)
    warn_if_unequal(input=input.shape, target=target.shape)
    loss = regression.huber_of_slope(F, target - input, positive("delta", delta))
    return reduced(F, _weighed(F, loss, input, weight), reduction)


@FunctionLoss
def pairwise_distance(
    F: Any,
    x1: Any,
    x2: Any,
    p: Annotated[float, CONSTANT] = 2.0,
    eps: float = 1e-6,
    keepdim: bool = False,
) -> Any:
    r"""The p-norm of a difference along the last axis.

    .. math:: \ell = \|x_1 - x_2 + \epsilon\|_p

    Inputs: ``x1`` and ``x2``, (..., D), broadcast together. Value: (...), or (..., 1) with
    ``keepdim``.
    """
    found = embedding.pairwise_distance(F, x1, x2, number("p", p), number("eps", eps))
    return found if keepdim else without_last(F, found)


@FunctionLoss
def cosine_similarity(F: Any, x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    r"""The cosine of the angle between vectors along an axis.

    .. math:: \ell = \frac{x_1 \cdot x_2}{\max(\|x_1\|, \epsilon) \max(\|x_2\|, \epsilon)}

    Inputs: ``x1`` and ``x2``, broadcast together. Value: their shape without the axis ``dim``.
    """
    if not len(x1.shape) + len(x2.shape):
        x1, x2 = F.reshape(x1, (1,)), F.reshape(x2, (1,))
    if not same(x1.shape, x2.shape):
        x1, x2 = x1 + F.zeros_like(x2), x2 + F.zeros_like(x1)
    found = _cosine(F, x1, x2, dim, number("eps", eps))
    return F.squeeze(found, axis=dim) if len(found.shape) > 1 else F.scalar(found)
