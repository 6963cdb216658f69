"""Exported folders: what is in them, that it is right, and that nothing is left half-done."""

from __future__ import annotations

import os
import subprocess
import sys
import unittest
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import lossgraph as lg
from lossgraph import gluon, nn
from lossgraph.catalogue import entries, example_types
from lossgraph.compare.checks import check_file, find_models
from lossgraph.deploy.export import export_folder
from lossgraph.deploy.serving import load_models
from lossgraph.errors import InputError, LoweringError
from lossgraph.models import files

TYPES = {"pred": ("float32", ("N", "C")), "label": ("int64", ("N",))}
REGRESSION = {"pred": ("float32", ("N", "C")), "label": ("float32", ("N", "C"))}
LOSSES = [entry.name for entry in entries()]


def content(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def ce(folder: Path, **kwargs: Any) -> list[Path]:
    return export_folder(gluon.SoftmaxCrossEntropyLoss(), TYPES, folder, **kwargs)


def failed(folder: Path) -> list[str]:
    """The checks of all models of a folder that fail."""
    checks = [check for path in find_models(folder) for check in check_file(path)]
    return [f"{check.name}: {check.detail}" for check in checks if not check.ok]


def test_the_files_are_those_documented(tmp_path: Path) -> None:
    written = ce(tmp_path / "ce", grad=["pred"])
    assert sorted(content(tmp_path / "ce")) == [
        "README.md",
        "manifest.json",
        *(f"test_data_set_0/{kind}_{k}.pb" for kind in ("input", "output") for k in (0, 1)),
        "training.onnx",
        "value.onnx",
    ]
    assert {path.relative_to(tmp_path / "ce").as_posix() for path in written} == set(
        content(tmp_path / "ce")
    )
    tensors = [
        onnx.TensorProto.FromString(path.read_bytes()) for path in written if path.suffix == ".pb"
    ]
    assert [tensor.name for tensor in tensors] == ["pred", "label", "loss", "grad_pred"]


def test_the_page_says_formula_types_options_and_opset(tmp_path: Path) -> None:
    ce(tmp_path, grad=["pred"], opset=20)
    page = (tmp_path / "README.md").read_text()
    for part in (
        r"\mathop{\mathrm{mean}} \log p_y", "| `pred` | `float32[N,C]` |", "| `axis` | `-1` |",
        "| `grad_pred` | `float32[N,C]` |", "opset 20", "`training.onnx` computes",
    ):  # fmt: skip
        assert part in page


def test_the_page_names_what_differs_from_the_defaults(tmp_path: Path) -> None:
    types = {"input": ("float64", ("N", 3)), "target": ("int64", ("N",))}
    loss = nn.CrossEntropyLoss(label_smoothing=0.1, reduction="sum")
    export_folder(loss, types, tmp_path, grad=["input"], opset=20)
    page = (tmp_path / "README.md").read_text()
    for part in (
        "| `label_smoothing` | `0.1` (by default `0.0`) |",
        "- Optional inputs, which these models have not: `weight` float32[C], above 0\n",
        "- Follows: `torch.nn.CrossEntropyLoss`",
        "$ lossgraph export nn.CrossEntropyLoss --input input:float64:N,3 --input target:int64:N "
        "--grad input --set reduction=sum --set label_smoothing=0.1 --opset 20 -o .\n",
    ):
        assert part in page


def test_a_page_has_no_command_that_would_not_work(tmp_path: Path) -> None:
    """The command line takes no tensors, options as inputs or losses of one's own."""
    types = {"input": ("float32", ("N", 3)), "target": ("int64", ("N",))}
    weighed = nn.CrossEntropyLoss(weight=np.array([1.0, 2.0, 0.5]))
    export_folder(weighed, types, tmp_path / "tensor")
    export_folder(gluon.HuberLoss(rho=lg.Input("rho")), REGRESSION, tmp_path / "input")
    export_folder(lambda F, pred, label: F.abs(pred - label), REGRESSION, tmp_path / "own")
    for name in ("tensor", "input", "own"):
        page = (tmp_path / name / "README.md").read_text()
        assert "$ lossgraph run value.onnx" in page
        assert "lossgraph export" not in page.partition("-->")[2]


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_loss_passes_its_own_check(entry: Any, tmp_path: Path) -> None:
    loss = entry.make()
    types = example_types(loss)
    export_folder(loss, types, tmp_path, grad=entry.predictions)
    loops = (
        "CTCLoss", "LinearCrossEntropyLoss", "ctc_loss", "ctc_loss_with_forward_probs", "focal_ctc",
        "sinkhorn",
    )  # fmt: skip
    if entry.own_name in loops and onnx.__version__.startswith("1.21."):
        pytest.skip("this onnx takes as many states of a Scan as it has sequences")
    assert failed(tmp_path) == []


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_dtypes_too(dtype: str, tmp_path: Path) -> None:
    export_folder(
        gluon.HuberLoss(), dict.fromkeys(REGRESSION, (dtype, ("N", "C"))), tmp_path, ["pred"]
    )
    assert failed(tmp_path) == []


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ONNX Runtime's backend, of onnx
def test_onnx_own_backend_runner_accepts_the_data(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import onnx.backend.test.runner as runner
    import onnxruntime.backend as backend
    from onnx.backend.test.case.test_case import TestCase

    ce(tmp_path, grad=["pred"])
    (tmp_path / "training.onnx").rename(tmp_path / "model.onnx")
    monkeypatch.setattr(runner, "load_model_tests", lambda **_: [])  # none but ours
    made = runner.Runner(backend)
    made._add_model_test(
        TestCase(name="test_ce", model_name="ce", url=None, model_dir=str(tmp_path), model=None,
                 data_sets=None, kind="simple", rtol=1e-4, atol=1e-6),
        "Simple",
    )  # fmt: skip
    result = unittest.TestResult()
    made.include("cpu").test_suite.run(result)
    assert (result.testsRun, result.errors, result.failures) == (2, [], [])
    assert len(result.skipped) == 1  # CUDA's


def test_a_function_and_a_tuple_of_values_can_be_exported(tmp_path: Path) -> None:
    def both(F: Any, pred: Any, label: Any) -> Any:
        error = pred - label
        return F.abs(error), F.square(error)

    export_folder(both, REGRESSION, tmp_path, ["pred"])
    assert failed(tmp_path) == []
    assert [info.name for info in onnx.load(tmp_path / "training.onnx").graph.output] == [
        "loss_0", "loss_1", "grad_pred",
    ]  # fmt: skip


def test_data_keep_the_promises_of_the_graph(tmp_path: Path) -> None:
    """Sizes that must agree do, labels are classes."""
    types = {"pred": ("float32", ("N", "C")), "label": ("float32", ("M",))}
    export_folder(gluon.L2Loss(), types, tmp_path / "l2")
    assert failed(tmp_path / "l2") == []
    ce(tmp_path / "ce", sizes={"N": 50, "C": 3})
    label = onnx.TensorProto.FromString((tmp_path / "ce/test_data_set_0/input_1.pb").read_bytes())
    assert set(numpy_helper.to_array(label).tolist()) == {0, 1, 2}
    assert label.dims == [50]


def test_sizes_are_refused_that_no_dim_has(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no dim is called 'K': the named dims are \['C', 'N'\]"):
        ce(tmp_path, sizes={"K": 3})


def test_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    code = (
        "import sys; from lossgraph import gluon\n"
        "from lossgraph.deploy.export import export_folder\n"
        f"export_folder(gluon.SoftmaxCrossEntropyLoss(), {TYPES}, sys.argv[1], ['pred'])"
    )
    for seed in ("0", "1"):
        env = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, "-c", code, str(tmp_path / seed)], env=env, check=True)
    assert content(tmp_path / "0") == content(tmp_path / "1")
    ce(tmp_path / "here", grad=["pred"])
    assert content(tmp_path / "here") == content(tmp_path / "0")


# --- replacing an earlier export ---


def test_a_new_export_leaves_nothing_of_the_old_one(tmp_path: Path) -> None:
    ce(tmp_path / "old", grad=["pred"])
    ce(tmp_path / "new")
    ce(tmp_path / "old")
    assert content(tmp_path / "old") == content(tmp_path / "new")


def fail_to_build(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="opset"):
        ce(folder, opset=99)


def fail_to_write(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, done = files._write_aside, []

    def full_disk(path: Path, data: bytes) -> Path:
        done.append(path)
        if len(done) == 3:
            raise OSError(28, "No space left on device", str(path))
        return write(path, data)

    monkeypatch.setattr(files, "_write_aside", full_disk)
    with pytest.raises(InputError, match="No space left on device"):
        ce(folder)


@pytest.mark.parametrize("failure", [fail_to_build, fail_to_write])
def test_a_failed_export_leaves_the_old_one(
    failure: Callable[[Path, pytest.MonkeyPatch], None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ce(tmp_path, grad=["pred"])
    before = content(tmp_path)
    failure(tmp_path, monkeypatch)
    assert content(tmp_path) == before


def test_other_peoples_files_are_left_alone(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text("# Mine")
    with pytest.raises(InputError, match=r"holds README\.md, which is of no earlier export"):
        ce(tmp_path)
    assert content(tmp_path) == {"README.md": b"# Mine"}
    page.unlink()
    (tmp_path / "notes.txt").write_text("kept")
    ce(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "kept"


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    for place in ("out", "out/below"):
        with pytest.raises(InputError, match="out"):
            ce(tmp_path / place)
    assert content(tmp_path) == {"out": b"x"}


def test_a_folder_in_the_place_of_a_file_stops_before_anything_is_replaced(tmp_path: Path) -> None:
    ce(tmp_path)
    before = content(tmp_path)
    (tmp_path / "training.onnx").mkdir()
    with pytest.raises(InputError, match=r"training\.onnx is a folder"):
        ce(tmp_path, grad=["pred"])
    assert content(tmp_path) == before


def test_what_an_opset_cannot_say_is_no_folder(tmp_path: Path) -> None:
    types = dict.fromkeys(REGRESSION, ("float32", ("N", 0)))

    def flat(F: Any, pred: Any, label: Any) -> Any:
        return F.reshape(pred - label, shape=(-3,))

    with pytest.raises(LoweringError):
        export_folder(flat, types, tmp_path / "out", opset=13)
    assert not (tmp_path / "out").exists()


def test_values_are_those_of_the_formula(tmp_path: Path) -> None:
    export_folder(gluon.L1Loss(), REGRESSION, tmp_path)
    folder = tmp_path / "test_data_set_0"
    pred, label, loss = (
        numpy_helper.to_array(onnx.TensorProto.FromString((folder / f"{name}.pb").read_bytes()))
        for name in ("input_0", "input_1", "output_0")
    )
    np.testing.assert_allclose(loss, np.abs(pred - label).mean(axis=1), rtol=1e-6)


def killed_after(renames: int, folder: Path) -> None:
    """An export into a folder by a process that ends after some renames, as if it were killed."""
    script = f"""
import os
from pathlib import Path
import lossgraph as lg
from lossgraph.deploy.export import export_folder
real, left = os.replace, [{renames}]
def replace(*args):
    if not left[0]:
        os._exit(9)
    left[0] -= 1
    real(*args)
os.replace = replace
export_folder(
    lg.gluon.SoftmaxCELoss(axis=0), {{"pred": ("float32", (3, "N")), "label": ("int64", ("N",))}},
    {str(folder)!r}, ["pred"])
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9


def test_an_export_that_was_killed_is_never_read_as_a_whole(tmp_path: Path) -> None:
    for renames in (0, 1, 3):
        ce(tmp_path, grad=["pred"])
        assert not failed(tmp_path)
        killed_after(renames, tmp_path)
        left = [path for path in tmp_path.rglob(".*") if path.is_file()]
        assert left, "the files that were not renamed"
        halves = failed(tmp_path)
        if renames:
            assert halves
            assert all("an export was interrupted" in text for text in halves)
            with pytest.raises(InputError, match="an export was interrupted"):
                load_models(tmp_path)
        else:  # nothing was renamed: the earlier export is whole
            assert not halves
        ce(tmp_path, grad=["pred"])
        assert not failed(tmp_path)
        assert not [path for path in tmp_path.rglob(".*") if path.is_file()]


def test_what_another_process_is_writing_stays(tmp_path: Path) -> None:
    alive = tmp_path / f".value.onnx.{os.getppid()}.tmp"
    others = [tmp_path / ".value.onnx.tmp", tmp_path / ".notes.99999999.tmp"]
    for path in (alive, *others):
        path.write_bytes(b"")
    ce(tmp_path)
    assert all(path.exists() for path in (alive, *others))


def test_a_folder_without_a_manifest_is_taken_as_it_is(tmp_path: Path) -> None:
    ce(tmp_path)
    (tmp_path / "manifest.json").write_text("[]")
    assert not failed(tmp_path)
    (tmp_path / "manifest.json").unlink()
    assert not failed(tmp_path)


@pytest.mark.parametrize("size", [99_999_999_999, 2**62, 10**30])
def test_test_data_beyond_memory_are_refused(size: int, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"pred: data of shape .* give smaller sizes"):
        export_folder(
            gluon.L2Loss(), {"pred": ("float32", ("N", 3)), "label": ("float32", ("N", 3))},
            tmp_path, sizes={"N": size},
        )  # fmt: skip


def test_names_and_options_of_a_user_are_text_in_the_page(tmp_path: Path) -> None:
    def evil(F: Any, pred: Any, label: Any, word: str = "`|<b>x</b>``") -> Any:
        r"""A loss.

        .. math:: ``` <script>alert(1)</script>
        """
        return F.abs(pred - label)

    evil.__name__ = "<img src=x onerror=alert(1)>\n# [a](b)"
    export_folder(evil, REGRESSION, tmp_path)
    page = (tmp_path / "README.md").read_text()
    assert r"# \<img src=x onerror=alert(1)\> \# \[a\](b)" in page
    assert r"``` '`\|<b>x</b>``' ```" in page
    assert page.count("```math") == 1
    assert "''' <script>" in page  # inside the block, which it does not end
