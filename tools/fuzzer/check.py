"""One program: run in every way, each result held to the mirror. Raises ``Fault``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lossgraph.compiler.trace import Traced
from lossgraph.errors import (
    GradientError,
    InputError,
    LossgraphError,
    LoweringError,
    SpecializationError,
)
from lossgraph.ir import ops
from lossgraph.ir.expr import Expr, toposort
from lossgraph.passes import autodiff

from . import mirror, oracles, ways
from .judge import Fault, compare
from .programs import Program


def check(program: Program) -> None:
    """Hold all that is computed of a program to its mirror, the mirror to the reference.

    Raises:
        Fault: for what differs, and for an exception of another kind than lossgraph's.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore", lossgraph_warnings())
        _check(program)


def lossgraph_warnings() -> type[Warning]:
    """What lossgraph warns of, which is meant for users."""
    return Warning


def _check(program: Program) -> None:
    try:
        program.judged(program.arrays)
    except InputError:
        return  # made smaller, it may be no program any more
    made = _traced(program)
    if made is None:
        return
    wrt = _differentiable(made)
    # Symbols made by hand compute in float16, where a loss that is called computes in float32.
    second = bool(wrt) and program.way.second and program.dtype != "float16"
    try:
        roots = mirror.outputs_of(made, wrt, second)
    except GradientError:  # the gradients are the same wherever the inputs are
        second, roots = False, mirror.outputs_of(made, wrt, False)
    try:
        reflected = mirror.reflect(roots, program)
    except Exception as error:
        wrt_text = f", wrt={tuple(wrt)}" if wrt else ""
        raise Fault(f"what was traced cannot be evaluated: {type(error).__name__}: {error}",
                    f"print(as_loss(body).value_and_grad({', '.join(program.names)}{wrt_text}))",
                    ) from error  # fmt: skip
    dtype = program.dtype
    oracles.hold_value(program, reflected, dtype)
    if wrt:
        oracles.hold_gradients(program, roots, wrt)
    named = program.way.named and _fits_names(program)
    runs: list[tuple[str, Callable[[], tuple[list[Any], str]]]] = [
        ("called", lambda: ways.called(program, wrt)),
        ("compiled", lambda: ways.compiled(program, wrt, named)),
    ]
    if not _is_beyond(program.way.opset, roots, reflected):
        runs.append(("exported", lambda: ways.exported(program, wrt, named)))
    for what, run in runs:
        _hold(program, what, run, reflected, ["value", *(f"gradient of {n}" for n in wrt)], 0)
    if second:
        labels = [f"second derivative by {n}" for n in wrt]
        _hold(program, "", lambda: ways.second(program, wrt), reflected, labels, 1 + len(wrt))


def _is_beyond(opset: int, roots: Sequence[Expr], reflected: mirror.Mirror) -> bool:
    """Whether an old opset computes something else: Reshape has no length of 0 before 14.

    Before 16 sums at indices are products with ones and zeros, in which what is not finite spreads.
    """
    added = any(node.op in (ops.scatter_add.op, ops.scatter_rows.op) for node in toposort(roots))
    return (opset < 14 and reflected.empty) or (opset < 16 and reflected.overflows and added)


def _hold(
    program: Program,
    what: str,
    run: Callable[[], tuple[list[Any], str]],
    reflected: mirror.Mirror,
    labels: Sequence[str],
    first: int,
) -> None:
    try:
        outputs, call = run()
    except LoweringError:
        return  # an opset that cannot say it
    except Exception as error:
        call = error.__notes__[-1] if getattr(error, "__notes__", None) else ""
        raise Fault(f"{what}: {type(error).__name__}: {error}", call) from error
    if len(outputs) != len(labels):
        raise Fault(f"{what}: {len(outputs)} outputs instead of {len(labels)}", call)
    if reflected.meets_nan and not reflected.clean and _decides(program):
        return  # a stable form may have a NaN elsewhere, and so decide otherwise
    for place, (label, found) in enumerate(zip(labels, outputs, strict=True), start=first):
        wrong = compare(f"{what} {label}".strip(), found, place, reflected, program.dtype,
                        _keeps_nan(program, place))  # fmt: skip
        if wrong:
            raise Fault(wrong, call)


# What is refused on purpose though the reference has an answer, by words of the error.
REFUSED = {
    "has nothing to pick from": "an axis without elements, of which the reference picks nothing",
    "does not fit the dtype": "a fraction beside integers, which the reference makes floats of",
    "of an axis of length 0 is asked for": "likewise the last of a sequence of no steps",
}


def _decides(program: Program) -> bool:
    """Whether what is NaN decides about what is not."""
    return any(word in line for line in program.lines for word in DECISIONS)


DECISIONS = (
    " > ", " < ", " >= ", " <= ", " == ", " != ", "equal", "greater", "lesser", "logical", "where",
    "isnan", "isinf", "isfinite", "arg", "sort", "top", "nan",
)  # fmt: skip


# What may leave a NaN out of a gradient, whose naive form has zero times NaN there.
CHOICES = (
    "where", "max", "min", "clip", "relu", "sort", "top", "arg", "pick", "take", "mask", ">", "<",
    "=", "nan", "mod", "%", "Mask", "gather", "scatter", "put", "LeakyReLU", "smooth", "finite",
    "sign", "abs", "softmax", "[", "hypot", "norm", "Last", "slice", "logical", "power", "pow",
    "**", "Embedding",
)  # fmt: skip


def _keeps_nan(program: Program, place: int) -> bool:
    """Whether a NaN of the inputs is where it is in the mirror.

    What a choice keeps out of a gradient is only promised where it asks for NaN itself.
    """
    if program.special != "nan" or place == 0:
        return True
    choosing = (line for line in program.lines if "isnan" not in line)
    return not any(word in line for line in choosing for word in CHOICES)


def _traced(program: Program) -> Traced | None:
    """The expressions, for sizes that are fixed."""
    try:
        return mirror.traced(program, named=False)
    except LossgraphError as error:
        if any(known in str(error) for known in REFUSED):
            return None
        raise Fault(f"{type(error).__name__} where the reference has a value: {error}",
                    f"print(as_loss(body)({', '.join(program.names)}))") from error  # fmt: skip


def _fits_names(program: Program) -> bool:
    """Whether it can be compiled for named sizes: not where two names meet, or one a number."""
    try:
        made = mirror.traced(program, named=True)
        mirror.outputs_of(made, _differentiable(made), False)
    except (SpecializationError, InputError):
        return False
    sizes = mirror.bind_sizes(made.inputs, program.arrays)
    from lossgraph.ir.dims import evaluate

    return all(evaluate(a, sizes) == evaluate(b, sizes) for a, b in made.constraints)


def _differentiable(made: Traced) -> list[str]:
    """The inputs that the value has a gradient by."""
    value: Expr = made.values[0]
    if not value.type.is_float:
        return []
    names = []
    for node in made.inputs:
        try:
            autodiff.grad(value, [node])
        except GradientError:
            continue
        names.append(node.attrs["name"])
    return names
