"""``lossgraph inspect``."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from command_line import ok, refused
from lossgraph import gluon
from support import operators_in

CE = {"pred": ("float32", ("N", "C")), "label": ("int64", ("N",))}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "ce.onnx"
    path.write_bytes(gluon.SoftmaxCELoss().to_onnx(CE, grad=["pred"]).SerializeToString())
    return path


def test_inspect_tells_types_operators_and_what_we_wrote(model: Path) -> None:
    lines = [line.split() for line in ok("inspect", model).splitlines()]
    for expected in (
        ["inputs", "pred", "float32[N,", "C]"],
        ["label", "int64[N]"],
        ["outputs", "loss", "float32[N]"],
        ["opset", "of", "ai.onnx", "18"],
        ["lossgraph", "loss", "SoftmaxCrossEntropyLoss"],
        ["labels", "label='C'"],
        ["constraints", "none"],
    ):
        assert expected in lines
    assert not any(len(line) > 200 for line in ok("inspect", model).splitlines())


def test_inspect_for_programs(model: Path) -> None:
    found = json.loads(ok("inspect", model, "--json"))
    assert found["inputs"] == {"pred": "float32[N, C]", "label": "int64[N]"}
    assert found["opsets"] == {"ai.onnx": 18}
    assert found["lossgraph"]["loss"] == "SoftmaxCrossEntropyLoss"
    assert found["file_size"] == found["total_size"] == model.stat().st_size
    assert sum(found["operators"].values()) == operators_in(onnx.load(model).graph)


def test_inspect_refuses_in_one_line(tmp_path: Path, model: Path) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(model.read_bytes()[:-200])
    for path, message in (
        (cut, "ONNX model"),
        (tmp_path / "no.onnx", "no such file"),
        (tmp_path, "no such file"),
    ):
        told = refused("inspect", path)
        assert told.count("\n") == 1
        assert message in told


def test_inspect_prints_what_others_wrote_harmlessly(tmp_path: Path) -> None:
    value = helper.make_tensor_value_info("x\x1b[31m", TensorProto.FLOAT, [1])
    made = helper.make_model(helper.make_graph([], "g", [value], [value]))
    made.metadata_props.add(key="notes", value="a\nb" + "c" * 1000)
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    printed = ok("inspect", tmp_path / "m.onnx")
    assert "\x1b" not in printed
    assert "x\\x1b[31m" in printed
    assert "a\\nbccc" in printed
    assert max(map(len, printed.splitlines())) < 250


def test_inspect_shortens_long_lists_of_weights(tmp_path: Path) -> None:
    names = [f"w{i}" for i in range(20)]
    weights = [helper.make_tensor(name, TensorProto.FLOAT, [1], [0.0]) for name in names]
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in names]
    made = helper.make_model(helper.make_graph([], "g", infos, infos[:1], weights))
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    assert "12 more" in ok("inspect", tmp_path / "m.onnx")
    assert len(json.loads(ok("inspect", tmp_path / "m.onnx", "--json"))["optional_inputs"]) == 20
