"""What a program is in exact mathematics, and how far rounding may lead from it.

The mirror is the traced graph, before any rewriting, with its derivatives, evaluated by numpy in
float64. Evaluated again with every result moved by a rounding error of the dtype that the program
computes in (Monte Carlo arithmetic), it shows how much of a difference honest rounding makes:
where a sum cancels or a step is near, that is much, elsewhere next to nothing. So no tolerance has
to be wide enough for all programs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossgraph import symbolic
from lossgraph.compiler.trace import Traced, trace
from lossgraph.ir import ops
from lossgraph.ir.batching import pointwise
from lossgraph.ir.evaluate import bind_sizes, evaluate
from lossgraph.ir.expr import Expr, is_input, is_literal, map_sizes, toposort
from lossgraph.ir.types import numpy_dtype, tensor_type
from lossgraph.passes import autodiff

from .programs import Program

Array = np.ndarray[Any, Any]
ZEROS = (0.5, 1.0)  # how often what is smaller than a rounding is zero, in two runs more
RUNS = 4  # with roundings at random: enough to see a step or a cancellation nearly always


@dataclass(frozen=True)
class Mirror:
    """The outputs of a program: exact, as plain float arithmetic has them, and their spread."""

    exact: list[Array]
    plain: list[Array]
    spread: list[Array]
    clean: bool  # whether all numbers on the way are finite where NaNs of inputs are numbers
    meets_nan: bool  # whether plain arithmetic meets a NaN on the way
    empty: bool  # whether an array on the way has no elements
    overflows: bool  # whether plain arithmetic meets a number on the way that is not finite


def traced(program: Program, named: bool) -> Traced:
    """The program as expressions, as its body says it."""
    types = {name: tensor_type(*each) for name, each in program.types(named).items()}
    return trace(program.body, types, {})


def outputs_of(made: Traced, wrt: Sequence[str], second: bool) -> list[Expr]:
    """The value, its gradients, and if asked for the gradients of the sum of weighed gradients."""
    value = made.values[0]
    if not wrt:
        return [value]
    inputs = [node for node in made.inputs if node.attrs["name"] in wrt]
    gradients = autodiff.grad(value, inputs)
    if not second:
        return [value, *gradients]
    return [value, *gradients, *autodiff.grad(weighed(gradients), inputs)]


def weighed(gradients: Sequence[Expr]) -> Expr:
    """One number of gradients: different weights, so that none cancels another."""
    total: Any = 0.0
    for i, gradient in enumerate(gradients):
        total = total + symbolic.sum(symbolic.Symbol(gradient)) * (1.0 + 0.5 * i)
    return total.expr


def reflect(roots: Sequence[Expr], program: Program) -> Mirror:
    """The mirror of a program's outputs."""
    arrays = program.arrays
    rng = np.random.default_rng(0)
    exact = run(roots, arrays)
    spread = [np.zeros(np.shape(value)) for value in exact]
    for zeros in (*(0.0,) * RUNS, *ZEROS):
        moved = rounded(roots, arrays, rng, zeros)
        if moved is None:
            spread = [np.full(np.shape(value), np.inf) for value in exact]
            break
        for place, (a, b) in enumerate(zip(exact, moved, strict=True)):
            with np.errstate(all="ignore"):
                away = np.where(a == b, 0.0, np.abs(np.subtract(a, b, dtype=np.float64)))
            spread[place] = np.maximum(
                spread[place], np.where(np.isnan(a) & np.isnan(b), 0.0, away)
            )
    nodes = [node for node in toposort(roots) if node.dtype != "tuple"]
    plain = dict(zip(nodes, evaluate(nodes, arrays), strict=True))
    overflows = not all(np.all(np.isfinite(value)) for value in plain.values())
    shown = [plain[root] for root in roots]
    if any(value.dtype.kind in "iu" and _is_large(value) for value in plain.values()):
        spread = [np.full(np.shape(value), np.inf) for value in exact]  # sums of them may wrap
    if _rounds_to_indices(roots):  # which one it is lies in the last bit
        with np.errstate(all="ignore"):
            pairs = zip(spread, exact, shown, strict=True)
            spread = [np.maximum(s, np.nan_to_num(np.abs(a - b))) for s, a, b in pairs]
    meets_nan = any(np.any(np.isnan(value)) for value in plain.values())
    empty = not all(np.size(value) for value in plain.values())
    return Mirror(exact, shown, spread, _clean(roots, arrays), meets_nan, empty, overflows)


def _is_large(value: Array) -> bool:
    """Whether integers are near the ends of int32, as infinities that were cast are."""
    return bool(np.any(np.abs(value.astype(np.float64)) >= 2.0**30))


def _rounds_to_indices(roots: Sequence[Expr]) -> bool:
    """Whether numbers that were computed, and rounded, decide which elements are taken."""
    order = toposort(roots)
    chosen = [node.args[place] for node in order for place in node.op.index_args]
    rounded = (node for node in toposort(chosen) if node.op is ops.cast.op)
    return any(node.args[0].type.is_float and not is_input(node.args[0]) for node in rounded)


def _clean(roots: Sequence[Expr], arrays: Mapping[str, Array]) -> bool:
    ordinary = {
        name: np.where(np.isnan(a), 0.4375, a) if a.dtype.kind == "f" else a
        for name, a in arrays.items()
    }
    return bool(run(roots, ordinary, finite=True))


def rounded(
    roots: Sequence[Expr],
    arrays: Mapping[str, Array],
    rng: np.random.Generator,
    zeros: float = 0.0,
) -> list[Array] | None:
    """The values with roundings; None where these decide what an index is, and it is none."""
    try:
        return list(run(roots, arrays, rng, zeros=zeros))
    except IndexError:
        return None


def run(
    roots: Sequence[Expr],
    arrays: Mapping[str, Array],
    rng: np.random.Generator | None = None,
    finite: bool = False,
    zeros: float = 0.0,
) -> Any:
    """The values of expressions in float64; with ``rng`` roundings of the nodes' dtypes.

    With ``finite`` it is only asked whether all numbers on the way are. ``zeros`` is how often what
    is smaller than a rounding is 0: whether something is may decide.
    """
    inputs = [node for node in toposort(roots) if is_input(node)]
    sizes = bind_sizes(inputs, arrays)
    values: dict[Expr, Any] = {}
    with np.errstate(all="ignore"):
        for node in toposort(roots):
            value = _value(node, values, arrays, sizes)
            if finite and node.dtype != "tuple" and not np.all(np.isfinite(_float64(value))):
                return False
            values[node] = value if rng is None else _rounded(node, value, values, rng, zeros)
    return True if finite else [values[root] for root in roots]


def _value(
    node: Expr, values: Mapping[Expr, Any], arrays: Mapping[str, Array], sizes: Mapping[str, int]
) -> Any:
    if is_literal(node):
        return _float64(node.attrs["value"])
    if is_input(node):
        return _float64(np.asarray(arrays[node.attrs["name"]]))
    if node.op is ops.cast.op and node.type.is_float:
        (value,) = (values[arg] for arg in node.args)
        # What a narrow dtype cannot hold is infinite; roundings are left to ``_rounded``.
        narrow = np.asarray(value).astype(numpy_dtype(node.dtype))
        return np.where(np.isinf(narrow), narrow, _float64(value)).astype(np.float64)
    given = [values[arg] for arg in node.args]
    if node.op.has_body:  # which computes in its own dtypes
        given = [np.asarray(v).astype(numpy_dtype(arg.dtype))
                 for v, arg in zip(given, node.args, strict=True)]  # fmt: skip
    value = node.op.ref(*given, **map_sizes(node.attrs, sizes))
    return tuple(map(_float64, value)) if isinstance(value, tuple) else _float64(value)


def _float64(value: Any) -> Array:
    array = np.asarray(value)
    return array.astype(np.float64) if array.dtype.kind not in "iub" else array


def _rounded(
    node: Expr, value: Any, values: Mapping[Expr, Any], rng: np.random.Generator, zeros: float
) -> Any:
    if isinstance(value, tuple):
        floats = [v for v in value if v.dtype.kind == "f"]
        size = max((np.max(np.abs(v), initial=0.0) for v in floats), default=0.0)
        eps = max((_EPS.get(arg.dtype, 0.0) for arg in node.args), default=0.0)
        return tuple(_moved(v, 8 * eps, size * eps, rng) if v.dtype.kind == "f" else v
                     for v in value)  # fmt: skip
    if not node.type.is_float or is_input(node) or is_literal(node):
        return value
    if node.op.movement is not None or node.op.is_item or node.op.name in _EXACT:
        return value
    eps, noise = _EPS[node.dtype], _LEAST[node.dtype]
    if node.op.batching is not pointwise:  # an error in proportion to what goes in
        parts = [np.abs(values[arg]) for arg in node.args if arg.type.is_float]
        sizes = [np.max(part[np.isfinite(part)], initial=0.0) for part in parts]
        noise += eps * max(sizes, default=0.0)
    moved = _moved(value, 2 * eps, noise, rng)
    if rng.random() >= zeros:
        return moved
    lost = noise
    if node.op in (ops.add, ops.sub):
        lost = 2 * eps * np.maximum(*(np.abs(values[arg]) for arg in node.args))
    return np.where(np.abs(value) <= lost, 0.0, moved)


# What has no rounding: results that are one of the arguments, or whole.
_EXACT = frozenset(
    op.name
    for op in (
        ops.neg, ops.absolute, ops.sign, ops.floor, ops.ceil, ops.maximum, ops.minimum, ops.where,
        ops.relu, ops.step, ops.pad.op, ops.reduce_max.op, ops.reduce_min.op, ops.clip.op,
        ops.one_hot.op, ops.stop_gradient, ops.scatter.op,
    )
)  # fmt: skip
_EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}

_LEAST = {"float64": 0.0, "float32": 2.0**-126, "float16": 2.0**-24, "bfloat16": 2.0**-126}


def _moved(value: Array, relative: float, absolute: float, rng: np.random.Generator) -> Array:
    signs = rng.choice([-1.0, 1.0], (2, *value.shape))
    return np.where(value == 0, value, value * (1 + relative * signs[0]) + absolute * signs[1])
