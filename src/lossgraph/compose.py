"""Losses made of losses: sums with named parts, masks, padding, mixup, several tasks.

Every one is a loss, with the whole contract, and may stand in another. Its inputs are those of
the losses in it, by name: inputs of one name are one input (``renamed`` gives them others).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .errors import InputError
from .functions import as_loss
from .inputs import Input
from .loss import Block
from .options import one_of
from .reductions import REDUCTIONS, reduced
from .shapes import same
from .symbolic.symbol import same_size
from .types import TensorType
from .weighting import weigh

__all__ = ["masked", "mixup", "padded", "renamed", "uncertainty_weighted", "weighted_sum"]

TASKS = {"regression": 0.5, "classification": 1.0}  # of the squared error, of the cross-entropy
_HIDDEN = 0.5  # a logit, a probability, a rate: whatever a loss takes, this has a finite loss

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


def masked(
    loss: Any,
    over: Sequence[str] | None = None,
    reduction: str = "mean",
    per_sample: bool = False,
) -> Block:
    """A loss of the elements where the input ``mask`` is not 0.

    What is masked has no effect and the gradient 0, whatever it is: NaN, infinite, a label that
    is no class. Where all is masked, the mean is 0 and so are its gradients.

    Args:
        loss: a loss of one number for each element of the mask, whose elements are independent.
        over: the inputs that have an entry for each element, which is there that their shapes
            begin with the mask's; those that the loss must have by default.
        reduction: ``mean`` or ``sum`` over the elements that are not masked, or ``none``.
        per_sample: reduce the elements of each sample, not those of all samples.
    """
    return Masked(loss, over, reduction, per_sample)


def padded(
    loss: Any,
    over: Sequence[str] | None = None,
    reduction: str = "mean",
    per_sample: bool = False,
) -> Block:
    """As ``masked``, for sequences (N, T, ...) whose ends the input ``lengths``, (N,), tells.

    Args:
        loss: a loss of one number for each step of each sample, (N, T).
        over: the inputs that have an entry for each step; those that the loss must have by default.
        reduction: as in ``masked``.
        per_sample: as in ``masked``.
    """
    return Padded(loss, over, reduction, per_sample)


def mixup(loss: Any, label: str = "label") -> Block:
    r"""A loss against two labels, for samples that were mixed of two.

    .. math:: \ell = \lambda\, \ell(x, y) + (1 - \lambda)\, \ell(x, y')

    Inputs: those of the loss; ``<label>_mixed``, the second label; ``lam``, the share of the
    first, a number or one for each sample.

    Args:
        loss: a loss.
        label: the input that is a label.

    Source: Zhang et al. (2018), ICLR, arXiv:1710.09412.
    """
    return Mixup(loss, label)


def renamed(loss: Any, **names: str) -> Block:
    """A loss whose inputs have other names: ``renamed(loss, pred="scores")``.

    Args:
        loss: a loss.
        **names: the new name of an input, by its own.
    """
    return Renamed(loss, names)


class Composite(Block):
    """Base of losses made of losses.

    Args:
        losses: those inside, by name.
        own: names of further inputs.
        numbers: those of them that may be numbers.
        fixed: those of them that have no gradient.
    """

    def __init__(
        self,
        losses: Mapping[str, Any],
        own: Sequence[str] = (),
        numbers: Sequence[str] = (),
        fixed: Sequence[str] = (),
    ) -> None:
        self.losses = {name: as_loss(loss) for name, loss in losses.items()}
        self._inputs = _merged(self.losses.values(), own)
        inside = self.losses.values()
        self.without_gradient = _union((*(b.without_gradient for b in inside), fixed))
        self.number_inputs = _union((*(b.number_inputs for b in inside), numbers))

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{k}={v!r}' for k, v in self.options.items())})"

    @property
    def options(self) -> dict[str, Any]:
        return {name: repr(loss) for name, loss in self.losses.items()}

    def prepare(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        found = dict(arrays)
        for loss in self.losses.values():
            found |= loss.prepare(_of(loss, found))
        return found

    def check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        for loss in self.losses.values():
            loss.check_shapes(_of(loss, shapes))

    def labels_among(self, types: Mapping[str, TensorType]) -> tuple[str, ...]:
        inside = (loss.labels_among(_of(loss, types)) for loss in self.losses.values())
        return _union((self.without_gradient, *inside))

    @property
    def scalar_inputs(self) -> tuple[str, ...]:
        return _union(loss.scalar_inputs for loss in self.losses.values())

    def with_inputs(self, given: Mapping[str, Any]) -> Any:
        names, copy = self.scalar_inputs, super().with_inputs(given)
        if names:
            copy._inputs = copy._inputs.replace(
                parameters=[p for p in copy._inputs.parameters.values() if p.name not in names]
            )
        return copy

    def _signature_with(self, names: tuple[str, ...]) -> inspect.Signature:
        return self._inputs

    def _bound(self, given: dict[str, Any]) -> tuple[Block, dict[str, Any]]:
        """Itself: the losses inside take their own of what is given."""
        return self, given

    def _value(self, name: str, given: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The value of a loss inside, and its parts by name."""
        loss = self.losses[name]
        found = loss(**_of(loss, given))
        if not isinstance(found, (tuple, list)):
            return found, {}
        if len(found) == 2 and isinstance(found[1], Mapping):
            return found[0], dict(found[1])
        raise InputError(f"{name}: {loss.name} gives {len(found)} values, a part has one")


class _Sum(Composite):
    """Base of sums with named parts."""

    def __init__(
        self, parts: Mapping[str, Part], reduction: str, own: Sequence[str], numbers: Sequence[str]
    ) -> None:
        one_of("reduction", reduction, REDUCTIONS)
        if not isinstance(parts, Mapping) or not parts:
            raise InputError(f"parts: expected losses by name, {{'ce': loss}}, got {parts!r}")
        for name in parts:
            if not (isinstance(name, str) and name.isidentifier()):
                raise InputError(f"a part has a name like 'boxes', not {name!r}")
        super().__init__(parts, own, numbers)
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
        named = [w for w in self.weights.values() if isinstance(w, str)]
        named += [w.name for w in self.weights.values() if isinstance(w, Input)]
        for name, weight in self.weights.items():
            if not isinstance(weight, (str, int, float, Input)) or isinstance(weight, bool):
                raise InputError(f"{name}: a weight is a number or an input's name, not {weight!r}")
        super().__init__({name: loss for name, (_, loss) in pairs.items()}, reduction, named, named)

    @property
    def scalar_inputs(self) -> tuple[str, ...]:
        own = (w.name for w in self.weights.values() if isinstance(w, Input))
        return _union((super().scalar_inputs, tuple(own)))

    @property
    def options(self) -> dict[str, Any]:
        return {name: f"{self.weights[name]} * {loss!r}" for name, loss in self.losses.items()} | {
            "reduction": self.reduction
        }

    def _term(self, F: Any, place: int, name: str, value: Any, given: Mapping[str, Any]) -> Any:
        weight = self.weights[name]
        if isinstance(weight, (str, Input)):
            weight = given[weight if isinstance(weight, str) else weight.name]
        if not isinstance(weight, (int, float)):
            return F.masked_mul(weight, value)
        if weight == 0:  # which drops an infinite loss too
            return F.zeros_like(value)
        return value if weight == 1 else value * weight


class UncertaintyWeighted(_Sum):
    """See ``uncertainty_weighted``."""

    def __init__(self, parts: Mapping[str, Part], reduction: str = "mean") -> None:
        pairs = _pairs(parts, "classification")
        self.tasks = {name: one_of(name, task, tuple(TASKS)) for name, (task, _) in pairs.items()}
        losses = {name: loss for name, (_, loss) in pairs.items()}
        super().__init__(losses, reduction, ["log_variance"], [])

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


class _Selected(Composite):
    """Base of losses of some elements only, which the input ``by`` tells."""

    by: str

    def __init__(
        self,
        loss: Any,
        over: Sequence[str] | None = None,
        reduction: str = "mean",
        per_sample: bool = False,
    ) -> None:
        block = as_loss(loss)
        inputs = block._signature().parameters
        if self.by in inputs:
            raise InputError(
                f"{block.name} has an input {self.by!r} of its own: use that, or `renamed`"
            )
        super().__init__({"loss": block}, [self.by], fixed=[self.by])
        scalars = block.scalar_inputs
        required = [n for n, p in inputs.items() if p.default is p.empty and n not in scalars]
        self.over = tuple(required if over is None else over)
        for name in self.over:
            one_of("over", name, tuple(inputs))
        self.reduction = one_of("reduction", reduction, REDUCTIONS)
        self.per_sample = bool(per_sample)

    @property
    def options(self) -> dict[str, Any]:
        own = {"over": self.over, "reduction": self.reduction, "per_sample": self.per_sample}
        return {**super().options, **own}

    def _mask(self, F: Any, given: dict[str, Any]) -> Any:
        """The mask, taken out of what is given: 1 and 0."""
        raise NotImplementedError

    def hybrid_forward(self, F: Any, **given: Any) -> Any:
        mask = self._mask(F, given)
        seen = dict(given)
        for name in self.over:
            if name in given:
                spread = _spread(F, name, mask, given[name])
                seen[name] = F.where(spread, given[name], _harmless(F, given[name]))
        value, parts = self._value("loss", seen)
        total = self._reduced(F, mask, value)
        if not parts:
            return total
        return total, {name: self._reduced(F, mask, part) for name, part in parts.items()}

    def _reduced(self, F: Any, mask: Any, value: Any) -> Any:
        spread = _spread(F, "the loss", mask, value)
        kept = F.where(spread, value, F.zeros_like(value))
        if self.reduction == "none":
            return kept
        axes = tuple(range(1, len(value.shape))) if self.per_sample else None
        if axes == ():
            return kept
        total, count = F.sum(kept, axis=axes), F.sum(F.cast(spread, value.dtype), axis=axes)
        if self.reduction == "mean":
            total = total / F.maximum(count, 1)
        return total if self.per_sample else F.scalar(total)


class Masked(_Selected):
    """See ``masked``."""

    by = "mask"

    def _mask(self, F: Any, given: dict[str, Any]) -> Any:
        return given.pop("mask") != 0


class Padded(_Selected):
    """See ``padded``."""

    by = "lengths"

    def _mask(self, F: Any, given: dict[str, Any]) -> Any:
        lengths, first = given.pop("lengths"), given[self.over[0]]
        if len(lengths.shape) != 1 or len(first.shape) < 2:
            raise InputError(
                f"lengths are (N,) for sequences (N, T, ...), got {lengths.shape} for "
                f"{self.over[0]} of shape {first.shape}"
            )
        steps = F.expand_dims(F.arange(first.shape[1], dtype="int64"), axis=0)
        return F.broadcast_lesser(steps, F.expand_dims(F.cast(lengths, "int64"), axis=1))


class Mixup(Composite):
    """See ``mixup``."""

    def __init__(self, loss: Any, label: str = "label") -> None:
        block = as_loss(loss)
        one_of("label", label, tuple(block._signature().parameters))
        self.label, self.other = label, f"{label}_mixed"
        fixed = [self.other] if label in block.without_gradient else []
        super().__init__({"loss": block}, [self.other, "lam"], ["lam"], fixed)

    def hybrid_forward(self, F: Any, **given: Any) -> Any:
        share, other = given.pop("lam"), given.pop(self.other)
        first, parts = self._value("loss", given)
        second, others = self._value("loss", {**given, self.label: other})

        def mixed(a: Any, b: Any) -> Any:
            return weigh(F, a, share) + weigh(F, b, 1 - share)

        total = mixed(first, second)
        if not parts:
            return total
        return total, {name: mixed(part, others[name]) for name, part in parts.items()}


class Renamed(Composite):
    """See ``renamed``."""

    def __init__(self, loss: Any, names: Mapping[str, str]) -> None:
        block = as_loss(loss)
        inputs = block._signature().parameters
        for name in names:
            one_of("renamed", name, tuple(inputs))
        self.names = {name: names.get(name, name) for name in inputs}
        if len(set(self.names.values())) < len(self.names):
            raise InputError(f"renamed: two inputs would have one name: {self.names}")
        super().__init__({"loss": block})
        self._inputs = inspect.Signature(
            [p.replace(name=self.names[name]) for name, p in inputs.items()]
        )
        for kind in ("without_gradient", "number_inputs"):
            setattr(self, kind, tuple(self.names[name] for name in getattr(block, kind)))

    @property
    def scalar_inputs(self) -> tuple[str, ...]:
        return tuple(self.names[name] for name in self.losses["loss"].scalar_inputs)

    def with_inputs(self, given: Mapping[str, Any]) -> Any:
        return super().with_inputs({**given, **self._back(given)})

    def prepare(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        prepared = self.losses["loss"].prepare(self._back(arrays))
        return {self.names[name]: array for name, array in prepared.items()}

    def check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.losses["loss"].check_shapes(self._back(shapes))

    def hybrid_forward(self, F: Any, **given: Any) -> Any:
        return self.losses["loss"](**self._back(given))

    def _back(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {name: given[new] for name, new in self.names.items() if new in given}


def _of(loss: Block, given: Mapping[str, Any]) -> dict[str, Any]:
    """Of what is given, the inputs and options of a loss."""
    return {name: given[name] for name in loss._signature().parameters if name in given}


def _merged(losses: Iterable[Block], own: Sequence[str]) -> inspect.Signature:
    """One parameter for each name, required if a loss requires it, and those first."""
    found: dict[str, inspect.Parameter] = {}
    for loss in losses:
        for p in loss._signature().parameters.values():
            if p.kind is p.VAR_POSITIONAL:
                raise InputError(f"{loss.name} takes *{p.name}: in another loss inputs need names")
            if p.kind is p.VAR_KEYWORD:
                continue
            if p.name not in found or p.default is p.empty:
                found[p.name] = p.replace(kind=p.POSITIONAL_OR_KEYWORD)
    for name in own:
        found[name] = inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return inspect.Signature(sorted(found.values(), key=lambda p: p.default is not p.empty))


def _union(groups: Iterable[Sequence[str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group))


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


def _spread(F: Any, name: str, mask: Any, x: Any) -> Any:
    """A mask in the shape of an array that begins with its axes."""
    if not same(x.shape[: len(mask.shape)], mask.shape):
        raise InputError(
            f"{name} of shape {x.shape} has no entry for each element of the mask {mask.shape}: "
            "say with over=(..) which inputs have"
        )
    for axis in range(len(mask.shape), len(x.shape)):
        mask = F.expand_dims(mask, axis=axis)
    return F.broadcast_like(mask, x)


def _harmless(F: Any, x: Any) -> Any:
    """What stands in for elements that are not looked at: class 0, or a number between 0 and 1."""
    zeros = F.zeros_like(x)
    return zeros + _HIDDEN if x.dtype.kind == "f" else zeros
