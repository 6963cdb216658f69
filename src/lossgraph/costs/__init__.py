"""What operations cost where a graph runs, and the form of each that costs least there.

The tables beside this page are measured by ``tools/measure_ops``: for each operation, dtype and
form the nanoseconds of a call, and those of each element, on one thread and in cache.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from ..expr import Lower, Op

PLAIN = "plain"  # the form that an operation's ``lower`` is
Table = Mapping[str, Mapping[str, Mapping[str, tuple[float, float]]]]


@dataclass(frozen=True)
class Target:
    """Where a graph is to run.

    Attributes:
        name: ``cpu`` or ``cuda``, as ONNX Runtime runs them, or ``portable``: any engine.
        elements: about how many elements an array has; a form of many operators pays for many.
    """

    name: str
    elements: int = 0

    @property
    def portable(self) -> bool:
        """Whether the graph may run in any engine, and so keeps to what all of them do alike."""
        return self.name == "portable"

    def form(self, op: Op, dtype: str) -> Lower:
        """The way to lower an operation that costs least; the plain one if nothing is known."""
        if not op.forms or self.portable:
            return op.lower
        costs = {
            form: call + each * self.elements
            for form, (call, each) in table(self.name).get(dtype, {}).get(op.name, {}).items()
        }
        best = min(costs, key=costs.__getitem__, default=PLAIN)
        return op.forms.get(best, op.lower)


PORTABLE = Target("portable")


@cache
def table(name: str) -> Table:
    """Nanoseconds by dtype, operation and form: of a call, and of an element."""
    source = files(__package__) / f"{name}.json"
    if not source.is_file():
        return {}
    measured: Table = json.loads(source.read_text())["nanoseconds"]
    return measured
