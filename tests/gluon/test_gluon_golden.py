"""Every recorded case of mxnet.gluon.loss: value and all gradients."""

from __future__ import annotations

import pytest

import golden_cases
import lossgraph as lg
from lossgraph import gluon, reference

ALL = golden_cases.cases("mxnet")
REFUSED = [case for case in ALL if "refused" in case["tags"]]
CASES = [case for case in ALL if case not in REFUSED]
ids = [case["id"] for case in CASES]


def value_of(recorded, case):
    """MXNet gives (N, 1) for cosines, of which its page says (N,)."""
    return recorded.out.reshape(-1) if case["loss"] == "CosineEmbeddingLoss" else recorded.out


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_value_and_gradients(case):
    recorded = golden_cases.Case("mxnet", case)
    loss = getattr(gluon, case["loss"])(**recorded.options)
    if case["grads"]:
        wrt = tuple(case["grads"])
        value, grads = loss.value_and_grad(**recorded.inputs, **recorded.call, wrt=wrt)
        for name in wrt:
            assert grads[name].dtype == recorded.inputs[name].dtype
            golden_cases.close(grads[name], recorded.grads[name], recorded.dtype)
    else:
        value = loss(**recorded.inputs, **recorded.call)
    golden_cases.close(value, value_of(recorded, case), recorded.dtype)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_the_same_body_on_numpy(case):
    recorded = golden_cases.Case("mxnet", case)
    loss = getattr(gluon, case["loss"])(**recorded.options)
    arrays = {name: reference.Array(array) for name, array in recorded.inputs.items()}
    value = loss(**arrays, **recorded.call).asnumpy()
    golden_cases.close(value, value_of(recorded, case), recorded.dtype)


@pytest.mark.parametrize("case", REFUSED, ids=[case["id"] for case in REFUSED])
def test_labels_outside_the_classes_are_refused(case):
    recorded = golden_cases.Case("mxnet", case)
    loss = getattr(gluon, case["loss"])(**recorded.options)
    with pytest.raises(lg.InputError, match=r"label\[\d.*not one of the"):
        loss(**recorded.inputs)
