"""Losses attached to models: right, where the model computes what it did and keeps what it has."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx import TensorProto, checker, helper, numpy_helper

import lossgraph as lg
from command_line import call
from lossgraph import gluon, losses, nn
from lossgraph.authoring.functions import as_loss
from lossgraph.lowering.opsets import MAX_OPSET
from lossgraph.lowering.releases import RELEASES
from lossgraph.models.attach import attach_file
from support import assert_close, newest_opset, run_model

CODES = {
    "float16": TensorProto.FLOAT16,
    "bfloat16": TensorProto.BFLOAT16,
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "int64": TensorProto.INT64,
}
WEIGHT = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
X = np.random.default_rng(1).normal(size=(5, 4)).astype(np.float32)
LABEL = np.array([0, 2, 1, 1, 0])
CE = gluon.SoftmaxCrossEntropyLoss()


def tensor(name: str, shape: Any = ("N", 3), dtype: str = "float32") -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, CODES[dtype], shape)


def model(
    nodes: list[onnx.NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: dict[str, Any] | None = None,
    opset: int = 17,
    ir: int = 8,
    domains: tuple[str, ...] = (),
    **fields: Any,
) -> onnx.ModelProto:
    initializers = [numpy_helper.from_array(array, name) for name, array in (weights or {}).items()]
    graph = helper.make_graph(nodes, "net", inputs, outputs, initializers)
    imports = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, 1) for d in domains)]
    return helper.make_model(graph, opset_imports=imports, ir_version=ir, **fields)


def classifier(
    batch: Any = "batch", label: str = "z", weight: str = "W", **kwargs: Any
) -> onnx.ModelProto:
    """``logits = relu(x W)``, whose inner names may be chosen."""
    nodes = [
        helper.make_node("MatMul", ["x", weight], [label], name="first"),
        helper.make_node("Relu", [label], ["logits"]),
    ]
    ends = [tensor("x", (batch, 4))], [tensor("logits", (batch, 3))]
    return model(nodes, *ends, {weight: WEIGHT}, **kwargs)


def identity(shape: Any, dtype: str = "float32", **kwargs: Any) -> onnx.ModelProto:
    """``y = x``."""
    node = helper.make_node("Identity", ["x"], ["y"])
    return model([node], [tensor("x", shape, dtype)], [tensor("y", shape, dtype)], **kwargs)


def outputs(made: onnx.ModelProto, **arrays: Any) -> dict[str, Any]:
    names = [info.name for info in made.graph.output]
    return dict(zip(names, run_model(made, arrays), strict=True))


def cross_entropy(logits: Any, label: Any) -> tuple[Any, Any]:
    """By hand, in float64: the loss of each row, and the gradient of their sum."""
    logits = logits.astype(np.float64)
    shares = np.exp(logits - logits.max(1, keepdims=True))
    shares /= shares.sum(1, keepdims=True)
    return -np.log(shares[np.arange(len(label)), label]), shares - np.eye(logits.shape[1])[label]


def types(made: onnx.ModelProto) -> dict[str, Any]:
    """Dtype code and dims of inputs and outputs."""
    return {
        info.name: (
            info.type.tensor_type.elem_type,
            *((d.dim_param or d.dim_value) for d in info.type.tensor_type.shape.dim),
        )
        for info in (*made.graph.input, *made.graph.output)
    }


# --- numbers ---


@pytest.mark.parametrize("as_function", [False, True])
def test_the_loss_is_that_of_the_output_and_the_rest_stays_as_it_was(as_function: bool) -> None:
    before = classifier()
    copy = before.SerializeToString()
    made = lg.attach(before, CE, "logits", grad=["logits"], as_function=as_function)
    assert before.SerializeToString() == copy
    checker.check_model(made, full_check=True)
    assert [i.name for i in made.graph.input] == ["x", "label"]
    assert [o.name for o in made.graph.output] == ["logits", "loss", "grad_logits"]
    assert list(made.graph.node[:2]) == list(before.graph.node)
    assert len(made.graph.node) == 3 or not as_function
    (logits,) = run_model(before, {"x": X})
    got = outputs(made, x=X, label=LABEL)
    assert got["logits"].tobytes() == logits.tobytes()
    value, gradient = cross_entropy(logits, LABEL)
    assert_close(got["loss"], value, "float32")
    assert_close(got["grad_logits"], gradient, "float32")


def test_several_inputs_of_the_loss_come_from_the_model() -> None:
    names = ["anchor", "near", "far"]
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["anchor"]),
        helper.make_node("Neg", ["anchor"], ["far"]),
        helper.make_node("Relu", ["anchor"], ["near"]),
    ]
    net = model(nodes, [tensor("x", ("N", 4))], [tensor(n) for n in names], {"W": WEIGHT})
    bind = {"positive": "near", "negative": "far"}
    made = lg.attach(net, gluon.TripletLoss(), "anchor", bind=bind, grad=["far", "anchor"])
    assert [i.name for i in made.graph.input] == ["x"]
    got = outputs(made, x=X)
    a = X.astype(np.float64) @ WEIGHT
    gap = ((np.maximum(a, 0) - a) ** 2 - (2 * a) ** 2).sum(1) + 1
    assert_close(got["loss"], np.maximum(gap, 0), tolerance=(1e-5, 1e-5))
    assert_close(got["grad_far"], (gap > 0)[:, None] * -2 * (-a - a), tolerance=(1e-5, 1e-5))


def test_an_autoencoder_is_scored_by_its_own_input() -> None:
    node = helper.make_node("Tanh", ["x"], ["y"])
    net = model([node], [tensor("x", ("N", 4))], [tensor("y", ("N", 4))])
    made = lg.attach(net, nn.MSELoss(), bind={"target": "x"})
    assert [i.name for i in made.graph.input] == ["x"]
    assert_close(outputs(made, x=X)["loss"], np.mean((np.tanh(X) - X) ** 2), "float32")


def test_parts_of_a_loss_are_outputs_too() -> None:
    loss = lg.weighted_sum({"ce": CE, "z": (0.1, lg.renamed(losses.z_loss, logits="pred"))})
    made = lg.attach(classifier(), loss, inputs={"label": ("int64", ("batch",))})
    got = outputs(made, x=X, label=LABEL)
    assert list(got) == ["logits", "loss", "loss_ce", "loss_z"]
    assert_close(got["loss"], got["loss_ce"] + 0.1 * got["loss_z"], "float32")


def test_other_inputs_of_a_function_of_f_have_the_type_of_the_prediction() -> None:
    def absolute(F: Any, pred: Any, label: Any) -> Any:
        return F.abs(pred - label)

    made = lg.attach(classifier(), absolute)
    assert types(made)["label"] == (CODES["float32"], "batch", 3)
    zero = np.zeros((5, 3), np.float32)
    got = outputs(made, x=X, label=zero)
    assert_close(got["loss"], np.abs(got["logits"]))


def test_inputs_that_a_function_of_f_hands_to_a_loss_have_their_types_there() -> None:
    def inner(F: Any, pred: Any, label: Any, smooth: Any) -> Any:
        return F.mean(CE(pred, label) + F.mean(F.square(pred - smooth), axis=-1))

    def outer(F: Any, pred: Any, label: Any, smooth: Any, weight: Any) -> Any:
        squared = nn.CrossEntropyLoss(reduction="none")(pred, label, weight=weight)
        return as_loss(inner)(pred, label, smooth) + F.mean(squared)

    found = types(lg.attach(classifier(), outer))
    assert found["label"] == (CODES["int64"], "batch")
    assert found["smooth"] == (CODES["float32"], "batch", 3)
    assert found["weight"] == (CODES["float32"], 3)


def test_a_function_of_f_that_refuses_its_inputs_says_so() -> None:
    def cut(F: Any, pred: Any, label: Any) -> Any:
        return F.dot(pred, label)

    with pytest.raises(lg.InputError, match=r"cut of pred float32\[batch,3\], label float32"):
        lg.attach(classifier(), cut)


def test_inputs_that_a_loss_of_one_s_own_counts() -> None:
    class Spread(gluon.Loss):
        def hybrid_forward(self, F: Any, *inputs: Any) -> Any:
            return F.abs(inputs[0] - inputs[1])

    made = lg.attach(classifier(), Spread(None, 0), inputs={"inputs_1": ("float32", ("batch", 3))})
    got = outputs(made, x=X, inputs_1=np.zeros((5, 3), np.float32))
    assert_close(got["loss"], got["logits"])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_predictions_of_other_floats(dtype: str) -> None:
    made = lg.attach(identity(("N", 3), dtype), nn.HuberLoss(reduction="none"), grad=["y"])
    assert types(made)["target"] == (CODES[dtype], "N", 3)
    native = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    x = np.array([[0.25, -3, 1]], native)
    if dtype == "bfloat16":  # which ONNX Runtime's Python interface cannot be given
        return
    got = outputs(made, x=x, target=np.zeros_like(x))
    assert_close(got["loss"], np.array([[0.03125, 2.5, 0.5]], native))
    assert_close(got["grad_y"], np.array([[0.25, -1, 1]], native))


def test_two_losses_one_after_the_other() -> None:
    once = lg.attach(classifier(), CE, as_function=True)
    scaled = gluon.SoftmaxCrossEntropyLoss(weight=2)
    rename = {"loss": "double", "label": "label_2"}
    twice = lg.attach(once, scaled, "logits", rename=rename, as_function=True)
    assert [f.name for f in twice.functions] == [
        "SoftmaxCrossEntropyLoss", "SoftmaxCrossEntropyLoss_0",
    ]  # fmt: skip
    third = lg.attach(twice, CE, "logits", rename={"loss": "third", "label": "label_3"})
    got = outputs(third, x=X, label=LABEL, label_2=LABEL, label_3=LABEL)
    assert_close(got["double"], 2 * got["loss"])
    assert_close(got["third"], got["loss"])
    said = [p.key for p in third.metadata_props]
    assert said == ["lossgraph", "lossgraph_2", "lossgraph_3"]


# --- types ---


@pytest.mark.parametrize("batch", ["batch size", 5, None])
def test_the_label_has_the_batch_of_the_model(batch: Any) -> None:
    made = lg.attach(classifier(batch), CE)
    code, dim = types(made)["label"]
    assert code == TensorProto.INT64
    assert dim == batch or (batch is None and isinstance(dim, str))
    assert_close(outputs(made, x=X, label=LABEL)["loss"].shape, (5,))


@pytest.mark.parametrize(
    ("loss", "shape", "label"),
    [
        (CE, ("N", "T", 3), ("N", "T")),
        (nn.CrossEntropyLoss(), ("N", 3, "H", "W"), ("N", "H", "W")),
        (nn.CrossEntropyLoss(), (2, 3, 3, 3), (2, 3, 3)),
        (gluon.L1Loss(), ("N", 2, 2), ("N", 2, 2)),
    ],
)
def test_ranks_that_the_catalogue_does_not_have(loss: Any, shape: Any, label: Any) -> None:
    made = lg.attach(identity(shape), loss)
    assert types(made)[made.graph.input[1].name][1:] == label


def test_where_ranks_leave_a_choice_it_is_the_user_s() -> None:
    net = identity((2, 3, 4, 5))
    with pytest.raises(lg.InputError, match=r"label int64\[2\] or of .*say which with --input"):
        lg.attach(net, losses.lovasz_softmax)
    made = lg.attach(net, losses.lovasz_softmax, inputs={"label": ("int64", (2, 4, 5))})
    assert types(made)["label"] == (TensorProto.INT64, 2, 4, 5)


def test_dims_are_those_of_the_model_or_of_the_catalogue() -> None:
    weighed = {"label": ("int64", ("N",)), "sample_weight": ("float32", ("batch",))}
    made = lg.attach(classifier(), CE, inputs=weighed)
    assert types(made)["label"][1:] == types(made)["sample_weight"][1:] == ("batch",)
    static = lg.attach(classifier(5), CE, inputs=weighed | {"pred": ("float32", ("batch", 3))})
    assert types(static)["label"][1:] == (5,)


def test_a_dim_that_only_the_loss_has_is_none_of_the_model_s() -> None:
    made = lg.attach(identity(("B", "L", "C")), gluon.CTCLoss())
    assert types(made)["label"][1:] == ("B", "label_L")


def unknown_rank(shape: bool = False) -> onnx.ModelProto:
    """The last operator is one that ONNX's inference knows nothing of, though engines do."""
    node = helper.make_node("QuickGelu", ["x"], ["y"], domain="com.microsoft")
    y = tensor("y", ("N", 4)) if shape else helper.make_tensor_value_info("y", 1, None)
    return model([node], [tensor("x", ("N", 4))], [y], domains=("com.microsoft",))


def test_a_rank_that_nobody_knows_is_to_be_said() -> None:
    with pytest.raises(lg.InputError, match=r"rank of 'y': say it, as in --input input:float32"):
        lg.attach(unknown_rank(), nn.MSELoss())
    made = lg.attach(unknown_rank(), nn.MSELoss(), inputs={"input": ("float32", ("N", 4))})
    checker.check_model(made, full_check=True)
    (before,) = run_model(unknown_rank(True), {"x": X})
    got = outputs(made, x=X, target=np.zeros_like(X))
    assert got["y"].tobytes() == before.tobytes()
    assert_close(got["loss"], np.mean(before**2))


def test_a_rank_that_is_not_declared_may_be_inferred() -> None:
    """Of an output too that has the name of another input of the loss."""
    net = classifier()
    net.graph.node.append(helper.make_node("ReduceSum", ["logits"], ["pred"], keepdims=0))
    net.graph.output.append(tensor("pred", ()))
    for info in net.graph.output:
        info.type.tensor_type.ClearField("shape")
    made = lg.attach(net, CE, "logits")
    assert types(made)["logits"][1:] == ("batch", 3)
    assert types(made)["pred"][1:] == ()
    assert types(made)["label"][1:] == ("batch",)


def test_a_dtype_that_the_model_contradicts() -> None:
    with pytest.raises(lg.InputError, match=r"pred: .* was given, the model says float32\[batch,3"):
        lg.attach(classifier(), CE, inputs={"pred": ("float64", ("N", 3))})


def test_a_shape_that_a_model_declares_wrongly_is_what_is_stated() -> None:
    """Of what an operator of another domain computes, ONNX knows only what the model says."""
    node = helper.make_node("Mystery", ["x"], ["y"], domain="other")
    net = model([node], [tensor("x", ("N", 3))], [tensor("y", ("N",))], domains=("other",))
    stated = {"pred": ("float32", ("N", 3)), "label": ("int64", ("N",))}
    with pytest.warns(lg.LossgraphWarning, match=r"pred: the model says float32\[N\], .*N,3\] is"):
        made = lg.attach(net, CE, inputs=stated)
    assert types(made)["y"][1:] == ("N", 3)
    with pytest.raises(lg.InputError, match="axis"):
        lg.attach(net, CE, inputs={"label": ("int64", ("N",))})


def test_a_loss_of_a_value_inside() -> None:
    """Logits before the softmax that a model ends with; another inner value has the loss's name."""
    nodes = [
        helper.make_node("MatMul", ["x", "W"], ["loss"]),
        helper.make_node("Identity", ["loss"], ["logits/MatMul"]),
        helper.make_node("Softmax", ["logits/MatMul"], ["shares"], axis=1),
    ]
    net = model(nodes, [tensor("x", ("N", 4))], [tensor("shares")], {"W": WEIGHT})
    made = lg.attach(net, CE, "logits/MatMul", grad=["logits/MatMul"])
    expected, grads = CE.value_and_grad(X @ WEIGHT, LABEL)
    values = run_model(made, {"x": X, "label": LABEL})
    found = dict(zip([info.name for info in made.graph.output], values, strict=True))
    assert_close(found["loss"], expected)
    assert_close(found["grad_logits/MatMul"], grads["pred"])
    assert_close(found["shares"].sum(axis=1), np.ones(5))
    assert [info.name for info in made.graph.input] == ["x", "label"]


def test_dims_may_be_called_as_the_model_calls_them() -> None:
    dim = "p2o.DynamicDimension.2"
    net = identity((dim, 3))
    for name in (dim, "p2o_DynamicDimension_2"):
        made = lg.attach(net, CE, inputs={"label": ("int64", (name,))})
        assert types(made)["label"][1:] == (dim,)


def test_gradients_through_the_model_are_refused_with_the_reason() -> None:
    for name, what in (("x", "an input"), ("W", "a parameter")):
        with pytest.raises(lg.GradientError, match=rf"'{name}', {what} .* lossgraph\.training"):
            lg.attach(classifier(), CE, grad=[name])


# --- names ---


def test_inner_names_that_become_public_are_others_afterwards() -> None:
    """Also where a graph inside reads them from outside."""

    def branch(name: str, operator: str) -> onnx.GraphProto:
        node = helper.make_node(operator, ["label"], [f"loss_{name}"])
        return helper.make_graph([node], name, [], [tensor(f"loss_{name}")])

    nodes = [
        helper.make_node("MatMul", ["x", "grad_logits"], ["label"]),
        helper.make_node("ReduceMax", ["label"], ["loss"], keepdims=0),
        helper.make_node("Cast", ["loss"], ["yes"], to=TensorProto.BOOL),
        helper.make_node(
            "If", ["yes"], ["logits"],
            then_branch=branch("then", "Relu"), else_branch=branch("else", "Neg"),
        ),
    ]  # fmt: skip
    ends = [tensor("x", ("N", 4))], [tensor("logits")]
    net = model(nodes, *ends, {"grad_logits": WEIGHT})
    net.graph.value_info.append(tensor("label"))
    made = lg.attach(net, CE, grad=["logits"])
    (before,) = run_model(net, {"x": X})
    got = outputs(made, x=X, label=LABEL)
    assert list(got) == ["logits", "loss", "grad_logits"]
    assert got["logits"].tobytes() == before.tobytes()
    assert_close(got["loss"], cross_entropy(before, LABEL)[0], "float32")


def test_public_names_that_are_taken_need_others() -> None:
    nodes = [helper.make_node("Relu", ["label"], ["loss"])]
    net = model(nodes, [tensor("label")], [tensor("loss")])
    with pytest.raises(lg.InputError, match=r"'label' already: .* --rename label=label_2"):
        lg.attach(net, CE)
    with pytest.raises(lg.InputError, match=r"'loss' already: .* --rename loss=loss_2"):
        lg.attach(net, CE, rename={"label": "target"})
    made = lg.attach(net, CE, rename={"label": "target", "loss": "score"}, grad=["loss"])
    assert [o.name for o in made.graph.output] == ["loss", "score", "grad_loss"]
    got = outputs(made, label=X[:, :3], target=LABEL)
    assert_close(got["score"], cross_entropy(np.maximum(X[:, :3], 0), LABEL)[0], "float32")


def test_gradients_have_the_names_that_inputs_have() -> None:
    made = lg.attach(
        classifier(), gluon.L2Loss(), grad=["target"],
        rename={"label": "target", "grad_target": "g"},
    )  # fmt: skip
    got = outputs(made, x=X, target=np.zeros((5, 3), np.float32))
    assert_close(got["g"], -got["logits"] / 3, "float32")


def two_outputs() -> onnx.ModelProto:
    net = classifier()
    net.graph.node.append(helper.make_node("ArgMax", ["logits"], ["class"], axis=1, keepdims=0))
    net.graph.output.append(tensor("class", ("batch",), "int64"))
    return net


def a_sequence() -> onnx.ModelProto:
    y = helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, None)
    return model([helper.make_node("SequenceConstruct", ["x"], ["y"])], [tensor("x")], [y])


def mixed_up() -> onnx.ModelProto:
    net = classifier()
    net.graph.node.extend([net.graph.node[0]])
    del net.graph.node[0]
    return net


@pytest.mark.parametrize(
    ("net", "how", "message"),
    [
        (classifier, {"output": "y"}, r"no output 'y': its outputs are \['logits'\], its inputs"),
        (classifier, {"bind": {"label": "y"}}, "label: the model has no output 'y'"),
        (classifier, {"bind": {"foo": "x"}}, r"unknown \['foo'\]"),
        (classifier, {"grad": ["y"]}, r"no gradient for 'y': expected one of \['logits', 'label'"),
        (classifier, {"grad": ["label"]}, "'label' has dtype int64, which"),
        (classifier, {"rename": {"foo": "bar"}}, r"--rename foo: the loss has \['label', 'loss'\]"),
        (classifier, {"rename": {"label": "loss"}}, "'loss' already"),
        (classifier, {"output": "x", "bind": {"pred": "logits"}}, "bound to 'logits' and to the o"),
        (classifier, {"inputs": {"label": ("int64", ("N", 7))}}, r"int64\[batch,7\].*--input"),
        (classifier, {"target_ort": "1.2"}, "expected 1.12 or newer"),
        (two_outputs, {}, r"which output .* is it\? There are \['logits', 'class'\]"),
        (two_outputs, {"output": "class"}, r"'class' is int64\[batch\], predictions are floats"),
        (two_outputs, {"output": "logits", "bind": {"label": "logits"}, "grad": ["logits"]},
         "it is bound to"),
        (a_sequence, {}, "'y' is a sequence, not a tensor"),
        (mixed_up, {}, "ONNX's checker refuses the model as it is given"),
    ],
)  # fmt: skip
def test_wrong_use(net: Callable[[], onnx.ModelProto], how: dict[str, Any], message: str) -> None:
    with pytest.raises(lg.InputError, match=message):
        lg.attach(net(), CE, **how)


# --- what a model may bring ---


def test_all_that_a_model_has_is_still_there() -> None:
    node = helper.make_node("Twice", ["logits"], ["y"], domain="mine", doc_string="twice")
    function = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])],
        [helper.make_opsetid("", 17)],
    )  # fmt: skip
    net = classifier(domains=("mine", "com.microsoft", "ai.onnx.ml"), producer_name="me")
    net.graph.node.append(node)
    net.graph.output.append(tensor("y", ("batch", 3)))
    net.functions.append(function)
    helper.set_model_props(net, {"loss": "theirs", "author": "me"})
    net.doc_string, net.graph.doc_string, net.model_version, net.domain = "a", "b", 7, "org"
    annotation = net.graph.quantization_annotation.add(tensor_name="W")
    annotation.quant_parameter_tensor_names.add(key="SCALE_TENSOR", value="W")
    made = lg.attach(net, CE, "y")
    got, again = outputs(made, x=X, label=LABEL), onnx.ModelProto()
    assert_close(got["loss"], cross_entropy(got["y"], LABEL)[0], "float32")
    again.CopyFrom(made)  # take out what is new: the old model is left
    del again.metadata_props[2:], again.graph.input[1:], again.graph.output[2:]
    del again.graph.node[3:], again.graph.initializer[1:]
    assert again == net


@pytest.mark.parametrize("opset", [13, 15, 17, 18, 21, 23, 26])
def test_the_loss_speaks_the_model_s_opset(opset: int) -> None:
    ir = helper.find_min_ir_version_for([helper.make_opsetid("", opset)])
    made = lg.attach(classifier(opset=opset, ir=ir), CE, grad=["logits"])
    assert (made.opset_import[0].version, made.ir_version) == (opset, ir)
    checker.check_model(made, full_check=True)
    if opset <= newest_opset():
        got = outputs(made, x=X, label=LABEL)
        assert_close(got["loss"], cross_entropy(got["logits"], LABEL)[0], "float32")


@pytest.mark.parametrize("ir", [3, 6])
def test_an_old_model_is_converted(ir: int) -> None:
    nodes = [
        helper.make_node("Unsqueeze", ["x"], ["wide"], axes=[1]),
        helper.make_node("Squeeze", ["wide"], ["narrow"], axes=[1]),
        helper.make_node("MatMul", ["narrow", "W"], ["z"]),
        helper.make_node("Softmax", ["z"], ["y"]),
    ]
    listed = [tensor("W", (4, 3))] if ir < 4 else []
    net = model(
        nodes, [tensor("x", ("N", 4)), *listed], [tensor("y")], {"W": WEIGHT}, opset=11, ir=ir
    )
    helper.set_model_props(net, {"author": "me"})
    made = lg.attach(net, nn.MSELoss())
    assert (made.opset_import[0].version, made.ir_version) == (13, 7)
    assert made.metadata_props[0].value == "me"
    checker.check_model(made, full_check=True)
    (before,) = run_model(net, {"x": X})
    got = outputs(made, x=X, target=np.zeros((5, 3), np.float32))
    assert got["y"].tobytes() == before.tobytes()


def test_a_model_that_cannot_be_converted() -> None:
    gone = helper.make_node("Scale", ["x"], ["y"], scale=2.0)
    with pytest.raises(lg.InputError, match=r"onnx.version_converter cannot .* opset 5 to 13: "):
        lg.attach(model([gone], [tensor("x")], [tensor("y")], opset=5), nn.MSELoss())
    net = classifier(opset=11, domains=("mine",))
    net.functions.append(
        helper.make_function("mine", "F", ["a"], ["b"], [], [helper.make_opsetid("", 11)])
    )
    with pytest.raises(lg.InputError, match="it drops functions"):
        lg.attach(net, CE)


def test_a_model_without_standard_operators() -> None:
    net = unknown_rank(True)
    del net.opset_import[0]
    made = lg.attach(net, nn.MSELoss(), target_ort="1.13")
    assert [(o.domain, o.version) for o in made.opset_import] == [("com.microsoft", 1), ("", 17)]
    assert outputs(made, x=X, target=X)["loss"].shape == ()


@pytest.mark.parametrize("how", [{}, {"target_ort": "1.32"}, {"target_ort": "99.0"}])
def test_a_model_of_an_opset_newer_than_ours_is_made_older(how: dict[str, str]) -> None:
    if onnx.defs.onnx_opset_version() <= MAX_OPSET:
        pytest.skip("this onnx has no newer opset")
    made = lg.attach(classifier(opset=MAX_OPSET + 1, ir=13), CE, **how)
    assert made.opset_import[0].version == MAX_OPSET
    assert_close(outputs(made, x=X, label=LABEL)["loss"].shape, (5,))


@pytest.mark.parametrize("version", ["1.16.3", "1.20"])
def test_for_a_release_the_model_is_made_older(version: str) -> None:
    made = lg.attach(classifier(opset=25, ir=13), CE, target_ort=version, as_function=True)
    known = RELEASES[version[:4]]
    assert (made.opset_import[0].version, made.ir_version) == (known.opset, known.ir)
    assert_close(outputs(made, x=X, label=LABEL)["loss"].shape, (5,))


def test_a_function_with_overloads_is_too_new_for_an_old_release() -> None:
    net = classifier(domains=("mine",), ir=10)
    copy = helper.make_node("Identity", ["a"], ["b"])
    made = helper.make_function("mine", "F", ["a"], ["b"], [copy], [helper.make_opsetid("", 17)])
    made.overload = "x"
    net.functions.append(made)
    with pytest.raises(lg.InputError, match=r"needs IR 10: ONNX Runtime 1\.16 loads at most"):
        lg.attach(net, CE, target_ort="1.16")


def test_sparse_weights_stay_sparse() -> None:
    values = helper.make_tensor("W", TensorProto.FLOAT, [2], [1.0, 2.0])
    indices = helper.make_tensor("W_indices", TensorProto.INT64, [2], [0, 7])
    net = classifier()
    del net.graph.initializer[:]
    net.graph.sparse_initializer.append(helper.make_sparse_tensor(values, indices, [4, 3]))
    made = lg.attach(net, CE)
    assert made.graph.sparse_initializer == net.graph.sparse_initializer
    (before,) = run_model(net, {"x": X})
    assert outputs(made, x=X, label=LABEL)["logits"].tobytes() == before.tobytes()


DATA = Path(onnx.__file__).parent / "backend/test/data"


@pytest.mark.parametrize(
    "name",
    [
        "pytorch-converted/test_Conv2d_depthwise",  # opset 6, weights among the inputs
        "pytorch-converted/test_ConstantPad2d",
        "pytorch-converted/test_Embedding",
        "pytorch-operator/test_operator_conv",
        "simple/test_expand_shape_model1",
        "simple/test_single_relu_model",
    ],
)
def test_models_of_onnx_own_tests(name: str) -> None:
    net = onnx.load(DATA / name / "model.onnx")
    weights = {tensor.name for tensor in net.graph.initializer}
    names = [info.name for info in net.graph.input if info.name not in weights]
    given = [
        numpy_helper.to_array(onnx.load_tensor(DATA / name / f"test_data_set_0/input_{k}.pb"))
        for k in range(len(names))
    ]
    feeds = dict(zip(names, given, strict=True))
    (before,) = run_model(net, feeds)
    made = lg.attach(net, nn.MSELoss(), rename={"target": "wanted"})
    wanted = np.random.default_rng(0).normal(size=before.shape).astype(np.float32)
    got = outputs(made, **feeds, wanted=wanted)
    assert next(iter(got.values())).tobytes() == before.tobytes()
    assert_close(got["loss"], np.mean((before.astype(np.float64) - wanted) ** 2), "float32")


# --- files ---


@pytest.fixture
def external(tmp_path: Path) -> Path:
    """A model whose weights are in a file beside it."""
    path = tmp_path / "from" / "net.onnx"
    path.parent.mkdir()
    onnx.save_model(
        classifier(), path, save_as_external_data=True, location="w.bin", size_threshold=0
    )
    return path


def loss_of(path: Path) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["loss"], {"x": X, "label": LABEL})[0]


def test_weights_in_other_files_are_copied_beside(external: Path, tmp_path: Path) -> None:
    done = attach_file(external, tmp_path / "to/scored.onnx", CE)
    assert done.files == [tmp_path / "to/w.bin", tmp_path / "to/scored.onnx"]
    shutil.rmtree(external.parent)
    checker.check_model(tmp_path / "to/scored.onnx", full_check=True)
    logits = np.maximum(X.astype(np.float64) @ WEIGHT, 0)
    assert_close(loss_of(done.files[1]), cross_entropy(logits, LABEL)[0], "float32")


def test_files_of_others_are_not_replaced(external: Path, tmp_path: Path) -> None:
    folder = tmp_path / "to"
    folder.mkdir()
    (folder / "w.bin").write_bytes(b"of another")
    (folder / "w_2.bin").mkdir()
    done = attach_file(external, folder / "scored.onnx", CE)
    assert [path.name for path in done.files] == ["w_3.bin", "scored.onnx"]
    assert (folder / "w.bin").read_bytes() == b"of another"
    again = attach_file(external, folder / "scored.onnx", CE)  # the same weights are there
    assert [path.name for path in again.files] == ["scored.onnx"]
    assert_close(loss_of(folder / "scored.onnx").shape, (5,))


def test_in_the_same_folder_nothing_is_copied(external: Path) -> None:
    done = attach_file(external, external, CE, force=True)
    assert done.files == [external]
    assert sorted(path.name for path in external.parent.iterdir()) == ["net.onnx", "w.bin"]
    assert_close(loss_of(external).shape, (5,))


def test_the_new_file_is_not_written_over_the_weights(external: Path) -> None:
    before = (external.parent / "w.bin").read_bytes()
    done = attach_file(external, external.parent / "w.bin", CE)
    assert [path.name for path in done.files] == ["w_2.bin", "w.bin"]
    assert (external.parent / "w_2.bin").read_bytes() == before


def test_a_copy_that_fails_leaves_nothing(
    external: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(target))

    monkeypatch.setattr(shutil, "copyfile", full_disk)
    with pytest.raises(lg.InputError, match="No space left on device"):
        attach_file(external, tmp_path / "to/scored.onnx", CE)
    assert list((tmp_path / "to").iterdir()) == []


@pytest.mark.parametrize("place", ["/etc/hostname", "../outside.bin", "link.bin", "nothing.bin"])
def test_weights_outside_the_folder_are_not_taken(
    place: str, external: Path, tmp_path: Path
) -> None:
    (tmp_path / "outside.bin").write_bytes(b"secret")
    (external.parent / "link.bin").symlink_to(tmp_path / "outside.bin")
    net = onnx.load(external, load_external_data=False)
    net.graph.initializer[0].external_data[0].value = place
    external.write_bytes(net.SerializeToString())
    with pytest.raises(lg.InputError, match="which holds weights of the model"):
        attach_file(external, tmp_path / "to/scored.onnx", CE)
    assert not (tmp_path / "to").exists()


def test_weights_are_never_serialized_to_be_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """As no message of more than 2 GiB can be."""
    seen = []
    check_model = checker.check_model

    def look(made: onnx.ModelProto, **kwargs: Any) -> None:
        seen.append(made.ByteSize())
        check_model(made, **kwargs)

    net = classifier()
    net.graph.initializer.append(numpy_helper.from_array(np.zeros(10**6), "big"))
    monkeypatch.setattr(checker, "check_model", look)
    assert len(lg.attach(net, CE).graph.initializer[1].raw_data) == 8 * 10**6
    assert max(seen) < 10**5


# --- the command ---


@pytest.fixture
def net(tmp_path: Path) -> Path:
    onnx.save_model(classifier(), tmp_path / "net.onnx")
    return tmp_path / "net.onnx"


def test_the_command_is_the_function(net: Path, tmp_path: Path) -> None:
    out = tmp_path / "scored.onnx"
    result = call(
        "attach", net, "--loss", "softmax_ce", "--output", "logits", "--set", "weight=2",
        "--grad", "logits", "--rename", "loss=score", "--bind", "pred=logits", "-o", out,
        "--input", "label:int32:N", "--as-function", "--target-ort", "1.16",
    )  # fmt: skip
    assert (result.exit_code, result.stdout) == (0, f"{out}\n"), result.output
    assert result.stderr == (
        "new: label int32[batch], score float32[batch], grad_logits float32[batch,3]\n"
    )
    expected = lg.attach(
        net, gluon.SoftmaxCrossEntropyLoss(weight=2), grad=["logits"], rename={"loss": "score"},
        inputs={"label": ("int32", ("N",))}, as_function=True, target_ort="1.16",
    )  # fmt: skip
    assert onnx.load(out) == expected
    assert call("check", out).exit_code == 0


def test_the_command_for_programs(net: Path) -> None:
    result = call("attach", net, "--loss", "ce_nope", "-o", net)
    assert result.exit_code == 2
    result = call("attach", net, "--loss", "mse", "-o", net, "--json", "--force")
    assert json.loads(result.stdout) == {
        "loss": "nn.MSELoss", "inputs": {"target": "float32[batch,3]"},
        "outputs": {"loss": "float32[]"}, "opset": 17, "ir_version": 8, "files": [str(net)],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nothing.onnx"], "nothing.onnx: no such file"),
        (["net.onnx", "--output", "y"], "no output 'y'"),
        (["net.onnx", "--bind", "pred"], "--bind pred: expected NAME=VALUE"),
        (["net.onnx", "--rename", "label=x"], "'x' already"),
    ],
)
def test_wrong_use_of_the_command(
    args: list[str], message: str, net: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(net.parent)
    result = call("attach", *args, "--loss", "softmax_ce", "-o", "out.onnx")
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("out.onnx").exists()
    folder = call("attach", "net.onnx", "--loss", "softmax_ce", "-o", ".")
    assert "is a folder" in folder.stderr


def test_the_models_own_file_is_replaced_only_by_force(net: Path, tmp_path: Path) -> None:
    before = net.read_bytes()
    link = tmp_path / "same.onnx"
    link.symlink_to(net)
    for target in (net, link):
        result = call("attach", net, "--loss", "huber", "-o", target)
        assert result.exit_code == 2
        assert "--force" in result.stderr
        assert net.read_bytes() == before
    assert call("attach", net, "--loss", "huber", "-o", net, "--force").exit_code == 0
    assert net.read_bytes() != before


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    bad = identity(("N", 3)).SerializeToString().replace(b"\x01y", b"\x01\xff")
    (tmp_path / "bad.onnx").write_bytes(bad)
    result = call("attach", tmp_path / "bad.onnx", "--loss", "mse", "-o", tmp_path / "new.onnx")
    assert (result.exit_code, "no UTF-8" in result.stderr) == (2, True)
    with pytest.raises(lg.InputError, match="no UTF-8"):
        lg.attach(onnx.ModelProto.FromString(bad), nn.MSELoss())


def test_weights_in_a_file_of_two_names_are_refused_as_onnx_refuses_them(
    external: Path, tmp_path: Path
) -> None:
    (tmp_path / "other.bin").hardlink_to(external.parent / "w.bin")
    with pytest.raises(lg.InputError, match="is a link"):
        attach_file(external, tmp_path / "new" / "net.onnx", CE)
