"""A loss of samples that were mixed of two."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..authoring.block import Block
from ..authoring.functions import as_loss
from ..authoring.options import one_of
from ..authoring.weighting import weigh_samples
from ..ir.types import TensorType
from ..symbolic.arguments import checked
from .composite import Composite, array_input


@checked
def mixup(loss: Any, label: str = "label") -> Block:
    r"""A loss against two labels, for samples that were mixed of two.

    .. math:: \ell = \lambda\, \ell(x, y) + (1 - \lambda)\, \ell(x, y')

    Inputs: those of the loss; ``<label>_mixed``, the second label; ``lam``, the share of the
    first, a number or one for each sample.

    Args:
        loss: a loss.
        label: the input that is a label.

    Source: Zhang et al. (2018), ICLR, arXiv:1710.09412.
    """
    return Mixup(loss, label)


class Mixup(Composite):
    """See ``mixup``."""

    def __init__(self, loss: Any, label: str = "label") -> None:
        block = as_loss(loss)
        one_of("label", label, tuple(block.signature.by_name))
        self.label, self.other = label, f"{label}_mixed"
        super().__init__(
            {"loss": block}, [array_input(self.other), array_input("lam", number=True)]
        )

    def shown_options(self) -> dict[str, str]:
        return super().shown_options() | {"label": repr(self.label)}

    def labels_among(self, types: Mapping[str, TensorType]) -> tuple[str, ...]:
        """The second label has a gradient if and only if the first has."""
        found = super().labels_among(types)
        return (*found, self.other) if self.label in found else found

    def hybrid_forward(self, F: Any, **given: Any) -> Any:
        share, other = given.pop("lam"), given.pop(self.other)
        first, parts = self._value("loss", given)
        second, others = self._value("loss", {**given, self.label: other})

        def mixed(a: Any, b: Any) -> Any:
            return weigh_samples(F, a, share, "lam") + weigh_samples(F, b, 1 - share, "lam")

        total = mixed(first, second)
        if not parts:
            return total
        return total, {name: mixed(part, others[name]) for name, part in parts.items()}
