"""Sums at indices that repeat: none is lost, however many threads work at them."""

from __future__ import annotations

import numpy as np
import pytest

from lossgraph.authoring.functions import as_loss
from lossgraph.errors import InputError, LoweringError
from lossgraph.ir import ops
from lossgraph.passes.rewrite import rewrite
from lossgraph.passes.rules import SIMPLIFY
from support import run_ort, symbol, to_model


def test_rows_are_not_added_by_several_threads():
    """ScatterND of ONNX Runtime adds rows in parallel, and loses some of those of one index."""
    rows, index = symbol("rows", "float32", ("N", 2)), symbol("index", "int64", ("N",))
    for made in (
        ops.scatter_rows(rows, index, 3),
        ops.scatter_nd_reduced(
            ops.full(0.0, "float32", (3, 2)), ops.expand_dims(index, (1,)), rows, "add"
        ),
    ):
        adding = [n for n in to_model([made]).graph.node if any(a.s == b"add" for a in n.attribute)]
        assert [node.op_type for node in adding] == ["ScatterElements"]
        arrays = {"rows": np.ones((30_000, 2), np.float32), "index": np.arange(30_000) % 3}
        assert run_ort([made], arrays)[0].tolist() == [[10_000.0] * 2] * 3


def test_what_is_no_reduction_or_too_old_is_refused():
    x, index = symbol("x", "float64", (3, 4)), symbol("i", "int64", (3, 1))
    values = symbol("v", "float64", (3, 1))
    with pytest.raises(InputError, match="expected one of"):
        ops.scatter_elements(x, index, values, 1, "mean")
    with pytest.raises(LoweringError, match="max needs opset 18, got 16"):
        to_model([ops.scatter_elements(x, index, values, 1, "max")], 16)


def test_integers_are_multiplied_in_their_order():
    """The rule that joins two factors asks for ordinary floats."""
    x = symbol("x", "int64", (3,))
    assert rewrite([(x * 3) * 5], SIMPLIFY) == [(x * 3) * 5]


def test_rows_and_indices_may_name_their_common_length_differently():
    def body(F, data, index):
        return F.scatter_nd(data, index, shape=(4,))

    data, index = np.array([0.5, 0.25]), np.array([[3, 0]])
    assert np.array_equal(as_loss(body)(data, index), [0.25, 0, 0, 0.5])
    fixed = as_loss(lambda F, index: F.scatter_nd(F.array([0.5, 0.25]), index, shape=(4,)))
    assert np.array_equal(fixed(index), [0.25, 0, 0, 0.5])
