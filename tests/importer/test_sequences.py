"""Sequences of tensors whose making is known: read as the tensors, and differentiated."""

from __future__ import annotations

import numpy as np
import onnx.parser
import pytest

from model_gradients import check

HEADER = '<ir_version: 9, opset_import: ["" : 18]>\n'


def parsed(text, dtype):
    name = {"float32": "float", "float64": "double"}[dtype]
    code = {"float32": "1", "float64": "11"}[dtype]
    return onnx.parser.parse_model(HEADER + text.replace("F[", f"{name}[").replace("$F", code))


def arrays(**shapes):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


# What scripted models do: a list, to which a loop over the length of an input appends.
APPENDING = """g (F[T,N] x, F[N] w) => (F[A,B] y, F[N] last) {
    t = Shape <start = 0, end = 1> (x)
    e = Constant <value = int64[0] {}> ()
    m = Reshape(t, e)
    c = Constant <value = bool {1}> ()
    empty = SequenceEmpty <dtype = $F> ()
    last, list = Loop (m, c, w, empty) <
        body = b (int64 i, bool c1, F[N] h, seq(F[N]) l) => (bool d, F[N] h2, seq(F[N]) l2) {
            d = Identity(c)
            a = Gather <axis = 0> (x, i)
            p = Mul(a, h)
            h2 = Sin(p)
            l2 = SequenceInsert(l, h2)
        }>
    y = ConcatFromSequence <AXES> (list)
}"""


@pytest.mark.parametrize("axes", ["axis = 1, new_axis = 1", "axis = -2, new_axis = 1"])
def test_what_a_loop_appends_is_stacked(axes):
    text = APPENDING.replace("AXES", axes)
    check(lambda dtype: parsed(text, dtype), arrays(x=(4, 3), w=(3,)), ["x", "w"])


def test_what_a_loop_appends_is_joined():
    text = APPENDING.replace("AXES", "axis = 0").replace("F[A,B] y", "F[A] y")
    check(lambda dtype: parsed(text, dtype), arrays(x=(4, 3), w=(3,)), ["x", "w"])


LISTS = """g (F[N,2] x, F[N,2] u) => (F[A,B] y, F[N,2] z, F[N] s) {
    one = Constant <value = int64 {-1}> ()
    l = SequenceConstruct(x, u)
    v = Mul(x, u)
    k = SequenceInsert(l, v)
    y = ConcatFromSequence <axis = 1> (k)
    z = SequenceAt(k, one)
    parts = SplitToSequence <axis = 1, keepdims = 0> (v)
    s = SequenceAt(parts, one)
}"""


def test_lists_of_tensors_are_their_tensors():
    check(lambda dtype: parsed(LISTS, dtype), arrays(x=(3, 2), u=(3, 2)), ["x", "u"])
