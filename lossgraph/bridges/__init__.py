"""Bridges: PyTorch's autograd and JAX's transformations go through a compiled loss.

What comes in: a compiled loss and the arrays of a call, some of which a framework differentiates.
What goes out: the answer of the call, of which the framework knows the gradients; they are computed
by graphs that are derived from the loss's program. Read ``torch`` first. The wing stands above
``runtime``, whose compiled losses ask it at each call: so nothing that runs a loss can lose a
gradient without a word. A framework is imported by nobody here: who has its tensors, has it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module
from typing import Any, Protocol

from ..compiler.program import Program
from ..errors import GradientError

Bridge = Callable[["Differentiable", Mapping[str, Any]], Any]


class Differentiable(Protocol):
    """A compiled loss, as a bridge sees it."""

    @property
    def program(self) -> Program:
        """What it computes."""

    def outputs(self, arrays: Mapping[str, Any], *, like: Any = None) -> list[Any]:
        """The outputs in order, in arrays of the kind of ``like``, with no derivative."""

    def run(self, arrays: Mapping[str, Any]) -> Any:
        """The answer of a call, which goes over a bridge again where that is needed."""

    def output_types(self, arrays: Mapping[str, Any]) -> list[tuple[Any, tuple[int, ...]]]:
        """numpy's dtype and the shape of each output for arrays, which may be traced."""

    def answer(self, outputs: Sequence[Any]) -> Any:
        """What a call returns, from the outputs in order."""

    def with_gradients(self, wrt: tuple[str, ...]) -> Differentiable:
        """Its outputs, and then the gradients of the value's sum."""

    def pullback(self, wrt: tuple[str, ...]) -> Differentiable:
        """The cotangents of inputs, from the inputs and the cotangents of the outputs."""


def bridge_for(values: Collection[Any]) -> Bridge | None:
    """What a call on these values has to go through; None where nothing is differentiated."""
    for library in _DIFFERENTIATED:
        if any(_is_of(library, value) for value in values):
            bridge: Any = import_module(f".{library}", __name__)
            if bridge.differentiates(values):
                call: Bridge = bridge.call
                return call
    return None


def is_traced(value: Any) -> bool:
    """Whether a value stands for arrays in a transformation: it has a type but no numbers."""
    if _is_of("torch", value):
        return bool(import_module(".torch", __name__).is_wrapped(value))
    return _is_of("jax", value)


def check_gradients(compiled: Differentiable, wrt: Collection[str]) -> None:
    """Refuse gradients that do not exist.

    Raises:
        GradientError: for a class label or a length.
    """
    for name in sorted(set(wrt) & set(compiled.program.without_gradient)):
        raise GradientError(
            f"{name!r} is a class label or a length, which has no gradient, but one is asked for: "
            "detach it"
        )


def pullback_inputs(
    compiled: Differentiable,
    pullback: Differentiable,
    arrays: Mapping[str, Any],
    cotangents: Sequence[Any],
) -> dict[str, Any]:
    """The inputs of a loss's pullback: those of the loss, and its outputs' cotangents."""
    inputs = [node.attrs["name"] for node in pullback.program.inputs]
    pairs = zip(compiled.program.typed_outputs, cotangents, strict=True)
    given = [cotangent for output, cotangent in pairs if output.is_differentiable]
    names = inputs[len(compiled.program.inputs) :]
    return {**arrays, **dict(zip(names, given, strict=True))}


# By library the class of what it may differentiate.
_DIFFERENTIATED = {"torch": ("Tensor",), "jax": ("core", "Tracer")}


def _is_of(library: str, value: Any) -> bool:
    found: Any = sys.modules.get(library)
    for name in _DIFFERENTIATED[library]:  # a module that is being imported has not all names yet
        found = getattr(found, name, None)
    return found is not None and isinstance(value, found)
