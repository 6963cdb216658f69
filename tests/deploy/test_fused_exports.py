"""Exports with fused kernels: what is in them, that they give the same, and what is not loaded."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from code_blocks import Page
from command_line import ok, refused
from lossgraph import gluon, nn
from lossgraph.deploy.export import export_folder
from lossgraph.deploy.serving import load_models
from lossgraph.deploy.triton import export_repository
from lossgraph.errors import InputError, LossgraphError
from lossgraph.kernels import toolchain
from lossgraph.kernels.targets import target_here
from lossgraph.kernels.toolchain import ToolchainError
from lossgraph.runtime.sessions import make_session
from support import assert_close

HERE = target_here() or ""
CE = {"pred": ("float32", ("N", "C")), "label": ("int64", ("N",))}
PAIR = dict.fromkeys(("pred", "label"), ("float32", ("N", "C")))
TARGET = {"input": ("float32", ("N", "C")), "target": ("int64", ("N",))}
LOSSES: dict[str, tuple[Any, Any]] = {
    "huber": (gluon.HuberLoss(), PAIR),
    "softmax_ce": (gluon.SoftmaxCELoss(), CE),
    "mean": (nn.CrossEntropyLoss(), TARGET),
}


def _builds_here() -> bool:
    try:
        return bool(HERE and toolchain.find_for([HERE]))
    except ToolchainError:
        return False


needs_compiler = pytest.mark.skipif(not _builds_here(), reason="no C compiler for this machine")


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOSSGRAPH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """An export of each loss, by name."""
    made = {}
    for name, (loss, types) in LOSSES.items():
        made[name] = tmp_path_factory.mktemp(name) / name
        export_folder(loss, types, made[name], [next(iter(types))], kernels=HERE)
    return made


def content(folder: Path) -> dict[str, bytes]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def tensors(folder: Path, kind: str) -> dict[str, np.ndarray]:
    files = sorted((folder / "test_data_set_0").glob(f"{kind}_*.pb"))
    read = [onnx.TensorProto.FromString(file.read_bytes()) for file in files]
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in read}


def library_in(folder: Path) -> Path:
    (path,) = (folder / "kernels" / HERE).iterdir()
    return path


def session(model: Path, *libraries: Path) -> Any:
    return make_session(str(model), libraries=libraries)


def answers(session_: Any, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    names = [output.name for output in session_.get_outputs()]
    return dict(zip(names, session_.run(names, arrays), strict=True))


@needs_compiler
def test_the_files_are_those_documented(folders: dict[str, Path]) -> None:
    files = content(folders["huber"])
    assert {name for name in files if "test_data" not in name} == {
        "README.md", "manifest.json", "value.onnx", "training.onnx", "value_fused.onnx",
        "training_fused.onnx", "kernels/README.md",
        library_in(folders["huber"]).relative_to(folders["huber"]).as_posix(),
    }  # fmt: skip
    said = json.loads(files.pop("manifest.json"))["sha256"]
    assert said == {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


@needs_compiler
def test_the_standard_models_are_those_without_kernels(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    loss, types = LOSSES["huber"]
    export_folder(loss, types, tmp_path, ["pred"])
    for name, data in content(tmp_path).items():
        if name not in ("README.md", "manifest.json"):
            assert content(folders["huber"])[name] == data, name


@needs_compiler
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("model", ["value", "training"])
def test_without_the_library_it_is_the_standard_model(
    name: str, model: str, folders: dict[str, Path]
) -> None:
    folder = folders[name]
    arrays = tensors(folder, "input")
    fused = onnx.load(folder / f"{model}_fused.onnx")
    onnx.checker.check_model(fused, full_check=True)
    assert len(fused.graph.node) == 1
    expected = answers(session(folder / f"{model}.onnx"), arrays)
    actual = answers(session(folder / f"{model}_fused.onnx"), arrays)
    assert actual.keys() == expected.keys()
    for output, value in expected.items():
        np.testing.assert_array_equal(actual[output], value)


@needs_compiler
@pytest.mark.parametrize("name", LOSSES)
def test_with_the_library_it_is_one_kernel(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    """The outputs stored were computed in float64, by neither ONNX Runtime nor a kernel."""
    folder = folders[name]
    options = ort.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    options.register_custom_ops_library(str(library_in(folder)))
    profiled = ort.InferenceSession(folder / "training_fused.onnx", options)
    actual = answers(profiled, tensors(folder, "input"))
    events = json.loads(Path(profiled.end_profiling()).read_text())
    nodes = [e for e in events if e["cat"] == "Node" and e["name"].endswith("_kernel_time")]
    assert [event["args"]["op_name"][:6] for event in nodes] == ["Fused_"]
    for output, value in tensors(folder, "output").items():
        assert_close(actual[output], value)


@needs_compiler
def test_labels_outside_give_nan_as_in_the_standard_model(folders: dict[str, Path]) -> None:
    folder = folders["softmax_ce"]
    pred = np.random.default_rng(0).normal(size=(5, 40)).astype(np.float32)
    arrays = {"pred": pred, "label": np.array([0, -1, 39, 40, 7])}
    standard = answers(session(folder / "training.onnx"), arrays)
    fused = answers(session(folder / "training_fused.onnx", library_in(folder)), arrays)
    assert np.isnan(fused["loss"]).tolist() == [False, True, False, True, False]
    for output, value in standard.items():
        assert_close(fused[output], value)


@needs_compiler
def test_the_page_registers_the_library_as_it_says(
    folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folders["softmax_ce"]
    page = Page(folder / "kernels" / "README.md")
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(compile(page.python, str(page.path), "exec"), names)
    for output, value in tensors(folder, "output").items():
        assert_close(answers(names["session"], tensors(folder, "input"))[output], value)
    text = page.text
    for part in (
        "RegisterCustomOpsLibrary(ORT_TSTR", "RegisterCustomOpLibrary(", "Node.js",
        "registerCustomOpLibrary(", f"`kernels/{HERE}/", "`pred` `float32[N,C]`",
    ):  # fmt: skip
        assert part in text
    assert "(kernels/README.md)" in (folder / "README.md").read_text()
    assert f"--kernels {HERE} -o ." in (folder / "README.md").read_text()


@needs_compiler
def test_an_export_without_kernels_leaves_none(tmp_path: Path) -> None:
    loss, types = LOSSES["huber"]
    export_folder(loss, types, tmp_path, ["pred"], kernels=[HERE])
    assert any("fused" in name for name in content(tmp_path))
    export_folder(loss, types, tmp_path)
    assert not [name for name in content(tmp_path) if "fused" in name or "kernels" in name]


# --- served ---


@needs_compiler
def test_what_is_served_runs_as_a_kernel(folders: dict[str, Path]) -> None:
    folder = folders["huber"]
    value, training = load_models(folder)
    assert [value.remark, training.remark] == [
        "kernel of value_fused.onnx", "kernel of training_fused.onnx",
    ]  # fmt: skip
    plain = load_models(folder, kernels=False)
    assert [model.remark for model in plain] == ["", ""]
    assert [model.name for model in plain] == [value.name, training.name]
    assert plain[1].outputs == training.outputs
    found = training._runner.run(tensors(folder, "input"))
    for output, array in tensors(folder, "output").items():
        assert_close(found[output], array)


@needs_compiler
@pytest.mark.parametrize("changed", ["library", "model", "manifest"])
def test_what_is_not_of_the_export_is_refused(
    changed: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "copy"
    for name, data in content(folders["huber"]).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    assert load_models(folder)[0].remark == "kernel of value_fused.onnx"
    place = {"library": library_in(folder), "model": folder / "value_fused.onnx"}.get(changed)
    if place is None:
        (folder / "manifest.json").unlink()
    else:
        data = bytearray(place.read_bytes())
        data[len(data) // 2] ^= 1
        place.write_bytes(data)
    with pytest.raises(InputError, match=r"is not what the export wrote .* so it is not loaded"):
        load_models(folder)
    assert len(load_models(folder, kernels=False)) == 2


@needs_compiler
@pytest.mark.skipif(not hasattr(__import__("os"), "geteuid"), reason="modes say nothing here")
def test_no_library_is_loaded_from_where_others_can_write(tmp_path: Path) -> None:
    loss, types = LOSSES["huber"]
    folder = tmp_path / "shared"
    export_folder(loss, types, folder, ["pred"], kernels=HERE)
    folder.chmod(0o777)
    model = load_models(folder)[0]
    assert model.remark.startswith(f"no kernel: {folder} can be written by others (mode 0777)")


# --- refused ---


@pytest.mark.parametrize("targets", ["linux-riscv64", "linux-x86_64,,", "linux-x86_64-v3"])
def test_targets_that_are_none(targets: str, tmp_path: Path) -> None:
    said = refused("export", "huber", "-o", tmp_path, "--kernels", targets)
    assert "expected some of linux-x86_64, linux-aarch64, windows-x86_64" in said
    assert content(tmp_path) == {}


def test_without_a_compiler_it_is_said_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gcc = toolchain.Candidate("gcc", toolchain.Toolchain("gcc", ("gcc",), "gcc", "GCC 12", ()))
    monkeypatch.setattr(toolchain, "candidates", lambda: iter([gcc]))
    monkeypatch.setattr(toolchain, "_look", lambda name: toolchain.Candidate(name, None))
    loss, types = LOSSES["huber"]
    with pytest.raises(ToolchainError, match=r"for macos-arm64: .*install 'lossgraph\[kernels\]'"):
        export_folder(
            loss, types, tmp_path, kernels=[HERE, "macos-arm64"] if HERE else "macos-arm64"
        )
    assert content(tmp_path) == {}


def test_a_loss_that_kernels_save_nothing_of_is_refused_by_the_operation(tmp_path: Path) -> None:
    def products(F: Any, pred: Any, label: Any) -> Any:
        return F.dot(pred, label, transpose_b=True)

    with pytest.raises(LossgraphError, match="MatMul"):
        export_folder(products, PAIR, tmp_path, kernels="linux-x86_64")
    assert content(tmp_path) == {}


# --- Triton ---


@needs_compiler
@pytest.mark.skipif(not HERE.startswith("linux"), reason="Triton runs on Linux")
def test_triton_is_told_of_the_library(tmp_path: Path) -> None:
    module = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    from google.protobuf import text_format

    loss, types = LOSSES["softmax_ce"]
    repository = tmp_path / "models"
    export_repository(loss, types, repository, ["pred"], "ce", kernels=HERE)
    for name in ("ce", "ce_training"):
        text = (repository / name / "config.pbtxt").read_text()
        config = text_format.Parse(text, module.ModelConfig())
        (path,) = config.model_operations.op_library_filename
        assert path == str(repository / name / "1" / "lossgraph_kernels.so")
        made = session(repository / name / "1" / "model.onnx", Path(path))
        pred = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
        label = np.array([0, 3, 1])
        expected = np.log(np.exp(pred.astype(float)).sum(1)) - pred[np.arange(3), label]
        found = answers(made, {"pred": pred, "label": label})
        assert_close(found["loss"], expected.astype(np.float32))
    export_repository(loss, types, repository, ["pred"], "ce")
    assert not list(repository.rglob("*.so"))
    assert "model_operations" not in (repository / "ce" / "config.pbtxt").read_text()


@needs_compiler
@pytest.mark.skipif(not HERE.startswith("linux"), reason="Triton runs on Linux")
def test_triton_finds_the_repository_elsewhere(tmp_path: Path) -> None:
    args = ("--triton", tmp_path, "--triton-name", "h", "--triton-path", "/models")
    ok("export", "huber", *args, "--kernels", HERE)
    text = (tmp_path / "h" / "config.pbtxt").read_text()
    assert 'op_library_filename: "/models/h/1/lossgraph_kernels.so"' in text


def test_triton_takes_one_target_of_its_own(tmp_path: Path) -> None:
    export = ("export", "huber", "--triton", tmp_path, "--kernels")
    assert "for Triton: expected one of linux" in refused(*export, "macos-arm64")
    assert "for Triton: expected one of linux" in refused(*export, "linux-x86_64,linux-aarch64")
    assert "kernels run on the CPU" in refused(*export, "linux-x86_64", "--triton-gpu")
    assert content(tmp_path) == {}
