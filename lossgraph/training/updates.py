"""How parameters and the state of an optimizer change in a step, as expressions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import symbolic
from ..compiler.program import Program
from ..ir.expr import Expr, foreign_variable
from ..ir.types import TensorType
from ..symbolic.symbol import Symbol, as_expr
from .optimizers import Optimizer

STEP, LEARNING_RATE = "step", "learning_rate"


@dataclass(frozen=True)
class Updates:
    """What follows a step.

    Attributes:
        inputs: the state before the step, and the scalars that may differ from step to step.
        following: the expression of each parameter and of each part of the state after it.
        hyper: the scalars, as they are in the beginning.
        slots: the parts of the state that have the shape of a parameter, with its name.
    """

    inputs: tuple[Expr, ...]
    following: Mapping[str, Expr]
    hyper: Mapping[str, float]
    slots: Mapping[str, str]

    def state(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The state in the beginning: zeros, and no step made."""
        zeros = {slot: np.zeros_like(parameters[name]) for slot, name in self.slots.items()}
        return {STEP: np.zeros((), np.int64), **zeros}


def updates(program: Program, optimizer: Optimizer) -> Updates:
    """The optimizer's body applied to each parameter and its gradient."""
    gradients = {out.key: out.expr for out in program.typed_outputs if out.kind == "gradient"}
    parameters = {node.attrs["name"]: node for node in program.inputs}
    step = foreign_variable(STEP, TensorType("int64", ()))
    rate = foreign_variable(LEARNING_RATE, TensorType("float32", ()))
    number = symbolic.cast(Symbol(step), "float32") + 1
    following: dict[str, Expr] = {STEP: as_expr(Symbol(step) + 1)}
    inputs, slots = [step, rate], {}
    for name, gradient in gradients.items():
        kept = {slot: foreign_variable(f"{name}.{slot}", gradient.type) for slot in optimizer.slots}
        inputs.extend(kept.values())
        slots |= {f"{name}.{slot}": name for slot in kept}
        made = optimizer.update(
            symbolic,
            Symbol(parameters[name]),
            Symbol(gradient),
            symbolic.cast(number, gradient.dtype),
            symbolic.cast(Symbol(rate), gradient.dtype),
            **{slot: Symbol(node) for slot, node in kept.items()},
        )
        made = made if isinstance(made, tuple) else (made,)
        names = [name, *(f"{name}.{slot}" for slot in kept)]
        following |= {key: as_expr(value) for key, value in zip(names, made, strict=True)}
    hyper = {LEARNING_RATE: optimizer.learning_rate}
    return Updates(tuple(inputs), following, hyper, slots)
