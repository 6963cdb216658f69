"""F, symbolic: MXNet's recorded operators, the numpy F, and what only symbols have."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import lossgraph as lg
import mxnet_ops
from lossgraph import reference, symbolic
from lossgraph.authoring.functions import FunctionLoss
from lossgraph.ir.evaluate import evaluate
from lossgraph.symbolic.symbol import SymbolicSize
from support import assert_close, newest_opset, run_model

CASES = mxnet_ops.cases()
VALUE = {"float32": (2e-5, 2e-6), "float64": (1e-9, 1e-10)}  # MXNet's own digits
GRADIENT = {"float32": (1e-4, 1e-5), "float64": (1e-8, 1e-9)}


class Expression(FunctionLoss):
    """A loss from the text of a recorded case."""

    def __init__(self, text, names):
        super().__init__(lambda F, **inputs: eval(text, {"F": F, "np": np, **inputs}))
        self._input_names = names

    def _parameters(self):
        kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
        return {name: inspect.Parameter(name, kind) for name in self._input_names}


def as_list(value):
    return list(value) if isinstance(value, (tuple, list)) else [value]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_mxnet_agrees(case):
    if case["id"] == "sqrt-1" and newest_opset() < 26:
        pytest.skip("in this old ONNX Runtime sqrt(inf) is NaN")
    inputs, outputs, cts, grads = mxnet_ops.load(case)
    # The first float input is the one that computes: the widest, as indices are float32 too.
    names = sorted(inputs, key=lambda n: -inputs[n].itemsize * (inputs[n].dtype.kind == "f"))
    loss = Expression(case["expr"], names)
    ordered = {name: inputs[name] for name in names}
    value = loss(**ordered) if inputs else lg.compile(loss, {})()
    assert len(as_list(value)) == len(outputs)
    for actual, expected in zip(as_list(value), outputs, strict=True):
        assert actual.dtype.kind == expected.dtype.kind
        computed = "float64" if inputs and inputs[names[0]].dtype == np.float64 else "float32"
        exact = expected.dtype.kind != "f"
        assert_close(actual, expected, tolerance=(0, 0) if exact else VALUE[computed])
    if grads:
        ct = tuple(cts) if isinstance(value, tuple) else cts[0]
        _, actual = loss.value_and_grad(**ordered, wrt=tuple(grads), ct=ct)
        for name, expected in grads.items():
            assert_close(actual[name], expected, tolerance=GRADIENT[expected.dtype.name])


def test_both_have_the_same_functions():
    methods = {"astype", "copy", "detach", "_copy"}  # the reference has them on arrays alone
    symbols = set(symbolic.functions()) - methods
    assert symbols == set(reference.__all__) - {"Array"}


def symbol(dtype="float32", shape=("N", 3)):
    return lg.symbol("x", dtype, shape)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda x: x.shape[0] + 1, "N+1"),
        (lambda x: 2 * x.shape[0] - x.shape[0], "N"),
        (lambda x: x.shape[0] * x.shape[0], "N*N"),
        (lambda x: x.shape[0] * 6 // 3, "2*N"),
        (lambda x: x.shape[0] // 2, "(N)//(2)"),
        (lambda x: x.size, "3*N"),
        (lambda x: 1 - x.shape[0] + x.shape[0], "1"),
        (lambda x: x[1:].shape[0], "max(N-1, 0)"),
        (lambda x: x[:5].shape[0], "min(5, N)"),
        (lambda x: F_concat(x).shape[0], "2*N"),
    ],
)
def test_sizes_compute(make, text):
    assert str(make(symbol())) == text


def F_concat(x):
    return symbolic.concat(x, x, dim=0)


def test_static_sizes_are_ints():
    assert symbol().shape[1] == 3
    assert isinstance(symbol().shape[1], int)
    assert isinstance(symbol().shape[0], SymbolicSize)


def test_a_size_works_as_a_number():
    def body(F, x):
        n = x.shape[0]
        return F.sum(x, axis=0) / n + 1.0 / n + n * 0.5 + (n - 1) / 2

    x = np.arange(12, dtype=np.float64).reshape(4, 3)
    actual = FunctionLoss(body)(x)
    assert_close(actual, x.sum(0) / 4 + 0.25 + 2 + 1.5)


@pytest.mark.parametrize(
    "body",
    [
        lambda F, x: x * int(x.shape[0]),
        lambda F, x: x * len(x),
        lambda F, x: x * (4.0 if x.shape[0] > 3 else x.shape[0]),
        lambda F, x: x * (4 if x.shape[0] == 4 else 3),
        lambda F, x: x * sum(1 for _ in x),
        lambda F, x: x * float(x.shape[0]),
    ],
)
def test_the_value_of_a_size_specializes(body):
    """The loss is traced again for each length whose value it looked at."""
    loss = FunctionLoss(body)
    for n in (4, 3, 4):
        x = np.ones((n, 2), np.float32)
        assert_close(loss(x), x * n)
    with pytest.raises(lg.InputError, match="give dim 'N' as an int"):
        loss.to_onnx({"x": ("float32", ("N", 2))})
    assert loss.to_onnx({"x": ("float32", (4, 2))}).graph.output[0].name == "loss"


def test_a_static_size_that_meets_a_name_specializes():
    loss = FunctionLoss(lambda F, x: x * F.array([1.0, 2.0, 3.0]))
    x = np.ones((4, 3), np.float32)
    assert_close(loss(x), x * np.array([1, 2, 3], np.float32))
    with pytest.raises(lg.InputError, match=r"do not|differ"):
        loss(np.ones((4, 2), np.float32))


def test_the_truth_of_a_symbol_is_refused():
    loss = FunctionLoss(lambda F, x: x if x > 0 else -x)
    with pytest.raises(lg.InputError, match=r"use F\.where"):
        loss(np.ones(3, np.float32))


def test_numbers_take_the_dtype_of_the_array():
    for dtype in ("float16", "float32", "float64", "int32"):
        assert (symbol(dtype) * 2 + 1).dtype.name == dtype
    assert (symbol("int64") * 0.5).dtype.name == "float32"
    assert (symbol("int64") / 2).dtype.name == "float32"
    assert (symbol("float64") * np.float32(2)).dtype.name == "float64"
    assert (symbol("float64") + symbolic.zeros((1, 1))).dtype.name == "float64"
    assert symbolic.zeros((1, 1)).dtype.name == "float32"


def test_a_constant_without_dtype_keeps_its_digits():
    x = np.ones((2, 1))
    actual = FunctionLoss(lambda F, x: x * F.full((1, 1), 1e-12) + F.array([0.1]))(x)
    assert actual[0, 0] == 1e-12 + 0.1


def test_comparisons_are_numbers():
    assert (symbol() > 0).dtype.name == "float32"
    assert (symbol("float64") == 1).dtype.name == "float64"
    assert (symbol("int64") == 1).dtype.name == "float32"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (lambda F, x: F.sum(x, axis=5), "axis 5 is out of range"),
        (lambda F, x: F.reshape(x, shape=(4, 4)), "Reshape"),
        (lambda F, x: F.pick(x, x, mode="nearest"), "expected one of"),
        (lambda F, x: F.Activation(x, act_type="swish"), "expected one of"),
        (lambda F, x: F.topk(x, ret_typ="all"), "expected one of"),
        (lambda F, x: F.norm(x, ord=3), "expected 1 or 2"),
        (lambda F, x: F.dot(x, F.ones((5, 2))), "MatMul"),
        (lambda F, x: F.concat(x, F.ones((4, 7)), dim=0), "Concat"),
        (lambda F, x: F.exp(), "F.exp"),
        (lambda F, x: F.sum(x, axes=1), "F.sum"),
        (lambda F, x: x.nonsense(), "a symbol has no 'nonsense'"),
        (lambda F, x: "text", "returns arrays"),
        (lambda F, x: (), "empty tuple"),
        (lambda F, x: F.pick(x, F.ones((2, 2))), "does not choose from"),
    ],
)
def test_mistakes_are_explained(body, says):
    with pytest.raises((lg.InputError, AttributeError), match=says):
        FunctionLoss(body).program({"x": ("float32", (4, 3))})


def test_two_names_that_meet_are_an_error():
    loss = FunctionLoss(lambda F, x, y: x + y)
    types = {"x": ("float32", ("N",)), "y": ("float32", ("M",))}
    with pytest.raises(lg.InputError, match=r"Add\(float32\[N\], float32\[M\]\).*'N' and 'M'"):
        loss.to_onnx(types)


def test_a_derived_size_is_compared_at_run_time():
    loss = FunctionLoss(lambda F, x, y: F.reshape_like(y, x) - x)
    run = lg.compile(loss, {"x": ("float32", ("N", "M")), "y": ("float32", ("K",))})
    x = np.ones((2, 3), np.float32)
    assert_close(run(x, np.zeros(6, np.float32)), -x)
    with pytest.raises(
        lg.InputError, match=r"sizes K and M\*N must be equal, here they are 5 and 6"
    ):
        run(x, np.zeros(5, np.float32))


@pytest.mark.parametrize(
    "body",
    [
        lambda F, x: x[:, 0:1] * x,
        lambda F, x: x[:, :1] + x,
        lambda F, x: x[:, -1:] - x,
        lambda F, x: x[0:1] * x,
        lambda F, x: x[:, 1:] - x[:, 0:1],
        lambda F, x: F.broadcast_sub(x, F.slice_axis(x, axis=1, begin=0, end=1)),
        lambda F, x: F.broadcast_sub(x, F.slice_axis(x, axis=1, begin=-1, end=None)),
        lambda F, x: F.split(x, num_outputs=4, axis=1)[1] * x,
        lambda F, x: F.squeeze(F.split(x, num_outputs=4, axis=-1)[0], axis=-1),
        lambda F, x: F.squeeze(x[:, 0:1]),
        lambda F, x: F.squeeze(F.slice(x, begin=(0, 1), end=(None, 2))),
        lambda F, x: F.squeeze(x.reshape((-1, 2, 2))[:, 0:1, :], axis=1),
    ],
)
def test_a_derived_size_of_one_broadcasts_and_is_squeezed(body):
    """A cut whose length turns out to be 1 behaves as a 1, for every length it is called with."""
    loss = FunctionLoss(body)
    for rows in (3, 2, 5):
        x = np.arange(rows * 4, dtype=np.float32).reshape(rows, 4)
        assert_close(loss(x), body(reference, reference.Array(x)).asnumpy())


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32",
                                   "uint64"])  # fmt: skip
@pytest.mark.parametrize(
    "body",
    [
        lambda F, x: F.where(x > 1, x, x * 2),
        lambda F, x: F.maximum(x, 2) + F.minimum(x, 1) + F.relu(x) + F.clip(x, 1, 2),
        lambda F, x: x % 3 + 1,
        lambda F, x: F.max(x, axis=1) + F.min(x, axis=1),
        lambda F, x: F.sum(x, axis=1) * F.prod(x, axis=1),
        lambda F, x: F.argmax(x, axis=1) + F.argmin(x, axis=1),
        lambda F, x: F.sort(x, axis=1) + F.topk(x, axis=1, k=3, ret_typ="value"),
    ],
)
def test_integers_of_any_width_compute(body, dtype):
    x = np.array([[3, 1, 2], [1, 2, 2]], dtype)
    expected = body(reference, reference.Array(x)).asnumpy()
    actual = FunctionLoss(body)(x)
    assert actual.dtype == expected.dtype
    assert_close(actual, expected)


@pytest.mark.parametrize("combine", [
    lambda i, n: i + n, lambda i, n: n - i, lambda i, n: i * n, lambda i, n: i + (n * 2 - 1),
])  # fmt: skip
def test_integers_and_sizes_stay_integers(combine):
    """In float32 an index beyond 2^24 would be another one."""
    x = lg.symbol("x", "float32", ("N", 3))
    index = lg.symbol("i", "int64", ("N",))
    found = combine(index, x.shape[0])
    assert found.dtype == "int64"
    value = evaluate([found.expr], {"i": np.array([2**24, 2**24 + 1])}, {"N": 2})[0]
    np.testing.assert_array_equal(value, combine(np.array([2**24, 2**24 + 1]), 2))


def test_a_length_is_not_equal_to_what_no_length_could_be():
    seen = []

    def body(F, x):
        seen.append([x.shape[0] == other for other in (None, "N", 2.5, (3,))])
        seen.append([x.shape[0] != None])  # noqa: E711
        return x

    lg.compile(body, {"x": ("float32", ("N",))})
    assert seen == [[False] * 4, [True]]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_created_arrays_follow_the_dtype_of_what_they_meet(dtype):
    x, rows = lg.symbol("x", dtype, (5,)), lg.symbol("rows", "int64", (5,))
    given, index = np.ones(5, dtype), np.arange(5)
    centers = (np.arange(5, dtype=dtype) + 0.5) / 5
    for made, arrays, expected in (
        ((symbolic.arange(0, 5) + 0.5) / 5 * x, {"x": given}, centers),
        (symbolic.eye(5) * x, {"x": given}, np.eye(5, dtype=dtype)),
        (symbolic.one_hot(rows, 5) * x, {"x": given, "rows": index}, np.eye(5, dtype=dtype)),
    ):
        found = lg.compile(made)(**arrays)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("function", ["arange", "eye"])
def test_created_arrays_alone_are_of_float32(function):
    assert lg.compile(getattr(symbolic, function)(3))().dtype == np.float32


@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan, 1e38, -2.5])
def test_padding_by_any_number_keeps_what_is_inside(value):
    x = lg.symbol("x", "float32", ("N", 2))
    padded = symbolic.pad(x, mode="constant", pad_width=(0, 0, 1, 0), constant_value=value)
    given = np.array([[1.5, -3.0]], "float32")
    np.testing.assert_array_equal(
        lg.compile(padded)(given), np.array([[value, 1.5, -3.0]], "float32")
    )
    gradient = lg.compile(lg.grad(symbolic.sum(symbolic.square(padded[:, 1:])), x))(given)
    np.testing.assert_array_equal(gradient, 2 * given)


@pytest.mark.parametrize("mode", ["edge", "reflect"])
def test_nothing_is_padded_by_nothing(mode):
    x = np.zeros((2, 0), np.float32)
    padded = FunctionLoss(lambda F, x: F.pad(x, mode=mode, pad_width=(1, 0, 0, 0)))
    assert padded(x).shape == (3, 0)


def test_the_only_axis_is_not_split_away():
    x = np.array([1.0, 2.0], np.float32)

    def body(F, x):
        return F.split(x, num_outputs=2, axis=0, squeeze_axis=True)[1]

    assert_close(FunctionLoss(body)(x), body(reference, reference.Array(x)).asnumpy())


SPECIAL = np.array([0.5, np.nan, np.inf, -1.0])


@pytest.mark.parametrize(
    "body",
    [
        lambda F, x: F.diag(x),
        lambda F, x: F.diag(x, k=-1),
        lambda F, x: F.contrib.BilinearResize2D(F.reshape(x, (1, 1, 4, 1)), height=7, width=3),
        lambda F, x: F.contrib.BilinearResize2D(F.reshape(x, (1, 1, 4, 1)), height=4, width=1),
        lambda F, x: F.contrib.BilinearResize2D(
            F.reshape(x, (1, 1, 2, 2)), height=3, width=2, align_corners=False
        ),
    ],
)
def test_a_special_number_stays_where_it_is(body):
    """In a product with zeros it would be NaN everywhere else in its row."""
    expected = body(reference, reference.Array(SPECIAL)).asnumpy()
    assert not np.isnan(expected).all()
    assert_close(FunctionLoss(body)(SPECIAL), expected)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(
    "body",
    [
        lambda F, x: F.sort(x, axis=1),
        lambda F, x: F.sort(x, axis=1, is_ascend=False),
        lambda F, x: F.argsort(x, axis=1),
        lambda F, x: F.argsort(x, axis=1, is_ascend=False),
        lambda F, x: F.topk(x, axis=1, k=2, ret_typ="value"),
        lambda F, x: F.topk(x, axis=1, k=2, ret_typ="mask", is_ascend=True),
        lambda F, x: F.topk(x, axis=0, k=1),
    ],
)
def test_nan_is_the_largest_number_to_sort(body, dtype):
    x = np.array([[1, np.nan, -1, 2], [np.nan, 3, np.nan, 0], [0, 0.5, 1, np.nan]], dtype)
    expected = body(reference, reference.Array(x)).asnumpy()
    model = FunctionLoss(body).to_onnx({"x": (dtype, ("N", "C"))})
    for found in (FunctionLoss(body)(x), run_model(model, {"x": x})[0]):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("joined", [
    lambda F, x: F.dot(x, x), lambda F, x: F.concat(x, x), lambda F, x: F.stack(x, x),
    lambda F, x: F.linalg_gemm2(x, x), lambda F, x: F.linalg_gemm(x, x, x),
])  # fmt: skip
def test_arrays_without_a_dtype_are_of_float32_when_joined(joined):
    assert joined(symbolic, symbolic.eye(2)).dtype == np.float32
