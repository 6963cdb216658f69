"""Sums of many float32 numbers keep their digits, here and in exported graphs, at any size."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import nn
from lossgraph.authoring.functions import as_loss
from lossgraph.ir import ops
from lossgraph.ir.ops.sums import LONG_COLUMN, LONG_ROW, LongSums, long_sums
from lossgraph.lowering.lower import lower
from lossgraph.lowering.validate import check
from lossgraph.passes.costs import PORTABLE, Target
from lossgraph.runtime.sessions import make_session
from support import assert_close, newest_opset, run_model, symbol

RIGHT = (1e-6, 0.0)  # what float32 may be off by: some units of its last place
SHORT = (6e-6, 0.0)  # where few enough numbers are added that the engine's own sum is taken
TENTH = float(np.float32(0.1))
NAMES = ("N", "C", "H", "W")


def run_and_exported(body, dtype, shape, opset=None):
    """The two graphs of a function of x, whose sizes are known when they run."""
    types = {"x": (dtype, NAMES[: len(shape)])}
    loss = as_loss(body)
    session = make_session(loss.to_onnx(types, opset=opset))
    return lg.compile(loss, types, opset=opset), lambda x: session.run(None, {"x": x})[0]


def equal_numbers(shape, dtype="float32"):
    return np.full(shape, 0.1, dtype)


# The last has no divisor of a good length, those before one that is an axis, or none that is.
SHAPES = [(10**7,), (10**4, 100), (300, 3001), (10**6, 3), (3, 10**6), (999983,), (8, 3, 224, 224)]
REDUCTIONS = {
    "sum": (lambda F, x, axis: F.sum(x, axis=axis), lambda n: TENTH * n),
    "mean": (lambda F, x, axis: F.mean(x, axis=axis), lambda n: TENTH),
    "norm": (lambda F, x, axis: F.norm(x, axis=axis), lambda n: TENTH * np.sqrt(n)),
    "norm-1": (lambda F, x, axis: F.norm(x, ord=1, axis=axis), lambda n: TENTH * n),
    "logsumexp": (lambda F, x, axis: F.logsumexp(x, axis=axis), lambda n: TENTH + np.log(n)),
    "log of exponentials": (
        lambda F, x, axis: F.log(F.sum(F.exp(x), axis=axis)), lambda n: TENTH + np.log(n)
    ),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", ["sum", "mean"])
def test_sums_over_all(name, shape):
    body, expected = REDUCTIONS[name]
    x = equal_numbers(shape)
    for run in run_and_exported(lambda F, x: body(F, x, None), "float32", shape):
        assert_close(run(x), [expected(x.size)], tolerance=RIGHT)


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", [0, 1, (0, 2), (1, 2), None], ids=str)
def test_reductions_over_any_axes(name, axis):
    body, expected = REDUCTIONS[name]
    both = run_and_exported(lambda F, x: body(F, x, axis), "float32", (1, 1, 1))
    reduced = (0, 1, 2) if axis is None else np.atleast_1d(axis)
    for shape in ((20000, 3, 5), (6, 20011, 2), (3, 2, 30000), (70, 90, 80), (2, 3, 4)):
        x = equal_numbers(shape)
        count = np.prod([shape[i] for i in reduced])
        exact = np.full([d for i, d in enumerate(shape) if i not in reduced] or 1, expected(count))
        limit = LONG_ROW if 2 in reduced else LONG_COLUMN
        for run in both:
            assert_close(run(x), exact, tolerance=RIGHT if count > limit else SHORT)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "cumsum"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_along_long_rows(name, dtype):
    both = run_and_exported(lambda F, x: getattr(F, name)(x, axis=1), dtype, (1, 1))
    for length in (5, 20011, 100000):
        x = np.zeros((2, length), dtype)
        x[:, 0], x[1] = 0.3, 0.1
        wide = x.astype(np.float64)
        exact = np.cumsum(wide, axis=1)
        if name != "cumsum":
            exact = wide - np.log(np.sum(np.exp(wide), axis=1, keepdims=True))
            exact = np.exp(exact) if name == "softmax" else exact
        tolerance = RIGHT if dtype == "float32" else (1e-3, 1e-7)
        run, exported = both
        assert_close(run(x), exact, tolerance=tolerance)
        if name == "softmax" and dtype == "float32":  # a portable graph has the engine's own
            tolerance = (1e-4, 0)
        assert_close(exported(x), exact, tolerance=tolerance)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_numbers(dtype):
    x = equal_numbers((300, 1000), "float32").astype(symbol("x", dtype, (1,)).type.dtype)
    (run, _) = run_and_exported(lambda F, x: F.mean(F.cast(x, "float32")), dtype, x.shape)
    assert_close(run(x), [float(x[0, 0])], tolerance=RIGHT)


def test_sums_of_gradients():
    """What is broadcast gets the sum of what flows back: a bias of rows, of columns, a scale."""
    n = 300000
    types = {"x": ("float32", ("N", "C")), "bias": ("float32", ("C",)),
             "offset": ("float32", ("N", 1)), "scale": ("float32", ())}  # fmt: skip
    names = ("bias", "offset", "scale")

    def body(F, x, bias, offset, scale):
        return scale * (x + bias) + offset

    arrays = {"bias": np.zeros(3, "f"), "scale": np.array(0.1, "f")}
    for shape in ((n, 3), (3, n)):
        arrays["x"] = equal_numbers(shape)
        arrays["bias"], arrays["offset"] = np.zeros(shape[1], "f"), np.zeros((shape[0], 1), "f")
        model = make_session(as_loss(body).to_onnx(types, grad=names))
        _, by_name = lg.compile(body, types, grad=names)(**arrays)
        exported = dict(zip(names, model.run(None, arrays)[1:], strict=True))
        for grads in (by_name, exported):
            assert_close(grads["bias"], np.full(shape[1], TENTH * shape[0]), tolerance=RIGHT)
            assert_close(grads["offset"], np.full((shape[0], 1), shape[1]), tolerance=RIGHT)
            assert_close(grads["scale"], TENTH * x_sum(shape) / TENTH, tolerance=RIGHT)


def x_sum(shape):
    return np.float64(TENTH * np.prod(shape))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_loss_of_many_samples(reduction):
    for shape in ((10**4, 100), (10**6,)):
        x, zero = equal_numbers(shape), np.zeros(shape, "f")
        value = nn.L1Loss(reduction=reduction)(x, zero)
        exact = TENTH * (x.size if reduction == "sum" else 1)
        assert_close(value, np.float64(exact), tolerance=RIGHT)


@pytest.mark.parametrize("opset", [13, 15, 18, 26])
def test_every_opset_says_it(opset):
    if opset > newest_opset():
        pytest.skip(f"this ONNX Runtime loads up to opset {newest_opset()}")
    run, exported = run_and_exported(
        lambda F, x: F.sum(x, axis=1), "float32", (1, 1, 1), opset=opset
    )
    for shape in ((3, 50000, 2), (2, 20011, 1), (4, 5, 6)):
        x = equal_numbers(shape)
        exact = np.full((shape[0], shape[2]), TENTH * shape[1])
        for function in (run, exported):
            assert_close(function(x), exact, tolerance=RIGHT)


@pytest.mark.parametrize("shape", [(0,), (0, 5000), (5000, 0), (0, 0)])
def test_sums_of_nothing(shape):
    both = run_and_exported(lambda F, x: (F.sum(x), F.sum(x, axis=-1)), "float32", shape)
    x = np.zeros(shape, "f")
    value, rows = both[0](x)
    assert value.tolist() == [0.0]
    assert_close(rows, np.zeros(shape[:-1] or 1))
    assert_close(both[1](x), [0.0])


def test_special_values_pass_through_blocks():
    run, exported = run_and_exported(lambda F, x: F.sum(x, axis=1), "float32", (1, 1))
    for length in (20000, 20011):
        x = equal_numbers((5, length))
        x[0, 7], x[1, length - 1], x[2, 5000], x[3, 1:3] = (
            np.nan,
            np.inf,
            -np.inf,
            (np.inf, -np.inf),
        )
        for function in (run, exported):
            np.testing.assert_array_equal(function(x)[:4], [np.nan, np.inf, -np.inf, np.nan])


def test_static_lengths_ask_nothing():
    x = symbol("x", "float32", (10**4, 100))
    model = lower([x], {"y": ops.reduce_sum(x, (0, 1))})
    assert "If" not in [node.op_type for node in model.graph.node]
    check(model)
    assert_close(run_model(model, {"x": equal_numbers(x.shape)})[0], [[TENTH * 10**6]],
                 tolerance=RIGHT)  # fmt: skip


def test_short_sums_are_the_engines_own():
    x = symbol("x", "float32", ("N", "C"))
    total, rows = ops.reduce_sum(x, (0, 1)), ops.reduce_sum(x, (1,))
    assert long_sums([total], {"N": 64, "C": 10}) is LongSums.NONE
    assert long_sums([total], {"N": 4000, "C": 1000}) is LongSums.ROWS
    assert long_sums([total], {"N": 4000, "C": 3}) is LongSums.ANY
    assert long_sums([rows], {"N": 4000, "C": 1000}) is LongSums.NONE
    target = Target("cpu", long_sums=LongSums.NONE)
    for node in (total, ops.mean_of_some(x, (0, 1)), ops.softmax(x, (1,))):
        model = lower([x], {"y": node}, target=target)
        assert len(model.graph.node) == 1
    counts = ops.reduce_sum(ops.cast(ops.greater(x, 0.0), "float32"), (0, 1))
    model = lower([x], {"y": counts}, target=PORTABLE)
    assert "If" not in [node.op_type for node in model.graph.node]
