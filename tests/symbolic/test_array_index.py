"""Indexing by arrays, and Python's operators on symbols: as NumPy has them."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import reference
from lossgraph import symbolic as F
from support import assert_close

RNG = np.random.default_rng(7)
X = RNG.normal(size=(4, 5, 3))
I = np.array([0, -1, 2])  # noqa: E741
J = np.array([[1], [2]])
SPECIAL = np.array([1.0, -1, 0.3, np.inf, -np.inf, np.nan, 0, 5, -5])


def compiled(body, **arrays):
    types = {name: (array.dtype.name, array.shape) for name, array in arrays.items()}
    return lg.compile(body, types)(**arrays)


def by_reference(body, **arrays):
    given = {name: reference.array(a, dtype=a.dtype) for name, a in arrays.items()}
    return body(reference, **given).asnumpy()


INDICES = {
    "rows": lambda x, i, j: x[i],
    "middle axis": lambda x, i, j: x[:, i],
    "last axis": lambda x, i, j: x[..., i],
    "two arrays": lambda x, i, j: x[i, j],
    "with a slice between": lambda x, i, j: x[i, :, j],
    "adjacent, behind": lambda x, i, j: x[:, i, j],
    "with a number": lambda x, i, j: x[1, i],
    "with None and a number": lambda x, i, j: x[None, :, i, 1],
    "with a slice": lambda x, i, j: x[1:, i, ::-1],
    "a list": lambda x, i, j: x[[0, 2, -1]],
    "a list of truth values": lambda x, i, j: x[:, [True, False, True, True, False]],
}


@pytest.mark.parametrize("name", INDICES)
def test_as_numpy(name):
    index = INDICES[name]
    expected = index(X, I, J)
    assert_close(compiled(lambda F, x, i, j: index(x, i, j), x=X, i=I, j=J), expected)
    assert_close(by_reference(lambda F, x, i, j: index(x, i, j), x=X, i=I, j=J), expected)


def test_the_gradient_adds_up_where_an_index_repeats():
    types = {"x": ("float64", ("N", 3)), "i": ("int64", ("M",))}
    call = lg.compile(lambda F, x, i: x[i] * x[i], types, grad=("x",))
    x = RNG.normal(size=(4, 3))
    _, grads = call(x, np.array([1, 1, 3, -1]))
    assert_close(grads["x"], 2 * x * np.array([[0.0], [2], [0], [2]]))


def test_indices_outside_take_the_nearest():
    body = lambda F, x, i: x[i]  # noqa: E731
    outside = np.array([7, -9, 1])
    assert_close(compiled(body, x=X, i=outside), X[[3, 0, 1]])
    assert_close(by_reference(body, x=X, i=outside), X[[3, 0, 1]])
    with pytest.raises(lg.InputError, match="index 7 is out of range for an axis of length 4"):
        compiled(lambda F, x: x[[0, 7]], x=X)


@pytest.mark.parametrize("space", [F, reference])
def test_a_mask_says_what_to_do_instead(space):
    x = lg.symbol("x", "float64", ("N", 3)) if space is F else reference.array(X)
    for mask in (x > 0, (x > 0) & (x < 1), ~(x > 0), space.logical_not(x)):
        with pytest.raises(lg.InputError, match=r"F\.where\(mask, x, 0\)"):
            x[mask]


OPERATORS = {
    "and": (lambda x: (x > 0) & (x < 1), lambda x: (x > 0) & (x < 1)),
    "or not": (lambda x: ~(x > 0) | (x < -1), lambda x: ~(x > 0) | (x < -1)),
    "exclusive": (lambda x: (x > 0) ^ (x < 1), lambda x: (x > 0) ^ (x < 1)),
    "matrices": (lambda x: x @ x.swapaxes(1, 2), lambda x: x @ x.swapaxes(1, 2)),
    "floor": (lambda x: x // 0.3, lambda x: x // 0.3),
    "floor of a number": (lambda x: 2 // x, lambda x: 2 // x),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name):
    ours, numpys = OPERATORS[name]
    expected = np.asarray(numpys(X), np.float64)
    assert_close(compiled(lambda F, x: ours(x), x=X), expected)
    assert_close(by_reference(lambda F, x: ours(x), x=X), expected)


def test_floor_division_at_special_values():
    a, b = (array.reshape(-1) for array in np.meshgrid(SPECIAL, SPECIAL))
    with np.errstate(all="ignore"):
        expected = a // b
    assert_close(compiled(lambda F, a, b: a // b, a=a, b=b), expected)
    assert compiled(lambda F, a: a // 0.1, a=np.ones(1)) == 9  # not the floor of 10
    whole = np.array([7, -7, 7, -7, 5]), np.array([2, 2, -2, -2, 0])
    with np.errstate(all="ignore"):
        expected = whole[0] // whole[1]
    found = compiled(lambda F, a, b: a // b, a=whole[0], b=whole[1])
    assert found.dtype == np.int64
    assert_close(found, expected)


@pytest.mark.parametrize("space", [F, reference])
def test_bits_of_integers_are_no_truth_values(space):
    x = lg.symbol("x", "int64", ("N",)) if space is F else reference.array(I, dtype="int64")
    for operation in (lambda: x & 1, lambda: x | x, lambda: ~x):
        with pytest.raises(lg.InputError, match="truth values"):
            operation()


def test_clip_with_one_bound():
    for body, expected in (
        (lambda F, x: F.clip(x, a_min=0.0), np.maximum(X, 0)),
        (lambda F, x: F.clip(x, None, 0.5), np.minimum(X, 0.5)),
        (lambda F, x: x.clip(a_max=0.5), np.minimum(X, 0.5)),
    ):
        assert_close(compiled(body, x=X), expected)
        assert_close(by_reference(body, x=X), expected)
    assert_close(compiled(lambda F, i: F.clip(i, a_min=1), i=I), np.maximum(I, 1))
    with pytest.raises(lg.InputError, match="a_min, a_max or both"):
        compiled(lambda F, x: F.clip(x), x=X)


@pytest.mark.parametrize("space", [F, reference])
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("sofmax", "the nearest names are softmax"),
        ("random", "make the noise an input of the loss"),
        ("random_normal", "make the noise an input of the loss"),
        ("nonzero", r"F\.where\(mask, x, 0\)"),
        ("Dropout", "noise an input"),
        ("xyzzy", "the documentation lists the operators"),
    ],
)
def test_an_operator_that_is_not_there(space, name, words):
    with pytest.raises(lg.InputError, match=words) as caught:
        getattr(space, name)
    assert isinstance(caught.value, AttributeError)
    assert not hasattr(space, name)


def test_a_method_that_is_not_there():
    x = lg.symbol("x", "float64", ("N",))
    with pytest.raises(lg.InputError, match=r"F\.where instead of if"):
        x.asscalar()
    with pytest.raises(AttributeError, match="softmax"):
        x.sofmax()
