"""Attention and RotaryEmbedding: read by ONNX's own definitions, and differentiated."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from lossgraph.importer.reader import from_onnx
from model_gradients import check, gradient_model, model_of, run

SAMPLES, HEADS, QUERIES, KEYS, WIDTH = 2, 2, 3, 4, 4


def arrays(**shapes):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def attention(shapes=None, mask=None, past=False, outputs=("Y",), bound=None, **attributes):
    """A model of one node for a dtype, and its inputs."""
    given = {
        "Q": (SAMPLES, HEADS, QUERIES, WIDTH),
        "K": (SAMPLES, HEADS, KEYS, WIDTH),
        "V": (SAMPLES, HEADS, KEYS, WIDTH),
        **(shapes or {}),
    }
    inputs = arrays(**given)
    names = ["Q", "K", "V"]
    if mask is not None:
        inputs["M"] = mask
    if past:
        for name in ("PK", "PV"):
            inputs[name] = np.random.default_rng(1).normal(size=(SAMPLES, HEADS, 2, WIDTH))
    names += [name if name in inputs else "" for name in ("M", "PK", "PV")]
    node = helper.make_node("Attention", names, list(outputs), **attributes)
    wanted = [name for name in outputs if name]
    return (
        lambda dtype: model_of([node], inputs, wanted, dtype, opset=23, shapes=bound),
        inputs,
    )


FLOAT_MASK = np.random.default_rng(2).normal(size=(QUERIES, KEYS))
BOOL_MASK = np.array([[1, 0, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1]], bool)
GROUPED = {"Q": (SAMPLES, 4, QUERIES, WIDTH)}
FLAT = {name: (SAMPLES, n, HEADS * WIDTH) for name, n in (("Q", QUERIES), ("K", KEYS), ("V", KEYS))}
PRESENT = ("Y", "present_key", "present_value")
CASES = {
    "plain": {},
    "causal": {"is_causal": 1},
    "scaled and capped": {"scale": 0.3, "softcap": 2.0},
    "float mask": {"mask": FLOAT_MASK},
    "bool mask": {"mask": BOOL_MASK, "is_causal": 1},
    "mask of samples": {"mask": np.stack([FLOAT_MASK, -FLOAT_MASK])[:, None]},
    "grouped queries": {"shapes": GROUPED},
    "three axes": {"shapes": FLAT, "q_num_heads": HEADS, "kv_num_heads": HEADS},
    "past": {"past": True, "outputs": PRESENT, "is_causal": 1},
    "scores too": {"outputs": ("Y", "", "", "scores"), "qk_matmul_output_mode": 3},
}


@pytest.mark.parametrize("case", CASES)
def test_attention_has_right_gradients(case):
    make, inputs = attention(**CASES[case])
    check(make, inputs, [n for n, a in inputs.items() if a.dtype.kind == "f"], opset=23)


def test_a_row_that_sees_nothing_has_gradients_that_are_numbers():
    mask = BOOL_MASK & np.array([[1], [0], [1]], bool)
    make, inputs = attention(mask=mask)
    found = run(gradient_model(from_onnx(make("float32")), ["Q", "K", "V"], 23), inputs)
    assert all(np.isfinite(found[f"grad_{name}"]).all() for name in ("Q", "K", "V"))


def test_samples_and_lengths_stay_dynamic():
    bound = {"Q": ("N", HEADS, "S", WIDTH), "K": ("N", HEADS, "T", WIDTH)}
    bound["V"] = bound["K"]
    make, _ = attention(bound=bound, is_causal=1)
    dynamic = gradient_model(from_onnx(make("float32")), ["Q", "V"], 23)
    for n, s, t in ((1, 2, 5), (3, 4, 4)):
        shapes = {"Q": (n, HEADS, s, WIDTH), "K": (n, HEADS, t, WIDTH), "V": (n, HEADS, t, WIDTH)}
        fixed, inputs = attention(shapes, is_causal=1)
        expected = run(gradient_model(from_onnx(fixed("float32")), ["Q", "V"], 23), inputs)
        found = run(dynamic, inputs)
        for name, value in expected.items():
            np.testing.assert_allclose(found[name], value, rtol=1e-4, atol=1e-5)


ROTARY = {
    "four axes": ((2, 2, 3, 4), True, {}),
    "three axes": ((2, 3, 8), True, {"num_heads": 2}),
    "interleaved": ((2, 2, 3, 4), True, {"interleaved": 1}),
    "a part of the width": ((2, 2, 3, 8), True, {"rotary_embedding_dim": 4}),
    "no positions": ((2, 2, 3, 4), False, {}),
}


@pytest.mark.parametrize("case", ROTARY)
def test_rotary_embeddings_have_right_gradients(case):
    shape, positions, attributes = ROTARY[case]
    caches = (6, 2) if positions else (2, 3, 2)
    inputs = arrays(X=shape, C=caches, S=caches)
    names = ["X", "C", "S"]
    if positions:
        inputs["P"] = np.array([[0, 1, 2], [3, 5, 1]])
        names.append("P")
    node = helper.make_node("RotaryEmbedding", names, ["Y"], **attributes)
    check(
        lambda dtype: model_of([node], inputs, ["Y"], dtype, opset=23),
        inputs,
        ["X", "C", "S"],
        opset=23,
    )
