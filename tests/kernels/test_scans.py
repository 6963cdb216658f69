"""Recurrences in fused kernels: running totals, users' scans, CTC, sums by label."""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import mpmath
import numpy as np
import pytest

import ctc_oracle
import golden_cases
from compilers import needs_compiler
from lossgraph import gluon, nn
from lossgraph.authoring.functions import FunctionLoss
from lossgraph.ir.evaluate import evaluate
from lossgraph.kernels.integers import KernelUnsupportedError
from lossgraph.kernels.kernel import kernel_of
from lossgraph.kernels.library import Library
from lossgraph.kernels.loops import loops_of
from lossgraph.kernels.partition import partition
from lossgraph.kernels.toolchain import build, find
from lossgraph.kernels.unit import translation_unit
from lossgraph.kernels.vectorize import variants
from support import assert_close

pytestmark = needs_compiler
RNG = np.random.default_rng(0)
CLASSES = 40

# --- what is computed -------------------------------------------------------------------------


def running(F, x):
    return F.cumsum(x, axis=1)


def running_back(F, x):
    return F.flip(F.cumsum(F.flip(x * x, axis=1), axis=1), axis=1) * x


def leaky(F, x, s):
    """A state for each class, that no step shifts."""
    outputs, last = F.contrib.foreach(
        lambda d, c: (F.tanh(c), 0.9 * c + 0.1 * d * d), F.swapaxes(x, 0, 1), s
    )
    return F.sum(outputs, axis=(0, 2)) + F.sum(last, axis=1)


def shifted(F, x, s):
    """A state that moves by one at each step, as in alignments."""

    def step(d, c):
        before = F.concat(F.zeros_like(c[:, :1]), c[:, :-1], dim=1)
        after = F.concat(c[:, 1:], c[:, :1] * 2, dim=1)
        return F.logaddexp(F.logaddexp(before, c), after), F.logaddexp(before, c) + d

    outputs, last = F.contrib.foreach(step, F.swapaxes(x, 0, 1), s)
    return F.swapaxes(outputs, 0, 1), last


def reduced(F, x, s):
    """Reductions over a state, and a state that is kept where a step does not count."""

    def step(d, states):
        c, total = states
        share = F.softmax(c + d, axis=1)
        top = F.max(share, axis=1, keepdims=True)
        stays = F.broadcast_like(F.sum(d, axis=1, keepdims=True) > 0, c)
        return total, [F.where(stays, c, share - F.broadcast_mul(top, c)), total + top]

    first = F.zeros((s.shape[0], 1))
    outputs, (last, total) = F.contrib.foreach(step, F.swapaxes(x, 0, 1), [s, first])
    return F.sum(outputs, axis=(0, 2)) + F.sum(last * last, axis=1) + F.reshape(total, (-1,))


def alignment(F, x, s):
    """Soft dynamic time warping with costs x: rows are steps, three ways lead to each place."""

    def softmin(*costs):
        return -F.logsumexp(F.stack(*[-c for c in costs], axis=0), axis=0)

    def step(d, before):
        places = F.swapaxes(d, 0, 1)

        def along(cost, states):
            (left,) = states
            here, above, corner = cost
            found = here + softmin(left, above, corner)
            return found, [found]

        corner = F.concat(F.zeros_like(before[:, :1]) + 1e6, before[:, :-1], dim=1)
        rows = [places, F.swapaxes(before, 0, 1), F.swapaxes(corner, 0, 1)]
        found, _ = F.contrib.foreach(along, rows, [F.zeros_like(before[:, 0]) + 1e6])
        return [], F.swapaxes(found, 0, 1)

    return F.contrib.foreach(step, F.swapaxes(x, 0, 1), s)[1][:, -1]


def picked(F, x, label):
    """A path through classes: what a step costs depends on the class before."""

    def step(d, c):
        costs, index = d
        return [], F.take_along_axis(costs, index, axis=1) * F.tanh(c) + c

    data = [F.swapaxes(x, 0, 1), F.expand_dims(F.swapaxes(label, 0, 1), 2)]
    _, last = F.contrib.foreach(step, data, F.zeros((x.shape[0], 1)))
    return F.reshape(last, (-1,))


def by_label(F, x, label):
    """Elements of rows added up by label: what is no class belongs to none."""
    return F.batch_dot(x, F.one_hot(label, CLASSES))


def joined(F, x, s):
    """Two recurrences side by side in one array, one of them backwards."""
    steps = F.swapaxes(x, 0, 1)
    both = F.concat(steps, F.flip(steps, axis=0), dim=1)
    outputs, last = F.contrib.foreach(
        lambda d, c: (c * d, F.sin(c) + d), both, F.concat(s, s * 0.5, dim=0)
    )
    count = s.shape[0]
    back = F.flip(outputs[:, count:], axis=0)
    return F.sum(outputs[:, :count] * back, axis=(0, 2)) + F.sum(last[count:], axis=1)


CUBE = {"x": ("float32", ("N", "T", "C")), "s": ("float32", ("N", "C"))}
LABELLED = {"x": ("float32", ("N", "T", "C")), "label": ("int64", ("N", "T"))}
PROGRAMS = {
    "running": (running, {"x": ("float32", ("N", "C"))}, ("x",)),
    "running_back": (running_back, {"x": ("float32", ("N", "C"))}, ("x",)),
    "leaky": (leaky, CUBE, ("x", "s")),
    "shifted": (shifted, CUBE, ("x", "s")),
    "reduced": (reduced, CUBE, ("x", "s")),
    "picked": (picked, LABELLED, ("x",)),
    "joined": (joined, CUBE, ("x", "s")),
    "by_label": (by_label, {**LABELLED, "label": ("int64", ("N", "C"))}, ("x",)),
}
CTC = gluon.CTCLoss()


def single(types):
    return {
        name: ("float32" if dtype == "float64" else dtype, dims)
        for name, (dtype, dims) in types.items()
    }


@functools.cache
def programs():
    """All programs, compiled into one library."""
    found = {
        name: FunctionLoss(function).program(types, grad=grad)
        for name, (function, types, grad) in PROGRAMS.items()
    }
    found |= {f"{name} in double": FunctionLoss(PROGRAMS[name][0]).program(
        {key: ("float64" if dtype == "float32" else dtype, dims)
         for key, (dtype, dims) in PROGRAMS[name][1].items()}, grad=PROGRAMS[name][2])
        for name in ("running", "shifted")
    }  # fmt: skip
    return found | {"ctc": CTC.program(single(ctc_oracle.NAMED), grad=("pred",))}


@functools.cache
def library():
    kernels = [kernel_of(program) for program in programs().values()]
    toolchain = find()
    assert toolchain is not None
    path = Path(tempfile.mkdtemp()) / "scans.so"
    build(translation_unit(kernels).text, toolchain, path)
    return Library(path), kernels


def run(name, **arrays):
    """The outputs of a kernel by name."""
    built, kernels = library()
    number = list(programs()).index(name)
    kernel = kernels[number]
    given = [arrays[node.attrs["name"]] for node in kernel.inputs]
    return dict(zip(kernel.outputs, built.run(number, *given), strict=True))


def expected(name, **arrays):
    """The same by the interpreter, in float64 where the program computes in float32."""
    program = programs()[name]
    values = evaluate(list(program.outputs.values()), arrays)
    return dict(zip(program.outputs, values, strict=True))


def drawn(name, sizes):
    _, types, _ = PROGRAMS[name]
    found = {}
    for key, (dtype, dims) in types.items():
        shape = [sizes[dim] for dim in dims]
        if dtype == "int64":
            found[key] = RNG.integers(0, sizes["C"], shape)
        else:
            found[key] = RNG.normal(size=shape).astype(dtype)
    return found


# --- users' recurrences -----------------------------------------------------------------------

SIZES = [
    {"N": 3, "T": 5, "C": 70},  # vectors along the state, and a rest
    {"N": 37, "T": 4, "C": 3},  # each lane a sample
    {"N": 1, "T": 1, "C": 1},
    {"N": 2, "T": 9, "C": 16},
    {"N": 0, "T": 3, "C": 4},
]


@pytest.mark.parametrize("sizes", SIZES, ids=str)
@pytest.mark.parametrize("name", [*PROGRAMS])
def test_a_kernel_computes_what_the_interpreter_does(name, sizes):
    arrays = drawn(name, sizes)
    wanted = expected(name, **arrays)
    for output, found in run(name, **arrays).items():
        assert_close(found, wanted[output], tolerance=(2e-5, 2e-5))


@pytest.mark.parametrize("name", ["running", "shifted"])
def test_in_double(name):
    arrays = {key: array.astype(np.float64) for key, array in drawn(name, SIZES[0]).items()}
    wanted = expected(f"{name} in double", **arrays)
    for output, found in run(f"{name} in double", **arrays).items():
        assert_close(found, wanted[output], tolerance=(1e-12, 1e-12))


def test_steps_are_no_vectors_and_states_stay_in_one_loop():
    """One sweep over samples, in it one loop over the steps of both directions."""
    kernel = kernel_of(FunctionLoss(joined).program(CUBE))
    assert len(kernel.blocks) == 1
    assert any(loop.sequential for loop in loops_of(kernel.blocks))


def test_each_lane_a_sample_only_where_steps_are_all_that_is_inside():
    """Of a state with rows of its own there is one way to go through it: along the rows."""
    ways = {
        name: len(variants(kernel_of(programs()[name]).blocks[0])) for name in ("running", "ctc")
    }
    assert ways == {"running": 2, "ctc": 1}


def test_scans_that_mix_samples_are_refused():
    def mixed(F, x, s):
        return F.contrib.foreach(lambda d, c: ([], c[::-1, ::-1] + d), F.swapaxes(x, 0, 1), s)[1]

    with pytest.raises(KernelUnsupportedError, match="mixes"):
        kernel_of(FunctionLoss(mixed).program(CUBE))


def test_scans_in_scans_are_refused():
    with pytest.raises(KernelUnsupportedError, match="inside of a scan"):
        kernel_of(FunctionLoss(alignment).program(CUBE))


# --- running totals ---------------------------------------------------------------------------


def test_totals_keep_digits():
    """Against exact sums: what float32 alone would lose after a large term."""
    x = np.where(np.arange(3000) % 1000 == 0, 1e8, 1e-3).astype(np.float32)
    x = np.stack([x, RNG.normal(size=3000).astype(np.float32), -x])
    found = run("running", x=x)["loss"]
    for row, totals in zip(x, found, strict=True):
        exact, total = [], mpmath.mpf(0)
        for term in row.tolist():
            total += term
            exact.append(float(total))
        np.testing.assert_allclose(totals, exact, rtol=1.3e-7, atol=1e-8)


def test_totals_of_what_is_not_finite():
    x = np.array([[1, np.inf, 2, 3], [1, -np.inf, np.inf, 0], [np.nan, 1, 2, 3]], np.float32)
    with np.errstate(invalid="ignore"):
        wanted = np.cumsum(x, axis=1)
    np.testing.assert_array_equal(run("running", x=x)["loss"], wanted)


# --- sums by label ----------------------------------------------------------------------------


def test_labels_that_are_none_count_for_nothing():
    x = RNG.normal(size=(2, 3, 4)).astype(np.float32)
    label = np.array([[0, 50, 0, CLASSES], [-1, 2, 2, 39]])
    hot = (label[..., None] == np.arange(CLASSES)).astype(np.float32)
    np.testing.assert_allclose(run("by_label", x=x, label=label)["loss"], x @ hot, rtol=1e-6)


# --- CTC --------------------------------------------------------------------------------------


def ctc(pred, label, pred_lengths=None, label_lengths=None):
    """Value and gradient; by default labels end at the first -1, and all steps count."""
    if pred_lengths is None:
        pred_lengths = np.full(len(pred), pred.shape[1], np.int32)
    if label_lengths is None:
        label_lengths = (np.cumsum(label == -1, axis=1) == 0).sum(axis=1).astype(np.int32)
    lengths = {"pred_lengths": pred_lengths, "label_lengths": label_lengths}
    found = run("ctc", pred=pred.astype(np.float32), label=label, **lengths)
    return found["loss"], found["grad_pred"]


@pytest.mark.parametrize(
    ("steps", "classes", "length"), [(1, 2, 1), (4, 3, 3), (5, 4, 2), (6, 3, 2)]
)
def test_ctc_is_the_sum_over_all_alignments(steps, classes, length):
    """Empty labels, repetitions, and labels that no alignment has."""
    pred, label = ctc_oracle.draw((9, steps, classes), length)
    for found, wanted in zip(
        ctc(pred, label), ctc_oracle.oracle(pred.astype(np.float32), label), strict=True
    ):
        assert_close(found, wanted, tolerance=(3e-6, 3e-6))


def test_ctc_with_lengths():
    pred, label = ctc_oracle.draw((6, 5, 4), 3, seed=3)
    label = np.where(label < 0, 1, label)
    lengths = {
        "pred_lengths": np.array([5, 4, 3, 2, 1, 0], np.int32),
        "label_lengths": np.array([3, 2, 0, 3, 1, 0], np.int32),
    }
    pred[2, 3:] = np.nan  # past the end
    single_pred = pred.astype(np.float32)
    with np.errstate(invalid="ignore"):
        wanted = ctc_oracle.oracle(np.nan_to_num(single_pred), label, **lengths)
    for found, exact in zip(ctc(pred, label, **lengths), wanted, strict=True):
        assert_close(found, exact, tolerance=(3e-6, 3e-6))


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4])
def test_ctc_keeps_the_digits_of_large_logits(scale):
    """Against the same program in float64: at long inputs, too."""
    pred, label = ctc_oracle.draw((4, 60, 12), 9, scale=scale)
    types = {name: ctc_oracle.NAMED[name] for name in ("pred", "label")}
    wanted = evaluate(
        list(CTC.program(types, grad=("pred",)).outputs.values()),
        {"pred": pred.astype(np.float32).astype(np.float64), "label": label},
    )
    value, grad = ctc(pred, label)
    assert_close(value, wanted[0], tolerance=(1e-6, 1e-5))
    assert np.abs(grad - wanted[1]).max() < 3e-5


RECORDED = [
    case
    for case in golden_cases.cases("mxnet")
    if case["loss"] == "CTCLoss"
    and case["grads"]
    and not case["kwargs"]
    and "sample_weight" not in case["inputs"]
]


@pytest.mark.parametrize("case", RECORDED, ids=[case["id"] for case in RECORDED])
def test_recorded_ctc(case):
    recorded = golden_cases.Case("mxnet", case)
    arrays = {name: array.astype(np.int32) for name, array in recorded.inputs.items()}
    lengths = {name: array for name, array in arrays.items() if name not in ("pred", "label")}
    value, grad = ctc(recorded.inputs["pred"], arrays["label"], **lengths)
    golden_cases.close(value, recorded.out, recorded.dtype)
    golden_cases.close(grad, recorded.grads["pred"], recorded.dtype)


def test_ctc_is_one_kernel():
    """Of no operation that would stay with the engine between."""
    program = programs()["ctc"]
    parts = partition(program.inputs, list(program.outputs.values()))
    assert len(parts.regions) == 1
    assert parts.regions[0].outputs == tuple(program.outputs.values())


def test_a_scan_of_samples_together_stays_with_the_engine():
    """What is around it becomes kernels all the same."""

    def mixed(F, x, s):
        outputs, _ = F.contrib.foreach(
            lambda d, c: (c, c + d * F.sum(c)), F.swapaxes(F.tanh(F.exp(x)), 0, 1), s
        )
        return F.log1p(F.exp(F.sin(outputs)))

    program = FunctionLoss(mixed).program(CUBE)
    parts = partition(program.inputs, list(program.outputs.values()))
    assert len(parts.regions) == 2
    assert not any(node.op.has_body for part in parts.regions for node in part.inside)


def test_the_mean_of_ctc_is_taken_after_all_samples():
    """A program whose samples meet in the end: scans go before."""
    types = {
        "log_probs": ("float32", ("T", "N", "C")),
        "targets": ("int64", ("N", "S")),
        "input_lengths": ("int64", ("N",)),
        "target_lengths": ("int64", ("N",)),
    }
    kernel = kernel_of(nn.CTCLoss().program(types, grad=("log_probs",)))
    assert any(loop.sequential for loop in loops_of(kernel.blocks))
