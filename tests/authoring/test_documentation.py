"""What ``help`` of a loss says: every parameter of every public constructor."""

from __future__ import annotations

import inspect
import re

import pytest

import lossgraph as lg
from lossgraph import gluon, nn

CLASSES = [
    getattr(module, name)
    for module in (gluon, nn)
    for name in module.__all__
    if inspect.isclass(getattr(module, name))
    and getattr(module, name) not in (gluon.Block, gluon.Constant)
]
COMPOSED = [lg.masked, lg.mixup, lg.padded, lg.renamed, lg.uncertainty_weighted, lg.weighted_sum]


def documented(source) -> set[str]:
    """The names that stand under ``Args:``."""
    doc = inspect.cleandoc(source.__doc__)
    match = re.search(r"^Args:\n((?:    .*\n?)+)", doc, re.MULTILINE)
    return (
        set(re.findall(r"^    \*{0,2}(\w+): \S", match.group(1), re.MULTILINE)) if match else set()
    )


@pytest.mark.parametrize(
    "source", [*CLASSES, *COMPOSED], ids=lambda s: f"{s.__module__}.{s.__name__}"
)
def test_every_parameter_of_a_constructor_is_explained(source) -> None:
    constructor = source.__init__ if inspect.isclass(source) else source
    names = set(inspect.signature(constructor).parameters) - {"self"}
    assert documented(source) == names
