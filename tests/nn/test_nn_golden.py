"""Every recorded case of torch.nn: value and all gradients."""

from __future__ import annotations

import numpy as np
import pytest

import golden_cases
from ctc_oracle import log_softmax
from lossgraph import nn, reference
from support import newest_opset

pytestmark = pytest.mark.filterwarnings("ignore::lossgraph.LossgraphWarning")  # torch warns too

# Losses that are not here: linear layers inside.
CASES = golden_cases.cases("torch")
WIDE = [
    case
    for case in CASES
    if case["dtype"] in ("float32", "float64")
    and case["id"] != "BCEWithLogitsLoss-051"  # inf - inf, which rewriting removes from graphs
]
# Where torch is wrong and nothing else was recorded: what is right.
RIGHT = {
    # the squared length of 1e20 overflows float32, so that torch's cosine is 0
    "functional.cosine_similarity-011": {"out": [0.0, -1.0, 0.5**0.5], "x2": [
        [0, 0], [0, 0], [0.5**1.5, -(0.5**1.5)]]},
    # Stirling's term is 0 up to 1, its derivative too: what is left is -log(input + eps)
    "PoissonNLLLoss-039": {"target": [
        -np.log(1e-8), -np.log(1e-8) + np.log(3) + 1 / 6, -np.log(1.0001e-8), -np.log(2)]},
}  # fmt: skip
# Where torch's derivative by a target of 0 is NaN: its limit.
LIMITS = {f"KLDivLoss-{number:03}": -np.inf for number in range(28, 33)}


def prepared(recorded, case):
    """A loss and its inputs: options that were recorded as arrays or words in torch's terms."""
    options, inputs = dict(recorded.options), dict(recorded.inputs)
    if "var_float" in options:
        inputs["var"] = options.pop("var_float")
    if "distance" in options:
        options["distance_function"] = options.pop("distance")
    if "logits" in inputs:  # CTC was recorded with the log_softmax that comes before it
        logits = inputs.pop("logits")
        inputs["log_probs"] = log_softmax(logits.astype(np.float64)).astype(logits.dtype)
    family, _, name = case["loss"].rpartition(".")
    if family:
        return getattr(nn.functional, name).with_options(**options), inputs
    return getattr(nn, name)(**options), inputs


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_value_and_gradients(case):
    if case["id"] == "BCELoss-040" and newest_opset() < 26:
        pytest.skip("in this old ONNX Runtime the logarithm of a subnormal number is that of tiny")
    recorded = golden_cases.Case("torch", case)
    loss, inputs = prepared(recorded, case)
    right = RIGHT.get(case["id"], {})
    wrt = [{"logits": "log_probs"}.get(name, name) for name in case["grads"]]
    value, grads = loss.value_and_grad(**inputs, wrt=wrt)
    out = np.asarray(right.get("out", recorded.out))
    assert value.shape == out.shape
    golden_cases.close(value, out, recorded.dtype)
    for name, mine in zip(case["grads"], wrt, strict=True):
        grad = grads[mine]
        assert grad.dtype == inputs[mine].dtype
        if name == "logits":
            assert np.isfinite(grad).all()  # where torch has NaN, the loss is infinite
            grad = golden_cases.by_logits(grad, inputs["log_probs"])
        if name != "logits" or "nonfinite" not in case["tags"]:
            expected = right.get(name, recorded.grads[name])
            if case["id"] in LIMITS:
                expected = np.nan_to_num(expected, nan=LIMITS[case["id"]], neginf=-np.inf)
            golden_cases.close(grad, expected, recorded.dtype)


@pytest.mark.parametrize("case", WIDE, ids=lambda case: case["id"])
def test_the_same_body_on_numpy(case):
    recorded = golden_cases.Case("torch", case)
    loss, inputs = prepared(recorded, case)
    arrays = {name: reference.Array(array) for name, array in inputs.items()}
    value = loss(**arrays).asnumpy()
    out = np.asarray(RIGHT.get(case["id"], {}).get("out", recorded.out))
    assert value.shape == out.shape
    golden_cases.close(value, out, recorded.dtype)
