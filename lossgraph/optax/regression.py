"""optax's losses of real predictions, unreduced; the mathematics is in ``losses``."""

from __future__ import annotations

from typing import Annotated, Any

from ..authoring.annotations import CONSTANT
from ..authoring.options import is_number, require_above
from ..authoring.shapes import require_same
from ..errors import InputError
from ..losses import embedding, regression
from ..losses.axes import Axis


def squared_error(F: Any, predictions: Any, targets: Any = None) -> Any:
    r"""The squared error.

    .. math:: \ell = (x - y)^2

    Predictions of any shape; targets of the same, zeros if absent.
    """
    return 2 * l2_loss(F, predictions, targets)


def l2_loss(F: Any, predictions: Any, targets: Any = None) -> Any:
    r"""Half the squared error.

    .. math:: \ell = \tfrac12 (x - y)^2

    Predictions of any shape; targets of the same, zeros if absent.
    """
    if targets is None:
        return regression.squared_error(F, predictions, 0.0)
    require_same("targets", targets.shape, "predictions", predictions.shape)
    return regression.squared_error(F, predictions, targets)


def huber_loss(F: Any, predictions: Any, targets: Any = None, *, delta: float = 1.0) -> Any:
    r"""Squared for errors up to ``delta``, linear of slope ``delta`` beyond.

    .. math:: \ell = \begin{cases} e^2 / 2 & |e| \le \delta \\ \delta |e| - \delta^2/2 &
        \text{else} \end{cases}, \quad e = x - y

    Predictions of any shape; targets broadcast, zeros if absent.

    Source: Huber (1964), Ann. Math. Statist. 35(1).
    """
    error = predictions if targets is None else predictions - targets
    require_above("delta", delta, 0)
    return regression.huber_of_slope(F, error, delta)


def log_cosh(F: Any, predictions: Any, targets: Any = None) -> Any:
    r"""The logarithm of the hyperbolic cosine of an error.

    .. math:: \ell = \log \cosh(x - y)

    Predictions of any shape; targets broadcast, zeros if absent. Small errors keep all digits.

    Source: Chen et al. (2019), "Log Hyperbolic Cosine Loss Improves Variational Auto-Encoder".
    """
    return regression.log_cosh(F, predictions, targets)


def cosine_similarity(
    F: Any,
    predictions: Any,
    targets: Any,
    *,
    epsilon: float = 0.0,
    axis: Axis = -1,
    where: Any = None,
) -> Any:
    r"""The cosine of the angle between vectors.

    .. math:: \ell = \frac{x \cdot y}
        {\sqrt{\max(\|x\|^2, \epsilon)} \sqrt{\max(\|y\|^2, \epsilon)}}

    Predictions and targets (.., features); the axis or axes go. ``where`` has the elements that
    count. NaN for a zero vector, unless ``epsilon`` is positive.
    """
    require_above("epsilon", epsilon, 0, closed=True)
    return embedding.cosine(F, predictions, targets, epsilon, axis, where)


def cosine_distance(
    F: Any,
    predictions: Any,
    targets: Any,
    *,
    epsilon: float = 0.0,
    axis: Axis = -1,
    where: Any = None,
) -> Any:
    r"""One minus the cosine of the angle between vectors.

    .. math:: \ell = 1 - \frac{x \cdot y}
        {\sqrt{\max(\|x\|^2, \epsilon)} \sqrt{\max(\|y\|^2, \epsilon)}}

    Inputs and options as ``cosine_similarity``.
    """
    return 1 - cosine_similarity(F, predictions, targets, epsilon=epsilon, axis=axis, where=where)


def triplet_margin_loss(
    F: Any,
    anchors: Any,
    positives: Any,
    negatives: Any,
    axis: int = -1,
    norm_degree: Annotated[float, CONSTANT] = 2,
    margin: float = 1.0,
    eps: float = 1e-6,
) -> Any:
    r"""An anchor closer to its positive than to its negative, by a margin.

    .. math:: \ell = \max(0, d(a, p) - d(a, n) + m), \quad
        d(x, y) = \left(\sum_i |x_i - y_i|^q + \epsilon\right)^{1/q}

    Anchors, positives and negatives (.., features); the axis goes. The degree q is
    ``norm_degree``; an odd one takes absolute values, which optax 0.2.8 does not.

    Source: Balntas et al. (2016), BMVC.
    """
    require_above("eps", eps, 0, closed=True)
    return embedding.triplet_distance(
        F, anchors, positives, negatives, axis, norm_degree, margin, eps
    )


def ntxent(F: Any, embeddings: Any, labels: Any, temperature: float = 0.07) -> Any:
    r"""Normalized, temperature-scaled cross-entropy of pairs of one label against the others.

    .. math:: \ell = \operatorname{mean}_{i \ne j, y_i = y_j} \log
        \frac{e^{s_{ij}} + \sum_{y_k \ne y_i} e^{s_{ik}}}{e^{s_{ij}}}, \quad
        s_{ij} = \cos(x_i, x_j) / \tau

    Embeddings (N, D), labels (N,). Value: (), NaN where no two labels are equal.

    Source: Chen et al. (2020), arXiv:2002.05709.
    """
    if is_number(temperature) and temperature == 0:
        raise InputError("temperature: expected a number other than 0")
    return embedding.nt_xent(F, embeddings, labels, temperature)
