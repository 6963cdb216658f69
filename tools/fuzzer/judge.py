"""Faults: numbers that no rounding explains, and errors that no user should see."""

from __future__ import annotations

from typing import Any

import numpy as np

from .mirror import Mirror

Array = np.ndarray[Any, Any]
EPS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}
# Of the spread that some runs showed, and of the result itself: kernels are right to some units in
# the last place, and sums and products have another order.
SPREADS, UNITS = 30.0, 16.0
# What the mirror's extended precision cannot tell from 0: it has 1 - t² for the derivative of tanh.
UNRESOLVED = 2.0**-60


class Fault(Exception):  # noqa: N818 - what is looked for, no error of the tool
    """What is wrong, and the call that shows it."""

    def __init__(self, what: str, call: str) -> None:
        super().__init__(what)
        self.call = call


def compare(
    what: str, found: Any, place: int, mirror: Mirror, dtype: str, keeps_nan: bool = True
) -> str | None:
    """What is wrong with an output, or None.

    ``keeps_nan`` asks for a NaN of the inputs to be where the mirror has it, and nowhere else.
    """
    exact, plain = np.asarray(mirror.exact[place]), np.asarray(mirror.plain[place])
    found = np.asarray(found)
    if found.shape != exact.shape:
        return f"{what} has the shape {found.shape}, not {exact.shape}"
    if found.dtype.kind in "iub":
        exact, plain = exact.astype(np.float64), plain.astype(np.float64)
    wrong = _wrong(found.astype(np.float64), exact, plain, mirror, place, dtype, keeps_nan)
    if not np.any(wrong):
        return None
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    return (f"{what}{list(at)} is {found[at]!r}, not {exact[at]!r} "
            f"(plain {dtype} has {plain[at]!r}, roundings move it by "
            f"{mirror.spread[place][at]:.2g})")  # fmt: skip


def _wrong(
    found: Array,
    exact: Array,
    plain: Array,
    mirror: Mirror,
    place: int,
    dtype: str,
    keeps_nan: bool,
) -> Array:
    spread = mirror.spread[place]
    limits = np.finfo({"bfloat16": "float32"}.get(dtype, dtype))
    with np.errstate(all="ignore"):
        allowed = SPREADS * spread + UNITS * EPS[dtype] * np.abs(exact) + 64 * float(limits.tiny)
        if dtype == "float16":
            allowed = allowed + 2.0**-24  # its subnormal numbers are coarse
        close = np.abs(found - exact) <= allowed
        close |= (exact == 0) & (np.abs(found) <= UNRESOLVED)
        # Near the largest number a rounding makes it infinite.
        close |= np.isinf(found) & (np.abs(exact) + allowed >= float(limits.max))
        if mirror.overflows:  # and a quotient of it is finite again, or 0 where it is small
            close |= np.abs(found - plain) <= 64 * EPS[dtype] * np.abs(plain)
            close |= (exact == 0) & (np.abs(found) <= float(limits.max) ** -0.25)
    unclear = ~np.isfinite(spread) | ~np.isfinite(plain) & ~np.isfinite(found)
    ordinary = np.isfinite(exact) & np.isfinite(plain)
    wrong = np.isfinite(exact) & ~close & ~unclear
    # Where plain arithmetic overflows or divides zeros another finite number may be the limit.
    wrong &= ordinary | ~np.isfinite(found)
    if mirror.meets_nan:
        # Stable forms take an infinity from another: one NaN may be that of its whole row.
        wrong &= ~np.isnan(found) | (mirror.clean and keeps_nan)
    infinite = np.isinf(exact) & np.isinf(plain) & np.isfinite(spread)
    wrong |= infinite & (np.isnan(found) | (np.isinf(found) & (found != exact)))
    if keeps_nan and mirror.clean:
        wrong |= np.isnan(exact) & np.isnan(plain) & ~np.isnan(found)
    return wrong
