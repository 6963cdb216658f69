"""Operators of ``com.microsoft``: as ONNX Runtime computes them, with right gradients."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from lossgraph.importer.reader import from_onnx
from lossgraph.ir.expr import toposort
from lossgraph.ir.ops.opaque import is_opaque
from model_gradients import check, model_of

OPSETS = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
N, S, H = 2, 3, 8
SEQUENCE, ROW, SQUARE = (N, S, H), (H,), (H, H)
PROJECTED = {"x": SEQUENCE, "w": (H, 3 * H), "b": (3 * H,)}
HEADS = {"num_heads": 2}
EQUAL = {"q": SEQUENCE, "k": SEQUENCE, "v": SEQUENCE}
LENGTHS = np.array([3, 2], np.int32)
SEEN = np.array([[1, 1, 0], [1, 1, 1]], np.int32)
IMAGE = {"x": (1, 2, 4, 4), "w": (3, 2, 3, 3), "b": (3,), "z": (1, 3, 2, 2)}
TABLES = {"words": (5, H), "places": (4, H), "segments": (2, H), "g": ROW, "b": ROW}
IDS = {
    "i": np.array([[0, 1, 4], [3, 3, 2]], np.int32),
    "s": np.array([[0, 0, 1], [1, 1, 0]], np.int32),
}

CASES = [
    ("Gelu", {"x": SEQUENCE}, ["x"], {}),
    ("BiasGelu", {"x": SEQUENCE, "b": ROW}, ["x", "b"], {}),
    ("FastGelu", {"x": SEQUENCE, "b": ROW}, ["x", "b"], {}),
    ("FastGelu", {"x": SEQUENCE}, ["x"], {}),
    ("QuickGelu", {"x": SEQUENCE}, ["x"], {"alpha": 1.5}),
    ("FusedMatMul", {"a": (2, 3, 4), "b": (2, 5, 4)}, ["a", "b"], {"transB": 1, "alpha": 0.5}),
    ("FusedMatMul", {"a": (3, 2, 4), "b": (2, 4, 5)}, ["a", "b"], {"transBatchA": 1}),
    ("FusedMatMul", {"a": (4, 2, 3), "b": (5, 2, 4)}, ["a", "b"],
     {"transBatchA": 1, "transA": 1, "transBatchB": 1, "transB": 1}),
    ("FusedGemm", {"a": (3, 4), "b": (5, 3), "c": (5,)}, ["a", "b", "c"],
     {"transA": 1, "transB": 1, "alpha": 0.5, "activation": "LeakyRelu", "activation_alpha": 0.1}),
    ("FusedConv", IMAGE, ["x", "w", "b", "z"], {"activation": "Relu"}),
    ("FusedConv", IMAGE, ["x", "w", "b"],
     {"activation": "Clip", "activation_params": [-0.5, 0.5], "pads": [1, 1, 1, 1]}),
    ("SkipLayerNormalization", {"x": SEQUENCE, "s": SEQUENCE, "g": ROW, "b": ROW, "c": ROW},
     ["x", "s", "g", "b", "c"], {"epsilon": 1e-5}),
    ("SkipSimplifiedLayerNormalization", {"x": SEQUENCE, "s": SEQUENCE, "g": ROW, "c": ROW},
     ["x", "s", "g", "c"], {}),
    ("EmbedLayerNormalization", {**TABLES, **IDS, "m": SEEN},
     ["i", "s", "words", "places", "segments", "g", "b", "m"], {}),
    ("EmbedLayerNormalization", {**TABLES, **IDS}, ["i", "", "words", "places", "", "g", "b"], {}),
    ("Attention", PROJECTED, ["x", "w", "b"], HEADS),
    ("Attention", {**PROJECTED, "m": LENGTHS}, ["x", "w", "b", "m"], HEADS),
    ("Attention", {**PROJECTED, "m": SEEN}, ["x", "w", "b", "m"], HEADS),
    ("Attention", PROJECTED, ["x", "w", "b"], {**HEADS, "unidirectional": 1, "scale": 0.7}),
    ("MultiHeadAttention", {"q": SEQUENCE, "k": (N, 4, H), "v": (N, 4, H), "b": (3 * H,)},
     ["q", "k", "v", "b"], HEADS),
    ("MultiHeadAttention", {**EQUAL, "m": SEEN, "a": (N, 2, S, S)},
     ["q", "k", "v", "", "m", "a"], HEADS),
    ("MultiHeadAttention", EQUAL, ["q", "k", "v"], {**HEADS, "unidirectional": 1}),
]  # fmt: skip
FURTHER = {
    "SkipLayerNormalization": ["", "", "t"],
    "SkipSimplifiedLayerNormalization": ["", "", "t"],
    "EmbedLayerNormalization": ["n"],
}


def model_and_arrays(operator, given, names, attributes):
    rng = np.random.default_rng(0)
    arrays = {
        name: rng.normal(size=value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if name in names
    }
    outputs = ["y", *FURTHER.get(operator, [])]
    node = helper.make_node(operator, names, outputs, domain="com.microsoft", **attributes)
    listed = ["y"] + (["t"] if "t" in outputs else [])
    return lambda dtype: model_of([node], arrays, listed, dtype, opset_imports=OPSETS), arrays


@pytest.mark.parametrize("case", CASES, ids=lambda c: f"{c[0]}-{len(c[1])}")
def test_values_are_those_of_the_engine_and_gradients_right(case):
    make, arrays = model_and_arrays(*case)
    check(make, arrays, [n for n, a in arrays.items() if a.dtype.kind == "f"])


def test_a_variant_that_is_not_known_is_kept_and_says_why():
    given = {**PROJECTED, "p": (2, N, 2, 4, 4)}
    make, _ = model_and_arrays("Attention", given, ["x", "w", "b", "", "p"], HEADS)
    nodes = toposort(list(from_onnx(make("float32")).outputs.values()))
    assert [n.attrs["reason"] for n in nodes if is_opaque(n)] == ["it has a past"]


def test_an_operator_of_another_domain_is_none_of_onnx():
    node = helper.make_node("Relu", ["x"], ["y"], domain="other")
    opsets = [*OPSETS, helper.make_opsetid("other", 1)]
    graph = from_onnx(model_of([node], {"x": np.ones((2, 3))}, ["y"], opset_imports=opsets))
    assert any(is_opaque(node) for node in toposort(list(graph.outputs.values())))
