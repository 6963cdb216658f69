"""Copies in a model that are trained as one parameter."""

import numpy as np
import pytest

import lossgraph as lg
from lossgraph.training import SGD
from support import assert_close
from training_cases import Run, step_of

draw = np.random.default_rng(5)
A = draw.standard_normal((3, 4))
PARAMETERS = {"a": A, "b": A.T.copy(), "c": A.copy(), "d": draw.standard_normal((3, 4))}


def gradients():
    return {f"d{name}": draw.standard_normal(array.shape) for name, array in PARAMETERS.items()}


@pytest.mark.parametrize("tie", [[("a", "b", "c")], True])
def test_copies_are_one_parameter(tie):
    step = step_of(PARAMETERS, optimizer=SGD(0.1), tie=tie)
    assert step.trainable == ("a", "d")
    assert step.left_out == {"b": "tied to 'a'", "c": "tied to 'a'"}
    run, given = Run(step), gradients()
    run(**given)
    moved = A - 0.1 * (given["da"] + given["db"].T + given["dc"])
    assert_close(run.parameters["a"], moved)
    held = step.initializers(run.parameters)
    for name, expected in {"a": moved, "b": moved.T, "c": moved}.items():
        assert_close(held[name], expected)
    found = run("evaluate", **given)
    assert_close(found["loss"], sum((held[n] * given[f"d{n}"]).sum() for n in held))


def test_copies_are_trained_apart_by_default():
    step = step_of(PARAMETERS)
    assert step.trainable == ("a", "b", "c", "d")
    assert step.tied == {}


def test_a_copy_that_is_not_trained_follows():
    step = step_of(PARAMETERS, trainable=["a", "d"], optimizer=SGD(1.0), tie=[("a", "c")])
    run, given = Run(step), gradients()
    run(**given)
    assert_close(run.parameters["a"], A - given["da"] - given["dc"])


def test_zeros_and_vectors_are_not_taken_for_copies():
    zeros = {name: np.zeros((2, 2)) for name in "ab"} | {name: np.arange(3.0) for name in "cd"}
    assert step_of(zeros, tie=True).tied == {}


@pytest.mark.parametrize(
    ("tie", "words"),
    [
        ([("a", "d")], r"'d' \[3, 4\] is no copy of 'a' \[3, 4\]"),
        ([("a", "q")], "no other initializer 'q'"),
        ([("a", "a")], "no other initializer 'a'"),
        ([("q", "a")], "'q' is not trained"),
        ([("a",)], "'a' has to stand with the names of its copies"),
        (["a"], "'a' has to stand with the names of its copies"),
        (3, "tie"),
    ],
)
def test_what_is_no_copy_is_refused(tie, words):
    with pytest.raises(lg.LossgraphError, match=words):
        step_of(PARAMETERS, tie=tie)
