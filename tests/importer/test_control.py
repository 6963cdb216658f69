"""If, Loop and Scan: read, written and differentiated."""

from __future__ import annotations

import numpy as np
import onnx.parser
import pytest

import lossgraph as lg
from lossgraph.importer.reader import from_onnx
from lossgraph.ir.expr import toposort
from lossgraph.ir.ops.opaque import is_opaque
from model_gradients import check, run

HEADER = '<ir_version: 9, opset_import: ["" : 18]>\n'


def model(text, dtype="float32"):
    """A model of the text of a graph, where F stands for the dtype of floats."""
    name = {"float32": "float", "float64": "double"}[dtype]
    code = {"float32": "1", "float64": "11"}[dtype]
    return onnx.parser.parse_model(HEADER + text.replace("F[", f"{name}[").replace("$F", code))


def arrays(seed=0, **shapes):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def opaque_nodes(text):
    return [n for n in toposort(list(from_onnx(model(text)).outputs.values())) if is_opaque(n)]


def check_text(text, given, wrt, kept=False):
    assert bool(opaque_nodes(text)) == kept
    check(lambda dtype: model(text, dtype), given, wrt)


CHOICE = """g (F[N,3] x, F[3,3] w, F[3] v, bool c) => (F[A,3] y, F[B] z) {
    y, z = If (c) <
        then_branch = t () => (F[N,3] y1, F[3] z1) { m = MatMul(x, w)  y1 = Tanh(m)  z1 = Exp(v) },
        else_branch = e () => (F[N,3] y2, F[3] z2) { y2 = Mul(x, v)  z2 = Sin(v) }
    >
}"""


@pytest.mark.parametrize("condition", [True, False])
def test_a_choice_has_the_gradient_of_the_branch_that_is_taken(condition):
    given = {**arrays(x=(2, 3), w=(3, 3), v=(3,)), "c": np.array(condition)}
    check_text(CHOICE, given, ["x", "w", "v"])


@pytest.mark.parametrize("condition", [True, False])
def test_branches_may_differ_in_lengths(condition):
    text = """g (F[N,3] x, F[N,3] v, bool c) => (F[A,3] y) {
        h = If (c) <
            then_branch = t () => (F[N,3] y1) { y1 = Mul(x, v) },
            else_branch = e () => (F[M,3] y2) { y2 = Concat <axis = 0> (v, x) }
        >
        y = Sigmoid(h)
    }"""
    check_text(text, {**arrays(x=(2, 3), v=(2, 3)), "c": np.array(condition)}, ["x", "v"])


def test_a_choice_that_is_known_is_the_branch():
    text = """g (F[N,3] x) => (F[N,3] y) {
        s = Shape <start = 1, end = 2> (x)
        k = Constant <value = int64[1] {3}> ()
        c = Equal(s, k)
        y = If (c) <
            then_branch = t () => (F[N,3] y1) { y1 = Exp(x) },
            else_branch = e () => (F[A] y2) { y2 = Reshape(x, k) }
        >
    }"""
    written = from_onnx(model(text)).to_onnx()
    assert [node.op_type for node in written.graph.node] == ["Exp"]


@pytest.mark.parametrize("condition", [True, False])
def test_a_choice_inside_a_choice_with_lengths_of_its_own(condition):
    text = """g (F[N] x, F[N] v, bool c) => (F[A] y) {
        y = If (c) <
            then_branch = t () => (F[B] y1) {
                k = Greater(x, v)
                p = Compress <axis = 0> (x, k)
                n = Size(p)
                o = Constant <value = int64 {2}> ()
                d = Greater(n, o)
                q = If (d) <
                    then_branch = tt () => (F[B] z1) { z1 = Mul(v, v) },
                    else_branch = ee () => (F[B] z2) { z2 = Mul(v, x) }
                >
                r = Exp(x)
                y1 = Mul(q, r)
            },
            else_branch = e () => (F[N] y2) { y2 = Mul(x, v) }
        >
    }"""
    given = {**arrays(x=(4,), v=(4,)), "c": np.array(condition)}
    check_text(text, given, ["x", "v"])


STEPS = """g (F[N,3] x, F[3,3] w, int64 m) => (F[N,3] y, F[T,N,3] z) {
    y, z = Loop (m, , x) <body = b (int64 i, bool c, F[N,3] s) => (bool d, F[N,3] s2, F[N,3] o) {
        d = Identity(c)
        h = MatMul(s, w)
        f = Cast <to = $F> (i)
        k = Add(h, f)
        s2 = Tanh(k)
        o = Mul(s, s2)
    }>
}"""


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_loop_whose_steps_are_counted_when_it_runs(count):
    check_text(STEPS, {**arrays(x=(2, 3), w=(3, 3)), "m": np.array(count)}, ["x", "w"], kept=True)


def test_a_loop_over_the_length_of_an_input_reads_it_by_the_number_of_a_step():
    text = """g (F[T,N] x, F[N] v) => (F[N] y, F[U,N] z) {
        s = Shape <start = 0, end = 1> (x)
        e = Constant <value = int64[0] {}> ()
        m = Reshape(s, e)
        c = Constant <value = bool {1}> ()
        y, z = Loop (m, c, v) <body = b (int64 i, bool c1, F[N] h) => (bool d, F[N] h2, F[N] o) {
            d = Constant <value = bool {1}> ()
            a = Gather <axis = 0> (x, i)
            p = Mul(a, h)
            h2 = Sin(p)
            o = Add(h2, v)
        }>
    }"""
    check_text(text, arrays(x=(4, 3), v=(3,)), ["x", "v"])


UNTIL = """g (F[N] x, F[N] w) => (F[N] y, F[T,N] z) {
    start = Constant <value = bool {1}> ()
    y, z = Loop (LIMIT, start, x) <body = b (int64 i, bool c, F[N] s) => (bool d, F[N] s2, F[N] o) {
        s2 = Mul(s, w)
        q = ReduceSumSquare <keepdims = 0> (s2)
        k = Constant <value = F {100}> ()
        d = Less(q, k)
        o = Sin(s2)
    }>
}"""


@pytest.mark.parametrize("limit", ["", "m"])
def test_a_loop_that_ends_by_a_condition(limit):
    text = UNTIL.replace("LIMIT", limit)
    if limit:
        text = text.replace("F[N] w)", "F[N] w, int64 m)")

    def make(dtype):
        return model(
            text.replace("= F {", {"float32": "= float {", "float64": "= double {"}[dtype]), dtype
        )

    given = {"x": np.array([0.5, 1.0, -0.3]), "w": np.array([1.5, 1.7, -1.2])}
    if limit:
        given["m"] = np.array(3)
    check(make, given, ["x", "w"])


def test_a_scan_along_other_axes_and_backwards():
    text = """g (F[N] s0, F[N,T] x, F[T,2,N] u, F[N] w) => (F[N] s, F[N,T] y, F[T,N,2] z) {
        s, y, z = Scan <num_scan_inputs = 2, scan_input_axes = [1, 0],
            scan_input_directions = [1, 0], scan_output_axes = [-1, 0],
            scan_output_directions = [1, 0],
            body = b (F[N] h, F[N] a, F[2,N] p) => (F[N] h2, F[N] o, F[N,2] q) {
                k = Mul(h, w)
                h2 = Add(k, a)
                o = Sin(h2)
                m = Mul(p, h)
                q = Transpose <perm = [1, 0]> (m)
            }> (s0, x, u)
    }"""
    check_text(text, arrays(s0=(3,), x=(3, 4), u=(4, 2, 3), w=(3,)), ["s0", "x", "u", "w"])


def test_loops_in_choices_in_loops():
    text = """g (F[N] x, F[N] w, int64 m) => (F[N] y) {
        y = Loop (m, , x) <body = b (int64 i, bool c, F[N] s) => (bool d, F[N] s2) {
            d = Identity(c)
            two = Constant <value = int64 {2}> ()
            odd = Mod(i, two)
            is = Cast <to = 9> (odd)
            s2 = If (is) <
                then_branch = t () => (F[N] a) {
                    a = Loop (two, , s) <body = e (int64 j, bool c1, F[N] r) => (bool d1, F[N] r2) {
                        d1 = Identity(c1)
                        f = Mul(r, w)
                        r2 = Tanh(f)
                    }>
                },
                else_branch = o () => (F[N] a2) { a2 = Mul(s, w) }
            >
        }>
    }"""
    given = {**arrays(x=(3,), w=(3,)), "m": np.array(4)}
    check_text(text, given, ["x", "w"], kept=True)


def test_a_recurrent_layer_in_a_loop():
    text = """g (F[T,N,2] x, F[1,12,2] w, F[1,12,3] r, int64 m) => (F[1,N,3] y) {
        t = Shape <start = 1, end = 2> (x)
        one = Constant <value = int64[1] {1}> ()
        k = Constant <value = int64[1] {3}> ()
        s = Concat <axis = 0> (one, t, k)
        zero = Constant <value = float[1] {0.1}> ()
        zf = CastLike(zero, x)
        h0 = Expand(zf, s)
        y = Loop (m, , h0) <body = b (int64 i, bool c, F[1,N,3] h) => (bool d, F[1,N,3] h2) {
            d = Identity(c)
            q, h1, c2 = LSTM <hidden_size = 3> (x, w, r, , , h, h)
            h2 = Add(h1, c2)
        }>
    }"""
    given = {**arrays(x=(3, 2, 2), w=(1, 12, 2), r=(1, 12, 3)), "m": np.array(2)}
    check_text(text, given, ["x", "w", "r"], kept=True)


GROWING = """g (F[N] x, int64 m) => (F[A] y) {
    y = Loop (m, , x) <body = b (int64 i, bool c, F[A] s) => (bool d, F[B] s2) {
        d = Identity(c)
        s2 = Concat <axis = 0> (s, s)
    }>
}"""


def test_states_that_grow_keep_the_node_and_are_refused_where_they_are_trained():
    (kept,) = opaque_nodes(GROWING)
    assert "a state changes from" in kept.attrs["reason"]
    given = {"x": np.ones(2, np.float32), "m": np.array(3)}
    np.testing.assert_array_equal(run(from_onnx(model(GROWING)).to_onnx(), given)["y"], np.ones(16))


def test_what_has_no_derivative_in_a_branch_is_refused_by_its_name():
    text = """g (float[N] x, bool c) => (float[N] y) <float[3] w = {1, 2, 3}> {
        y = If (c) <
            then_branch = t () => (float[N] y1) {
                h = Mul(x, w)
                y1 = other.Wavelet(h)
            },
            else_branch = e () => (float[N] y2) { y2 = Mul(x, w) }
        >
    }"""

    def loss(F, pred, label):
        return F.sum(pred * label)

    given = onnx.parser.parse_model(HEADER.replace("18]", '18, "other" : 1]') + text)
    with pytest.raises(lg.LossgraphError, match=r"If \(node 'y'\).*other.Wavelet"):
        lg.training.build(given, loss, trainable="w")
