"""Output layers and CTC in a body: what MXNet 1.9.1 computes, recorded by hand."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import reference, symbolic
from lossgraph.authoring.functions import FunctionLoss
from operator_laws import check_derivatives, check_opsets, check_values
from support import assert_close

X = np.array([[1.0, 2, 3], [1, 0, -1]])
LABEL = np.array([2, 0])
P = np.exp(X) / np.exp(X).sum(1, keepdims=True)
HOT = np.eye(3)[LABEL]
IMAGES = np.random.RandomState(0).randn(2, 3, 2)  # (N, C, T)
PLACES = np.array([[0, 1], [2, 2]])
MXNET = (1e-6, 1e-7)  # recorded in float32


def behind(body, x, **arrays):
    """The gradient that an output has, whatever is made of its value."""
    inputs = {n: lg.symbol(n, a.dtype.name, a.shape) for n, a in arrays.items()}
    symbol = lg.symbol("x", x.dtype.name, x.shape)
    value = body(symbolic, symbol, **inputs)
    first = lg.compile(lg.grad(symbolic.sum(value), symbol))(x=x, **arrays)
    again = lg.compile(lg.grad(symbolic.sum(value * 7.0 + value * value), symbol))(x=x, **arrays)
    assert_close(again, first)
    return first


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, P - HOT),
        ({"grad_scale": 2.0}, 2 * (P - HOT)),
        ({"normalization": "batch"}, (P - HOT) / 2),
        ({"normalization": "valid"}, (P - HOT) / 2),
        ({"use_ignore": True, "ignore_label": 0}, (P - HOT) * [[1], [0]]),
        ({"use_ignore": True, "ignore_label": 0, "normalization": "valid"}, (P - HOT) * [[1], [0]]),
        ({"smooth_alpha": 0.1}, P - HOT * 0.9 - (1 - HOT) * 0.05),
        ({"preserve_shape": True}, P - HOT),
    ],
)
def test_softmax_output_has_the_gradient_of_cross_entropy(options, expected):
    found = behind(lambda F, x, y: F.SoftmaxOutput(x, y, **options), X, y=LABEL)
    assert_close(found, expected)
    assert_close(FunctionLoss(lambda F, x, y: F.SoftmaxOutput(x, y, **options))(X, LABEL), P)


@pytest.mark.parametrize(
    ("options", "scale"),
    [
        ({}, [[1, 1], [1, 1]]),
        ({"normalization": "batch"}, [[0.5, 0.5], [0.5, 0.5]]),
        ({"normalization": "valid"}, [[0.5, 0.5], [0.5, 0.5]]),
        ({"use_ignore": True, "ignore_label": 2}, [[1, 1], [0, 0]]),
        ({"use_ignore": True, "ignore_label": 2, "normalization": "valid"}, [[1, 1], [0, 0]]),
    ],
)
def test_softmax_output_of_several_places(options, scale):
    recorded = np.array(
        [
            [
                [-0.30507037, 0.06619538],
                [0.08888330, -0.08289146],
                [0.21618709, 0.01669610],
            ],
            [
                [0.27848896, 0.06464041],
                [0.09713202, 0.11338571],
                [-0.37562096, -0.17802614],
            ],
        ]
    )
    body = lambda F, x, y: F.SoftmaxOutput(x, y, multi_output=True, **options)  # noqa: E731
    found = behind(body, IMAGES, y=PLACES)
    assert_close(found, recorded * np.array(scale)[:, None], tolerance=MXNET)


def test_softmax_output_of_probabilities_and_of_joined_axes():
    target = np.array([[0.0, 0.5, 0.5], [1.0, 0.0, 0.0]])
    body = lambda F, x, y: F.SoftmaxOutput(x, y, grad_scale=2.0, normalization="batch")  # noqa: E731
    assert_close(behind(body, X, y=target), 2 * (P - target))
    joined = behind(lambda F, x, y: F.SoftmaxOutput(x, y), X.reshape(2, 3, 1), y=LABEL)
    assert_close(joined, (P - HOT).reshape(2, 3, 1))


def test_a_class_that_is_none_has_no_target():
    assert_close(behind(lambda F, x, y: F.SoftmaxOutput(x, y), X, y=np.array([-1, 3])), P)


def test_softmax_output_may_be_scaled_by_what_flows_back():
    x, y = lg.symbol("x", "float64", (2, 3)), lg.symbol("y", "int64", (2,))
    weights = np.arange(6.0).reshape(2, 3)
    value = symbolic.sum(symbolic.SoftmaxOutput(x, y, out_grad=True) * symbolic.array(weights))
    assert_close(lg.compile(lg.grad(value, x))(x=X, y=LABEL), (P - HOT) * weights)


@pytest.mark.parametrize(
    ("name", "value", "gradient"),
    [
        ("LinearRegressionOutput", X, lambda v, y: v - y),
        ("LogisticRegressionOutput", 1 / (1 + np.exp(-X)), lambda v, y: v - y),
        ("MAERegressionOutput", X, lambda v, y: np.sign(v - y)),
    ],
)
def test_regression_outputs(name, value, gradient):
    y = np.array([[0.0, 1, 3], [1, 1, 1]])
    body = lambda F, x, y: getattr(F, name)(x, y, grad_scale=3.0)  # noqa: E731
    assert_close(FunctionLoss(body)(X, y), value)
    assert_close(behind(body, X, y=y), gradient(value, y))  # of three outputs each
    column = behind(lambda F, x, y: getattr(F, name)(x, y), value[:, :1], y=y[:, 0])
    ours = 1 / (1 + np.exp(-value[:, :1])) if name.startswith("Logistic") else value[:, :1]
    assert_close(column, gradient(ours, y[:, :1]))


def test_outputs_have_named_sizes_and_second_derivatives():
    x, y = lg.symbol("x", "float64", ("N", "C")), lg.symbol("y", "int64", ("N",))
    value = symbolic.SoftmaxOutput(x, y, normalization="batch", use_ignore=True)
    gradient = lg.grad(symbolic.sum(value), x)
    assert_close(lg.compile(gradient)(x=X, y=LABEL), (P - HOT) / 2)
    curvature = lg.compile(lg.grad(symbolic.sum(gradient * gradient), x))(x=X, y=LABEL)
    off = (P - HOT) / 2
    assert_close(curvature, P * (off - np.sum(off * P, 1, keepdims=True)))


def test_an_output_has_no_directional_derivative():
    x, y = lg.symbol("x", "float64", (2, 3)), lg.symbol("y", "int64", (2,))
    with pytest.raises(lg.GradientError, match="directional"):
        lg.jvp(symbolic.SoftmaxOutput(x, y), {x: lg.symbol("t", "float64", (2, 3))})


def test_labels_that_fit_no_output_are_refused():
    with pytest.raises(lg.InputError, match="neither classes nor probabilities"):
        FunctionLoss(lambda F, x, y: F.SoftmaxOutput(x, y)).program(
            {"x": ("float32", (2, 3)), "y": ("float32", (2, 4))}
        )
    with pytest.raises(lg.InputError, match="expected one of"):
        symbolic.SoftmaxOutput(
            lg.symbol("x", "float32", (2, 3)), lg.symbol("y", "int64", (2,)), normalization="all"
        )


# --- CTC --------------------------------------------------------------------------------------

STEPS = np.random.RandomState(1).randn(4, 2, 3)  # (T, N, C)


@pytest.mark.parametrize("name", ["CTCLoss", "ctc_loss", "contrib.CTCLoss", "contrib.ctc_loss"])
def test_ctc_in_a_body(name):
    """With the lengths that paddings tell, or given ones; the blank first or last."""

    def named(F):
        return getattr(F.contrib, name[8:]) if "." in name else getattr(F, name)

    first = FunctionLoss(lambda F, x, y: named(F)(x, y))
    assert_close(
        first(STEPS, np.array([[1, 2], [2, 0]])),
        np.array([2.9036553, 5.206806]),
        tolerance=MXNET,
    )
    last = FunctionLoss(lambda F, x, y: named(F)(x, y, blank_label="last"))
    assert_close(
        last(STEPS, np.array([[1, 0], [1, -1]])), np.array([3.9708195, 1.3366398]), tolerance=MXNET
    )


def with_lengths(F, x, y, n, m):
    return F.CTCLoss(x, y, n, m, use_data_lengths=True, use_label_lengths=True)


LENGTHS = {
    "x": STEPS,
    "y": np.array([[1, 2], [2, 2]]),
    "n": np.array([3, 4]),
    "m": np.array([1, 2]),
}


def test_ctc_of_given_lengths():
    value, gradient = FunctionLoss(with_lengths).value_and_grad(*LENGTHS.values(), wrt=("x",))
    assert_close(value, np.array([2.1090307, 6.6071625]), tolerance=MXNET)
    recorded = [[-0.08110553, -0.01389463, 0.09500006], [0.01681678, 0.84312093, -0.85993707]]
    assert_close(gradient["x"][0], np.array(recorded), tolerance=MXNET)
    assert_close(gradient["x"][3, 0], np.zeros(3))


def test_ctc_agrees_with_numpy_in_every_opset():
    check_values(with_lengths, LENGTHS)
    check_derivatives(with_lengths, LENGTHS, orders=(1,))
    check_opsets(with_lengths, LENGTHS)


def test_ctc_without_an_alignment_is_zero():
    body = lambda F, x, y: F.CTCLoss(x, y)  # noqa: E731
    labels = np.array([[1, 1, 1, 1], [1, 2, 0, 0]])
    value, gradient = FunctionLoss(body).value_and_grad(STEPS, labels, wrt=("x",))
    assert value[0] == 0
    assert value[1] > 0
    assert_close(gradient["x"][:, 0], np.zeros((4, 3)))
    assert_close(body(reference, reference.Array(STEPS), reference.Array(labels)).asnumpy(), value)


@pytest.mark.parametrize("label", [[[1, 3], [2, 0]], [[-1, 1], [2, 0]]])
def test_ctc_refuses_what_is_no_class(label):
    with pytest.raises(lg.InputError):
        FunctionLoss(lambda F, x, y: F.CTCLoss(x, y))(STEPS, np.array(label))
