"""Losses of classes, sets and boxes, and focal CTC."""

from __future__ import annotations

import itertools

import numpy as np
import onnxruntime as ort
import pytest
from sklearn import metrics

import lossgraph as lg
from ctc_oracle import log_softmax, oracle
from loss_cases import (
    EdgeCase,
    check_edge_case,
    check_empty,
    gradient_is_that_of_differences,
    laws,
    row,
)
from lossgraph import losses
from support import assert_close
from tolerances import SINGLE
from torchvision_ops import torchvision_ops

RNG = np.random.default_rng(5)
LOGITS, LABEL = RNG.normal(size=(4, 3)) * 2, np.array([0, 2, 1, 1])
IMAGE, IMAGE_LABEL = RNG.normal(size=(2, 3, 4)), RNG.integers(0, 3, (2, 4))
CLASSES = {"logits": LOGITS, "label": LABEL}
IMAGES = {"logits": IMAGE, "label": IMAGE_LABEL}
WEIGHTS = np.array([0.5, 1.0, 2.0])


# --- scores of classes ---


def chosen(logits, label, axis=-1):
    """The probability of the labelled class."""
    log_p = np.moveaxis(log_softmax(np.moveaxis(logits, axis, -1)), -1, axis)
    picked = np.take_along_axis(log_p, np.expand_dims(label, axis), axis)
    return np.exp(np.squeeze(picked, axis))


def focal(logits, label, alpha=None, gamma=2.0, axis=-1):
    p = chosen(logits, label, axis)
    return -(1 if alpha is None else alpha[label]) * (1 - p) ** gamma * np.log(p)


def generalized(logits, label, q=0.7, axis=-1):
    p = chosen(logits, label, axis)
    return np.broadcast_to(np.where(q == 0, -np.log(p), (1 - p**q) / (q + (q == 0))), p.shape)


def symmetric(logits, label, alpha=0.1, beta=1.0, log_zero=-4.0, axis=-1):
    """With the label's distribution and its logarithms written out."""
    p = np.exp(log_softmax(np.moveaxis(logits, axis, -1)))
    hot = np.eye(p.shape[-1])[label]
    reverse = -(p * np.where(hot == 1, 0, log_zero)).sum(-1)
    return alpha * -(hot * np.log(p)).sum(-1) + beta * reverse


CLASS_ROWS = [
    row("softmax_focal", CLASSES, focal),
    row("softmax_focal", {**CLASSES, "alpha": WEIGHTS}, focal, {"gamma": 0.5}),
    row("softmax_focal", {**CLASSES, "gamma": np.array([0.0, 0.5, 1.0, 3.0])}, focal, note="array"),
    row("softmax_focal", IMAGES, focal, {"axis": 1, "gamma": 0.0}),
    row("generalized_cross_entropy", CLASSES, generalized),
    row("generalized_cross_entropy", CLASSES, generalized, {"q": 0.0}),
    row("generalized_cross_entropy", CLASSES, generalized, {"q": 1.0}),
    row("generalized_cross_entropy", {**CLASSES, "q": np.array([0.7, 0.4, 1.0, 0.1])},
        generalized, note="array"),
    row("generalized_cross_entropy", IMAGES, generalized, {"axis": 1}),
    row("symmetric_cross_entropy", CLASSES, symmetric),
    row("symmetric_cross_entropy", IMAGES, symmetric, {"axis": 1, "beta": 0.1, "alpha": 6.0}),
    row("symmetric_cross_entropy", {**CLASSES, "alpha": np.array([0.3]), "beta": np.array([2.0]),
        "log_zero": np.array([-6.0])}, symmetric, note="arrays"),
]  # fmt: skip


# --- sets ---

MASK = RNG.integers(0, 2, (3, 2, 4)).astype(float)
MASK[0, 0] = 0  # an empty one
PROB = RNG.uniform(0.05, 0.95, (3, 2, 4))
SETS = {"prob": PROB, "label": MASK}
HARD = {"prob": RNG.integers(0, 2, (3, 8)), "label": RNG.integers(0, 2, (3, 8))}
HARD = {name: array.astype(float) for name, array in HARD.items()}


def by_sets(prob, label, weigh, batch_axes=1):
    over = tuple(range(batch_axes, prob.ndim))
    counts = (prob * label, prob * (1 - label), (1 - prob) * label)
    hit, wrong, missed = (count.sum(over) for count in counts)
    return weigh(hit, wrong, missed)


def tversky(prob, label, alpha=0.3, beta=0.7, smooth=0.0, batch_axes=1):
    def weigh(hit, wrong, missed):
        return 1 - (hit + smooth) / (hit + alpha * wrong + beta * missed + smooth)

    return by_sets(prob, label, weigh, batch_axes)


def focal_tversky(prob, label, alpha=0.7, beta=0.3, gamma=4 / 3, smooth=0.0, batch_axes=1):
    return tversky(prob, label, beta, alpha, smooth, batch_axes) ** (1 / gamma)


def rows_of(score):
    """A score of scikit-learn, of each row."""
    return lambda prob, label, **_: np.array(
        [1 - score(y, p) for y, p in zip(label, prob, strict=True)]
    )


SET_ROWS = [
    row("tversky", SETS, tversky),
    row("tversky", SETS, tversky, {"smooth": 1.0, "batch_axes": 2}),
    row("tversky", SETS, tversky, {"alpha": 0.5, "beta": 0.5}),
    row("tversky", {**SETS, "alpha": np.array([0.2]), "beta": np.array([0.6]), "smooth":
        np.array([0.1])}, tversky, note="arrays"),
    row("tversky", HARD, rows_of(metrics.f1_score), {"alpha": 0.5, "beta": 0.5}, note="Dice"),
    row("focal_tversky", SETS, focal_tversky),
    row("focal_tversky", {**SETS, "gamma": np.array([2.0])}, focal_tversky, {"smooth": 1.0}),
    row("jaccard", HARD, rows_of(metrics.jaccard_score), note="hard"),
    row("jaccard", SETS, lambda prob, label, smooth: 1 - ((prob * label).sum((1, 2)) + smooth)
        / ((prob + label - prob * label).sum((1, 2)) + smooth), {"smooth": 0.5}),
]  # fmt: skip


def choquet(errors, own):
    """The Lovász extension as an integral: of the set function over all thresholds."""
    total, levels = 0.0, np.unique(np.concatenate([[0.0], errors]))
    for low, high in itertools.pairwise(levels):
        wrong = errors >= high
        total += (high - low) * wrong.sum() / (own | wrong).sum()
    return total


def lovasz_hinge(logits, label):
    flat = zip(logits.reshape(len(logits), -1), label.reshape(len(label), -1), strict=True)
    return np.array([choquet(np.maximum(1 - x * (2 * y - 1), 0), y == 1) for x, y in flat])


def lovasz_softmax(prob, label, classes="present"):
    found = []
    for p, y in zip(prob, label, strict=True):
        numbers = [c for c in range(len(p)) if classes == "all" or (y == c).any()]
        p, y = p.reshape(len(p), -1), y.ravel()
        found.append(np.mean([choquet(abs((y == c) - p[c]), y == c) for c in numbers]))
    return np.array(found)


SHARES = np.exp(log_softmax(RNG.normal(size=(3, 2, 3, 4)))).transpose(0, 3, 1, 2)
SHARE_LABEL = RNG.integers(0, 3, (3, 2, 3))  # the last of four classes is nowhere
LOVASZ_ROWS = [
    row("lovasz_hinge", {"logits": IMAGE, "label": RNG.integers(0, 2, IMAGE.shape)}, lovasz_hinge),
    row("lovasz_hinge", {"logits": IMAGE, "label": np.zeros(IMAGE.shape)}, lovasz_hinge,
        fixed=("label",), note="none"),
    row("lovasz_softmax", {"prob": SHARES, "label": SHARE_LABEL}, lovasz_softmax),
    row("lovasz_softmax", {"prob": SHARES, "label": SHARE_LABEL}, lovasz_softmax,
        {"classes": "all"}),
    row("lovasz_softmax", {"prob": np.eye(3)[[[0, 1, 2, 2]]].transpose(0, 2, 1),
        "label": np.array([[0, 1, 1, 2]])}, [1 - np.mean([1, 1 / 2, 1 / 2])], fixed=("prob",),
        note="hard"),
]  # fmt: skip


# --- boxes ---

CORNERS = RNG.uniform(0, 3, (2, 5, 2))
BOXES = {
    name: np.concatenate([corner, corner + RNG.uniform(0.5, 3, (5, 2))], axis=1)
    for name, corner in zip(("pred", "target"), CORNERS, strict=True)
}
UNIT, MOVED, ASIDE = [0.0, 0, 2, 2], [1.0, 1, 3, 3], [4.0, 0, 6, 1]
BY_HAND = {"pred": np.array([UNIT, UNIT, UNIT]), "target": np.array([UNIT, MOVED, ASIDE])}
LEAN = 4 / np.pi**2 * (np.arctan(2) - np.arctan(1)) ** 2
BOX_ROWS = [
    row("iou", BY_HAND, [0.0, 6 / 7, 1.0], fixed=("pred", "target")),
    row("giou", BY_HAND, [0.0, 6 / 7 + 2 / 9, 1 + 6 / 12], fixed=("pred", "target")),
    row("diou", BY_HAND, [0.0, 6 / 7 + 2 / 18, 1 + 16.25 / 40], fixed=("pred", "target")),
    row("ciou", BY_HAND, [0.0, 6 / 7 + 2 / 18, 1 + 16.25 / 40 + LEAN**2 / (1 + LEAN)],
        fixed=("pred", "target")),
]  # fmt: skip
ROWS = [*CLASS_ROWS, *SET_ROWS, *LOVASZ_ROWS, *BOX_ROWS]


@laws(ROWS)
def test_others_agree(case, law):
    law(case)


@pytest.mark.parametrize("loss", ["iou", "giou", "diou"])
def test_gradients_of_boxes(loss):
    gradient_is_that_of_differences(row(loss, BOXES, None))


@pytest.mark.parametrize(
    ("loss", "name", "epsilon"),
    [
        ("giou", "generalized_box_iou_loss", 1e-7),
        ("giou", "generalized_box_iou_loss", 0.5),
        ("diou", "distance_box_iou_loss", 1e-7),
        ("diou", "distance_box_iou_loss", 0.5),
        ("ciou", "complete_box_iou_loss", 1e-7),  # another does not reach all of torchvision's
    ],
)
def test_torchvision_agrees_on_boxes(loss, name, epsilon):
    ops = torchvision_ops()
    torch = pytest.importorskip("torch")
    leaves = [torch.tensor(BOXES[n], requires_grad=True) for n in ("pred", "target")]
    expected = getattr(ops, name)(*leaves, eps=epsilon)
    expected.sum().backward()
    value, grads = getattr(losses, loss).value_and_grad(
        **BOXES, epsilon=epsilon, wrt=("pred", "target")
    )
    assert_close(value, expected.detach().numpy(), tolerance=(1e-6, 1e-9))
    for leaf, n in zip(leaves, ("pred", "target"), strict=True):
        assert_close(grads[n], leaf.grad.numpy(), tolerance=(1e-5, 1e-8))


def test_two_classes_are_the_sigmoid_focal_loss():
    ops = torchvision_ops()
    torch = pytest.importorskip("torch")
    x, y = RNG.normal(size=6) * 3, RNG.integers(0, 2, 6)
    expected = ops.sigmoid_focal_loss(torch.tensor(x), torch.tensor(y, dtype=float), alpha=-1)
    logits = np.stack([np.zeros(6), x], axis=1)
    assert_close(losses.softmax_focal(logits, y), expected.numpy(), tolerance=(1e-10, 1e-12))


# --- edge cases ---

SURE = {
    "logits": np.array([[1e4, -1e4], [1e4, -1e4], [0.0, -np.inf]]),
    "label": np.array([0, 1, 0]),
}
FLAT = np.zeros((3, 2))
POINT = {"pred": np.zeros((1, 4)), "target": np.zeros((1, 4))}
LINE = {"pred": np.array([[0.0, 0, 2, 0]]), "target": np.array([[0.0, 0, 0, 3]])}
EXTREMES = [
    EdgeCase("softmax_focal", SURE, [0.0, 2e4, 0.0], {"logits": [[0, 0], [1, -1], [0, 0]]},
            note="far"),
    EdgeCase("softmax_focal", SURE, [0.0, 2e4, 0.0], {"logits": [[0, 0], [1, -1], [0, 0]]},
            {"gamma": 0.5}, note="root"),
    EdgeCase("softmax_focal", SURE, [0.0, 2e4, 0.0], {"logits": [[0, 0], [1, -1], [0, 0]]},
            {"gamma": 0.0}, note="cross-entropy"),
    EdgeCase("generalized_cross_entropy", SURE, [0.0, 1 / 0.7, 0.0], {"logits": FLAT}, note="far"),
    EdgeCase("symmetric_cross_entropy", SURE, [0.0, 2e3 + 4, 0.0],
            {"logits": [[0, 0], [0.1, -0.1], [0, 0]]}, note="far"),
    EdgeCase("tversky", {"prob": np.zeros((1, 3)), "label": np.zeros((1, 3))}, [0.0],
            {"prob": np.zeros((1, 3))}, note="nothing"),
    EdgeCase("tversky", {"prob": np.array([[0.0, 1]]), "label": np.array([[1.0, 0]])}, [1.0],
            {"prob": [[-1 / 1.0, 0.0]]}, note="all-wrong"),
    EdgeCase("focal_tversky", {"prob": np.zeros((1, 3)), "label": np.zeros((1, 3))}, [0.0],
            {"prob": np.zeros((1, 3))}, note="nothing"),
    EdgeCase("jaccard", {"prob": np.ones((1, 3)), "label": np.ones((1, 3))}, [0.0],
            {"prob": np.full((1, 3), -1 / 3)}, note="all"),
    EdgeCase("lovasz_hinge", {"logits": np.full((1, 3), 1e4), "label": np.array([[1, 1, 0]])},
            [(1e4 + 1) / 3], {"logits": [[0.0, 0, 1 / 3]]}, note="far"),
    EdgeCase("lovasz_hinge", {"logits": np.zeros((1, 2)), "label": np.array([[1, 1]])},
            [1.0], {"logits": [[-0.5, -0.5]]}, note="ties"),
    EdgeCase("lovasz_softmax", {"prob": np.array([[[1.0, 1], [0, 0]]]), "label": np.zeros((1, 2),
            int)}, [0.0], {"prob": np.zeros((1, 2, 2))}, note="perfect"),
    *(EdgeCase(loss, POINT, [0.0], {"pred": np.zeros((1, 4))}, note="the same point")
      for loss in ("iou", "giou", "diou", "ciou")),
    EdgeCase("iou", LINE, [1.0], {"pred": np.zeros((1, 4))}, note="lines"),
    EdgeCase("diou", LINE, [1 + 3.25 / 13], {"target":
            [[-1 / 26, 4.5 / 26, -2 / 26, 0.0]]}, note="lines"),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", EXTREMES, ids=str)
def test_edge_cases(case, dtype):
    check_edge_case(case, dtype)


def test_flat_boxes_have_finite_gradients():
    """A box without width beside one without height: all of the aspect ratio is different."""
    value, grads = losses.ciou.value_and_grad(**LINE, wrt=("pred", "target"))
    assert_close(value, [1 + 3.25 / 13 + 1 / 2])
    assert all(np.isfinite(grad).all() for grad in grads.values())


EMPTY = {
    **{loss: {"logits": ("float", (0, 3)), "label": ("int", (0,))}
       for loss in ("softmax_focal", "generalized_cross_entropy", "symmetric_cross_entropy")},
    **{loss: {"prob": ("float", (0, 3)), "label": ("float", (0, 3))}
       for loss in ("tversky", "focal_tversky", "jaccard")},
    "lovasz_hinge": {"logits": ("float", (0, 3)), "label": ("float", (0, 3))},
    "lovasz_softmax": {"prob": ("float", (0, 3, 2)), "label": ("int", (0, 2))},
    **{loss: {"pred": ("float", (0, 4)), "target": ("float", (0, 4))}
       for loss in ("iou", "giou", "diou", "ciou")},
}  # fmt: skip


@pytest.mark.parametrize(("loss", "shapes"), EMPTY.items())
def test_an_empty_batch(loss, shapes):
    check_empty(loss, **shapes)


@pytest.mark.parametrize(
    ("loss", "arrays", "message"),
    [
        *((loss, {**CLASSES, "label": np.array([0, 3, 1, 1])}, r"label\[1\] is 3")
          for loss in ("softmax_focal", "generalized_cross_entropy", "symmetric_cross_entropy")),
        ("lovasz_softmax", {"prob": SHARES, "label": SHARE_LABEL - 1}, r"is -1"),
        ("lovasz_softmax", {"prob": SHARES, "label": SHARE_LABEL, "classes": "some"}, "classes:"),
        ("focal_tversky", {**SETS, "gamma": 0.0}, "gamma: expected a positive number"),
    ],
)  # fmt: skip
def test_what_is_refused(loss, arrays, message):
    with pytest.raises(lg.InputError, match=message):
        getattr(losses, loss)(**arrays)


@pytest.mark.parametrize(
    ("loss", "arrays"),
    [
        *((loss, {**CLASSES, "label": LABEL.astype(float)})
          for loss in ("softmax_focal", "generalized_cross_entropy", "symmetric_cross_entropy")),
        ("lovasz_softmax", {"prob": SHARES, "label": SHARE_LABEL.astype(float)}),
    ],
)  # fmt: skip
def test_class_labels_have_no_gradient(loss, arrays):
    with pytest.raises(lg.GradientError, match="'label' is a class label"):
        getattr(losses, loss).value_and_grad(**arrays, wrt=("label",))


def test_a_graph_gives_nan_for_a_label_it_cannot_refuse():
    for name in ("softmax_focal", "generalized_cross_entropy", "symmetric_cross_entropy"):
        model = getattr(losses, name).to_onnx(
            {"logits": ("float64", ("N", 3)), "label": ("int64", ("N",))}, grad=("logits",)
        )
        session = ort.InferenceSession(model.SerializeToString())
        value, grad = session.run(None, {"logits": LOGITS, "label": np.array([0, 7, 1, -1])})
        assert np.isnan(value).tolist() == [False, True, False, True]
        assert np.isnan(grad).all(1).tolist() == [False, True, False, True]


# --- focal CTC ---


def test_focal_ctc_is_a_function_of_all_alignments():
    logits = RNG.normal(size=(3, 5, 4))
    targets, lengths = np.array([[0, 1, 2], [2, 2, 0], [1, 0, 0]]), np.array([3, 2, 1])
    steps = np.array([5, 4, 5])
    padded = np.where(np.arange(3) < lengths[:, None], targets, -1)
    nll, slope = oracle(logits, padded, steps, lengths)
    p = np.exp(-nll)
    for alpha, gamma in ((1.0, 0.0), (0.25, 0.5), (0.5, 2.0)):
        value, grads = losses.focal_ctc.value_and_grad(
            log_softmax(logits), targets, steps, lengths, alpha=alpha, gamma=gamma, blank=3
        )
        assert_close(value, alpha * (1 - p) ** gamma * nll, tolerance=(1e-10, 1e-12))
        outer = alpha * ((1 - p) ** gamma + gamma * (1 - p) ** (gamma - 1) * p * nll)
        by_logits = grads["log_probs"]
        by_logits = by_logits - np.exp(log_softmax(logits)) * by_logits.sum(-1, keepdims=True)
        assert_close(by_logits, outer[:, None, None] * slope, tolerance=(1e-9, 1e-11))


def test_focal_ctc_at_its_ends():
    """A sure reading, one that cannot be, and one that is no more than impossible."""

    with np.errstate(divide="ignore"):
        sure = np.log(np.eye(3)[[[0, 2, 1], [0, 2, 1]]])
    targets, steps = np.array([[0, 1], [0, 0]]), np.array([3, 2])
    value, grads = losses.focal_ctc.value_and_grad(
        sure, targets, steps, np.array([2, 2]), blank=2, gamma=0.5
    )
    np.testing.assert_array_equal(value, [0.0, np.inf])
    np.testing.assert_array_equal(grads["log_probs"], 0)
    with pytest.raises(lg.InputError, match=r"targets\[0, 1\] is 3"):
        losses.focal_ctc(sure, np.array([[0, 3], [0, 0]]), steps, np.array([2, 2]), blank=2)


def test_single_precision_keeps_the_digits_of_a_small_loss():
    """The miss of a sure class is far below the resolution of its probability near 1."""
    logits, label = np.array([[30.0, 0.0, 1.0]]), np.array([0])
    expected = (np.exp(-30.0) + np.exp(-29.0)) ** 3
    value = losses.softmax_focal(logits.astype(np.float32), label)
    assert_close(value, [expected], tolerance=(SINGLE[0], 0))


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("softmax_focal", focal),
        ("generalized_cross_entropy", generalized),
        ("symmetric_cross_entropy", symmetric),
    ],
)
def test_digits_of_single_precision_at_logits_of_1e4(name, oracle):
    """Adding 1e4 to the logits changes nothing, in single precision either."""
    logits = np.array([[0.5, -0.25, 1.0, 0.0], [2.0, 0.125, -3.0, 0.5], [-8.0, 9.0, 1.0, 9.5]])
    label = np.array([0, 3, 1])
    loss = getattr(losses, name)
    value, grads = loss.value_and_grad((logits + 1e4).astype(np.float32), label, wrt=("logits",))
    _, wide = loss.value_and_grad(logits, label, wrt=("logits",))
    assert_close(value, oracle(logits, label), tolerance=(2e-6, 0))
    assert_close(grads["logits"], wide["logits"], tolerance=(2e-6, 1e-9))


@pytest.mark.parametrize("name", ["dice", "generalized_dice"])
def test_overlaps_of_nearly_sure_classes_have_gradients(name):
    """In single precision a share near 1 has lost what the others have."""
    rng = np.random.default_rng(4)
    logits = rng.permutation(np.linspace(-400, 400, 30)).reshape(2, 3, 5).astype(np.float32)
    targets = rng.dirichlet(np.ones(5), (2, 3))
    loss = getattr(losses, name)
    _, narrow = loss.value_and_grad(logits, targets.astype(np.float32), wrt=("predictions",))
    wide = {"predictions": logits.astype(float), "targets": targets}
    _, grads = loss.value_and_grad(**wide, wrt=("predictions",))
    largest = np.abs(grads["predictions"]).max()
    assert_close(narrow["predictions"], grads["predictions"], tolerance=(1e-3, 5e-6 * largest))
