"""optax's divergences, Fenchel-Young and ranking losses; the mathematics is in ``losses``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..authoring.annotations import NonNegative
from ..authoring.options import require_callable
from ..errors import InputError
from ..losses import classification, distribution, margin
from ..losses.axes import Axis, chosen, spread, total
from ..losses.limits import broadcast_all

Reduce = Callable[..., Any]


def kl_divergence(
    F: Any, log_predictions: Any, targets: NonNegative, axis: Axis = -1, where: Any = None
) -> Any:
    r"""The Kullback-Leibler divergence of a true from a predicted distribution.

    .. math:: \ell = \sum_c y_c (\log y_c - \log p_c)

    Predictions, as log-probabilities, and targets, as probabilities, (.., classes); the axis or
    axes go. ``where`` has the classes that count. A target of 0 adds nothing, and there is no
    derivative by it (NaN).

    Source: Kullback, Leibler (1951), Annals of Mathematical Statistics 22(1).
    """
    own = F.masked_mul(targets, F.log(targets))
    return total(F, own - F.masked_mul(targets, log_predictions), axis, where)


def kl_divergence_with_log_targets(
    F: Any, log_predictions: Any, log_targets: Any, axis: Axis = -1, where: Any = None
) -> Any:
    r"""The Kullback-Leibler divergence of a true from a predicted distribution, of both logarithms.

    .. math:: \ell = \sum_c e^{t_c} (t_c - \log p_c)

    Inputs and options as ``kl_divergence``. A log-target of -inf adds nothing
    and has the gradient 0 (in optax both are NaN).

    Source: Kullback, Leibler (1951), Annals of Mathematical Statistics 22(1).
    """
    inputs = broadcast_all(F, log_predictions, log_targets)
    terms = distribution.log_kl_divergence(F, *inputs)
    return total(F, terms, axis, where)


def generalized_kl_divergence(
    F: Any, log_predictions: Any, targets: NonNegative, axis: Axis = -1, where: Any = None
) -> Any:
    r"""The Kullback-Leibler divergence of measures, which need not sum to one.

    .. math:: \ell = \sum_c y_c (\log y_c - \log p_c) + p_c - y_c

    Inputs and options as ``kl_divergence``, but a log-prediction of -inf gives NaN, as in optax.
    """
    terms = distribution.generalized_entropy(F, log_predictions, targets)
    return total(F, terms, axis, where)


def convex_kl_divergence(
    F: Any, log_predictions: Any, targets: NonNegative, axis: Axis = -1, where: Any = None
) -> Any:
    r"""The former name of ``generalized_kl_divergence``.

    .. math:: \ell = \sum_c y_c (\log y_c - \log p_c) + p_c - y_c

    Inputs and options as ``generalized_kl_divergence``.
    """
    return generalized_kl_divergence(F, log_predictions, targets, axis, where)


def make_fenchel_young_loss(
    F: Any, scores: Any, targets: Any, max_fun: str | margin.MaxFunction = "logsumexp"
) -> Any:
    r"""The loss of a regularized maximum: ``make_fenchel_young_loss(max_fun)`` is a loss.

    .. math:: \ell = \Omega^*(s) - \langle y, s \rangle

    Scores and targets (.., n); the last axis goes. ``max_fun`` is ``logsumexp``, ``max``,
    ``half_squared_norm`` or ``sum_softplus``, or a function ``max_fun(F, scores)`` with a value for
    each vector. Called with scores and targets it is the loss at once.

    Source: Blondel, Martins, Niculae (2020), arXiv:1901.02324.
    """
    return margin.fenchel_young(F, scores, targets, max_fun)


def ranking_softmax_loss(
    F: Any,
    logits: Any,
    labels: Any,
    *,
    where: Any = None,
    weights: Any = None,
    reduce_fn: str | Reduce | None = "mean",
) -> Any:
    r"""Cross-entropy of the scores of a list's items against their relevance.

    .. math:: \ell = -\sum_i w_i y_i \log \frac{e^{s_i}}{\sum_j e^{s_j}}

    Logits, labels, weights and ``where``, the items that count, (.., items). ``reduce_fn`` is
    ``mean`` (of the lists that have items, 0 if none has), ``sum``, ``none`` or None, or a
    function ``reduce_fn(F, loss, where)``.

    Source: Xia et al. (2008), ICML.
    """
    loss = classification.ranking_softmax(F, logits, labels, where, weights)
    lists = None if where is None else F.max(where, axis=-1, keepdims=True) != 0
    lists = F.ones_like(loss) if lists is None else spread(F, total(F, lists, -1), loss)
    if callable(reduce_fn) and reduce_fn not in (np.mean, np.sum):
        require_callable("reduce_fn", reduce_fn, "F, loss, where")
        return reduce_fn(F, loss, lists)
    return _reduced(F, loss, lists, getattr(reduce_fn, "__name__", reduce_fn))


def _reduced(F: Any, loss: Any, lists: Any, name: Any) -> Any:
    if name is not None and not (isinstance(name, str) and name in ("mean", "sum", "none")):
        raise InputError(
            f"reduce_fn: expected 'mean', 'sum', 'none', None or a function, got {name!r}"
        )
    kept = chosen(F, lists, loss, 0.0)
    if name in ("none", None):
        return kept
    whole = total(F, kept, None)
    return whole if name == "sum" else whole / F.maximum(total(F, lists, None), 1.0)
