"""A loss whose inputs have other names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..authoring.block import Block
from ..authoring.functions import as_loss
from ..authoring.options import one_of
from ..authoring.signature import Signature
from ..errors import InputError
from ..ir.types import TensorType
from ..symbolic.arguments import checked
from .composite import Composite


@checked
def renamed(loss: Any, **names: str) -> Block:
    """A loss whose inputs have other names: ``renamed(loss, pred="scores")``.

    Args:
        loss: a loss.
        **names: the new name of an input, by its own.
    """
    return Renamed(loss, names)


class Renamed(Composite):
    """See ``renamed``."""

    def __init__(self, loss: Any, names: Mapping[str, str]) -> None:
        block = as_loss(loss)
        inputs = block.signature.parameters
        for name in names:
            one_of("renamed", name, tuple(p.name for p in inputs))
        self.names = {name: names.get(name, name) for name in block.signature.by_name}
        if len(set(self.names.values())) < len(self.names):
            raise InputError(f"renamed: two inputs would have one name: {self.names}")
        super().__init__({"loss": block})
        self._inputs = Signature(tuple(replace(p, name=self.names[p.name]) for p in inputs))

    def shown_options(self) -> dict[str, str]:
        changed = {old: repr(new) for old, new in self.names.items() if new != old}
        return super().shown_options() | changed

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

    def labels_among(self, types: Mapping[str, TensorType]) -> tuple[str, ...]:
        labels = self.losses["loss"].labels_among(self._back(types))
        return tuple(self.names[name] for name in labels)

    def hybrid_forward(self, F: Any, **given: Any) -> Any:
        return self.losses["loss"](**self._back(given))

    def _back(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {name: given[new] for name, new in self.names.items() if new in given}
