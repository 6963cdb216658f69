"""LSTM, GRU and RNN: read, written and differentiated, in every variant that ONNX has of them."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from lossgraph.importer.reader import from_onnx
from lossgraph.ir.expr import toposort
from lossgraph.ir.ops.opaque import is_opaque
from model_gradients import check, gradient_model, model_of, run

GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
STEPS, SAMPLES, INPUTS, HIDDEN = 3, 2, 2, 3
BOTH = "bidirectional"


def layer(
    operator,
    direction="forward",
    *,
    steps=STEPS,
    bias=True,
    lengths=False,
    states=True,
    peepholes=False,
    wanted=(True, True, True),
    layout=0,
    **attributes,
):
    """A model of a layer for a dtype, and its inputs."""
    rng = np.random.default_rng(0)
    count, rows = 2 if direction == BOTH else 1, GATES[operator] * HIDDEN
    x = (SAMPLES, steps, INPUTS) if layout else (steps, SAMPLES, INPUTS)
    state = (SAMPLES, count, HIDDEN) if layout else (count, SAMPLES, HIDDEN)
    places = [
        ("X", x), ("W", (count, rows, INPUTS)), ("R", (count, rows, HIDDEN)),
        ("B", (count, 2 * rows) if bias else None),
        ("L", (SAMPLES,) if lengths else None),
        ("H", state if states else None),
        ("C", state if states and operator == "LSTM" else None),
        ("P", (count, 3 * HIDDEN) if peepholes else None),
    ]  # fmt: skip
    arrays = {name: rng.normal(size=shape) for name, shape in places if shape is not None}
    if lengths:
        arrays["L"] = np.array([steps, 1], np.int32)
    inputs = [name if name in arrays else "" for name, _ in places]
    while not inputs[-1]:
        inputs.pop()
    outputs = ["Y", "Yh", "Yc"][: 3 if operator == "LSTM" else 2]
    outputs = [name if want else "" for name, want in zip(outputs, wanted, strict=False)]
    node = helper.make_node(
        operator, inputs, outputs, hidden_size=HIDDEN, direction=direction, layout=layout,
        **attributes,
    )  # fmt: skip
    return (lambda dtype: model_of([node], arrays, [o for o in outputs if o], dtype)), arrays


COMMON = [
    {},
    {"direction": "reverse"},
    {"direction": BOTH},
    {"bias": False, "states": False},
    {"lengths": True, "direction": "reverse"},
    {"lengths": True, "direction": BOTH, "states": False},
    {"steps": 1},
    {"wanted": (False, True, False)},
    {"wanted": (True, False, False)},
    {"layout": 1, "direction": BOTH},
    {"clip": 0.7},
]
OWN = {
    "LSTM": [
        {"peepholes": True},
        {"peepholes": True, "direction": BOTH, "lengths": True},
        {"input_forget": 1},
        {"peepholes": True, "clip": 0.5, "input_forget": 1},
        {
            "activations": ["HardSigmoid", "Softsign", "Affine"],
            "activation_alpha": [0.3, 0.9],
            "activation_beta": [0.4, 0.1],
        },
    ],
    "GRU": [
        {"linear_before_reset": 1},
        {"linear_before_reset": 1, "direction": BOTH, "lengths": True},
        {"linear_before_reset": 1, "bias": False, "clip": 0.5},
        {
            "activations": ["HardSigmoid", "ScaledTanh"],
            "activation_alpha": [0.3, 0.9],
            "activation_beta": [0.4, 0.7],
        },
    ],
    "RNN": [
        *({"activations": [f]} for f in ("Relu", "LeakyRelu", "Elu", "Softplus", "Sigmoid")),
        {"activations": ["ThresholdedRelu"], "activation_alpha": [0.3]},
        {
            "activations": ["Tanh", "Affine"],
            "activation_alpha": [0.5],
            "activation_beta": [0.2],
            "direction": BOTH,
        },
    ],
}
CASES = [
    pytest.param(operator, variant, id=f"{operator}-{number}")
    for operator, own in OWN.items()
    for number, variant in enumerate([*COMMON, *own])
]


@pytest.mark.parametrize(("operator", "variant"), CASES)
def test_every_variant_has_the_values_of_the_engine_and_right_gradients(operator, variant):
    make, arrays = layer(operator, **variant)
    wrt = [name for name in arrays if name != "L"]
    check(make, arrays, wrt, original=not variant.get("layout"))


@pytest.mark.parametrize("operator", GATES)
def test_the_engine_runs_its_own_operator_forwards(operator):
    make, _ = layer(operator, BOTH)
    nodes = [node.op_type for node in from_onnx(make("float32")).to_onnx().graph.node]
    assert nodes.count(operator) == 1
    assert "Scan" not in nodes


@pytest.mark.parametrize("operator", GATES)
def test_steps_and_samples_stay_dynamic(operator):
    make, arrays = layer(operator, BOTH, states=False)

    def gradients(*sizes):
        model = make("float32")
        for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim, sizes, strict=False):
            dim.CopyFrom(helper.make_tensor_value_info("", 1, [size]).type.tensor_type.shape.dim[0])
        return gradient_model(from_onnx(model), ["W"])

    dynamic = gradients("T", "N")
    for sizes in ((1, 5), (4, 1)):
        given = {**arrays, "X": np.random.default_rng(1).normal(size=(*sizes, INPUTS))}
        found, expected = (run(model, given)["grad_W"] for model in (dynamic, gradients(*sizes)))
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_functions_without_the_numbers_that_they_need_are_kept_as_they_are():
    """ONNX and its engines differ in what they take instead."""
    make, _ = layer("RNN", activations=["Affine"])
    nodes = toposort(list(from_onnx(make("float32")).outputs.values()))
    (kept,) = [node for node in nodes if is_opaque(node)]
    assert "numbers of Affine" in kept.attrs["reason"]
