"""What an optimizer is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from .options import check_fields


class Optimizer:
    """How parameters move: a body on ``F`` that is applied to each of them.

    A new one says which arrays it keeps beside each parameter, and writes ``update``:

    >>> class Signs(Optimizer):
    ...     learning_rate, momentum, slots = 1e-4, 0.9, ("average",)
    ...     def update(self, F, parameter, gradient, step, learning_rate, average):
    ...         average = self.momentum * average + (1 - self.momentum) * gradient
    ...         return parameter - learning_rate * F.sign(average), average

    One with options is best a frozen dataclass: they are checked by their annotations.

    Attributes:
        slots: the names of what it keeps for each parameter, arrays of its shape: zeros at first,
            or full of a number in a mapping.
        learning_rate: the rate that a trainer begins with; it is an input of the graph.
        elementwise: whether an element moves by what stands at its place alone, so that small
            parameters may be updated as one array.
    """

    slots: Sequence[str] | Mapping[str, float] = ()
    learning_rate: float
    elementwise: ClassVar[bool] = False

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def start(self) -> dict[str, float]:
        """What each slot is full of in the beginning."""
        return dict(self.slots) if isinstance(self.slots, Mapping) else dict.fromkeys(self.slots, 0)

    def update(
        self, F: Any, parameter: Any, gradient: Any, step: Any, learning_rate: Any, **slots: Any
    ) -> Any:
        """The parameter after a step, and then each slot, as a tuple.

        Args:
            F: the operators.
            parameter: a parameter.
            gradient: its gradient.
            step: the number of the step, a scalar that begins with 1.
            learning_rate: a scalar.
            **slots: what is kept, by name.
        """
        raise NotImplementedError
