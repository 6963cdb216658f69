"""What a guard does not choose is neither in the value nor in the gradients of any order."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph.authoring.functions import as_loss
from lossgraph.ir.evaluate import evaluate
from support import assert_close

inf, nan = np.inf, np.nan


def both_graphs(body, arrays, grad=("x",), dtype="float32"):
    """Value and gradient by the graph that is run, once they are those of the exported one."""
    shapes = {name: ("N", *value.shape[1:]) for name, value in arrays.items()}
    dtypes = {n: dtype if a.dtype.kind == "f" else a.dtype.name for n, a in arrays.items()}
    given = {name: a.astype(dtypes[name]) for name, a in arrays.items()}
    types = {name: (dtypes[name], shapes[name]) for name in arrays}
    value, grads = lg.compile(body, types, grad=grad)(**given)
    program = as_loss(body).program(types, grad=grad)
    exported = evaluate(list(program.outputs.values()), given)
    for a, b in zip([value, *grads.values()], exported, strict=True):
        assert_close(a, b, dtype)
    return value, grads["x"]


def second(body):
    return lambda F, x: lg.grad(body(F, x), x)


def elementwise(body, *rows):
    """A body, and for each point: x, value, first and second derivative."""
    return body, np.array(rows, np.float64).T


E = np.exp
GUARDS = {
    "elu": elementwise(
        lambda F, x: F.where(x > 0, x, F.exp(x) - 1),
        (100, 100, 1, 0), (1e4, 1e4, 1, 0), (-1, E(-1) - 1, E(-1), E(-1)), (-1e4, -1, 0, 0)),
    "elu plus 1, scaled": elementwise(
        lambda F, x: 2 * F.where(x > 0, x + 1, 3 * (F.exp(x) - 1) + 1) - 1,
        (1e4, 2e4 + 1, 2, 0), (-1, 6 * E(-1) - 5, 6 * E(-1), 6 * E(-1))),
    "logarithm plus 1": elementwise(
        lambda F, x: F.where(x > 0, F.log(x) + 1, x),
        (0, 0, 1, 0), (-2, -2, 1, 0), (2, np.log(2) + 1, 0.5, -0.25)),
    "x log x and more": elementwise(
        lambda F, x: F.where(x > 0, 3 - 2 * (x * F.log(x)) / 5, 0 * x),
        (0, 0, 0, 0), (-1, 0, 0, 0), (1, 3, -0.4, -0.4)),
    "a power": elementwise(
        lambda F, x: F.where(x > 0, x**0.3, 0 * x),
        (0, 0, 0, 0), (-2, 0, 0, 0), (1, 1, 0.3, -0.21)),
    "a root": elementwise(
        lambda F, x: F.where(x > 0, F.sqrt(x + 0) * 2 + x, x),
        (0, 0, 1, 0), (-2, -2, 1, 0), (4, 8, 1.5, -1 / 16)),
    "a reciprocal": elementwise(
        lambda F, x: F.where(x > 0, 3 / x + 1, 0 * x),
        (0, 0, 0, 0), (-1, 0, 0, 0), (1, 4, -3, 6)),
    "the other branch": elementwise(
        lambda F, x: F.where(x <= 0, 0 * x, 1 / (x * x)),
        (0, 0, 0, 0), (-1, 0, 0, 0), (1, 1, -2, 6)),
    "powers that overflow": elementwise(
        lambda F, x: F.where(F.abs(x) < 10, (x / 2) ** 7, x),
        (1e30, 1e30, 1, 0), (2, 1, 3.5, 10.5)),
    "a hyperbolic cosine": elementwise(
        lambda F, x: F.where(F.abs(x) < 10, F.cosh(x) * 2, F.abs(x)),
        (1e4, 1e4, 1, 0), (-1e4, 1e4, -1, 0), (0, 2, 0, 2)),
    "nested": elementwise(
        lambda F, x: F.where(x > 0, F.where(x < 50, F.exp(x) + 1, x), F.log(1 - x) * 2),
        (1e4, 1e4, 1, 0), (1, E(1) + 1, E(1), E(1)), (-1, 2 * np.log(2), -1, -0.5), (0, 0, -2, -2)),
    "where inside a logarithm": elementwise(
        lambda F, x: F.log(F.where(x > 1, F.log(x) + 1, 1 + 0 * x)),
        (0, 0, 0, 0), (-1, 0, 0, 0), (E(1), np.log(2), 0.5 / E(1), -0.75 / E(2))),
    "clip": elementwise(
        lambda F, x: F.clip(F.exp(x), 0.8, 1.2),
        (100, 1.2, 0, 0), (1e4, 1.2, 0, 0), (-1e4, 0.8, 0, 0), (0, 1, 1, 1)),
    "minimum": elementwise(
        lambda F, x: F.minimum(F.exp(x) * 3 + 1, 5 + 0 * x),
        (100, 5, 0, 0), (0, 4, 3, 3), (-1e4, 1, 0, 0)),
    "maximum": elementwise(
        lambda F, x: F.maximum(1 - F.exp(x) * 2, x),
        (100, 100, 1, 0), (-1, 1 - 2 * E(-1), -2 * E(-1), -2 * E(-1))),
    "relu": elementwise(
        lambda F, x: F.relu(3 - F.exp(x)),
        (1e4, 0, 0, 0), (0, 2, -1, -1)),
    "PPO's objective": elementwise(
        lambda F, x: F.minimum(F.exp(x) * 2, F.clip(F.exp(x), 0.8, 1.2) * 2),
        (100, 2.4, 0, 0), (1e4, 2.4, 0, 0), (0.1, 2 * E(0.1), 2 * E(0.1), 2 * E(0.1))),
    "a root of relu": elementwise(
        lambda F, x: F.sqrt(F.relu(x)),
        (-1, 0, 0, 0), (0, 0, 0, 0), (4, 2, 0.25, -1 / 32)),
    "a root of a minimum": elementwise(
        lambda F, x: F.sqrt(F.minimum(x * x, 9)),
        (0, 0, 0, 0), (-2, 2, -1, 0), (1e4, 3, 0, 0)),
    "a root of a square": elementwise(
        lambda F, x: (x**4) ** 0.25,
        (0, 0, 0, 0), (-2, 2, -1, 0), (2, 2, 1, 0)),
    "powers of an absolute value": elementwise(
        lambda F, x: (F.abs(x) ** 3) ** (1 / 3),
        (0, 0, 0, 0), (-2, 2, -1, 0), (2, 2, 1, 0)),
    "a root of a small cosine": elementwise(
        lambda F, x: F.sqrt(1 - F.cos(x)),
        (0, 0, 0, 0), (1, np.sqrt(1 - np.cos(1)), np.cos(0.5) / np.sqrt(2),
                       -np.sin(0.5) / np.sqrt(8))),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", GUARDS)
def test_elementwise(name, dtype):
    body, (x, value, slope, curvature) = GUARDS[name]
    actual, gradient = both_graphs(body, {"x": x}, dtype=dtype)
    assert_close(actual, value.astype(dtype), dtype)
    assert_close(gradient, slope.astype(dtype), dtype)
    again, curved = both_graphs(second(body), {"x": x}, dtype=dtype)
    assert_close(again, slope.astype(dtype), dtype)
    assert_close(curved, curvature.astype(dtype), dtype)


ROWS = np.array([[0.0, 0], [3, 4]])
# name: (body, value and gradient of a row of zeros, of [3, 4])
ROWWISE = {
    "norm by a power": (lambda F, x: F.sum(x * x, axis=1) ** 0.5, 0, 0, 5, (0.6, 0.8)),
    "norm by relu": (lambda F, x: F.sqrt(F.relu(F.sum(x * x, axis=1))), 0, 0, 5, (0.6, 0.8)),
    "norm by clip": (lambda F, x: F.sqrt(F.clip(F.sum(x * x, axis=1), 0, 99)), 0, 0, 5, (0.6, 0.8)),
    "norm by maximum": (
        lambda F, x: F.sqrt(F.maximum(F.sum(x * x, axis=1), 0)), 0, 0, 5, (0.6, 0.8)),
    "norm of two": (
        lambda F, x: F.sqrt(x[:, 0] ** 2 + x[:, 1] ** 2), 0, 0, 5, (0.6, 0.8)),
    "3-norm": (
        lambda F, x: F.sum(F.abs(x) ** 3, axis=1) ** (1 / 3), 0, 0, 91 ** (1 / 3),
        (9 / 91 ** (2 / 3), 16 / 91 ** (2 / 3))),
    "root of a mean with a factor": (
        lambda F, x: F.sqrt(F.mean(2 * F.square(x), axis=1)), 0, 0, 5, (0.6, 0.8)),
    "deviation from the mean": (
        lambda F, x: F.sqrt(F.mean((x - F.mean(x, axis=1, keepdims=True)) ** 2, axis=1)),
        0, 0, 0.5, (-0.5, 0.5)),
    "sum of logarithms": (
        lambda F, x: F.where(F.sum(x, axis=1) > 0, F.sum(F.log(x), axis=1) + 1, F.sum(x, axis=1)),
        0, 1, np.log(12) + 1, (1 / 3, 1 / 4)),
    "logarithm of a sum": (
        lambda F, x: F.where(F.sum(x, axis=1) > 0, F.log(F.sum(x, axis=1)) * 2, F.sum(x, axis=1)),
        0, 1, 2 * np.log(7), (2 / 7, 2 / 7)),
    "a row's condition, transposed": (
        lambda F, x: F.sum(F.where(
            F.transpose(x) > 0, F.transpose(1 / x + 0), F.zeros_like(F.transpose(x))), axis=0),
        0, 0, 7 / 12, (-1 / 9, -1 / 16)),
    "reshaped": (
        lambda F, x: F.sum(F.where(
            F.reshape(x, (-1,)) > 0, F.reshape(1 / x, (-1,)), 0 * F.reshape(x, (-1,))).reshape(
                (-1, 2)), axis=1),
        0, 0, 7 / 12, (-1 / 9, -1 / 16)),
    "a picked logarithm": (
        lambda F, x: F.where(x[:, 1] > 0, F.pick(F.log(x), F.zeros_like(x[:, 0])), x[:, 0]),
        0, (1, 0), np.log(3), (1 / 3, 0)),
    "logarithms that are not picked": (
        lambda F, x: F.pick(F.log(1 + x - F.one_hot(F.ones_like(x[:, 0]), 2)),
                            F.zeros_like(x[:, 0])), 0, (1, 0), np.log(4), (0.25, 0)),
}  # fmt: skip


@pytest.mark.parametrize("name", ROWWISE)
def test_rowwise(name):
    body, zero, slope, value, slopes = ROWWISE[name]
    actual, gradient = both_graphs(body, {"x": ROWS})
    for i, (v, g) in enumerate([(zero, slope), (value, slopes)]):
        assert_close(actual[i], np.float32(v))
        assert_close(gradient[i], np.broadcast_to(np.float32(g), 2))
    _, curved = both_graphs(lambda F, x: F.sum(lg.grad(body(F, x), x), axis=1), {"x": ROWS})
    assert np.isfinite(curved[:1]).all()


def test_a_root_of_weighed_squares():
    """A row of zeros, and one whose weights are zero."""
    x, w = np.array([[0.0, 0], [1, 2], [1, 2]]), np.array([[1.0, 1], [0, 0], [4, 0]])
    for body in [
        lambda F, x, w: F.sqrt(F.sum(w * x * x, axis=1)),
        lambda F, x, w: F.sqrt(F.sum(w * F.square(x), axis=1)),
    ]:
        value, gradient = both_graphs(body, {"x": x, "w": w})
        assert_close(value, np.array([0, 0, 2], np.float32))
        assert_close(gradient, np.array([[0, 0], [0, 0], [2, 0]], np.float32))


def test_a_weight_of_zero_is_a_guard():
    p, w = np.array([0.0, 0.5]), np.array([0.0, 2])
    for body, slope in [
        (lambda F, x, w: F.masked_mul(w, F.log(x) * F.exp(x)), (np.log(0.5) + 2) * E(0.5)),
        (lambda F, x, w: F.masked_mul(w, 1 / x), -4),
    ]:
        _, gradient = both_graphs(body, {"x": p, "w": w})
        assert_close(gradient, np.array([0, 2 * slope], np.float32))


def test_elements_that_are_not_selected():
    """By a slice, an index, or because others are larger."""
    x = np.array([[1.0, 1000], [2, 1000]])
    for body in [
        lambda F, x: -F.exp(x)[:, 0],
        lambda F, x: F.max(-F.exp(x), axis=1),
        lambda F, x: F.min(F.exp(x), axis=1) * -1,
        lambda F, x: F.pick(-F.exp(x), F.zeros_like(x[:, 0])),
        lambda F, x: F.take(-F.exp(x), F.zeros_like(x[0, 0]), axis=1),
    ]:
        value, gradient = both_graphs(body, {"x": x})
        assert_close(value.reshape(2), -np.exp([1, 2]).astype(np.float32))
        assert_close(gradient, np.array([[-E(1), 0], [-E(2), 0]], np.float32))


@pytest.mark.parametrize("hidden", [nan, inf, -inf, 0.0, 1e30])
def test_what_a_mask_hides_may_be_anything(hidden):
    """Missing numbers under a mask that is an input, in the branch and beside it."""
    bodies = [
        lambda F, x, t, m: F.where(m, (x - t) ** 2 / t, F.zeros_like(x)),
        lambda F, x, t, m: F.where(m != 0, F.log(t) * x * x, 0 * x),
        lambda F, x, t, m: F.where(m, F.exp(x * t) - 1, F.zeros_like(x)),
    ]
    slopes = [lambda x, t: 2 * (x - t) / t, lambda x, t: 2 * x * np.log(t),
              lambda x, t: t * np.exp(x * t)]  # fmt: skip
    x, t, m = np.array([0.5, 0.25]), np.array([hidden, 2.0]), np.array([0.0, 1.0])
    for body, slope in zip(bodies, slopes, strict=True):
        _, gradient = both_graphs(body, {"x": x, "t": t, "m": m})
        assert_close(gradient, np.array([0, slope(0.25, 2.0)], np.float32), "float32")


@pytest.mark.parametrize(
    "known",
    [
        lambda F, t: F.logical_not(F.isnan(t)),
        lambda F, t: t == t,
        lambda F, t: F.isfinite(t),
        lambda F, t: F.abs(t) < inf,
    ],
)
def test_labels_that_are_missing(known):
    x, t = np.array([[1.0, 2], [3, 4]]), np.array([[nan, 1], [3, nan]])
    value, gradient = both_graphs(
        lambda F, x, t: F.sum(F.where(known(F, t), (x - t) ** 2, F.zeros_like(x)), axis=1),
        {"x": x, "t": t},
    )
    assert_close(value, np.array([1, 0], np.float32))
    assert_close(gradient, np.array([[0, 2], [0, 0]], np.float32))


def test_a_nan_that_is_chosen_comes_out():
    x = np.array([nan, nan, 2.0])
    for body, lost in [
        (lambda F, x: F.where(F.isnan(x), F.exp(x) + 1, x), False),
        (lambda F, x: F.where(x > 0, x, F.exp(x) - 1), False),
        (lambda F, x: F.relu(3 - F.exp(x)), False),
        (lambda F, x: F.maximum(F.log(x), x), False),
        (lambda F, x: F.clip(F.exp(x), 0, 9), False),
        (lambda F, x: F.where(x > 0, F.log(x), 1 + 0 * F.zeros_like(x)), True),  # numpy's where
    ]:
        value, gradient = both_graphs(body, {"x": x})
        assert np.isnan(value[:2]).all() != lost
        assert np.isnan(gradient[:2]).all() != lost
        assert np.isfinite([value[2], gradient[2]]).all()


def test_a_pole_is_not_hidden():
    """Where the derivative of what is chosen is infinite it stays so."""
    x = np.array([0.0, 1.0])
    for body in [
        lambda F, x: F.sqrt(x),
        lambda F, x: F.where(x >= 0, F.sqrt(x), 0 * x),
        lambda F, x: x**0.3 + x,
        lambda F, x: F.sqrt(3 * x),
    ]:
        _, gradient = both_graphs(body, {"x": x})
        assert np.isposinf(gradient[0])
        assert np.isfinite(gradient[1])


def test_one_expression_in_two_branches():
    """Its gradient is masked by where either lets it pass, and not at all by both."""

    def body(F, x):
        e = F.exp(x)
        return F.where(x > 3, x, e) + F.where(x > 2, 0 * x, e * e)

    x = np.array([1e4, 2.5, 0.0])
    _, gradient = both_graphs(body, {"x": x})
    assert_close(gradient, np.array([1, np.exp(2.5), 3], np.float32))
    _, gradient = both_graphs(
        lambda F, x: F.where(x > 0, F.exp(x), 2 * F.exp(x)), {"x": np.array([100.0, 1, -1])}
    )
    assert_close(gradient, np.array([inf, np.exp(1), 2 * np.exp(-1)], np.float32))


def test_a_narrow_factor_of_a_guarded_row():
    """A factor of each row gets the sum of what is alive in it."""
    x = np.array([[0.0, 2.0], [0.0, -1.0]])
    w = np.array([[2.0], [3.0]])

    def body(F, x, w):
        return F.sum(F.where(x > 0, F.broadcast_mul(F.log(x), w), F.zeros_like(x)), axis=1)

    types = {"x": ("float64", ("N", 2)), "w": ("float64", ("N", 1))}
    _, grads = lg.compile(body, types, grad=("x", "w"))(x, w)
    assert_close(grads["x"], np.array([[0, 1.0], [0, 0]]))
    assert_close(grads["w"], np.array([[np.log(2)], [0]]))


def test_tangents_and_products_with_the_hessian_are_guarded():
    x = np.array([100.0, -1.0, 0.0])

    def body(F, x):
        return lg.jvp(F.where(x > 0, x, F.exp(x) - 1), {x: 2 * F.ones_like(x)})

    assert_close(lg.compile(body, {"x": ("float64", ("N",))})(x), np.array([2, 2 * E(-1), 2]))


def test_no_operation_is_added_where_nothing_can_go_wrong():
    """A guard of what is finite costs what it did."""

    def count(body, grad=("x",)):
        model = as_loss(body).to_onnx({"x": ("float32", ("N",))}, grad=grad)
        return sum(node.op_type == "Where" for node in model.graph.node)

    assert count(lambda F, x: F.where(x > 0, F.sigmoid(x), x)) == 3
    assert count(lambda F, x: F.relu(1 - x * x)) == 0
    assert count(lambda F, x: F.clip(F.tanh(x), -0.5, 0.5)) == 0
    assert count(lambda F, x: F.sqrt(F.relu(x) + 1e-8)) == 0
    assert count(lambda F, x: F.sqrt(x * x + 1e-12)) == 0
    assert count(lambda F, x: F.where(x > 0, F.log(x), x)) == 3


def matrix_program(F, x, w, m):
    return F.where(m > 0, F.dot(F.log(x), F.exp(w)), F.zeros_like(m))


@pytest.mark.parametrize("hidden", [0.0, -1.0])
@pytest.mark.parametrize("rows", ["N", 2])
def test_a_mask_goes_through_a_product_of_matrices(hidden, rows):
    """A row that no element of the product counts of is in no gradient, by either matrix."""
    x, w = np.array([[hidden, 2.0], [3.0, 4.0]]), np.array([[0.5], [-0.5]])
    types = {"x": ("float64", (rows, 2)), "w": ("float64", (2, 1)),
             "m": ("float64", (rows, 1))}  # fmt: skip
    run = lg.compile(matrix_program, types, grad=("x", "w"))
    value, grads = run(x, w, np.array([[0.0], [1.0]]))
    assert_close(value, np.array([[0], [np.log(3) * E(0.5) + np.log(4) * E(-0.5)]]))
    assert_close(grads["x"], np.array([[0, 0], [E(0.5) / 3, E(-0.5) / 4]]))
    assert_close(grads["w"], np.array([[np.log(3) * E(0.5)], [np.log(4) * E(-0.5)]]))


def test_a_mask_of_sums_of_a_broadcast_and_of_a_row():
    """Where no element of a row counts neither does what is broadcast to it, or mixed in it."""
    x, m = np.array([[0.0], [2.0]]), np.array([[0.0, 0, 0], [0, 1, 0]])
    y = np.array([[1.0, 2, 3]])
    bodies = {
        "broadcast": (lambda F, x, m, y: F.where(m > 0, y / x, F.zeros_like(m)), -2 / 4),
        "softmax": (
            lambda F, x, m, y: F.where(
                m > 0, F.softmax(F.broadcast_mul(F.log(x), y), axis=1), F.zeros_like(m)
            ),
            sum(8.0 * 2**k * (2 - k) for k in (1, 2, 3)) / (14 * 14) / 4,
        ),
    }
    for body, slope in bodies.values():
        types = {"x": ("float64", ("N", 1)), "m": ("float64", ("N", 3)), "y": ("float64", (1, 3))}
        _, grads = lg.compile(body, types, grad=("x",))(x, m, y)
        assert_close(grads["x"], np.array([[0], [slope]]))


@pytest.mark.parametrize("rows", [4, "M"])
def test_what_is_not_picked_of_sizes_of_two_names(rows):
    """The mask has the sizes of the index, what it is for those of the array."""

    def body(F, x, z):
        v = F.concat(x, x, dim=0)
        return F.batch_take(v**v, z)

    x, z = np.array([[-0.75, 2.0], [1.25, -1.5]]), np.array([1, 0, 1, 0])
    types = {"x": ("float64", (2 if rows == 4 else "N", 2)), "z": ("int64", (rows,))}
    _, grads = lg.compile(body, types, grad=("x",))(x, z)
    first, second = (2 * x**x * (np.log(x) + 1) for x in (2.0, 1.25))
    assert_close(grads["x"], np.array([[0, first], [second, 0]]))
