"""The gallery of exported models: it is up to date, right, and accepted by ONNX's own runner."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from lossgraph import reference
from lossgraph.catalogue import Entry, entries, lookup, namespace_entries
from lossgraph.compare.finite_differences import gradient
from lossgraph.errors import InputError
from support import ROOT, load_tool

tool = load_tool("export_models.py")

GALLERY = ROOT / "exported_models"
EVERY = [pytest.param(entry, id=entry.name) for entry in entries()]
every_loss = pytest.mark.parametrize("entry", EVERY)


def folder_of(entry: Entry) -> Path:
    return GALLERY / entry.namespace / entry.own_name


def tensors(entry: Entry, kind: str) -> dict[str, Any]:
    """The inputs or outputs of a loss, by name, in order."""
    count = len(list((folder_of(entry) / "test_data_set_0").glob(f"{kind}_*.pb")))
    files = [folder_of(entry) / "test_data_set_0" / f"{kind}_{k}.pb" for k in range(count)]
    read = [onnx.load_tensor(str(file)) for file in files]
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in read}


# --- it is what the losses say ---


def test_nothing_is_stale() -> None:
    wrong = tool.differences(tool.contents(GALLERY), tool.whole())
    assert not wrong, "\n".join([*wrong, "exported_models is stale: run tools/export_models"])


@every_loss
def test_a_folder_has_both_models_and_their_data(entry: Entry) -> None:
    there = {path.relative_to(folder_of(entry)).as_posix() for path in
             folder_of(entry).rglob("*") if path.is_file()}  # fmt: skip
    inputs, outputs = tensors(entry, "input"), tensors(entry, "output")
    assert there == {
        "README.md", "manifest.json", "value.onnx", "training.onnx",
        *(f"test_data_set_0/input_{k}.pb" for k in range(len(inputs))),
        *(f"test_data_set_0/output_{k}.pb" for k in range(len(outputs))),
    }  # fmt: skip
    value, training = (
        onnx.load(str(folder_of(entry) / f"{name}.onnx")).graph for name in ("value", "training")
    )
    for graph in (value, training):
        assert [info.name for info in graph.input] == list(inputs)
    values = [info.name for info in value.output]
    assert [info.name for info in training.output] == list(outputs)
    assert list(outputs) == [*values, *(f"grad_{name}" for name in entry.predictions)]
    assert all(np.isfinite(array).all() for array in outputs.values())
    for name in entry.predictions:
        assert outputs[f"grad_{name}"].shape == inputs[name].shape
        assert outputs[f"grad_{name}"].any()


def test_it_is_small() -> None:
    sizes = [path.stat().st_size for path in GALLERY.rglob("*") if path.is_file()]
    assert sum(sizes) < 2.5e6
    assert max(sizes) < 50e3


def test_the_index_leads_to_every_loss() -> None:
    text = (GALLERY / "README.md").read_text("utf-8")
    links = re.findall(r"^\| \[(\w+)\]\((\S+)\)", text, re.MULTILINE)
    assert [path for _, path in links] == [
        f"{e.namespace}/{e.own_name}/README.md" for e in entries()
    ]
    assert all((GALLERY / path).is_file() for _, path in links)
    sizes = [(folder_of(lookup("nn.MSELoss")) / f"{name}.onnx").stat().st_size
             for name in ("value", "training")]  # fmt: skip
    assert (
        "| [MSELoss](nn/MSELoss/README.md) | The squared error. | `input`, `target` | `input` | "
        f"{sizes[0]:,} + {sizes[1]:,} |"
    ) in text


# --- gradients: by what a model predicts or learns ---

PREDICTIONS = {
    "gluon.CTCLoss": "pred",
    "gluon.CosineEmbeddingLoss": "input1 input2",
    "gluon.HuberLoss": "pred",
    "gluon.KLDivLoss": "pred",
    "gluon.PoissonNLLLoss": "pred",
    "gluon.SDMLLoss": "x1 x2",
    "gluon.TripletLoss": "pred positive negative",
    "losses.approx_ndcg": "score",
    "losses.arcface": "embedding weight",
    "losses.contrastive": "x1 x2",
    "losses.cox_partial_likelihood": "log_risk",
    "losses.cross_entropy": "p q",
    "losses.dice": "predictions",
    "losses.distillation": "student",
    "losses.dpo": "policy_chosen policy_rejected",
    "losses.entropy": "p",
    "losses.fenchel_young": "scores",
    "losses.focal_ctc": "log_probs",
    "losses.gamma_nll": "concentration rate",
    "losses.gaussian_crps": "mean scale",
    "losses.gaussian_nll": "mean variance",
    "losses.info_nce": "query key",
    "losses.iou": "pred",
    "losses.kl_to_standard_normal": "mean log_variance",
    "losses.list_mle": "score",
    "losses.mutual_information": "joint",
    "losses.n_pair": "anchor positive",
    "losses.negative_binomial_nll": "mean total_count",
    "losses.nt_xent": "embeddings",
    "losses.orpo": "chosen rejected",
    "losses.proxy_nca": "embedding proxy",
    "losses.siglip": "image text",
    "losses.sinkhorn": "cost",
    "losses.smooth_labels": "labels",
    "losses.student_t_nll": "location scale degrees",
    "losses.tversky": "prob",
    "losses.wasserstein_1d": "x y",
    "losses.weibull_survival_nll": "shape scale",
    "losses.z_loss": "logits",
    "nn.BCELoss": "input",
    "nn.CTCLoss": "log_probs",
    "nn.CrossEntropyLoss": "input",
    "nn.GaussianNLLLoss": "input var",
    "nn.LinearCrossEntropyLoss": "input linear_weight",
    "nn.MarginRankingLoss": "input1 input2",
    "nn.TripletMarginLoss": "anchor positive negative",
    "optax.ctc_loss": "logits",
    "optax.huber_loss": "predictions",
    "optax.kl_divergence_with_log_targets": "log_predictions",
    "optax.ranking_softmax_loss": "logits",
    "optax.triplet_margin_loss": "anchors positives negatives",
}


@pytest.mark.parametrize(("name", "expected"), PREDICTIONS.items())
def test_predictions_are_what_a_reader_would_say(name: str, expected: str) -> None:
    assert lookup(name).predictions == tuple(expected.split())


# --- the numbers are right ---

# A factor of these stays constant, as their papers say: no slope of the value shows that.
HELD = {"losses.ciou": "its weight alpha", "losses.circle": "its weights alpha_p and alpha_n"}


@every_loss
def test_gradients_are_the_slopes_of_the_values(entry: Entry) -> None:
    """By numpy in float64: neither the autodiff nor an engine has a part in it."""
    loss, outputs = entry.make(), tensors(entry, "output")
    inputs = {name: array.astype(np.float64) if array.dtype.kind == "f" else array
              for name, array in tensors(entry, "input").items()}  # fmt: skip

    def values(feeds: dict[str, Any]) -> list[Any]:
        found = loss(**{name: reference.Array(array) for name, array in feeds.items()})
        return [part.asnumpy() for part in (found if isinstance(found, tuple) else (found,))]

    def flat(feeds: dict[str, Any]) -> Any:
        return np.concatenate([np.ravel(value) for value in values(feeds)])

    stored = [array for name, array in outputs.items() if not name.startswith("grad_")]
    for actual, value in zip(stored, values(inputs), strict=True):
        np.testing.assert_allclose(actual, value, rtol=2**-24 if actual.dtype == "f4" else 1e-12)
    slopes = {name: gradient(flat, inputs, name, 1e-5) for name in entry.predictions}
    close = [
        np.allclose(outputs[f"grad_{name}"], slope, rtol=1e-5, atol=1e-6)
        for name, slope in slopes.items()
    ]
    assert all(close) == (entry.name not in HELD)


NO_TWINS = {"AdaptiveLogSoftmaxWithLoss", "LinearCrossEntropyLoss"}  # modules with parameters; new


@pytest.mark.parametrize(
    "entry", [p for p in EVERY if p.values[0].namespace == "nn" and
              p.values[0].own_name not in NO_TWINS]
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:reduction:UserWarning")  # of KLDivLoss, which means "mean"
def test_torch_says_the_same(entry: Entry) -> None:
    torch = pytest.importorskip("torch")
    inputs = {name: torch.tensor(array) for name, array in tensors(entry, "input").items()}
    for name in entry.predictions:
        inputs[name].requires_grad_()
    loss = getattr(torch.nn, entry.own_name)()(*inputs.values())
    loss.sum().backward()
    found = {"loss": loss, **{f"grad_{name}": inputs[name].grad for name in entry.predictions}}
    if entry.own_name == "CTCLoss":  # torch's gradient is right behind a log-softmax only
        del found["grad_log_probs"]
    for name in found:
        array = tensors(entry, "output")[name]
        np.testing.assert_allclose(found[name].detach().numpy(), array, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ONNX Runtime's backend, of onnx
def test_onnx_own_runner_passes_both_models_of_every_loss(monkeypatch: Any) -> None:
    """By the code on the index page."""
    import onnx.backend.test.runner as runner

    code = re.findall(r"```python\n(.*?)```", (GALLERY / "README.md").read_text("utf-8"), re.DOTALL)
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(runner, "load_model_tests", lambda **_: [])  # none but ours
    names: dict[str, Any] = {}
    exec(compile("\n".join(code), "exported_models/README.md", "exec"), names)
    names["scratch"].cleanup()
    result = names["result"]
    assert (result.errors, result.failures) == ([], [])
    assert result.testsRun - len(result.skipped) == 2 * len(entries())


# --- the pages ---


@pytest.mark.parametrize("name", [
    "gluon.SoftmaxCrossEntropyLoss", "losses.student_t_nll", "nn.AdaptiveLogSoftmaxWithLoss",
    "optax.huber_loss",
])  # fmt: skip
def test_the_commands_of_a_page_do_what_it_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("typer", reason="the command line needs lossgraph[cli]")
    from typer.testing import CliRunner

    from lossgraph.cli import app

    entry = lookup(name)
    page = (folder_of(entry) / "README.md").read_text("utf-8")
    commands = [shlex.split(line)[2:] for line in re.findall(r"^\$ .+", page, re.MULTILINE)]
    assert [words[0] for words in commands] == ["check", "run", "export"]
    monkeypatch.chdir(tmp_path)
    for words in (commands[2], commands[0]):
        assert CliRunner().invoke(app, words).exit_code == 0
    assert tool.differences(tool.contents(tmp_path), tool.contents(folder_of(entry))) == []
    for input_name, array in tensors(entry, "input").items():
        np.save(tmp_path / f"{input_name}.npy", array)
    assert CliRunner().invoke(app, commands[1]).exit_code == 0
    with np.load(tmp_path / "out.npz") as found:
        assert list(found) == list(tensors(entry, "output"))


# --- the tool ---


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that knows two losses."""
    kept = {"gluon.HuberLoss", "optax.log_cosh"}
    for name, function in (("entries", entries), ("namespace_entries", namespace_entries)):
        monkeypatch.setattr(
            tool, name, lambda *a, function=function: [e for e in function(*a) if e.name in kept]
        )


@pytest.mark.usefixtures("few")
def test_the_tool_writes_and_says_what_is_stale(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "models"
    assert tool.main(["-o", str(root)]) == 0
    assert tool.main(["-o", str(root), "--check"]) == 0
    (root / "gluon/HuberLoss/value.onnx").write_bytes(b"")
    (root / "optax/log_cosh/README.md").unlink()
    (root / "nn/Gone").mkdir(parents=True)
    (root / "nn/Gone/value.onnx").touch()
    capsys.readouterr()
    assert tool.main(["-o", str(root), "--check"]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "gluon/HuberLoss/value.onnx: differs",
        "nn/Gone/value.onnx: belongs to no loss",
        "optax/log_cosh/README.md: missing",
    ]
    assert "run tools/export_models" in said.err
    assert tool.main(["-o", str(root)]) == 0
    assert not (root / "nn").exists()
    assert tool.main(["-o", str(root), "--check"]) == 0


def test_only_outputs_may_differ_by_a_rounding() -> None:
    def tensor(*values: float, name: str = "loss") -> bytes:
        return numpy_helper.from_array(np.float32(values), name).SerializeToString()

    output, other = (
        "nn/MSELoss/test_data_set_0/output_0.pb",
        np.nextafter(np.float32(1), np.float32(2)),
    )
    assert tool.same(output, tensor(1, 2), tensor(other, 2))
    assert not tool.same(output.replace("output", "input"), tensor(1, 2), tensor(other, 2))
    for wrong in (tensor(1, 2.001), tensor(1), tensor(1, 2, name="grad")):
        assert not tool.same(output, tensor(1, 2), wrong)


def test_it_writes_into_no_folder_of_others(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("# Mine")
    with pytest.raises(InputError, match="is no gallery"):
        tool.write(tmp_path, {})
    assert (tmp_path / "README.md").read_text() == "# Mine"
