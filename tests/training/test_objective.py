"""What stands between a loss and what is trained, and which inputs a loss has."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper, parser

import lossgraph as lg
from lossgraph import nn

RANDOM = np.random.default_rng(0)


def model(body: str, opset: int = 18, **weights: Any) -> onnx.ModelProto:
    """A model of ``x`` (N, 4) with one output ``y`` and these initializers."""
    head = f'<ir_version: 9, opset_import: ["": {opset}, "own": 1]>'
    made = parser.parse_model(f"{head} g (float[N, 4] x) => (float[N, M] y) {{ {body} }}")
    for name, value in weights.items():
        array = np.asarray(value)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        made.graph.initializer.append(numpy_helper.from_array(array, name))
    return made


def weight(*shape: int) -> Any:
    return RANDOM.standard_normal(shape)


CUT = model(
    "a = MatMul(x, w)  i = Cast<to=7>(a)  f = Cast<to=1>(i)  b = MatMul(f, v)  y = Identity(b)",
    w=weight(4, 4), v=weight(4, 3),
)  # fmt: skip


def test_a_parameter_behind_integers_is_refused_by_operator_and_node() -> None:
    CUT.graph.node[1].name = "to_index"
    said = r"'w' cannot be trained: Cast to int64 \(node 'to_index'\), which reads 'a', stands"
    with pytest.raises(lg.GradientError, match=said):
        lg.training.build(CUT, nn.MSELoss(), trainable=["w"])


def test_what_no_slope_leads_to_is_left_out_with_a_warning() -> None:
    with pytest.warns(lg.LossgraphWarning, match="not trained: 'w': Cast to int64"):
        step = lg.training.build(CUT, nn.MSELoss())
    assert step.trainable == ("v",)
    assert step.left_out["w"].startswith("Cast to int64")


def test_an_operator_that_has_no_derivative_here_is_refused() -> None:
    net = model(
        "a = MatMul(x, w)  b = own.Layer(a)  y = MatMul(b, v)", w=weight(4, 4), v=weight(4, 3)
    )
    net.graph.node[1].name = "mine"
    net.graph.value_info.append(onnx.helper.make_tensor_value_info("b", 1, ("N", 4)))
    said = r"'w' cannot be trained: own.Layer \(node 'mine'\), which reads 'a', stands between"
    with pytest.raises(lg.GradientError, match=said):
        lg.training.build(net, nn.MSELoss())
    assert lg.training.build(net, nn.MSELoss(), trainable="v").trainable == ("v",)


def test_what_a_branch_cuts_is_left_out_and_refused_by_name() -> None:
    """The rounded weights of both branches have no slope, though the branches have results."""
    net = model(
        "m = ReduceSum<keepdims = 0>(x) c = Cast<to = 9>(m) a = MatMul(x, v) y = If (c) <"
        "then_branch = one () => (float[N, 4] t) { r = Floor(w) t = Add(a, r) }, "
        "else_branch = two () => (float[N, 4] e) { u = Ceil(w) e = Sub(a, u) }>",
        w=weight(4), v=weight(4, 4),
    )  # fmt: skip
    with pytest.raises(lg.GradientError, match=r"'w' cannot be trained: .*stands between it"):
        lg.training.build(net, nn.MSELoss(), trainable=["w"])
    with pytest.warns(lg.LossgraphWarning, match="not trained: 'w'"):
        assert lg.training.build(net, nn.MSELoss()).trainable == ("v",)


def test_a_weight_in_a_constant_node_is_trained_by_its_name() -> None:
    w = weight(4, 3)
    given = model("y = MatMul(x, w)", w=w)
    inside = model("w = Constant<value_int = 0>() y = MatMul(x, w)")
    (node,) = (n for n in inside.graph.node if n.op_type == "Constant")
    node.CopyFrom(onnx.helper.make_node("Constant", [], ["w"], value=given.graph.initializer[0]))
    x, target = weight(5, 4).astype("f"), weight(5, 3).astype("f")
    runs = []
    for net, names in ((given, None), (inside, ["w"]), (inside, "w*")):
        trainer = lg.training.Trainer(lg.training.build(net, nn.MSELoss(), trainable=names))
        losses = [trainer.step({"x": x, "target": target}) for _ in range(3)]
        runs.append((losses, trainer.parameters["w"]))
    for losses, trained in runs[1:]:
        assert losses == runs[0][0]
        np.testing.assert_array_equal(trained, runs[0][1])
    assert len(inside.graph.node) == 2  # the user's model stays as it is
    with pytest.raises(lg.InputError, match="no floating initializer"):
        lg.training.build(inside, nn.MSELoss(), trainable="v")


def test_a_parameter_of_another_output_is_left_out() -> None:
    net = model("y = MatMul(x, w)  z = MatMul(x, other)", w=weight(4, 3), other=weight(4, 2))
    net.graph.output.append(onnx.helper.make_tensor_value_info("z", 1, ("N", 2)))
    step = lg.training.build(net, nn.MSELoss(), output="y")
    assert (step.trainable, step.left_out) == (("w",), {"other": "the loss does not depend on it"})
    with pytest.raises(lg.GradientError, match="'other' cannot be trained: the loss does not dep"):
        lg.training.build(net, nn.MSELoss(), output="y", trainable=["w", "other"])


def test_a_name_asks_for_an_optional_input() -> None:
    net = model("y = MatMul(x, w)", w=weight(4, 3))
    step = lg.training.build(net, nn.CrossEntropyLoss(), rename={"weight": "of_classes"})
    assert step.batch == ("x", "target", "of_classes")
    with pytest.raises(lg.InputError, match="CrossEntropyLoss has no input 'wight'"):
        lg.training.build(net, nn.CrossEntropyLoss(), rename={"wight": "of_classes"})


def test_integers_are_taken_as_the_floats_of_a_loss() -> None:
    net = model("y = MatMul(x, w)", w=weight(4, 4))
    step = lg.training.build(net, nn.CosineEmbeddingLoss(), bind={"input2": "x"})
    x = weight(5, 4).astype(np.float32)
    signs = np.array([1, -1, 1, 1, -1])
    weights = {"w": numpy_helper.to_array(net.graph.initializer[0])}
    given = step.gradients.run({**weights, "x": x, "target": signs})
    right = step.gradients.run({**weights, "x": x, "target": signs.astype(np.float32)})
    np.testing.assert_array_equal(given["grad_w"], right["grad_w"])
    loss = lg.training.Trainer(step).step({"x": x, "target": signs})
    assert loss == pytest.approx(float(right["loss"]))


def test_statistics_that_share_an_initializer_with_the_scale_stay() -> None:
    body = "v = Identity(s)  h = MatMul(x, w)  y = BatchNormalization(h, s, o, m, v)"
    zeros = np.zeros(3)
    net = model(body, w=weight(4, 3), s=np.ones(3), o=zeros, m=zeros)
    step = lg.training.build(net, nn.MSELoss(), optimizer=lg.training.SGD(1.0))
    x = weight(6, 4).astype(np.float32)
    target = weight(6, 3).astype(np.float32)
    trainer = lg.training.Trainer(step)
    h = x @ step.parameters["w"] / np.sqrt(np.float32(1 + 1e-5))
    trainer.step({"x": x, "target": target})
    moved = np.ones(3) - 2 * ((h - target) * h).mean(0) / 3
    np.testing.assert_allclose(trainer.parameters["s"], moved, rtol=1e-5)
    again = x @ trainer.parameters["w"] / np.sqrt(np.float32(1 + 1e-5))
    right = again * trainer.parameters["s"] + trainer.parameters["o"]
    loss = trainer.step({"x": x, "target": target})
    assert loss == pytest.approx(float(((right - target) ** 2).mean()), rel=1e-5)
    assert not any("statistic" in t.name for t in net.graph.initializer)  # it is not changed


def test_a_function_of_f_whose_inputs_have_no_types() -> None:
    loss = nn.CrossEntropyLoss(reduction="none")

    def both(F: Any, pred: Any, label: Any, smooth: Any) -> Any:
        return F.mean(loss(pred, label)) + F.mean(F.square(pred - smooth))

    step = lg.training.build(model("y = MatMul(x, w)", w=weight(4, 3)), both)
    types = {i.name: i.type.tensor_type for i in step.gradients.graph.input}
    assert types["label"].elem_type == onnx.TensorProto.INT64
    assert [d.dim_param or d.dim_value for d in types["smooth"].shape.dim] == ["N", 3]
