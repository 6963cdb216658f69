"""The tool that runs models in several engines: what it compares, says and survives."""

from __future__ import annotations

import functools
import json
import shutil
import sys
from dataclasses import dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from ctc_oracle import oracle
from lossgraph import gluon
from lossgraph.catalogue import entries
from lossgraph.compare import differences
from lossgraph.deploy.export import export_folder
from support import TOOLS, load_from

pytestmark = pytest.mark.once


pytest.importorskip("rich")
onnxruntime = pytest.importorskip("onnxruntime")


load = functools.partial(load_from, "engines")
adapters, cases, exchange = map(load, ("adapters", "cases", "exchange"))
command, gallery, known, matrix = map(load, ("__main__", "gallery", "known", "matrix"))

ONNX = tuple(int(part) for part in onnx.__version__.split(".")[:2])
# onnx before 1.22 takes as many states of a Scan as it has sequences.
HERE = ["onnxruntime", "onnx.reference"] if ONNX >= (1, 22) else ["onnxruntime"]
SMALL = {case.name: replace(case, sizes=case.sizes[:2]) for case in gallery.CASES}
INPUTS = {"pred": ("float32", ("N", "C")), "label": ("float32", ("N", "C"))}


@pytest.fixture
def exported(tmp_path):
    """A folder that `lossgraph export` could have written."""
    export_folder(gluon.L2Loss(), INPUTS, tmp_path / "l2", grad=("pred",))
    return tmp_path / "l2"


@dataclass
class Fake:
    """An engine that changes what ONNX Runtime gives."""

    name: str
    change: Any = None
    kinds: tuple[str, ...] = ()

    def version(self):
        if self.change is None:
            raise adapters.MissingError("it is a fake")
        return "1.0"

    def run(self, jobs, step=lambda: None):
        found = []
        for job in jobs:
            session = onnxruntime.InferenceSession(job.model, providers=["CPUExecutionProvider"])
            names = [output.name for output in session.get_outputs()]
            found.append([self._changed(names, session.run(None, feed)) for feed in job.feeds])
            step()
        return found

    def _changed(self, names, values):
        try:
            return {n: self.change(value) for n, value in zip(names, values, strict=True)}
        except NotImplementedError as error:
            return exchange.Refusal(f"NotImplementedError: {error}")


def fake(change, name="fake"):
    return Fake(name, change)


ORT = fake(lambda value: value, "right")
ABSENT = Fake("absent")


# --- comparing ---


def deviation(actual, expected, dtype="float32", **named):
    return differences.deviation("y", np.array(actual, dtype), np.array(expected, dtype), **named)


@pytest.mark.parametrize("values", [
    [], 1.5, [0.0, -0.0], [np.nan, 1.0], [np.inf, -np.inf], [1e30, -1e-30],
])  # fmt: skip
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_equal_numbers_have_no_error(values, dtype):
    values = np.clip(values, -6e4, 6e4) if dtype == "float16" else values
    assert deviation(values, values, dtype) == differences.Deviation(0.0, 0.0)


@pytest.mark.parametrize(("actual", "expected"), [
    (np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0), (1.0, np.inf), (np.inf, -np.inf), (np.nan, np.inf),
])  # fmt: skip
def test_what_is_no_number_is_no_other_number(actual, expected):
    found = deviation([0.0, actual], [0.0, expected])
    assert found.error == found.share == np.inf
    assert found.wrong.startswith("y[1] is ")


def test_an_error_is_relative_or_absolute():
    assert deviation([100.005], [100.0]).error == pytest.approx(5e-5, rel=1e-2)
    assert deviation([5e-6], [0.0]).error == pytest.approx(5e-6)
    assert not deviation([100.005], [100.0]).wrong
    assert not deviation([5e-6], [0.0]).wrong
    assert deviation([100.02], [100.0]).wrong == "y[0] is 100.02 instead of 100"
    assert deviation([0.0, 5e-5], [0.0, 0.0]).wrong.endswith("(1 of 2 elements)")
    assert not deviation([5e-5], [0.0], tolerance=differences.Tolerance(0.0, 1e-4)).wrong


def test_integers_are_exact():
    assert not deviation([1, 2], [1, 2], "int64").wrong
    loose = differences.Tolerance(1.0, 1.0)
    assert deviation([1, 3], [1, 2], "int64", tolerance=loose).wrong == (
        "y[1] is 3 instead of 2 (1 of 2 elements)"
    )
    assert deviation([True], [False], "bool").wrong


def test_another_shape_or_dtype_is_wrong():
    one = np.zeros(1, np.float32)
    assert "float32[1] instead of float32[]" in differences.deviation("y", one, one[0]).wrong
    assert (
        "float32[1] instead of float64[1]"
        in differences.deviation("y", one, one.astype(float)).wrong
    )
    assert differences.deviation("y", None, one).wrong == "y is missing"


def test_the_worst_output_is_found():
    expected = {"a": np.zeros(2), "b": np.zeros(2)}
    found = differences.worst({"a": np.zeros(2), "b": np.array([0, 1e-3])}, expected)
    assert found.wrong.startswith("b[1]")
    assert differences.worst({"a": np.zeros(2)}, expected).wrong == "b is missing"


# --- what is expected ---


@pytest.mark.parametrize("name", ["gluon.CTCLoss, no lengths", "gluon.CTCLoss, lengths"])
def test_what_is_expected_is_the_sum_over_alignments(name, tmp_path):
    subject = cases.write(SMALL[name], tmp_path)[1]
    for data in subject.data:
        loss, grad = oracle(*data.inputs.values())
        np.testing.assert_allclose(data.outputs["loss"], loss, rtol=1e-6, atol=1e-7)
        np.testing.assert_allclose(data.outputs["grad_pred"], grad, rtol=1e-6, atol=1e-7)


def test_slopes_in_a_batch_are_those_taken_one_by_one():
    case = SMALL["gluon.CTCLoss, TNC, TN, int32, weights"]
    arrays = case.data(case, case.sizes[0], 0)
    together = load("expected").expected_outputs(case.block, arrays, case.wrt, cases._axes(case))
    alone = load("expected").expected_outputs(case.block, arrays, case.wrt)
    assert list(alone) == ["loss", "grad_pred", "grad_sample_weight"]
    for key, value in alone.items():
        np.testing.assert_allclose(together[key], value, rtol=1e-6, atol=1e-7)


def test_rows_of_all_kinds():
    case = SMALL["nn.CTCLoss, none"]
    case = replace(case, sizes=gallery.SIZES)
    drawn = [case.data(case, sizes, seed) for seed, sizes in enumerate(case.sizes)]
    lengths = np.concatenate([arrays["target_lengths"] for arrays in drawn])
    steps = np.concatenate([arrays["input_lengths"] for arrays in drawn])
    assert {0, 2, 3} <= set(lengths)
    assert len(set(steps)) > 3
    rows = [
        row[:n] for arrays in drawn for row, n in zip(*list(arrays.values())[1::2], strict=True)
    ]
    assert any(len(row) > 1 and len(set(row)) == 1 for row in rows)
    assert not any((row == 0).any() for row in rows)  # the blank


def test_names_of_the_gallery_are_its_own():
    names = [case.name for case in gallery.CASES] + [entry.name for entry in entries()]
    assert len(set(names)) == len(names)
    assert all(len(case.sizes) > 1 for case in gallery.CASES)


# --- the matrix ---


@pytest.mark.parametrize("name", ["gluon.CTCLoss, lengths", "nn.CTCLoss, none"])
def test_engines_agree_with_what_is_expected(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "CASES", [SMALL[name]])
    monkeypatch.setattr(command, "entries", tuple)
    page, results = tmp_path / "page.md", tmp_path / "results.json"
    chosen = [f"--engine={engine}" for engine in HERE]
    assert command.main([*chosen, f"--markdown={page}", f"--json={results}"]) == 0
    captured = capsys.readouterr()
    assert f"{name} training" in captured.out
    assert captured.err.splitlines()[0] == f"conformance: exporting {name}"
    found = json.loads(results.read_text())
    assert found["ok"] is True
    assert [engine["name"] for engine in found["engines"]] == HERE
    assert [model["name"] for model in found["models"]] == [f"{name} value", f"{name} training"]
    for model in found["models"]:
        assert model["runs"] == 2
        assert 0 < max(result["error"] for result in model["results"].values()) < 1e-5
    lines = page.read_text().splitlines()
    assert f"| loss | {' | '.join(HERE)} |" in lines
    for engine in HERE:
        assert f"| {engine} | {adapter_version(engine)} | 2 | 0 | 0 | 0 | 2 |" in lines


def adapter_version(name):
    return next(engine for engine in adapters.engines() if engine.name == name).version()


def test_a_folder_of_an_export(exported, capsys):
    assert command.main([str(exported)], [ORT]) == 0
    assert "l2 value" in capsys.readouterr().out


def test_a_wrong_engine_is_noticed(exported, tmp_path, capsys):
    off = fake(lambda value: value + np.float32(1e-2))
    assert command.main([str(exported), f"--json={tmp_path / 'x'}"], [ORT, off]) == 1
    out = capsys.readouterr().out
    assert "wrong [1]" in out
    assert "[1] fake: test_data_set_0: loss[0] is " in out
    found = json.loads((tmp_path / "x").read_text())
    assert found["ok"] is False
    assert [result["ok"] for result in found["models"][0]["results"].values()] == [True, False]


def test_an_engine_that_gives_another_shape_is_noticed(exported, capsys):
    assert command.main([str(exported)], [fake(lambda value: value[None])]) == 1
    assert "loss is float32[1, 4] instead of float32[4]" in capsys.readouterr().out


def test_an_engine_can_be_left_out(exported, capsys):
    off = fake(lambda value: value + 1, "off")
    assert command.main([str(exported), "--without=off"], [ORT, off]) == 0
    assert "off" not in capsys.readouterr().out


def test_an_engine_that_is_only_tried_fails_nothing(exported, capsys):
    off = fake(lambda value: value + 1, known.TRIED[0])
    assert command.main([str(exported)], [ORT, off]) == 0
    assert "wrong" in capsys.readouterr().out


def test_an_engine_that_refuses_fails(exported, tmp_path, capsys):
    def refuse(value):
        raise NotImplementedError("no such operator | ever")

    page = tmp_path / "page.md"
    assert command.main([str(exported), f"--markdown={page}"], [fake(refuse)]) == 1
    assert "[1] fake: NotImplementedError: no such operator | ever" in capsys.readouterr().out
    assert r"refused \[1\]" in page.read_text()
    assert r"no such operator \| ever" in page.read_text()


def test_what_is_wrong_says_more_than_what_is_refused(exported):
    subject = load("subjects").read_folder(exported)[0]
    subject = replace(subject, data=subject.data * 2)
    cell = matrix.judge(subject, [exchange.Refusal("no"), {"loss": np.ones(4, np.float32)}])
    assert cell.refused == "test_data_set_0: no"
    assert cell.said == cell.wrong != ""
    assert cell.error is None


def test_an_engine_that_is_not_installed_is_left_out(exported, tmp_path, capsys):
    page = tmp_path / "page.md"
    assert command.main([str(exported), f"--markdown={page}"], [ORT, ABSENT]) == 0
    captured = capsys.readouterr()
    assert "not installed" in captured.out
    assert "absent: not installed" in captured.err
    assert "| absent | not installed | - | - | - | - | - |" in page.read_text()


def test_an_engine_that_is_named_has_to_be_installed(exported, capsys):
    assert command.main([str(exported), "--engine=absent"], [ORT, ABSENT]) == 2
    assert "absent: not installed: it is a fake" in capsys.readouterr().err


def test_an_engine_may_run_some_models_unless_it_is_named(exported, capsys):
    slow = replace(ORT, name="slow", kinds=("training",))
    assert command.main([str(exported)], [ORT, slow]) == 0
    assert "slow: 1 models: 1 right" in capsys.readouterr().out
    assert command.main([str(exported), "--engine=slow"], [ORT, slow]) == 0
    assert "slow: 2 models: 2 right" in capsys.readouterr().out


def test_folders_of_namespaces(tmp_path, capsys):
    for namespace in ("gluon", "nn"):
        folder = tmp_path / namespace / "L1Loss"
        types = dict(zip(("pred", "label"), INPUTS.values(), strict=True))
        export_folder(gluon.L1Loss(), types, folder, grad=("pred",))
    assert command.main([str(tmp_path)], [ORT]) == 0
    out = capsys.readouterr().out
    assert "gluon.L1Loss training" in out
    assert "nn.L1Loss value" in out


def test_a_page(exported, tmp_path):
    def change(value):
        if value.ndim == 2:
            raise NotImplementedError("<b>&")
        return value + np.float32(1e-2)

    path = tmp_path / "page.html"
    assert command.main([str(exported), f"--html={path}"], [ORT, fake(change), ABSENT]) == 1
    page = path.read_text()
    assert '<td class="wrong">wrong <a href="#note-1">[1]</a>, refused' in page
    assert '<td class="right">' in page
    assert "NotImplementedError: &lt;b&gt;&amp;" in page
    assert page.index('id="note-2"') < page.index("<h2>others</h2>")
    assert "not installed" in page
    parser = Balance()
    parser.feed(page)
    assert parser.open == []


class Balance(HTMLParser):
    """Notices elements that are not closed."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize("engine", adapters.engines(Path("nowhere"))[2:], ids=lambda e: e.name)
def test_environments_that_are_not_there(engine):
    with pytest.raises(adapters.MissingError, match="--install"):
        engine.version()


def test_a_known_defect_does_not_fail(exported, monkeypatch, capsys):
    entry = known.Known("fake", "l2 value", "loss[0] is", "it adds")
    monkeypatch.setattr(known, "KNOWN", (entry,))
    off = fake(lambda value: value + np.float32(1e-2))
    assert command.main([str(exported)], [off]) == 1
    assert "known [1]" in (out := capsys.readouterr().out)
    assert "[1] fake: it adds (test_data_set_0: loss[0]" in out
    monkeypatch.setattr(known, "KNOWN", (entry, entry._replace(model="l2 training", says="grad_")))
    assert command.main([str(exported)], [off]) == 0


# --- wrong use ---


@pytest.mark.parametrize("wrong", [["--engine", "none"], ["--variants"], ["--opset", "x"]])
def test_unknown_options_exit_with_2(wrong):
    with pytest.raises(SystemExit, match="2"):
        command.main(wrong)


@pytest.mark.parametrize(("arguments", "said"), [
    (["nowhere"], "nowhere"), (["--only", "no such loss"], "no such loss"),
    (["--loss", "hubert"], "HuberLoss"), (["--opset", "7", "--only", "gluon.CTCLoss"], "7"),
])  # fmt: skip
def test_wrong_use_exits_with_2(arguments, said, capsys):
    assert command.main(arguments, [ORT]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert said in captured.err


def test_models_without_outputs_to_compare_with_exit_with_2(exported, capsys):
    shutil.rmtree(exported / "test_data_set_0")
    assert command.main([str(exported)], [ORT]) == 2
    assert "test_data_set_0/output_0.pb" in capsys.readouterr().err


def test_without_any_engine_it_exits_with_2(exported, capsys):
    assert command.main([str(exported)], [ABSENT]) == 2
    assert "none of these engines is installed" in capsys.readouterr().err


# --- static shapes and other losses ---


def test_static_models_name_no_dim(tmp_path):
    case = SMALL["gluon.CTCLoss, lengths"].as_static()
    value, _ = cases.write(case, tmp_path)
    graph = onnx.load(value.model).graph
    assert all(dim.dim_value for info in graph.input for dim in info.type.tensor_type.shape.dim)
    assert len(value.data) == 1


def test_a_loss_of_the_catalogue(capsys):
    arguments = ["--loss", "huber", "--static"]
    assert command.main(arguments, [ORT]) == 0
    out = capsys.readouterr().out
    assert "gluon.HuberLoss training" in out
    assert "gluon.HuberLoss, static value" in out


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_a_loss_in_another_dtype(dtype, tmp_path, capsys):
    arguments = ["--loss", "huber", "--dtype", dtype, "-o", str(tmp_path)]
    assert command.main(arguments, [ORT]) == 0
    assert f"gluon.HuberLoss, {dtype} training" in capsys.readouterr().out
    (model, *_) = tmp_path.glob("*/training.onnx")
    elements = {info.type.tensor_type.elem_type for info in onnx.load(model).graph.input}
    assert elements == {onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))}


def test_a_case_of_the_catalogue_is_run_at_other_sizes_and_at_edge_cases(tmp_path):
    _, training = cases.write(cases.from_catalogue("nn.CrossEntropyLoss"), tmp_path)
    assert [data.label for data in training.data] == [
        "usual sizes", "N=3, C=7, D=4", "N=1", "N=0", "edge cases",
    ]  # fmt: skip
    logits, label = training.data[-1].inputs.values()
    assert set(np.unique(np.abs(logits))) <= {0, 1, 1e4}
    wide = logits.astype(np.float64)
    shares = np.exp(wide - wide.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    expected = (shares - np.eye(logits.shape[1])[label]) / len(label)
    np.testing.assert_allclose(training.data[-1].outputs["grad_input"], expected, atol=1e-6)


@pytest.mark.parametrize(("name", "wrt"), [
    ("nn.CrossEntropyLoss", "input"),
    ("losses.dpo", "policy_chosen policy_rejected"),
    ("nn.TripletMarginLoss", "anchor positive negative"),
])  # fmt: skip
def test_gradients_by_all_that_is_predicted(name, wrt):
    assert cases.from_catalogue(name).wrt == tuple(wrt.split())


# --- engines in other processes ---

WORKER = """\
import sys
sys.path.append({path!r})
from exchange import serve

def run(job):
    print("not an answer")
    if job.model.name == "deadly":
        sys.exit("it was deadly")
    return job.feeds

serve("1.2.3", run)
"""


def echoing(tmp_path):
    """An engine whose outputs are its inputs, and that dies of some models."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER.format(path=str(TOOLS / "engines")))
    return adapters.Process("echo", (sys.executable, str(script)), tmp_path)


FEED = {
    "matrix": np.arange(6, dtype=np.float32).reshape(2, 3),
    "number": np.array(1.5),
    "empty": np.zeros((0, 3), np.float32),
    "labels": np.array([[-1, 2**40]]),
    "mask": np.array([True, False]),
    "small": np.array([1.5, np.inf, np.nan], np.float16),
    "turned": np.arange(6, dtype=np.int32).reshape(2, 3).T,
}


def assert_same(actual, expected):
    assert list(actual) == list(expected)
    for name, array in expected.items():
        assert actual[name].dtype == array.dtype
        np.testing.assert_array_equal(actual[name], array, strict=True)


def test_tensors_survive_the_exchange(tmp_path):
    engine = echoing(tmp_path)
    assert engine.version() == "1.2.3"
    ((first, second),) = engine.run([exchange.Job(tmp_path / "model", (FEED, {}))])
    assert_same(first, FEED)
    assert second == {}


def test_a_process_that_dies_takes_no_other_model_with_it(tmp_path):
    jobs = [exchange.Job(tmp_path / name, (FEED,)) for name in ("fine", "deadly", "good")]
    (before,), (refusal,), (after,) = echoing(tmp_path).run(jobs)
    assert refusal == exchange.Refusal("the process ended with 1: it was deadly")
    assert_same(before, FEED)
    assert_same(after, FEED)


STUB = """\
class Tensor {
  constructor(type, data, dims) { Object.assign(this, { type, data, dims }); }
}
const session = {
  run: async (feeds) => {
    if (feeds.number === undefined) throw new Error("no number");
    return feeds;
  },
  release: async () => {},
};
const create = async (bytes, { executionProviders }) => {
  const model = Buffer.from(bytes).toString();
  if (model !== "model" || executionProviders[0] !== "cpu") throw new Error("no model");
  return session;
};
module.exports = { Tensor, InferenceSession: { create }, env: {} };
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no Node.js")
def test_tensors_survive_javascript(tmp_path):
    package = tmp_path / "node" / "node_modules" / "onnxruntime-node"
    package.mkdir(parents=True)
    (package / "index.js").write_text(STUB)
    (package / "package.json").write_text('{"version": "4.5.6"}')
    for name in ("model", "other"):
        (tmp_path / name).write_text(name)
    engine = next(e for e in adapters.engines(tmp_path) if e.name == "onnxruntime-node")
    assert engine.version() == "4.5.6"
    jobs = [exchange.Job(tmp_path / "model", (FEED, {})), exchange.Job(tmp_path / "other", (FEED,))]
    (same, failed), (refused,) = engine.run(jobs)
    assert_same(same, FEED)
    assert failed == exchange.Refusal("no number")
    assert refused == exchange.Refusal("no model")


SCRIPT = """\
window.ort = {
  env: { wasm: {} },
  Tensor: class { constructor(type, data, dims) { Object.assign(this, { type, data, dims }); } },
  InferenceSession: { create: async (bytes, { executionProviders }) => {
    const model = new TextDecoder().decode(bytes);
    if (model === "deadly") throw new WebAssembly.RuntimeError("unreachable");
    if (model !== "model" || executionProviders[0] !== "wasm") throw new Error("no model");
    return { run: async (feeds) => feeds, release: async () => {} };
  } },
};
"""


def test_tensors_survive_a_browser(tmp_path):
    pytest.importorskip("playwright")
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("there is no Chromium")
    (tmp_path / "dist").mkdir()
    (tmp_path / "dist" / "ort.wasm.min.js").write_text(SCRIPT)
    (tmp_path / "package.json").write_text('{"version": "7.8.9"}')
    for name in ("model", "other", "deadly"):
        (tmp_path / name).write_text(name)
    worker = str(TOOLS / "engines" / "chromium_worker.py")
    engine = adapters.Process("chromium", (sys.executable, worker, str(tmp_path)), tmp_path)
    assert engine.version().endswith(", onnxruntime-web 7.8.9")
    jobs = [exchange.Job(tmp_path / name, (FEED,)) for name in ("other", "deadly", "model")]
    (refused,), (dead,), (same,) = engine.run(jobs)
    assert refused == exchange.Refusal("no model")
    assert "RuntimeError: unreachable" in dead.reason
    assert_same(same, FEED)


def test_an_engine_that_hangs_is_ended(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text("import time\ntime.sleep(60)")
    engine = adapters.Process("slow", (sys.executable, str(script)), tmp_path, seconds=0.5)
    steps = []
    ((refused,),) = engine.run([exchange.Job(tmp_path / "x", ({},))], lambda: steps.append(1))
    assert refused == exchange.Refusal("the process took longer than 0 s")
    assert steps == [1]
