"""Control flow in a body: loops of a number of steps, loops with an end, choices."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph.authoring.functions import FunctionLoss
from operator_laws import check_derivatives, check_opsets, check_values
from support import assert_close

X = np.random.default_rng(2).uniform(0.5, 2, (3, 4))


def newton(F, x):
    """Square roots by a number of steps, none of which reads anything."""

    def step(i, state):
        following = 0.5 * (state + x / state)
        return following * (i + 1), following

    return F.contrib.foreach(step, 4, F.ones_like(x))


def halving(F, x):
    """Halve until the sum is small: another number of steps for other numbers."""

    def going_on(total, steps):
        return F.sum(total) > 3

    def halve(total, steps):
        return F.sum(total, axis=0), [total * 0.5, steps + 1]

    return F.contrib.while_loop(
        going_on, halve, [x, F.zeros((1,), dtype=x.dtype)], max_iterations=5
    )


def single(F, x):
    return F.contrib.while_loop(lambda s: F.max(s) < 9, lambda s: (s, s * s + x), x, 4)


def choice(F, x):
    return F.contrib.cond(F.sum(x) > 10, lambda: [x * x, x[0]], lambda: [F.sqrt(x), x[1]])


CASES = {"foreach": newton, "while_loop": halving, "while_loop of one": single, "cond": choice}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("scale", [0.3, 1.0, 2.0])
def test_control_flow_agrees_with_numpy(name, scale):
    check_values(CASES[name], {"x": X * scale})


@pytest.mark.parametrize("name", CASES)
def test_control_flow_has_right_derivatives(name):
    check_derivatives(CASES[name], {"x": X})


def test_control_flow_in_every_opset():
    check_opsets(lambda F, x: [newton(F, x)[1], halving(F, x)[0], choice(F, x)[0]], {"x": X})


def test_the_number_of_steps_may_be_a_size():
    loss = FunctionLoss(
        lambda F, x: F.contrib.foreach(lambda i, s: (s, s + i), x.shape[0], F.sum(x))[1]
    )
    run = lg.compile(loss, {"x": ("float64", ("N",))})
    for n in (0, 1, 5):
        assert_close(run(np.ones(n)), np.array([n + n * (n - 1) / 2.0]))


def test_an_index_has_the_digits_of_what_it_meets():
    loss = FunctionLoss(lambda F, x: F.contrib.foreach(lambda i, s: (x * (i / 7), s), 7, x)[0])
    assert_close(loss(np.ones(1))[:, 0], np.arange(7) / 7)


def test_steps_after_the_end_have_no_gradient():
    """Where the body would divide by zero, or take the root of what is negative."""

    def body(F, x):
        return F.contrib.while_loop(lambda s: s > 0.5, lambda s: (F.sqrt(s), s - 1), x, 6)

    (roots, _), gradient = FunctionLoss(body).value_and_grad(np.array([2.25]))
    assert_close(roots[:, 0], np.array([1.5, np.sqrt(1.25), 0, 0, 0, 0]))
    assert_close(gradient["x"], np.array([0.5 / 1.5 + 0.5 / np.sqrt(1.25) + 1]))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (lambda F, x: F.contrib.while_loop(lambda s: s, lambda s: (s, s), x), "max_iterations"),
        (lambda F, x: F.contrib.while_loop(lambda s: s, lambda s: (s, s), x, 3), "one number"),
        (lambda F, x: F.contrib.while_loop(lambda s: F.sum(s), lambda s: s, x, 3), "returns"),
        (lambda F, x: F.contrib.cond(x > 0, lambda: x, lambda: x), "one number"),
        (lambda F, x: F.contrib.cond(F.sum(x), lambda: x, lambda: [x, x]), "one branch"),
        (lambda F, x: F.contrib.cond(F.sum(x), lambda: x, lambda: F.sum(x)), "one type"),
        (lambda F, x: F.contrib.foreach(lambda i, s: (s, s), -2, x), "at least 0"),
    ],
)
def test_mistakes_in_control_flow_are_explained(body, says):
    with pytest.raises(lg.InputError, match=says):
        FunctionLoss(body).program({"x": ("float32", (4, 3))})
