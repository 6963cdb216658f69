"""The table of kernels that lose NaN or digits, against the ONNX Runtime that is installed."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from lossgraph.ir import ops
from lossgraph.lowering.kernels import INTEGERS, NONFINITE, is_faithful
from lossgraph.lowering.lower import lower
from lossgraph.passes.costs import PORTABLE, Target
from support import load_tool, run_model, symbol

tool = load_tool("engine_specials.py")
RELEASE = tuple(int(part) for part in onnxruntime.__version__.split(".")[:2])


def between(fault):
    first, last = (tuple(map(int, each.split("."))) for each in (fault.first, fault.last))
    return first <= RELEASE <= last


def test_every_fault_of_this_release_is_in_the_table():
    """And what is in the table and no fault of a newer release may go with the older ones."""
    if RELEASE < (1, 25):
        pytest.skip("kernels of old releases have other faults, which no lowering avoids")
    found = set(tool.nonfinite((3, 17))) | set(tool.integers())
    assert found <= tool.listed()
    for name, fault in {**NONFINITE, **INTEGERS}.items():
        if between(fault):
            assert {(name, dtype) for dtype in fault.dtypes} <= found


def test_the_table_is_asked_by_dtype():
    assert not is_faithful("LogSoftmax", "float64")
    assert is_faithful("LogSoftmax", "float32")
    assert not is_faithful("ReduceSum", "int64")
    assert is_faithful("ReduceSum", "float64")


@pytest.mark.parametrize("target", [PORTABLE, Target("cpu")], ids=["exported", "run"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("largest", [True, False])
def test_the_first_nan_is_the_extremum(target, axis, largest):
    x = symbol("x", "float32", ("N", "C"))
    node = ops.arg_extremum(x, axis, largest=largest)
    model = lower([x], {"y": node}, target=target)
    rng = np.random.default_rng(0)
    for places in ([2], [1, 4], [], [0]):
        array = rng.normal(size=(3, 6) if axis else (6, 3)).astype("f")
        (array if axis else array.T)[1, places] = np.nan
        (array if axis else array.T)[2, 3] = np.inf
        find = np.argmax if largest else np.argmin
        (found,) = run_model(model, {"x": array})
        np.testing.assert_array_equal(found, find(array, axis=axis, keepdims=True))
