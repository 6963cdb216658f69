"""Models by hand, as old and new exporters write them: read, written back and run, and trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

import lossgraph as lg
from support import assert_close

RANDOM = np.random.default_rng(0)
FLOAT, INT64, STRING = TensorProto.FLOAT, TensorProto.INT64, TensorProto.STRING

Made = tuple[onnx.ModelProto, dict[str, Any]]
MODELS: dict[str, Callable[[], Made]] = {}


def weight(*shape: int) -> Any:
    return (RANDOM.standard_normal(shape) / 2).astype(np.float32)


def model(
    nodes: Sequence[Any], inputs: Any, outputs: Any, weights: Any, opset: int, ir: int
) -> onnx.ModelProto:
    """A model; before IR version 4 its weights are inputs too."""
    given = [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()]
    made = [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()]
    tensors = [numpy_helper.from_array(np.asarray(x), name) for name, x in weights.items()]
    if ir < 4:
        given += [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
    graph = helper.make_graph(list(nodes), "g", given, made, tensors)
    built = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    built.ir_version = ir
    return built


def hand_made(function: Callable[[], Made]) -> Callable[[], Made]:
    MODELS[function.__name__] = function
    return function


@hand_made
def convolutions_of_opset_7() -> Made:
    norm = {"s": weight(4) + 1, "b": weight(4), "m": weight(4), "v": abs(weight(4)) + 0.5}
    weights = {
        "c": weight(4, 2, 3, 3),
        "cb": weight(4),
        **norm,
        "f": weight(64, 3),
        "fb": weight(3),
    }
    nodes = [
        helper.make_node("Conv", ["x", "c", "cb"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["a", *norm], ["d"], epsilon=1e-3),
        helper.make_node("Relu", ["d"], ["e"]),
        helper.make_node("MaxPool", ["e"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Dropout", ["p"], ["q"], ratio=0.5),
        helper.make_node("Flatten", ["q"], ["r"]),
        helper.make_node("Gemm", ["r", "f", "fb"], ["y"]),
    ]
    shape = {"x": (FLOAT, ("N", 2, 8, 8))}
    return model(nodes, shape, {"y": (FLOAT, ("N", 3))}, weights, 7, 3), {"x": weight(5, 2, 8, 8)}


@hand_made
def attributes_of_opset_9() -> Made:
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["h"]),
        helper.make_node("Clip", ["h"], ["c"], min=-0.4, max=0.9),
        helper.make_node("Unsqueeze", ["c"], ["u"], axes=[1]),
        helper.make_node("Slice", ["u"], ["s"], axes=[2], starts=[1], ends=[5]),
        helper.make_node("Squeeze", ["s"], ["q"], axes=[1]),
        helper.make_node("Pad", ["q"], ["p"], pads=[0, 1, 0, 0], mode="constant", value=0.3),
        helper.make_node("Split", ["p"], ["t", "o"], axis=1, split=[2, 3]),
        helper.make_node("ReduceMean", ["o"], ["k"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["t", "k"], ["y"]),
    ]
    shape = {"x": (FLOAT, ("N", 4))}
    made = model(nodes, shape, {"y": (FLOAT, ("N", 2))}, {"a": weight(4, 6)}, 9, 4)
    return made, {"x": weight(5, 4)}


@hand_made
def softmax_of_opset_11() -> Made:
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["h"]),
        helper.make_node("Softmax", ["h"], ["s"], axis=1),  # of the axes from 1 on, together
        helper.make_node("LogSoftmax", ["h"], ["l"], axis=1),
        helper.make_node("Mul", ["s", "l"], ["k"]),
        helper.make_node("ReduceSum", ["k"], ["y"], axes=[1], keepdims=0),
    ]
    shape = {"x": (FLOAT, ("N", 3, 6))}
    made = model(nodes, shape, {"y": (FLOAT, ("N", 6))}, {"a": weight(6, 6)}, 11, 6)
    return made, {"x": weight(4, 3, 6)}


@hand_made
def a_recurrent_layer_of_opset_7() -> Made:
    weights = {"W": weight(1, 16, 3), "R": weight(1, 16, 4), "B": weight(1, 32), "o": weight(4, 2)}
    nodes = [
        helper.make_node("LSTM", ["x", "W", "R", "B"], ["", "h"], hidden_size=4),
        helper.make_node("Squeeze", ["h"], ["k"], axes=[0]),
        helper.make_node("MatMul", ["k", "o"], ["y"]),
    ]
    shape = {"x": (FLOAT, (5, "N", 3))}
    made = model(nodes, shape, {"y": (FLOAT, ("N", 2))}, weights, 7, 3)
    return made, {"x": weight(5, 4, 3)}


@hand_made
def sequences_and_text_beside_the_way() -> Made:
    keys = {"keys_int64s": [0, 1, 2], "values_strings": ["a", "b", "c"]}
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["y"]),
        helper.make_node("SplitToSequence", ["x"], ["parts"], axis=1),
        helper.make_node("ConcatFromSequence", ["parts"], ["z"], axis=1),
        helper.make_node("ArgMax", ["y"], ["best"], axis=1, keepdims=0),
        helper.make_node("LabelEncoder", ["best"], ["name"], domain="ai.onnx.ml", **keys),
    ]
    outputs = {"y": (FLOAT, ("N", 3)), "z": (FLOAT, ("N", 4)), "name": (STRING, ("N",))}
    made = model(nodes, {"x": (FLOAT, ("N", 4))}, outputs, {"a": weight(4, 3)}, 13, 7)
    made.opset_import.append(helper.make_opsetid("ai.onnx.ml", 2))
    return made, {"x": weight(6, 4)}


@hand_made
def an_unknown_number_of_results_beside_the_way() -> Made:
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["y"]),
        helper.make_node("Greater", ["y", "zero"], ["above"]),
        helper.make_node("NonZero", ["above"], ["places"]),
    ]
    outputs = {"y": (FLOAT, ("N", 3)), "places": (INT64, (2, "K"))}
    weights = {"a": weight(4, 3), "zero": np.float32(0)}
    made = model(nodes, {"x": (FLOAT, ("N", 4))}, outputs, weights, 13, 7)
    return made, {"x": weight(6, 4)}


@hand_made
def dims_of_outputs_that_lie() -> Made:
    nodes = [helper.make_node("MatMul", ["x", "a"], ["h"]), helper.make_node("Relu", ["h"], ["y"])]
    made = model(
        nodes,
        {"x": (FLOAT, ("N", "T", 4))},
        {"y": (FLOAT, ("N", 7, 3))},
        {"a": weight(4, 3)},
        17,
        8,
    )
    return made, {"x": weight(2, 5, 4)}


@hand_made
def a_table_of_positions_that_is_cut() -> Made:
    nodes = [
        helper.make_node("Shape", ["x"], ["t"], start=1, end=2),
        helper.make_node("Slice", ["table", "zero", "t"], ["p"]),
        helper.make_node("Add", ["x", "p"], ["h"]),
        helper.make_node("Shape", ["h"], ["sizes"]),
        helper.make_node("Reshape", ["h", "flat"], ["f"]),
        helper.make_node("MatMul", ["f", "a"], ["g"]),
        helper.make_node("Reshape", ["g", "sizes"], ["y"]),
    ]
    weights = {"table": weight(9, 4), "zero": np.array([0]), "flat": np.array([-1, 4])}
    shape = (FLOAT, ("N", "T", 4))
    made = model(nodes, {"x": shape}, {"y": shape}, {**weights, "a": weight(4, 4)}, 18, 9)
    return made, {"x": weight(2, 5, 4)}


def run(made: onnx.ModelProto, feeds: dict[str, Any]) -> dict[str, Any]:
    options = ort.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    session = ort.InferenceSession(made.SerializeToString(), options, ["CPUExecutionProvider"])
    return dict(zip([o.name for o in made.graph.output], session.run(None, feeds), strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_read_and_written_back(name: str) -> None:
    made, feeds = MODELS[name]()
    before = made.SerializeToString(deterministic=True)
    back = lg.from_onnx(made).to_onnx()
    onnx.checker.check_model(back, full_check=True)
    assert made.SerializeToString(deterministic=True) == before
    for output, right in run(made, feeds).items():
        got = run(back, feeds)[output]
        if right.dtype == np.float32:
            assert_close(got, right, "float32")
        else:
            np.testing.assert_array_equal(got, right)


def squared(F: Any, pred: Any, label: Any) -> Any:
    return F.sum(F.square(pred - label))


@pytest.mark.parametrize("name", MODELS)
def test_gradients_are_differences(name: str) -> None:
    """Central differences in float32: wide steps, and a third of the digits."""
    made, feeds = MODELS[name]()
    step = lg.training.build(made, squared, "y")
    label = np.zeros_like(run(made, feeds)["y"])
    given = {**feeds, "label": label, **step.parameters}
    gradients = step.gradients.run(given)
    assert step.trainable
    for parameter, value in step.parameters.items():
        way = RANDOM.standard_normal(value.shape).astype(np.float32)
        way *= 3e-3 / np.linalg.norm(way)
        ends = [step.gradients.run({**given, parameter: value + s * way})["loss"] for s in (1, -1)]
        slope = float(np.sum(gradients[f"grad_{parameter}"] * way, dtype=np.float64))
        assert float(ends[0] - ends[1]) / 2 == pytest.approx(slope, rel=2e-2, abs=3e-5), parameter


def test_names_metadata_and_documentation_are_kept() -> None:
    made, _ = dims_of_outputs_that_lie()
    made.producer_name, made.model_version, made.doc_string = "somebody", 7, "of a model"
    made.metadata_props.add(key="author", value="nobody")
    made.graph.name = "encoder"
    back = lg.from_onnx(made).to_onnx()
    for field in ("producer_name", "model_version", "doc_string", "metadata_props"):
        assert getattr(back, field) == getattr(made, field)
    assert back.graph.name == "encoder"
    assert [d.dim_param for d in back.graph.input[0].type.tensor_type.shape.dim[:2]] == ["N", "T"]


@pytest.mark.parametrize("name", ["convolutions_of_opset_7", "a_recurrent_layer_of_opset_7"])
def test_initializers_keep_their_names(name: str) -> None:
    made, _ = MODELS[name]()
    back = lg.from_onnx(made).to_onnx()
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in back.graph.initializer}
    for tensor in made.graph.initializer:
        if tensor.name in held:
            np.testing.assert_array_equal(held[tensor.name], numpy_helper.to_array(tensor))
    assert {"fb", "cb"} <= held.keys() or {"o"} <= held.keys()


def test_an_operator_of_another_domain_is_not_that_of_its_name() -> None:
    made, feeds = dims_of_outputs_that_lie()
    made.graph.node[1].domain = "own"
    made.opset_import.append(helper.make_opsetid("own", 1))
    function = onnx.parser.parse_function(
        '<opset_import: ["": 17], domain: "own"> Relu (a) => (b) { b = Neg(a) }'
    )
    made.functions.append(function)
    made.graph.ClearField("output")
    made.graph.output.append(helper.make_tensor_value_info("y", FLOAT, ("N", "T", 3)))
    right = run(made, feeds)["y"]
    np.testing.assert_array_equal(run(lg.from_onnx(made).to_onnx(), feeds)["y"], right)
    assert right.min() < 0


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A model whose weights are in a file beside it."""
    made, _ = a_table_of_positions_that_is_cut()
    path = tmp_path / "net.onnx"
    onnx.save(made, path, save_as_external_data=True, location="net.data", size_threshold=0)
    return path


def test_weights_in_a_file_beside_the_model(outside: Path) -> None:
    step = lg.training.build(outside, squared, "y")
    assert set(step.parameters) == {"a", "table"}


def test_weights_that_were_not_loaded_are_asked_for(outside: Path) -> None:
    made = onnx.load(outside, load_external_data=False)
    with pytest.raises(lg.InputError, match=r"'table' .* in the file 'net.data'.*: load"):
        lg.from_onnx(made)


@pytest.mark.parametrize("place", ["../secret", "/etc/passwd"])
def test_weights_outside_of_the_folder_are_refused(outside: Path, place: str) -> None:
    made = onnx.load(outside, load_external_data=False)
    for tensor in made.graph.initializer:
        next(e for e in tensor.external_data if e.key == "location").value = place
    outside.write_bytes(made.SerializeToString())
    with pytest.raises(lg.InputError, match="is not an ONNX model"):
        lg.from_onnx(outside)


def test_values_of_16_bits_reach_nodes_that_stay_as_they_are() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "a"], ["h"]),
        helper.make_node("Hardmax", ["h"], ["z"], axis=1),
        helper.make_node("Mul", ["h", "z"], ["best"]),
        helper.make_node("Abs", ["h"], ["y"]),
    ]
    half = TensorProto.FLOAT16
    outputs = dict.fromkeys(("y", "z", "best"), (half, ("N", 5)))
    weights = {"a": weight(4, 5).astype(np.float16)}
    made = model(nodes, {"x": (half, ("N", 4))}, outputs, weights, 13, 7)
    feeds = {"x": weight(3, 4).astype(np.float16)}
    right = run(made, feeds)
    step = lg.training.build(made, squared, "y")
    got = run(step.evaluate, {**feeds, **step.parameters, "label": right["y"]})
    for name, value in right.items():
        assert got[name].dtype == np.float16
        assert_close(got[name], value, "float16")
