"""What an optimizer is."""

from __future__ import annotations

from typing import Any, ClassVar


class Optimizer:
    """How parameters move: a body on ``F`` that is applied to each of them.

    A new one says which arrays it keeps beside each parameter, and writes ``update``:

    >>> class Signs(Optimizer):
    ...     slots = ("average",)
    ...     def __init__(self, learning_rate=1e-4, momentum=0.9):
    ...         self.learning_rate, self.momentum = learning_rate, momentum
    ...     def update(self, F, parameter, gradient, step, learning_rate, average):
    ...         average = self.momentum * average + (1 - self.momentum) * gradient
    ...         return parameter - learning_rate * F.sign(average), average

    Attributes:
        slots: the names of what it keeps for each parameter: arrays of its shape, zeros at first.
        learning_rate: the rate that a trainer begins with; it is an input of the graph.
    """

    slots: ClassVar[tuple[str, ...]] = ()
    learning_rate: float

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
