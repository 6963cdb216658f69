"""lossgraph.optax against recorded losses of optax, and what it refuses."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest

import golden_cases
import lossgraph as lg
from lossgraph import gluon, losses, optax, reference
from support import assert_close

# Where optax has NaN for 0 times infinity, and lossgraph the limit.
LIMITS = {
    "generalized_kl_divergence-009", "generalized_kl_divergence-010", "kl_divergence-009",
    "kl_divergence-010", "kl_divergence_with_log_targets-009", "poly_loss_cross_entropy-026",
    "poly_loss_cross_entropy-027", "softmax_cross_entropy-006", "softmax_cross_entropy-007",
}  # fmt: skip
# bfloat16 is stored as float32, and engines have few kernels for it
CASES = [
    case
    for case in golden_cases.cases("optax")
    if case["dtype"] != "bfloat16" and case["id"] not in LIMITS
]
ids = [case["id"] for case in CASES]
GOLDEN = {"float64": (1e-9, 1e-11), "float32": (2e-4, 2e-6), "float16": (2e-2, 2e-3)}


def gradients_of(case):
    """The inputs whose recorded gradient is that of the recorded value."""
    return () if {"odd", "infeasible"} & set(case["tags"]) else tuple(case["grads"])


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_recorded_cases(case):
    recorded = golden_cases.Case("optax", case)
    loss, wrt = getattr(optax, case["loss"]), gradients_of(case)
    value, grads = loss.value_and_grad(**recorded.inputs, **recorded.options, wrt=wrt)
    assert_close(value, recorded.out, tolerance=GOLDEN[recorded.dtype])
    for name in wrt:
        assert grads[name].dtype == recorded.inputs[name].dtype
        assert_close(grads[name], recorded.grads[name], tolerance=GOLDEN[recorded.dtype])


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_the_same_body_on_numpy(case):
    if case["dtype"] == "float16":
        pytest.skip("numpy rounds after every operation")
    recorded = golden_cases.Case("optax", case)
    arrays = {name: reference.Array(array) for name, array in recorded.inputs.items()}
    with np.errstate(all="ignore"):
        value = getattr(optax, case["loss"])(**arrays, **recorded.options).asnumpy()
    assert_close(value, recorded.out, tolerance=GOLDEN[recorded.dtype])


# --- the ways of a call ---

PREDICTIONS = np.array([[0.3, -2.5, 0.0], [4.0, 1.0, -1.0]], np.float32)
TARGETS = np.array([[0.0, 0.5, 0.0], [1.0, 1.0, -3.0]], np.float32)
# logits, paddings, labels, paddings
ONE_STEP = (np.zeros((1, 1, 3)), np.zeros((1, 1)), np.ones((1, 1), int), np.zeros((1, 1)))
ONE_HOT = np.eye(3, dtype=np.float32)[[0, 2]]


def test_options_at_the_call_or_before():
    error = np.abs(PREDICTIONS - TARGETS)
    expected = np.where(error < 2, error**2 / 2, 2 * error - 2)
    assert_close(optax.huber_loss(PREDICTIONS, TARGETS, delta=2.0), expected)
    assert_close(optax.huber_loss(PREDICTIONS, TARGETS, delta=np.float32(2)), expected)
    assert_close(optax.huber_loss.with_options(delta=2.0)(PREDICTIONS, TARGETS), expected)
    value, grads = optax.huber_loss.value_and_grad(
        PREDICTIONS, TARGETS, delta=2.0, wrt=("predictions",)
    )
    assert_close(value, expected)
    assert_close(grads["predictions"], np.clip(PREDICTIONS - TARGETS, -2, 2))
    named = dict.fromkeys(("predictions", "targets"), ("float32", ("N", "C")))
    model = optax.huber_loss.to_onnx(named, grad=("predictions",), delta=2.0)
    assert [out.name for out in model.graph.output] == ["loss", "grad_predictions"]
    run = lg.compile(optax.huber_loss, named, delta=2.0)
    assert_close(run(PREDICTIONS, TARGETS), expected)


def test_options_by_position_as_in_optax():
    by_name = optax.softmax_cross_entropy(PREDICTIONS, ONE_HOT, axis=0)
    assert_close(optax.softmax_cross_entropy(PREDICTIONS, ONE_HOT, 0), by_name)
    smooth = optax.smooth_labels(ONE_HOT, 0.3)
    assert_close(smooth, ONE_HOT * 0.7 + 0.1, "float32")
    with pytest.raises(lg.InputError, match="too many positional"):
        optax.huber_loss(PREDICTIONS, TARGETS, 2.0)


@pytest.mark.parametrize("axis", [(0, 1), [0, 1], None])
def test_several_axes_in_any_form(axis):
    flat = optax.softmax_cross_entropy(PREDICTIONS.ravel(), TARGETS.ravel())
    value = optax.softmax_cross_entropy(PREDICTIONS, TARGETS, axis=axis)
    assert value.shape == flat.shape == ()
    assert_close(value, flat)


def test_axes_of_a_flat_index_are_in_the_order_given():
    logits = np.random.default_rng(0).normal(size=(2, 3, 4))
    turned = logits.transpose(1, 2, 0).reshape(3, 8)
    label = np.array([7, 2, 5])
    value = optax.softmax_cross_entropy_with_integer_labels(logits, label, axis=(2, 0))
    assert_close(value, optax.softmax_cross_entropy_with_integer_labels(turned, label))
    assert_close(value, np.log(np.exp(turned).sum(1)) - turned[np.arange(3), label])


def test_a_fenchel_young_loss_is_made_of_a_name_or_a_function():
    ce = optax.softmax_cross_entropy(PREDICTIONS, ONE_HOT)
    for made in (
        optax.make_fenchel_young_loss("logsumexp"),
        optax.make_fenchel_young_loss(max_fun="logsumexp"),
        optax.make_fenchel_young_loss(lambda F, s: F.logsumexp(s, axis=-1)),
        optax.make_fenchel_young_loss(lambda F, s: F.logsumexp(s, axis=-1, keepdims=True)),
    ):
        assert_close(made(PREDICTIONS, ONE_HOT), ce)
        grads = made.value_and_grad(PREDICTIONS, ONE_HOT)[1]
        shares = np.exp(PREDICTIONS) / np.exp(PREDICTIONS).sum(1, keepdims=True)
        assert_close(grads["scores"], shares - ONE_HOT)
        assert_close(made(PREDICTIONS[0], ONE_HOT[0]), ce[0])


def test_rankings_are_reduced_by_a_name_or_a_function():
    each = optax.ranking_softmax_loss(PREDICTIONS, ONE_HOT, reduce_fn=None)
    for reduce_fn, expected in (
        ("mean", each.mean()), (np.mean, each.mean()), ("sum", each.sum()), (np.sum, each.sum()),
        ("none", each), (lambda F, loss, where: F.scalar(F.max(loss * where)), each.max()),
    ):  # fmt: skip
        value = optax.ranking_softmax_loss(PREDICTIONS, ONE_HOT, reduce_fn=reduce_fn)
        assert_close(value, expected)
    nothing = np.zeros((0, 3), np.float32)
    assert optax.ranking_softmax_loss(nothing, nothing) == 0


def test_a_loss_with_scores_of_its_way_is_a_tuple():
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(2, 5, 4)).astype(np.float32)
    given = {
        "logits": logits,
        "logit_paddings": np.zeros((2, 5), np.float32),
        "labels": np.array([[1, 2], [3, 0]]),
        "label_paddings": np.array([[0, 0], [0, 1]], np.float32),
    }
    loss, blanks, labels = optax.ctc_loss_with_forward_probs(**given)
    assert_close(loss, optax.ctc_loss(**given))
    assert blanks.shape == (5, 2, 3)
    assert labels.shape == (5, 2, 2)
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    assert_close(blanks[:4, :, 0], np.cumsum(log_probs[:, :, 0], axis=1).T[:4])
    assert_close(labels[0, :, 0], log_probs[[0, 1], 0, [1, 3]])
    assert_close(loss, -blanks[-1, [0, 1], [2, 1]])


def test_ctc_skips_padded_steps_wherever_they_are():
    rng = np.random.default_rng(2)
    logits = rng.normal(size=(3, 7, 4))
    paddings = np.array([[0, 0, 0, 0, 0, 1, 1], [1, 0, 0, 1, 0, 0, 0], [0] * 7], float)
    labels = np.array([[1, 1], [2, 3], [3, 7]])
    past = np.array([[0, 0], [0, 0], [0, 1.0]])
    value, grads = optax.ctc_loss.value_and_grad(logits, paddings, labels, past)
    for row in range(3):
        steps, ends = logits[row][paddings[row] == 0], labels[row][past[row] == 0]
        alone = np.concatenate([steps[:, 1:], steps[:, :1]], axis=1)[None]  # the blank is last
        expected, by_steps = gluon.CTCLoss().value_and_grad(alone, ends[None] - 1)
        assert_close(value[row], expected[0])
        assert_close(grads["logits"][row][paddings[row] == 0], np.roll(by_steps["pred"][0], 1, -1))
        assert (grads["logits"][row][paddings[row] == 1] == 0).all()


def test_ctc_without_an_alignment_costs_what_is_impossible_once():
    """Two equal labels in two steps, where all paths are alike: there are nine.

    One leaves out the blank between. The others begin elsewhere: one after the first label, three
    at the blank after it, three after the second label, one at the last blank.
    """
    given = (np.zeros((1, 2, 3)), np.zeros((1, 2)), np.array([[1, 1]]), np.zeros((1, 2)))
    for log_epsilon in (-1e3, -1e5):
        value = optax.ctc_loss(*given, log_epsilon=log_epsilon)
        assert_close(value, np.array([-log_epsilon - np.log(9) + 2 * np.log(3)]))
    assert np.isnan(optax.ctc_loss(*ONE_STEP, blank_id=3)).all()


def test_what_a_loss_says_of_itself():
    assert str(inspect.signature(optax.sigmoid_focal_loss)).startswith("(logits: 'Any', labels")
    assert "math::" in optax.sigmoid_focal_loss.__doc__
    for name in optax.__all__:
        loss = getattr(optax, name)
        assert loss.name == name
        assert pickle.loads(pickle.dumps(loss)).body is loss.body


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optax.huber_loss(PREDICTIONS, TARGETS, delta=0.0), "delta: expected a positive"),
        (lambda: optax.l2_loss(PREDICTIONS, TARGETS[:1]), "expected the shape of"),
        (lambda: optax.l2_loss(PREDICTIONS, TARGETS[0]), "expected the shape of"),
        (lambda: optax.perceptron_loss(PREDICTIONS, TARGETS[:, :1]), "expected the shape of"),
        (lambda: optax.dice_loss(PREDICTIONS, TARGETS[None, None]), "expected the shape of"),
        (lambda: optax.dice_loss(PREDICTIONS, TARGETS, reduction="avg"), "reduction: expected"),
        (lambda: optax.cosine_similarity(PREDICTIONS, TARGETS, epsilon=-1.0), "epsilon: expected"),
        (lambda: optax.softmax_cross_entropy(PREDICTIONS, TARGETS, axis=2), "axis"),
        (
            lambda: optax.softmax_cross_entropy_with_integer_labels(
                PREDICTIONS, np.array([0, 1]), axis=None
            ),
            "axis: expected an int or a sequence",
        ),
        (lambda: optax.multiclass_hinge_loss(PREDICTIONS, np.array([0, 3])), r"labels\[1\] is 3"),
        (lambda: optax.make_fenchel_young_loss("softmax")(PREDICTIONS, TARGETS), "max_fun: exp"),
        (
            lambda: optax.ranking_softmax_loss(PREDICTIONS, TARGETS, reduce_fn="avg"),
            "reduce_fn: expected",
        ),
        (
            lambda: optax.triplet_margin_loss(PREDICTIONS, TARGETS, TARGETS, norm_degree=0),
            "norm_degree: expected",
        ),
        (lambda: optax.ntxent(PREDICTIONS, np.array([0, 1]), temperature=0), "temperature"),
        (lambda: optax.ntxent(PREDICTIONS[0], np.array([0, 1, 1])), "embeddings: expected 2 axes"),
        (lambda: optax.ctc_loss(*[PREDICTIONS] * 4), r"logits \(N, T, C\)"),
        (lambda: optax.ctc_loss(*ONE_STEP, blank_id=-1), "blank_id: expected"),
    ],
)  # fmt: skip
def test_what_is_refused(call, message):
    with pytest.raises(lg.InputError, match=message):
        call()


# --- right at the extremes, against numbers worked out by hand ---


def test_log_cosh_has_all_digits_of_small_errors_and_no_overflow():
    x = np.array([1e-18, -1e-3, 0.5, 1.0, 300.0, -1e30], np.float32)
    wide = np.abs(x.astype(np.longdouble))
    series = wide**2 / 2 - wide**4 / 12
    exact = np.where(wide < 0.01, series, wide + np.log1p(np.exp(-2 * wide)) - np.log(2))
    value, grads = optax.log_cosh.value_and_grad(x)
    np.testing.assert_allclose(value, exact.astype(np.float64), rtol=1e-6)
    np.testing.assert_allclose(grads["predictions"], np.tanh(x.astype(np.float64)), rtol=1e-6)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_of_huge_logits_is_finite_everywhere(gamma):
    logits = np.array([-1e4, 1e4, -1e4, 1e4], np.float32)
    labels = np.array([0.0, 0.0, 1.0, 1.0], np.float32)
    for loss in (optax.sigmoid_focal_loss, losses.sigmoid_focal):
        value, grads = loss.value_and_grad(logits, labels, gamma=gamma, wrt=("logits", "labels"))
        assert_close(value, np.array([0, 1e4, 1e4, 0], np.float32))
        assert_close(grads["logits"], np.array([0, 1, -1, 0], np.float32))
        assert np.isfinite(grads["labels"]).all()


def test_focal_gradient_by_hard_labels_is_the_derivative_or_as_optax_has_it():
    p = 1 / (1 + np.exp(-0.7))
    for loss, slope in ((losses.sigmoid_focal, 1 - 2 * p), (optax.sigmoid_focal_loss, -p)):
        _, grads = loss.value_and_grad(np.array([0.7]), np.array([0.0]), wrt=("labels",))
        entropy = -np.log(1 - p)  # at the label 0; its derivative is -0.7
        assert_close(grads["labels"], np.array([2 * p * slope * entropy - p**2 * 0.7]))


def test_impossible_classes_add_nothing():
    logits = np.array([[0.0, -np.inf, 1.0]])
    target = np.array([[1.0, 0.0, 0.0]])
    expected = np.array([np.log(1 + np.e)])
    shares = np.array([[1 / (1 + np.e), 0, np.e / (1 + np.e)]])
    for loss in (optax.softmax_cross_entropy, optax.safe_softmax_cross_entropy):
        value, grads = loss.value_and_grad(logits, target)
        assert_close(value, expected)
        assert_close(grads["logits"], shares - target)
    assert_close(optax.kl_divergence(np.log([0.5, 0.5, 0.0], where=[1, 1, 0], out=logits[0]),
                                     np.array([0.25, 0.75, 0.0])),
                 np.array(0.25 * np.log(0.5) + 0.75 * np.log(1.5)))  # fmt: skip


def test_masked_rows_have_no_loss_and_no_gradient():
    where = np.array([[True, False, True], [False, False, False]])
    label = np.array([2, 0])
    value, grads = optax.softmax_cross_entropy_with_integer_labels.value_and_grad(
        PREDICTIONS, label, where=where
    )
    assert_close(value, np.array([np.log1p(np.exp(0.3)), 0], np.float32))
    assert (grads["logits"][~where] == 0).all()
    value, grads = optax.ranking_softmax_loss.value_and_grad(PREDICTIONS, ONE_HOT, where=where)
    assert_close(value, np.log1p(np.exp(np.float32(-0.3))))
    assert (grads["logits"][1] == 0).all()
    value, grads = optax.softmax_cross_entropy.value_and_grad(PREDICTIONS, ONE_HOT, where=where)
    assert value[1] == 0
    assert (grads["logits"][~where] == 0).all()


def test_masked_labels_have_no_gradient():
    where = np.array([[True, False, True], [True, True, True]])
    for loss, outside in (
        (losses.poly_cross_entropy, 0.0),
        (optax.poly_loss_cross_entropy, 0.0),
    ):
        _, grads = loss.value_and_grad(PREDICTIONS, ONE_HOT, where=where, wrt=("labels",))
        assert_close(grads["labels"][~where], np.array([outside], np.float32))
        assert np.isfinite(grads["labels"][where]).all()


def test_huge_vectors_have_lengths():
    x = np.array([[3e30, 4e30]], np.float32)
    y = np.array([[4e30, 3e30]], np.float32)
    assert_close(optax.cosine_similarity(x, y), np.array([0.96], np.float32))
    value = optax.triplet_margin_loss(x, x, y, margin=2e30)
    assert_close(value, np.array([2e30 - np.sqrt(2) * 1e30], np.float32))


def test_sparsemax_is_zero_past_the_margin_and_linear_far_on_the_wrong_side():
    scores = np.array([[1e4, 0.0, -1e4], [2.0, 1.0, 0.0], [2.0, 1.5, -np.inf]])
    value, grads = optax.multiclass_sparsemax_loss.value_and_grad(scores, np.array([2, 0, 0]))
    assert_close(value, np.array([2e4, 0, 0.0625]))
    assert_close(grads["scores"], np.array([[1, 0, -1], [0, 0, 0], [-0.25, 0.25, 0]]))


# --- masks, as optax has them ---

MASK = np.array([True, False, True])  # of classes, of which there are as many as rows
SQUARE = np.array([[0.3, -2.5, 0.2], [4.0, 1.0, -1.0], [0.5, 2.0, 1.5]])
SHARES = np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.1, 0.1, 0.8]])


def test_a_mask_of_items_is_a_mask_of_every_list():
    every = np.broadcast_to(MASK, SQUARE.shape)
    for options in ({}, {"weights": SHARES}, {"reduce_fn": "sum"}, {"reduce_fn": None}):
        expected = optax.ranking_softmax_loss(SQUARE, SHARES, where=every, **options)
        for mask in (MASK, MASK[None]):
            found = optax.ranking_softmax_loss(SQUARE, SHARES, where=mask, **options)
            assert_close(found, expected, "float64")
    assert_close(optax.ranking_softmax_loss(SQUARE, SHARES, where=MASK), 0.4625713, "float32")


def test_a_mask_of_poly_loss_broadcasts_to_the_logits():
    every = np.broadcast_to(MASK, SQUARE.shape)
    expected = optax.poly_loss_cross_entropy(SQUARE, SHARES, where=every)
    assert_close(optax.poly_loss_cross_entropy(SQUARE, SHARES, where=MASK), expected, "float64")
    with pytest.raises(lg.InputError):
        optax.poly_loss_cross_entropy(SQUARE[:2], SHARES[:2], where=MASK[:2])


def test_a_cosine_of_nothing_that_counts_is_0():
    mask = np.array([[True, True, True], [False, False, False], [True, False, True]])
    value, grads = optax.cosine_similarity.value_and_grad(SQUARE, SHARES, where=mask)
    assert value[1] == 0
    assert (np.abs(value) < 1).all()
    assert np.isfinite(grads["predictions"]).all()
    assert (grads["predictions"][1] == 0).all()
    assert optax.cosine_distance(SQUARE, SHARES, where=mask)[1] == 1
    assert np.isnan(optax.cosine_similarity(0 * SQUARE, SHARES)).all()


def test_log_targets_of_zero():
    log_p, log_q = np.log([[0.2, 0.8]]), np.array([[-np.inf, 0.0]])
    value, grads = optax.kl_divergence_with_log_targets.value_and_grad(
        log_p, log_q, wrt=("log_predictions", "log_targets")
    )
    assert_close(value, [-np.log(0.8)], "float64")
    assert_close(grads["log_predictions"], [[0.0, -1.0]], "float64")
    assert_close(grads["log_targets"], [[0.0, 1 - np.log(0.8)]], "float64")
