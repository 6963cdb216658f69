"""How parameters and the state change in a step, as expressions."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from .. import symbolic
from ..compiler.program import Program
from ..errors import InputError
from ..ir import ops
from ..ir.expr import Array, Expr, foreign_variable
from ..ir.types import TensorType, numpy_dtype
from ..passes.mixed_precision import HALF
from ..symbolic.symbol import Symbol, as_expr
from .gradients import all_finite, clipped_by_norm, clipped_by_value, multiplied
from .joining import apart, joined, small_alike
from .optimizers import Optimizer
from .plan import Plan

STEP, LEARNING_RATE, SCALE, FINITE_STEPS = "step", "learning_rate", "loss_scale", "finite_steps"
MASTER, SUM = "master", "gradient_sum"


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
        if self.start == 0:  # which takes no memory before it is written
            return np.zeros(parameter.shape, numpy_dtype(self.dtype))
        return np.full(parameter.shape, self.start, numpy_dtype(self.dtype))


@dataclass
class Updates:
    """What follows a step.

    Attributes:
        parameters: the parameters before it, by name.
        step: the number of the step.
        state: the parts of the state before it, by name.
        rate: the learning rate.
        following: the expression of each parameter and of each part of the state after it.
        sums: the sums of gradients after a batch that is no step yet, by the name in the state.
        moves: the parts of the state that move with each batch, after it.
        hyper: the scalars that may differ from step to step, as they are in the beginning.
        numbers: the parts of the state that are no slots, as they are in the beginning.
        slots: the other parts of the state.
    """

    parameters: Mapping[str, Expr]
    step: Expr = field(init=False)
    rate: Expr
    state: dict[str, Expr] = field(default_factory=dict)
    following: dict[str, Expr] = field(default_factory=dict)
    sums: dict[str, Expr] = field(default_factory=dict)
    moves: dict[str, Expr] = field(default_factory=dict)
    hyper: dict[str, Array] = field(default_factory=dict)
    numbers: dict[str, Array] = field(default_factory=dict)
    slots: dict[str, Slot] = field(default_factory=dict)

    @property
    def inputs(self) -> list[Expr]:
        """The state before the step, and the learning rate."""
        return [*self.state.values(), self.rate]

    @property
    def summing(self) -> list[Expr]:
        """The state that sums of gradients, and what moves with each batch, are made of."""
        return [self.state[name] for name in self.each_batch]

    @property
    def each_batch(self) -> dict[str, Expr]:
        """What follows a batch that is no step yet."""
        return {**self.sums, **self.moves}

    def start(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The state in the beginning."""
        return {**self.numbers, **{k: slot.array(parameters) for k, slot in self.slots.items()}}

    def number(self, name: str, start: Any) -> Expr:
        """A part of the state that is a number, which begins so."""
        self.numbers[name] = array = np.asarray(start)
        return self._kept(name, TensorType(array.dtype.name, ()))

    def slot(self, parameter: str, name: str, start: float | None) -> Expr:
        """A part of the state of a parameter's shape; at least of 32 bits."""
        type_ = _wide(self.parameters[parameter].type)
        self.slots[f"{parameter}.{name}"] = Slot(parameter, type_.dtype, start)
        return self._kept(f"{parameter}.{name}", type_)

    def _kept(self, name: str, type_: TensorType) -> Expr:
        self.state[name] = foreign_variable(name, type_)
        return self.state[name]

    def skip_unless(self, finite: Expr) -> None:
        """Leave everything as it is unless a condition holds, but the sums, which begin again."""
        before = {**self.parameters, **self.state}
        for name, value in self.following.items():
            if name not in self.sums:
                self.following[name] = ops.where(finite, value, before[name])


def loss_scale_variable() -> Expr:
    """What the loss is multiplied by, an input of the graph."""
    return foreign_variable(SCALE, TensorType("float32", ()))


def updates(
    program: Program,
    plan: Plan,
    scale: Expr | None = None,
    moving: Mapping[str, Array] = MappingProxyType({}),
) -> Updates:
    """The bodies of optimizers applied to parameters and the gradients of a program.

    Args:
        program: the loss and its gradients.
        plan: what happens to them.
        scale: the variable that the loss was multiplied by.
        moving: the initializers that move with each batch, as they are in the beginning.
    """
    found = {out.key: out.expr for out in program.typed_outputs if out.kind == "gradient"}
    made = _begun(program, list(found), plan, moving)
    gradients = {name: ops.cast(g, _wide(g.type).dtype) for name, g in found.items()}
    gradients = _mean(made, gradients, plan.accumulate)
    finite = None if scale is None else all_finite(gradients)
    if scale is not None:
        gradients = multiplied(gradients, ops.div(1.0, scale))
    for together in small_alike(_clipped(gradients, plan), plan.optimizers):
        _move(made, together, plan)
    if finite is not None and scale is not None and plan.scale is not None:
        made.skip_unless(finite)
        _rescale(made, plan, scale, finite)
    return made


def _begun(
    program: Program, names: Sequence[str], plan: Plan, moving: Mapping[str, Array]
) -> Updates:
    """What follows a step whatever the gradients are."""
    by_name = {node.attrs["name"]: node for node in program.inputs}
    if LEARNING_RATE in by_name:
        raise InputError(
            f"{LEARNING_RATE!r} is an input of the step: give that of the model another name"
        )
    parameters = {name: by_name[name] for name in names}
    wide = any(node.dtype == "float64" for node in parameters.values())
    dtype = "float64" if wide else "float32"
    made = Updates(parameters, foreign_variable(LEARNING_RATE, TensorType(dtype, ())))
    made.hyper[LEARNING_RATE] = np.asarray(plan.main.learning_rate, numpy_dtype(dtype))
    made.step = made.number(_free(STEP, by_name), np.int64(0)) + 1
    made.following |= dict.fromkeys(made.numbers, made.step)
    made.moves = {out.key: out.expr for out in program.typed_outputs if out.kind == "auxiliary"}
    made.state |= {name: by_name[name] for name in made.moves}
    made.numbers |= moving
    made.following |= made.moves
    return made


def _free(name: str, taken: Collection[str]) -> str:
    """A name, or one like it that is not taken."""
    while name in taken:
        name += "_"
    return name


def _clipped(gradients: Mapping[str, Expr], plan: Plan) -> Mapping[str, Expr]:
    if plan.clip_value is not None:
        gradients = clipped_by_value(gradients, plan.clip_value)
    if plan.clip_norm is not None:
        gradients = clipped_by_norm(gradients, plan.clip_norm)
    return gradients


def _mean(made: Updates, gradients: Mapping[str, Expr], batches: int) -> dict[str, Expr]:
    """The mean of the gradients of this batch and of those before, whose sums are kept."""
    if batches == 1:
        return dict(gradients)
    sums = {name: made.slot(name, SUM, 0.0) + gradient for name, gradient in gradients.items()}
    for name, total in sums.items():
        made.sums[f"{name}.{SUM}"] = total
        made.following[f"{name}.{SUM}"] = ops.full(0.0, total.dtype, total.shape)
    return {name: total * (1 / batches) for name, total in sums.items()}


def _rescale(made: Updates, plan: Plan, scale: Expr, finite: Expr) -> None:
    """Add what the scale of the loss becomes."""
    assert plan.scale is not None
    made.state[SCALE], made.numbers[SCALE] = scale, np.asarray(plan.scale.start, np.float32)
    row = made.number(FINITE_STEPS, np.int64(0))
    after = plan.scale.following(scale, row, finite)
    made.following[SCALE], made.following[FINITE_STEPS] = after


def _move(made: Updates, gradients: Mapping[str, Expr], plan: Plan) -> None:
    """Add what follows parameters of one optimizer, by one update of all their elements."""
    names = list(gradients)
    optimizer = plan.optimizers[names[0]]
    rate = made.rate * _proportion(optimizer, plan.main)
    current = joined([_current(made, name) for name in names])
    kept = {
        slot: joined([made.slot(name, slot, start) for name in names])
        for slot, start in optimizer.start.items()
    }
    results = _updated(made, optimizer, rate, current, joined(list(gradients.values())), kept)
    shapes = [gradient.shape for gradient in gradients.values()]
    moved, *others = (apart(result, shapes) for result in results)
    for name, parameter in zip(names, moved, strict=True):
        _follow(made, name, parameter)
    for slot, parts in zip(kept, others, strict=True):
        made.following |= {f"{n}.{slot}": part for n, part in zip(names, parts, strict=True)}


def _current(made: Updates, name: str) -> Expr:
    """What an update moves: a parameter, or the copy of 32 bits of one of 16."""
    parameter = made.parameters[name]
    return made.slot(name, MASTER, None) if parameter.dtype in HALF else parameter


def _follow(made: Updates, name: str, moved: Expr) -> None:
    """Add what was moved: the parameter, and its copy if it has one."""
    parameter = made.parameters[name]
    if parameter.dtype in HALF:
        made.following[f"{name}.{MASTER}"] = moved
    made.following[name] = ops.cast(moved, parameter.dtype)


def _updated(
    made: Updates,
    optimizer: Optimizer,
    rate: Expr,
    parameter: Expr,
    gradient: Expr,
    kept: Mapping[str, Expr],
) -> list[Expr]:
    """What an optimizer's body makes of a parameter, and of what is kept."""
    results = optimizer.update(
        symbolic,
        Symbol(parameter),
        Symbol(gradient),
        Symbol(ops.cast(made.step, gradient.dtype)),
        Symbol(ops.cast(rate, gradient.dtype)),
        **{slot: Symbol(node) for slot, node in kept.items()},
    )
    return _checked(optimizer, results, ("parameter", *kept), parameter.type)


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


def _wide(type_: TensorType) -> TensorType:
    return type_.with_dtype("float32") if type_.dtype in HALF else type_
