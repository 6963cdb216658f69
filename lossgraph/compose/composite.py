"""The base of losses made of losses."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..authoring.block import Block
from ..authoring.functions import as_loss
from ..errors import InputError
from ..ir.types import TensorType


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
        self.without_gradient = union((*(b.without_gradient for b in inside), fixed))
        self.number_inputs = union((*(b.number_inputs for b in inside), numbers))

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
        return union((self.without_gradient, *inside))

    @property
    def scalar_inputs(self) -> tuple[str, ...]:
        return union(loss.scalar_inputs for loss in self.losses.values())

    def with_inputs(self, given: Mapping[str, Any]) -> Any:
        names, copy = self.scalar_inputs, super().with_inputs(given)
        if names:
            copy._inputs = copy._inputs.replace(
                parameters=[p for p in copy._inputs.parameters.values() if p.name not in names]
            )
        return copy

    def _signature_with(self, names: tuple[str, ...]) -> inspect.Signature:
        return self._inputs

    def _fill_inputs(self, given: dict[str, Any]) -> tuple[Block, dict[str, Any]]:
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


def union(groups: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Each name once, in order."""
    return tuple(dict.fromkeys(name for group in groups for name in group))


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
