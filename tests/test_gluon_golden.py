"""Every recorded case of mxnet.gluon.loss: value and all gradients."""

from __future__ import annotations

import numpy as np
import pytest

import golden_cases
import lossgraph as lg
from lossgraph import gluon, reference
from support import assert_close

ALL = golden_cases.cases("mxnet")
REFUSED = [case for case in ALL if "refused" in case["tags"]]
CASES = [case for case in ALL if case not in REFUSED]
# Of float32, MXNet's own digits: its float32 kernels agree with exact ones to 1e-5 in values
# and 1e-4 in gradients. Of narrow dtypes, their own few.
GOLDEN = {
    "float64": (1e-9, 1e-11),
    "float32": (2e-4, 2e-6),
    "float16": (2e-2, 2e-3),
    "bfloat16": (5e-2, 1e-2),
}
ids = [case["id"] for case in CASES]


def close(actual, expected, dtype):
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape and actual.size == expected.size == 1:
        expected = expected.reshape(actual.shape)
    assert_close(actual, expected, tolerance=GOLDEN[dtype])


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_value_and_gradients(case):
    recorded = golden_cases.Case("mxnet", case)
    loss = getattr(gluon, case["loss"])(**recorded.options)
    if case["grads"]:
        wrt = tuple(case["grads"])
        value, grads = loss.value_and_grad(**recorded.inputs, **recorded.call, wrt=wrt)
        for name in wrt:
            assert grads[name].dtype == recorded.inputs[name].dtype
            close(grads[name], recorded.grads[name], recorded.dtype)
    else:
        value = loss(**recorded.inputs, **recorded.call)
    close(value, recorded.out, recorded.dtype)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_the_same_body_on_numpy(case):
    recorded = golden_cases.Case("mxnet", case)
    loss = getattr(gluon, case["loss"])(**recorded.options)
    arrays = {name: reference.Array(array) for name, array in recorded.inputs.items()}
    close(loss(**arrays, **recorded.call).asnumpy(), recorded.out, recorded.dtype)


@pytest.mark.parametrize("case", REFUSED, ids=[case["id"] for case in REFUSED])
def test_labels_outside_the_classes_are_refused(case):
    recorded = golden_cases.Case("mxnet", case)
    loss = getattr(gluon, case["loss"])(**recorded.options)
    with pytest.raises(lg.InputError, match=r"label\[\d.*not one of the"):
        loss(**recorded.inputs)
