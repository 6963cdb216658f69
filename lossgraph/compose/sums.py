"""Sums of losses that have names: with given weights, or with uncertainties that are learned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..authoring.block import Block
from ..authoring.inputs import Input
from ..authoring.options import one_of
from ..authoring.reductions import REDUCTIONS, reduced
from ..authoring.shapes import same
from ..authoring.signature import Kind, Parameter
from ..authoring.weighting import weigh
from ..errors import InputError
from ..symbolic.symbol import same_size
from .composite import Composite, array_input, union

TASKS = {"regression": 0.5, "classification": 1.0}  # of the squared error, of the cross-entropy

Part = Any  # a loss or a function of F, or one with its weight


def weighted_sum(parts: Mapping[str, Part], reduction: str = "none") -> Block:
    """The sum of losses, each with its weight; the value is ``(total, parts)``.

    ``parts`` are the losses by name, as they are before they are weighed; in a model the outputs
    are ``loss`` and ``loss_<name>``. Gradients are those of the total.

    Args:
        parts: by name a loss, or ``(weight, loss)``, the weight a number or the name of an input
            that holds it, or an ``Input``.
        reduction: ``mean`` or ``sum`` over all elements of each loss, or ``none`` for losses of
            one shape (or of one element).
    """
    return WeightedSum(parts, reduction)


def uncertainty_weighted(parts: Mapping[str, Part], reduction: str = "mean") -> Block:
    r"""Several tasks, each weighed by an uncertainty that is learned; ``(total, parts)``.

    .. math:: \ell = \sum_k c_k e^{-s_k} \ell_k + s_k / 2

    The input ``log_variance`` holds the logarithms s of the variances, one of each loss, in their
    order. ``c`` is 1/2 for a ``regression``, whose loss is the squared error, and 1 for a
    ``classification``.

    Args:
        parts: by name ``(task, loss)``, or a loss, which is taken to be a classification.
        reduction: as in ``weighted_sum``.

    Source: Kendall, Gal and Cipolla (2018), CVPR, arXiv:1705.07115.
    """
    return UncertaintyWeighted(parts, reduction)


class _Sum(Composite):
    """Base of sums with named parts."""

    def __init__(self, parts: Mapping[str, Part], reduction: str, own: Sequence[Parameter]) -> None:
        one_of("reduction", reduction, REDUCTIONS)
        if not isinstance(parts, Mapping) or not parts:
            raise InputError(f"parts: expected losses by name, {{'ce': loss}}, got {parts!r}")
        for name in parts:
            if not (isinstance(name, str) and name.isidentifier()):
                raise InputError(f"a part has a name like 'boxes', not {name!r}")
        super().__init__(parts, own)
        self.reduction = reduction

    def _term(self, F: Any, place: int, name: str, value: Any, given: Mapping[str, Any]) -> Any:
        """What a part adds to the total, None for nothing."""
        raise NotImplementedError

    def hybrid_forward(self, F: Any, **given: Any) -> Any:
        parts: dict[str, Any] = {}
        terms = []
        for place, name in enumerate(self.losses):
            value, inner = self._value(name, given)
            parts[name] = reduced(F, value, self.reduction)
            parts |= {f"{name}_{k}": reduced(F, v, self.reduction) for k, v in inner.items()}
            terms.append((name, self._term(F, place, name, parts[name], given)))
        return _added(F, parts, [term for term in terms if term[1] is not None]), parts


class WeightedSum(_Sum):
    """See ``weighted_sum``."""

    def __init__(self, parts: Mapping[str, Part], reduction: str = "none") -> None:
        pairs = _pairs(parts, 1.0)
        self.weights = {name: weight for name, (weight, _) in pairs.items()}
        for name, weight in self.weights.items():
            if not isinstance(weight, (str, int, float, Input)) or isinstance(weight, bool):
                raise InputError(f"{name}: a weight is a number or an input's name, not {weight!r}")
        inputs = {
            getattr(w, "name", w): _weight_input(w)
            for w in self.weights.values()
            if isinstance(w, (str, Input))
        }
        super().__init__(
            {name: loss for name, (_, loss) in pairs.items()}, reduction, list(inputs.values())
        )

    @property
    def scalar_inputs(self) -> tuple[str, ...]:
        own = (w.name for w in self.weights.values() if isinstance(w, Input))
        return union((super().scalar_inputs, tuple(own)))

    @property
    def options(self) -> dict[str, Any]:
        return {name: f"{self.weights[name]} * {loss!r}" for name, loss in self.losses.items()} | {
            "reduction": self.reduction
        }

    def _term(self, F: Any, place: int, name: str, value: Any, given: Mapping[str, Any]) -> Any:
        weight, source = self.weights[name], f"the weight of {name}"
        if isinstance(weight, (str, Input)):
            source = weight if isinstance(weight, str) else weight.name
            weight = given[source]
        if not isinstance(weight, (int, float)):
            weight = F.scalar(weight) if _is_single(weight.shape) else weight
            return weigh(F, value, weight, name=source)
        if weight == 0:  # which drops an infinite loss too
            return F.zeros_like(value)
        return value if weight == 1 else value * weight


class UncertaintyWeighted(_Sum):
    """See ``uncertainty_weighted``."""

    def __init__(self, parts: Mapping[str, Part], reduction: str = "mean") -> None:
        pairs = _pairs(parts, "classification")
        self.tasks = {name: one_of(name, task, tuple(TASKS)) for name, (task, _) in pairs.items()}
        losses = {name: loss for name, (_, loss) in pairs.items()}
        super().__init__(losses, reduction, [array_input("log_variance")])

    @property
    def options(self) -> dict[str, Any]:
        return {name: f"{self.tasks[name]}: {loss!r}" for name, loss in self.losses.items()} | {
            "reduction": self.reduction
        }

    def check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        super().check_shapes(shapes)
        if shapes["log_variance"] != (len(self.losses),):
            raise InputError(
                f"log_variance: expected one for each of the {len(self.losses)} losses, "
                f"got shape {shapes['log_variance']}"
            )

    def _term(self, F: Any, place: int, name: str, value: Any, given: Mapping[str, Any]) -> Any:
        own = F.scalar(given["log_variance"][place])
        return value * (TASKS[self.tasks[name]] * F.exp(-own)) + 0.5 * own


def _weight_input(weight: str | Input) -> Parameter:
    """The input that a weight is: any array, or the one number that an ``Input`` stands for."""
    if isinstance(weight, Input):
        return Parameter(weight.name, Kind.SCALAR)
    return array_input(weight, number=True)


def _pairs(parts: Mapping[str, Part], default: Any) -> dict[str, tuple[Any, Any]]:
    """``(weight, loss)`` by name."""
    if not isinstance(parts, Mapping):
        raise InputError(f"parts: expected losses by name, {{'ce': loss}}, got {parts!r}")
    pairs = {}
    for name, part in parts.items():
        pair = part if isinstance(part, (tuple, list)) else (default, part)
        if len(pair) != 2:
            raise InputError(f"{name}: expected a loss or (weight, loss), got {part!r}")
        pairs[name] = (pair[0], pair[1])
    return pairs


def _added(F: Any, parts: Mapping[str, Any], terms: Sequence[tuple[str, Any]]) -> Any:
    """The sum of arrays of one shape, and of single numbers."""
    shaped = [name for name, _ in terms if not _is_single(parts[name].shape)]
    for name in shaped[1:]:
        first, other = parts[shaped[0]].shape, parts[name].shape
        if not same(first, other):
            raise InputError(
                f"parts of different shapes have no sum: {shaped[0]!r} {first}, {name!r} {other}: "
                "reduction='mean' or 'sum' makes each a number"
            )
    ordered = sorted(terms, key=lambda term: _is_single(parts[term[0]].shape))
    total = ordered[0][1]
    for _, term in ordered[1:]:
        single = _is_single(term.shape) and len(term.shape) > 0
        total = F.broadcast_add(total, F.scalar(term) if single else term)
    return total


def _is_single(shape: Sequence[Any]) -> bool:
    """Whether there is one element, however many axes it has."""
    return all(same_size(dim, 1) for dim in shape)
