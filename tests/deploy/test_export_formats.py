"""Forms of exported models: one node, for a release of ONNX Runtime, in another dtype."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, checker, helper

import lossgraph as lg
from command_line import call
from lossgraph import gluon, nn
from lossgraph.authoring.functions import FunctionLoss
from lossgraph.catalogue import entries, example_types
from lossgraph.compare.checks import check_file, find_models
from lossgraph.deploy.example_inputs import draw_inputs
from lossgraph.deploy.export import export_folder
from lossgraph.lowering.onnx_api import dtype_code
from lossgraph.lowering.opsets import MAX_OPSET
from lossgraph.lowering.releases import RELEASES, release
from support import newest_opset, reference_evaluator, run_model

TYPES = {"pred": ("float32", ("N", "C")), "label": ("int64", ("N",))}
PAIR = dict.fromkeys(("pred", "label"), ("float32", ("N",)))

scans = pytest.mark.skipif(
    onnx.__version__.startswith("1.21."),
    reason="this onnx takes as many states of a Scan as it has sequences",
)


def exported(folder: Path, *args: object) -> list[onnx.ModelProto]:
    """The models of a folder that the command writes, which pass its check."""
    result = call("export", *args, "-o", folder)
    assert result.exit_code == 0, result.output
    checks = [check for path in find_models(folder) for check in check_file(path)]
    assert [f"{check.name}: {check.detail}" for check in checks if not check.ok] == []
    return [onnx.load(path) for path in find_models(folder)]


# --- functions ---


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_loss_is_one_node_with_the_same_bits(entry: Any) -> None:
    loss = entry.make()
    types = example_types(loss)
    program = loss.program(types, grad=[next(iter(types))])
    plain = program.to_onnx()
    function = program.to_onnx(as_function=True, target_ort="1.20")  # the oldest that runs
    (node,) = function.graph.node
    assert (node.domain, node.op_type) == ("lossgraph", program.name)
    assert node.input == [info.name for info in plain.graph.input]
    assert node.output == [info.name for info in plain.graph.output]
    assert not function.graph.initializer
    arrays = draw_inputs(loss, program)
    for by_plain, by_function in zip(
        run_model(plain, arrays), run_model(function, arrays), strict=True
    ):
        assert by_plain.tobytes() == by_function.tobytes()
    expected = reference_evaluator(plain).run(None, arrays)
    for by_plain, by_function in zip(
        expected, reference_evaluator(function).run(None, arrays), strict=True
    ):
        assert np.asarray(by_plain).tobytes() == np.asarray(by_function).tobytes()


@pytest.mark.parametrize("opset", [13, 17, 21, 23, 26])
@pytest.mark.parametrize("loss", [gluon.SoftmaxCrossEntropyLoss(), gluon.CTCLoss()])
def test_functions_of_every_opset(loss: Any, opset: int) -> None:
    """CTC has a scan, and an If where there may be no steps."""
    types = example_types(loss)
    program = loss.program(types, grad=["pred"])
    made = program.to_onnx(opset, as_function=True)
    checker.check_model(made, full_check=True)
    assert [(o.domain, o.version) for o in made.opset_import] == [("", opset), ("lossgraph", 1)]
    assert [(o.domain, o.version) for o in made.functions[0].opset_import] == [("", opset)]
    assert made.ir_version == max(8, program.to_onnx(opset).ir_version)
    if opset <= newest_opset():
        arrays = draw_inputs(loss, program)
        plain = run_model(program.to_onnx(opset), arrays)
        for left, right in zip(plain, run_model(made, arrays), strict=True):
            assert left.tobytes() == right.tobytes()


def test_a_function_without_a_name_has_one_that_onnx_takes() -> None:
    types = dict.fromkeys(("pred", "label"), ("float32", ("N",)))
    loss = FunctionLoss(lambda F, pred, label: F.abs(pred - label))
    made = loss.to_onnx(types, as_function=True)
    assert made.functions[0].name == "_lambda_"
    assert run_model(made, dict.fromkeys(types, np.ones(2, np.float32)))[0].tolist() == [0, 0]


def test_the_command_exports_functions(tmp_path: Path) -> None:
    args = ("huber", "--grad", "pred", "--as-function")
    value, training = exported(tmp_path, *args)
    for made in (value, training):
        assert [node.op_type for node in made.graph.node] == ["HuberLoss"]
    expected = gluon.HuberLoss().to_onnx(
        example_types(gluon.HuberLoss()), grad=["pred"], as_function=True
    )
    assert training == expected


# --- releases ---


def loads(opset: int, ir: int) -> bool:
    ends = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy")
    x, y = ends
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [x], [y])
    imports = [helper.make_opsetid("", opset)]
    model = helper.make_model(graph, opset_imports=imports, ir_version=ir)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    try:
        ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    except Exception:
        return False
    return True


def test_the_table_is_right_about_the_engine_that_is_here() -> None:
    known = release(ort.__version__)
    assert loads(known.opset, known.ir)
    if ".".join(ort.__version__.split(".")[:2]) in RELEASES:  # a newer one may load more
        assert not loads(known.opset + 1, known.ir)
        assert not loads(known.opset, known.ir + 1)


@pytest.mark.parametrize("version", ["1.999", "1.999.0.dev20300101", "2.0.1", "10.0"])
def test_a_newer_release_is_taken_for_the_newest_that_is_known(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = [*RELEASES][-1]
    assert release(version) is RELEASES[newest]
    made, known = (gluon.HuberLoss().to_onnx(PAIR, target_ort=v) for v in (version, newest))
    assert made.SerializeToString() == known.SerializeToString()
    monkeypatch.setattr(ort, "__version__", version)
    assert newest_opset() == MAX_OPSET
    assert gluon.HuberLoss()(np.ones(2), np.ones(2)).tolist() == [0, 0]


@pytest.mark.parametrize("version", ["1.2", "0.9.9", "1", "", "newest", "v1.20"])
def test_what_is_no_known_release(version: str) -> None:
    with pytest.raises(lg.InputError, match=rf"'{version}': expected 1\.12 or newer"):
        release(version)


@pytest.mark.parametrize("version", RELEASES)
def test_models_for_a_release_are_what_it_loads(version: str) -> None:
    known = RELEASES[version]
    for as_function in (False, True):
        made = nn.CrossEntropyLoss().to_onnx(
            {"input": ("float32", ("N", "C")), "target": ("int64", ("N",))},
            grad=["input"], target_ort=version, as_function=as_function,
        )  # fmt: skip
        assert made.opset_import[0].version == min(18, known.opset)
        assert made.ir_version <= known.ir
    opset = min(known.opset, MAX_OPSET)
    newest = gluon.L2Loss().to_onnx(PAIR, opset=opset, target_ort=version)
    assert newest.ir_version <= known.ir


def test_an_opset_that_the_release_does_not_load() -> None:
    with pytest.raises(lg.InputError, match=r"opset 22: ONNX Runtime 1\.16 loads at most opset 19"):
        gluon.SoftmaxCELoss().to_onnx(TYPES, opset=22, target_ort="1.16")
    with pytest.raises(lg.InputError, match=f"opset {MAX_OPSET + 1}: expected 13 to {MAX_OPSET}"):
        gluon.SoftmaxCELoss().to_onnx(TYPES, opset=MAX_OPSET + 1, target_ort="9.9")


def test_the_command_exports_for_a_release(tmp_path: Path) -> None:
    (made,) = exported(tmp_path, "softmax_ce", "--target-ort", "1.12.1")
    assert (made.opset_import[0].version, made.ir_version) == (17, 8)
    assert "opset 17" in (tmp_path / "README.md").read_text()
    result = call("export", "ctc", "--opset", 22, "--target-ort", "1.16", "-o", tmp_path / "no")
    assert result.exit_code == 2
    assert "opset 22: ONNX Runtime 1.16 loads at most opset 19" in result.stderr
    assert not (tmp_path / "no").exists()


# --- dtypes ---


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("loss", ["softmax_ce", "losses.smooth_labels"])
def test_all_floats_are_of_the_dtype(loss: str, dtype: str, tmp_path: Path) -> None:
    grad = "pred" if loss == "softmax_ce" else "labels"
    value, training = exported(tmp_path, loss, "--dtype", dtype, "--grad", grad)
    code = dtype_code(dtype)
    for info in (*value.graph.output, *training.graph.output, training.graph.input[0]):
        assert info.type.tensor_type.elem_type == code
    stored = [
        onnx.load_tensor(path).data_type for path in sorted(tmp_path.glob("test_data_set_0/*.pb"))
    ]
    labels = [TensorProto.INT64] if loss == "softmax_ce" else []
    assert stored == [code, *labels, code, code]


@scans
def test_what_is_too_large_for_the_dtype_is_infinite(tmp_path: Path) -> None:
    """The log-probability of a state that cannot be reached is near -1e5."""
    exported(tmp_path, "optax.ctc_loss_with_forward_probs", "--dtype", "float16")


def test_dtype_and_input_may_agree(tmp_path: Path) -> None:
    typed = ("--input", "pred:float64:N,3", "--input", "label:int64:N")
    made = exported(tmp_path, "softmax_ce", *typed, "--dtype", "float64")[0]
    assert made.graph.input[0].type.tensor_type.elem_type == TensorProto.DOUBLE
    result = call("export", "softmax_ce", *typed, "--dtype", "float16", "-o", tmp_path / "no")
    assert result.exit_code == 2
    assert "--dtype float16 and --input pred of float64[N,3]: leave one out" in result.stderr
    result = call("export", "softmax_ce", "--dtype", "int64", "-o", tmp_path / "no")
    assert "--dtype int64: expected one of float16, bfloat16, float32, float64" in result.stderr


@scans
def test_all_at_once(tmp_path: Path) -> None:
    args = ("ctc", "--dtype", "float16", "--as-function", "--target-ort", "1.16", "--json")
    result = call("export", *args, "--grad", "pred", "-o", tmp_path)
    assert json.loads(result.stdout)["loss"] == "gluon.CTCLoss"
    assert call("check", tmp_path).exit_code == 0


def test_a_page_says_how_to_export_one_node_again(tmp_path, monkeypatch):
    loss, again = gluon.HuberLoss(), tmp_path / "again"
    export_folder(loss, example_types(loss), tmp_path / "one", ["pred"], as_function=True)
    page = (tmp_path / "one" / "README.md").read_text("utf-8")
    assert "one node of a function" in page
    (line,) = [line for line in page.splitlines() if line.startswith("$ lossgraph export ")]
    again.mkdir()
    monkeypatch.chdir(again)
    assert call(*shlex.split(line)[2:]).exit_code == 0
    for name in ("value.onnx", "training.onnx", "README.md"):
        assert (again / name).read_bytes() == (tmp_path / "one" / name).read_bytes()
