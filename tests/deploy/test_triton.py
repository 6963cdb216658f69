"""Model repositories of Triton: the files, without the server (which tests/servers starts)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import lossgraph as lg
from command_line import ok, refused
from lossgraph import gluon, nn
from lossgraph.authoring.functions import as_loss
from lossgraph.catalogue import entries, example_types
from lossgraph.deploy.example_inputs import draw_inputs
from lossgraph.deploy.triton import export_repository, model_files
from lossgraph.errors import InputError
from lossgraph.models.model_runner import ModelRunner

CE = {"pred": ("float32", ("N", "C")), "label": ("int64", ("N",))}
PAIR = dict.fromkeys(("pred", "label"), ("float32", ("N", "C")))

ARGS = ("--input", "pred:float32:N,C", "--input", "label:float32:N,C")

GOLDEN = """\
# written by lossgraph export
name: "ce_training"
backend: "onnxruntime"
max_batch_size: 4096
input [
  {
    name: "pred"
    data_type: TYPE_FP32
    dims: [ -1 ]
  },
  {
    name: "label"
    data_type: TYPE_INT64
    dims: [ 1 ]
    reshape: { shape: [ ] }
  }
]
output [
  {
    name: "loss"
    data_type: TYPE_FP32
    dims: [ 1 ]
    reshape: { shape: [ ] }
  },
  {
    name: "grad_pred"
    data_type: TYPE_FP32
    dims: [ -1 ]
  }
]
dynamic_batching { }
instance_group [ { kind: KIND_CPU count: 1 } ]
"""

# ONNX's names of types, and Triton's
TYPES = {
    "FLOAT16": "FP16", "BFLOAT16": "BF16", "FLOAT": "FP32", "DOUBLE": "FP64", "BOOL": "BOOL",
    "INT8": "INT8", "INT16": "INT16", "INT32": "INT32", "INT64": "INT64",
    "UINT8": "UINT8", "UINT16": "UINT16", "UINT32": "UINT32", "UINT64": "UINT64",
}  # fmt: skip

# Of those whose inputs and outputs all have the batch in front: no sample stands for itself.
TOGETHER = {
    "gluon.SDMLLoss", "losses.batch_hard_triplet", "losses.circle", "losses.cox_partial_likelihood",
    "losses.generalized_dice", "losses.info_nce", "losses.n_pair", "losses.siglip", "losses.supcon",
}  # fmt: skip


def exported(loss: Any, types: Any, grad: Any = (), **options: Any) -> tuple[str, onnx.ModelProto]:
    """The configuration and the model of a loss."""
    files = model_files("m", loss.program(types, grad=grad), **options)
    assert list(files) == ["m/config.pbtxt", "m/1/model.onnx"]
    return files["m/config.pbtxt"].decode(), onnx.load_from_string(files["m/1/model.onnx"])


def most(config: str) -> int:
    (line,) = (line for line in config.splitlines() if line.startswith("max_batch_size"))
    return int(line.split()[1])


def content(folder: Path) -> dict[str, bytes]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_the_configuration_golden() -> None:
    files = model_files("ce_training", gluon.SoftmaxCELoss().program(CE, grad=["pred"]))
    assert files["ce_training/config.pbtxt"].decode() == GOLDEN


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_configuration_is_that_of_its_model(entry: Any) -> None:
    """As protobuf reads it, with the messages of Triton's client."""
    module = pytest.importorskip("tritonclient.grpc.model_config_pb2")
    from google.protobuf import text_format

    loss = entry.make()
    types = example_types(loss)
    text, model = exported(loss, types, [next(iter(types))])
    config = text_format.Parse(text, module.ModelConfig())
    batched = config.max_batch_size > 0
    assert config.HasField("dynamic_batching") == batched
    graph = model.graph
    for said, there in ((config.input, graph.input), (config.output, graph.output)):
        assert [tensor.name for tensor in said] == [info.name for info in there]
        for tensor, info in zip(said, there, strict=True):
            kind = info.type.tensor_type
            code = onnx.TensorProto.DataType.Name(kind.elem_type)
            assert module.DataType.Name(tensor.data_type) == f"TYPE_{TYPES[code]}"
            shape = [d.dim_value if d.HasField("dim_value") else -1 for d in kind.shape.dim]
            assert not batched or shape.pop(0) == -1
            assert (
                list(tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims) == shape
            )
            assert tensor.dims


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_what_batches_gives_each_sample_the_same_alone(entry: Any) -> None:
    """And what could, by its shapes, and does not, gives another."""
    loss = entry.make()
    types = example_types(loss)
    program = loss.program(types, grad=[next(iter(types))])
    files = model_files("m", program)
    shapes = [node.type.shape for node in (*program.inputs, *program.outputs.values())]
    in_front = {str(shape[0]) if shape else "" for shape in shapes} == {"N"}
    batched = most(files["m/config.pbtxt"].decode()) > 0
    assert batched == (in_front and entry.name not in TOGETHER)
    if not in_front:
        return
    runner = ModelRunner(onnx.load_from_string(files["m/1/model.onnx"]))
    arrays = draw_inputs(loss, program, {"N": 8})
    whole = runner.run(arrays)
    cut = [
        {name: array[part] for name, array in arrays.items()} for part in (slice(5), slice(5, 8))
    ]
    parts = [runner.run(part) for part in cut]
    same = [
        np.allclose(np.concatenate([part[name] for part in parts]), value, rtol=1e-4, atol=1e-5)
        for name, value in whole.items()
    ]
    assert all(same) == batched


def test_reduced_losses_and_those_with_weights_never_batch() -> None:
    types = {"input": ("float32", ("N", "C")), "target": ("int64", ("N",))}
    weights = {**types, "weight": ("float32", ("C",))}
    assert most(exported(nn.CrossEntropyLoss(reduction="none"), types)[0]) == 4096
    assert most(exported(nn.CrossEntropyLoss(reduction="none"), weights)[0]) == 0
    for reduction in ("mean", "sum"):
        text, model = exported(nn.CrossEntropyLoss(reduction=reduction), types, ["input"])
        assert "dynamic_batching" not in text
        assert [d.dim_value for d in model.graph.output[0].type.tensor_type.shape.dim] == [1]


def test_other_reasons_not_to_batch() -> None:
    loss = gluon.L2Loss()
    static = dict.fromkeys(("pred", "label"), ("float32", (8, "C")))
    flat = {"pred": ("float32", ("N", 3)), "label": ("float32", ("M",))}  # where M = 3 N
    for types in (static, flat):
        assert most(exported(loss, types)[0]) == 0
    assert most(exported(gluon.L2Loss(batch_axis=1), PAIR)[0]) == 0
    assert most(exported(loss, PAIR, max_batch_size=0)[0]) == 0
    assert most(exported(loss, PAIR, max_batch_size=7)[0]) == 7

    def divided(F: Any, pred: Any, label: Any) -> Any:
        return F.sum(F.square(pred - label), axis=1) / pred.shape[0]

    assert most(exported(as_loss(divided), PAIR)[0]) == 0


def test_scalars_have_an_axis_and_the_numbers_stay() -> None:
    loss = gluon.HuberLoss(rho=lg.Input("rho"))
    text, model = exported(loss, PAIR, ["pred", "rho"])
    assert 'name: "rho"\n    data_type: TYPE_FP32\n    dims: [ 1 ]\n  }' in text
    rng = np.random.default_rng(0)
    arrays = {name: rng.normal(size=(4, 3)).astype(np.float32) for name in PAIR}
    answer = ModelRunner(model).run({**arrays, "rho": np.float32([0.5])})
    rho = np.array(0.5, np.float32)
    value, grads = loss.value_and_grad(**arrays, rho=rho, wrt=("pred", "rho"))
    np.testing.assert_allclose(answer["loss"], value, rtol=1e-6)
    np.testing.assert_allclose(answer["grad_pred"], grads["pred"], rtol=1e-6)
    np.testing.assert_allclose(answer["grad_rho"], grads["rho"][None], rtol=1e-6)


@pytest.mark.parametrize(
    ("dtype", "said"),
    [("float16", "FP16"), ("bfloat16", "BF16"), ("float64", "FP64")],
)
def test_floats(dtype: str, said: str) -> None:
    text, _ = exported(gluon.L1Loss(), dict.fromkeys(PAIR, (dtype, ("N", 3))))
    assert text.count(f"data_type: TYPE_{said}\n") == 3
    assert text.count("dims: [ 3 ]") == 2


def test_an_axis_of_no_length_is_refused() -> None:
    with pytest.raises(InputError, match=r"pred is float32\[N,0\]: Triton takes no axis of length"):
        exported(gluon.L1Loss(), dict.fromkeys(PAIR, ("float32", ("N", 0))))


# --- the repository ---


def test_two_models_the_second_with_gradients(tmp_path: Path) -> None:
    files = export_repository(gluon.SoftmaxCELoss(), CE, tmp_path, ["pred"], name="ce")
    names = ["ce/1/model.onnx", "ce/config.pbtxt"]
    both = [*names, *(name.replace("ce/", "ce_training/") for name in names)]
    assert sorted(content(tmp_path)) == sorted(both)
    assert sorted(path.relative_to(tmp_path).as_posix() for path in files) == sorted(both)
    models = [onnx.load(tmp_path / name / "1/model.onnx") for name in ("ce", "ce_training")]
    outputs = [[info.name for info in model.graph.output] for model in models]
    assert outputs == [["loss"], ["loss", "grad_pred"]]
    before = content(tmp_path)
    export_repository(gluon.SoftmaxCELoss(), CE, tmp_path, ["pred"], name="ce")
    assert content(tmp_path) == before


def test_models_of_others_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "ce").mkdir()
    for text in (None, 'name: "ce"'):
        if text:
            (tmp_path / "ce/config.pbtxt").write_text(text)
        with pytest.raises(InputError, match="ce is there and of no earlier export"):
            export_repository(gluon.SoftmaxCELoss(), CE, tmp_path, name="ce")
    assert content(tmp_path) == {"ce/config.pbtxt": b'name: "ce"'}
    export_repository(gluon.L2Loss(), PAIR, tmp_path)
    assert (tmp_path / "L2Loss/config.pbtxt").is_file()


@pytest.mark.parametrize("name", ["", "a/b", "..", "-x", ".x", 'a"', "a b"])
def test_names_that_are_none(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot name a model"):
        export_repository(gluon.L2Loss(), PAIR, tmp_path, name=name)
    assert content(tmp_path) == {}


# --- the command ---


def test_the_command_writes_a_repository(tmp_path: Path) -> None:
    args = ("export", "huber", "--grad", "pred", "--triton", tmp_path / "models")
    args = (*args, "--triton-name", "h")
    lines = ok(*args, "--triton-gpu", "--triton-batch", 64).splitlines()
    assert lines[0] == str(tmp_path / "models/h/config.pbtxt")
    text = (tmp_path / "models/h_training/config.pbtxt").read_text()
    assert "max_batch_size: 64\n" in text
    assert "KIND_GPU" in text
    printed = json.loads(ok(*args, "-o", tmp_path / "out", "--json"))
    assert printed["folder"] == str(tmp_path / "out")
    assert printed["triton"] == str(tmp_path / "models")
    assert str(tmp_path / "out/value.onnx") in printed["files"]
    assert str(tmp_path / "models/h/1/model.onnx") in printed["files"]


def test_the_command_needs_a_place(tmp_path: Path) -> None:
    assert "say where to write: --output DIR, or --triton DIR" in refused("export", "huber")
    assert "cannot name a model" in refused(
        "export", "huber", *ARGS, "--triton", tmp_path, "--triton-name", "a b"
    )
    assert "go with --triton DIR" in refused("export", "huber", "-o", tmp_path, "--triton-gpu")
