"""Exported training graphs: the files, and the programs on the page, which are run."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

import lossgraph as lg
from code_blocks import Page
from command_line import ok, refused
from lossgraph.deploy.export_training import export_training
from small_models import mlp
from support import ROOT
from web_server import served

NODE = ROOT / ".venvs" / "node" / "node_modules"
STEPS = 100  # of the programs on the page

Arrays = dict[str, np.ndarray]


def built(model: onnx.ModelProto, **how: Any) -> Any:
    how.setdefault("optimizer", lg.training.AdamW(learning_rate=1e-2))
    return lg.training.build(model, lg.nn.CrossEntropyLoss(), **how)


def batch_of(rows: int = 16) -> Arrays:
    rng = np.random.default_rng(5)
    return {
        "x": rng.normal(size=(rows, 6)).astype(np.float32),
        "target": rng.integers(0, 3, rows),
    }


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    export_training(built(mlp()), folder, batch_of())
    return folder


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    """A copy, in which a program may train."""
    return Path(shutil.copytree(exported, tmp_path / "training"))


def outputs(model: Path, feed: Arrays | None = None) -> Arrays:
    session = ort.InferenceSession(model)
    wanted = {value.name for value in session.get_inputs()}
    given = {name: array for name, array in (feed or {}).items() if name in wanted}
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, given), strict=True))


def code(folder: Path, language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def losses_in(printed: str) -> list[float]:
    """The losses that a program prints, a line for each step."""
    lines = [line.split() for line in printed.splitlines()]
    assert [int(number) for number, _ in lines] == list(range(STEPS))
    return [float(loss) for _, loss in lines]


@pytest.fixture(scope="module")
def expected() -> tuple[list[float], Arrays]:
    """The losses and the parameters of the same steps by the trainer."""
    trainer = lg.training.Trainer(built(mlp()))
    losses = [trainer.step(batch_of()) for _ in range(STEPS)]
    return losses, trainer.parameters


def assert_trained(folder: Path, printed: str, expected: tuple[list[float], Arrays]) -> None:
    """It trained as the trainer does, and left a checkpoint that is the trained model too."""
    losses, parameters = expected
    assert losses[-1] < 0.1 * losses[0]
    np.testing.assert_allclose(losses_in(printed), losses, rtol=1e-4)
    state = outputs(folder / "initial.onnx")
    assert int(state["step"]) == STEPS
    for name, array in parameters.items():
        np.testing.assert_allclose(state[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
    batch = batch_of()
    (logits,) = outputs(folder / "model.onnx", batch).values()
    (predicted,) = outputs(folder / "predict.onnx", {**batch, **state}).values()
    np.testing.assert_allclose(logits, predicted, rtol=1e-5, atol=1e-6)
    evaluated = outputs(folder / "evaluate.onnx", {**batch, **state})
    np.testing.assert_allclose(evaluated["logits"], predicted, rtol=1e-5, atol=1e-6)
    assert evaluated["loss"] < losses[-1]


# --- the files ---


def test_the_files_are_those_documented(exported: Path) -> None:
    files = {path.name: path.read_bytes() for path in exported.iterdir()}
    assert set(files) == {
        "train.onnx", "evaluate.onnx", "gradients.onnx", "predict.onnx", "model.onnx",
        "initial.onnx", "state.bin", "batch.onnx", "README.md", "manifest.json",
    }  # fmt: skip
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest["sha256"] == {k: hashlib.sha256(v).hexdigest() for k, v in files.items()}
    assert set(files) - {"README.md", "state.bin"} == {
        path.name for path in exported.glob("*.onnx")
    }
    for path in exported.glob("*.onnx"):
        onnx.checker.check_model(path, full_check=True)


def test_a_run_begins_with_the_parameters_of_the_model(exported: Path) -> None:
    step, state = built(mlp()), outputs(exported / "initial.onnx")
    assert set(state) == {*step.parameters, *step.state, *step.hyper}
    for name, array in {**step.parameters, **step.state, **step.hyper}.items():
        np.testing.assert_array_equal(state[name], np.asarray(array, state[name].dtype))
    for name, array in outputs(exported / "batch.onnx").items():
        np.testing.assert_array_equal(array, batch_of()[name])


def test_tensors_are_where_the_manifest_says(exported: Path) -> None:
    content = (exported / "state.bin").read_bytes()
    state = outputs(exported / "initial.onnx")
    places = json.loads((exported / "manifest.json").read_text())["training"]["state"]
    assert [place["name"] for place in places] == list(state)
    end = 0
    for place in places:
        assert place["offset"] == end
        assert place["offset"] % state[place["name"]].itemsize == 0
        end += place["bytes"]
        read = np.frombuffer(content[place["offset"] : end], place["dtype"])
        np.testing.assert_array_equal(read.reshape(place["shape"]), state[place["name"]])
    assert end == len(content)


def test_the_model_is_the_one_given(exported: Path) -> None:
    given, written = mlp(), onnx.load(exported / "model.onnx")  # with the data of state.bin
    assert [t.name for t in written.graph.initializer] == [t.name for t in given.graph.initializer]
    assert written.graph.node == given.graph.node
    assert written.metadata_props == given.metadata_props
    feed = {"x": batch_of()["x"]}
    (before,) = ort.InferenceSession(given.SerializeToString()).run(None, feed)
    (after,) = outputs(exported / "model.onnx", feed).values()
    np.testing.assert_array_equal(after, before)


def test_an_export_is_reproducible_and_replaces_an_earlier_one(
    exported: Path, tmp_path: Path
) -> None:
    export_training(built(mlp(seed=1)), tmp_path)
    export_training(built(mlp()), tmp_path, batch_of())
    for path in exported.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), path.name


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"mine")
    with pytest.raises(lg.InputError, match=r"holds model\.onnx, which is of no earlier export"):
        export_training(built(mlp()), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_large_weights_that_are_not_trained_are_in_one_file(tmp_path: Path) -> None:
    model = mlp(features=6, hidden=50_000)
    step = built(model, trainable=["2.*"])
    export_training(step, tmp_path, batch_of())
    size = 50_000 * 7 * 4
    assert (tmp_path / "frozen.bin").stat().st_size == pytest.approx(size, abs=64)
    assert sum(path.stat().st_size for path in tmp_path.glob("*.onnx")) < 50_000
    trainer = lg.training.Trainer(step)
    losses = json.loads((tmp_path / "manifest.json").read_text())["training"]["losses"]
    assert losses == pytest.approx([trainer.step(batch_of()) for _ in range(3)], rel=1e-4)
    assert 'open("train.onnx", "frozen.bin")' in code(tmp_path, "javascript")
    state = outputs(tmp_path / "initial.onnx")
    made = outputs(tmp_path / "train.onnx", {**batch_of(), **state})
    assert float(made["loss"]) == pytest.approx(losses[0], rel=1e-5)
    (logits,) = outputs(tmp_path / "model.onnx", batch_of()).values()
    assert logits.shape == (16, 3)
    export_training(built(mlp()), tmp_path)
    assert not (tmp_path / "frozen.bin").exists()


@pytest.mark.parametrize(
    "how",
    [
        {"accumulate": 2},
        {"precision": "float16"},
        {"optimizer": lg.training.SGD(learning_rate=0.1, momentum=0.9)},
    ],
    ids=["accumulation", "half precision", "momentum"],
)
def test_steps_of_all_kinds_are_exported(
    how: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = built(mlp(), **how)
    export_training(step, tmp_path, batch_of())
    trainer = lg.training.Trainer(step)
    losses = [trainer.step(batch_of()) for _ in range(STEPS)]
    assert losses_in(run_python(tmp_path, monkeypatch)) == pytest.approx(losses, rel=1e-2)
    feed = {"x": batch_of()["x"]}
    expected = trainer.outputs(batch_of())["logits"]
    state = outputs(tmp_path / "initial.onnx")
    for name, given in (("model.onnx", feed), ("predict.onnx", {**feed, **state})):
        found = outputs(tmp_path / name, given)["logits"]
        np.testing.assert_allclose(found, expected, rtol=2e-2, atol=2e-2, err_msg=name)


def test_weights_of_16_bits_and_tied_copies_are_computed_of_the_state(tmp_path: Path) -> None:
    """The parameter of both is one of 32 bits; the model has another dtype, and a transpose."""
    text = """
        <ir_version: 8, opset_import: ["" : 18]>
        tied (float16[N,3] x) => (float16[N,3] logits)
        { hidden = MatMul(x, first)  logits = MatMul(hidden, second) }
    """
    model = onnx.parser.parse_model(text)
    first = np.array([[1, -2], [3, 0.5], [-1, 2]], np.float16)
    for name, array in (("first", first), ("second", first.T)):
        model.graph.initializer.append(numpy_helper.from_array(array.copy(), name))
    tie, optimizer = [["first", "second"]], lg.training.SGD(learning_rate=1e-2)
    step = built(model, tie=tie, trainable=["first", "second"], optimizer=optimizer)
    batch = {"x": np.eye(3, dtype=np.float16), "target": np.array([2, 1, 0])}
    export_training(step, tmp_path, batch)
    assert list(step.parameters) == ["first"]
    onnx.checker.check_model(tmp_path / "model.onnx", full_check=True)
    state = outputs(tmp_path / "initial.onnx")
    made = outputs(tmp_path / "train.onnx", {**batch, **state})
    state |= {name: made[f"next_{name}"] for name in state if f"next_{name}" in made}
    content = b"".join(array.tobytes() for array in state.values())
    (tmp_path / "state.bin").write_bytes(content)
    weight = state["first"].astype(np.float16).astype(float)
    assert np.abs(weight - first).max() > 1e-3
    (logits,) = outputs(tmp_path / "model.onnx", batch).values()
    np.testing.assert_allclose(logits, weight @ weight.T, rtol=2e-3, atol=2e-2)


def test_a_batch_may_have_optional_inputs_of_the_loss(tmp_path: Path) -> None:
    batch = {**batch_of(), "weight": np.array([0.2, 1.0, 3.0], np.float32)}
    export_training(built(mlp()), tmp_path, batch)
    manifest = json.loads((tmp_path / "manifest.json").read_text())["training"]
    assert list(manifest["batch"]) == ["target", "weight", "x"]
    trainer = lg.training.Trainer(built(mlp()))
    assert manifest["losses"][0] == pytest.approx(trainer.step(batch), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": None}, r"expected arrays for \['x', 'target'\], got \['target'\]"),
        ({"x": np.zeros((4, 5), np.float32)}, r"'x' is float32\[N,6\], got float32\[4, 5\]"),
        ({"x": np.zeros((4, 6))}, r"'x' is float32\[N,6\], got float64\[4, 6\]"),
        ({"target": np.zeros((4, 1), np.int64)}, r"'target' is int64\[N\], got int64\[4, 1\]"),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(
    change: dict[str, Any], message: str, tmp_path: Path
) -> None:
    batch = {name: array for name, array in {**batch_of(4), **change}.items() if array is not None}
    with pytest.raises(lg.InputError, match=message):
        export_training(built(mlp()), tmp_path / "out", batch)
    assert not (tmp_path / "out").exists()


# --- the programs on the page ---


def run_python(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(folder)
    page, printed = Page(folder / "README.md"), io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(page.python, str(page.path), "exec"), {})
    return printed.getvalue()


def test_python_trains_as_the_page_says(
    folder: Path, expected: tuple[list[float], Arrays], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_trained(folder, run_python(folder, monkeypatch), expected)
    told = re.search(r"first runs are (.+)\.", (folder / "README.md").read_text())
    assert told is not None
    assert [float(loss) for loss in told[1].split(", ")] == pytest.approx(expected[0][:3], rel=1e-5)
    trainer = lg.training.Trainer(built(mlp()))
    for _ in range(STEPS):
        trainer.step(batch_of())
    further = losses_in(run_python(folder, monkeypatch))
    assert further == pytest.approx([trainer.step(batch_of()) for _ in range(STEPS)], rel=1e-4)


def include_folder() -> Path | None:
    """Where ONNX Runtime's headers are, which no Python or Node.js package has."""
    places = [os.environ.get("ONNXRUNTIME_INCLUDE"), "/usr/include/onnxruntime", "/usr/include"]
    return next((Path(p) for p in places if p and Path(p, "onnxruntime_cxx_api.h").exists()), None)


def engine_library() -> Path | None:
    return next(NODE.glob("onnxruntime-node/bin/napi-v*/linux/x64/libonnxruntime.so.1"), None)


needs_cxx = pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")


@needs_cxx
def test_cpp_trains_as_the_page_says(folder: Path, expected: tuple[list[float], Arrays]) -> None:
    headers, library = include_folder(), engine_library()
    if headers is None or library is None:
        pytest.skip("no headers of ONNX Runtime (ONNXRUNTIME_INCLUDE), or no library of it")
    (folder / "train.cpp").write_text(code(folder, "cpp"))
    command = ["c++", "-std=c++17", "-I", headers, "train.cpp", library, "-o", "train"]
    subprocess.run([*command, f"-Wl,-rpath,{library.parent}"], cwd=folder, check=True)
    made = subprocess.run(["./train"], cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    assert_trained(folder, made.stdout, expected)


@needs_cxx
def test_cpp_is_well_formed(exported: Path, tmp_path: Path) -> None:
    """Compiled, against declarations of what it uses of ONNX Runtime."""
    (tmp_path / "train.cpp").write_text(code(exported, "cpp"))
    stand_in = Path(__file__).parent / "headers"
    command = ["c++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    subprocess.run([*command, "-I", stand_in, "train.cpp"], cwd=tmp_path, check=True)


@pytest.mark.skipif(not (NODE / "onnxruntime-node").exists(), reason="no onnxruntime-node here")
def test_javascript_trains_in_node_as_the_page_says(
    folder: Path, expected: tuple[list[float], Arrays]
) -> None:
    written = code(folder, "javascript")
    lines = written.splitlines()
    assert "Node.js" in lines[2]
    open_in_node = f"const open = {lines[2].partition(': ')[2]};"
    program = written.replace("onnxruntime-web", "onnxruntime-node")
    program = program.replace("\n".join(lines[3:6]), open_in_node)
    store = 'writeFileSync("state.bin", new Uint8Array(await checkpoint.arrayBuffer()));'
    program += f'import {{ writeFileSync }} from "node:fs";\n{store}\n'
    (folder / "train.mjs").write_text(program)
    (folder / "node_modules").symlink_to(NODE)
    made = subprocess.run(
        ["node", "train.mjs"], cwd=folder, check=True, stdout=subprocess.PIPE, text=True
    )
    assert_trained(folder, made.stdout, expected)


@pytest.mark.once
@pytest.mark.skipif(not (NODE / "onnxruntime-web").exists(), reason="no onnxruntime-web here")
def test_javascript_trains_in_a_browser_as_the_page_says(
    folder: Path, expected: tuple[list[float], Arrays], browser: Any
) -> None:
    shutil.copytree(NODE / "onnxruntime-web" / "dist", folder / "ort")
    written = code(folder, "javascript").replace('"onnxruntime-web"', '"./ort/ort.wasm.min.mjs"')
    (folder / "train.mjs").write_text(f"{written}\nglobalThis.checkpoint = checkpoint;\n")
    page_ = '<link rel="icon" href="data:,"><script type="module" src="train.mjs"></script>'
    (folder / "index.html").write_text(page_)
    with served(folder) as address:
        page = browser.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{address}index.html")
        page.wait_for_function("globalThis.checkpoint", timeout=60_000)
        stored = page.evaluate("checkpoint.arrayBuffer().then((it) => [...new Uint8Array(it)])")
        page.close()
    (folder / "state.bin").write_bytes(bytes(stored))
    assert_trained(folder, "\n".join(said), expected)


# --- the command ---


def test_the_command_writes_the_folder(tmp_path: Path) -> None:
    onnx.save(mlp(), tmp_path / "net.onnx")
    np.savez(tmp_path / "batch.npz", **batch_of())
    command = (
        "export-training", tmp_path / "net.onnx", "--loss", "nn.CrossEntropyLoss",
        "--optimizer", "AdamW", "--optimizer-set", "learning_rate=0.01",
        "--batch", tmp_path / "batch.npz", "-o", tmp_path / "training",
    )  # fmt: skip
    described = json.loads(ok(*command, "--json"))
    assert described["trainable"] == ["0.weight", "0.bias", "2.weight", "2.bias"]
    assert described["batch"] == ["x", "target"]
    assert {Path(path).name for path in described["files"]} == {
        path.name for path in (tmp_path / "training").iterdir()
    }
    assert "# Training graphs of net.onnx" in (tmp_path / "training" / "README.md").read_text()


def test_labels_that_are_drawn_are_classes_and_sizes_are_taken(tmp_path: Path) -> None:
    onnx.save(mlp(), tmp_path / "net.onnx")
    args = ("--loss", "nn.CrossEntropyLoss", "--trainable", "2.*", "--size", "N=7")
    ok("export-training", tmp_path / "net.onnx", *args, "-o", tmp_path / "training")
    batch = outputs(tmp_path / "training" / "batch.onnx")
    assert batch["x"].shape == (7, 6)
    assert set(batch["target"]) <= {0, 1, 2}
    assert "| `0.weight` | not asked for |" in (tmp_path / "training" / "README.md").read_text()


def test_the_command_trains_the_mean_and_leaves_out_what_is_frozen(tmp_path: Path) -> None:
    onnx.save(mlp(), tmp_path / "net.onnx")
    np.savez(tmp_path / "batch.npz", x=batch_of()["x"], label=batch_of()["target"])
    args = ("--loss", "softmax_ce", "--batch", tmp_path / "batch.npz", "--frozen", "*.bias")
    ok("export-training", tmp_path / "net.onnx", *args, "-o", tmp_path / "training")
    training = json.loads((tmp_path / "training" / "manifest.json").read_text())["training"]
    assert training["parameters"] == ["0.weight", "2.weight"]
    mean = lg.training.Trainer(built(mlp())).evaluate(batch_of())
    assert training["losses"][0] == pytest.approx(mean, rel=1e-5)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (("--optimizer", "newton"), "no optimizer is called 'newton': there are ada"),
        (("--optimizer-set", "speed=3"), "speed"),
        (("--batch", "none.npz"), "expected an .npz of NumPy"),
        (("--size", "M=3"), "no dim is called 'M'"),
    ],
)
def test_the_command_says_what_is_wrong(
    args: tuple[str, ...], message: str, tmp_path: Path
) -> None:
    onnx.save(mlp(), tmp_path / "net.onnx")
    command = ("export-training", tmp_path / "net.onnx", "--loss", "nn.CrossEntropyLoss")
    assert message in refused(*command, *args, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()
