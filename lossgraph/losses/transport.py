"""Losses of optimal transport: the cost of moving one distribution into another."""

from __future__ import annotations

import math
from typing import Any

from ..authoring.annotations import NonNegative
from ..authoring.options import integer, is_number, require_above
from ..authoring.shapes import require_rank, require_shape
from ..symbolic.symbol import same_size
from .limits import finite, safe_div
from .pairs import HIDDEN

_LARGEST = 80.0  # of which the exponential is finite in float32


def wasserstein_1d(
    F: Any,
    x: Any,
    y: Any,
    x_weight: Any = None,
    y_weight: Any = None,
    p: float = 1.0,
) -> Any:
    r"""The optimal cost of transport on a line, from samples, which may have weights.

    .. math:: \ell = W_p^p = \int_0^1 |X(q) - Y(q)|^p\, dq

    with the quantiles X and Y. Without the p-th root, whose derivative is infinite where the
    distributions are the same. Weights need not sum to 1.

    ``x``: (N, A), ``x_weight`` alike; ``y``: (N, B), ``y_weight`` alike. Value: (N,).

    Source: Ramdas, Garcia and Cuturi (2017), Entropy 19, arXiv:1509.02237.
    """
    require_above("p", p, 1, closed=True)
    require_rank("x", x.shape, 2)
    require_shape("y", y.shape, (x.shape[0], None))
    if x_weight is None and y_weight is None and same_size(x.shape[1], y.shape[1]):
        return F.mean(_power(F, F.sort(x, axis=1) - F.sort(y, axis=1), p), axis=1)
    (x, x_from, x_to), (y, y_from, y_to) = (
        _quantiles(F, name, values, weight)
        for name, values, weight in (("x_weight", x, x_weight), ("y_weight", y, y_weight))
    )
    # Mass moves between the quantiles that two samples share: the optimal plan on a line.
    x, x_from, x_to = (F.expand_dims(z, axis=2) for z in (x, x_from, x_to))
    y, y_from, y_to = (F.expand_dims(z, axis=1) for z in (y, y_from, y_to))
    begin, end = F.broadcast_maximum(x_from, y_from), F.broadcast_minimum(x_to, y_to)
    return F.sum(F.relu(end - begin) * _power(F, F.broadcast_sub(x, y), p), axis=(1, 2))


def wasserstein_histogram(F: Any, pred: Any, target: Any, p: float = 1.0) -> Any:
    r"""The optimal cost of transport between histograms, whose bins lie at 0, 1, 2 and so on.

    .. math:: \ell = W_p^p, \quad W_1 = \sum_k \Big|\sum_{c \le k} (a_c - b_c)\Big|

    Masses are taken as shares of their sums.

    ``pred``, ``target``: masses, 0 and more, (N, C). Value: (N,).

    Source: Ramdas, Garcia and Cuturi (2017), Entropy 19, arXiv:1509.02237.
    """
    require_above("p", p, 1, closed=True)
    require_rank("pred", pred.shape, 2)
    require_shape("target", target.shape, pred.shape)
    if is_number(p) and p == 1:
        shares = [x / F.sum(x, axis=1, keepdims=True) for x in (pred, target)]
        return F.sum(F.abs(F.cumsum(shares[0] - shares[1], axis=1)), axis=1)
    bins = F.zeros_like(pred) + F.arange(pred.shape[1], dtype=pred.dtype)
    return wasserstein_1d(F, bins, bins, pred, target, p=p)


def sinkhorn(
    F: Any,
    cost: Any,
    source: NonNegative = None,
    target: NonNegative = None,
    epsilon: float = 0.1,
    iterations: int = 100,
) -> Any:
    r"""The cost of the entropic plan of transport, by Sinkhorn's iterations.

    .. math:: \ell = \langle P, C \rangle, \quad P = \operatorname{argmin}_P \langle P, C \rangle
        + \epsilon D_{KL}(P \,\|\, a b^\top), \quad P 1 = a,\ P^\top 1 = b

    In logarithms, so that a small epsilon does not underflow, and from a large epsilon down to
    what is asked for. Where the iterations do not suffice, the plan is made one of the masses
    asked for: a value is never below the cost of the best plan. A hundred iterations are right
    to a few hundredths of ``epsilon`` where that is at least a hundredth of the range of the
    costs; a smaller one wants more. The gradient is that of the plan after so many iterations.
    No mass moves where the cost is infinite.

    ``cost``: (N, A, B); ``source``: masses (N, A); ``target``: masses (N, B) of the same sum;
    uniform by default. Value: (N,).

    Source: Cuturi (2013), NeurIPS, arXiv:1306.0895.
    """
    require_above("epsilon", epsilon, 0)
    iterations = integer("iterations", iterations, least=1)
    require_rank("cost", cost.shape, 3)
    a, b = (
        _masses(F, name, masses, cost, axis)
        for name, masses, axis in (("source", source, 2), ("target", target, 1))
    )

    def rows(columns: Any, step: Any) -> Any:
        return -step * _log_mean(F, (columns - cost) / step, b, axis=2)

    def update(share: Any, columns: Any) -> Any:
        step = start * F.exp(F.cast(share, cost.dtype) * reach)
        return [], -step * _log_mean(F, (rows(columns, step) - cost) / step, a, axis=1)

    # Potentials move by about epsilon in an iteration: from the range of the costs it comes down
    # to what is asked for, in equal factors, and stays there for the second half.
    possible = cost < math.inf
    size = F.max(F.where(possible, cost, F.zeros_like(cost) - math.inf), axis=(1, 2), keepdims=True)
    size = size - F.min(cost, axis=(1, 2), keepdims=True)
    start = F.zeros_like(size) + epsilon
    reach = F.log(F.stop_gradient(F.maximum(finite(F, size) / start, 1.0)))
    falling = max(iterations // 2, 1)
    shares = [[max(0.0, 1 - k / falling)] for k in range(1, iterations + 1)]
    _, columns = F.contrib.foreach(update, F.array(shares), F.zeros_like(b))
    plan = _rounded(F, F.exp((rows(columns, start) + columns - cost) / start), a, b)
    return F.sum(plan * F.where(possible, cost, F.zeros_like(cost)), axis=(1, 2))


def _rounded(F: Any, density: Any, a: Any, b: Any) -> Any:
    """A plan of these masses near ``a b density``: Altschuler, Weed, Rigollet (2017).

    What a row or a column has too much is taken from it, and what is missing then goes from all
    rows that lack to all columns that do. How much too much is read off the densities, which a
    mass of 0 has too, so that there is a derivative by it.
    """
    for axis, others in ((2, b), (1, a)):
        excess = F.sum(others * density, axis=axis, keepdims=True)
        density = density * F.minimum(safe_div(F, F.ones_like(excess), excess), 1.0)
    plan = a * b * density
    rows, columns = (
        mass - F.sum(plan, axis=axis, keepdims=True) for axis, mass in ((2, a), (1, b))
    )
    all_rows = F.sum(rows, axis=1, keepdims=True)
    return plan + rows / F.where(all_rows == 0, F.ones_like(all_rows), all_rows) * columns


def _power(F: Any, x: Any, p: Any) -> Any:
    size = F.abs(x)
    return size if is_number(p) and p == 1 else size**p


def _quantiles(F: Any, name: str, x: Any, weight: Any) -> tuple[Any, Any, Any]:
    """Sorted samples, and the interval of quantiles that each of them covers."""
    if weight is None:
        weight = F.ones_like(x)
    require_shape(name, weight.shape, x.shape)
    order = F.argsort(x, axis=1, dtype="int64")
    x, weight = (F.take_along_axis(z, order, axis=1) for z in (x, weight))
    share = weight / F.sum(weight, axis=1, keepdims=True)
    to = F.cumsum(share, axis=1)
    return x, to - share, to


def _masses(F: Any, name: str, masses: Any, cost: Any, axis: int) -> Any:
    """The masses of one side, with an axis of length one where they broadcast to the cost."""
    if masses is None:
        along = F.ones_like(F.sum(cost, axis=axis, keepdims=True))
        return along / cost.shape[3 - axis]
    require_shape(name, masses.shape, (cost.shape[0], cost.shape[3 - axis]))
    return F.expand_dims(masses, axis=axis)


def _log_mean(F: Any, x: Any, weight: Any, axis: int) -> Any:
    """``log(sum(weight * exp(x)))``, right in value and derivative where weights are 0."""
    heavy = F.where(F.broadcast_like(weight > 0, x), x, F.zeros_like(x) + HIDDEN)
    top = F.stop_gradient(F.max(heavy, axis=axis, keepdims=True))
    # what has no weight may be larger: cut before it overflows
    return (
        F.log(F.sum(weight * F.exp(F.minimum(x - top, _LARGEST)), axis=axis, keepdims=True)) + top
    )
