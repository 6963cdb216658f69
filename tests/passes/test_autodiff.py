"""Derivatives through the public interface: they nest, and refuse what has none."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import symbolic as F
from support import assert_close

GRID = np.linspace(-2, 2, 9)


def run(*symbols, **arrays):
    types = {name: ("float64", ("N", *array.shape[1:])) for name, array in arrays.items()}
    return lg.compile(list(symbols), types)(**arrays)


def x64(shape=("N",)):
    return lg.symbol("x", "float64", shape)


def test_gradients_nest():
    x = x64()
    y = F.exp(x) * F.sin(x)
    first = lg.grad(y, x)
    second = lg.grad(first, x)
    third = lg.grad(second, x)
    a, b, c = run(first, second, third, x=GRID)
    e, s, k = np.exp(GRID), np.sin(GRID), np.cos(GRID)
    assert_close(a, e * (s + k))
    assert_close(b, 2 * e * k)
    assert_close(c, 2 * e * (k - s))


def test_forward_over_reverse_is_a_hessian_product():
    x, v = x64(("N", 3)), lg.symbol("v", "float64", ("N", 3))
    hessian_v = lg.jvp(lg.grad(F.log(F.sum(F.exp(x), axis=1)), x), {x: v})
    reverse = lg.grad(F.sum(lg.grad(F.log(F.sum(F.exp(x), axis=1)), x) * v), x)
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    one, other = run(hessian_v, reverse, x=a, v=b)
    p = np.exp(a) / np.exp(a).sum(1, keepdims=True)
    assert_close(one, p * b - p * (p * b).sum(1, keepdims=True))
    assert_close(other, one)


def test_an_expression_in_the_middle_can_be_differentiated_by():
    """Even where stabilizing would make it disappear: log(sigmoid(x)) by the sigmoid."""
    x = x64()
    middle = F.sigmoid(x)
    y = F.log(middle) + x
    by_middle, by_input = run(*lg.grad(y, [middle, x]), x=GRID)
    sigmoid = 1 / (1 + np.exp(-GRID))
    assert_close(by_middle, 1 / sigmoid)
    assert_close(by_input, 2 - sigmoid)
    (pushed,) = run(lg.jvp(F.log(middle), {middle: 2.0}), x=GRID)
    assert_close(pushed, 2 / sigmoid)


def test_vjp_and_jvp_of_several_outputs():
    x = x64()
    a, b = F.square(x), F.sin(x)
    pulled, pushed_a, pushed_b = run(
        lg.vjp([a, b], [1.0, 3.0], x), *lg.jvp([a, b], {x: 2.0}), x=GRID
    )
    assert_close(pulled, 2 * GRID + 3 * np.cos(GRID))
    assert_close(pushed_a, 4 * GRID)
    assert_close(pushed_b, 2 * np.cos(GRID))


@pytest.mark.parametrize(
    ("body", "at", "slope"),
    [
        (lambda x: F.abs(x), 0.0, 0.0),
        (lambda x: F.relu(x), 0.0, 0.0),
        (lambda x: F.maximum(x, 1.0), 1.0, 0.0),
        (lambda x: F.minimum(x, 1.0), 1.0, 0.0),
        (lambda x: F.broadcast_maximum(F.zeros((1,)), x), 0.0, 0.0),
        (lambda x: F.maximum(x, x * 1.0), 1.0, 1.0),
        (lambda x: F.maximum(x, 2 - x), 1.0, 0.0),
        (lambda x: F.clip(x, -1.0, 1.0), 1.0, 1.0),
        (lambda x: F.clip(x, -1.0, 1.0), -1.0, 1.0),
        (lambda x: F.smooth_l1(x), 1.0, 1.0),
        (lambda x: F.sign(x), 0.5, 0.0),
        (lambda x: F.floor(x) + F.ceil(x) + F.round(x), 0.3, 0.0),
        (lambda x: F.stop_gradient(x) * x, 3.0, 3.0),
        (lambda x: F.BlockGrad(x), 3.0, 0.0),
        (lambda x: F.power(x, 0.0), 0.0, 0.0),
        (lambda x: F.power(x, 1.0), 0.0, 1.0),
        (lambda x: F.power(x, 2.0), 0.0, 0.0),
        (lambda x: F.softrelu(x), 0.0, 0.5),
    ],
)
def test_kinks(body, at, slope):
    x = x64()
    (actual,) = run(lg.grad(body(x), x), x=np.array([at]))
    assert_close(actual, np.array([slope]))


def test_two_variables_share_a_tie():
    x, y = x64(), lg.symbol("y", "float64", ("N",))
    a, b = run(*lg.grad(F.maximum(x, y), [x, y]), x=np.ones(1), y=np.ones(1))
    assert_close(a, np.array([0.5]))
    assert_close(b, np.array([0.5]))


def test_an_axis_shares_its_maximum():
    x = x64(("N", 4))
    (g,) = run(lg.grad(F.max(x, axis=1), x), x=np.array([[1.0, 3, 3, 2], [0, 0, 0, 0]]))
    assert_close(g, np.array([[0, 0.5, 0.5, 0], [0.25] * 4]))


def test_a_product_with_zeros():
    x = x64(("N", 3))
    rows = np.array([[2.0, 3, 4], [0, 3, 4], [0, 0, 4], [0, 0, 0]])
    (g,) = run(lg.grad(F.prod(x, axis=1), x), x=rows)
    assert_close(g, np.array([[12.0, 8, 6], [12, 0, 0], [0, 0, 0], [0, 0, 0]]))


def test_a_product_with_zeros_to_second_order():
    """d2/dx_i dx_j is the product of the others, whatever is zero."""
    x = x64(("N", 3))
    first = lg.grad(F.prod(x, axis=1), x)
    columns = [lg.grad(F.sum(F.slice_axis(first, axis=1, begin=i, end=i + 1)), x) for i in range(3)]
    rows = np.array([[2.0, 3, 4], [0, 3, 4], [0, 0, 4], [0, 3, 0], [0, 0, 0]])
    for i, column in enumerate(run(*columns, x=rows)):
        others = [np.prod(np.delete(rows, [i, j], 1), 1) * (i != j) for j in range(3)]
        assert_close(column, np.stack(others, 1))


def test_sums_over_broadcast_axes_have_the_shape_of_the_argument():
    x, y = x64(("N", 1)), lg.symbol("y", "float64", (4,))
    gx, gy = lg.grad(x * y, [x, y])
    assert gx.shape[1] == 1
    a, b = lg.compile([gx, gy])(x=np.ones((3, 1)), y=np.arange(4.0))
    assert_close(a, np.full((3, 1), 6.0))
    assert_close(b, np.full(4, 3.0))


def test_integers_have_no_gradient():
    label = lg.symbol("label", "int64", ("N",))
    with pytest.raises(lg.GradientError, match="'label' has dtype int64"):
        lg.grad(F.exp(label), label)


def test_class_labels_have_no_gradient_whatever_their_dtype():
    x, label = x64(("N", 3)), lg.symbol("label", "float64", ("N",))
    for chosen in (F.pick(x, label), F.one_hot(label, 3), F.take(x, label)):
        with pytest.raises(lg.GradientError, match="class label or an index"):
            lg.grad(chosen, label)


def test_behind_stop_gradient_a_label_has_gradient_zero():
    x, label = x64(), lg.symbol("label", "float64", ("N",))
    (g,) = run(lg.grad(x * F.stop_gradient(label), label), x=GRID, label=GRID)
    assert_close(g, np.zeros_like(GRID))


def test_what_the_value_does_not_depend_on_has_gradient_zero():
    x, other = x64(), lg.symbol("other", "float64", ("N", 2))
    (g,) = run(lg.grad(x, other), other=np.ones((3, 2)))
    assert_close(g, np.zeros((3, 2)))


def test_a_wrong_number_of_cotangents_is_refused():
    x = x64()
    with pytest.raises(lg.InputError, match="as many cotangents"):
        lg.vjp([x, x], [1.0], x)
