"""What the mirror is held to: the reference, differences, and JAX where it is installed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lossgraph.ir.expr import Expr

from . import by_jax
from .judge import Fault, compare
from .mirror import Mirror, run
from .programs import Program

Array = np.ndarray[Any, Any]


def hold_value(program: Program, mirror: Mirror, dtype: str) -> None:
    """The value of the mirror, which the compiler traced, and that of the reference."""
    judged = program.judged({n: a.astype(np.float64) if a.dtype.kind == "f" else a
                             for n, a in program.arrays.items()})  # fmt: skip
    wrong = compare("reference value", judged, 0, mirror, dtype)
    if wrong:
        raise Fault(f"the {wrong} by tracing",
                    f"print(as_loss(body)({', '.join(program.names)}))")  # fmt: skip


def hold_gradients(program: Program, mirror: Mirror, wrt: Sequence[str]) -> None:
    """The derivatives of the mirror, in float64, and central differences of the reference."""
    if program.special not in ("ordinary", "ties") or program.dtype != "float64":
        return
    rng = np.random.default_rng(1)
    arrays = program.arrays
    direction = {n: rng.uniform(-1, 1, arrays[n].shape) for n in wrt}
    slopes = [_slope(program, direction, h) for h in (1e-3, 5e-4, 2.5e-4)]
    if None in slopes:
        return
    a, b, c = (float(s) for s in slopes if s is not None)
    coarse, fine = (4 * b - a) / 3, (4 * c - b) / 3  # without the error in h^2
    ours = sum(float(np.sum(g * direction[n])) for g, n in
               zip(mirror.exact[1:], wrt, strict=False))  # fmt: skip
    scale = sum(float(np.sum(np.abs(g))) for g in mirror.exact[1 : 1 + len(wrt)])
    error = abs(fine - coarse) + abs(b - c)
    if not np.isfinite(ours) or error > 1e-5 * (1 + scale):
        return  # near a kink, where a difference says nothing
    if abs(fine - ours) > 100 * error + 1e-6 * (1 + scale):
        raise Fault(f"the derivative along a direction is {ours!r}, differences of the reference "
                    f"say {fine!r}",
                    f"print(as_loss(body).value_and_grad({', '.join(program.names)}, "
                    f"wrt={tuple(wrt)}))")  # fmt: skip


def hold_to_jax(program: Program, roots: Sequence[Expr], wrt: Sequence[str]) -> None:
    """The gradients of the mirror and those that JAX has of the reference.

    Beside the numbers of the program, where ties are no kinks and zeros no poles.
    """
    if program.special not in ("ordinary", "ties") or program.dtype != "float64":
        return
    rng = np.random.default_rng(2)
    arrays = {n: a + rng.uniform(-1e-2, 1e-2, a.shape) if n in wrt else a
              for n, a in program.arrays.items()}  # fmt: skip
    found = by_jax.gradients(program, arrays, wrt)
    if found is None:
        return
    ours = run(roots[: 1 + len(wrt)], arrays)[1:]
    moved = run(roots[: 1 + len(wrt)], arrays, np.random.default_rng(0))[1:]
    for name, a, b, c in zip(wrt, ours, found, moved, strict=True):
        with np.errstate(all="ignore"):
            wrong = np.abs(a - b) > 1e-9 * (1 + np.abs(a)) + 1e3 * np.abs(a - c)
        if np.any(wrong & np.isfinite(a) & np.isfinite(b)):
            nearby = replace(program, inputs=tuple(replace(i, array=arrays[i.name])
                                                   for i in program.inputs))  # fmt: skip
            at = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise Fault(f"gradient of {name}{list(at)} is {a[at]!r}, JAX says {b[at]!r}, near by: "
                        f"{ {n: v.tolist() for n, v in nearby.arrays.items()} }",
                        f"print(as_loss(body).value_and_grad({', '.join(program.names)}, "
                        f"wrt={tuple(wrt)}))")  # fmt: skip


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
    if abs(left - right) > 0.05 * (1 + abs(left) + abs(right)):
        return None
    return (sums[2] - sums[0]) / (2 * h)
