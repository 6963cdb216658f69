"""Losses made of losses: named parts, masks, padding, mixup, several tasks, other names."""

from __future__ import annotations

import pickle

import numpy as np
import onnxruntime as ort
import pytest

import lossgraph as lg
from lossgraph import gluon, losses, nn, reference
from lossgraph.errors import GradientError, InputError
from support import assert_close, difference_quotient
from tolerances import DIFFERENCE

RNG = np.random.default_rng(6)
N, T, C = 4, 5, 3
PRED, TARGET = RNG.normal(size=(N, C)), RNG.normal(size=(N, C))
LABEL = np.array([0, 2, 1, 2])
STEPS, CLASSES = RNG.normal(size=(N, T, C)), RNG.integers(0, C, (N, T))
LENGTHS = np.array([5, 3, 0, 1])
MASK = np.arange(T) < LENGTHS[:, None]


def squares(F, pred, target, scale: float = 1.0):
    """Without a reduction."""
    return scale * F.square(pred - target)


def rows(F, pred, target):
    return F.sum(squares(F, pred, target), axis=1)


def cross_entropy(F, pred, label):
    """Along the last axis, whatever the others."""
    return -F.pick(F.log_softmax(pred, axis=-1), label, axis=-1, mode="raise")


CE = gluon.SoftmaxCELoss()
BOTH = {"ce": CE, "l2": (0.1, rows)}
GIVEN = {"pred": PRED, "label": LABEL, "target": TARGET}
TYPES = {"pred": ("float64", ("N", C)), "label": ("int64", ("N",)), "target": ("float64", ("N", C))}


def differences(loss, given, name, value=lambda v: v, **options):
    """A directional derivative of the sum, and the direction."""
    direction = np.random.default_rng(0).uniform(-1, 1, given[name].shape)

    def total(**at):
        return np.sum(value(loss(**at, **options)))

    return difference_quotient(total, given, name, direction), direction


# --- sums ---


def test_a_weighted_sum_gives_the_total_and_its_parts():
    loss = lg.weighted_sum(BOTH)
    total, parts = loss(PRED, LABEL, TARGET)
    ce, ce_grad = CE.value_and_grad(PRED, LABEL)
    l2 = ((PRED - TARGET) ** 2).sum(1)
    assert list(parts) == ["ce", "l2"]
    assert_close(parts["ce"], ce)
    assert_close(parts["l2"], l2)
    assert_close(total, ce + 0.1 * l2)
    (again, same), grads = loss.value_and_grad(**GIVEN, wrt=("pred", "target"))
    assert_close(again, total)
    assert_close(same["l2"], l2)
    assert_close(grads["pred"], ce_grad["pred"] + 0.2 * (PRED - TARGET))  # of the total alone
    assert_close(grads["target"], 0.2 * (TARGET - PRED))
    ct = np.arange(N, dtype=float)
    _, weighed = loss.value_and_grad(**GIVEN, wrt=("target",), ct=ct)
    assert_close(weighed["target"], ct[:, None] * grads["target"])


def test_outputs_of_a_model_have_the_names_of_the_parts():
    loss = lg.weighted_sum(BOTH)
    model = loss.to_onnx(TYPES, grad=("pred",))
    assert [o.name for o in model.graph.output] == ["loss", "loss_ce", "loss_l2", "grad_pred"]
    assert [i.name for i in model.graph.input] == list(TYPES)
    found = ort.InferenceSession(model.SerializeToString()).run(None, GIVEN)
    (total, parts), grads = loss.value_and_grad(**GIVEN)
    expected = [total, parts["ce"], parts["l2"], grads["pred"]]
    for a, b in zip(found, expected, strict=True):
        assert_close(a, b)


def test_a_compiled_sum_answers_as_the_call_does():
    loss = lg.weighted_sum(BOTH)
    expected, exact = loss.value_and_grad(**GIVEN)
    run = lg.compile(loss, TYPES, grad=("pred",))
    into = {"loss_l2": np.empty(N), "grad_pred": np.empty((N, C))}
    in_order = lambda: run(*GIVEN.values())  # noqa: E731
    for call in (lambda: run(**GIVEN, out=into), run.bind(**GIVEN), in_order, in_order):
        (total, parts), grads = call()
        assert_close(total, expected[0])
        assert_close(parts["ce"], expected[1]["ce"])
        assert_close(grads["pred"], exact["pred"])
    (_, parts), grads = run(**GIVEN, out=into)
    assert parts["l2"] is into["loss_l2"]
    assert grads["pred"] is into["grad_pred"]
    total, parts = lg.compile(loss, TYPES)(**GIVEN)
    assert_close(total, expected[0])
    assert set(parts) == {"ce", "l2"}


def test_on_numpy_and_in_another_loss():
    loss = lg.weighted_sum(BOTH)
    total, parts = loss(**{k: reference.Array(v) for k, v in GIVEN.items()})
    assert_close(total.asnumpy(), loss(**GIVEN)[0])

    class Twice(gluon.Loss):
        def hybrid_forward(self, F, pred, label, target):
            total, parts = loss(pred, label, target)
            return 2 * total + parts["l2"]

    assert_close(Twice(None, 0)(**GIVEN), 2 * total.asnumpy() + parts["l2"].asnumpy())


def test_sums_of_sums_join_the_names():
    inner = lg.weighted_sum(BOTH)
    total, parts = lg.weighted_sum({"both": (2.0, inner), "size": rows})(**GIVEN)
    assert list(parts) == ["both", "both_ce", "both_l2", "size"]
    assert_close(total, 2 * inner(**GIVEN)[0] + parts["both_l2"])


def test_reductions_and_single_numbers():
    mean, parts = lg.weighted_sum({"ce": CE, "all": (0.5, squares)}, reduction="mean")(**GIVEN)
    assert mean.shape == parts["all"].shape == ()
    assert_close(mean, parts["ce"] + 0.5 * np.mean((PRED - TARGET) ** 2))
    total, _ = lg.weighted_sum({"ce": CE, "all": squares}, reduction="sum")(**GIVEN)
    assert_close(total, np.sum(CE(PRED, LABEL)) + np.sum((PRED - TARGET) ** 2))
    one = nn.Loss

    class Mean(one):
        def hybrid_forward(self, F, pred, target):
            return self._reduce(F, squares(F, pred, target))

    for order in ({"ce": CE, "mean": Mean()}, {"mean": Mean(), "ce": CE}):
        total, parts = lg.weighted_sum(order)(**GIVEN)
        assert parts["mean"].shape == ()
        assert_close(total, parts["ce"] + parts["mean"])
    with pytest.raises(InputError, match="parts of different shapes have no sum: 'ce'"):
        lg.weighted_sum({"ce": CE, "all": squares})(**GIVEN)


def test_weights_that_are_inputs_have_gradients():
    loss = lg.weighted_sum({"ce": ("alpha", CE), "l2": ("beta", rows)})
    given = {**GIVEN, "alpha": np.array(0.3), "beta": np.array(0.7)}
    (total, parts), grads = loss.value_and_grad(**given, wrt=("alpha", "beta"))
    assert_close(total, 0.3 * parts["ce"] + 0.7 * parts["l2"])
    assert_close(grads["alpha"], parts["ce"].sum())
    assert_close(grads["beta"], parts["l2"].sum())
    assert_close(loss(**GIVEN, alpha=0.3, beta=0.7)[0], total)


def test_a_weight_of_zero_drops_an_infinite_part():
    log = lambda F, pred: F.sum(-F.log(pred), axis=1)  # noqa: E731
    loss = lg.weighted_sum({"l2": rows, "log": (0.0, log)})
    total, parts = loss(np.zeros((N, C)), TARGET)
    assert np.isinf(parts["log"]).all()
    assert_close(total, (TARGET**2).sum(1))


def test_options_of_the_losses_inside_stay_theirs():
    loss = lg.weighted_sum({"huber": gluon.HuberLoss(rho=1.0)})
    first = loss(PRED, TARGET)[0]
    loss.losses["huber"]._rho = 0.1  # compiled again
    assert not np.allclose(loss(PRED, TARGET)[0], first)
    scaled = lg.weighted_sum({"a": squares}, reduction="mean")
    assert_close(scaled(PRED, TARGET, scale=3.0)[0], 3 * scaled(PRED, TARGET)[0])
    _, grads = scaled.value_and_grad(PRED, TARGET, scale=np.array(3.0), wrt=("scale",))
    assert_close(grads["scale"], scaled(PRED, TARGET)[0])


def test_what_prepares_and_checks_its_inputs_does_so_inside():
    log_probs = np.log(RNG.dirichlet(np.ones(4), (6, 2)))
    given = (log_probs, np.array([1, 2, 3]), np.array([6, 5]), np.array([2, 1]))
    ctc = nn.CTCLoss(reduction="none")
    loss = lg.weighted_sum({"ctc": ctc})
    assert_close(loss(*given)[0], ctc(*given))
    with pytest.raises(GradientError):
        loss.value_and_grad(*given, wrt=("target_lengths",))
    with pytest.raises(InputError, match="blank: 9"):
        lg.weighted_sum({"ctc": nn.CTCLoss(blank=9)})(*given)


def test_parts_of_a_function_of_ones_own():
    def body(F, pred, target):
        error = F.square(pred - target)
        return F.mean(error, axis=1), {"largest": F.max(error, axis=1)}

    run = lg.compile(body, {k: TYPES[k] for k in ("pred", "target")}, grad=("pred",))
    (value, parts), grads = run(PRED, TARGET)
    assert_close(parts["largest"], ((PRED - TARGET) ** 2).max(1))
    assert_close(grads["pred"], 2 / C * (PRED - TARGET))
    assert value.shape == (N,)


def test_a_sum_survives_pickling_and_says_what_it_is():
    loss = lg.weighted_sum({"ce": CE, "nce": (0.5, losses.z_loss)})
    assert repr(loss) == (
        "WeightedSum(ce=1.0 * SoftmaxCrossEntropyLoss(axis=-1, sparse_label=True, "
        "from_logits=False, weight=None, batch_axis=0), nce=0.5 * z_loss(), reduction='none')"
    )
    again = pickle.loads(pickle.dumps(loss))
    given = {"pred": PRED, "label": LABEL, "logits": PRED}
    assert_close(again(**given)[0], loss(**given)[0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lg.weighted_sum({}), "parts: expected losses by name"),
        (lambda: lg.weighted_sum([CE]), "parts: expected a mapping of names"),
        (lambda: lg.weighted_sum({"a b": CE}), "a part has a name like"),
        (lambda: lg.weighted_sum({"a": (CE, 1, 2)}), r"a: expected a loss or \(weight, loss\)"),
        (lambda: lg.weighted_sum({"a": (None, CE)}), "a: a weight is a number"),
        (lambda: lg.weighted_sum({"a": 3}), "expected a loss or a function of F, got 3"),
        (lambda: lg.weighted_sum({"a": CE}, "avg"), "reduction: expected one of"),
        (lambda: lg.weighted_sum({"a": lambda F, x: (x, x)})(PRED), "a: .* gives 2 values"),
        (lambda: lg.compile(lambda F, x: (x, {"0": x}), {"x": ("float32", ("N",))}), "not '0'"),
        (lambda: lg.uncertainty_weighted({"a": ("guess", CE)}), "a: expected one of"),
        (lambda: lg.masked(losses.list_net), "list_net has an input 'mask' of its own"),
        (lambda: lg.masked(CE, over=("preds",)), "over: expected one of"),
        (lambda: lg.mixup(CE, label="target"), "label: expected one of"),
        (lambda: lg.renamed(CE, labels="x"), "renamed: expected one of"),
        (lambda: lg.renamed(CE, label="pred"), "two inputs would have one name"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(InputError, match=message):
        make()


# --- several tasks ---


def test_uncertainty_weighting_is_the_papers():
    loss = lg.uncertainty_weighted({"ce": CE, "l2": ("regression", squares)})
    s = np.array([0.4, -0.7])
    given = {**GIVEN, "log_variance": s}
    (total, parts), grads = loss.value_and_grad(**given, wrt=("pred", "log_variance"))
    ce, l2 = CE(PRED, LABEL).mean(), ((PRED - TARGET) ** 2).mean()
    sigma = np.exp(s / 2)
    expected = ce / sigma[0] ** 2 + l2 / (2 * sigma[1] ** 2) + np.log(sigma).sum()
    assert_close(total, expected)
    assert_close(parts["l2"], l2)
    for name in ("pred", "log_variance"):
        slope, direction = differences(loss, given, name, lambda v: v[0])
        assert_close(np.sum(grads[name] * direction), slope, tolerance=DIFFERENCE)
    with pytest.raises(InputError, match="log_variance: expected one for each of the 2 losses"):
        loss(**GIVEN, log_variance=np.zeros(3))


# --- masks and lengths ---


@pytest.mark.parametrize("per_sample", [False, True])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_masked_is_as_if_cut(reduction, per_sample):
    loss = lg.masked(cross_entropy, reduction=reduction, per_sample=per_sample)
    spoiled = np.where(MASK[..., None], STEPS, [np.nan, np.inf, 1e4])
    label = np.where(MASK, CLASSES, -1)
    value, grads = loss.value_and_grad(spoiled, label, MASK)
    one = -np.log(np.exp(STEPS) / np.exp(STEPS).sum(-1, keepdims=True))
    each = np.where(MASK, np.take_along_axis(one, CLASSES[..., None], -1)[..., 0], 0)
    counts = MASK.sum(1) if per_sample else MASK.sum()
    expected = each if reduction == "none" else each.sum(1 if per_sample else None)
    if reduction == "mean":
        expected = expected / np.maximum(counts, 1)
    assert_close(value, np.asarray(expected))
    assert (grads["pred"][~MASK] == 0).all()
    share = np.broadcast_to(counts, N)[:, None, None] if reduction == "mean" else 1
    slope = (np.exp(-one) - np.eye(C)[CLASSES]) / np.maximum(share, 1)
    assert_close(grads["pred"][MASK], slope[MASK])


def test_all_masked_is_zero_and_nan_elsewhere_is_seen():
    loss = lg.masked(squares)
    nothing = np.zeros((N, C), bool)
    value, grads = loss.value_and_grad(PRED * np.nan, TARGET, nothing)
    assert value == 0
    assert (grads["pred"] == 0).all()
    value, grads = loss.value_and_grad(PRED * np.nan, TARGET, ~nothing)
    assert np.isnan(value)
    assert np.isnan(grads["pred"]).all()
    assert lg.masked(squares)(PRED[:0], TARGET[:0], nothing[:0]) == 0


@pytest.mark.parametrize("dtype", ["bool", "int64", "float32", "float64"])
def test_masks_of_any_dtype(dtype):
    value = lg.masked(cross_entropy)(STEPS, CLASSES, MASK.astype(dtype))
    assert_close(value, lg.masked(cross_entropy)(STEPS[MASK][:, None], CLASSES[MASK][:, None],
                                                 np.ones((MASK.sum(), 1))))  # fmt: skip


def test_a_mask_of_samples_over_some_inputs():
    weight = np.array([1.0, 2.0, 0.5])

    def weighed(F, pred, label, weight):
        return cross_entropy(F, pred, label) * F.take(weight, label)

    keep = np.array([1, 0, 1, 1])
    loss = lg.masked(weighed, over=("pred", "label"))
    value = loss(PRED, LABEL, weight, keep)
    ce = CE(PRED, LABEL) * weight[LABEL]
    assert_close(value, np.asarray(ce[keep == 1].mean()))
    with pytest.raises(InputError, match=r"weight .* has no entry for each element of the mask"):
        lg.masked(weighed)(PRED, LABEL, weight, keep)
    with pytest.raises(InputError, match=r"the loss of shape .* has no entry"):
        lg.masked(CE)(PRED[:, :, None], np.zeros((N, C), int), np.ones((N, C)))
    with pytest.raises(GradientError, match="mask"):
        loss.value_and_grad(PRED, LABEL, weight, keep.astype(float), wrt=("mask",))


def test_an_exported_mask():
    loss = lg.masked(cross_entropy)
    types = {"pred": ("float64", ("N", "T", C)), "label": ("int64", ("N", "T")),
             "mask": ("bool", ("N", "T"))}  # fmt: skip
    model = loss.to_onnx(types, grad=("pred",))
    label = np.where(MASK, CLASSES, -1)
    found = ort.InferenceSession(model.SerializeToString()).run(
        None, {"pred": np.where(MASK[..., None], STEPS, np.nan), "label": label, "mask": MASK}
    )
    value, grads = loss.value_and_grad(STEPS, CLASSES, MASK)
    assert_close(found[0], value)
    assert_close(found[1], grads["pred"])
    with pytest.raises(InputError, match="is 3, which is not one of"):
        loss(STEPS, np.where(MASK, 3, 0), MASK)


def test_padded_sequences_end_where_their_lengths_say():
    loss = lg.padded(cross_entropy, per_sample=True)
    expected = lg.masked(cross_entropy, per_sample=True).value_and_grad(STEPS, CLASSES, MASK)
    for lengths in (LENGTHS, LENGTHS.astype("f4"), np.array([9, 3, -2, 1])):
        spoiled = np.where(MASK[..., None], STEPS, np.nan)
        value, grads = loss.value_and_grad(spoiled, np.where(MASK, CLASSES, 77), lengths)
        assert_close(value, expected[0])
        assert_close(grads["pred"], expected[1]["pred"])
    model = loss.to_onnx({"pred": ("float32", ("N", "T", C)), "label": ("int64", ("N", "T")),
                          "lengths": ("int32", ("N",))}, grad=("pred",))  # fmt: skip
    assert [i.name for i in model.graph.input] == ["pred", "label", "lengths"]
    with pytest.raises(InputError, match="lengths are"):
        loss(PRED[:, 0], LABEL, LENGTHS)


def test_masked_sums_keep_their_parts():
    both = lg.weighted_sum({"ce": cross_entropy, "size": (0.5, lambda F, pred: F.sum(pred, -1))})
    total, parts = lg.masked(both)(STEPS, CLASSES, MASK)
    assert_close(parts["size"], STEPS.sum(-1)[MASK].mean())
    assert_close(total, parts["ce"] + 0.5 * parts["size"])


# --- mixup and names ---


@pytest.mark.parametrize("share", [0.3, np.array(0.3), np.array([0.1, 0.9, 1.0, 0.0])])
def test_mixup_weighs_two_labels(share):
    loss = lg.mixup(CE)
    other = LABEL[::-1].copy()
    value, grads = loss.value_and_grad(PRED, LABEL, label_mixed=other, lam=share)
    (a, by_a), (b, by_b) = (CE.value_and_grad(PRED, label) for label in (LABEL, other))
    assert_close(value, share * a + (1 - share) * b)
    column = np.reshape(share, (-1, 1))
    assert_close(grads["pred"], column * by_a["pred"] + (1 - column) * by_b["pred"])
    if isinstance(share, np.ndarray):
        _, grads = loss.value_and_grad(PRED, LABEL, other, share, wrt=("lam",))
        assert_close(grads["lam"].sum(), (a - b).sum())
    with pytest.raises(InputError, match=r"label_mixed\[0\] is 3"):
        loss(PRED, LABEL, np.array([3, 0, 0, 0]), 0.5)


def test_mixup_of_parts_and_a_share_of_one_beside_an_impossible_label():
    loss = lg.mixup(
        lg.weighted_sum({"ce": CE, "z": (0.1, lg.renamed(losses.z_loss, logits="pred"))})
    )
    pred = PRED.copy()
    pred[:, 0] = -np.inf  # a class that cannot be
    label, other = np.maximum(LABEL, 1), np.zeros(N, int)
    total, parts = loss(pred, label, other, 1.0)
    assert_close(parts["ce"], CE(pred, label))
    assert np.isfinite(total).all()


def test_other_names_for_inputs():
    loss = lg.renamed(CE, pred="scores", label="target")
    assert_close(loss(PRED, LABEL), CE(PRED, LABEL))
    _, grads = loss.value_and_grad(scores=PRED, target=LABEL)
    assert_close(grads["scores"], CE.value_and_grad(PRED, LABEL)[1]["pred"])
    with pytest.raises(InputError, match="unknown"):
        loss(scores=PRED, label=LABEL)
    both = lg.weighted_sum({"a": CE, "b": loss})
    given = {"pred": PRED, "label": LABEL, "scores": TARGET, "target": LABEL}
    assert_close(both(**given)[0], CE(PRED, LABEL) + CE(TARGET, LABEL))


def test_other_names_keep_what_is_known_of_inputs():
    log_probs = np.log(RNG.dirichlet(np.ones(4), (6, 2)))
    ctc = lg.renamed(nn.CTCLoss(), log_probs="x", targets="y", target_lengths="n")
    packed = np.array([1, 2, 3])
    assert_close(
        ctc(log_probs, packed, (6, 6), (2, 1)), nn.CTCLoss()(log_probs, packed, (6, 6), (2, 1))
    )
    with pytest.raises(GradientError, match="'n' is a class label or a length"):
        ctc.value_and_grad(log_probs, packed, np.array([6, 6]), np.array([2, 1]), wrt=("n",))
    with pytest.raises(GradientError, match="'label'"):
        lg.renamed(losses.supcon, embedding="x").value_and_grad(PRED, LABEL, wrt=("label",))


def test_a_renamed_loss_knows_what_it_takes_as_the_loss_itself() -> None:
    """Whether the target is of classes depends on its shape, and so on its name."""
    loss = lg.renamed(nn.CrossEntropyLoss(), target="y")
    assert_close(loss(PRED, LABEL), nn.CrossEntropyLoss()(PRED, LABEL))
    shares = np.full((N, C), 1 / C)
    _, grads = loss.value_and_grad(PRED, y=shares, wrt=("y",))
    _, same = nn.CrossEntropyLoss().value_and_grad(PRED, shares, wrt=("target",))
    assert_close(grads["y"], same["target"])
    types = {"input": ("float32", ("N", C)), "y": ("int64", ("N",))}
    assert [i.name for i in loss.to_onnx(types, grad=("input",)).graph.input] == ["input", "y"]


@pytest.mark.parametrize("kind", [nn.NLLLoss, nn.CrossEntropyLoss])
def test_float_labels_have_no_gradient_in_a_loss_of_another_name(kind) -> None:
    label = LABEL.astype("float64")
    for loss, given in (
        (lg.renamed(kind(), target="y"), {"y": label}),
        (lg.renamed(lg.renamed(kind(), target="y"), y="z"), {"z": label}),
        (lg.weighted_sum({"a": lg.renamed(kind(reduction="none"), target="y")}), {"y": label}),
        (lg.mixup(kind(), label="target"), {"target_mixed": label, "target": label, "lam": 0.5}),
    ):
        with pytest.raises(GradientError, match="is a class label"):
            loss.value_and_grad(input=PRED, **given, wrt=(next(iter(given)),))


def test_losses_of_losses_say_their_options() -> None:
    inner = "L1Loss(weight=None, batch_axis=0)"
    loss = gluon.L1Loss()
    assert repr(lg.renamed(loss, pred="x")) == f"Renamed(loss={inner}, pred='x')"
    assert repr(lg.mixup(loss)) == f"Mixup(loss={inner}, label='label')"
    assert repr(lg.padded(loss)) == (
        f"Padded(loss={inner}, over=('pred', 'label'), reduction='mean', per_sample=False)"
    )
