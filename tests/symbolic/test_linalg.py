"""``F.linalg``: numpy's, the documented examples, derivatives, stacks, matrices without inverse."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import reference, symbolic
from lossgraph.authoring.functions import FunctionLoss, as_loss
from lossgraph.ir.batching import BatchDim
from lossgraph.passes.batch_partition import batch_dims_of
from operator_laws import check_derivatives, check_opsets, check_values, parts, values
from support import assert_close

RNG = np.random.default_rng(3)
A = RNG.uniform(-1, 1, (2, 3, 3)) + 2 * np.eye(3)
ONE = A[0]
B = RNG.uniform(-1, 1, (2, 3, 2))
WIDE = RNG.uniform(-1, 1, (2, 2, 3))
V = RNG.uniform(0.5, 1, (2, 6))


def definite(F, x):
    return F.linalg.syrk(x) + 0.5 * F.linalg.makediag(F.ones((x.shape[-1],), dtype=x.dtype))


CASES = {
    "potrf": (lambda F, a: F.linalg_potrf(definite(F, a)), {"a": A}),
    "potrf upper": (lambda F, a: F.linalg.potrf(definite(F, a), lower=False), {"a": ONE}),
    "trsm": (lambda F, a, b: F.linalg_trsm(a, b, alpha=0.5), {"a": A, "b": B}),
    "trsm transposed": (lambda F, a, b: F.linalg.trsm(a, b, transpose=True), {"a": A, "b": B}),
    "trsm upper": (lambda F, a, b: F.linalg.trsm(a, b, lower=False), {"a": A, "b": B}),
    "trsm right": (lambda F, a, b: F.linalg.trsm(a, b, rightside=True), {"a": A, "b": WIDE}),
    "trsm all": (
        lambda F, a, b: F.linalg.trsm(a, b, True, True, False, 2.0),
        {"a": A, "b": WIDE},
    ),
    "trmm": (lambda F, a, b: F.linalg_trmm(a, b, alpha=2.0), {"a": A, "b": B}),
    "trmm right": (
        lambda F, a, b: F.linalg.trmm(a, b, transpose=True, rightside=True, lower=False),
        {"a": A, "b": WIDE},
    ),
    "potri": (lambda F, a: F.linalg_potri(F.linalg_potrf(definite(F, a))), {"a": A}),
    "potri upper": (lambda F, a: F.linalg.potri(a, lower=False), {"a": A}),
    "sumlogdiag": (lambda F, a: F.linalg_sumlogdiag(definite(F, a)), {"a": A}),
    "sumlogdiag of one": (lambda F, a: F.linalg.sumlogdiag(definite(F, a)), {"a": ONE}),
    "det": (lambda F, a: F.linalg_det(a), {"a": A}),
    "det of one": (lambda F, a: F.linalg.det(a), {"a": ONE[::-1].copy()}),
    "slogdet": (lambda F, a: F.linalg_slogdet(a), {"a": A[:, ::-1].copy()}),
    "inverse": (lambda F, a: F.linalg_inverse(a), {"a": A}),
    "solve": (lambda F, a, b: F.linalg.solve(a, b), {"a": A, "b": B}),
    "solve for all": (lambda F, a, b: F.linalg.solve(a, b), {"a": ONE, "b": B}),
    "syrk": (lambda F, a: F.linalg_syrk(a, transpose=True, alpha=2.0), {"a": WIDE}),
    "gemm2": (lambda F, a, b: F.linalg.gemm2(a, b, alpha=0.5), {"a": A, "b": B}),
    "gemm": (lambda F, a, b: F.linalg.gemm(a, b, b, beta=2.0), {"a": A, "b": B}),
    "gemm along an axis": (
        lambda F, a, b: F.linalg.gemm(a, b, b, axis=0, beta=0.5),
        {"a": A[:, :2, :2].copy(), "b": B[:, :2]},
    ),
    "diagonals": (
        lambda F, a: [F.linalg.extractdiag(a, offset=k) for k in (-1, 0, 2)],
        {"a": A},
    ),
    "makediag": (lambda F, a: [F.linalg_makediag(a, offset=k) for k in (-2, 0, 1)], {"a": V}),
}
SMALL_TRIANGLES = {
    "extracttrian": (
        lambda F, a: [F.linalg_extracttrian(a, k, low) for k in (-1, 0, 1) for low in (0, 1)],
        {"a": A},
    ),
    "maketrian": (
        lambda F, a: [F.linalg_maketrian(a, k, low) for k in (-1, 0, 2) for low in (0, 1)],
        {"a": V},
    ),
}
ITERATED = {"float64": (1e-12, 1e-13), "float32": (2e-5, 5e-6)}  # times the condition, below 20


@pytest.mark.parametrize("name", CASES)
def test_linear_algebra_agrees_with_numpy(name):
    check_values(*CASES[name], tolerance=ITERATED)


@pytest.mark.parametrize("name", [*CASES, *SMALL_TRIANGLES])
def test_linear_algebra_has_right_derivatives(name):
    check_derivatives(*{**CASES, **SMALL_TRIANGLES}[name])


@pytest.mark.parametrize("name", ["potrf", "trsm all", "slogdet", "solve", "makediag"])
def test_linear_algebra_in_every_opset(name):
    check_opsets(*CASES[name])


@pytest.mark.parametrize("name", SMALL_TRIANGLES)
def test_triangles_need_a_known_size(name):
    body, arrays = SMALL_TRIANGLES[name]
    check_values(body, arrays, named=(False,))
    with pytest.raises(lg.InputError, match="trian needs the size"):
        values(body, arrays, named=True)


# The examples of MXNet 1.9.1's documentation.
DOCUMENTED = [
    (lambda F, a: F.linalg.potrf(a), [[4.0, 1.0], [1.0, 4.25]], [[2.0, 0], [0.5, 2.0]]),
    (
        lambda F, a: F.linalg.potrf(a),
        [[[4.0, 1.0], [1.0, 4.25]], [[16.0, 4.0], [4.0, 17.0]]],
        [[[2.0, 0], [0.5, 2.0]], [[4.0, 0], [1.0, 4.0]]],
    ),
    (
        lambda F, a: F.linalg.potri(a),
        [[2.0, 0], [0.5, 2.0]],
        [[0.265625, -0.0625], [-0.0625, 0.25]],
    ),
    (
        lambda F, a: F.linalg.trsm(a, F.array([[2.0] * 3, [4.0] * 3]), alpha=0.5),
        [[1.0, 0], [1.0, 1.0]],
        [[1.0] * 3, [1.0] * 3],
    ),
    (
        lambda F, a: F.linalg.trmm(a, F.array([[1.0] * 3] * 2), alpha=2.0),
        [[1.0, 0], [1.0, 1.0]],
        [[2.0] * 3, [4.0] * 3],
    ),
    (
        lambda F, a: F.linalg.sumlogdiag(a),
        [[[1.0, 1.0], [1.0, 7.0]], [[3.0, 0], [0, 17.0]]],
        [np.log(7.0), np.log(51.0)],
    ),
    (lambda F, a: F.linalg.syrk(a, alpha=2.0), [[[1.0, 1.0]], [[0.1, 0.1]]], [[[4.0]], [[0.04]]]),
    (lambda F, a: F.linalg.extractdiag(a, 1), [[1.0, 2.0], [3.0, 4.0]], [2.0]),
    (lambda F, a: F.linalg.makediag(a, 1), [1.0, 2.0], [[0, 1.0, 0], [0, 0, 2.0], [0, 0, 0]]),
    (lambda F, a: F.linalg.extracttrian(a), [[1.0, 2.0], [3.0, 4.0]], [1.0, 3.0, 4.0]),
    (
        lambda F, a: F.linalg.maketrian(a, offset=1),
        [1.0, 2.0, 3.0],
        [[0, 1.0, 2.0], [0, 0, 3.0], [0, 0, 0]],
    ),
    (lambda F, a: F.linalg.det(a), [[1.0, 4.0], [2.0, 3.0]], [-5.0]),
    (lambda F, a: F.linalg.inverse(a), [[1.0, 4.0], [2.0, 3.0]], [[-0.6, 0.8], [0.4, -0.2]]),
    (lambda F, a: F.linalg.slogdet(a)[0], [[1.0, 4.0], [2.0, 3.0]], [-1.0]),
    (lambda F, a: F.linalg.slogdet(a)[1], [[1.0, 4.0], [2.0, 3.0]], [np.log(5.0)]),
]


@pytest.mark.parametrize(("body", "given", "expected"), DOCUMENTED)
def test_the_documented_examples(body, given, expected):
    assert_close(FunctionLoss(body)(np.array(given)), np.array(expected), tolerance=(1e-14, 1e-15))


def test_both_spellings_are_one_function():
    for name, function in vars(symbolic.linalg).items():
        assert getattr(symbolic, f"linalg_{name}") is function


def test_another_name_in_a_namespace_says_what_is_near():
    for F in (symbolic, reference):
        with pytest.raises(lg.LossgraphError, match=r"F\.linalg has no 'choleski'.*cholesky"):
            F.linalg.choleski  # noqa: B018
        with pytest.raises(lg.LossgraphError, match=r"F\.contrib has no 'whileloop'.*while_loop"):
            F.contrib.whileloop  # noqa: B018
        assert not hasattr(F.linalg, "syevd")


@pytest.mark.parametrize("name", ["potrf", "inverse"])
def test_matrices_without_a_factor_or_an_inverse_are_nan_and_others_are_not(name):
    wrong = np.array([[1.0, 2.0], [2.0, 4.0]]) if name == "inverse" else -np.eye(2)
    stack = np.stack([np.eye(2), wrong, np.eye(2)])
    found = FunctionLoss(lambda F, a: getattr(F.linalg, name)(a))(stack)
    assert_close(found, np.stack([np.eye(2), np.full((2, 2), np.nan), np.eye(2)]))


@pytest.mark.parametrize("place", [(0, 0), (0, 2), (2, 0), (1, 2)])
@pytest.mark.parametrize("name", ["det", "inverse", "potrf"])
def test_nan_in_a_matrix_is_nan_in_what_is_made_of_it(name, place):
    stack = np.stack([2 * np.eye(3)] * 2)
    stack[(0, *place)] = np.nan
    found = FunctionLoss(lambda F, a: getattr(F.linalg, name)(a))(stack)
    assert np.isnan(found[0]).all()
    assert not np.isnan(found[1]).any()


@pytest.mark.parametrize(
    ("matrix", "cofactors"),
    [
        (np.outer([1.0, 2.0], [3.0, 4.0]), [[8.0, -6.0], [-4.0, 3.0]]),
        ([[0.0, 1.0], [0.0, 2.0]], [[2.0, 0.0], [-1.0, 0.0]]),
        ([[0.0]], [[1.0]]),
        (np.diag([0.0, 2.0, 3.0]), np.diag([6.0, 0.0, 0.0])),
        (np.diag([0.0, 0.0, 3.0]), np.zeros((3, 3))),
        (np.diag([1e5, 0.0, 1e-5]), np.diag([0.0, 1.0, 0.0])),
    ],
)
def test_the_gradient_of_a_determinant_of_zero(matrix, cofactors):
    matrix = np.array(matrix, float)
    x = lg.symbol("x", "float64", matrix.shape)
    found = lg.compile(lg.grad(symbolic.linalg.det(x), x))(matrix)
    assert_close(found, np.array(cofactors, float), tolerance=(1e-12, 1e-10))


def test_the_logarithm_of_a_determinant_that_overflows():
    scaled = np.diag(np.full(200, 1e10)).astype("f")
    sign, size = FunctionLoss(lambda F, a: tuple(F.linalg.slogdet(a)))(scaled)
    assert_close(sign, np.ones(1, "f"))
    assert_close(size, np.full(1, 200 * np.log(1e10), "f"))


def test_error_bounds_hold_for_some_hundred_rows():
    """Backward errors, in units of n roundings of the norm, as the documentation states."""
    n = 120
    for dtype in ("float32", "float64"):
        unit = n * np.finfo(dtype).eps
        a = RNG.normal(size=(n, n)).astype(dtype)
        s = (a @ a.T / n + np.eye(n)).astype(dtype)
        loss = FunctionLoss(
            lambda F, a, s: (F.linalg.potrf(s), F.linalg.inverse(a), F.linalg.solve(a, s))
        )
        factor, inverse, x = (part.astype(np.float64) for part in loss(a, s))
        assert np.abs(factor @ factor.T - s).max() < unit * np.abs(s).max()
        assert np.abs(a @ x - s).max() < unit * np.abs(a).sum(1).max() * np.abs(x).max()
        error = np.abs(inverse - np.linalg.inv(a.astype(np.float64))).max()
        assert error < unit * np.linalg.cond(a) * np.abs(inverse).max()


def test_a_gaussian_likelihood_by_its_cholesky_factor():
    """Inside a loss with named sizes: the gradient is that of the closed form."""

    def body(F, s, x):
        factor = F.linalg.potrf(s)
        white = F.linalg.trsm(factor, F.expand_dims(x, -1))
        return 0.5 * F.sum(F.square(white), axis=(1, 2)) + F.linalg.sumlogdiag(factor)

    s = A @ np.swapaxes(A, -1, -2) + np.eye(3)
    x = RNG.normal(size=(2, 3))
    value, gradient = FunctionLoss(body).value_and_grad(s, x, wrt=("s", "x"))
    inverse = np.linalg.inv(s)
    closed = 0.5 * np.einsum("ni,nij,nj->n", x, inverse, x) + 0.5 * np.linalg.slogdet(s)[1]
    assert_close(value, closed)
    by_x = np.einsum("nij,nj->ni", inverse, x)
    assert_close(gradient["x"], by_x)
    assert_close(gradient["s"], 0.5 * (inverse - by_x[:, :, None] * by_x[:, None, :]))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (lambda F, a: F.linalg.potrf(a), "Cholesky"),
        (lambda F, a: F.linalg.det(F.sum(a)), "matrices"),
        (lambda F, a: F.linalg.maketrian(F.ones((4,))), "no triangle"),
        (lambda F, a: F.linalg.solve(a, a), "Solve"),
    ],
)
def test_what_is_no_square_is_refused(body, says):
    with pytest.raises(lg.InputError, match=says):
        FunctionLoss(body).program({"a": ("float32", (2, 3))})


@pytest.mark.parametrize("size", [0, 1])
@pytest.mark.parametrize("name", ["potrf", "inverse", "det", "slogdet", "potri", "sumlogdiag"])
def test_small_matrices_and_empty_stacks(name, size):
    """Of no matrix, and of matrices without elements: their determinant is 1."""
    for shape in ((2, size, size), (0, 3, 3)):
        body = lambda F, a: getattr(F.linalg, name)(a)  # noqa: E731
        check_values(body, {"a": 2 * np.ones(shape)}, named=(False,))
        a = lg.symbol("a", "float64", shape)
        first = parts(body(symbolic, a))[-1]
        assert lg.compile(lg.grad(first, a))(np.ones(shape)).shape == shape


def test_a_factorization_inside_a_loop():
    """Scans in scans, whose bodies have to be told apart; the gradient has scans of its own."""

    def body(F, a):
        def step(one, total):
            factor = F.linalg.potrf(definite(F, one))
            return F.linalg.inverse(factor), total + F.linalg.sumlogdiag(factor)

        outputs, total = F.contrib.foreach(step, a, F.zeros((1,), dtype=a.dtype))
        return [outputs, total]

    check_values(body, {"a": A}, tolerance=ITERATED)
    check_derivatives(body, {"a": A}, orders=(1,))


def test_matrices_of_a_batch_are_independent():
    """So that a batch may be computed in parts."""
    a, b = lg.symbol("a", "float64", ("N", 3, 3)), lg.symbol("b", "float64", ("N", 3, 2))
    value = symbolic.linalg.trsm(symbolic.linalg.potrf(definite(symbolic, a)), b)
    value = symbolic.sum(value, axis=(1, 2)) + symbolic.linalg.det(a)
    inputs = [a.expr, b.expr]
    dims = dict.fromkeys(inputs, BatchDim(0))
    gradient = lg.grad(symbolic.sum(value), a)
    found = batch_dims_of([value.expr, gradient.expr], dims, "N")
    assert found == [BatchDim(0), BatchDim(0)]


def test_what_gemm_adds_may_have_the_length_of_a_padded_axis():
    def body(F, x, u, a):
        padded = F.pad(x, mode="constant", pad_width=(1, 0, 2, 0))
        return F.linalg_gemm(padded, u, a, beta=1.0)

    x, u, a = np.ones((2, 1)), np.arange(9.0).reshape(3, 3), np.ones((3, 3))
    expected = np.pad(x, ((1, 0), (2, 0))) @ u + a
    assert_close(FunctionLoss(body)(x, u, a), expected)
    with pytest.raises(lg.InputError):
        FunctionLoss(body)(x, u, np.ones((2, 3)))


@pytest.mark.parametrize("name", ["gemm2", "gemm", "trmm", "trsm", "syrk"])
def test_matrices_of_integers_are_taken_for_floats(name):
    """A factor of 0.5 is not rounded away: in the reference as in the graph."""
    x = np.array([[1, 0], [1, 1]], "int32")
    call = {
        "gemm2": lambda F, x: F.linalg.gemm2(x, x, transpose_b=True, alpha=0.5),
        "gemm": lambda F, x: F.linalg.gemm(x, x, x, alpha=0.5, beta=0.25),
        "trmm": lambda F, x: F.linalg.trmm(x, x, alpha=0.5),
        "trsm": lambda F, x: F.linalg.trsm(x, x, alpha=0.5),
        "syrk": lambda F, x: F.linalg.syrk(x, alpha=0.5),
    }[name]
    right = call(reference, reference.Array(x.astype("float32"))).asnumpy()
    for found in (call(reference, reference.Array(x)).asnumpy(), as_loss(call)(x)):
        assert found.dtype == np.float32
        np.testing.assert_array_equal(found, right)
