"""The command line: what it prints, where, and how it exits."""

from __future__ import annotations

import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import lossgraph
from command_line import call, ok, refused
from lossgraph import __main__, gluon
from lossgraph.catalogue import entries, lookup
from lossgraph.cli import listing
from lossgraph.cli.output import print_json, print_table, progress
from lossgraph.compare.checks import check_file
from lossgraph.deploy.export import export_folder

TYPES = {"pred": ("float32", ("N", "C")), "label": ("int64", ("N",))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export of softmax cross-entropy."""
    export_folder(gluon.SoftmaxCrossEntropyLoss(), TYPES, tmp_path / "ce", ["pred"])
    return tmp_path / "ce"


@pytest.fixture
def arrays(tmp_path: Path) -> dict[str, Any]:
    """The arguments for arrays in files of both kinds, and the arrays."""
    pred = np.array([[1, 2, 3], [0, 0, 0]], np.float32)
    label = np.array([2, 0])
    np.save(tmp_path / "pred.npy", pred)
    np.savez(tmp_path / "data.npz", label=label, pred64=pred.astype(float))
    args = ("--input", f"pred={tmp_path}/pred.npy", "--input", f"label={tmp_path}/data.npz:label")
    return {"args": args, "pred": pred, "label": label}


# --- list and show ---


def test_list_has_a_line_for_each_loss() -> None:
    lines = ok("list").splitlines()
    assert len(lines) == len(entries()) + 1
    row = next(line for line in lines if line.startswith("gluon.HuberLoss"))
    assert "huber" in row
    assert row.endswith(lookup("huber").summary.replace("``", ""))
    assert max(map(len, lines)) <= 170  # inputs and options made lines of more than 300


def test_list_for_programs() -> None:
    listed = {entry["name"]: entry for entry in json.loads(ok("list", "--json"))}
    assert listed["gluon.HuberLoss"]["options"] == {"rho": 1, "weight": None, "batch_axis": 0}
    assert listed["gluon.L2Loss"]["inputs"][2] == {"name": "sample_weight", "required": False}
    assert listed["gluon.L2Loss"]["aliases"] == ["l2"]
    assert "optax.l2_loss" in listed["gluon.L2Loss"]["same"]
    assert listed["losses.circle"]["source"] == (
        "Sun et al. (2020), CVPR, arXiv:2002.10857, eq. 6."
    )


def test_list_of_one_namespace() -> None:
    rows = ok("list", "--namespace", "nn").splitlines()[1:]
    assert len(rows) == sum(entry.namespace == "nn" for entry in entries())
    assert all(row.startswith("nn.") for row in rows)
    listed = json.loads(ok("list", "--namespace", "optax", "--json"))
    assert {entry["name"].partition(".")[0] for entry in listed} == {"optax"}


@pytest.mark.parametrize("width", [80, 100])
def test_list_on_a_terminal_cuts_nothing(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    listing.command()
    lines = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue()).splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in terminal.getvalue()
    row = next(line for line in lines if "gluon.HuberLoss (huber)" in line)
    assert "pred label [sample_weight]" in row
    assert "rho=1 weight=None batch_axis=0" in lines[lines.index(row) + 1]


GOLDEN = """\
gluon.L1Loss
  The mean absolute error.

formula
  \\ell = w \\operatorname{mean}\\, |y - x|

options
  batch_axis = 0
  weight = None

expression
  pred : float32[2,3]
  label : float32[2,3]
  %0 = Sub(label, pred) : float32[2,3]
  %1 = Abs(%0) : float32[2,3]
  %2 = ReduceSum(%1, axes=(1,)) : float32[2,1]
  %3 = Div(%2, 3.0) : float32[2,1]
  %4 = Reshape(%3, shape=(2,)) : float32[2]
  loss = %4
"""


def test_show_golden() -> None:
    shown = ok("show", "l1", "--input", "label:float32:2,3", "--input", "pred:float32:2,3")
    assert shown.partition("\nonnx\n")[0] == GOLDEN
    assert "(float[2,3] pred, float[2,3] label) => (float[2] loss)" in shown


def test_show_has_the_stages_of_the_compiler() -> None:
    args = ("show", "sigmoid_bce", "--grad", "pred", "--stages")
    told = ok(*args)
    assert told.startswith("trace\n  pred : float32[N,C]\n")
    assert "\nmerge scans\n  unchanged\n" in told
    shown = json.loads(ok(*args, "--json"))
    assert list(shown)[:3] == ["trace", "stabilize", "differentiate"]
    assert shown["differentiate"][-1].startswith("grad_pred = %")
    assert "give one" in refused(*args, "--html")


def test_show_has_options_opset_and_gradients() -> None:
    args = ("show", "softmax_ce", "--grad", "pred", "--set", "axis=1", "--opset", 20, "--json")
    shown = json.loads(ok(*args))
    assert shown["options"]["axis"] == 1
    assert shown["outputs"] == {"loss": "float32[N]", "grad_pred": "float32[N,C]"}
    assert shown["expression"][-1].startswith("grad_pred = %")
    assert 'opset_import: ["" : 20]' in shown["onnx"]


def test_a_scalar_has_no_dims() -> None:
    args = ("--input", "pred:float32:N,C", "--input", "target:float32:N,C")
    shown = json.loads(
        ok("show", "poisson_nll", *args, "--input", "sample_weight:float32:", "--json")
    )
    assert shown["inputs"]["sample_weight"] == "float32[]"


# --- export ---


def test_export_is_that_of_the_library(folder: Path, tmp_path: Path) -> None:
    result = call(
        "export", "softmax_ce", "--input", "pred:float32:N,C", "--input", "label:int64:N",
        "--grad", "pred", "-o", tmp_path / "out",
    )  # fmt: skip
    assert (result.exit_code, result.stderr) == (0, "")
    assert str(tmp_path / "out" / "training.onnx") in result.stdout.splitlines()
    for name in ("value.onnx", "training.onnx", "README.md"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()


def test_export_without_types_says_which_it_takes(tmp_path: Path) -> None:
    result = call("export", "huber", "-o", tmp_path / "out", "--size", "N=7", "--json")
    assert result.exit_code == 0
    assert "pred:float32:N,C, label:float32:N,C" in result.stderr
    assert json.loads(result.stdout)["loss"] == "gluon.HuberLoss"
    assert onnx.TensorProto.FromString(
        (tmp_path / "out/test_data_set_0/input_0.pb").read_bytes()
    ).dims == [7, 5]


# --- run ---


@pytest.mark.parametrize("model", ["ce", "ce/training.onnx"])
def test_run_prints_the_value_and_writes_all(
    model: str, folder: Path, arrays: dict[str, Any], tmp_path: Path
) -> None:
    printed = ok("run", tmp_path / model, *arrays["args"], "-o", tmp_path / "out.npz")
    assert printed.splitlines() == [
        "loss: float32[2] = [0.40760595, 1.0986123 ]",
        "grad_pred: float32[2,3]",
    ]
    value, grads = gluon.SoftmaxCrossEntropyLoss().value_and_grad(arrays["pred"], arrays["label"])
    with np.load(tmp_path / "out.npz") as written:
        np.testing.assert_array_equal(written["loss"], value)
        np.testing.assert_array_equal(written["grad_pred"], grads["pred"])


def test_run_for_programs(folder: Path, arrays: dict[str, Any]) -> None:
    out = json.loads(ok("run", folder, *arrays["args"], "--json"))["outputs"]
    assert out["loss"]["value"] == pytest.approx([0.40760595, 1.0986123])
    assert out["grad_pred"]["shape"] == [2, 3]
    assert out["grad_pred"]["value"][0] == pytest.approx([0.0900306, 0.2447285, -0.3347591])


def test_run_says_which_input_was_meant(folder: Path, arrays: dict[str, Any]) -> None:
    args = [str(each).replace("label=", "lable=") for each in arrays["args"]]
    assert "unknown ['lable'] (did you mean 'label'?)" in refused("run", folder, *args)


def test_run_refuses_a_label_that_is_no_class(folder: Path, tmp_path: Path) -> None:
    """What the exported graph itself can only answer with NaN."""
    np.save(tmp_path / "pred.npy", np.zeros((2, 3), np.float32))
    np.save(tmp_path / "label.npy", np.array([0, 3]))
    given = [f"--input={name}={tmp_path / name}.npy" for name in ("pred", "label")]
    assert "label[1] is 3, which is not one of the 3 allowed" in refused("run", folder, *given)


def test_run_takes_bfloat16_and_scalars(tmp_path: Path) -> None:
    def scaled(F: Any, pred: Any, scale: Any) -> Any:
        return pred * scale

    export_folder(scaled, {"pred": ("bfloat16", ("N",)), "scale": ("bfloat16", ())}, tmp_path / "m")
    model = tmp_path / "m" / "value.onnx"
    loss = lossgraph.compile(scaled, {"pred": ("float32", ("N",)), "scale": ("float32", ())})
    assert loss(np.float32([1, 2]), np.array(3, np.float32)).tolist() == [3, 6]
    import ml_dtypes

    for name, value in {"pred": [1, 2], "scale": 3}.items():
        np.save(tmp_path / f"{name}.npy", np.array(value, ml_dtypes.bfloat16))
    printed = ok(
        "run", model, *(f"--input={name}={tmp_path}/{name}.npy" for name in ("pred", "scale"))
    )
    assert printed == "loss: bfloat16[2] = [3, 6]\n"


FOREIGN = """\
<ir_version: 8, opset_import: ["" : 18]>
g (float[batch, ?] in_1, int64[M] unused, float[1] scale) => (float[batch, ?] out_1)
<float[1] scale = {2.0}>
{
   out_1 = Mul (in_1, scale)
}
"""


def test_models_of_others_are_run_and_checked(tmp_path: Path) -> None:
    """Dims without names or with odd ones, names that are no identifiers, weights as inputs."""
    model = onnx.parser.parse_model(FOREIGN)
    model.graph.input[0].name = model.graph.node[0].input[0] = "in.1"
    for info in (model.graph.input[0], model.graph.output[0]):
        info.type.tensor_type.shape.dim[0].dim_param = "batch size"
    onnx.save(model, tmp_path / "foreign.onnx")
    assert "out_1: float32[3, 3]" in ok("check", tmp_path / "foreign.onnx")
    np.save(tmp_path / "x.npy", np.ones((2, 1), np.float32))
    np.save(tmp_path / "m.npy", np.ones(7, np.int64))
    args = ("--input", f"in.1={tmp_path}/x.npy", "--input", f"unused={tmp_path}/m.npy")
    assert ok("run", tmp_path / "foreign.onnx", *args).startswith("out_1: float32[2,1] = [[2.]")


def test_inputs_that_are_no_numbers_are_named(tmp_path: Path) -> None:
    text = '<ir_version: 8, opset_import: ["" : 18]> g (string[N] s) => (string[N] t) '
    onnx.save(onnx.parser.parse_model(text + "{ t = Identity (s) }"), tmp_path / "m.onnx")
    assert "'s' is a tensor of STRING" in refused("run", tmp_path / "m.onnx")


# --- check ---


def test_check_of_a_folder(folder: Path) -> None:
    report = json.loads(ok("check", folder, "--json"))
    assert report["ok"]
    assert {Path(check["model"]).name for check in report["checks"]} == {
        "value.onnx",
        "training.onnx",
    }
    assert sum(check["name"] == "agrees with stored outputs" for check in report["checks"]) == 2
    assert "agrees with onnx.reference" in ok("check", folder)


def test_check_of_a_lone_model_makes_up_data(folder: Path, tmp_path: Path) -> None:
    (folder / "value.onnx").rename(tmp_path / "lone.onnx")
    assert "on generated data" in ok("check", tmp_path / "lone.onnx")


def corrupt(folder: Path) -> str:
    path = folder / "value.onnx"
    path.write_bytes(path.read_bytes()[:-50])
    return "is an ONNX model"


def not_a_graph(folder: Path) -> str:
    model = onnx.load(folder / "value.onnx")
    model.graph.node[0].op_type = "Nonsense"
    onnx.save(model, folder / "value.onnx")
    return "passes the ONNX checker"


def too_new(folder: Path) -> str:
    model = onnx.load(folder / "value.onnx")
    model.opset_import[0].version = onnx.defs.onnx_opset_version()
    model.ir_version = onnx.IR_VERSION
    onnx.save(model, folder / "value.onnx")
    checks = check_file(folder / "value.onnx")
    if all(check.ok for check in checks[:3]):
        pytest.skip("this ONNX Runtime loads all that this onnx writes")
    return "has versions the engine knows"


def another_value(folder: Path) -> str:
    from onnx import numpy_helper

    path = folder / "test_data_set_0" / "output_0.pb"
    tensor = onnx.TensorProto.FromString(path.read_bytes())
    array = numpy_helper.to_array(tensor) + np.float32([0, 0, 1, 0])
    path.write_bytes(numpy_helper.from_array(array, "loss").SerializeToString())
    return "agrees with stored outputs"


def lost_data(folder: Path) -> str:
    (folder / "test_data_set_0" / "input_1.pb").unlink()
    return "runs in ONNX Runtime"


@pytest.mark.parametrize("damage", [corrupt, not_a_graph, too_new, another_value, lost_data])
def test_check_finds(damage: Any, folder: Path) -> None:
    name = damage(folder)
    result = call("check", folder / "value.onnx", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert not report["ok"]
    assert [check["name"] for check in report["checks"] if not check["ok"]] == [name]
    assert "FAILED" in call("check", folder).stdout


def test_tolerances_can_be_given(folder: Path) -> None:
    another_value(folder)
    assert call("check", folder, "--atol", 0.1).exit_code == 1
    assert "loss[2]" in call("check", folder, "--atol", 0.1).stdout
    assert call("check", folder, "--atol", 2).exit_code == 0


# --- wrong use ---


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["show", "hubr"], "did you mean gluon.HuberLoss"),
        (["list", "--namespace", "optex"], "'optex' (did you mean 'optax'?): there are gluon"),
        (["show", "huber", "--set", "rh=1"], "no option 'rh'"),
        (["show", "huber", "--set", "rho"], "expected OPTION=VALUE"),
        (["show", "huber", "--set", "rho=abc"], "rho: expected a number, got 'abc'"),
        (["show", "huber", "--set", "rho=1", "--set", "rho=2"], "'rho' is given twice"),
        (["show", "huber", "--input", "pred:float32"], "expected NAME:DTYPE:DIMS"),
        (["show", "huber", "--input", "pred:float33:N"], "dtype 'float33' is not supported"),
        (["show", "huber", "--input", "pred:float32:N,-1"], "a dim is an int or a name"),
        (["show", "huber", "--input", "pred:float32:N"], "missing ['label']"),
        (["show", "huber", "--input", "prod:float32:N"], "unknown ['prod']"),
        (
            ["show", "huber", "--input", "pred:float32:N", "--input", "lable:float32:N"],
            "unknown ['lable'] (did you mean 'label'?)",
        ),
        (["show", "huber", "--input", "zzz:float32:N"], "unknown ['zzz']"),
        (["show", "huber", "--grad", "x"], "no gradient for 'x'"),
        (["show", "softmax_ce", "--grad", "label"], "has no gradient"),
        (["show", "huber", "--opset", "99"], "opset 99: expected 13 to 26"),
        (["run", "nowhere.onnx"], "nowhere.onnx: no such file"),
        (["check", "nowhere"], "nowhere: no such file or folder"),
        (["check", "."], "holds no model"),
        (["export", "huber"], "--output"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_wrong_use_exits_2_with_a_message(
    args: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(*args)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["pred=pred.npy"], "missing ['label']"),
        (["pred=pred.npy", "label=data.npz:label", "x=pred.npy"], "unknown ['x']"),
        (["pred=data.npz:pred64", "label=data.npz:label"], "got dtype float64"),
        (["pred=pred.npy", "label=data.npz:nothing"], "['label', 'pred64']"),
        (["pred=pred.npy", "label=short.npy"], "dim 'N' is 2 in axis 0 of pred"),
        (["pred=short.npy"], "missing"),
        (["pred=none.npy"], "cannot read none.npy: No such file"),
        (["pred=junk.npy"], "junk.npy is no .npy or .npz of numbers"),
        (["pred"], "expected NAME=VALUE"),
    ],
)
def test_arrays_are_checked_before_the_engine_sees_them(
    given: list[str],
    message: str,
    folder: Path,
    arrays: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("short.npy", np.array([1]))
    Path("junk.npy").write_text("junk")
    assert message in refused("run", "ce", *(f"--input={item}" for item in given))


def test_a_provider_that_is_not_there_is_no_silent_cpu(folder: Path) -> None:
    assert "'nonsense' is not available" in refused("run", folder, "--provider", "nonsense")


# --- around the commands ---


def test_help_has_an_example_and_the_version_is_the_package_s() -> None:
    assert ok("--version") == f"lossgraph {lossgraph.__version__}\n"
    for command in ([], ["list"], ["show"], ["export"], ["attach"], ["run"], ["check"]):
        assert "Example: lossgraph" in ok(*command, "--help")


def test_a_terminal_gets_a_drawn_table(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", terminal := Terminal())
    print_table(["name"], [["[bold]x"]])
    assert "[bold]x" in terminal.getvalue()
    assert "─" in terminal.getvalue()


def test_json_has_no_nan(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"x": np.array([np.nan, 1, -np.inf]), "p": Path("a")})
    assert json.loads(capsys.readouterr().out) == {"x": ["nan", 1.0, "-inf"], "p": "a"}


def test_without_typer_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "typer", None)
    with pytest.raises(SystemExit) as exit_:
        __main__.main()
    assert exit_.value.code == 2
    assert "pip install 'lossgraph[cli]'" in capsys.readouterr().err


def test_as_a_process(folder: Path) -> None:
    """The module runs, errors stay free of tracebacks, and help loads no ONNX."""

    def run(*args: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *args], capture_output=True, text=True, env=dict(os.environ)
        )

    checked = run("-m", "lossgraph", "check", str(folder))
    assert (checked.returncode, checked.stderr) == (0, "")
    wrong = run("-m", "lossgraph", "show", "hubr")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr.startswith("Error: no loss is called 'hubr'")
    code = "import sys, lossgraph.cli; print([m for m in sys.modules if m.startswith('onnx')])"
    assert run("-c", code).stdout == "[]\n"


# --- bench ---

QUICK = ("--rounds", 2, "--seconds", "0.001", "--threads", 1)


def test_bench_measures_value_and_gradient() -> None:
    result = call("bench", "huber", "--size", "N=6,C=4", "--against", "naive", *QUICK, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert found["inputs"] == {"pred": [6, 4], "label": [6, 4]}
    assert [case["what"] for case in found["cases"]] == ["value", "value + grad_pred"]
    for case in found["cases"]:
        assert list(case["peers"]) == ["lossgraph", "naive"]
        assert case["peers"]["lossgraph"]["ratio"] == 1
        assert len(case["peers"]["naive"]["ratios"]) == 2
        assert case["left_out"] == {}


def test_bench_takes_types_options_and_several_gradients() -> None:
    types = ("--input", "x1:float64:N,D", "--input", "x2:float64:N,D")
    options = ("--set", "smoothing_parameter=0.2", "--grad", "x1,x2", "--size", "N=3", "--size")
    result = call("bench", "sdml", *types, *options, "D=2", *QUICK)
    assert result.exit_code == 0, result.output
    assert "gluon.SDMLLoss: x1 [3, 2], x2 [3, 2]" in result.stderr
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["time", "ratio", "quartiles"]
    assert [line.split("  ")[0] for line in lines[1:]] == [
        "value", "value", "value + grad_x1 + grad_x2", "value + grad_x1 + grad_x2",
    ]  # fmt: skip
    for name in ("torch", "jax"):  # whether it is installed or not
        assert f"{name}: left out: " in result.stderr


def test_bench_refuses_what_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "there is no 'numpy'" in refused("bench", "huber", "--against", "numpy")
    assert "no dim is called 'M'" in refused("bench", "huber", "--size", "M=3")
    assert "no loss is called" in refused("bench", "hubert2")
    assert call("bench", "huber", "--rounds", 0).exit_code == 2


def test_bench_says_if_another_computes_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    from lossgraph.cli import bench

    wrong = lambda *_: lambda: (np.zeros(6, np.float32), {})  # noqa: E731
    monkeypatch.setattr(bench, "_naive", wrong)
    result = call("bench", "huber", "--size", "N=6,C=4", "--against", "naive", *QUICK)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "lossgraph and naive differ in loss by 1.0e+00" in result.stderr


def test_bench_leaves_out_what_cannot_be_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    from lossgraph.cli import bench

    monkeypatch.setattr(bench, "_naive", lambda *_: lambda: (np.zeros((7, 7)), {}))
    result = call("bench", "huber", "--size", "N=6,C=4", "--against", "naive", *QUICK, "--json")
    assert result.exit_code == 0
    (why,) = {case["left_out"]["naive"] for case in json.loads(result.stdout)["cases"]}
    assert why.startswith("cannot compute it: ValueError")


def test_progress_is_shown_only_where_somebody_watches(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert list(progress([1, 2], "checking")) == [1, 2]
    assert capsys.readouterr().err == ""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    assert list(progress([1, 2], "checking")) == [1, 2]
    assert "checking" in terminal.getvalue()
    assert capsys.readouterr().out == ""
