"""``lossgraph compare``: what agrees with what, and how it says so."""

from __future__ import annotations

import json
import re
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

import command_line
from lossgraph.catalogue import ALIASES, entries, example_types, lookup
from lossgraph.cli import compare as compare_command
from lossgraph.cli import output
from lossgraph.compare import equivalents, external_frameworks
from lossgraph.compare.comparison import compare
from lossgraph.compare.differences import deviation
from lossgraph.compare.edge_cases import edge_cases, kind_of, mixed_edges
from lossgraph.compare.external_frameworks import Job
from lossgraph.compare.outputs import named_outputs
from lossgraph.compare.own_engines import Subject
from lossgraph.deploy.example_inputs import draw_inputs
from support import ROOT

MXNET = ROOT / ".venvs" / "bench-mxnet"

# A framework of numpy alone: losses that are functions of arrays, with gradients written by hand.
FAKE = """
import numpy as np

__version__ = "1.2.3"


def MSELoss(input, target, reduction="mean"):
    each = (input - target) ** 2
    return each.mean(), {"input": 2 * (input - target) / each.size}


def L1Loss(input, target, reduction="mean"):
    each = np.abs(input - target)
    return each.mean(), {"input": np.sign(input - target) / each.size * (1 + SLIP)}


def HuberLoss(input, target, reduction="mean", delta=1.0):
    raise RuntimeError("no kernel\\nfor this")


SLIP = {slip}
"""


def call(*args: object) -> tuple[int, str, str]:
    result = command_line.call("compare", *args)
    assert "Traceback" not in result.stderr
    return result.exit_code, result.stdout, result.stderr


def rows_of(*args: object, code: int = 0) -> list[dict]:
    found, out, err = call(*args, "--json")
    assert found == code, out + err
    return json.loads(out)["rows"]


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Makes `fakeframe` a framework with the losses of nn; the folder to import it from."""

    def make(slip=0.0):
        (tmp_path / "fakeframe.py").write_text(FAKE.replace("{slip}", str(slip)))
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, "fakeframe", raising=False)
        monkeypatch.setitem(equivalents.FRAMEWORKS, "fakeframe", ({}, "nn"))

        def native(module, name, options, inputs):
            function = getattr(module, name, None)
            given = {k: v for k, v in options.items() if k in ("reduction", "delta")}
            return function and (lambda *arrays: function(*arrays, **given))

        def by_fake(module, function, arrays, grad, narrow):
            value, grads = function(*arrays.values())
            return np.asarray(value), {n: grads[n].astype(arrays[n].dtype) for n in grad}

        monkeypatch.setitem(equivalents._NATIVE, "fakeframe", native)
        monkeypatch.setitem(equivalents._CALLS, "fakeframe", by_fake)
        monkeypatch.setattr("lossgraph.compare.comparison.AGAINST", ("numpy", "fakeframe", "torch"))

    return make


# --- our own oracles, which are always there ---


def test_the_table_says_who_agrees():
    code, out, err = call("cross_entropy", "--against", "numpy,onnxruntime")
    assert code == 0
    head, *lines = out.splitlines()
    assert head.split()[:3] == ["framework", "inputs", "output"]
    assert [line.split()[0] for line in lines] == ["numpy"] * 2 + ["onnxruntime"] * 2
    assert all(line.endswith("agrees") for line in lines)
    assert err == "nn.CrossEntropyLoss: input float32[4, 5], target int64[4]\n"


def test_a_loss_is_named_either_way():
    one, other = (rows_of(*args, "huber", "--against", "numpy") for args in ((), ("--loss",)))
    assert one == other
    for args in ((), ("huber", "--loss", "huber")):
        code, _, err = call(*args)
        assert code == 2
        assert "one loss" in err


def test_rows_for_programs():
    rows = rows_of("gluon.L1Loss", "--against", "onnxruntime", "--grad", "pred,label")
    assert [row["output"] for row in rows] == ["loss", "grad_pred", "grad_label"]
    assert rows[0] == {
        "framework": "onnxruntime", "inputs": "ordinary", "output": "loss", "agrees": True,
        "max_ulp": 0, "max_relative": 0.0, "max_absolute": 0.0, "different": 0, "first": None,
        "wrong": "",
    }  # fmt: skip


@pytest.mark.parametrize("name", sorted(ALIASES))
def test_engine_and_numpy_agree(name):
    subject = subject_of(name)
    found = compare(subject, ["numpy"])
    assert [row for row in found.rows if not row.ok] == []
    assert {row.output for row in found.rows} >= {f"grad_{name}" for name in subject.grad}


def test_edge_cases_are_compared_too():
    rows = rows_of("bce_with_logits", "--against", "numpy", "--extremes")
    titles = list(dict.fromkeys(row["inputs"] for row in rows))
    assert titles == ["ordinary", "logits of 200", "logits of 1e4", "logits of 0", "certain"]
    assert all(row["agrees"] for row in rows)


def test_a_terminal_of_80_columns_splits_no_word(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(output, "on_terminal", lambda: True)
    monkeypatch.setattr(compare_command, "on_terminal", lambda: True)
    args = ("losses.orpo", "--against", "numpy,onnxruntime", "--extremes", "--ulp", 0)
    _, out, _ = call(*args)
    assert max(map(len, out.partition("numpy, ordinary: ")[0].splitlines())) <= 80
    for whole in ("ordinary", "grad_rejected", "DIFFERS", "relative", "absolute", "agrees"):
        assert whole in out
    assert out.startswith(f"numpy {np.__version__}\n")


def test_tables_have_the_absolute_difference():
    """Of numbers near 0 the others say nothing."""
    _, out, _ = call("softmax_ce", "--against", "numpy", "--size", "N=64,C=100")
    head, *lines = out.splitlines()
    assert head.split() == ["framework", "inputs", "output", "ULP", "relative", "absolute"]
    wanted = {row["output"]: row for row in rows_of(
        "softmax_ce", "--against", "numpy", "--size", "N=64,C=100")}  # fmt: skip
    for line in lines:
        _, _, name, ulp, relative, absolute, verdict = line.split()
        assert verdict == "agrees"
        assert int(ulp) == wanted[name]["max_ulp"]
        assert float(relative) == pytest.approx(wanted[name]["max_relative"], rel=0.05)
        assert float(absolute) == pytest.approx(wanted[name]["max_absolute"], rel=0.05)


def test_what_differs_is_shown_with_both_numbers():
    args = ("softmax_ce", "--against", "numpy", "--size", "N=64,C=100", "--ulp", 0)
    code, out, _ = call(*args)
    assert code == 1
    wrong = next(line for line in out.splitlines() if line.startswith("numpy, "))
    mine, its = map(float, re.search(r"\]: lossgraph (\S+), numpy (\S+)", wrong).groups())
    row = next(row for row in rows_of(*args, code=1) if not row["agrees"])
    assert (row["first"]["lossgraph"], row["first"]["other"]) == pytest.approx((mine, its))
    assert mine != its == pytest.approx(mine, rel=1e-5)
    assert row["wrong"].startswith(f"{row['output']}[")


def test_tolerances_can_be_given():
    args = ("softmax_ce", "--against", "numpy", "--size", "N=64,C=100")
    assert all(row["agrees"] for row in rows_of(*args))
    rows = rows_of(*args, "--ulp", 0, code=1)
    furthest = max(row["max_ulp"] for row in rows)
    assert furthest > 0
    assert all(row["agrees"] for row in rows_of(*args, "--ulp", furthest))
    assert any(not row["agrees"] for row in rows_of(*args, "--rtol", 0, "--atol", 0, code=1))


def test_options_sizes_and_dtypes():
    args = ("huber", "--against", "numpy", "--set", "rho=0.25", "--dtype", "float64", "--json")
    code, out, _ = call(*args, "--size", "N=3,C=2")
    described = json.loads(out)
    assert code == 0
    assert described["options"]["rho"] == 0.25
    assert described["inputs"] == {"pred": [3, 2], "label": [3, 2]}
    assert all(row["max_relative"] < 1e-12 for row in described["rows"])
    assert all(r["agrees"] for r in rows_of(*args[:-3], "--dtype", "bfloat16"))


def test_inputs_from_files(tmp_path):
    pred = np.array([[1, 2, 3], [0, 1e4, -1e4]], np.float32)
    np.save(tmp_path / "pred.npy", pred)
    np.savez(tmp_path / "data.npz", label=np.array([2, 1]))
    args = ("softmax_ce", "--against", "numpy", "--data", f"pred={tmp_path}/pred.npy", "--json")
    described = json.loads(call(*args, "--data", f"label={tmp_path}/data.npz:label")[1])
    assert described["inputs"] == {"pred": [2, 3], "label": [2]}
    assert described["agrees"]
    # What is not given is drawn in a size that fits.
    assert json.loads(call(*args)[1])["inputs"] == {"pred": [2, 3], "label": [2]}
    np.save(tmp_path / "three.npy", np.array([0, 1, 2]))
    code, _, err = call(*args, "--data", f"label={tmp_path}/three.npy")
    assert (code, "N is 2 and 3" in err) == (2, True)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["huber", "--against", "keras"], "there is no 'keras'"),
        (["huber", "--size", "Q=3"], "no input has this dim"),
        (["huber", "--dtype", "int8"], "expected one of"),
        (["huber", "--data", "pred=nowhere.npy"], "cannot read"),
        (["huber", "--against", "torch", "--python", "torch=/nowhere"], "no Python that runs"),
        (["huber", "--python", "keras=/nowhere"], "there is no 'keras'"),
        (["huber", "--against", "optax"], "nothing to compare gluon.HuberLoss with"),
    ],
)
def test_wrong_use(args, says):
    code, _, err = call(*args)
    assert code == 2
    assert says in err


# --- a framework ---


def test_a_framework_agrees_or_not(fake):
    fake(slip=0.01)
    assert all(row["agrees"] for row in rows_of("mse", "--against", "fakeframe"))
    value, gradient = rows_of("nn.L1Loss", "--against", "fakeframe", code=1)
    assert value["agrees"]
    assert not gradient["agrees"]
    assert gradient["max_relative"] == pytest.approx(0.01, rel=0.01)
    assert gradient["different"] == 20
    assert gradient["first"]["index"] == [0, 0]


def test_what_cannot_take_part_is_left_out(fake, monkeypatch):
    fake()
    code, out, err = call("nn.HuberLoss", "--against", "numpy,fakeframe")
    assert code == 0
    assert "fakeframe: left out: it cannot compute this: RuntimeError: no kernel\n" in err
    code, _, err = call("gluon.HuberLoss", "--against", "fakeframe")
    assert code == 2
    assert "no equivalent of gluon.HuberLoss" in err
    monkeypatch.setattr(external_frameworks.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(external_frameworks, "ENVIRONMENTS", Path("nowhere"))
    code, out, err = call("nn.MSELoss", "--against", "torch,numpy")
    assert code == 0
    assert "torch: left out: not installed here: --python torch=PATH" in err
    assert "numpy" in out


def test_a_framework_in_another_python(tmp_path, monkeypatch):
    """The worker gets the arrays and gives the numbers, here of a stand-in for MXNet."""
    (tmp_path / "mxnet").mkdir()
    (tmp_path / "mxnet" / "__init__.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    args = ("--against", "mxnet", "--python", f"mxnet={sys.executable}")
    code, out, err = call("gluon.L1Loss", *args, "--json")
    assert code == 0, err
    described = json.loads(out)
    assert described["versions"] == {"mxnet": "9.9"}
    assert [row["agrees"] for row in described["rows"]] == [True, True]
    code, _, err = call("gluon.L2Loss", *args)
    assert code == 2
    assert "mxnet: left out" in err
    for broken in ("raise ImportError('no library')", "raise SystemExit(3)"):
        (tmp_path / "mxnet" / "__init__.py").write_text(broken)
        code, _, err = call("gluon.L1Loss", *args)
        assert code == 2
        assert "mxnet: left out" in err


STAND_IN = '''
"""So much of MXNet as one loss needs, with a gradient that is known beforehand."""
import contextlib
import types

import numpy as np

__version__ = "9.9"
print("a library may print")


class Array:
    def __init__(self, values, tape=None):
        self.values, self.tape = values, tape
        self.shape, self.ndim, self.size = values.shape, values.ndim, values.size

    def attach_grad(self):
        self.grad = Array(np.zeros_like(self.values))

    def sum(self):
        return Array(self.values.sum(), self.tape)

    def asnumpy(self):
        return self.values

    def backward(self):
        self.tape()


class L1Loss:
    def __init__(self, weight=None, batch_axis=0):
        pass

    def hybrid_forward(self, F, pred, label, sample_weight=None):
        pass

    def __call__(self, pred, label):
        def tape():
            share = 1 / np.float32(pred.shape[1])
            pred.grad = Array(np.sign(pred.values - label.values) * share)

        return Array(np.abs(pred.values - label.values).mean(1), tape)


nd = types.SimpleNamespace(array=lambda values, dtype: Array(values.astype(dtype)))
autograd = types.SimpleNamespace(record=contextlib.nullcontext)
gluon = types.SimpleNamespace(loss=types.SimpleNamespace(L1Loss=L1Loss))
'''


# --- the frameworks themselves, where they are ---


def subject_of(name, arrays=None, **options):
    entry = lookup(name)
    made = entry.make(options)
    types = example_types(made)
    program = made.program(types, grad=entry.predictions)
    given = {**draw_inputs(made, program), **(arrays or {})}
    return Subject(entry, made, program, given, options)


def compared(name, framework, arrays=None, at_edges=False, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return compare(subject_of(name, arrays, **options), [framework], with_edge_cases=at_edges)


def names_in(namespace, table=()):
    own = [entry.name for entry in entries() if entry.namespace == namespace]
    return [*own, *(name for name in table if not name.startswith(namespace))]


# Labels that CTC takes: not the blank, and no longer than the steps.
CTC = {
    "targets": np.array([[1, 2], [3, 3], [4, 1], [2, 4]]),
    "input_lengths": np.array([6, 6, 5, 4]),
    "target_lengths": np.array([2, 2, 1, 0]),
}
# float32 is too narrow for its own numbers of -1e5: agreement is to 1e-3 of the largest.
ROUGH = {"optax.ctc_loss_with_forward_probs"}


def agrees(name, framework):
    arrays = CTC if name in ("nn.CTCLoss", "losses.focal_ctc") else None
    found = compared(name, framework, arrays)
    assert found.left_out == {}
    assert found.rows
    for row in found.rows:
        assert row.ok or (name in ROUGH and row.deviation.relative < 1e-2), str(row.deviation)


@pytest.mark.parametrize("name", names_in("nn", equivalents.TORCH))
def test_torch(name):
    pytest.importorskip("torch")
    agrees(name, "torch")


@pytest.mark.parametrize("name", names_in("optax", equivalents.JAX))
def test_jax(name):
    pytest.importorskip("jax")
    pytest.importorskip("optax")
    agrees(name, "jax")


def test_mxnet():
    """All losses in one process, for MXNet is slow to import."""
    if not (MXNET / "bin" / "python").exists():
        pytest.skip(f"there is no MXNet in {MXNET}: tools/bench_peers --install makes it")
    subjects = [subject_of(name) for name in names_in("gluon", equivalents.MXNET)]
    jobs = [Job(s.entry.name, s.arrays, s.grad, {}, s.entry.options) for s in subjects]
    found = external_frameworks.outputs_of("mxnet", str(MXNET / "bin" / "python"), jobs)
    for subject, outputs in zip(subjects, found, strict=True):
        assert isinstance(outputs, dict), (subject.entry.name, outputs)
        value, grads = subject.loss.value_and_grad(**subject.arrays, wrt=subject.grad)
        for name, mine in named_outputs((value, grads)).items():
            its = outputs[name].reshape(mine.shape if mine.size == 1 else outputs[name].shape)
            assert not deviation(name, mine, its).wrong, subject.entry.name


def test_options_reach_every_framework():
    torch = pytest.importorskip("torch")
    assert torch
    for name, options in (
        ("nn.HuberLoss", {"delta": 0.3, "reduction": "sum"}),
        ("nn.CrossEntropyLoss", {"label_smoothing": 0.2}),
        ("nn.TripletMarginLoss", {"margin": 0.3, "swap": True}),
        ("nn.AdaptiveLogSoftmaxWithLoss", {"head_bias": True}),
        ("gluon.HuberLoss", {"rho": 0.3}),
    ):
        assert compared(name, "torch", **options).ok, name
    assert compared("gluon.HuberLoss", "torch", weight=2.0).left_out


def test_weights_reach_torchs_constructors():
    pytest.importorskip("torch")
    rows = rows_of(
        "bce_with_logits", "--against", "torch", "--grad", "input,target",
        *("--input", "input:float32:N,C", "--input", "target:float32:N,C"),
        *("--input", "weight:float32:C", "--input", "pos_weight:float32:C"),
    )  # fmt: skip
    assert [row["output"] for row in rows][1:] == ["grad_input", "grad_target"]
    assert all(row["agrees"] for row in rows)


def test_torch_overflows_where_the_limit_is_finite():
    pytest.importorskip("torch")
    found = compared("nn.SoftMarginLoss", "torch", at_edges=True)
    wrong = [row for row in found.rows if not row.ok]
    assert {row.case for row in wrong} == {"logits of 200", "logits of 1e4"}
    assert all(row.deviation.first.expected in (np.inf, np.nan) or np.isnan(row.deviation.first[2])
               for row in wrong)  # fmt: skip


# --- edge cases ---


def test_kinds_are_seen_by_the_numbers():
    real = np.array([[0.5, -2.0], [3.0, 0.1]])
    shares = np.exp(real) / np.exp(real).sum(-1, keepdims=True)
    kinds = {"real": real, "simplex": shares, "log_simplex": np.log(shares), "sign": np.sign(real),
             "unit": np.array([0.1, 0.5]), "positive": np.exp(real)}  # fmt: skip
    for kind, array in kinds.items():
        assert kind_of(array) == kind
        assert kind_of(array.astype(np.float16)) == kind
    assert kind_of(np.arange(3)) == kind_of(np.zeros(0)) == ""


def test_edge_cases_keep_order_signs_and_dtypes():
    x = np.array([[0.5, -2.0, 1.0], [3.0, 0.1, -0.2]], np.float32)
    found = edge_cases({"x": x, "y": np.array([1, 0])})
    assert list(found) == ["logits of 200", "logits of 1e4", "logits of 0"]
    for title, size in (("logits of 200", 200), ("logits of 1e4", 1e4)):
        moved = found[title]["x"]
        assert moved.dtype == np.float32
        assert np.abs(moved).max() == size
        assert np.abs(moved).min() >= size / 2
        np.testing.assert_array_equal(np.sign(moved), np.sign(x))
        assert len(np.unique(moved)) == x.size
    assert not found["logits of 0"]["x"].any()
    one = edge_cases({"p": np.array([[0.2, 0.7, 0.1]]), "q": np.log([[0.2, 0.7, 0.1]])})
    np.testing.assert_array_equal(one["certain"]["p"], [[0, 1, 0]])
    np.testing.assert_array_equal(one["certain"]["q"], [[-1e4, 0, -1e4]])


def test_mixed_edges_have_ties_and_are_the_same_each_time():
    real, shares = np.zeros((20, 5), np.float32), np.full((4, 5), 0.2, np.float32)
    arrays = {"x": real, "pred": np.log(shares), "label": shares, "class": np.arange(4)}
    kinds = {"x": "real", "pred": "log_simplex", "label": "simplex"}
    found = mixed_edges(arrays, kinds)
    assert set(np.unique(found["x"])) == {-1e4, 0, 1, 1e4}
    assert set(np.unique(mixed_edges(arrays, kinds, large=100.0)["x"])) == {-100, 0, 1, 100}
    assert set(np.unique(found["pred"])) == {0, -1e4}
    np.testing.assert_array_equal(found["label"].sum(axis=1), 1)
    assert set(np.unique(found["label"])) == {0, 1}
    assert all(found[name].dtype == array.dtype for name, array in arrays.items())
    for name, array in mixed_edges(arrays, kinds).items():
        np.testing.assert_array_equal(array, found[name])


def test_outputs_have_the_names_of_models():
    one, two = np.zeros(1), np.ones(1)
    assert list(named_outputs((one, {"x": two}))) == ["loss", "grad_x"]
    assert list(named_outputs(((one, two), {}))) == ["loss_0", "loss_1"]
    assert list(named_outputs(((one, {"a": two}), {"x": two}))) == ["loss", "loss_a", "grad_x"]
