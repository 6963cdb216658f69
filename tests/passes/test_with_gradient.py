"""Values that say what their gradient is."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import reference
from lossgraph.compiler.program import build
from lossgraph.ir import ops
from lossgraph.ir.evaluate import evaluate
from lossgraph.ir.expr import toposort
from lossgraph.ir.types import tensor_type
from lossgraph.passes import autodiff
from support import assert_close, symbol

X = symbol("x", "float64", (3, 4))
ARRAYS = {"x": np.random.default_rng(0).normal(size=(3, 4))}


def cubes(x):
    """The rows' sums of x^3, their gradient given."""
    return ops.custom_vjp(ops.reduce_sum(x * x * x, (1,)), [x], [3 * x * x])


def test_derivatives_of_every_order():
    first = autodiff.grad(cubes(X), [X])[0]
    second = autodiff.grad(first, [X])[0]
    third = autodiff.grad(second, [X])[0]
    x = ARRAYS["x"]
    found = evaluate([cubes(X), first, second, third], ARRAYS)
    expected = [(x**3).sum(1, keepdims=True), 3 * x**2, 6 * x, np.full((3, 4), 6.0)]
    for a, b in zip(found, expected, strict=True):
        assert_close(a, b)


def test_forward_mode():
    tangent = symbol("t", "float64", (3, 4))
    (pushed,) = autodiff.jvp([cubes(ops.tanh(X))], {X: tangent})
    given = {**ARRAYS, "t": np.ones((3, 4))}
    x = np.tanh(ARRAYS["x"])
    assert_close(evaluate([pushed], given)[0], (3 * x**2 * (1 - x**2)).sum(1, keepdims=True))


def test_by_nothing_else():
    y = symbol("y", "float64", (3, 4))
    value = ops.custom_vjp(ops.reduce_sum(X * y, (1,)), [X], [y])
    assert_close(evaluate([autodiff.grad(value, [y])[0]], {"y": ARRAYS["x"]})[0], np.zeros((3, 4)))


def test_several_inputs():
    y = symbol("y", "float64", (3, 4))
    value = ops.custom_vjp(ops.reduce_sum(X * y, (1,)), [X, y], [y, X])
    given = {**ARRAYS, "y": np.ones((3, 4))}
    by_x, by_y = evaluate(autodiff.grad(value, [X, y]), given)
    assert_close(by_x, given["y"])
    assert_close(by_y, given["x"])


@pytest.mark.parametrize(
    ("gradient", "beside"),
    [(ops.reduce_sum(X, (1,)), None), (X, X), (ops.cast(X, "float32"), None)],
)
def test_types_have_to_fit(gradient, beside):
    with pytest.raises(lg.InputError, match="CustomVjp"):
        ops.custom_vjp(ops.reduce_sum(X, (1,)), [X], [gradient], beside)


def names(program):
    return {node.op.name for node in toposort(program.outputs.values())}


def test_only_what_is_wanted_is_computed():
    """The value by itself; with the gradient, what comes with it."""

    def body(F, x):
        value, beside = (
            F.sum(F.sin(x), axis=1, keepdims=True),
            F.sum(F.erf(x), axis=1, keepdims=True),
        )
        return F.with_gradient(value, [x], [F.cos(x) + 0 * F.erf(x)], beside)

    types = {"x": tensor_type("float32", ("N", 3))}
    alone = names(build(body, types))
    assert "Sin" in alone
    assert not alone & {"Cos", "Erf", "CustomVjp"}
    both = names(build(body, types, grad=("x",)))
    assert {"Cos", "Erf"} <= both
    assert not both & {"Sin", "CustomVjp"}


def test_inside_a_loop():
    """A body may use it; the loop's own gradient takes the one that is given."""

    def body(F, x):
        def step(row, state):
            squares = F.with_gradient(row * row, [row], [2 * row])
            return [], state + squares

        _, last = F.contrib.foreach(step, F.transpose(x), F.zeros_like(x[:, 0]))
        return last

    x = np.random.default_rng(1).normal(size=(3, 4))
    fn = lg.compile(body, {"x": ("float64", ("N", "T"))}, grad=("x",))
    value, grads = fn(x)
    assert_close(value, (x**2).sum(1))
    assert_close(grads["x"], 2 * x)


def test_on_numpy_it_is_the_value():
    x = reference.array([1.0, 2.0])
    np.testing.assert_array_equal(
        reference.with_gradient(x, [x], [x]).asnumpy(), np.array([1, 2], np.float32)
    )
