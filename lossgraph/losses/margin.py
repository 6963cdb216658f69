"""Losses of scores against one class: how far it is from being the best by a margin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..authoring.options import require_callable
from ..errors import InputError
from .axes import total

MaxFunction = Callable[[Any, Any], Any]


def multiclass_hinge(F: Any, scores: Any, labels: Any, margin: float = 1.0) -> Any:
    r"""How far the score of the labelled class falls short of the best other one and a margin.

    .. math:: \ell = \max_c \left(s_c + m [c \ne y]\right) - s_y

    Scores (.., classes), labels (..). Equal maxima share the gradient. With ``margin=0`` it is the
    perceptron's loss.

    Source: Crammer, Singer (2001), JMLR 2.
    """
    own = F.pick(scores, labels, axis=-1, keepdims=True, mode="raise")
    other = 1 - F.one_hot(labels, scores.shape[-1], dtype=scores.dtype)
    return total(F, F.max(scores - own + margin * other, axis=-1, keepdims=True), -1)


def sparsemax(F: Any, scores: Any, labels: Any) -> Any:
    r"""The loss of the projection of scores to the simplex.

    .. math:: \ell = \sum_c p_c (s_c - s_y) + \tfrac12 (1 - \|p\|^2), \quad
        p = \operatorname{argmin}_{p \in \Delta} \|p - s\|^2

    Scores (.., classes), labels (..). Zero where the score of the class leads by 1 or more.

    Source: Martins, Astudillo (2016), arXiv:1602.02068.
    """
    own = F.pick(scores, labels, axis=-1, keepdims=True, mode="raise")
    probs = simplex_projection(F, scores - F.max(scores, axis=-1, keepdims=True))
    gain = F.masked_mul(F.stop_gradient(probs), scores - own)
    value = total(F, gain - 0.5 * F.square(probs), -1, keepdims=True) + 0.5
    hot = F.one_hot(labels, scores.shape[-1], dtype=scores.dtype)
    # p is where the sum is largest: what moves it changes nothing
    return total(F, F.with_gradient(value, [scores], [probs - hot]), -1)


def simplex_projection(F: Any, x: Any) -> Any:
    """The nearest distribution to each vector along the last axis: what is above a threshold.

    The threshold is found by order, as Held, Wolfe, Crowder (1974) do; its derivative is that of
    the mean of what is above it.
    """
    ordered = F.sort(F.stop_gradient(x), axis=-1, is_ascend=False)
    ranks = F.cumsum(F.ones_like(ordered), axis=-1)
    leading = ranks * ordered > F.cumsum(ordered, axis=-1) - 1
    above = F.stop_gradient(x) > _threshold(F, ordered, leading)
    return F.relu(x - _threshold(F, x, above))


def _threshold(F: Any, x: Any, above: Any) -> Any:
    """The threshold above which the elements, each less the threshold, sum to 1."""
    count = F.sum(above, axis=-1, keepdims=True)
    return (F.sum(F.masked_mul(above, x), axis=-1, keepdims=True) - 1) / count


def fenchel_young(
    F: Any, scores: Any, targets: Any, max_fun: str | MaxFunction = "logsumexp"
) -> Any:
    r"""The loss of a regularized maximum, whose gradient is the prediction minus the target.

    .. math:: \ell = \Omega^*(s) - \langle y, s \rangle

    Scores and targets (.., n); the last axis goes.

    Args:
        F: the operators.
        scores: any scores.
        targets: their targets.
        max_fun: the function of the scores: ``logsumexp``, ``max``, ``half_squared_norm``,
            ``sum_softplus``, or ``max_fun(F, scores)`` with a value for each vector.

    Source: Blondel, Martins, Niculae (2020), arXiv:1901.02324.
    """
    function = max_fun if callable(max_fun) else _named(max_fun)
    require_callable("max_fun", function, "F, scores")
    best = F.reshape_like(function(F, scores), total(F, scores, -1))
    return best - total(F, F.masked_mul(targets, scores), -1)


MAX_FUNCTIONS: dict[str, MaxFunction] = {
    "half_squared_norm": lambda F, s: 0.5 * F.sum(F.square(s), axis=-1),
    "logsumexp": lambda F, s: F.logsumexp(s, axis=-1),
    "max": lambda F, s: F.max(s, axis=-1),
    "sum_softplus": lambda F, s: F.sum(F.softrelu(s), axis=-1),
}


def _named(name: str) -> MaxFunction:
    if not isinstance(name, str) or name not in MAX_FUNCTIONS:
        raise InputError(
            f"max_fun: expected one of {tuple(MAX_FUNCTIONS)} or a function of F and scores, "
            f"got {name!r}"
        )
    return MAX_FUNCTIONS[name]
