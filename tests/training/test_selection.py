"""What ``trainable=None`` picks, and why not the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper, parser

import lossgraph as lg
from lossgraph.training.generated import generated
from lossgraph.training.selection import select

RANDOM = np.random.default_rng(0)
HEAD = '<ir_version: 9, opset_import: ["": 18, "own": 1]>'


def model(body: str, **weights: Any) -> onnx.ModelProto:
    """A model of one input ``x`` and one output ``y``, with these initializers."""
    made = parser.parse_model(f"{HEAD} g (float[N, 4] x) => (float[N, M] y) {{ {body} }}")
    for name, value in weights.items():
        array = np.asarray(value, np.float32)
        made.graph.initializer.append(numpy_helper.from_array(array, name))
    return made


def weight(*shape: int) -> Any:
    return RANDOM.standard_normal(shape)


def note(made: onnx.ModelProto, name: str, kind: str) -> None:
    """What PyTorch's exporter notes at an initializer."""
    info = made.graph.value_info.add(name=name)
    info.metadata_props.add(key="pkg.torch.export.graph_signature.InputSpec.kind", value=kind)


def test_layers_are_trained_and_statistics_are_not() -> None:
    body = "h = Gemm(x, w, b)  n = BatchNormalization(h, s, o, m, v)  y = MatMul(n, out)"
    ones, zeros = np.ones(3), np.zeros(3)
    net = model(body, w=weight(4, 3), b=zeros, s=ones, o=zeros, m=zeros, v=ones, out=weight(3, 2))
    found = select(net, None)
    assert found.trainable == ("w", "b", "s", "o", "out")
    assert found.left_out["m"].startswith("a running statistic of BatchNormalization")


def test_a_norm_without_weights_is_not_trained_and_a_fresh_one_is() -> None:
    body = "h = MatMul(x, w)  n = LayerNormalization(h, S, O)  y = Identity(n)"
    for names, trained in ((("val_23", "val_24"), ()), (("n.weight", "n.bias"), (0, 1))):
        net = model(body.replace("S", "sc").replace("O", "of"), w=weight(4, 3))
        given = [np.ones(3, np.float32), np.zeros(3, np.float32)]
        for array, name, own in zip(given, names, ("sc", "of"), strict=True):
            net.graph.initializer.append(numpy_helper.from_array(array, name))
            net.graph.node[1].input[:] = [n.replace(own, name) for n in net.graph.node[1].input]
        assert select(net, None).trainable == ("w", *(names[i] for i in trained))


@pytest.mark.parametrize(
    "value",
    [1.4142, [[1.0]], np.tril(np.ones((4, 4))), np.where(np.eye(4), 0, -1e9), np.arange(4.0),
     10000.0 ** (-np.arange(4) / 4), np.ones((1, 4))],
)  # fmt: skip
def test_constants_beside_values_are_not_trained(value: Any) -> None:
    net = model("h = MatMul(x, w)  y = Mul(h, c)", w=weight(4, 4), c=value)
    assert select(net, None).trainable == ("w",)
    assert select(net, ["c"]).trainable == ("c",)


def test_positions_that_are_learned_are_trained_and_computed_ones_are_not() -> None:
    angles = np.arange(6)[:, None] * 100.0 ** (-np.arange(2) / 2)
    joined = np.concatenate([np.sin(angles), np.cos(angles)], axis=1)
    paired = np.stack([np.sin(angles), np.cos(angles)], axis=2).reshape(6, 4)
    for table in (joined, paired, np.cos(joined * 0 + angles[:, [0, 1, 0, 1]])):
        net = model("h = MatMul(x, w)  y = Add(h, table_0)", w=weight(4, 4), table_0=table)
        assert select(net, None).trainable == ("w",)
    net = model("h = MatMul(x, w)  y = Add(h, table_0)", w=weight(4, 4), table_0=weight(6, 4))
    assert select(net, None).trainable == ("w", "table_0")


def test_what_prepares_an_input_is_not_trained() -> None:
    body = "a = Sub(x, offsets)  c = Div(a, spread)  y = MatMul(c, w)"
    net = model(body, offsets=weight(4), spread=weight(4), w=weight(4, 2))
    assert select(net, None).trainable == ("w",)


def test_weights_are_followed_through_what_is_computed_of_them_alone() -> None:
    body = """n = ReduceL2<keepdims=1>(v, axes)  u = Div(v, n)  w = Mul(g, u)  t = Transpose(w)
              h = MatMul(x, t)  y = Relu(h)"""
    net = model(body, g=weight(3, 1), v=weight(3, 4))
    net.graph.initializer.append(numpy_helper.from_array(np.array([1]), "axes"))
    assert select(net, None).trainable == ("g", "v")


def test_weights_are_followed_into_functions_and_branches() -> None:
    text = f"""{HEAD} g (float[N, 4] x, bool c) => (float[N, M] y) {{
        h = own.Layer(x, w)
        y = If(c) <then_branch = t () => (a) {{ a = MatMul(h, one) }},
                   else_branch = e () => (d) {{ d = MatMul(h, two) }}> }}
        <domain: "own", opset_import: ["": 18]>
        Layer (p, q) => (r) {{ z = MatMul(p, q) r = Relu(z) }}"""
    net = parser.parse_model(text)
    for name in ("w", "one", "two"):
        tensor = numpy_helper.from_array(weight(4, 4).astype(np.float32), name)
        net.graph.initializer.append(tensor)
    assert select(net, None).trainable == ("w", "one", "two")


def test_what_the_exporter_notes_is_believed() -> None:
    net = model("h = MatMul(x, w)  k = Mul(h, scale)  y = Add(k, p)", w=weight(4, 4), scale=3, p=0)
    for name, kind in (("w", "BUFFER"), ("scale", "BUFFER"), ("p", "PARAMETER")):
        note(net, name, kind)
    found = select(net, None)
    assert found.trainable == ("p",)
    assert found.left_out["w"] == "the exporter calls it a buffer"


def test_names_that_tell_of_one_number() -> None:
    body = "h = MatMul(x, w)  a = Mul(h, logit_scale)  y = Div(a, val_3)"
    net = model(body, w=weight(4, 4), logit_scale=2.6, val_3=8.0)
    assert select(net, None).trainable == ("w", "logit_scale")


def test_exponents_that_are_learned() -> None:
    body = "h = MatMul(x, w)  a = Pow(h, val_2)  c = Clip(a, val_3)  y = Pow(c, pool.p)"
    numbers = {"val_2": 2.0, "val_3": 1e-6, "pool_p": 3.0}
    net = model(body.replace("pool.p", "pool_p"), w=weight(4, 4), **numbers)
    assert select(net, None).trainable == ("w",)
    net.producer_name = "pytorch"  # whose constants are nodes, or have numbers for names
    assert select(net, None).trainable == ("w", "pool_p")


def test_names_of_buffers() -> None:
    body = "h = MatMul(x, w)  a = Mul(h, freqs)  y = Add(a, mask_token)"
    net = model(body, w=weight(4, 4), freqs=weight(4), mask_token=np.zeros(4))
    found = select(net, None)
    assert found.trainable == ("w", "mask_token")
    assert found.left_out == {"freqs": "called like a buffer"}


def test_patterns() -> None:
    net = model("h = MatMul(x, a1)  y = MatMul(h, a2)", a1=weight(4, 4), a2=weight(4, 4))
    assert select(net, "a*").trainable == ("a1", "a2")
    assert select(net, ["a2"]).left_out == {"a1": "not asked for"}
    with pytest.raises(lg.InputError, match=r"no floating initializer .* 'b\*'; they are a1, a2"):
        select(net, "b*")


def test_nothing_that_looks_like_a_parameter() -> None:
    with pytest.raises(lg.InputError, match="name what is trained by `trainable`"):
        select(model("y = Mul(x, c)", c=2), None)


def test_large_tables_are_not_looked_at() -> None:
    assert generated(np.broadcast_to(np.float32(1), (1 << 12, 1 << 11))) == ""


def test_unused_initializers() -> None:
    net = model("y = MatMul(x, w)", w=weight(4, 4), spare=weight(2, 2))
    net.graph.node.append(helper.make_node("Shape", ["spare"], ["sizes"]))
    assert select(net, None).left_out == {"spare": "nothing reads it"}
