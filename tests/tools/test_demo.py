"""The demo, run for real on few epochs, and the environment that its command makes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
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


# --- the environment, with a Python that only notes what it is asked to do ---

Run = Callable[..., subprocess.CompletedProcess[str]]

STUB = """\
#!/bin/sh
case "$1 $2" in
    "-m venv") mkdir -p "$3/bin"; cp "$0" "$3/bin/python"; touch "$3/pyvenv.cfg" ;;
    "-m pip") test ! -e "$CHECKOUT/offline" || exit 1; shift 2 ;;
    *) answer=$("$REAL" "$@") || exit
       test "$answer" != "$REAL" || answer=$0
       test -z "$answer" || echo "$answer"
       exit ;;
esac
echo "$*" >>"$CHECKOUT/log"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "tools").mkdir()
    shutil.copy(TOOLS / "environment", tmp_path / "tools")
    (tmp_path / "pyproject.toml").write_text('requires-python = ">=3.11"\n')
    write_script(tmp_path / "stub", STUB)
    return tmp_path


@pytest.fixture
def run(checkout: Path) -> Run:
    """Runs a line of bash that has sourced the file."""

    def run(line: str, **variables: str) -> subprocess.CompletedProcess[str]:
        known = {
            "CHECKOUT": str(checkout),
            "HOME": str(checkout),
            "PATH": os.environ["PATH"],
            "PYTHON": str(checkout / "stub"),
            "REAL": sys.executable,
        }
        return subprocess.run(
            ["bash", "-c", f"set -euo pipefail; source tools/environment; {line}"],
            cwd=checkout,
            env={**known, **variables},
            capture_output=True,
            text=True,
        )

    return run


def write_script(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def installations(checkout: Path) -> list[str]:
    """The extras that were installed, and ``venv`` for each environment that was made."""
    log = (checkout / "log").read_text() if (checkout / "log").exists() else ""
    return [
        "venv" if "venv" in line.split() else line.rpartition("[")[2].rstrip("]")
        for line in log.splitlines()
    ]


def test_environment_is_made_once(run: Run, checkout: Path) -> None:
    first = run("ensure_environment env demo")
    assert first.returncode == 0, first.stderr
    assert first.stdout == ""
    assert "making env" in first.stderr
    assert run("ensure_environment env demo").stderr == ""
    assert installations(checkout) == ["venv", "demo"]


def test_extras_share_an_environment(run: Run, checkout: Path) -> None:
    for extra in ("demo", "test", "demo", "test"):
        assert run(f"ensure_environment env {extra}").returncode == 0
    assert installations(checkout) == ["venv", "demo", "test"]


def test_changed_project_is_installed_again(run: Run, checkout: Path) -> None:
    run("ensure_environment env demo")
    with (checkout / "pyproject.toml").open("a") as file:
        file.write("# another dependency\n")
    run("ensure_environment env demo")
    run("ensure_environment env demo")
    assert installations(checkout) == ["venv", "demo", "demo"]


def test_half_made_environment_is_made_again(run: Run, checkout: Path) -> None:
    (checkout / "offline").touch()
    failed = run("ensure_environment env demo; echo went on")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "could not be installed" in failed.stderr
    (checkout / "env" / "rubbish").touch()
    (checkout / "offline").unlink()
    assert run("ensure_environment env demo").returncode == 0
    assert installations(checkout) == ["venv", "venv", "demo"]
    assert not (checkout / "env" / "rubbish").exists()


def test_environment_whose_python_went_away_is_made_again(run: Run, checkout: Path) -> None:
    run("ensure_environment env demo")
    (checkout / "env" / "bin" / "python").unlink()
    run("ensure_environment env demo")
    assert installations(checkout) == ["venv", "demo", "venv", "demo"]


def test_folder_that_is_no_environment_is_left_alone(run: Run, checkout: Path) -> None:
    (checkout / "env").mkdir()
    (checkout / "env" / "precious").touch()
    refused = run("ensure_environment env demo")
    assert refused.returncode == 1
    assert "not a virtual environment" in refused.stderr
    assert (checkout / "env" / "precious").exists()


def test_python_that_does_not_run_is_passed_over(run: Run, checkout: Path) -> None:
    write_script(checkout / "shims" / "python3", "#!/bin/sh\nexit 127\n")
    write_script(checkout / "shims" / "python3.13", '#!/bin/sh\nexec "$REAL" "$@"\n')
    path = f"{checkout}/shims{os.pathsep}{os.environ['PATH']}"
    found = run("find_python", PATH=path, PYTHON="")
    assert found.stdout.strip() == sys.executable


def test_no_python_is_said(run: Run) -> None:
    missing = run("python=$(find_python 4.0); echo went on")
    assert missing.returncode == 1
    assert missing.stdout == ""
    assert "no Python 4.0 or newer" in missing.stderr
