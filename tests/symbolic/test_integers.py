"""Operators on integers compute in integers: every one of 64 bits counts, run here and exported."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import reference
from lossgraph.authoring.functions import as_loss
from lossgraph.ir import ops
from lossgraph.ir.evaluate import evaluate
from lossgraph.runtime.sessions import make_session
from support import symbol

BIG = 2**53  # from here on float64 does not have every integer
A = [[BIG + 1, 3, -7], [5, BIG + 3, 2], [-BIG - 1, 9, BIG + 1]]
B = [[1, BIG + 2, 3], [7, 2, BIG + 1], [3, -4, 5]]
SMALL = [[3, 2, 1], [2, 5, 4], [1, 1, 7]]
CASES = {
    "sum": lambda F, a, b, s: F.sum(a),
    "sum of rows": lambda F, a, b, s: F.sum(a, axis=1),
    "sum of columns": lambda F, a, b, s: F.sum(a, axis=0, keepdims=True),
    "nansum": lambda F, a, b, s: F.nansum(a, axis=1),
    "prod": lambda F, a, b, s: F.prod(s + 2**17, axis=1),
    "prod of all": lambda F, a, b, s: F.prod(s * s * s) * (s[0] * 0 + 3),
    "nanprod": lambda F, a, b, s: F.nanprod(s + 2**17, axis=0),
    "max": lambda F, a, b, s: F.max(a, axis=1),
    "min": lambda F, a, b, s: F.min(a, axis=0),
    "cumsum": lambda F, a, b, s: F.cumsum(a, axis=1),
    "argmax": lambda F, a, b, s: F.argmax(a, axis=1),
    "argmin": lambda F, a, b, s: F.argmin(a, axis=1),
    "sort": lambda F, a, b, s: F.sort(a, axis=1),
    "topk": lambda F, a, b, s: F.topk(a, axis=1, k=2, ret_typ="value"),
    "add": lambda F, a, b, s: a + b,
    "subtract": lambda F, a, b, s: a - b,
    "multiply": lambda F, a, b, s: a * s,
    "modulo": lambda F, a, b, s: a % b,
    "negative": lambda F, a, b, s: -a,
    "abs": lambda F, a, b, s: F.abs(a),
    "sign": lambda F, a, b, s: F.sign(a),
    "square": lambda F, a, b, s: F.square(s + 2**28),
    "power of one": lambda F, a, b, s: a**1,
    "power": lambda F, a, b, s: (s + 2**17) ** 3,
    "powers": lambda F, a, b, s: s ** (s + 15),
    "negative powers": lambda F, a, b, s: (s - 2) ** (0 * s - 3) * (s > 2),
    "power of a number": lambda F, a, b, s: 3 ** (s + 28),
    "maximum": lambda F, a, b, s: F.broadcast_maximum(a, b),
    "minimum": lambda F, a, b, s: F.broadcast_minimum(a, b),
    "maximum with a number": lambda F, a, b, s: F.maximum(a, BIG + 1),
    "clip": lambda F, a, b, s: F.clip(a, -BIG - 1, BIG + 2),
    "where": lambda F, a, b, s: F.where(a > b, a, b),
    "equal": lambda F, a, b, s: a == BIG + 1,
    "greater": lambda F, a, b, s: a > (a - 1),
    "less than a number": lambda F, a, b, s: a < BIG + 1,
    "floor": lambda F, a, b, s: F.floor(a),
    "ceil": lambda F, a, b, s: F.ceil(a),
    "round": lambda F, a, b, s: F.round(a),
    "rint": lambda F, a, b, s: F.rint(a),
    "fix": lambda F, a, b, s: F.fix(a),
    "relu": lambda F, a, b, s: F.relu(a),
    "add_n": lambda F, a, b, s: F.add_n(a, b, s),
    "take": lambda F, a, b, s: F.take(a, F.array([1, 2]), axis=0),
    "pick": lambda F, a, b, s: F.pick(a, F.array([0, 1, 2]), axis=1),
    "flip": lambda F, a, b, s: F.flip(a, axis=0),
    "pad": lambda F, a, b, s: F.pad(F.reshape(a, (1, 1, 3, 3)), mode="constant",
                                    pad_width=(0, 0, 0, 0, 1, 1, 0, 0), constant_value=BIG + 1),
    "a number": lambda F, a, b, s: a + (BIG + 1),
    "from a number": lambda F, a, b, s: (BIG + 3) - a,
    "full": lambda F, a, b, s: a * 0 + F.full((3, 3), BIG + 1, dtype="int64"),
    "arange": lambda F, a, b, s: a[0] * 0 + F.arange(BIG, BIG + 3, dtype="int64"),
    "array": lambda F, a, b, s: a[0] * 0 + F.array([BIG + 1, BIG + 3, 1], dtype="int64"),
    "scatter_nd": lambda F, a, b, s: F.scatter_nd(a[0], F.array([[0, 2, 1]], dtype="int64"), (3,)),
    "diag": lambda F, a, b, s: F.diag(a),
}  # fmt: skip


def graphs(dtype, bodies):
    """All bodies as outputs of one graph, that is run here, and that is exported."""
    loss = as_loss(lambda F, a, b, s: tuple(body(F, a, b, s) for body in bodies.values()))
    types = dict.fromkeys("abs", (dtype, (3, 3)))
    session = make_session(loss.to_onnx(types))
    return lg.compile(loss, types), lambda **arrays: session.run(None, arrays)


@pytest.mark.parametrize("exported", [False, True])
def test_every_operator(exported):
    arrays = {"a": np.array(A), "b": np.array(B), "s": np.array(SMALL)}
    given = [reference.Array(x) for x in arrays.values()]
    for (name, body), actual in zip(CASES.items(), graphs("int64", CASES)[exported](**arrays),
                                    strict=True):  # fmt: skip
        expected = body(reference, *given).asnumpy()
        assert actual.dtype == expected.dtype, name
        np.testing.assert_array_equal(actual, expected, name)


def test_the_numbers_themselves():
    """What the reference and the graphs agree on is right: by Python's integers."""
    arrays = {"a": np.array(A), "b": np.array(B), "s": np.array(SMALL)}
    bodies = {name: CASES[name] for name in ("sum", "power", "powers", "prod", "arange")}
    for run in graphs("int64", bodies):
        total, power, powers, prod, arange = (x.tolist() for x in run(**arrays))
        assert total == [sum(map(sum, A))]
        assert power == [[(s + 2**17) ** 3 for s in row] for row in SMALL]
        assert powers == [[s ** (s + 15) for s in row] for row in SMALL]
        assert prod == [int(np.prod([s + 2**17 for s in row], dtype=object)) for row in SMALL]
        assert arange == [BIG, BIG + 1, BIG + 2]


def test_integers_of_32_bits():
    big = 2**24
    arrays = {"a": np.array([[big + 1, 1, 0], [3, big + 3, 1], [7, 5, 2]], "int32"),
              "b": np.ones((3, 3), "int32"), "s": np.array(SMALL, "int32")}  # fmt: skip
    names = ("sum", "sum of rows", "max", "min", "cumsum", "sort", "add", "multiply", "modulo",
             "abs", "maximum", "floor", "relu", "diag", "nansum")  # fmt: skip
    bodies = {
        **{name: CASES[name] for name in names},
        "prod": lambda F, a, b, s: F.prod(s + 500, axis=1),
        "power": lambda F, a, b, s: (s + 500) ** 3,
    }
    for run in graphs("int32", bodies):
        for (name, body), actual in zip(bodies.items(), run(**arrays), strict=True):
            expected = body(reference, *(reference.Array(x) for x in arrays.values())).asnumpy()
            assert actual.dtype == expected.dtype, name
            np.testing.assert_array_equal(actual, expected, name)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (2, 5, 4)])
def test_sums_and_products_over_any_axes(shape):
    names = ("N", "C", "H")[: len(shape)]
    rng = np.random.default_rng(0)
    x = rng.integers(-(2**53), 2**53, shape)
    factors = rng.integers(1, 9, shape) | 1
    for axis in (0, 1, (0, 1), -1, None):
        loss = as_loss(lambda F, x, y, axis=axis: (F.sum(x, axis=axis), F.prod(y, axis=axis)))
        types = {"x": ("int64", names), "y": ("int64", names)}
        session = make_session(loss.to_onnx(types))
        both = lg.compile(loss, types)(x, factors), session.run(None, {"x": x, "y": factors})
        for total, product in both:
            np.testing.assert_array_equal(total, np.reshape(x.sum(axis), total.shape))
            np.testing.assert_array_equal(product, np.reshape(factors.prod(axis), product.shape))


def test_many_integers():
    x = np.full(3_000_000, 2**40 + 1)
    assert lg.compile(lambda F, x: F.sum(x), {"x": ("int64", ("N",))})(x).tolist() == [x.sum()]


def test_the_quotient_of_integers_is_exact():
    x, y = (symbol(name, "int64", (4,)) for name in "xy")
    arrays = {"x": np.array([BIG + 1, -BIG - 1, 7, -7]), "y": np.array([1, 1, -2, 2])}
    (quotient,) = evaluate([ops.div(x, y)], arrays)
    assert quotient.tolist() == [BIG + 1, -BIG - 1, -3, -3]
