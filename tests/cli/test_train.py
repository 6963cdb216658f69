"""``lossgraph train``: data from files, a run that goes on, a table of what is trained."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import onnx
import onnxruntime
import pytest

import lossgraph as lg
from command_line import call, ok, refused
from small_models import batches, mlp

PARQUET = importlib.util.find_spec("pyarrow") is not None
needs_safetensors = pytest.mark.skipif(
    importlib.util.find_spec("safetensors") is None, reason="safetensors is not installed"
)


@pytest.fixture
def folder(tmp_path):
    onnx.save(mlp(), tmp_path / "net.onnx")
    (batch,) = batches(1, 90)
    np.savez(tmp_path / "train.npz", x=batch["x"].astype(np.float64), label=batch["target"])
    return tmp_path


def train(folder, *more, loss="softmax_ce", data="train.npz"):
    given = ["--data", folder / data, "--optimizer-set", "learning_rate=0.02", "--batch-size", 16]
    return ["train", folder / "net.onnx", "--loss", loss, *given, "-o", folder / "o.onnx", *more]


def loss_of(path, arrays):
    session = onnxruntime.InferenceSession(path)
    (logits,) = session.run(None, {"x": arrays["x"].astype(np.float32)})
    return float(lg.gluon.SoftmaxCELoss()(logits, arrays["label"]).mean())


def test_a_model_is_trained_and_keeps_its_form(folder):
    printed = ok(*train(folder, "--epochs", 6))
    assert printed.split() == [str(folder / "o.onnx")]
    arrays = dict(np.load(folder / "train.npz"))
    before, after = (loss_of(folder / name, arrays) for name in ("net.onnx", "o.onnx"))
    assert after < before / 2
    made, original = onnx.load(folder / "o.onnx"), mlp()
    assert made.graph.node == original.graph.node
    assert made.metadata_props == original.metadata_props


def test_a_run_is_that_of_the_trainer(folder):
    described = json.loads(ok(*train(folder, "--epochs", 2, "--seed", 3, "--json")))
    arrays = dict(np.load(folder / "train.npz"))
    arrays["x"] = arrays["x"].astype(np.float32)

    def mean(F, pred, label):
        return F.mean(lg.gluon.SoftmaxCELoss()(pred, label))

    step = lg.training.build(mlp(), mean, optimizer=lg.training.AdamW(learning_rate=0.02))
    trainer = lg.training.Trainer(step)
    right = trainer.fit(lg.training.Batches(arrays, 16, seed=3), 2)
    assert [row["loss"] for row in described["history"]] == right["loss"]
    assert described["steps"] == trainer.steps
    assert onnx.load(folder / "o.onnx") == trainer.export()


def test_validation_patience_and_a_picture(folder):
    pytest.importorskip("matplotlib")
    result = call(
        *train(folder, "--epochs", 40, "--validation-share", 0.2, "--patience", 2),
        "--curve", folder / "curve.png",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert (folder / "curve.png").read_bytes().startswith(b"\x89PNG")
    assert "validation loss" in result.stderr
    assert "× is that of validation" in result.stderr
    lines = [line for line in result.stderr.splitlines() if line.startswith("epoch")]
    assert 3 <= len(lines) < 40
    text = ok(*train(folder, "--epochs", 1, "--validation", folder / "train.npz", "--json"))
    (row,) = json.loads(text)["history"]
    right = loss_of(folder / "o.onnx", dict(np.load(folder / "train.npz")))
    np.testing.assert_allclose(row["validation_loss"], right, rtol=1e-5)


@needs_safetensors
def test_a_run_goes_on(folder):
    path = folder / "run.safetensors"
    ok(*train(folder, "--epochs", 5))
    right = (folder / "o.onnx").read_bytes()
    ok(*train(folder, "--epochs", 3, "--checkpoint", path, "--resume"))
    assert (folder / "o.onnx").read_bytes() != right
    result = call(*train(folder, "--epochs", 5, "--checkpoint", path, "--resume"))
    assert "goes on after 18 steps" in result.stderr
    assert (folder / "o.onnx").read_bytes() == right
    assert "which is missing" in refused(*train(folder, "--resume"))


@pytest.mark.skipif(not PARQUET, reason="pyarrow is not installed")
def test_tables_are_read_by_their_columns(folder):
    import pyarrow
    from pyarrow import csv, parquet

    def save(name, **columns):
        parquet.write_table(pyarrow.table(columns), folder / name)

    arrays = dict(np.load(folder / "train.npz"))
    x, label = arrays["x"], arrays["label"]
    singles = {f"f{i}": x[:, i] for i in range(6)}
    save("rest.parquet", label=label, **singles)
    save("lists.parquet", label=label, x=list(x))
    save("more.parquet", label=label, id=np.arange(90), **singles)
    (folder / "parts").mkdir()
    for i, rows in enumerate((slice(0, 50), slice(50, 90))):
        save(f"parts/{i}.parquet", label=label[rows], x=list(x[rows]))
    csv.write_csv(pyarrow.table({"label": label, **singles}), folder / "rest.csv")
    ok(*train(folder, "--epochs", 2))
    right = (folder / "o.onnx").read_bytes()
    column = f"x={','.join(singles)}"
    for data, more in (
        ("rest.parquet", ()), ("lists.parquet", ()), ("more.parquet", ("--column", column)),
        ("parts", ()), ("rest.csv", ()),
    ):  # fmt: skip
        ok(*train(folder, "--epochs", 2, *more, data=data))
        assert (folder / "o.onnx").read_bytes() == right, data
    assert "has no 'x', float32[N,6]" in refused(*train(folder, data="more.parquet"))
    said = refused(*train(folder, "--column", "x=f0,g1", data="more.parquet"))
    assert "there are no columns ['g1']" in said
    save("holes.parquet", label=label, x=[*list(x[:-1]), None])
    assert "'x' has 1 empty cells" in refused(*train(folder, data="holes.parquet"))
    save("uneven.parquet", label=label, x=[*list(x[:-1]), x[0, :3]])
    assert "have lengths [3, 6]" in refused(*train(folder, data="uneven.parquet"))
    save("text.parquet", label=label, x=["a"] * 90)
    assert "'x' is object, and not numbers" in refused(*train(folder, data="text.parquet"))
    (folder / "none.parquet").write_bytes(b"PAR1")
    assert "is no whole file of Parquet" in refused(*train(folder, data="none.parquet"))


def test_a_dry_run_tells_what_is_trained_and_what_not(folder):
    result = call("train", folder / "net.onnx", "--loss", "softmax_ce", "--dry-run",
                  "--frozen", "0.*")  # fmt: skip
    assert result.exit_code == 0, result.output
    rows = [line.split(maxsplit=3) for line in result.stdout.splitlines()]
    assert [row[:3] for row in rows[1:]] == [
        ["0.weight", "8x6", "48"], ["0.bias", "8", "8"], ["2.weight", "3x8", "24"],
        ["2.bias", "3", "3"],
    ]  # fmt: skip
    assert [row[3].startswith("no: ") for row in rows[1:]] == [True, True, False, False]
    assert "trains 27 elements in 2 of 4 weights, of x, label" in result.stderr
    text = ok("train", folder / "net.onnx", "--loss", "nn.CrossEntropyLoss", "--dry-run", "--json")
    described = json.loads(text)
    assert [weight["trained"] for weight in described["weights"]] == [True] * 4
    assert described["batch"] == ["x", "target"]
    assert not (folder / "o.onnx").exists()


def test_what_does_not_fit_is_refused(folder):
    x = np.zeros((5, 6), np.float32)

    def data(**arrays):
        np.savez(folder / "bad.npz", **arrays)
        return refused(*train(folder, data="bad.npz"))

    assert "has no 'label', int64[N]: it has ['x', 'y']; rename" in data(x=x, y=np.zeros(5, int))
    assert "'label' is float64 with values that int64 has not, like 0.5" in data(
        x=x, label=np.full(5, 0.5)
    )
    assert "all need the same number of samples" in data(x=x, label=np.zeros(4, int))
    assert "label[0] is 3, which is not one of the 3 allowed" in data(x=x, label=np.full(5, 3))
    assert "x: axis 1" in data(x=x[:, :4], label=np.zeros(5, int))
    assert "is no table: expected Parquet, CSV or Arrow IPC" in refused(
        *train(folder, data="net.onnx")
    )
    assert "no such file" in refused(*train(folder, data="none.npz"))
    (folder / "broken.npz").write_bytes(b"PK\x03\x04")
    assert "is no file of NumPy's arrays" in refused(*train(folder, data="broken.npz"))
    assert "expected a number from 0" in refused(*train(folder, "--validation-share", 1))
    assert "no optimizer is called" in refused(*train(folder, "--optimizer", "adamx"))
    assert "--data FILE is missing" in refused(
        "train", folder / "net.onnx", "--loss", "softmax_ce", "-o", folder / "o.onnx"
    )
    assert "which is read: write to another file" in refused(
        *train(folder, "-o", folder / "net.onnx")
    )
    assert not (folder / "o.onnx").exists()


def test_a_run_that_comes_to_nan_fails(folder):
    np.savez(folder / "nan.npz", x=np.full((5, 6), np.nan), label=np.zeros(5, int))
    result = call(*train(folder, data="nan.npz"))
    assert result.exit_code == 1
    assert "step 1: the loss is NaN" in result.stderr
    assert not (folder / "o.onnx").exists()
