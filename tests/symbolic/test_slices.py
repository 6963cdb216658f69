"""Slices, and slices of slices: what NumPy takes, at every length, in the exported graph too."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import lossgraph as lg
from lossgraph import reference
from lossgraph.authoring.functions import as_loss
from lossgraph.ir import dims
from support import run_model

TYPES = {"x": ("float64", ("N", "C"))}
ENDS = st.none() | st.integers(-5, 5)
STEPS = st.sampled_from([None, 1, 2, 3, -1, -2, -3])
SLICES = st.tuples(st.just("cut"), st.integers(0, 1), st.builds(slice, ENDS, ENDS, STEPS))
FLIPS = st.tuples(st.just("flip"), st.integers(0, 1))
PADS = st.tuples(st.just("pad"), st.tuples(*[st.integers(0, 2)] * 4))


def moved(F, x, steps):
    for kind, *rest in steps:
        if kind == "cut":
            axis, cut = rest
            x = x[cut] if axis == 0 else x[:, cut]
        elif kind == "flip":
            x = F.flip(x, axis=rest[0])
        else:
            x = F.pad(x, mode="constant", pad_width=rest[0])
    return x


def gradient_of_squares(value, x):
    """That of the sum of squares of elements of ``x``, which are 1, 2, 3, .."""
    times = np.bincount(value.ravel().astype(int), minlength=x.size + 1)[1:]
    return 2 * x * times.reshape(x.shape)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    st.lists(SLICES | FLIPS | PADS, min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=4, max_size=4),
)
@example([("cut", 1, slice(None, None, -1)), ("cut", 1, slice(3, None))], [(1, 3), (2, 5)])
@example([("pad", (0, 0, 1, 1)), ("flip", 1)], [(1, 0), (2, 2)])
@example([("pad", (1, 0, 0, 1)), ("flip", 0)], [(0, 3), (0, 0)])
@example([("cut", 0, slice(-1, 1, -2))], [(2, 2), (0, 2)])
@example([("cut", 1, slice(5, -5, -2))], [(2, 2), (1, 3), (1, 0)])
@example([("cut", 1, slice(1, 3, -2))], [(2, 2), (1, 1)])
def test_any_slices_of_any_lengths_are_numpys(steps, shapes):
    def body(F, x):
        return F.square(moved(F, x, steps))

    compiled = lg.compile(body, TYPES, grad=("x",))
    model = as_loss(body).to_onnx(TYPES, grad=("x",))
    for shape in shapes:
        x = np.arange(1.0, 1 + np.prod(shape)).reshape(shape)
        taken = moved(reference, reference.Array(x), steps).asnumpy()
        value, grads = compiled(x)
        for found, slope in ((value, grads["x"]), run_model(model, {"x": x})):
            np.testing.assert_array_equal(found, taken * taken)
            np.testing.assert_array_equal(slope, gradient_of_squares(taken, x))


@pytest.mark.parametrize(
    "body",
    [
        lambda F, x: F.squeeze(F.slice_axis(x, axis=1, begin=0, end=1), axis=1),
        lambda F, x: F.squeeze(x[:, -1:], axis=1),
        lambda F, x: F.squeeze(F.slice(x, begin=(0, 1), end=(None, 2)), axis=-1) * x[:, 0],
        lambda F, x: x * x[:, :1],
        lambda F, x: x[:, -1:] - x,
        lambda F, x: F.where(x > 1, x[:1], x[:, :1]),
        lambda F, x: F.broadcast_to(x[:, 1:2], x.shape) * x,
        lambda F, x: F.broadcast_like(x[:1], x) * x[:, ::-1],
    ],
)
def test_one_of_an_axis_broadcasts_and_is_dropped_whatever_the_axis_is_called(body):
    compiled = lg.compile(body, TYPES, grad=("x",))
    model = as_loss(body).to_onnx(TYPES, grad=("x",))
    for shape in ((2, 3), (1, 2), (3, 3), (4, 2)):
        x = np.random.default_rng(0).uniform(0.5, 2, shape)
        fixed = lg.compile(body, {"x": ("float64", shape)}, grad=("x",))
        value, grads = fixed(x)
        np.testing.assert_array_equal(value, body(reference, reference.Array(x)).asnumpy())
        for found, slope in ((lambda v, g: (v, g["x"]))(*compiled(x)), run_model(model, {"x": x})):
            np.testing.assert_allclose(found, value, rtol=1e-15)
            np.testing.assert_allclose(slope, grads["x"], rtol=1e-14)


def test_none_of_an_axis_is_none():
    """As in NumPy a cut of nothing broadcasts to nothing, and cannot be dropped."""
    x = np.ones((2, 0))
    assert lg.compile(lambda F, x: x * x[:, :1], TYPES)(x).shape == (2, 0)
    dropped = lg.compile(lambda F, x: F.squeeze(x[:, :1], axis=1), TYPES)
    with pytest.raises(lg.InputError, match=r"must be equal, here they are 0 and 2"):
        dropped(x)
    wider = lg.compile(lambda F, x, y: x[:, :1] * y, {**TYPES, "y": ("float64", ("N", "M"))})
    assert wider(x, x).shape == (2, 0)
    with pytest.raises(lg.InputError, match="must be equal, here they are 0 and 3"):
        wider(x, np.ones((2, 3)))


@pytest.mark.parametrize("index", [0, 2, -1, -3])
def test_an_index_beyond_a_named_axis_is_refused(index):
    compiled = lg.compile(lambda F, x: x[:, index], TYPES)
    np.testing.assert_array_equal(
        compiled(np.arange(6.0).reshape(2, 3)), [index % 3, index % 3 + 3]
    )
    with pytest.raises(lg.InputError, match="must be equal"):
        compiled(np.ones((2, 0)))


N, C = dims.named("N"), dims.named("C")


@pytest.mark.parametrize(
    ("size", "nonnegative", "positive", "at_most_one"),
    [
        (dims.minimum(1, C), True, False, True),
        (C - dims.maximum(C - 1, 0), True, False, True),
        (dims.minimum(dims.minimum(1, C), N), True, False, True),
        (dims.maximum(C, 1), True, True, False),
        (N - 1 - dims.minimum(2, N - 1), True, False, False),
        (N - 1, False, False, False),
        (N + 1 - dims.minimum(N, C), True, True, False),
        (N - dims.floordiv(N, 2), True, False, False),
        (dims.floordiv(N + 2, 2), True, True, False),
        (dims.minimum(C, N), True, False, False),
    ],
    ids=str,
)
def test_what_is_seen_of_sizes(size, nonnegative, positive, at_most_one):
    assert dims.is_nonnegative(size) == nonnegative
    assert dims.is_positive(size) == positive
    assert dims.at_most_one(size) == at_most_one
    values = [dims.evaluate(size, {"N": n, "C": c}) for n in range(5) for c in range(5)]
    assert not nonnegative or min(values) >= 0
    assert not positive or min(values) >= 1
    assert not at_most_one or max(values) <= 1


def test_what_is_taken_by_no_index_may_come_from_an_empty_axis():
    def body(F, x, index):
        return F.take(F.argmax(F.slice_axis(x, axis=0, begin=0, end=0), axis=1), index, axis=0)

    x = np.ones((2, 2), "float32")
    value, gradients = as_loss(body).value_and_grad(x=x, index=np.zeros(0, "int64"), wrt="x")
    assert value.shape == (0,)
    assert np.array_equal(gradients["x"], np.zeros((2, 2)))
    with pytest.raises(lg.InputError, match="axis 0 has length zero"):
        as_loss(body)(x, np.zeros(1, "int64"))
