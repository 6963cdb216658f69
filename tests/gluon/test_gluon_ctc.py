"""CTCLoss against a sum over all alignments, and against recorded cases."""

from __future__ import annotations

import itertools

import numpy as np
import onnxruntime as ort
import pytest

import golden_cases
import lossgraph as lg
from ctc_oracle import NAMED, draw, oracle
from lossgraph import gluon, reference, symbolic
from lossgraph.compare.finite_differences import along, gradient
from support import assert_close, newest_opset, reference_evaluator
from tolerances import DIFFERENCE

CASES = [case for case in golden_cases.cases("mxnet") if case["loss"] == "CTCLoss"]
OPSETS = [opset for opset in (13, 18, 21, 26) if opset <= newest_opset()]


def both(loss, *args, tolerance=None, **named):
    """Value and gradient by pred, compared with the oracle."""
    value, grads = loss.value_and_grad(*args, **named)
    expected = oracle(*args, **named)
    assert value.dtype == grads["pred"].dtype == args[0].dtype
    assert_close(value, expected[0], tolerance=tolerance)
    assert_close(grads["pred"], expected[1], tolerance=tolerance)
    return value, grads["pred"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_recorded_cases(case):
    recorded = golden_cases.Case("mxnet", case)
    loss = gluon.CTCLoss(**recorded.options)
    if case["grads"]:
        wrt = tuple(case["grads"])
        value, grads = loss.value_and_grad(**recorded.inputs, **recorded.call, wrt=wrt)
        for name in wrt:
            golden_cases.close(grads[name], recorded.grads[name], recorded.dtype)
    else:
        value = loss(**recorded.inputs, **recorded.call)
    golden_cases.close(value, recorded.out, recorded.dtype)


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_same_body_on_numpy(case):
    recorded = golden_cases.Case("mxnet", case)
    loss = gluon.CTCLoss(**recorded.options)
    arrays = {name: reference.Array(array) for name, array in recorded.inputs.items()}
    golden_cases.close(loss(**arrays, **recorded.call).asnumpy(), recorded.out, recorded.dtype)


@pytest.mark.parametrize(("steps", "classes", "length"), [
    (1, 2, 2), (2, 3, 2), (3, 3, 3), (4, 3, 2), (5, 3, 3), (4, 4, 2), (5, 4, 2), (5, 2, 3),
])  # fmt: skip
def test_every_label_at_every_length(steps, classes, length):
    """Repeats, empty labels and labels without alignments, all in one batch."""
    labels = [
        (*label, *(-1,) * (length - count))
        for count in range(length + 1)
        for label in itertools.product(range(classes - 1), repeat=count)
    ]
    rows = list(itertools.product(labels, range(steps + 1)))
    label = np.array([row for row, _ in rows], np.int32)
    pred_lengths = np.array([count for _, count in rows], np.int32)
    rng = np.random.default_rng(steps * 10 + classes)
    pred = rng.normal(size=(len(rows), steps, classes)) * 2
    loss, label_lengths = gluon.CTCLoss(), (label != -1).sum(1).astype(np.int32)
    value, grad = both(loss, pred, label, pred_lengths=pred_lengths)
    lengths = {"pred_lengths": pred_lengths, "label_lengths": label_lengths}
    filled = np.where(label == -1, rng.integers(-9, 99, label.shape), label).astype(np.int32)
    both(loss, pred, filled, **lengths)
    ahead = np.arange(steps) >= pred_lengths[:, None]
    assert (grad[ahead] == 0).all()
    repeats = (label[:, 1:] == label[:, :-1]) & (label[:, 1:] != -1)
    infeasible = label_lengths + repeats.sum(1) > pred_lengths
    assert infeasible.any()
    assert (value[infeasible] == 0).all()
    assert (grad[infeasible] == 0).all()
    assert (value[~infeasible & (pred_lengths > 0)] > 0).all()


@pytest.mark.parametrize("shape", [(0, 3, 3), (2, 0, 3), (1, 1, 2), (1, 4, 3), (3, 1, 4)])
@pytest.mark.parametrize("length", [0, 1, 2])
def test_small_and_empty_shapes(shape, length):
    both(gluon.CTCLoss(), *draw(shape, length))


def test_the_blank_alone_leaves_no_class_for_labels():
    pred, label = draw((2, 3, 1), 1)
    with pytest.raises(lg.InputError, match="no classes to choose from"):
        gluon.CTCLoss()(pred, label)


def test_the_label_ends_at_the_first_padding():
    pred, _ = draw((3, 5, 4))
    label = np.array([[1, -1, 2, 0], [-1, 99, -7, 1], [0, 0, -1, -1]])
    short = np.array([[1, -1], [-1, -1], [0, 0]])
    value, _ = both(gluon.CTCLoss(), pred, label)
    assert_close(value, oracle(pred, short)[0])


@pytest.mark.parametrize("filler", [1e4, np.inf, -np.inf, np.nan])
def test_what_lies_past_the_prediction_does_not_matter(filler):
    (pred, label), lengths = draw((4, 5, 3)), np.array([5, 3, 1, 0])
    masked = np.where(np.arange(5)[:, None] < lengths[:, None, None], pred, filler)
    loss, wrt = gluon.CTCLoss(), ("pred",)
    value, grads = loss.value_and_grad(masked, label, pred_lengths=lengths, wrt=wrt)
    expected = oracle(pred, label, lengths)
    assert_close(value, expected[0])
    assert_close(grads["pred"], expected[1])
    assert (grads["pred"][np.arange(5) >= lengths[:, None]] == 0).all()


def test_one_sample_that_is_not_a_number_spoils_itself_alone():
    pred, label = draw((3, 4, 3))
    broken = pred.copy()
    broken[1, 2, 0] = np.nan
    value, grads = gluon.CTCLoss().value_and_grad(broken, label)
    expected = oracle(pred, label)
    assert np.isnan(value[1])
    assert np.isnan(grads["pred"][1]).any()
    assert_close(value[[0, 2]], expected[0][[0, 2]])
    assert_close(grads["pred"][[0, 2]], expected[1][[0, 2]])


# --- derivatives ---


def test_the_gradient_is_the_difference_quotient():
    (pred, label), lengths = draw((4, 5, 3), seed=2), np.array([5, 4, 3, 0])
    loss = gluon.CTCLoss(weight=0.7)
    ct = np.array([1.0, -2.0, 0.5, 3.0])
    _, grads = loss.value_and_grad(pred, label, pred_lengths=lengths, ct=ct)
    slopes = gradient(
        lambda at: ct * loss(at["pred"], label, pred_lengths=lengths), {"pred": pred}, "pred"
    )
    assert_close(grads["pred"], slopes, tolerance=DIFFERENCE)


def test_second_derivatives():
    """By reverse and by forward mode, against differences of the oracle's gradient."""
    pred, label = draw((3, 4, 3), seed=3)
    label[0] = [1, 1]
    v = np.random.default_rng(1).normal(size=pred.shape)
    x, y = lg.symbol("x", "float64", ("N", "T", 3)), lg.symbol("y", "int32", ("N", 2))
    first = lg.grad(gluon.CTCLoss()(x, y), x)
    tangent = lg.symbol("v", "float64", ("N", "T", 3))
    reverse = lg.grad(symbolic.sum(first * tangent), x)
    forward = lg.jvp(first, {x: tangent})
    found = lg.compile([reverse, forward])(x=pred, y=label, v=v)
    slopes = along(lambda at: oracle(at["pred"], label)[1], {"pred": pred}, {"pred": v})
    for each in found:
        assert_close(each, slopes, tolerance=DIFFERENCE)


# --- exports ---


def session(model):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])


SIZES = [(2, 4, 3, 2), (3, 5, 4, 1), (1, 1, 2, 1), (4, 3, 3, 3), (1, 2, 4, 4)]


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("grad", [(), ("pred",)])
@pytest.mark.parametrize("lengths", [False, True])
def test_one_model_for_all_sizes(opset, grad, lengths):
    inputs = {name: type_ for name, type_ in NAMED.items() if lengths or "_" not in name}
    model = gluon.CTCLoss().to_onnx(inputs, grad=grad, opset=opset)
    engines = session(model), reference_evaluator(model)
    for n, t, c, length in SIZES:
        pred, label = draw((n, t, c), length, seed=n + t)
        feeds = {"pred": pred, "label": label}
        if lengths:
            rng = np.random.default_rng(n)
            feeds["pred_lengths"] = rng.integers(0, t + 1, n).astype(np.int32)
            feeds["label_lengths"] = (label != -1).sum(1).astype(np.int32)
        expected = oracle(*feeds.values())
        for engine in engines:
            for actual, exact in zip(engine.run(None, feeds), expected, strict=False):
                assert_close(actual, exact)


@pytest.mark.parametrize("n", [3, 4])  # as many samples as classes, and other
@pytest.mark.parametrize("bad", [3, 99, -2, -100])
@pytest.mark.parametrize("dtype", ["int8", "int64", "float32"])
def test_a_label_outside_the_classes(n, bad, dtype):
    pred, _ = draw((n, 5, 3))
    label = np.array([[1, 0], [0, bad], [1, -1], [0, 0]], dtype)[:n]
    counts = np.array([2, 2, 1, 2])[:n]
    loss, refused = gluon.CTCLoss(), pytest.raises(lg.InputError, match=rf"label\[1, 1\] is {bad}")
    with refused:
        loss(pred, label)
    with refused:
        loss.value_and_grad(pred, label, label_lengths=counts)
    counts[1] = 1
    assert_close(loss(pred, label, label_lengths=counts), oracle(pred, label, None, counts)[0])
    types = {"pred": NAMED["pred"], "label": (dtype, ("N", "L"))}
    model = loss.to_onnx(types, grad=("pred",))
    expected, others = oracle(pred, np.where(label == bad, -1, label)), [0, *range(2, n)]
    for engine in (session(model), reference_evaluator(model)):
        value, grad = engine.run(None, {"pred": pred, "label": label})
        assert np.isnan(value[1])
        assert np.isnan(grad[1]).all()
        assert_close(value[others], expected[0][others])
        assert_close(grad[others], expected[1][others])


def test_labels_have_no_gradient():
    pred, label = draw((2, 4, 3))
    with pytest.raises(lg.GradientError, match="label"):
        gluon.CTCLoss().value_and_grad(pred, label.astype(np.float64), wrt=("label",))


def test_a_label_that_is_not_a_number():
    pred, label = draw((2, 4, 3))
    label = label.astype(np.float32)
    label[1, 0] = np.nan
    with pytest.raises(lg.InputError, match=r"label\[1, 0\] is nan"):
        gluon.CTCLoss()(pred, label)


# --- extremes and dtypes ---


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_logits_of_ten_thousand(dtype):
    rng = np.random.default_rng(0)
    _, label = draw((40, 5, 3))
    pred = rng.choice([0.0, 1e4, -1e4], (40, 5, 3)).astype(dtype)
    value, grads = gluon.CTCLoss().value_and_grad(pred, label)
    expected = oracle(pred, label)
    assert_close(value, expected[0], dtype=dtype)
    # The logarithms that a share is the exponential of have the size of the logits.
    slack = 1e5 * np.finfo(dtype).eps
    assert_close(grads["pred"], expected[1], tolerance=(0, slack))


def test_a_class_that_is_impossible():
    pred, label = draw((2, 4, 4))
    label[:] = [[0, 1], [1, -1]]
    pred[:, :, 2] = -np.inf
    value, grad = both(gluon.CTCLoss(), pred, label)
    assert np.isfinite(value).all()
    assert_close(grad[:, :, 2], np.zeros((2, 4)))


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [("float16", (2e-3, 1e-3)), ("float32", (2e-5, 5e-6)), ("float64", (1e-11, 1e-12))],
)
def test_dtypes_of_the_prediction(dtype, tolerance):
    pred, label = draw((8, 5, 4), dtype=dtype)
    both(gluon.CTCLoss(), pred, label, tolerance=tolerance)


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int32", "int64", "float16", "float32", "float64"]
)
def test_dtypes_of_labels_and_lengths(dtype):
    pred, label = draw((4, 4, 3))
    pred_lengths, label_lengths = np.array([4, 3, 2, 0]), (label != -1).sum(1)
    both(
        gluon.CTCLoss(), pred, label.astype(dtype),
        pred_lengths=pred_lengths.astype(dtype), label_lengths=label_lengths.astype(dtype),
    )  # fmt: skip


def test_unsigned_labels_and_fractions():
    pred, label = draw((2, 4, 4))[0], np.array([[2, 0], [1, 1]])
    both(gluon.CTCLoss(), pred, label.astype(np.uint8))
    fractions = label + np.array([[0.75, 0.5], [0.25, 0.5]])
    assert_close(gluon.CTCLoss()(pred, fractions), oracle(pred, label)[0])


# --- options ---


@pytest.mark.parametrize("layout", ["NTC", "TNC"])
@pytest.mark.parametrize("label_layout", ["NT", "TN"])
@pytest.mark.parametrize("lengths", [False, True])
def test_layouts(layout, label_layout, lengths):
    pred, label = draw((3, 4, 4))
    given = {"pred_lengths": np.array([4, 2, 3]), "label_lengths": (label != -1).sum(1)}
    given = given if lengths else {}
    value, grads = gluon.CTCLoss(layout=layout, label_layout=label_layout).value_and_grad(
        pred if layout == "NTC" else pred.swapaxes(0, 1),
        label if label_layout == "NT" else label.T,
        **given,
    )
    expected = oracle(pred, label, **given)
    assert_close(value, expected[0])
    grad = grads["pred"] if layout == "NTC" else grads["pred"].swapaxes(0, 1)
    assert_close(grad, expected[1])


@pytest.mark.parametrize("weight", [None, 0.0, 2.5])
@pytest.mark.parametrize("shape", [(3,), (1,), None])
def test_weights(weight, shape):
    pred, label = draw((3, 4, 3))
    label[2] = [1, 1]
    arrays, factor = {}, np.ones(3)
    if shape is not None:
        arrays["sample_weight"] = np.linspace(0.5, 2, int(np.prod(shape))).reshape(shape)
        factor = factor * arrays["sample_weight"]
    plain = 1.0 if weight is None else weight
    value, grads = gluon.CTCLoss(weight=weight).value_and_grad(
        pred, label, **arrays, wrt=("pred", *arrays)
    )
    losses, slopes = oracle(pred, label)
    assert_close(value, losses * factor * plain)
    assert_close(grads["pred"], slopes * (factor * plain)[:, None, None])
    if shape is not None:
        by_sample = losses if np.prod(shape) > 1 else losses.sum(keepdims=True)
        assert_close(grads["sample_weight"], by_sample * plain)


def test_a_sample_weight_for_more_than_samples_is_refused():
    pred, label = draw((3, 4, 3))
    with pytest.raises(lg.InputError, match="sample_weight"):
        gluon.CTCLoss()(pred, label, sample_weight=np.ones((3, 4)))


@pytest.mark.parametrize("options", [{"layout": "CTN"}, {"label_layout": "NTC"}, {"axis": 1}])
def test_unknown_options_are_refused(options):
    with pytest.raises(lg.InputError):
        gluon.CTCLoss(**options)


@pytest.mark.parametrize(
    ("name", "lengths"),
    [("pred_lengths", [5, 1]), ("pred_lengths", [-1, 1]), ("label_lengths", [1, 3])],
)
def test_lengths_out_of_range_are_refused(name, lengths):
    pred, label = draw((2, 4, 4))[0], np.array([[0, 1], [1, 2]])
    with pytest.raises(lg.InputError, match=rf"{name}\[\d\] is"):
        gluon.CTCLoss()(pred, label, **{name: np.array(lengths)})


def test_an_error_names_the_index_in_the_layout_of_the_labels():
    pred, label = draw((4, 4, 4))[0], np.array([[0, 1, 7, 2], [1, 2, 0, 0]])
    with pytest.raises(lg.InputError, match=r"label\[0, 2\] is 7"):
        gluon.CTCLoss(label_layout="TN")(pred, label)


def test_wrong_ranks_are_refused():
    pred, label = draw((2, 4, 4))
    with pytest.raises(lg.InputError, match="pred of rank 3 and label of rank 2"):
        gluon.CTCLoss()(pred[0], label)


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (0, 0, 4)])
def test_nothing_on_numpy_too(shape):
    pred, label = np.zeros(shape), np.full((shape[0], 2), -1)
    expected = gluon.CTCLoss()(reference.Array(pred), reference.Array(label)).asnumpy()
    np.testing.assert_array_equal(expected, np.zeros(shape[0]))
    np.testing.assert_array_equal(gluon.CTCLoss()(pred, label), expected)
