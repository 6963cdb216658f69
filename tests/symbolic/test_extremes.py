"""Operators of F at the ends of a dtype: squares that overflow, signs of zero, infinities."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import reference
from lossgraph import symbolic as F
from lossgraph.authoring.functions import as_loss
from support import assert_close, run_model

ROUNDINGS = ("rint", "round", "fix", "trunc", "floor", "ceil")


def both(body, x):
    """The results of the graph that is run here, and of the exported one."""
    types = {"x": (x.dtype.name, tuple("NC"[: x.ndim]))}
    model = as_loss(body).to_onnx(types)
    return lg.compile(body, types)(x), run_model(model, {"x": x})[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ROUNDINGS)
def test_what_is_rounded_to_zero_keeps_its_sign(name, dtype):
    x = np.array([-0.2, 0.2, -0.0, 0.0, -0.5, 0.5, 1.5, -1.5, -0.7, 2.0**23 + 1], dtype)
    expected = getattr(reference, name)(reference.Array(x)).asnumpy()
    for found in both(lambda F, x: getattr(F, name)(x), x):
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))
    assert np.signbit(lg.compile(F.rint(lg.symbol("x", dtype, ("N",))))(x)[0])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_squares_beyond_the_dtype(dtype):
    huge, tiny = (1e20, 1e-25) if dtype == "float32" else (1e200, 1e-200)
    x = np.array([[huge, 1, 1], [3, 4, 0], [0, 0, 0], [tiny, tiny, 0]], dtype)
    unit = [[1, 1 / huge, 1 / huge], [0.6, 0.8, 0], [0, 0, 0]]
    for found in both(lambda F, x: F.L2Normalization(x), x):
        assert_close(found[:3], np.array(unit, dtype))
        assert_close(found[3] / np.array(1e5, dtype), x[3])  # where eps counts alone
    for found in both(lambda F, x: F.L2Normalization(x[3:], eps=0), x):
        assert_close(found, np.array([[0.5**0.5, 0.5**0.5, 0]], dtype))
    lengths = np.array([huge, 5, 0, 2**0.5 * tiny], dtype)
    for found in both(lambda F, x: F.norm(x, axis=1), x):
        assert_close(found, lengths, tolerance=(1e-6, 0))
    for found in both(lambda F, x: F.broadcast_hypot(x[:, 0], x[:, 0]) / x[:, 0], x[[0, 3]]):
        assert_close(found, np.array([2**0.5] * 2, dtype))


def test_the_gradient_of_a_normalization_is_finite():
    x = lg.symbol("x", "float32", ("N", "C"))
    points = np.array([[1e20, 1, 1], [0, 0, 0], [3, 4, 0]], "f")
    found = lg.compile(lg.grad(F.sum(F.L2Normalization(x)[:, 0]), x))(points)
    assert_close(found[1], np.array([1e5, 0, 0], "f"))
    assert_close(found[2], np.array([16 / 125, -12 / 125, 0], "f"))
    assert_close(found[0], np.zeros(3, "f"))


def test_the_modulus_by_infinities_and_of_large_numbers():
    x = np.array([1.5, -1.5, 1e20, -1e20, 7.5, -7.5, 0.0], "f")
    for divisor in (np.inf, -np.inf, 3.0, -3.0, 0.7):
        expected = np.mod(x, np.float32(divisor))
        for found in both(lambda F, x, d=divisor: F.broadcast_mod(x, F.ones_like(x) * d), x):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_remainder_of_zero_has_the_sign_of_the_divisor(dtype):
    x = np.array([0.0, -0.0, 6.0, -6.0, 0.0, -0.0, 6.0, -6.0, 7.0], dtype)
    y = np.array([-2.0, -2, -2, -2, 2, 2, 2, 2, -2], dtype)
    expected = np.mod(x, y)
    for found in both(lambda F, x: F.broadcast_mod(x[:, 0], x[:, 1]), np.stack([x, y], 1)):
        np.testing.assert_array_equal(found, expected)
        np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def test_a_softmax_of_nothing_has_second_derivatives():
    """The length of a row may be 0."""
    x, y = lg.symbol("x", "float64", (1, 1)), lg.symbol("y", "float64", (1, 3))
    n = lg.symbol("n", "int64", (3,))
    inner = F.softmax(y, axis=0, length=n, use_length=True)
    (slope,) = lg.grad(F.softmax(inner + x, axis=0), [y])
    run = lg.compile(lg.grad(F.sum(slope), [x, y]))
    for found in run(x=np.zeros((1, 1)), y=np.array([[1.0, 2, 3]]), n=np.array([0, 1, 0])):
        assert_close(found, np.zeros_like(found))


def test_softsign_of_infinities():
    x = np.array([np.inf, -np.inf, np.nan, 3e38, -1.0], "f")
    for found in both(lambda F, x: F.softsign(x), x):
        np.testing.assert_array_equal(found, np.array([1, -1, np.nan, 1, -0.5], "f"))


def test_the_logarithm_of_the_exponential_over_no_axis():
    """ONNX's reductions over no axis are over all."""
    x = np.array([[0.5, -0.5]], "f")
    for found in both(lambda F, x: F.logsumexp(x + x, axis=(0, 1), exclude=True), x):
        assert_close(found, 2 * x)
