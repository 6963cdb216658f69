"""The base of losses made of losses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..authoring.block import Block
from ..authoring.functions import as_loss
from ..authoring.signature import Kind, Parameter, Role, Signature, merged
from ..errors import InputError
from ..ir.types import TensorType


class Composite(Block):
    """Base of losses made of losses.

    Args:
        losses: those inside, by name.
        own: the inputs beside theirs.
    """

    def __init__(self, losses: Mapping[str, Any], own: Sequence[Parameter] = ()) -> None:
        self.losses = {name: as_loss(loss) for name, loss in losses.items()}
        inside = [(loss.name, loss.signature) for loss in self.losses.values()]
        self._inputs = merged(inside, own)

    def shown_options(self) -> dict[str, str]:
        inside = self.losses.keys()
        return {k: str(v) if k in inside else repr(v) for k, v in self.options.items()}

    @property
    def options(self) -> dict[str, Any]:
        return {name: repr(loss) for name, loss in self.losses.items()}

    @property
    def signature(self) -> Signature:
        return self._inputs

    def prepare(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        found = dict(arrays)
        for loss in self.losses.values():
            found |= loss.prepare(of(loss, found))
        return found

    def check_shapes(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        for loss in self.losses.values():
            loss.check_shapes(of(loss, shapes))

    def labels_among(self, types: Mapping[str, TensorType]) -> tuple[str, ...]:
        inside = (loss.labels_among(of(loss, types)) for loss in self.losses.values())
        return union((self.signature.labels, *inside))

    @property
    def scalar_inputs(self) -> tuple[str, ...]:
        return union(loss.scalar_inputs for loss in self.losses.values())

    def with_inputs(self, given: Mapping[str, Any]) -> Any:
        names, copy = self.scalar_inputs, super().with_inputs(given)
        if names:
            copy._inputs = copy._inputs.without(names)
        return copy

    def _with_scalars_placed(self, given: dict[str, Any]) -> tuple[Block, dict[str, Any]]:
        """Itself: the losses inside take their own of what is given."""
        return self, given

    def _value(self, name: str, given: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        """The value of a loss inside, and its parts by name."""
        loss = self.losses[name]
        found = loss(**of(loss, given))
        if not isinstance(found, (tuple, list)):
            return found, {}
        if len(found) == 2 and isinstance(found[1], Mapping):
            return found[0], dict(found[1])
        raise InputError(f"{name}: {loss.name} gives {len(found)} values, a part has one")


def array_input(name: str, *, gradient: bool = True, number: bool = False) -> Parameter:
    """An input that a loss made of losses has beside theirs."""
    return Parameter(name, Kind.ARRAY, Role(gradient=gradient, number=number))


def union(groups: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Each name once, in order."""
    return tuple(dict.fromkeys(name for group in groups for name in group))


def of(loss: Block, given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a loss among those given."""
    return {name: given[name] for name in loss.signature.by_name if name in given}
