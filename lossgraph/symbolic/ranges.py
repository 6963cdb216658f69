"""Functions of ``F`` that make numbers at equal distances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir import dims, ops
from ..ir.dims import LARGEST
from ..ir.expr import const
from .register import function
from .shape import repeat as repeat_each
from .symbol import DtypeLike, SizeLike, Symbol, _dim_of, created, static, wrap


@function()
def arange(
    start: Any,
    stop: Any = None,
    step: float = 1.0,
    repeat: int = 1,
    infer_range: bool = False,
    ctx: Any = None,
    dtype: DtypeLike = None,
) -> Symbol:
    """``start, start+step, ..`` before ``stop``, each ``repeat`` times.

    Without a dtype they take that of what they meet, as the elements of ``zeros`` do.
    """
    if stop is None:
        start, stop = 0, start
    if all(isinstance(v, (int, float, np.number)) for v in (start, stop)):
        if not math.isfinite(span := (stop - start) / step if step else math.nan):
            raise InputError(f"arange: no range is {start} to {stop} by {step}")
        if span > LARGEST:
            raise InputError(f"arange: {span:g} numbers are too many")
        each = int(step) if float(step).is_integer() else step  # what is whole stays so
        values = np.repeat(np.arange(start, stop, each), static(_dim_of(repeat), "arange"))
        exact = values if values.dtype.kind == "i" else values.astype(np.float64)
        return created(lambda kind: ops.cast(const(exact), kind), dtype)
    if step != int(step) or step == 0:
        raise InputError("arange: a range of symbolic length needs a whole step")
    first, past, stride = _dim_of(start), _dim_of(stop), int(step)
    span = past - first if stride > 0 else first - past
    count = dims.floordiv(dims.maximum(span, 0) + (abs(stride) - 1), abs(stride))
    values_ = ops.iota(count) * stride + ops.size_of(first)
    if repeat != 1:
        values_ = repeat_each(wrap(values_), repeat).expr
    return created(lambda kind: ops.cast(values_, kind), dtype)


@function()
def linspace(
    start: float,
    stop: float,
    num: SizeLike = 50,
    endpoint: bool = True,
    ctx: Any = None,
    dtype: DtypeLike = None,
) -> Symbol:
    """``num`` numbers at equal distances from ``start`` to ``stop``, the last one if ``endpoint``.

    Without a dtype they take that of what they meet, as the elements of ``zeros`` do.
    """
    count = _dim_of(num)
    if isinstance(count, int) and count < 0:
        raise InputError(f"linspace: num: expected 0 or more, got {count}")
    if isinstance(count, int):
        with np.errstate(invalid="ignore"):  # between infinities there is NaN
            values = np.linspace(float(start), float(stop), count, endpoint=bool(endpoint))
        return created(lambda kind: const(values, kind), dtype)
    place = ops.cast(ops.iota(count), "float64")
    gaps = ops.cast(ops.size_of(count - 1 if endpoint else count), "float64")
    share = place / ops.maximum(gaps, 1.0)
    return created(
        lambda kind: ops.cast((1.0 - share) * float(start) + share * float(stop), kind), dtype
    )
