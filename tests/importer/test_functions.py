"""Functions of a model: read in the place of their calls, differentiated, and written back."""

from __future__ import annotations

import numpy as np
import onnx.parser
import pytest

from lossgraph.importer.reader import from_onnx
from model_gradients import check, run

HEADER = '<ir_version: 10, opset_import: ["" : 18, "own" : 1]>\n'
OWN = '<domain: "own", opset_import: ["" : 18, "own" : 1]'


def parsed(text, dtype="float32"):
    name = {"float32": "float", "float64": "double"}[dtype]
    return onnx.parser.parse_model(HEADER + text.replace("F[", f"{name}["))


def arrays(**shapes):
    rng = np.random.default_rng(0)
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


NESTED = f"""g (F[N,3] x, F[3,4] w, F[4] b) => (F[N,4] y) {{ y = own.layer(x, w, b) }}
{OWN}> layer (x, w, b) => (y) {{ h = own.affine(x, w, b)  y = Tanh(h) }}
{OWN}> affine (x, w, b) => (y) {{ h = MatMul(x, w)  y = Add(h, b) }}"""

NAMED_AS_AN_OPERATOR = f"""g (F[N,3] x) => (F[N,3] y) {{ h = own.Relu(x)  y = Exp(h) }}
{OWN}> Relu (x) => (y) {{ y = Sin(x) }}"""

ATTRIBUTES = f"""g (F[N,3] x) => (F[N,3] y, F[N,3] z) {{
    y = own.leaky <slope = 0.3> (x)
    z = own.leaky (x)
}}
{OWN}> leaky <slope: float = 0.5> (x) => (y) {{ y = LeakyRelu <alpha: float = @slope> (x) }}"""

PASSED_ON = f"""g (F[N,3] x) => (F[N,3] y) {{ y = own.outer <slope = 0.2> (x) }}
{OWN}> outer <slope> (x) => (y) {{ y = own.inner <tilt: float = @slope> (x) }}
{OWN}> inner <tilt: float = 0.9> (x) => (y) {{ y = Elu <alpha: float = @tilt> (x) }}"""

LEFT_OUT = f"""g (F[N,3] x, F[3,4] w, F[4] b) => (F[N,4] y, F[N,4] z) {{
    y = own.gemm(x, w)
    z = own.gemm(x, w, b)
}}
{OWN}> gemm (x, w, b) => (y) {{ y = Gemm(x, w, b) }}"""

BRANCHES = f"""g (F[N,3] x, bool c) => (F[N,3] y) {{ y = own.either <slope = 0.2> (x, c) }}
{OWN}> either <slope> (x, c) => (y) {{
    k = Exp(x)
    y = If (c) <
        then_branch = t () => (F[N,3] a) {{ a = LeakyRelu <alpha: float = @slope> (x) }},
        else_branch = e () => (F[N,3] b) {{ b = Mul(k, x) }}
    >
}}"""

SCOPES = f"""g (F[N,3] x) => (F[N,3] y) {{ h = Sin(x)  y = own.twice(h) }}
{OWN}> twice (x) => (y) {{ h = Mul(x, x)  y = Add(h, x) }}"""

CASES = {
    "nested": (NESTED, {"x": (2, 3), "w": (3, 4), "b": (4,)}),
    "named as an operator": (NAMED_AS_AN_OPERATOR, {"x": (2, 3)}),
    "attributes": (ATTRIBUTES, {"x": (2, 3)}),
    "attributes passed on": (PASSED_ON, {"x": (2, 3)}),
    "an input left out": (LEFT_OUT, {"x": (2, 3), "w": (3, 4), "b": (4,)}),
    "names of both": (SCOPES, {"x": (2, 3)}),
}


@pytest.mark.parametrize("case", CASES)
def test_functions_are_read_in_the_place_of_their_calls(case):
    text, shapes = CASES[case]
    check(lambda dtype: parsed(text, dtype), arrays(**shapes), list(shapes))


@pytest.mark.parametrize("condition", [True, False])
def test_graphs_in_a_function_have_its_attributes(condition):
    given = {**arrays(x=(2, 3)), "c": np.array(condition)}
    check(lambda dtype: parsed(BRANCHES, dtype), given, ["x"])


def test_functions_that_nodes_inside_kept_ones_call_are_written_too():
    text = f"""g (F[N] x, int64 m) => (F[A] y) {{
        y = Loop (m, , x) <body = b (int64 i, bool c, F[A] s) => (bool d, F[B] s2) {{
            d = Identity(c)
            t = own.double(s)
            s2 = Concat <axis = 0> (s, t)
        }}>
    }}
    {OWN}> double (x) => (y) {{ y = Add(x, x) }}"""
    model, given = parsed(text), {"x": np.ones(1, np.float32), "m": np.array(2)}
    written = from_onnx(model).to_onnx()
    np.testing.assert_array_equal(run(written, given)["y"], run(model, given)["y"])
