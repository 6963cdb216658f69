"""The losses of ``torch.nn`` for vectors, distances and ranks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any

import numpy as np

from ..authoring.annotations import CONSTANT, Label
from ..authoring.block import Block
from ..authoring.cautions import warn_if_both_stretch
from ..authoring.options import number, positive
from ..authoring.shapes import Shape
from ..errors import InputError
from ..losses import embedding, regression
from .base import Loss, without_last

COSINE_EPSILON = float(np.float32(1e-12))  # which torch adds to squared lengths, in every dtype
Distance = Callable[..., Any]


class HingeEmbeddingLoss(Loss):
    r"""A distance for pairs labelled 1, what it lacks to a margin for those labelled -1.

    .. math:: \ell = \begin{cases} x & y = 1 \\ \max(0, m - x) & y = -1 \end{cases}

    Any other label has both. Inputs: ``input``, distances, and ``target``, any shape, broadcast
    together. Value: their shape without a reduction, else ().

    Args:
        margin: the least distance of pairs labelled -1 that costs nothing.
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.
        **deprecated: torch's ``size_average`` and ``reduce``, None: ``reduction`` replaces them.
    """

    def __init__(self, margin: float = 1.0, *, reduction: str = "mean", **deprecated: Any) -> None:
        super().__init__(reduction, **deprecated)
        self.margin = number("margin", margin)

    def hybrid_forward(self, F: Any, input: Any, target: Label) -> Any:
        warn_if_both_stretch({"input": input.shape, "target": target.shape})
        target = F.cast(target, dtype=input.dtype)
        return self._reduce(F, regression.hinge_embedding(F, input, target, self.margin))


class MarginRankingLoss(Loss):
    r"""How far the order of two scores falls short of what the target says.

    .. math:: \ell = \max(0, m - y (x_1 - x_2))

    Inputs: ``input1``, ``input2`` and ``target``, which is 1 if the first is to be larger, else -1;
    any shape, broadcast together. Value: their shape without a reduction, else ().

    Args:
        margin: how far the scores must be apart.
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.
        **deprecated: torch's ``size_average`` and ``reduce``, None: ``reduction`` replaces them.
    """

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean", **deprecated: Any) -> None:
        super().__init__(reduction, **deprecated)
        self.margin = number("margin", margin)

    def hybrid_forward(self, F: Any, input1: Any, input2: Any, target: Any) -> Any:
        shapes = {"input1": input1.shape, "input2": input2.shape, "target": target.shape}
        warn_if_both_stretch(shapes)
        return self._reduce(F, regression.margin_ranking(F, input1, input2, target, self.margin))


class CosineEmbeddingLoss(Loss):
    r"""The angle between two vectors, small for pairs labelled 1, wide for those labelled -1.

    .. math:: \ell = \begin{cases} 1 - \cos(x_1, x_2) & y = 1 \\
        \max(0, \cos(x_1, x_2) - m) & y = -1 \end{cases}

    The lengths are ``sqrt(x^2 + 1e-12)``. Inputs: ``input1`` and ``input2``, (N, D), or (D,)
    without a batch; ``target``, (N,) or (). Value: target's shape without a reduction, else ().

    Args:
        margin: the largest cosine of pairs labelled -1 that costs nothing.
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.
        **deprecated: torch's ``size_average`` and ``reduce``, None: ``reduction`` replaces them.
    """

    def __init__(self, margin: float = 0.0, *, reduction: str = "mean", **deprecated: Any) -> None:
        super().__init__(reduction, **deprecated)
        self.margin = number("margin", margin)

    def require_shapes(self, shapes: Mapping[str, Shape]) -> None:
        one, two = shapes["input1"], shapes["input2"]
        if len(one) not in (1, 2) or len(one) != len(two):
            raise InputError(
                f"{self.name} takes input1 and input2 of shape (N, D) or (D,), got {tuple(one)} "
                f"and {tuple(two)}"
            )
        if len(shapes["target"]) != len(one) - 1:
            raise InputError(
                f"target: expected one for each pair of vectors, got {tuple(shapes['target'])}"
            )

    def hybrid_forward(self, F: Any, input1: Any, input2: Any, target: Label) -> Any:
        root = COSINE_EPSILON**0.5
        cosine = embedding.scaled_cosine(
            F, input1, input2, lambda F, norm: F.hypot(norm, root * F.ones_like(norm))
        )
        target = F.cast(target, dtype=input1.dtype)
        return self._reduce(
            F,
            embedding.cosine_embedding(F, without_last(F, cosine), target, self.margin, True),
        )


class _Triplet(Loss):
    """Base of the triplet losses: an anchor, a positive and a negative, and distances of two."""

    margin: float
    swap: bool

    def require_shapes(self, shapes: Mapping[str, Shape]) -> None:
        if len({len(shape) for shape in shapes.values()}) > 1:
            listed = ", ".join(str(tuple(shape)) for shape in shapes.values())
            raise InputError(
                f"anchor, positive and negative: expected as many axes of each, got {listed}"
            )

    def hybrid_forward(self, F: Any, anchor: Any, positive: Any, negative: Any) -> Any:
        near, far = self._distance(F, anchor, positive), self._distance(F, anchor, negative)
        if self.swap:
            far = F.minimum(far, self._distance(F, positive, negative))
        return self._reduce(F, embedding.triplet_margin(F, near, far, self.margin))

    def _distance(self, F: Any, x: Any, y: Any) -> Any:
        raise NotImplementedError


class TripletMarginLoss(_Triplet):
    r"""An anchor closer to its positive than to its negative, by a margin.

    .. math:: \ell = \max(0, d(a, p) - d(a, n) + m), \quad d(x, y) = \|x - y + \epsilon\|_p

    Inputs: ``anchor``, ``positive``, ``negative``, vectors along the last axis, (..., D). Value:
    (...) without a reduction, else ().

    Args:
        margin: by how much the negative must be further than the positive, above 0.
        p: the degree of the norm.
        eps: what is added to each difference.
        swap: whether the distance of positive and negative counts where that is the smaller.
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.
        **deprecated: torch's ``size_average`` and ``reduce``, None: ``reduction`` replaces them.

    Source: Balntas et al. (2016), BMVC.
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: Annotated[float, CONSTANT] = 2.0,  # another formula for each norm
        eps: float = 1e-6,
        swap: bool = False,
        *,
        reduction: str = "mean",
        **deprecated: Any,
    ) -> None:
        super().__init__(reduction, **deprecated)
        self.margin = positive("margin", margin)
        self.p = number("p", p)
        self.eps = number("eps", eps)
        self.swap = bool(swap)

    def _distance(self, F: Any, x: Any, y: Any) -> Any:
        return without_last(F, embedding.pairwise_distance(F, x, y, self.p, self.eps))


class TripletMarginWithDistanceLoss(_Triplet):
    r"""An anchor closer to its positive than to its negative, by a margin and a distance.

    .. math:: \ell = \max(0, d(a, p) - d(a, n) + m)

    Inputs: ``anchor``, ``positive``, ``negative``, of as many axes. Value: the distances' shape
    without a reduction, else ().

    Args:
        distance_function: a function ``d(F, x, y)``, a loss like
            ``nn.functional.pairwise_distance``, or the name of a distance along the last axis:
            ``pairwise`` (the default, ``|x - y + 1e-6|``), ``squared_euclidean``, ``cosine`` (1
            minus the cosine), ``manhattan`` or ``chebyshev``.
        margin: by how much the negative must be further than the positive, above 0.
        swap: whether the distance of positive and negative counts where that is the smaller.
        reduction: ``mean`` or ``sum`` over all elements, or ``none``.

    Source: Balntas et al. (2016), BMVC.
    """

    def __init__(
        self,
        *,
        distance_function: str | Distance | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: str = "mean",
    ) -> None:
        super().__init__(reduction)
        known = isinstance(distance_function, str) and distance_function in DISTANCES
        if not (distance_function is None or known or callable(distance_function)):
            raise InputError(
                f"distance_function: expected a function of F and two arrays, or one of "
                f"{tuple(DISTANCES)}, got {distance_function!r}"
            )
        self.distance_function = distance_function
        self.margin = positive("margin", margin)
        self.swap = bool(swap)

    def _distance(self, F: Any, x: Any, y: Any) -> Any:
        chosen = self.distance_function or "pairwise"
        if isinstance(chosen, str):
            return without_last(F, DISTANCES[chosen](F, x, y))
        return chosen(x, y) if isinstance(chosen, Block) else chosen(F, x, y)


def cosine_similarity(F: Any, x: Any, y: Any, axis: int = -1, epsilon: float = 1e-8) -> Any:
    """torch's cosine along an axis, which keeps the length one: each norm at least epsilon."""
    return embedding.scaled_cosine(
        F, x, y, lambda F, norm: regression.clamp(F, norm, epsilon), axis
    )


DISTANCES: dict[str, Distance] = {
    "pairwise": embedding.pairwise_distance,
    "squared_euclidean": lambda F, x, y: F.sum(F.square(x - y), axis=-1, keepdims=True),
    "cosine": lambda F, x, y: 1 - cosine_similarity(F, x, y),
    "manhattan": lambda F, x, y: embedding.p_norm(F, x - y, 1),
    "chebyshev": lambda F, x, y: embedding.p_norm(F, x - y, float("inf")),
}
