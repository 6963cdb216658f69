"""What ONNX Runtime does that code of ours works around.

Seen in 1.20 to 1.32. A test that fails here says that a release does better, and its docstring
what may go when that is the oldest release supported.
"""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from lossgraph.runtime.sessions import engine_errors, make_session

FLOAT, INT64, BFLOAT16 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BFLOAT16
ROWS = np.arange(6, dtype=np.float32).reshape(2, 3)


def session(nodes, inputs, outputs):
    ends = [[helper.make_tensor_value_info(*end) for end in each] for each in (inputs, outputs)]
    graph = helper.make_graph(nodes, "graph", *ends)
    opset = helper.make_opsetid("", 18)
    return make_session(helper.make_model(graph, opset_imports=[opset], ir_version=9))


@pytest.fixture
def picking():
    return session(
        [helper.make_node("GatherElements", ["x", "i"], ["y"], axis=1)],
        [("x", FLOAT, ("N", "C")), ("i", INT64, ("N", 1))],
        [("y", FLOAT, ("N", 1))],
    )


@pytest.fixture
def doing_nothing():
    return session(
        [helper.make_node("Identity", ["x"], ["a"]), helper.make_node("Identity", ["y"], ["b"])],
        [("x", FLOAT, ("N",)), ("y", FLOAT, ("N",))],
        [("a", FLOAT, ("N",)), ("b", FLOAT, ("N",))],
    )


def test_a_negative_index_wraps(picking):
    """``any_negative`` in ``Program.label_check``."""
    found = picking.run(None, {"x": ROWS, "i": np.array([[-1], [0]])})
    assert found[0].tolist() == [[2.0], [3.0]]


def test_an_index_beyond_the_axis_is_an_error(picking):
    """Why ``Program.label_check`` need not look for those on the CPU; without it, it must."""
    with pytest.raises(engine_errors()):
        picking.run(None, {"x": ROWS, "i": np.array([[3], [0]])})


def test_errors_have_no_common_base(picking):
    """``engine_errors``, which collects the classes."""
    with pytest.raises(Exception, match="GatherElements") as raised:
        picking.run(None, {"x": ROWS, "i": np.array([[3], [0]])})
    assert type(raised.value).__mro__[1] is Exception


def test_the_byte_order_of_an_array_is_not_looked_at(doing_nothing):
    """The check of byte orders in ``input_checks``."""
    swapped = np.array([1, 2], ">f4")
    found = doing_nothing.run(["a"], {"x": swapped, "y": swapped})
    assert found[0].tolist() == swapped.view("<f4").tolist()


def test_lengths_of_one_name_may_differ(doing_nothing):
    """The check of dims in ``input_checks``."""
    found = doing_nothing.run(None, {"x": np.zeros(2, np.float32), "y": np.zeros(3, np.float32)})
    assert [len(array) for array in found] == [2, 3]


def test_a_plain_call_returns_no_bfloat16():
    """``Runner._has_bfloat16`` and ``run_with_ort_values`` in ``run_session``."""
    cast = session(
        [helper.make_node("Cast", ["x"], ["y"], to=BFLOAT16)],
        [("x", FLOAT, ("N",))],
        [("y", BFLOAT16, ("N",))],
    )
    with pytest.raises(engine_errors()):  # whose message differs by release
        cast.run(None, {"x": np.ones(2, np.float32)})


def test_long_sums_lose_digits_and_a_mean_of_nothing_is_0():
    """Sums of shards in float64; the NaN that a mean over nothing is made to be."""
    mean = session(
        [helper.make_node("ReduceMean", ["x"], ["y"], keepdims=0)],
        [("x", FLOAT, ("N",))],
        [("y", FLOAT, ())],
    )
    (long,) = mean.run(None, {"x": np.full(10**7, 0.1, np.float32)})
    assert abs(float(long) - 0.1) > 1e-5
    (empty,) = mean.run(None, {"x": np.zeros(0, np.float32)})
    assert float(empty) == 0.0
