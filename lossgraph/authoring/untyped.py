"""Inputs of a loss whose types are still to be found, by tracing how its body uses them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .. import symbolic
from ..ir.expr import Expr, variable
from ..ir.types import TensorType
from ..symbolic.symbol import Symbol

Loss = Any  # a block, whose module imports this one


class TypesNeeded(Exception):  # noqa: N818
    """A body uses inputs whose types are not known.

    Attributes:
        names: the inputs, by what the loss that takes them calls them.
        loss: the loss inside the body that takes them; None where an operator does.
        given: all that it is called with.
    """

    def __init__(self, names: Mapping[str, str], loss: Loss | None, given: Mapping[str, Any]):
        super().__init__(f"no type for {', '.join(names.values())}")
        self.names, self.loss, self.given = names, loss, given


class Untyped(Symbol):
    """An input without a type: a body may hand it on to losses, and nothing else."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name
        self.weak = False

    @property
    def _expr(self) -> Expr:  # type: ignore[override]
        raise TypesNeeded({self.name: self.name}, None, {})


def require_types(loss: Loss, given: Mapping[str, Any]) -> None:
    """Ask for the types of what a loss is called with, where some are not known.

    Raises:
        TypesNeeded: if so.
    """
    names = {key: value.name for key, value in given.items() if isinstance(value, Untyped)}
    if names:
        raise TypesNeeded(names, loss, given)


def run_body(loss: Loss, types: Mapping[str, TensorType], others: Iterable[str]) -> None:
    """Trace a loss of inputs of which some have no types.

    Raises:
        TypesNeeded: where the body needs them.
        InputError: for types that do not fit.
    """
    given: dict[str, Any] = {name: Symbol(variable(name, type_)) for name, type_ in types.items()}
    given |= {name: Untyped(name) for name in others}
    scalars = {name: given.pop(name) for name in loss.scalar_inputs}
    args, named = loss.signature.without(scalars).unflatten(given)
    loss.with_inputs(scalars).hybrid_forward(symbolic, *args, **named)
