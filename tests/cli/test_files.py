"""Files that commands read and write, and words that are wrong."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
import typer
from onnx import helper, numpy_helper

from command_line import call, ok, refused
from lossgraph import gluon
from lossgraph.cli import app
from lossgraph.deploy.export import export_folder


def save(graph: onnx.GraphProto, path: Path) -> None:
    imports = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)


def test_check_takes_data(tmp_path: Path) -> None:
    """A model that runs for one length only of a dim that it gives a name."""
    nodes = [helper.make_node("Reshape", ["x", "shape"], ["y"])]
    graph = helper.make_graph(
        nodes, "net",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N"])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [2, 7])],
        [numpy_helper.from_array(np.array([2, 7]), "shape")],
    )  # fmt: skip
    path = tmp_path / "net.onnx"
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    np.save(tmp_path / "x.npy", np.arange(14, dtype="f4"))
    assert call("check", path).exit_code == 1
    assert "on given data" in ok("check", path, "--data", f"x={tmp_path / 'x.npy'}")
    assert "unknown ['z']" in call("check", path, "--data", f"z={tmp_path / 'x.npy'}").stdout
    # with a loss the model fails for the same data that are made up, which is no fault of the loss
    scored = tmp_path / "scored.onnx"
    ok("attach", path, "--loss", "l2", "-o", scored)
    assert "as the model without the loss, which fails" in ok("check", scored)
    assert "on given data" in ok("check", scored, "--data", f"x={tmp_path / 'x.npy'}")


def test_an_array_of_a_file_in_another_folder_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(3))
    with zipfile.ZipFile(tmp_path / "evil.npz", "w") as archive:
        archive.write(tmp_path / "x.npy", "../../evil.npy")
    path = _identity(tmp_path / "net.onnx", "y")
    given = f"x={tmp_path / 'evil.npz'}:../../evil"
    assert "a file of another folder" in refused("run", path, "--input", given)
    outside = _identity(tmp_path / "outside.onnx", "../../y")
    arrays = ("--input", f"x={tmp_path / 'x.npy'}")
    assert "a file of another folder" in refused("run", outside, *arrays, "-o", tmp_path / "o.npz")


def test_a_command_does_not_write_over_what_it_reads(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.ones(3))
    path = _identity(tmp_path / "net.onnx", "y")
    before = path.read_bytes()
    given = ("run", path, "--input", f"x={tmp_path / 'x.npy'}")
    for target in (path, tmp_path / "x.npy"):
        assert "which is read" in refused(*given, "-o", target)
    assert path.read_bytes() == before


def test_a_header_may_claim_what_no_memory_holds(tmp_path: Path) -> None:
    with (tmp_path / "x.npy").open("wb") as file:
        header = {"descr": "<f8", "fortran_order": False, "shape": (10**15, 3)}
        np.lib.format.write_array_header_1_0(file, header)
    path = _identity(tmp_path / "net.onnx", "y")
    message = refused("run", path, "--input", f"x={tmp_path / 'x.npy'}")
    assert "more than fits in memory" in message


WORDS = ("", "abc", "-1", "1e400", "nan", "None", "x=", "=x", "x:float32:N,-1", "x:void:2", "rho=[",
         "x=dir", "99999999999999999999", "x=nope.npy", "dir", "<b>", "N=-1")  # fmt: skip


@pytest.mark.parametrize("name", ["show", "export", "attach", "run", "check", "inspect"])
def test_wrong_words_are_answered_in_one_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "dir").mkdir()
    subject = "huber" if name in ("show", "export", "plot") else _identity(Path("net.onnx"), "y")
    more = {
        "attach": ["--loss", "l2", "-o", "o.onnx"],
        "export": ["-o", "e"],
        "plot": ["-o", "p.svg"],
    }
    options = [
        parameter.opts[-1]
        for parameter in typer.main.get_command(app).commands[name].params  # type: ignore[attr-defined]
        if parameter.param_type_name == "option" and not parameter.is_flag
    ]
    for k, option in enumerate(options):
        for word in WORDS[k % 4 :: 4]:  # some of them for each option
            result = call(name, subject, *more.get(name, []), option, word)
            assert result.exit_code in (0, 1, 2), (option, word, result.exception)
            assert result.exception is None or isinstance(result.exception, SystemExit)
            assert "Traceback" not in result.stderr


def _identity(path: Path, output: str) -> Path:
    """A model of one operator, which gives its input."""
    ends = [helper.make_tensor_value_info(n, onnx.TensorProto.DOUBLE, [3]) for n in ("x", output)]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], [output])], "net", ends[:1], ends[1:]
    )
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path
    )
    return path


def test_gradients_are_in_the_json_of_a_run(tmp_path: Path) -> None:
    types = dict.fromkeys(("pred", "label"), ("float64", ("N", 1)))
    export_folder(gluon.L2Loss(), types, tmp_path, ["pred"])
    np.save(tmp_path / "x.npy", np.array([[1.0], [3.0]]))
    np.save(tmp_path / "y.npy", np.zeros((2, 1)))
    given = ("--input", f"pred={tmp_path / 'x.npy'}", "--input", f"label={tmp_path / 'y.npy'}")
    outputs = json.loads(ok("run", tmp_path, *given, "--json"))["outputs"]
    assert outputs["loss"]["value"] == [0.5, 4.5]
    assert outputs["grad_pred"]["value"] == [[1.0], [3.0]]
