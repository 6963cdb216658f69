"""A loss made ready to be written: asked once what it is and what it computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..authoring.block import Block
from ..authoring.functions import as_loss
from ..authoring.input_types import InputTypes
from ..catalogue import Entry, Example, entry_of
from ..compiler.program import Program


@dataclass(frozen=True)
class PreparedLoss:
    """A loss, what the catalogue knows of it, and its programs for some types of inputs.

    Attributes:
        block: the loss with its options.
        entry: its entry in the catalogue; None for a loss that a user wrote.
        examples: plausible inputs; none for a loss that a user wrote.
        value: the program of the value.
        training: the program of the value and the gradients, if gradients are wanted.
    """

    block: Block
    entry: Entry | None
    examples: Mapping[str, Example]
    value: Program
    training: Program | None

    @property
    def full(self) -> Program:
        """The program that computes the most."""
        return self.training or self.value


def prepare(
    loss: Any, inputs: InputTypes, grad: Sequence[str] = (), entry: Entry | None = None
) -> PreparedLoss:
    """Compile a loss for writing.

    Args:
        loss: a loss, or a function of F.
        inputs: type of each input, ``{"pred": ("float32", ("N", 10)), ..}``.
        grad: names of the inputs whose gradients are wanted too.
        entry: the loss's entry in the catalogue, for a caller who has it; looked up otherwise.

    Raises:
        InputError: for types or names that the loss does not take.
    """
    block = as_loss(loss)
    known = entry or entry_of(block)
    return PreparedLoss(
        block,
        known,
        known.examples(block) if known else {},
        block.program(inputs),
        block.program(inputs, grad=grad) if grad else None,
    )
