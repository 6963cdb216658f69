"""tools/fuzz: it finds nothing here, finds what is broken on purpose, and covers all of F."""

from __future__ import annotations

import functools
import inspect
import re

import numpy as np
import pytest

from lossgraph import symbolic
from lossgraph.ir import ops
from support import load_from

load = functools.partial(load_from, "fuzzer")
recipes, programs, judge = load("recipes"), load("programs"), load("judge")
check, search, mirror = load("check"), load("search"), load("mirror")
oracles = load("oracles")
Program, Input, Way = programs.Program, programs.Input, programs.Way


@pytest.mark.once
@pytest.mark.parametrize("seed", range(4))
def test_random_programs_agree_in_all_ways(seed):
    _, found = search.try_seed(seed, count=15)
    assert found is None, str(found)


def test_every_function_is_called():
    modules = [module for module in vars(recipes).values() if inspect.ismodule(module)]
    sources = [inspect.getsource(module) for module in (recipes, *modules)]
    spelled = set(re.findall(r"\w+", "".join(sources)))
    called = spelled | set(recipes.signatures.by_signature())
    assert set(symbolic.functions()) - set(recipes.LEFT_OUT) <= called
    assert set(recipes.LEFT_OUT) <= {*symbolic.functions(), *vars(symbolic.contrib)}
    assert set(vars(symbolic.contrib)) <= spelled


def program(*lines, dtype="float64", **arrays):
    inputs = tuple(
        Input(name, np.asarray(a, None if np.asarray(a).dtype.kind == "i" else dtype),
              np.shape(a)) for name, a in arrays.items()
    )  # fmt: skip
    return Program(inputs, lines)


def test_a_wrong_value_is_found_and_shrunk(monkeypatch):
    monkeypatch.setattr(symbolic, "softmax", lambda data, **_: symbolic.sigmoid(data))
    few = {kind: recipes.RECIPES[kind] for kind in ("tame", "softmax")}
    monkeypatch.setattr(programs, "RECIPES", few)
    found = next(found for seed in range(30) if (found := search.try_seed(seed)[1]))
    assert "reference value" in found.what
    assert "F.softmax" in found.paste
    assert found.paste.count("\n    v") <= 2
    exec(compile(found.paste, "paste", "exec"), {})


def test_a_wrong_derivative_is_found(monkeypatch):
    wrong = program("F.tanh(x)", x=[0.5, -1.0])
    check.check(wrong)
    op = ops.tanh
    monkeypatch.setitem(op.__dict__, "vjp", lambda ct, out, x: (ct * (1 + out * out),))
    with pytest.raises(judge.Fault, match="derivative along a direction"):
        check.check(wrong)


def test_an_error_of_another_kind_is_a_fault(monkeypatch):
    def broken(*args, **options):
        raise KeyError("x")

    monkeypatch.setattr(check.ways.lg, "compile", broken)
    with pytest.raises(judge.Fault, match="compiled: KeyError"):
        check.check(program("F.exp(x)", x=[0.5]))


def reflected(*lines, **arrays):
    made = program(*lines, **arrays)
    roots = mirror.outputs_of(mirror.traced(made, named=False), made.wrt, False)
    return mirror.reflect(roots, made)


def test_rounding_is_no_fault_and_more_is():
    sums = reflected("F.sum(x, axis=0)", x=[1e8, 1.0, -1e8], dtype="float32")
    assert judge.compare("value", np.array([0.0], "f"), 0, sums, "float32") is None
    tame = reflected("F.exp(x)", x=[1.0], dtype="float32")
    e = np.exp(np.float32(1))
    assert judge.compare("value", np.array([e]), 0, tame, "float32") is None
    assert "is" in judge.compare("value", np.array([e * np.float32(1 + 1e-5)]), 0, tame, "float32")
    assert "shape" in judge.compare("value", e, 0, tame, "float32")


def test_what_is_said_of_special_numbers():
    poles = reflected("1.0 / x", x=[0.0, -0.0, np.inf])
    right = np.array([np.inf, -np.inf, 0.0])
    assert judge.compare("value", right, 0, poles, "float64") is None
    for place, wrong in ((0, np.nan), (0, -np.inf), (2, np.nan), (2, 1.0)):
        found = right.copy()
        found[place] = wrong
        assert judge.compare("value", found, 0, poles, "float64") is not None
    kept = reflected("x + 1.0", x=[np.nan, 1.0])
    lost = np.array([1.0, 2.0])
    assert judge.compare("value", lost, 0, kept, "float64", keeps_nan=False) is None
    assert judge.compare("value", lost, 0, kept, "float64") is not None


def test_what_a_narrower_dtype_on_the_way_loses_is_no_fault():
    small = reflected("F.exp(F.cast(x, 'float32'))", "F.cast(v0, 'float64')", x=[-200.0])
    assert judge.compare("value", np.array([0.0]), 0, small, "float64") is None


@pytest.mark.parametrize(("opset", "beyond"), [(13, True), (15, True), (16, False)])
def test_what_old_opsets_say_otherwise(opset, beyond):
    made = program("F.take(x, F.array([0, 0, 1]))", x=[1.0, np.inf])
    roots = mirror.outputs_of(mirror.traced(made, named=False), made.wrt, False)
    assert check._is_beyond(opset, roots, mirror.reflect(roots, made)) is beyond
    finite = program(*made.lines, x=[1.0, 2.0])
    assert not check._is_beyond(opset, roots, mirror.reflect(roots, finite))


def test_indices_are_not_moved():
    lengths = Input("n", np.array([1, 2], "f"), (2,))
    made = program("F.softmax(x, length=n, use_length=True)", x=np.ones((2, 3)))
    made = Program((*made.inputs, lengths), made.lines)
    near = oracles.beside(made, ["x", "n"])
    assert np.array_equal(near.arrays["n"], lengths.array)
    assert not np.array_equal(near.arrays["x"], made.arrays["x"])


def test_what_is_unused_is_left_out():
    whole = program("F.exp(x)", "F.exp(y)", "v0 + 1.0", x=[0.5], y=[0.25])
    assert whole.without_unused().source == (
        "def body(F, x):\n    v0 = F.exp(x)\n    v1 = v0 + 1.0\n    return v1"
    )


def test_seeds_are_all_that_a_program_depends_on():
    drawn = []
    for _ in range(2):
        seen = []
        original = search.check
        search.check = lambda made, seen=seen: seen.append(made.source)
        try:
            search.try_seed(3, count=5)
        finally:
            search.check = original
        drawn.append(seen)
    assert drawn[0] == drawn[1] != []
