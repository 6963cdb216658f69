"""The numpy reference against what MXNet recorded, and where lossgraph decided otherwise."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

from lossgraph import reference as F
from lossgraph.errors import DtypeError, InputError
from lossgraph.reference.array import METHODS, OPERATORS
from mxnet_ops import Case, cases, load
from tolerances import MXNET


def arrays(*rows: Any, dtype: str = "float32") -> Any:
    """One array for each argument."""
    made = [F.array(row, dtype=dtype) for row in rows]
    return made if len(made) > 1 else made[0]


def evaluate(expr: str, **inputs: Any) -> Any:
    """An expression in F on the inputs."""
    return eval(expr, {"F": F, "np": np, **inputs})


@pytest.mark.parametrize("case", cases(), ids=lambda case: case["id"])
def test_agrees_with_mxnet(case: Case) -> None:
    recorded = load(case)
    inputs = {name: F.Array(value) for name, value in recorded.inputs.items()}
    result = evaluate(case["expr"], **inputs)
    outputs = list(result) if isinstance(result, list | tuple) else [result]
    assert len(outputs) == case["outputs"]
    for output, expected in zip(outputs, recorded.outputs, strict=True):
        assert output.shape == expected.shape
        assert (output.dtype.kind == "f") == (expected.dtype.kind == "f") or compares(case)
        rtol, atol = tolerance(expected, *recorded.inputs.values())
        np.testing.assert_allclose(output.asnumpy(), expected, rtol, atol)


def tolerance(*values: Any) -> tuple[float, float]:
    """That of the narrowest float dtype among the arrays; none for integers."""
    return max(MXNET.get(str(value.dtype), (0, 0)) for value in values)


def compares(case: Case) -> bool:
    """Whether the case compares integers, which MXNet answers with integers."""
    return "logical" in case["id"]


def test_cases_have_names_of_their_own() -> None:
    assert len({case["id"] for case in cases()}) == len(cases())


def test_every_operator_is_public() -> None:
    aliased = {value.__name__ for name, value in vars(F).items() if inspect.isfunction(value)}
    assert set(OPERATORS) <= aliased
    assert all(getattr(F, name) is not None for name in F.__all__)


def test_every_method_has_its_operator() -> None:
    x = arrays([[1.0, 2.0]])
    assert all(callable(getattr(x, name)) for name in METHODS)
    with pytest.raises(AttributeError):
        _ = x.nothing_of_the_kind


# ---- what lossgraph decided, other than MXNet


@pytest.mark.parametrize(
    ("expr", "dtype"),
    [
        ("x == y", "float64"),
        ("h > 0", "float16"),
        ("k == k", "float32"),
        ("k > 1", "float32"),
        ("F.logical_and(k, k)", "float32"),
        ("F.logical_not(k)", "float32"),
        ("k + 1.5", "float32"),
        ("k + 2", "int32"),
        ("k + 2.0", "int32"),
        ("k / 2", "float32"),
        ("1 / k", "float32"),
        ("k / k", "float32"),
        ("F.clip(k, 0.5, 2)", "float32"),
        ("k + s", "float32"),
        ("h + k", "float16"),
        ("k * l", "int64"),
        ("s + x", "float64"),
        ("h * s", "float32"),
        ("F.concat(h, s, dim=0)", "float32"),
        ("F.where(k, h, s)", "float32"),
        ("F.put_along_axis(s, k[:1], x[:1], axis=0)", "float64"),
        ("F.exp(k)", "float32"),
        ("F.mean(k)", "float32"),
        ("F.softmax(k)", "float32"),
        ("F.argmax(x)", "float32"),
        ("b + b", "float32"),
        ("x * np.float32(2)", "float64"),
        ("np.float64(2) * s", "float32"),
    ],
)
def test_dtype_decided(expr: str, dtype: str) -> None:
    named = {"x": "float64", "y": "float64", "s": "float32", "h": "float16"}
    inputs = {name: F.array([1.0, 2.0, 3.0], dtype=kind) for name, kind in named.items()}
    integers = {"k": "int32", "l": "int64", "b": "bool"}
    inputs |= {name: F.array([1, 2, 0], dtype=kind) for name, kind in integers.items()}
    assert evaluate(expr, **inputs).dtype == dtype


def test_integers_divide_exactly() -> None:
    np.testing.assert_array_equal(F.array([1, 3], dtype="int32") / 2, [0.5, 1.5])


def test_sign_of_nan_is_nan() -> None:
    np.testing.assert_array_equal(F.sign(arrays([np.nan, -2.0, 0.0])), [np.nan, -1, 0])


def test_mean_over_nothing_is_nan() -> None:
    np.testing.assert_array_equal(F.mean(F.zeros((0, 3))), [np.nan])
    np.testing.assert_array_equal(F.mean(F.zeros((2, 0)), axis=1), [np.nan, np.nan])
    assert F.mean(F.zeros((0, 3)), axis=0, exclude=True).shape == (0,)
    np.testing.assert_array_equal(F.sum(F.zeros((0, 3)), axis=0), [0, 0, 0])


def test_float16_adds_up_in_float32() -> None:
    many = F.ones((5000,), dtype="float16")
    assert float(F.sum(many)) == 5000
    assert float(F.mean(many)) == 1
    assert float(F.norm(F.full((4,), 300, dtype="float16"))) == 600
    assert F.sum(many).dtype == np.float16


@pytest.mark.parametrize("label", [[np.nan, 1.0], [1.0, np.nan]])
def test_nan_picks_nan(label: list[float]) -> None:
    x, index = arrays([[1.0, 2.0], [3.0, 4.0]], label)
    for found in (F.pick(x, index), F.batch_take(x, index)):
        np.testing.assert_array_equal(np.isnan(found.asnumpy()), np.isnan(label))
    np.testing.assert_array_equal(np.isnan(F.take(x, index).asnumpy())[:, 0], np.isnan(label))


def test_extremes_are_finite() -> None:
    big = arrays([[1e4, -1e4, 0.0]])
    np.testing.assert_allclose(F.log_softmax(big), [[0, -2e4, -1e4]])
    np.testing.assert_allclose(F.softmax_cross_entropy(big, arrays([1.0])), [2e4])
    np.testing.assert_allclose(F.Activation(big, "softrelu"), [[1e4, 0, np.log(2)]], rtol=1e-6)
    np.testing.assert_allclose(F.softmax(F.array([6e4, 0], dtype="float16")), [1, 0])
    np.testing.assert_allclose(F.norm(F.array([3e30, 4e30])), [5e30], rtol=1e-6)
    np.testing.assert_array_equal(F.sigmoid(arrays([-np.inf, np.inf])), [0, 1])


def test_masked_log_softmax_is_minus_infinity() -> None:
    x, length = F.zeros((1, 4)), F.array([2], dtype="int32")
    found = F.log_softmax(x, length=length, use_length=True)
    np.testing.assert_allclose(found, [[-np.log(2), -np.log(2), -np.inf, -np.inf]], rtol=1e-6)


def test_equality_is_an_operator() -> None:
    x = arrays([1.0, 2.0])
    assert isinstance(x == x, F.Array)
    assert bool(arrays([1.0]) == 1)
    assert [float(each) for each in x] == [1, 2]
    assert float(np.float32(2) * arrays([3.0])) == 6


# ---- errors


@pytest.mark.parametrize(
    ("expr", "message"),
    [
        ("F.gather_nd(x, F.zeros((0, 2)))", r"1 <= M <= 2"),
        ("F.sum(x, axis=5)", r"F\.sum\(float32\[2,3\], axis=5\): axis 5 is out of bounds"),
        ("F.sum(x, axis=(0, 0))", "names an axis twice"),
        ("F.sum(x, sideways=True)", "unexpected keyword argument 'sideways'"),
        ("F.sum([1.0])", r"expected an array, got list: wrap it in F\.array"),
        ("F.max(F.zeros((0, 2)))", r"F\.max"),
        ("x + F.zeros((2,))", r"\(2, 3\) and \(2,\) do not broadcast"),
        ("F.broadcast_add(x, F.zeros((4, 3)))", "do not broadcast"),
        ("F.elemwise_add(x, F.zeros((1, 3)))", "same shape"),
        ("x + None", "cannot combine an array with NoneType"),
        ("x == None", "cannot combine an array with NoneType"),
        ("x + np.zeros((2, 3))", "cannot combine an array with ndarray"),
        ("F.pick(x, F.array([1, 7]), mode='raise')", r"index\[1, 0\] is 7\.0: expected 0 to 2"),
        ("F.pick(x, F.array([np.nan, 7]), mode='raise')", r"index\[0, 0\] is nan"),
        ("F.pick(x, F.array([1, 1]), mode='around')", r"mode: expected one of .* got 'around'"),
        ("F.pick(x, F.array([1, 1, 1]))", r"index is float32\[3\]: expected the shape \(2,\)"),
        ("F.pick(x, F.array([1, 1]), axis=2)", "axis 2 is out of bounds"),
        ("F.take(x, F.array([0, -1]), mode='raise')", r"indices\[1\] is -1\.0: expected 0 to 1"),
        ("F.softmax_cross_entropy(x, F.array([0, 3]))", r"label\[1\] is 3\.0"),
        ("F.gather_nd(x, F.array([[0, 2]]))", r"axis 0 has 2"),
        ("F.gather_nd(x, F.array([0, 1]))", "rank >= 2"),
        ("F.Embedding(F.array([0]), x, input_dim=3, output_dim=3)", r"expected the shape \(3, 3\)"),
        ("F.reshape(x, shape=(4, -1))", "cannot reshape"),
        ("F.reshape(x, shape=(0, 0, 0))", "asks for more axes"),
        ("F.reshape(x, shape=(-4, 2, 2, 0))", r"does not split into \(2, 2\)"),
        ("F.reshape(x, shape=(-4, 2))", "followed by two sizes"),
        ("F.reshape(x, shape=(-5, 2))", "codes 0 to -4"),
        ("F.reshape(x, shape=())", "empty"),
        ("F.slice_axis(x, axis=1, begin=0, end=9)", "0 to 9 is not a range"),
        ("F.slice_like(x, F.zeros((1, 2, 3)))", "ranks differ"),
        ("F.squeeze(x, axis=0)", "size not equal to one"),
        ("F.concat(x, F.zeros((3, 2)))", r"F\.concat"),
        ("F.split(x, num_outputs=2)", "equal division"),
        ("F.dot(x, x)", "contracts 3 with 2"),
        ("F.batch_dot(x, x)", "at least 3"),
        ("F.broadcast_to(x, shape=(2, 3, 4))", "rank"),
        ("F.broadcast_axis(x, axis=0, size=4)", "has 2 elements, not 1"),
        ("F.topk(x, k=4)", "k is 4, more than the 3"),
        ("F.topk(x, ret_typ='all')", "ret_typ: expected one of"),
        ("F.norm(x, ord=3)", "ord: expected one of"),
        ("F.moments(x)", "expected axes"),
        ("F.Activation(x, act_type='mish')", "act_type: expected one of"),
        ("F.LeakyReLU(x, act_type='rrelu')", "act_type: expected one of"),
        ("F.L2Normalization(x, mode='channel')", "at least 3 axes"),
        ("F.softmax(x, use_length=True)", "needs the array `length`"),
        ("F.softmax(x, axis=2)", "axis 2 is out of bounds"),
        ("F.where(F.zeros((4,)), x, x)", "does not broadcast"),
        ("F.pad(x, mode='constant', pad_width=(1, 1))", "expected 4 numbers"),
        ("F.SequenceLast(x, F.array([0, 1, 1]), True)", r"sequence_length\[0\] is 0"),
        ("F.SequenceMask(x, F.array([1, 1]), True)", r"expected the shape \(3,\)"),
        ("F.arange(0, 1, 0)", "step is 0"),
        ("F.diag(x, k=5)", "diagonal 5 does not exist"),
        ("bool(x)", "one element is needed"),
        ("x[5]", "out of bounds"),
        ("x[F.array([0]) > 0]", "use F.where"),
    ],
)
def test_error_says_what_is_wrong(expr: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(expr, x=F.array([[1, 2, 3], [4, 5, 6]]))


def test_unknown_dtype_is_a_dtype_error() -> None:
    with pytest.raises(DtypeError, match="unknown dtype 'float7'"):
        F.zeros((2,), dtype="float7")


def test_names_of_nodes_are_ignored() -> None:
    assert float(F.sum(arrays([1.0, 2.0]), name="total")) == 3
