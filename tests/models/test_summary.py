"""What a model is, told without running it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import onnx.backend.test
import pytest
from onnx import TensorProto, helper, numpy_helper

import lossgraph as lg
from lossgraph import gluon
from lossgraph.errors import InputError
from lossgraph.models.summary import DataFile, summarize
from support import operators_in

DATA = Path(onnx.backend.test.__file__).parent / "data"
CE = {"pred": ("float32", ("N", "C")), "label": ("int64", ("N",))}


def written(model: onnx.ModelProto, folder: Path, name: str = "model.onnx") -> Path:
    path = folder / name
    path.write_bytes(model.SerializeToString())
    return path


def with_external_weights(folder: Path, *locations: str) -> Path:
    """A model that reads a weight of 3 numbers from each of the files."""
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [3])
    graph = helper.make_graph(
        [helper.make_node("Sum", ["x", *map(str, range(len(locations)))], ["y"])],
        "sum", [value], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])],
    )  # fmt: skip
    for i, location in enumerate(locations):
        weight = graph.initializer.add(name=str(i), data_type=TensorProto.FLOAT, dims=[3])
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value=location)
    return written(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), folder)


def test_our_models_say_what_they_are(tmp_path: Path) -> None:
    loss = gluon.SoftmaxCELoss(axis=1)
    found = summarize(written(loss.to_onnx(CE, grad=["pred"]), tmp_path))
    assert found.inputs == {"pred": "float32[N, C]", "label": "int64[N]"}
    assert found.outputs == {"loss": "float32[N]", "grad_pred": "float32[N, C]"}
    assert found.opsets == {"ai.onnx": 18}
    assert found.producer == f"lossgraph {lg.__version__}"
    assert found.lossgraph["loss"] == "SoftmaxCrossEntropyLoss"
    assert found.lossgraph["options"]["axis"] == 1
    assert found.lossgraph["labels"] == {"label": "C"}
    assert found.lossgraph["constraints"] == []
    assert found.lossgraph["lossgraph_version"] == lg.__version__
    assert (found.metadata, found.attached, found.data_files) == ({}, (), ())
    assert found.total_size == found.file_size == (tmp_path / "model.onnx").stat().st_size


def test_operators_of_functions_and_subgraphs_count(tmp_path: Path) -> None:
    plain = summarize(written(gluon.HuberLoss().to_onnx(pair()), tmp_path, "plain.onnx"))
    function = gluon.HuberLoss().to_onnx(pair(), as_function=True)
    found = summarize(written(function, tmp_path, "function.onnx"))
    assert set(found.functions) == {"lossgraph.HuberLoss"}
    assert found.operators["lossgraph.HuberLoss"] == 1
    assert plain.operators.items() <= found.operators.items() | {("Constant", 0)}
    ctc = gluon.CTCLoss().to_onnx(
        {"pred": ("float32", ("N", "T", "C")), "label": ("int64", ("N", "L"))}
    )
    scanned = summarize(written(ctc, tmp_path, "ctc.onnx"))
    assert scanned.subgraphs == 1
    assert sum(scanned.operators.values()) > len(ctc.graph.node)
    assert sum(scanned.operators.values()) == operators_in(ctc.graph)


def pair() -> dict[str, tuple[str, tuple[str, ...]]]:
    return {"pred": ("float32", ("N", "C")), "label": ("float32", ("N", "C"))}


@pytest.mark.parametrize("path", sorted(DATA.rglob("*.onnx")), ids=lambda path: path.parent.name)
def test_models_of_others_are_told(path: Path) -> None:
    found, model = summarize(path), onnx.load(path)
    needed = {info.name for info in model.graph.input}
    needed -= {tensor.name for tensor in model.graph.initializer}
    assert set(found.inputs) == needed
    assert set(found.outputs) == {info.name for info in model.graph.output}
    assert sum(found.operators.values()) >= len(model.graph.node)
    assert found.parameters.elements >= sum(
        int(np.prod(tensor.dims)) for tensor in model.graph.initializer
    )
    assert found.file_size == path.stat().st_size
    assert (found.lossgraph, found.attached) == ({}, ())


def test_models_of_sequences_are_told() -> None:
    found = summarize(DATA / "simple" / "test_sequence_model1" / "model.onnx")
    assert found.outputs == {"out": "float32[?, 3, 4]"}
    assert found.operators == {"SequenceInsert": 3, "SequenceAt": 1, "SequenceEmpty": 1}


@pytest.mark.parametrize(
    ("type_", "text"),
    [
        (helper.make_tensor_type_proto(TensorProto.DOUBLE, ["N", 3]), "float64[N, 3]"),
        (helper.make_tensor_type_proto(TensorProto.FLOAT, []), "float32[]"),
        (helper.make_tensor_type_proto(TensorProto.FLOAT, None), "float32[...]"),
        (helper.make_tensor_type_proto(TensorProto.INT4, [None]), "int4[?]"),
        (helper.make_sparse_tensor_type_proto(TensorProto.FLOAT, [2]), "sparse float32[2]"),
        (
            helper.make_optional_type_proto(
                helper.make_sequence_type_proto(
                    helper.make_tensor_type_proto(TensorProto.INT64, [1])
                )
            ),
            "optional(sequence(int64[1]))",
        ),
        (
            helper.make_map_type_proto(
                TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, [1])
            ),
            "map(string, float32[1])",
        ),
    ],
)  # fmt: skip
def test_types_in_words(tmp_path: Path, type_: onnx.TypeProto, text: str) -> None:
    info = helper.make_value_info("x", type_)
    graph = helper.make_graph([], "g", [info], [info])
    path = written(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)]), tmp_path)
    assert summarize(path).inputs == {"x": text}


def test_parameters_are_counted_by_dtype(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [], "g", [], [helper.make_tensor_value_info("a", TensorProto.FLOAT, [2, 3])],
        [
            numpy_helper.from_array(np.zeros((2, 3), np.float32), "a"),
            numpy_helper.from_array(np.zeros(5, np.bool_), "b"),
            helper.make_tensor("c", TensorProto.INT4, [3], [1, 2, 3]),
        ],
    )  # fmt: skip
    path = written(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)]), tmp_path)
    found = summarize(path).parameters
    assert (found.tensors, found.elements, found.bytes) == (3, 14, 24 + 5 + 2)
    assert found.dtypes == {"float32": 6, "bool": 5, "int4": 3}


def test_files_of_weights_are_measured_and_never_read(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"x" * 40)
    (folder / "weights.bin").chmod(0)  # who may not read it may ask its size
    (tmp_path / "secret.bin").write_bytes(b"x" * 50)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    (folder / "circle.bin").symlink_to(folder / "circle.bin")
    outside = str(tmp_path / "secret.bin")
    found = summarize(
        with_external_weights(
            folder, "weights.bin", "none.bin", "../secret.bin", outside, "link.bin",
            "circle.bin", "weights.bin", "x" * 5000,
        )
    )  # fmt: skip
    assert found.data_files == (
        DataFile("weights.bin", 40),
        DataFile("none.bin", None, "missing"),
        DataFile("../secret.bin", None, "outside the folder"),
        DataFile(outside, None, "outside the folder"),
        DataFile("link.bin", None, "outside the folder"),
        DataFile("circle.bin", None, "missing"),
        DataFile("x" * 5000, None, "missing"),
    )
    assert found.total_size == found.file_size + 40
    assert found.parameters.bytes == 8 * 12


def test_attached_losses_are_told(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 3])
    graph = helper.make_graph([helper.make_node("Exp", ["x"], ["logits"])], "g", [value], [logits])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    model.metadata_props.add(key="author", value="somebody")
    found = summarize(written(lg.attach(model, gluon.SoftmaxCELoss()), tmp_path))
    assert [each["loss"] for each in found.attached] == ["SoftmaxCrossEntropyLoss"]
    assert found.metadata == {"author": "somebody"}
    assert found.lossgraph == {}


def test_cut_off_models_are_refused(tmp_path: Path) -> None:
    """At every length: what is told is refused, or is a whole message with its operators."""
    whole = gluon.L2Loss().to_onnx(pair()).SerializeToString()
    told = 0
    for length in range(0, len(whole), 7):
        path = tmp_path / "model.onnx"
        path.write_bytes(whole[:length])
        with suppress(InputError):
            told += summarize(path).opsets == {"ai.onnx": 18}
    assert told <= 5  # between two entries of the metadata, which come last


@pytest.mark.parametrize("content", [b"", b"\x00\xff" * 50, b"{}", b"PK\x03\x04", b"\x08\x08"])
@pytest.mark.parametrize("name", ["m.onnx", "m.json", "m.textproto", "m"])
def test_files_that_are_no_models_are_refused(tmp_path: Path, content: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match="is not an ONNX model"):
        summarize(tmp_path / name)


def test_names_that_are_no_text_are_refused(tmp_path: Path) -> None:
    content = gluon.L2Loss().to_onnx(pair()).SerializeToString()
    (tmp_path / "m.onnx").write_bytes(content.replace(b"pred", b"\xff\xfepr"))
    with pytest.raises(InputError, match="no UTF-8"):
        summarize(tmp_path / "m.onnx")
