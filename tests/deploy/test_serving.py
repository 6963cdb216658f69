"""The Open Inference Protocol without a server: bytes and tensors, and models in folders."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from command_line import call, refused
from lossgraph import gluon
from lossgraph.deploy.export import export_folder
from lossgraph.deploy.protocol import Request, Tensor, read_request, write_answer
from lossgraph.deploy.serving import load_models
from lossgraph.deploy.triton import export_repository
from lossgraph.errors import InputError
from lossgraph.ir.types import DTYPES, numpy_dtype

PAIR = dict.fromkeys(("pred", "label"), ("float32", ("N", "C")))
CE = {"pred": ("float32", ("N", "C")), "label": ("int64", ("N",))}


def no_constants(constant: str) -> None:
    pytest.fail(f"{constant} is not JSON")


# --- bytes and tensors ---


@st.composite
def arrays(draw: Any) -> np.ndarray:
    dtype = numpy_dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3))
    if dtype == ml_dtypes.bfloat16:
        return draw(hnp.arrays(np.float32, shape)).astype(dtype)
    return draw(hnp.arrays(dtype, shape))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(array=arrays(), binary=st.booleans())
def test_what_is_written_is_read(array: np.ndarray, binary: bool) -> None:
    """An answer's tensors, as inputs of a request."""
    body, size = write_answer("m", Request([], binary=binary), {"x": array})
    said = json.loads(body[:size], parse_constant=no_constants)
    assert said["model_name"] == "m"
    text = json.dumps({"inputs": said["outputs"]}).encode()
    tail = b"" if size is None else body[size:]
    (tensor,) = read_request(text + tail, str(len(text))).tensors
    if array.dtype == np.uint64 and not binary:
        array = array >> np.uint64(1)  # beyond int64 numpy takes a list of some for floats
        tensor = tensor._replace(data=[number >> 1 for number in tensor.data])
    read = tensor.to_array()
    assert (read.dtype, read.shape) == (array.dtype, array.shape)
    exact = array.dtype if array.dtype.kind in "iub" else np.float64
    np.testing.assert_array_equal(read.astype(exact), array.astype(exact))


def test_nan_and_infinities_in_answers_are_texts() -> None:
    """Those of protobuf's JSON, from which numpy makes the numbers again."""
    values = np.float16([np.nan, np.inf, -np.inf, 0.5])
    body, size = write_answer("m", Request([], id="7"), {"x": values})
    said = json.loads(body, parse_constant=no_constants)
    assert size is None
    assert said["id"] == "7"
    assert said["outputs"][0]["data"] == ["NaN", "Infinity", "-Infinity", 0.5]
    np.testing.assert_array_equal(np.array(said["outputs"][0]["data"], np.float16), values)


def test_the_literals_that_python_writes_are_read_too() -> None:
    body = json.dumps(
        {"inputs": [{"name": "x", "datatype": "FP32", "shape": [2], "data": [np.nan, -np.inf]}]}
    )
    (tensor,) = read_request(body.encode()).tensors
    np.testing.assert_array_equal(tensor.to_array(), np.float32([np.nan, -np.inf]))


@pytest.mark.parametrize(
    ("datatype", "data", "message"),
    [
        ("INT8", [128], "x: the data are beyond INT8"),
        ("UINT8", [-1], "x: the data are beyond UINT8"),
        ("BOOL", [1], "x: the data are no BOOL"),
        ("INT32", [1.0], "x: the data are no INT32"),
        ("FP16", [1e5], "x: the data are beyond FP16"),
        ("FP32", [True], "x: the data are no FP32"),
        ("FP32", ["nan"], "x: the data are no FP32"),
        ("BYTES", ["a"], "x: datatype 'BYTES' is none of"),
    ],
)
def test_data_of_another_type_are_refused(datatype: str, data: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Tensor("x", datatype, [1], data).to_array()


# --- models in folders ---


def names(path: Path) -> list[str]:
    return [model.name for model in load_models(path)]


def test_names_of_models(tmp_path: Path) -> None:
    """By folder, wherever it is; of a repository's versions the highest."""
    export_folder(gluon.SoftmaxCELoss(), CE, tmp_path / "a" / "ce", ["pred"])
    export_folder(gluon.L2Loss(), PAIR, tmp_path / "a" / "b" / "l2")
    export_repository(gluon.HuberLoss(), PAIR, tmp_path / "a" / "repository", ["pred"], name="h")
    for version in ("2", "10"):
        (tmp_path / f"a/repository/h/{version}").mkdir()
    model = tmp_path / "a/repository/h/1/model.onnx"
    model.rename(tmp_path / "a/repository/h/10/model.onnx")
    assert names(tmp_path / "a") == ["ce", "ce_training", "h", "h_training", "l2"]
    assert names(tmp_path / "a" / "ce") == ["ce", "ce_training"]
    assert names(tmp_path / "a/repository") == ["h", "h_training"]
    assert names(tmp_path / "a/repository/h") == ["h"]
    assert names(tmp_path / "a/ce/value.onnx") == ["value"]


def test_hidden_folders_and_data_are_no_models(tmp_path: Path) -> None:
    export_folder(gluon.L2Loss(), PAIR, tmp_path / "l2")
    value = (tmp_path / "l2/value.onnx").read_bytes()
    for name in (".hidden", "l2/test_data_set_0"):
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / "model.onnx").write_bytes(value)
    assert names(tmp_path) == ["l2"]


def test_what_cannot_be_served(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        load_models(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"holds no model: expected value\.onnx, model\.onnx"):
        load_models(tmp_path)
    for name in ("a/l2", "b/l2"):
        export_folder(gluon.L2Loss(), PAIR, tmp_path / name)
    with pytest.raises(InputError, match="would both be called 'l2': rename one"):
        load_models(tmp_path)
    (tmp_path / "a/l2/value.onnx").write_bytes(b"x")
    with pytest.raises(InputError, match=r"a/l2/value\.onnx is not an ONNX model"):
        load_models(tmp_path / "a")


def test_metadata_and_answers(tmp_path: Path) -> None:
    types = {"pred": ("float16", ("N", 3)), "label": ("int32", ("N",))}
    export_folder(gluon.SoftmaxCELoss(), types, tmp_path / "ce", ["pred"])
    value, training = load_models(tmp_path)
    assert value.inputs == [
        {"name": "pred", "datatype": "FP16", "shape": [-1, 3]},
        {"name": "label", "datatype": "INT32", "shape": [-1]},
    ]
    assert value.outputs == [{"name": "loss", "datatype": "FP16", "shape": [-1]}]
    assert [output["name"] for output in training.outputs] == ["loss", "grad_pred"]
    tensors = [
        Tensor("label", "INT32", [2], [0, 2]), Tensor("pred", "FP16", [2, 3], bytes(12))
    ]  # fmt: skip
    assert list(training.infer(tensors, ["grad_pred"])) == ["grad_pred"]
    np.testing.assert_allclose(value.infer(tensors)["loss"], np.log([3, 3]), rtol=1e-3)
    with pytest.raises(InputError, match=r"the outputs are \['loss'\]: unknown \['x'\]"):
        value.infer(tensors, ["x"])
    with pytest.raises(InputError, match="label: expected datatype INT32, got INT64"):
        value.infer([tensors[0]._replace(datatype="INT64"), tensors[1]])
    with pytest.raises(InputError, match=r"label\[1\] is 5, which is not one of the 3 allowed"):
        value.infer([tensors[0]._replace(data=[0, 5]), tensors[1]])


# --- the command ---


def test_serve_says_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no such file or folder" in refused("serve", tmp_path / "nothing")
    assert call("serve", tmp_path, "--port", 65536).exit_code == 2
    export_folder(gluon.L2Loss(), PAIR, tmp_path / "l2")
    monkeypatch.setitem(sys.modules, "kserve", None)
    monkeypatch.delitem(sys.modules, "lossgraph.deploy.server", raising=False)
    assert "pip install 'lossgraph[serve]'" in refused("serve", tmp_path)


@pytest.mark.parametrize(
    "shape", [[2**62, 2**62, 0], [2**63], [0, 2**62], [10**30, 0], [-1, 0], [True]], ids=str
)
def test_a_shape_that_no_array_has_is_the_mistake_of_the_client(shape: list[Any]) -> None:
    for data in ([], b""):
        with pytest.raises(InputError, match=r"x: .*(too many elements|is no shape)"):
            Tensor("x", "FP32", shape, data).to_array()


def test_any_body_is_answered_or_refused(tmp_path: Path) -> None:
    """Requests of which a few bytes, or a part of the JSON, are something else."""
    export_folder(gluon.L2Loss(), PAIR, tmp_path / "l2")
    (model,) = load_models(tmp_path)
    rng = np.random.default_rng(0)
    parts: list[Any] = [
        None, True, -1, 2**62, 10**30, 0.5, "NaN", "x", [], {}, [[]], [2**62, 2**62, 0], [-1],
        [[1], 2], "FP32", "BOOL", {"binary_data_size": 4}, {"binary_data_size": -1}, "\ud800", [{}],
        ["Infinity"],
    ]  # fmt: skip
    inputs = [
        {"name": name, "datatype": "FP32", "shape": [1, 2], "data": [1.0, 2.0]} for name in PAIR
    ]

    def answered(body: bytes, size: str | None = None) -> None:
        with contextlib.suppress(InputError):
            model.answer(body, size)

    plain = {"id": "a", "inputs": inputs, "outputs": [{"name": "loss"}], "parameters": {}}
    model.answer(json.dumps(plain).encode())
    for part in parts:
        for key in plain:
            answered(json.dumps({**plain, key: part}).encode())
        for key in (*inputs[0], "parameters"):
            changed = [{**inputs[0], key: part}, inputs[1]]
            answered(json.dumps({**plain, "inputs": changed}).encode(), None)
            answered(json.dumps({**plain, "inputs": changed}).encode() + bytes(8), "9" * 5000)
    whole = json.dumps(plain).encode()
    for _ in range(300):
        body = bytearray(whole)
        for place in rng.integers(0, len(body), rng.integers(1, 4)):
            body[place] = rng.integers(0, 256)
        answered(bytes(body), rng.choice([None, "3", str(len(body)), "-1", "x"]))
