"""Functions of F beyond MXNet's operators: numpy's F, opsets, derivatives, extremes."""

from __future__ import annotations

import mpmath as mp
import numpy as np
import pytest

import lossgraph as lg
from lossgraph import symbolic
from lossgraph.authoring.functions import FunctionLoss
from operator_laws import check_derivatives, check_opsets, check_values
from support import assert_close

RNG = np.random.default_rng(11)
X = RNG.uniform(-2, 2, (3, 4))
Y = RNG.uniform(-2, 2, (4, 5))
S = RNG.uniform(-2, 2, (2, 3, 4))
SQUARE = RNG.uniform(-2, 2, (3, 3))
WITH_ZEROS = X * (np.abs(X) > 0.7)

CASES = {
    "erfinv": (lambda F, x: F.erfinv(x * 0.45), {"x": X}),
    "softplus": (lambda F, x: F.softplus(x) + F.softplus(x, beta=2.5), {"x": X}),
    "log_sigmoid": (lambda F, x: F.log_sigmoid(x), {"x": X}),
    "elu": (lambda F, x: F.elu(x) + F.elu(x, alpha=0.3), {"x": X}),
    "selu": (lambda F, x: F.selu(x), {"x": X}),
    "gelu": (lambda F, x: F.gelu(x), {"x": X}),
    "gelu by tanh": (lambda F, x: F.gelu(x, approximate="tanh"), {"x": X}),
    "swish": (lambda F, x: F.swish(x) + F.silu(x) + F.swish(x, beta=1.7), {"x": X}),
    "mish": (lambda F, x: F.mish(x), {"x": X}),
    "cumprod": (lambda F, x: F.cumprod(x, axis=1) + F.cumprod(x, axis=0), {"x": X}),
    "cumprod of zeros": (lambda F, x: F.cumprod(x, axis=1), {"x": WITH_ZEROS}),
    "cumprod of all": (lambda F, x: F.cumprod(x), {"x": X}),
    "logcumsumexp": (lambda F, x: F.logcumsumexp(x, axis=-1), {"x": S}),
    "matmul": (lambda F, x, y: F.matmul(x, y), {"x": X, "y": Y}),
    "matmul of stacks": (lambda F, x, y: F.matmul(x, y), {"x": S, "y": Y}),
    "matmul of a row": (lambda F, x, y: F.matmul(x, y), {"x": X[0], "y": Y}),
    "matmul of a column": (lambda F, x, y: F.matmul(x, y), {"x": S, "y": Y[:, 0]}),
    "matmul of vectors": (lambda F, x, y: F.matmul(x, y), {"x": X[0], "y": Y[:, 0]}),
    "tril": (lambda F, x: F.tril(x) + F.tril(x, k=-1) + F.tril(x, k=2), {"x": S}),
    "triu": (lambda F, x: F.triu(x) + F.triu(x, k=-1) + F.triu(x, k=2), {"x": S}),
    "var": (lambda F, x: [F.var(x), F.var(x, axis=1), F.var(x, axis=(0, 2), ddof=1)], {"x": S}),
    "std": (lambda F, x: [F.std(x, axis=1, keepdims=True), F.std(x, ddof=1)], {"x": S}),
    "linspace": (
        lambda F, x: F.linspace(-1, 2, x.shape[1]) * x + F.linspace(0, 1, x.shape[1], False),
        {"x": X},
    ),
    "scatter_add": (
        lambda F, x, y, i: F.scatter_add(x, i, y, axis=1),
        {"x": X, "y": RNG.normal(size=(3, 2)), "i": np.array([[0, 0], [3, 1], [2, 2]])},
    ),
    "index_add": (
        lambda F, x, y, i: [F.index_add(x, i, y, alpha=0.5), F.index_add(x.T, i, y.T, axis=1)],
        {"x": X, "y": X * 2, "i": np.array([2, 0, 2])},
    ),
    "boolean_mask": (
        lambda F, x: [F.boolean_mask(x, F.array([1, 0, 1])), F.contrib.boolean_mask(x, [0, 0, 1])],
        {"x": X},
    ),
    "einsum product": (lambda F, x, y: F.einsum("ij,jk->ik", x, y), {"x": X, "y": Y}),
    "einsum stacks": (lambda F, x, y: F.einsum("nij,jk->nki", x, y), {"x": S, "y": Y}),
    "einsum ellipsis": (lambda F, x, y: F.einsum("...j,jk", x, y), {"x": S, "y": Y}),
    "einsum trace": (lambda F, x: F.einsum("ii", x), {"x": SQUARE}),
    "einsum diagonal": (lambda F, x: F.einsum("ii->i", x), {"x": SQUARE}),
    "einsum outer": (lambda F, x, y: F.einsum("i,j->ij", x, y), {"x": X[0], "y": Y[0]}),
    "einsum sums": (lambda F, x: [F.einsum("ij->j", x), F.einsum("ij->", x)], {"x": X}),
    "einsum three": (
        lambda F, x, y, z: F.einsum("bij,jk,bk->bi", x, y, z),
        {"x": S, "y": Y, "z": S[:, 0, :1] + np.arange(5.0)},
    ),
    "einsum weights": (
        lambda F, x, y: F.einsum("nij,nij->n", x, y),
        {"x": S, "y": S[::-1].copy()},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_functions_agree_with_numpy(name):
    names = (False,) if name == "boolean_mask" else (False, True)  # a mask has its length
    check_values(*CASES[name], named=names)


@pytest.mark.parametrize("name", CASES)
def test_functions_have_right_derivatives(name):
    check_derivatives(*CASES[name])


@pytest.mark.parametrize("name", ["erfinv", "mish", "cumprod", "logcumsumexp", "triu", "std",
                                  "index_add", "einsum three", "einsum diagonal"])  # fmt: skip
def test_functions_in_every_opset(name):
    check_opsets(*CASES[name])


def graded(body, x):
    """Value and gradient of a body of one array."""
    symbol = lg.symbol("x", x.dtype.name, x.shape)
    value = body(symbolic, symbol)
    return lg.compile((value, lg.grad(value, symbol)))(x)


mp.mp.dps = 40
EXACT = {
    "softplus": lambda x: mp.log1p(mp.exp(x)),
    "log_sigmoid": lambda x: -mp.log1p(mp.exp(-x)),
    "elu": lambda x: x if x > 0 else mp.expm1(x),
    "swish": lambda x: x / (1 + mp.exp(-x)),
    "mish": lambda x: x * mp.tanh(mp.log1p(mp.exp(x))),
    "gelu": lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
    "erfinv": lambda x: mp.erfinv(x),
}
PLACES = [-1e4, -100.0, -30.0, -3.0, -1e-3, -1e-8, 1e-8, 1e-3, 0.7, 3.0, 30.0, 100.0, 1e4]
INSIDE = [-1 + 2**-20, -0.99, -0.5, -1e-8, 1e-20, 0.3, 0.9, 1 - 2**-23]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", EXACT)
def test_elementary_functions_keep_their_digits(name, dtype):
    """To 8 units in the last place, with the engine's own exp, log and tanh; values and slopes."""
    x = np.array(INSIDE if name == "erfinv" else PLACES, dtype)
    x = x[np.abs(x) < 8] if name == "gelu" else x
    found, slopes = graded(lambda F, x: getattr(F, name)(x), x)
    exact = np.array([float(EXACT[name](mp.mpf(float(v)))) for v in x])
    slope = np.array([float(mp.diff(EXACT[name], mp.mpf(float(v)))) for v in x])
    # The tail of the normal distribution moves by x^2 roundings where x moves by one.
    digits = (64 if name == "gelu" else 8) * np.finfo(dtype).eps
    smallest = float(np.finfo(dtype).tiny)  # below it digits are lost on the way
    assert_close(found, exact, tolerance=(digits, smallest))
    assert_close(slopes, slope, tolerance=(32 * np.finfo(dtype).eps, 4 * np.finfo(dtype).eps))


@pytest.mark.parametrize(
    ("name", "at", "value", "slope"),
    [
        ("elu", 0.0, 0.0, 1.0),
        ("selu", 0.0, 0.0, 1.0507009873554805 * 1.6732632423543772),
        ("swish", -np.inf, 0.0, None),
        ("mish", -np.inf, 0.0, None),
        ("gelu", 0.0, 0.0, 0.5),
        ("erfinv", 1.0, np.inf, None),
        ("erfinv", 1.5, np.nan, np.nan),
        ("softplus", np.nan, np.nan, np.nan),
        ("swish", np.nan, np.nan, np.nan),
        ("cumprod", np.nan, np.nan, None),
        ("logcumsumexp", np.nan, np.nan, np.nan),
    ],
)
def test_functions_at_special_values(name, at, value, slope):
    found, slopes = graded(lambda F, x: getattr(F, name)(x), np.array([at]))
    assert_close(found, np.array([value]), tolerance=(1e-15, 0))
    if slope is not None:
        assert_close(slopes, np.array([slope]), tolerance=(1e-15, 0))


def test_leaky_activations_have_their_lower_slope_at_zero():
    for kind, slope in (("leaky", 0.1), ("elu", 0.1)):
        _, found = graded(lambda F, x, k=kind: F.LeakyReLU(x, act_type=k, slope=0.1), np.zeros(1))
        assert_close(found, np.array([slope]))


def test_log_sums_of_impossible_beginnings_have_a_gradient():
    x = np.array([-np.inf, -np.inf, 1.0, 2.0])
    found, slopes = graded(lambda F, x: F.logcumsumexp(x)[2:], x)
    assert_close(found, np.array([1.0, np.logaddexp(1.0, 2.0)]))
    share = 1 / (1 + np.exp(1.0))
    assert_close(slopes, np.array([0, 0, 1 + share, 1 - share]))


def test_a_spread_of_nothing_has_no_slope():
    found, slopes = graded(lambda F, x: F.std(x, axis=1), np.ones((2, 3)))
    assert_close(found, np.zeros(2))
    assert_close(slopes, np.zeros((2, 3)))


def test_linspace_alone_is_of_float32():
    found = lg.compile(symbolic.linspace(1, 3, 5))()
    assert_close(found, np.linspace(1, 3, 5, dtype=np.float32))


@pytest.mark.parametrize(
    "subscripts", ["ij,jk", "ijk", "i1", "ij->ii", "ij->k", "...->i", "ij->i->j"]
)
def test_einsum_refuses_what_does_not_fit(subscripts):
    with pytest.raises(lg.InputError, match="einsum"):
        symbolic.einsum(subscripts, lg.symbol("x", "float32", ("N", 3)))


def test_an_index_outside_is_refused_where_something_is_written():
    loss = FunctionLoss(lambda F, x, i: F.index_add(x, i, x[:2]))
    x = np.ones((3, 2))
    assert_close(loss(x, np.array([2, 2])), x * [[1], [1], [3]])
    for outside in ([0, 3], [-1, 0]):
        with pytest.raises(lg.InputError, match="i"):
            loss(x, np.array(outside))


def test_a_mask_that_is_an_input_is_refused_with_the_way_around():
    with pytest.raises(lg.InputError, match=r"F\.where"):
        FunctionLoss(lambda F, x, m: F.boolean_mask(x, m)).program(
            {"x": ("float32", ("N", 2)), "m": ("bool", ("N",))}
        )


def test_a_remainder_of_zero_by_what_is_positive_is_not_minus_zero():
    x, y = np.array([-1.0, 1.0, -2.0, 0.0]), np.array([0.5, 0.5, 1.0, np.inf])
    types = {"x": ("float64", (4,)), "y": ("float64", (4,))}
    found = lg.compile(lambda F, x, y: x % y, types)(x, y)
    assert not np.signbit(found).any()
    assert (found == 0).all()


def test_values_put_along_an_axis_whose_length_is_not_known_to_be_one():
    def body(F, x, z):
        diagonal = F.diag(x)
        return F.put_along_axis(diagonal, z, diagonal, axis=0)

    x, z = np.array([[0.5], [0.25]], np.float32), np.array([0])
    value, _ = lg.value_and_grad(body, wrt="x")(x, z)
    assert value.tolist() == [0.5]
