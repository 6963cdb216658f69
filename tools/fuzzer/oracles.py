"""What the mirror is held to: the reference, differences, and JAX where it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lossgraph.ir.expr import Expr

from . import by_jax
from .judge import Fault, compare
from .mirror import Mirror, rounded, run
from .programs import Program

Array = np.ndarray[Any, Any]
JAX = by_jax.available()


def hold_value(program: Program, mirror: Mirror, dtype: str) -> None:
    """The value of the mirror, which the compiler traced, and that of the reference."""
    judged = program.judged({n: a.astype(np.float64) if a.dtype.kind == "f" else a
                             for n, a in program.arrays.items()})  # fmt: skip
    wrong = compare("reference value", _as_far_as_known(judged, mirror), 0, mirror, dtype)
    if wrong:
        raise Fault(f"the {wrong} by tracing",
                    f"print(as_loss(body)({', '.join(program.names)}))")  # fmt: skip


def _as_far_as_known(judged: Array, mirror: Mirror) -> Array:
    """The reference's value without the NaN that other ways to compute it have, or have not.

    NumPy's ``where`` keeps out what a product with 0 does not, and sums in another order meet
    other infinities.
    """
    exact = mirror.exact[0]
    if judged.dtype.kind != "f" or judged.shape != exact.shape:
        return judged
    return np.where(np.isnan(exact) | (np.isnan(judged) & np.isinf(exact)), exact, judged)


# Whose derivative is not that of its value.
STOPS = ("stop_gradient", "BlockGrad", "detach", "astype", "cast", "Cast")


def _smooth(program: Program) -> bool:
    """Whether differences say what a derivative is, as far as the text tells."""
    return (
        program.special in ("ordinary", "ties")
        and program.dtype == "float64"
        and not any(word in line for line in program.lines for word in STOPS)
    )


def beside(program: Program, wrt: Sequence[str]) -> Program:
    """The program near its numbers, where ties are no kinks and zeros no poles."""
    rng = np.random.default_rng(2)
    some = _moving(program, wrt)
    moved = [replace(each, array=each.array + rng.uniform(-1e-2, 1e-2, each.array.shape))
             if each.name in some else each for each in program.inputs]  # fmt: skip
    return replace(program, inputs=tuple(moved))


def _moving(program: Program, wrt: Sequence[str]) -> list[str]:
    """The inputs that are no indices: these may be floats too, but of another dtype."""
    return [name for name in wrt if program.arrays[name].dtype.name == program.dtype]


def hold_gradients(program: Program, roots: Sequence[Expr], wrt: Sequence[str]) -> None:
    """The gradients of the mirror, and what JAX and differences say of the reference."""
    if not _smooth(program):
        return
    near = beside(program, wrt)
    ours = run(roots[: 1 + len(wrt)], near.arrays)[1:]
    moved = rounded(roots[: 1 + len(wrt)], near.arrays, np.random.default_rng(0))
    _hold_to_differences(near, ours, wrt)
    if JAX and moved is not None:
        _hold_to_jax(near, ours, moved[1:], wrt)


def _hold_to_differences(program: Program, ours: Sequence[Array], wrt: Sequence[str]) -> None:
    rng = np.random.default_rng(1)
    direction = {n: rng.uniform(-1, 1, program.arrays[n].shape) for n in _moving(program, wrt)}
    slopes = [_slope(program, direction, h) for h in (1e-3, 5e-4, 2.5e-4)]
    if None in slopes:
        return
    a, b, c = (float(s) for s in slopes if s is not None)
    coarse, fine = (4 * b - a) / 3, (4 * c - b) / 3  # without the error in h^2
    ours = [g for g, n in zip(ours, wrt, strict=True) if n in direction]
    slope = sum(float(np.sum(g * d)) for g, d in zip(ours, direction.values(), strict=True))
    scale = sum(float(np.sum(np.abs(g))) for g in ours)
    error = abs(fine - coarse) + abs(b - c)
    if not np.isfinite(slope) or error > 1e-5 * (1 + scale):
        return  # near a kink, where a difference says nothing
    if abs(fine - slope) > 100 * error + 1e-6 * (1 + scale):
        raise Fault(f"the derivative along a direction is {slope!r}, differences of the reference "
                    f"say {fine!r}", _call(program, wrt))  # fmt: skip


def _hold_to_jax(
    program: Program, ours: Sequence[Array], moved: Sequence[Array], wrt: Sequence[str]
) -> None:
    found = by_jax.gradients(program, program.arrays, wrt)
    for name, a, b, c in zip(wrt, ours, found or ours, moved, strict=True):
        with np.errstate(all="ignore"):
            wrong = np.abs(a - b) > 1e-9 * (1 + np.abs(a)) + 1e3 * np.abs(a - c)
        wrong &= np.isfinite(a) & np.isfinite(b)
        if np.any(wrong):
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise Fault(f"gradient of {name}{list(at)} is {a[at]!r}, JAX says {b[at]!r} where the "
                        f"inputs are { {n: v.tolist() for n, v in program.arrays.items()} }",
                        _call(program, wrt))  # fmt: skip


def _call(program: Program, wrt: Sequence[str]) -> str:
    names = ", ".join(program.names)
    return f"print(as_loss(body).value_and_grad({names}, wrt={tuple(wrt)}))"


def _slope(program: Program, direction: dict[str, Array], h: float) -> float | None:
    """A central difference, if both one-sided ones agree about as well as they should."""
    sums = []
    for step in (-h, 0.0, h):
        moved = {n: a + step * direction[n] if n in direction else a
                 for n, a in program.arrays.items()}  # fmt: skip
        value = program.judged(moved)
        if not np.all(np.isfinite(value)):
            return None
        sums.append(float(np.sum(value)))
    left, right = (sums[1] - sums[0]) / h, (sums[2] - sums[1]) / h
    if abs(left - right) > 0.05 * (abs(left) + abs(right)) + 1e-6:
        return None
    return (sums[2] - sums[0]) / (2 * h)
