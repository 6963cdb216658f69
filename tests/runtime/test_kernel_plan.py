"""Compiled losses with a fused kernel: when it is used, and what is left where it is not."""

import copy
import gc
import os
import pickle
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest

import lossgraph as lg
from hand_written import HandWritten, build, needs_cc
from lossgraph import gluon
from lossgraph.errors import LossgraphError
from lossgraph.ir.types import numpy_dtype
from lossgraph.kernels.model import Fused, kernel_model
from lossgraph.kernels.unit import translation_unit
from lossgraph.runtime import kernel_build, kernel_request
from lossgraph.runtime.background import BACKGROUND
from lossgraph.runtime.compiled import Compiled
from lossgraph.runtime.plans import BufferPlan, EnginePlan
from support import ROOT, assert_close

pytestmark = needs_cc

TYPES = dict.fromkeys(("pred", "label"), ("float32", ("N", "C")))
PROGRAM = gluon.L2Loss().program(TYPES, grad=("pred",))
RNG = np.random.default_rng(0)
PRED, LABEL = RNG.normal(size=(2, 6, 4)).astype(np.float32)


def fuse_by_hand(program):
    kernel = HandWritten(program)
    unit = translation_unit([kernel])
    return Fused((kernel,), unit, kernel_model(kernel, unit.domain))


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    unit = translation_unit([HandWritten(PROGRAM)])
    return build(unit.text, tmp_path_factory.mktemp("libraries") / "by_hand.so")


@pytest.fixture
def builds(monkeypatch, library):
    """Kernels are the one by hand; how often one was built, and what is done before."""
    seen = Builds()
    monkeypatch.setattr(kernel_request, "FIRST_CALLS", 1)
    monkeypatch.setattr(kernel_build, "fuse", fuse_by_hand)
    monkeypatch.setattr(kernel_build, "library_of", lambda unit: seen.build(library))
    yield seen
    seen.go.set()
    BACKGROUND.wait()


class Builds:
    def __init__(self):
        self.count = 0
        self.go = threading.Event()
        self.go.set()
        self.error = None

    def build(self, library):
        assert self.go.wait(20)
        self.count += 1
        if self.error:
            raise self.error
        return library


def _compiled(kernels, grad=("pred",), **options):
    return lg.compile(gluon.L2Loss(), TYPES, grad=grad, kernels=kernels, **options)


def _check(fn, pred=PRED, label=LABEL):
    loss, grads = fn(pred, label)
    assert_close(loss, ((pred - label) ** 2).mean(1) / 2)
    assert_close(grads["pred"], (pred - label) / pred.shape[1])


def _uses_kernel(fn):
    return fn._runner._sessions.kernel is not None


def test_the_graph_answers_until_the_kernel_is_there(builds):
    builds.go.clear()
    fn = _compiled("auto")
    assert "has not been called" in fn.kernel_status
    for _ in range(3):
        _check(fn)
    assert "being built" in fn.kernel_status
    assert not _uses_kernel(fn)
    builds.go.set()
    BACKGROUND.wait()
    for _ in range(3):
        _check(fn)
    assert fn.kernel_status.startswith("kernel Fused_by_hand in ")
    assert _uses_kernel(fn)
    assert builds.count == 1


def test_who_calls_once_has_no_kernel_built(builds, monkeypatch):
    monkeypatch.setattr(kernel_request, "FIRST_CALLS", 2)
    fn = _compiled("auto")
    _check(fn)
    BACKGROUND.wait()
    assert builds.count == 0
    _check(fn)
    BACKGROUND.wait()
    assert builds.count == 1
    _check(fn)
    assert _uses_kernel(fn)


def test_what_is_bound_has_its_kernel_built_at_once(builds):
    fn = _compiled("auto")
    run = fn.bind(PRED, LABEL)
    BACKGROUND.wait()
    assert _uses_kernel(fn)
    assert_close(run()[0], ((PRED - LABEL) ** 2).mean(1) / 2)


def test_true_waits_and_false_never_does(builds):
    fn = _compiled(True)
    assert _uses_kernel(fn)
    _check(fn)
    fn = _compiled(False)
    _check(fn)
    BACKGROUND.wait()
    assert not _uses_kernel(fn)
    assert fn.kernel_status == "no kernel: none is wanted"
    assert builds.count == 1


def test_what_auto_cannot_build_is_remembered(builds):
    builds.error = LossgraphError("no C compiler")
    fn = _compiled("auto")
    for _ in range(3):
        _check(fn)
        BACKGROUND.wait()
    assert fn.kernel_status == "no kernel: no C compiler"
    assert builds.count == 1


def test_true_says_why_there_is_none(builds):
    builds.error = LossgraphError("no C compiler")
    with pytest.raises(LossgraphError, match="no C compiler"):
        _compiled(True)


def test_no_error_of_a_build_reaches_a_user(builds):
    builds.error = RuntimeError("of any kind")
    fn = _compiled("auto")
    _check(fn)
    BACKGROUND.wait()
    _check(fn)
    assert fn.kernel_status == "no kernel: of any kind"


@pytest.mark.parametrize(
    ("word", "expected"), [("1", True), ("0", False), ("auto", "auto"), ("", "auto")]
)
def test_the_environment_gives_the_default(monkeypatch, word, expected):
    monkeypatch.setenv("LOSSGRAPH_KERNELS", word)
    assert kernel_request.kernels_setting(None) == expected
    assert kernel_request.kernels_setting(False) is False


def test_a_loss_called_with_arrays_follows_the_environment(monkeypatch, builds):
    monkeypatch.setenv("LOSSGRAPH_KERNELS", "auto")
    loss = gluon.L2Loss()
    before = loss.value_and_grad(PRED, LABEL)
    BACKGROUND.wait()
    assert builds.count == 1
    after = loss.value_and_grad(PRED, LABEL)
    assert_close(after[1]["pred"], before[1]["pred"])


@pytest.mark.parametrize("wrong", ["yes", 1, 0, "True", ()])
def test_another_setting_is_refused(wrong):
    with pytest.raises(lg.InputError, match="kernels: expected"):
        _compiled(wrong)


def test_another_word_of_the_environment_is_refused(monkeypatch):
    monkeypatch.setenv("LOSSGRAPH_KERNELS", "yes")
    with pytest.raises(lg.InputError, match="LOSSGRAPH_KERNELS='yes'"):
        Compiled(PROGRAM)


def test_other_providers_get_no_kernel(monkeypatch, builds):
    monkeypatch.setattr(kernel_request, "first_provider", lambda providers: "cuda")
    fn = _compiled("auto")
    _check(fn)
    BACKGROUND.wait()
    assert builds.count == 0
    assert fn.kernel_status == "no kernel: kernels run on the CPU"
    with pytest.raises(lg.ProviderError, match="kernels run on the CPU"):
        _compiled(True)


@pytest.mark.parametrize(("rows", "columns"), [(0, 4), (1, 1), (64, 10), (500, 1000), (0, 0)])
def test_results_of_any_size_are_new_arrays(builds, rows, columns):
    fn, graph = _compiled(True), _compiled(False)
    pred, label = RNG.normal(size=(2, rows, columns)).astype(np.float32)
    first, second = fn(pred, label), fn(label, pred)
    expected = graph(pred, label)
    assert_close(first[0], expected[0])
    assert_close(first[1]["pred"], expected[1]["pred"])
    np.testing.assert_array_equal(second[1]["pred"], -first[1]["pred"])
    assert not np.shares_memory(first[1]["pred"], second[1]["pred"])
    for array in (first[0], first[1]["pred"]):
        assert array.flags.writeable
        assert array.flags.c_contiguous


@pytest.mark.parametrize("rows", [6, 3000])
def test_arrays_may_lie_as_they_like(builds, rows):
    fn = _compiled(True)
    pred, label = RNG.normal(size=(2, 8, rows)).astype(np.float32)
    for _ in range(2):
        _check(fn, pred.T, label.T)
        _check(fn, pred[::2].T, label[1::2].T)
    frozen = pred.T.copy()
    frozen.setflags(write=False)
    _check(fn, frozen, label.T)


def test_kernels_stand_in_for_shards(builds):
    fn = _compiled(True, tiles=2)
    graph = _compiled(False, tiles=2)
    assert graph._runner.shards({"N": 60, "C": 4})
    assert isinstance(fn._runner.plan({"N": 60, "C": 4}), EnginePlan)
    assert isinstance(fn._runner.plan({"N": 60_000, "C": 4}), BufferPlan)
    pred, label = RNG.normal(size=(2, 61, 4)).astype(np.float32)
    _check(fn, pred, label)
    _check(graph, pred, label)


def test_out_takes_what_the_kernel_computes(builds):
    fn = _compiled(True)
    out = {"loss": np.empty(6, np.float32), "grad_pred": np.empty((6, 4), np.float32)}
    loss, grads = fn(PRED, LABEL, out=out)
    assert loss is out["loss"]
    assert grads["pred"] is out["grad_pred"]
    _check(lambda *arrays: (loss, grads))


def test_a_bound_call_changes_to_the_kernel(builds):
    builds.go.clear()
    fn = _compiled("auto")
    pred, label = PRED.copy(), LABEL.copy()
    fn(pred, label)
    bound = fn.bind(pred, label)
    first = bound()
    builds.go.set()
    BACKGROUND.wait()
    pred += 1
    second = bound()
    _check(lambda *arrays: second, pred, label)
    assert second[0] is first[0]
    assert second[1]["pred"] is first[1]["pred"]
    second[1].clear()  # the caller's own
    assert set(bound()[1]) == {"pred"}


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_dtypes_come_and_go_as_they_are(monkeypatch, tmp_path, dtype):
    monkeypatch.setenv("LOSSGRAPH_CACHE", str(tmp_path.resolve()))
    types = dict.fromkeys(("pred", "label"), (dtype, ("N", "C")))
    fn, graph = (
        lg.compile(gluon.L2Loss(), types, grad=("pred",), kernels=kernels)
        for kernels in (True, False)
    )
    pred, label = (x.astype(numpy_dtype(dtype)) for x in RNG.normal(size=(2, 6, 4)))
    for _ in range(3):
        loss, grads = fn(pred, label)
        expected = graph(pred, label)
        assert loss.dtype == grads["pred"].dtype == pred.dtype
        assert_close(loss.astype(float), expected[0].astype(float), dtype=dtype)
        assert_close(grads["pred"].astype(float), expected[1]["pred"].astype(float), dtype=dtype)


def test_a_label_that_is_no_class_is_refused(monkeypatch, tmp_path):
    monkeypatch.setenv("LOSSGRAPH_CACHE", str(tmp_path.resolve()))
    types = {"pred": ("float32", ("N", "C")), "label": ("int64", ("N",))}
    fn, graph = (
        lg.compile(gluon.SoftmaxCELoss(), types, grad=("pred",), kernels=kernels)
        for kernels in (True, False)
    )
    classes = np.arange(6) % 4
    bound = fn.bind(PRED, classes)
    for _ in range(2):
        assert_close(fn(PRED, classes)[1]["pred"], graph(PRED, classes)[1]["pred"])
        with pytest.raises(lg.InputError, match=r"label\[2\] is -1"):
            fn(PRED, np.array([0, 1, -1, 2, 4, 0]))
    bound()
    classes[3] = 4
    with pytest.raises(lg.InputError, match=r"label\[3\] is 4"):
        bound()


def test_the_shapes_of_a_call_are_checked(builds):
    fn = _compiled(True)
    _check(fn)
    with pytest.raises(lg.InputError, match="axis 0 has length 5"):
        fn(PRED, LABEL[:5])
    with pytest.raises(lg.InputError, match="dtype float64"):
        fn(PRED, LABEL.astype(float))


def test_a_kernel_that_fails_in_a_call_is_given_up(monkeypatch, builds):
    fn = _compiled("auto")
    fn(PRED, LABEL)
    BACKGROUND.wait()
    _break(fn)
    _check(fn)
    assert fn.kernel_status == "no kernel: out of luck"
    assert not _uses_kernel(fn)
    fn = _compiled(True)
    _break(fn)
    with pytest.raises(RuntimeError, match="out of luck"):
        fn(PRED, LABEL)


def _break(fn):
    """A kernel whose session fails."""

    class Broken:
        def run(self, *args):
            raise RuntimeError("out of luck")

    sessions = fn._runner._sessions
    sessions.kernel = sessions.kernel._replace(session=Broken())
    fn._runner._start_anew()


def test_plans_change_under_calls_of_several_threads(builds):
    builds.go.clear()
    fn = _compiled("auto")
    wrong, stop = [], threading.Event()

    def call():
        while not stop.is_set():
            loss, grads = fn(PRED, LABEL)
            if not np.allclose(grads["pred"], (PRED - LABEL) / 4, atol=1e-6):
                wrong.append(loss)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        builds.go.set()
        for _ in range(200):
            fn._runner._start_anew()
        while fn.kernel_status.startswith("no kernel yet"):
            time.sleep(0.001)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not wrong
    assert _uses_kernel(fn)


@pytest.mark.parametrize(
    "copied", [lambda fn: pickle.loads(pickle.dumps(fn)), copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deepcopy"],
)  # fmt: skip
def test_a_copy_wants_what_it_was_made_from_wants(builds, copied):
    other = copied(_compiled(True))
    assert _uses_kernel(other)
    _check(other)
    assert builds.count == 2


def test_a_loss_that_nobody_has_any_more_gets_no_kernel(builds):
    builds.go.clear()
    first, second = _compiled("auto"), _compiled("auto")
    first(PRED, LABEL)
    second(PRED, LABEL)
    gone = weakref.ref(second)
    del second
    gc.collect()
    assert gone() is None
    builds.go.set()
    BACKGROUND.wait()
    assert builds.count == 1


_PREPARED = f"""
import os, sys, threading, time, warnings
sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / "tests" / "helpers")!r}]
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
import numpy as np
import lossgraph as lg
from hand_written import HandWritten
from lossgraph import gluon
from lossgraph.kernels.model import Fused, kernel_model
from lossgraph.kernels.unit import translation_unit
from lossgraph.runtime import kernel_build
from lossgraph.runtime.background import BACKGROUND
types = dict.fromkeys(("pred", "label"), ("float32", ("N", "C")))
pred, label = np.random.default_rng(0).normal(size=(2, 60, 4000)).astype(np.float32)
def fuse_by_hand(program):
    kernel = HandWritten(program)
    unit = translation_unit([kernel])
    return Fused((kernel,), unit, kernel_model(kernel, unit.domain))
kernel_build.fuse = fuse_by_hand
kernel_build.library_of = lambda unit: build()
"""


def _in_a_process(code, **environment):
    done = subprocess.run(
        [sys.executable, "-c", _PREPARED + code],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_process_ends_while_a_kernel_is_built():
    """Jobs that wait are dropped; the one that runs is waited for, and leaves no half file."""
    said = _in_a_process("""
def build():
    print("begun", flush=True)
    time.sleep(0.5)
    print("ended", flush=True)
    raise OSError
fns = [lg.compile(gluon.L2Loss(), types, kernels="auto") for _ in range(30)]
for fn in 2 * fns:
    fn(pred, label)
""")
    assert said.count("begun") == said.count("ended") < 30


def test_a_process_stops_the_compiler_at_its_end():
    begun = time.monotonic()
    _in_a_process("""
from lossgraph.kernels.processes import run_process
def build():
    print(run_process([sys.executable, "-c", "import time; time.sleep(50)"], None, 60).code)
    raise OSError
fn = lg.compile(gluon.L2Loss(), types, kernels="auto")
fn(pred, label)
fn(pred, label)
time.sleep(0.3)
""")
    assert time.monotonic() - begun < 30


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_process_opens_the_kernel_anew(library):
    said = _in_a_process(f"""
from pathlib import Path
def build():
    return Path({str(library)!r})
fn = lg.compile(gluon.L2Loss(), types, grad=("pred",), kernels=True, threads=2)
before = fn(pred, label)
bound = fn.bind(pred, label)
bound()
child = os.fork()
if child == 0:
    assert "has not been called" in fn.kernel_status, fn.kernel_status
    for _ in range(3):
        loss, grads = fn(pred, label)
        assert np.allclose(loss, before[0]) and np.allclose(grads["pred"], before[1]["pred"])
        assert np.allclose(bound()[0], before[0])
        BACKGROUND.wait()
    assert "kernel Fused_by_hand" in fn.kernel_status, fn.kernel_status
    os._exit(7)  # what else is left of the other process cannot be ended
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert np.array_equal(fn(pred, label)[0], before[0])
""")
    assert said == ["7"]


def test_numbers_stay_numbers_where_results_are_large():
    """Into arrays of our own, as large results go, arrays are bound, of which one has no axis."""

    def scaled(F, pred, temperature):
        return pred / temperature

    types = {"pred": ("float32", ("N",)), "temperature": ("float32", ())}
    compiled = lg.compile(scaled, types, kernels=True)
    pred = np.arange(100_000, dtype=np.float32)
    np.testing.assert_array_equal(compiled(pred, np.float32(4)), pred / 4)
