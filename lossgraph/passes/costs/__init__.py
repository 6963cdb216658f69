"""What operations cost where a graph runs, and the variant of each that costs least there.

The tables beside this page are measured by ``tools/measure_ops``: for each operation, dtype and
variant the nanoseconds of a call, and those of each element, on one thread and in cache.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ...ir.expr import Lower, Op
from ...ir.ops.sums import LongSums

PLAIN = "plain"  # the variant that an operation's ``lower`` is
Table = Mapping[str, Mapping[str, Mapping[str, tuple[float, float]]]]


@dataclass(frozen=True)
class Target:
    """Where a graph is to run.

    Attributes:
        name: ``cpu`` or ``cuda``, as ONNX Runtime runs them, or ``portable``: any engine.
        elements: about how many elements an array has; a variant of many operators pays for many.
        nonempty: whether every array has elements.
        finite: whether numbers may be taken for finite, with an output that says if they were.
        long_sums: what sums may be of so many numbers that float32 loses digits.
    """

    name: str
    elements: int = 0
    nonempty: bool = False
    finite: bool = False
    long_sums: LongSums = LongSums.ANY

    @property
    def portable(self) -> bool:
        """Whether the graph may run in any engine, and so keeps to what all of them do alike."""
        return self.name == "portable"

    def variant(self, op: Op, dtype: str) -> Lower:
        """The way to lower an operation: that which costs least, or is right in any engine."""
        if self.portable:
            return op.portable or op.lower
        if not op.variants:
            return op.lower
        costs = self._costs(op, dtype, self.elements)
        best = min(costs, key=costs.__getitem__, default=PLAIN)
        return op.variants.get(best, op.lower)

    def nanoseconds(self, op: Op, dtype: str, elements: int) -> float:
        """The time of an operation in its best variant; that of a copy if nothing is known."""
        return min(self._costs(op, dtype, elements).values(), default=_COPY * elements)

    def _costs(self, op: Op, dtype: str, elements: int) -> dict[str, float]:
        variants = table(self.name).get(dtype, {}).get(op.name, {})
        return {name: call + each * elements for name, (call, each) in variants.items()}


_COPY = 0.08  # nanoseconds an element
PORTABLE = Target("portable")


@cache
def table(name: str) -> Table:
    """Nanoseconds by dtype, operation and variant: of a call, and of an element."""
    source = files(__package__) / f"{name}.json"
    if not source.is_file():
        return {}
    measured: Table = json.loads(source.read_text())["nanoseconds"]
    return measured
