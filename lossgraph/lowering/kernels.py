"""Kernels of ONNX Runtime on the CPU that lose a NaN, an infinity or the last digits of integers.

Lowerings ask the builder whether a kernel ``keeps`` a property, and go another way where it does
not. ``tools/engine_specials`` asks every kernel that a lowering emits, with a special value at
every position of rows of many lengths; ``tests/lowering/test_kernels.py`` compares what it finds in
the installed release with this table, and so says when an entry may go: when no release that
lossgraph supports has the fault.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

_FLOATS = ("float16", "float32", "float64")


@dataclass(frozen=True)
class Fault:
    """What some kernels of an operator get wrong.

    Attributes:
        dtypes: of the kernels that have it.
        what: the result, and where.
        first: the first release in which it was seen, of those that were asked (from 1.20 on).
        last: the last one.
    """

    dtypes: tuple[str, ...]
    what: str
    first: str = "1.20"
    last: str = "1.32"


NONFINITE: Mapping[str, Fault] = {
    "ArgMax": Fault(_FLOATS, "passes over a NaN that is not the first of its row"),
    "ArgMin": Fault(_FLOATS, "passes over a NaN that is not the first of its row"),
    "LogSoftmax": Fault(
        ("float64",), "finite numbers for a row with a NaN after its first element, or with +inf"
    ),
    "ReduceMax": Fault(_FLOATS, "passes over a NaN that is not the first of its row"),
    "ReduceMin": Fault(_FLOATS, "passes over a NaN that is not the first of its row"),
    "Sign": Fault(("float16",), "0 for NaN"),
}
INTEGERS: Mapping[str, Fault] = {
    "Pow": Fault(("int64",), "computes in float64: 53 bits are right"),
    "ReduceProd": Fault(("int64",), "computes in float64: 53 bits are right", first="1.32"),
    "ReduceSum": Fault(("int64",), "adds in float64: 53 bits are right", first="1.32"),
}


def is_faithful(operator: str, dtype: str) -> bool:
    """Whether a kernel keeps NaN and infinities, or all digits of integers."""
    faults = NONFINITE if dtype in _FLOATS else INTEGERS
    return operator not in faults or dtype not in faults[operator].dtypes
