"""Compiled losses in other processes: pickled, copied, forked."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon
from lossgraph.catalogue import entries, example_types
from support import assert_close

SPARSE = {"pred": ("float32", ("N", "C")), "label": ("int64", ("N",))}
PRED = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
LABEL = np.arange(6) % 4


@pytest.mark.parametrize(
    "copied", [lambda fn: pickle.loads(pickle.dumps(fn)), copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deepcopy"],
)  # fmt: skip
def test_a_copy_computes_the_same(copied):
    fn = lg.compile(gluon.SoftmaxCELoss(weight=0.5), SPARSE, grad=("pred",), threads=1)
    expected = fn(PRED, LABEL)
    other = copied(fn)
    assert other is not fn
    assert other._runner is not fn._runner
    assert repr(other) == repr(fn)
    for _ in range(2):
        value, grads = other(PRED, LABEL)
        assert_close(value, expected[0])
        assert_close(grads["pred"], expected[1]["pred"])
    with pytest.raises(lg.InputError, match=r"label\[1\] is 9"):
        other(PRED, np.where(np.arange(6) == 1, 9, LABEL))
    assert other._settings == (None, None, 1, None, False)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_every_program_is_the_same_after_pickling(entry):
    loss = entry.make({})
    types = example_types(loss)
    program = loss.program(types, grad=(next(iter(types)),))
    other = pickle.loads(pickle.dumps(program))
    assert other.inputs == program.inputs
    assert other.typed_outputs == program.typed_outputs  # interned: the same expressions
    assert other == program


def test_auxiliary_outputs_and_tuples_are_pickled():
    def body(F, pred, label):
        return F.mean(F.square(pred - label), axis=1), {"error": pred - label}

    types = dict.fromkeys(("pred", "label"), ("float32", ("N", "C")))
    fn = lg.compile(body, types, grad=("pred",))
    (value, aux), grads = pickle.loads(pickle.dumps(fn))(PRED, PRED * 0)
    assert_close(value, (PRED**2).mean(1))
    assert_close(aux["error"], PRED)
    assert_close(grads["pred"], PRED / 2)


def test_a_graph_deeper_than_the_stack():
    def body(F, x):
        for _ in range(3000):
            x = F.sin(x)
        return x

    fn = lg.compile(body, {"x": ("float64", ("N",))})
    assert pickle.loads(pickle.dumps(fn.program)) == fn.program


def in_a_process_of_its_own(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_another_process_gets_a_compiled_loss(tmp_path):
    path = tmp_path / "loss.pickle"
    path.write_bytes(pickle.dumps(lg.compile(gluon.SoftmaxCELoss(), SPARSE)))
    code = f"""
import pickle, numpy as np
with open({str(path)!r}, "rb") as file:
    fn = pickle.load(file)
print(fn(np.zeros((2, 4), np.float32), np.array([0, 3])).tolist())
"""
    assert in_a_process_of_its_own(code) == str([float(np.float32(np.log(4)))] * 2)


@pytest.mark.skipif(not hasattr(__import__("os"), "fork"), reason="no fork here")
def test_shards_are_computed_in_a_fork():
    """Threads do not survive a fork: the child makes its own."""
    code = """
import os, warnings
import numpy as np
from lossgraph import gluon
from lossgraph.runtime import shards
import lossgraph as lg
shards._WORTH_A_THREAD = 1
warnings.simplefilter("ignore", DeprecationWarning)  # of a fork beside threads
types = {"pred": ("float64", ("N", "T", "C")), "label": ("int32", ("N", "L"))}
fn = lg.compile(gluon.CTCLoss(), types, threads=2)
pred, label = np.random.default_rng(0).normal(size=(4, 6, 3)), np.zeros((4, 2), np.int32)
before = fn(pred, label)
assert shards._POOL
child = os.fork()
if child == 0:
    os._exit(0 if not shards._POOL and np.array_equal(fn(pred, label), before) else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
assert np.array_equal(fn(pred, label), before)
"""
    assert in_a_process_of_its_own(code) == "0"
