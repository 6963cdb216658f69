"""Sums of padded parts: joined where they lie side by side, left where they do not."""

from __future__ import annotations

import numpy as np
import pytest

from lossgraph.ir import ops
from lossgraph.ir.evaluate import evaluate
from lossgraph.ir.expr import toposort
from lossgraph.passes import autodiff
from lossgraph.passes.rewrite import rewrite
from lossgraph.passes.rules import SIMPLIFY
from support import symbol

X = symbol("x", "float64", (2, 7, "N"))
VALUES = {"x": np.arange(42.0).reshape(2, 7, 3) * 0.1}


def gradient(*cuts, axis=1):
    """That of a sum of squares of parts of an array, as it is and rewritten."""
    total = None
    for number, (start, size) in enumerate(cuts):
        part = ops.take_range(X, axis, start, size)
        value = ops.reduce_sum(part * part * (number + 2.0), axes=(0, 1, 2))
        total = value if total is None else total + value
    (plain,) = autodiff.grad(total, [X])
    return plain, rewrite([plain], SIMPLIFY)[0]


def names(root):
    return [node.op.name for node in toposort([root])]


@pytest.mark.parametrize(
    "cuts",
    [
        [(0, 3), (3, 4)],
        [(0, 2), (5, 2), (2, 3)],
        [(4, 3), (1, 3)],
        [(3, 1), (1, 1), (2, 1), (4, 1)],
    ],
)
def test_parts_side_by_side_are_joined(cuts):
    plain, simple = gradient(*cuts)
    assert "Concat" in names(simple)
    assert names(simple).count("Pad") == (0 if sum(size for _, size in cuts) == 7 else 1)
    np.testing.assert_array_equal(*evaluate([plain, simple], VALUES))


@pytest.mark.parametrize("cuts", [[(0, 3), (2, 3)], [(0, 2), (3, 2)], [(0, 3), (0, 3)]])
def test_others_are_left(cuts):
    plain, simple = gradient(*cuts)
    assert "Concat" not in names(simple)
    np.testing.assert_array_equal(*evaluate([plain, simple], VALUES))


def test_lengths_may_have_names():
    size = X.shape[2]
    plain, simple = gradient((0, size - 1), (size - 1, 1), axis=2)
    assert "Concat" in names(simple)
    np.testing.assert_array_equal(*evaluate([plain, simple], VALUES))
