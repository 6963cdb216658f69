"""The loss and its gradients, as a model and as a function of arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import onnx

from ..models.declared_types import input_types, output_dtypes
from ..runtime.sessions import make_session, run_session
from .feeds import as_declared


class GradientGraph:
    """The loss and its gradients: from the batch and the parameters to ``loss``, ``grad_<name>``.

    It is an ``onnx.ModelProto``, kept as ``model``, for all that looks at one: ``graph``,
    ``opset_import``, ``SerializeToString()``, ``onnx.save`` and ``onnx.checker.check_model``. And
    it is a function of arrays, ``run``, which takes the optional inputs of the loss too, like
    weights of classes. A model has the inputs that it has; for each choice of optional ones there
    is one of its own, ``for_batch(arrays).model``, which is made when it is first asked for.

    Args:
        model: the model without optional inputs.
        optional: the names of these.
        variant: the graph that has those of them that a batch has.
    """

    def __init__(
        self,
        model: onnx.ModelProto,
        optional: frozenset[str] = frozenset(),
        variant: Callable[[Mapping[str, Any]], GradientGraph] | None = None,
    ) -> None:
        self.model = model
        self.optional = optional
        self._variant = variant
        self._session: Any = None

    @property
    def outputs(self) -> list[str]:
        """The names of the outputs."""
        return [info.name for info in self.model.graph.output]

    def for_batch(self, arrays: Mapping[str, Any]) -> GradientGraph:
        """The graph that has those optional inputs of the loss too that a batch has."""
        if self._variant is None or self.optional.isdisjoint(arrays):
            return self
        return self._variant(arrays)

    def run(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        """The outputs by name, by ONNX Runtime on the CPU; names it has no use for are left out."""
        return self.for_batch(arrays)._run(arrays)

    def _run(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        if self._session is None:
            self._session = make_session(self.model, "cpu")
        given = {info.name: arrays[info.name] for info in self._session.get_inputs()}
        feeds = as_declared(given, input_types(self.model))
        return run_session(self._session, feeds, output_dtypes(self.model))

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)
