"""Losses made of losses: sums with named parts, masks, padding, mixup, several tasks.

Every one is a loss, with the whole contract, and may stand in another. Its inputs are those of
the losses in it, by name: inputs of one name are one input (``renamed`` gives them others).
"""

from .mixing import mixup
from .renaming import renamed
from .selected import masked, padded
from .sums import uncertainty_weighted, weighted_sum

__all__ = ["masked", "mixup", "padded", "renamed", "uncertainty_weighted", "weighted_sum"]
