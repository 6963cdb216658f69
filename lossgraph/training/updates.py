"""How parameters and the state of an optimizer change in a step, as expressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import symbolic
from ..compiler.program import Program
from ..errors import InputError
from ..ir.expr import Array, Expr, foreign_variable
from ..ir.types import TensorType, numpy_dtype
from ..passes.mixed_precision import HALF
from ..symbolic.symbol import Symbol, as_expr
from .optimizers import Optimizer

STEP, LEARNING_RATE, MASTER = "step", "learning_rate", "master"


@dataclass(frozen=True)
class Slot:
    """A part of the state that has the shape of a parameter.

    Attributes:
        parameter: the parameter's name.
        dtype: of its elements.
        start: what it is full of in the beginning; None for the parameter itself.
    """

    parameter: str
    dtype: str
    start: float | None

    def array(self, parameters: Mapping[str, Any]) -> Array:
        """The slot in the beginning."""
        parameter = parameters[self.parameter]
        if self.start is None:
            return parameter.astype(numpy_dtype(self.dtype))
        return np.full(parameter.shape, self.start, numpy_dtype(self.dtype))


@dataclass
class Updates:
    """What follows a step.

    Attributes:
        inputs: the state before the step, and the scalars that may differ from step to step.
        following: the expression of each parameter and of each part of the state after it.
        hyper: the scalars, as they are in the beginning.
        slots: the parts of the state that have the shape of a parameter.
    """

    inputs: list[Expr] = field(default_factory=list)
    following: dict[str, Expr] = field(default_factory=dict)
    hyper: dict[str, Array] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)

    def state(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The state in the beginning: what the optimizer's slots begin with, and no step made."""
        slots = {name: slot.array(parameters) for name, slot in self.slots.items()}
        return {STEP: np.zeros((), np.int64), **slots}


def updates(program: Program, optimizers: Mapping[str, Optimizer], main: Optimizer) -> Updates:
    """The body of each parameter's optimizer, applied to it and its gradient.

    Args:
        program: the loss and its gradients.
        optimizers: of each parameter, by its name.
        main: the optimizer whose learning rate is the input; those of others follow it in
            proportion.
    """
    gradients = {out.key: out.expr for out in program.typed_outputs if out.kind == "gradient"}
    parameters = {node.attrs["name"]: node for node in program.inputs}
    wide = any(gradient.dtype == "float64" for gradient in gradients.values())
    dtype = "float64" if wide else "float32"
    step = foreign_variable(STEP, TensorType("int64", ()))
    rate = foreign_variable(LEARNING_RATE, TensorType(dtype, ()))
    made = Updates([step, rate], {STEP: as_expr(Symbol(step) + 1)})
    made.hyper[LEARNING_RATE] = np.asarray(main.learning_rate, numpy_dtype(dtype))
    for name, gradient in gradients.items():
        optimizer = optimizers[name]
        scaled = Symbol(rate) * _proportion(optimizer, main)
        _add(made, name, parameters[name], gradient, optimizer, (made.following[STEP], scaled))
    return made


def _add(
    made: Updates,
    name: str,
    parameter: Expr,
    gradient: Expr,
    optimizer: Optimizer,
    scalars: tuple[Any, Any],
) -> None:
    """Add what follows one parameter; one of 16 bits moves by its master copy of 32."""
    dtype = "float32" if gradient.dtype in HALF else gradient.dtype
    type_ = TensorType(dtype, gradient.shape)
    start: dict[str, float | None] = dict(optimizer.start)
    current = Symbol(parameter)
    if dtype != gradient.dtype:
        current = Symbol(foreign_variable(f"{name}.{MASTER}", type_))
        made.inputs.append(as_expr(current))
        made.slots[f"{name}.{MASTER}"] = Slot(name, dtype, None)
    kept = {slot: foreign_variable(f"{name}.{slot}", type_) for slot in start}
    made.inputs.extend(kept.values())
    made.slots |= {f"{name}.{slot}": Slot(name, dtype, start[slot]) for slot in start}
    results = optimizer.update(
        symbolic,
        current,
        symbolic.cast(Symbol(gradient), dtype),
        *(symbolic.cast(Symbol(as_expr(scalar)), dtype) for scalar in scalars),
        **{slot: Symbol(node) for slot, node in kept.items()},
    )
    moved, *others = _checked(optimizer, results, ("parameter", *kept), type_)
    if dtype != gradient.dtype:
        made.following[f"{name}.{MASTER}"] = moved
    made.following[name] = as_expr(symbolic.cast(Symbol(moved), gradient.dtype))
    made.following |= {f"{name}.{slot}": e for slot, e in zip(kept, others, strict=True)}


def _checked(
    optimizer: Optimizer, results: Any, names: tuple[str, ...], type_: TensorType
) -> list[Expr]:
    """What an optimizer's body gave, or an error that says what it should have given."""
    owner = type(optimizer).__name__
    given = list(results) if isinstance(results, (tuple, list)) else [results]
    if len(given) != len(names):
        raise InputError(f"{owner}.update gave {len(given)} results, it has to give {names}")
    for name, value in zip(names, given, strict=True):
        found = as_expr(value).type
        if found != type_:
            raise InputError(f"{owner}.update: {name} became {found}, it has to stay {type_}")
    return [as_expr(value) for value in given]


def _proportion(optimizer: Optimizer, main: Optimizer) -> float:
    """How many times the main learning rate an optimizer's is."""
    if optimizer.learning_rate == main.learning_rate:
        return 1
    if not main.learning_rate:
        raise InputError(
            "optimizer: the learning rates of groups follow its own in proportion, which is 0 here"
        )
    return optimizer.learning_rate / main.learning_rate
