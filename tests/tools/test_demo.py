"""The demo, run for real on few epochs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import numpy as np
import onnx
import pytest

from support import load_tool, tool_path

TOOLS = tool_path("demo.py").parent
EPOCHS = 15

pytest.importorskip("sklearn")
pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def demo() -> ModuleType:
    return load_tool("demo.py")


@pytest.fixture(scope="module")
def folder(demo: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run writes."""
    path = tmp_path_factory.mktemp("demo") / "new" / "folder"
    assert demo.main(["-o", str(path), "--epochs", str(EPOCHS), "--quiet"]) == 0
    return path


# --- the files ---


def test_writes_these_files_and_no_others(folder: Path) -> None:
    assert sorted(p.name for p in folder.iterdir()) == ["curve.png", "training.onnx", "value.onnx"]
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")


def test_training_graph_has_parameters_in_and_their_gradients_out(folder: Path) -> None:
    graph = onnx.load(folder / "training.onnx").graph
    assert [describe(v) for v in graph.input] == ["x[N,64]", "w[64,10]", "b[10]", "label[N]"]
    assert [describe(v) for v in graph.output] == ["loss[N]", "grad_w[64,10]", "grad_b[10]"]
    value = onnx.load(folder / "value.onnx").graph
    assert [describe(v) for v in value.input] == [describe(v) for v in graph.input]
    assert [describe(v) for v in value.output] == ["loss[N]"]


def describe(value: onnx.ValueInfoProto) -> str:
    dims = (d.dim_param or str(d.dim_value) for d in value.type.tensor_type.shape.dim)
    return f"{value.name}[{','.join(dims)}]"


def test_gradient_is_the_one_of_the_textbook(demo: ModuleType, folder: Path) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.random((7, 64), np.float32), rng.random((64, 10), np.float32)
    b, label = rng.random(10, np.float32), np.arange(7)
    session = demo.open_session(folder / "training.onnx")
    found = session.run(["grad_w", "grad_b"], {"x": x, "w": w, "b": b, "label": label})
    exp = np.exp(x @ w + b)
    error = exp / exp.sum(axis=1, keepdims=True) - np.eye(10)[label]
    np.testing.assert_allclose(found[0], x.T @ error, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found[1], error.sum(axis=0), rtol=1e-4, atol=1e-5)


def test_same_seed_same_files(demo: ModuleType, folder: Path, tmp_path: Path) -> None:
    demo.main(["-o", str(tmp_path), "--epochs", str(EPOCHS), "--quiet"])
    for path in folder.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_an_interrupted_write_leaves_the_old_file(demo: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def write() -> None:
        with demo.replacing(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# --- the training ---


def test_trains_without_a_call_into_lossgraph(demo: ModuleType, folder: Path) -> None:
    digits = demo.load()
    with calls_into("lossgraph") as while_compiling:
        demo.compile_model()
    with calls_into("lossgraph") as while_training:
        history = list(demo.fit(folder / "training.onnx", digits, EPOCHS, 0))
    assert while_compiling
    assert not while_training
    assert history[-1].loss < history[0].loss / 5
    assert history[-1].accuracy > demo.REQUIRED_ACCURACY


@contextmanager
def calls_into(package: str) -> Iterator[set[str]]:
    """The names of the package's functions that are called."""
    called = set()

    def note(frame: FrameType, event: str, _: Any) -> None:
        module = frame.f_globals.get("__name__") or ""
        if event == "call" and module.split(".")[0] == package:
            called.add(f"{module}.{frame.f_code.co_name}")

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(before)


def test_checks_notice_a_wrong_gradient(demo: ModuleType, folder: Path, tmp_path: Path) -> None:
    model = onnx.load(folder / "training.onnx")
    last = next(node for node in model.graph.node if "grad_w" in node.output)
    last.output[0] = "half"
    model.graph.node.add(op_type="Add", input=["half", "half"], output=["grad_w"])
    onnx.save(model, tmp_path / "training.onnx")
    paths = {"value": folder / "value.onnx", "training": tmp_path / "training.onnx"}
    engines, differences = demo.check(paths, demo.load()).values()
    assert engines < demo.TOLERANCE
    assert differences > 0.1


# --- the command line ---


def test_says_what_it_does(
    demo: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.main(["-o", str(tmp_path), "--epochs", "1", "--seed", "3"]) == 1
    captured = capsys.readouterr()
    assert "loss" in captured.out
    assert "training.onnx" in captured.out.replace("\n", "")
    assert captured.err.endswith("is not above 0.95\n")


def test_quiet_prints_nothing(
    demo: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo.main(["-o", str(tmp_path), "--epochs", str(EPOCHS), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("wrong", [["--epochs", "0"], ["--epochs", "x"], ["--seed=-1"], ["more"]])
def test_wrong_use_exits_with_2(demo: ModuleType, wrong: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        demo.main(wrong)


def test_output_that_is_a_file_exits_with_2(
    demo: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert demo.main(["-o", str(tmp_path / "file")]) == 2
    assert "file" in capsys.readouterr().err
