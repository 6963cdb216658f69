"""The losses' semantics beyond recorded numbers: weights, shapes, dtypes, labels, own losses."""

from __future__ import annotations

import copy
import inspect
import pickle

import numpy as np
import onnxruntime as ort
import pytest
from onnx.reference import ReferenceEvaluator

import lossgraph as lg
from lossgraph import gluon, reference
from support import assert_close, difference_quotient, newest_opset
from tolerances import DIFFERENCE

RNG = np.random.default_rng(0)
N, C = 4, 5


def real(*shape):
    return RNG.uniform(-2, 2, shape)


def prob(*shape):
    return RNG.uniform(0.05, 0.95, shape)


def simplex(*shape):
    raw = prob(*shape)
    return raw / raw.sum(-1, keepdims=True)


def signs(*shape):
    return np.where(RNG.random(shape) < 0.5, -1.0, 1.0)


# (loss, arrays in the order of the call, names with a gradient)
LOSSES = {
    "L2": (gluon.L2Loss(), (real(N, C), real(N, C))),
    "L2 weighed": (gluon.L2Loss(weight=0.3, batch_axis=1), (real(N, C), real(N, C), prob(N, C))),
    "L1": (gluon.L1Loss(), (real(N, C), real(N, C))),
    "BCE": (gluon.SigmoidBCELoss(), (real(N, C), prob(N, C))),
    "BCE pos_weight": (
        gluon.SigmoidBCELoss(), (real(N, C), prob(N, C), prob(N, 1), prob(1, C))),
    "BCE from_sigmoid": (gluon.SigmoidBCELoss(from_sigmoid=True), (prob(N, C), prob(N, C))),
    "BCE from_sigmoid pos_weight": (
        gluon.SigmoidBCELoss(from_sigmoid=True), (prob(N, C), prob(N, C), prob(N, 1), prob(C))),
    "CE sparse": (gluon.SoftmaxCELoss(), (real(N, C), np.array([0, 4, 2, 1]))),
    "CE sparse axis": (
        gluon.SoftmaxCELoss(axis=1), (real(N, C, 3), RNG.integers(0, C, (N, 3)), prob(N, 1, 3))),
    "CE sparse from_logits": (
        gluon.SoftmaxCELoss(from_logits=True), (real(N, C), np.array([0, 4, 2, 1]))),
    "CE dense": (gluon.SoftmaxCELoss(sparse_label=False), (real(N, C), simplex(N, C))),
    "CE dense from_logits": (
        gluon.SoftmaxCELoss(sparse_label=False, from_logits=True), (real(N, C), simplex(N, C))),
    "KL": (gluon.KLDivLoss(), (np.log(simplex(N, C)), simplex(N, C))),
    "KL from pred": (gluon.KLDivLoss(from_logits=False), (real(N, C), simplex(N, C))),
    "Huber": (gluon.HuberLoss(rho=0.7), (real(N, C), real(N, C))),
    "Hinge": (gluon.HingeLoss(margin=0.9), (real(N, C), signs(N, C))),
    "SquaredHinge": (gluon.SquaredHingeLoss(), (real(N, C), signs(N, C))),
    "Logistic": (gluon.LogisticLoss(), (real(N, C), signs(N, C))),
    "Logistic binary": (gluon.LogisticLoss(label_format="binary"), (real(N, C), prob(N, C))),
    "Triplet": (gluon.TripletLoss(margin=9), (real(N, C), real(N, C), real(N, C))),
    "Poisson": (gluon.PoissonNLLLoss(), (real(N, C), prob(N, C) * 5)),
    "Poisson full": (
        gluon.PoissonNLLLoss(from_logits=False, compute_full=True),
        (prob(N, C), prob(N, C) * 5, prob(N, 1))),
    "Cosine": (gluon.CosineEmbeddingLoss(margin=0.1), (real(N, C), real(N, C), signs(N))),
    "Cosine weighed": (
        gluon.CosineEmbeddingLoss(weight=2), (real(N, C), real(N, C), signs(N), prob(N))),
    "SDML": (gluon.SDMLLoss(weight=0.5), (real(N, C), real(N, C))),
}  # fmt: skip
LINEAR = ("CE sparse from_logits", "CE dense from_logits", "KL")
PER_SAMPLE = [k for k in LOSSES if not k.startswith(("Poisson", "SDML", "L2 weighed"))]


def named(loss, arrays):
    """Arrays by the names of the loss's arguments."""
    names = list(inspect.signature(loss.hybrid_forward).parameters)[1:]
    return dict(zip(names, arrays, strict=False))


def differentiable(name, arrays):
    floats = [k for k, v in arrays.items() if v.dtype.kind == "f"]
    return [k for k in floats if not (k == "label" and name.startswith("Cosine"))]


def types(arrays, dtype="float64", dims=("N", "C", "T")):
    """Input types with named dims, a length of 1 static."""
    found = {}
    for name, array in arrays.items():
        kind = dtype if array.dtype.kind == "f" else array.dtype.name
        lengths = {N: "N", C: "C", 3: "T", 1: 1}
        found[name] = (kind, tuple(lengths[n] for n in array.shape))
    return found


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_against_differences(name):
    loss, given = LOSSES[name]
    arrays = named(loss, given)
    wrt = differentiable(name, arrays)
    value = loss(**arrays)
    ct = RNG.uniform(-1, 1, value.shape)
    _, grads = loss.value_and_grad(**arrays, wrt=wrt, ct=ct)
    for k in wrt:
        direction = RNG.uniform(-1, 1, arrays[k].shape)
        expected = difference_quotient(lambda **at: np.sum(ct * loss(**at)), arrays, k, direction)
        assert_close(np.sum(grads[k] * direction), expected, tolerance=DIFFERENCE)


@pytest.mark.parametrize("name", LOSSES)
def test_positions_names_and_the_numpy_body_agree(name):
    loss, given = LOSSES[name]
    arrays = named(loss, given)
    expected = loss(*given)
    assert_close(loss(**arrays), expected)
    on_numpy = loss(**{k: reference.Array(v) for k, v in arrays.items()})
    assert_close(on_numpy.asnumpy(), expected)


@pytest.mark.parametrize("opset", [13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26])
@pytest.mark.parametrize("name", LOSSES)
def test_every_opset_agrees(name, opset):
    if opset > newest_opset():
        pytest.skip(f"this ONNX Runtime loads up to opset {newest_opset()}")
    loss, given = LOSSES[name]
    arrays = {k: v.astype(np.float32) if v.dtype.kind == "f" else v
              for k, v in named(loss, given).items()}  # fmt: skip
    wrt = differentiable(name, arrays)
    model = loss.to_onnx(types(arrays, "float32"), grad=wrt, opset=opset)
    assert model.opset_import[0].version == opset
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert [o.name for o in session.get_outputs()] == ["loss", *(f"grad_{k}" for k in wrt)]
    value, *gradients = session.run(None, arrays)
    expected, grads = loss.value_and_grad(**arrays, wrt=wrt)
    assert_close(value, expected)
    for k, gradient in zip(wrt, gradients, strict=True):
        assert_close(gradient, grads[k])


@pytest.mark.parametrize("name", LOSSES)
def test_onnx_reference_evaluator_agrees(name):
    loss, given = LOSSES[name]
    arrays = named(loss, given)
    wrt = differentiable(name, arrays)
    model = loss.to_onnx(types(arrays), grad=wrt)
    with np.errstate(all="ignore"):
        value, *gradients = ReferenceEvaluator(model).run(None, arrays)
    expected, grads = loss.value_and_grad(**arrays, wrt=wrt)
    assert_close(value, expected)
    for k, gradient in zip(wrt, gradients, strict=True):
        assert_close(gradient, grads[k])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
@pytest.mark.parametrize("name", LOSSES)
def test_narrow_dtypes_round_once(name, dtype):
    """Inputs are exact in float64; what is computed differs by float32's and one rounding."""
    import ml_dtypes

    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    loss, given = LOSSES[name]
    arrays = {k: v.astype(kind) if v.dtype.kind == "f" else v
              for k, v in named(loss, given).items()}  # fmt: skip
    wide = {k: v.astype(np.float64) if v.dtype == kind else v for k, v in arrays.items()}
    wrt = differentiable(name, wide)
    value, grads = loss.value_and_grad(**arrays, wrt=wrt)
    expected, exact = loss.value_and_grad(**wide, wrt=wrt)
    assert value.dtype == kind
    assert_close(value, expected, dtype)
    for k in wrt:
        assert grads[k].dtype == kind
        assert_close(grads[k], exact[k], dtype)


@pytest.mark.parametrize("name", PER_SAMPLE)
def test_nan_spoils_its_own_sample_only(name):
    loss, given = LOSSES[name]
    pred = given[0].copy()
    clean, clean_grad = loss.value_and_grad(*given)
    pred[1] = np.nan
    value, grads = loss.value_and_grad(pred, *given[1:])
    others = [0, 2, 3]
    first = next(iter(grads))
    assert np.isnan(value[1]).all()
    assert_close(value[others], clean[others])
    # a loss that is linear in its input has a gradient that the input does not enter
    assert np.isnan(grads[first][1]).all() or name in LINEAR
    assert_close(grads[first][others], clean_grad[first][others])


@pytest.mark.parametrize("name", PER_SAMPLE)
def test_an_empty_batch_is_an_empty_array(name):
    loss, given = LOSSES[name]
    if any(1 in a.shape[:1] for a in given):
        given = tuple(a for a in given if a.shape[0] != 1)
    empty = tuple(a[:0] if a.shape[0] == N else a for a in given)
    value, grads = loss.value_and_grad(*empty)
    assert value.shape[0] == 0
    assert next(iter(grads.values())).shape == empty[0].shape


def test_a_mean_over_nothing_is_nan():
    for loss in (gluon.L2Loss(), gluon.HuberLoss(), gluon.SigmoidBCELoss(), gluon.KLDivLoss()):
        value = loss(np.ones((3, 0), np.float32), np.ones((3, 0), np.float32))
        assert value.shape == (3,)
        assert np.isnan(value).all()
    value = gluon.PoissonNLLLoss()(np.ones((0, 2)), np.ones((0, 2)))
    assert value.shape == (1,)
    assert np.isnan(value).all()


@pytest.mark.parametrize(
    ("loss", "label"),
    [
        (gluon.SoftmaxCELoss(), np.zeros(3, np.int64)),
        (gluon.SoftmaxCELoss(sparse_label=False), np.zeros((3, 0))),
        (gluon.KLDivLoss(from_logits=False), np.zeros((3, 0))),
    ],
)
def test_no_classes_is_an_input_error(loss, label):
    with pytest.raises(lg.InputError, match="no classes"):
        loss(np.ones((3, 0)), label)


def test_one_class_costs_nothing():
    value, grads = gluon.SoftmaxCELoss().value_and_grad(
        np.array([[1e4], [-3.0]], np.float32), np.zeros(2, np.int64)
    )
    assert_close(value, np.zeros(2, np.float32))
    assert_close(grads["pred"], np.zeros((2, 1), np.float32))


# --- labels ---------------------------------------------------------------------------------

LABELS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16",
          "float32", "float64"]  # fmt: skip


@pytest.mark.parametrize("dtype", LABELS)
def test_labels_of_any_dtype(dtype):
    pred = real(N, C).astype(np.float32)
    label = np.array([0, 4, 2, 1])
    expected = gluon.SoftmaxCELoss()(pred, label)
    assert_close(gluon.SoftmaxCELoss()(pred, label.astype(dtype)), expected)
    if dtype.startswith("float"):  # truncated towards zero
        shifted = label.astype(dtype) + np.asarray(0.75, dtype)
        assert_close(gluon.SoftmaxCELoss()(pred, shifted), expected)
        shifted[0] = -0.75
        assert_close(gluon.SoftmaxCELoss()(pred, shifted), expected)


@pytest.mark.parametrize(
    ("dtype", "bad"),
    [
        ("int64", -1), ("int64", C), ("int64", 10**12), ("int8", -128), ("uint8", 255),
        ("uint64", 2**63 + 1), ("float32", -1.0), ("float32", float(C)), ("float32", np.nan),
        ("float32", np.inf), ("float64", -1e30), ("float16", 6e4),
    ],
)  # fmt: skip
@pytest.mark.parametrize("from_logits", [False, True])
def test_a_label_outside_the_classes(dtype, bad, from_logits):
    """An error in Python that says where; NaN for that sample in an exported graph."""
    loss = gluon.SoftmaxCELoss(from_logits=from_logits)
    pred = real(N, C).astype(np.float32)
    good = np.array([0, 4, 2, 1]).astype(dtype)
    label = good.copy()
    label[2] = bad
    with pytest.raises(lg.InputError, match=r"label\[2\] is .* not one of the 5 allowed, 0 to 4"):
        loss(pred, label)
    model = loss.to_onnx({"pred": ("float32", ("N", "C")), "label": (dtype, ("N",))}, grad=["pred"])
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    expected, grads = loss.value_and_grad(pred, good)
    with np.errstate(all="ignore"):
        engines = [
            session.run(None, {"pred": pred, "label": label}),
            ReferenceEvaluator(model).run(None, {"pred": pred, "label": label}),
        ]
    for value, gradient in engines:
        assert np.isnan(value[2])
        assert np.isnan(gradient[2]).all()
        assert_close(np.delete(value, 2), np.delete(expected, 2))
        assert_close(np.delete(gradient, 2, 0), np.delete(grads["pred"], 2, 0))


def test_masked_classes_cost_nothing():
    pred = np.array([[1, -np.inf, 2], [-np.inf, 3, -np.inf]], np.float32)
    value, grads = gluon.SoftmaxCELoss().value_and_grad(pred, np.array([0, 1]))
    p = 1 / (1 + np.exp(1))
    assert_close(value, np.array([-np.log(p), 0], np.float32))
    assert_close(grads["pred"], np.array([[p - 1, 0, 1 - p], [0, 0, 0]], np.float32))
    dense = np.array([[1, 0, 0], [0, 1, 0]], np.float32)
    loss = gluon.SoftmaxCELoss(sparse_label=False)
    assert_close(loss(pred, dense), value)
    assert_close(loss.value_and_grad(pred, dense)[1]["pred"], grads["pred"])


# --- weights --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["L2", "BCE", "CE sparse", "CE dense", "KL", "Huber", "Hinge"])
def test_weight_laws(name):
    loss, (pred, label) = LOSSES[name]
    plain = loss(pred, label)
    ones = np.ones(N)
    assert_close(loss(pred, label, ones.reshape(N, 1)), plain)
    assert_close(loss(pred, label, ones), plain)
    weights = np.array([0.0, 1, 2.5, -1])
    assert_close(loss(pred, label, weights), plain * weights)
    assert_close(loss(pred, label, weights.reshape(N, 1)), plain * weights)
    doubled = copy.deepcopy(loss)
    doubled._weight = 2 * (1 if loss._weight is None else loss._weight)
    assert_close(doubled(pred, label), 2 * plain)


def test_a_weight_of_zero_drops_an_infinite_loss():
    pred = np.array([[0.0, -np.inf], [1.0, 2.0]])
    value, grads = gluon.SoftmaxCELoss().value_and_grad(
        pred, np.array([1, 0]), np.array([[0.0], [1.0]])
    )
    assert value[0] == 0
    assert_close(grads["pred"][0], np.zeros(2))


def test_a_weight_that_does_not_fit_is_refused():
    with pytest.raises(lg.InputError, match="sample_weight of shape"):
        gluon.L2Loss()(real(N, C), real(N, C), prob(3))
    with pytest.raises(lg.InputError, match="sample_weight of shape"):
        gluon.SoftmaxCELoss()(real(N, C), np.zeros(N, int), prob(N, N))


def test_a_vector_of_weights_goes_along_the_batch_axis():
    pred, label, weight = real(N, C, 3), real(N, C, 3), prob(C)
    loss = gluon.L2Loss(batch_axis=1)
    assert_close(loss(pred, label, weight), loss(pred, label) * weight)


def test_weights_in_the_shape_of_the_label():
    pred, label, weight = real(N, 3, C), RNG.integers(0, C, (N, 3)), prob(N, 3)
    loss = gluon.SoftmaxCELoss()
    assert_close(loss(pred, label, weight), loss(pred, label, weight[..., None]))


@pytest.mark.parametrize("loss", [gluon.L2Loss(), gluon.L1Loss(), gluon.SigmoidBCELoss(),
                                  gluon.HuberLoss(), gluon.LogisticLoss()])  # fmt: skip
def test_weights_in_the_shape_of_a_label_that_is_reshaped(loss):
    pred, label, weight = real(N, C, 1), prob(N, C), prob(N, C)
    assert_close(loss(pred, label, weight), loss(pred, label, weight[..., None]))


@pytest.mark.parametrize("shape", [(2, 3), (6,), (6, 1)])
@pytest.mark.parametrize("labelled", [(2, 3), (6,), (6, 1)])
def test_cosine_weights_of_vectors_in_a_grid(shape, labelled):
    one, two, label = real(2, 3, 4), real(2, 3, 4), signs(*labelled)
    if shape == (2, 3) and labelled != (2, 3):
        shape = labelled
    weight = prob(*shape)
    loss = gluon.CosineEmbeddingLoss()
    expected = loss(one, two, label) * weight.reshape(6)
    assert_close(loss(one, two, label, weight), expected)


def test_cosines_are_one_number_for_each_vector_and_add_to_other_losses():
    one, two = real(N, C), real(N, C)
    cosine = gluon.CosineEmbeddingLoss()(one, two, signs(N))
    assert cosine.shape == (N,)
    assert (cosine + gluon.L2Loss()(one, two)).shape == (N,)


def test_a_pos_weight_that_enlarges_is_refused():
    with pytest.raises(lg.InputError, match="pos_weight of shape"):
        gluon.SigmoidBCELoss()(real(N, C), prob(N, C), None, prob(2, N, C))


# --- options --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: gluon.LogisticLoss(label_format="both"), "expected one of"),
        (lambda: gluon.HuberLoss(rho=0), "positive"),
        (lambda: gluon.HuberLoss(rho="1"), "expected a number"),
        (lambda: gluon.L2Loss(weight="heavy"), "expected a number"),
        (lambda: gluon.L2Loss(batch_axis=0.5), "expected an int"),
        (lambda: gluon.SDMLLoss()(real(N), real(N)), "x1 and x2 of shape"),
        (lambda: gluon.SoftmaxCELoss(axis=2)(real(N, C), np.zeros(N, int)), "axis 2 is out of"),
        (lambda: gluon.L2Loss(wieght=2), "no option 'wieght'"),
        (lambda: gluon.L2Loss(weight=np.array([2.0, 3.0])), "expected a number"),
        (lambda: gluon.L2Loss()(real(N), lable=real(N)), r"unknown \['lable'\]"),
        (lambda: lg.compile(gluon.L2Loss(), [("pred", "float32")]), "expected a mapping"),
        (lambda: lg.compile(gluon.L2Loss()), "needs the types"),
        (lambda: lg.compile("L2Loss", {}), "expected a loss"),
        (lambda: gluon.L2Loss()(real(N)), "missing"),
        (lambda: gluon.L2Loss()(real(N), real(N), nonsense=1), r"unknown \['nonsense'\]"),
        (lambda: gluon.L2Loss()(real(N), real(N + 1)), "as many elements as pred"),
        (
            lambda: gluon.L2Loss().value_and_grad(real(N), real(N), wrt=("prediction",)),
            "inputs are",
        ),
        (lambda: gluon.L2Loss().value_and_grad(real(N), real(N), wrt=("pred", "pred")), "twice"),
        (lambda: gluon.L2Loss().to_onnx({"pred": ("float32", ("N",))}), "missing"),
        (lambda: gluon.L2Loss().to_onnx({"pred": "float32"}), "expected"),
        (lambda: gluon.L2Loss().to_onnx({"pred": ("f", (-1,)), "label": ("f", (1,))}), "negative"),
    ],
)
def test_mistakes_are_input_errors(make, says):
    with pytest.raises(lg.InputError, match=says):
        make()


def test_epsilon_at_the_call_and_in_the_constructor():
    rate, target = prob(N, C), prob(N, C)
    at_call = gluon.PoissonNLLLoss(from_logits=False)(rate, target, epsilon=0.1)
    assert_close(gluon.PoissonNLLLoss(from_logits=False, epsilon=0.1)(rate, target), at_call)
    assert not np.allclose(gluon.PoissonNLLLoss(from_logits=False)(rate, target), at_call)


def test_setting_an_option_takes_effect():
    loss = gluon.L2Loss()
    pred, label = real(N, C), real(N, C)
    before = loss(pred, label)
    loss._weight = 3.0
    assert_close(loss(pred, label), 3 * before)


class Parts(gluon.Loss):
    """Losses in a list, numbers in a dict."""

    def __init__(self):
        super().__init__(None, 0)
        self.parts = [gluon.L2Loss(), gluon.L1Loss()]
        self.shares = {"l2": 1.0, "l1": 2.0}

    def hybrid_forward(self, F, pred, label):
        l2, l1 = (part(pred, label) for part in self.parts)
        return self.shares["l2"] * l2 + self.shares["l1"] * l1


def test_changing_what_an_option_contains_takes_effect():
    loss, pred, label = Parts(), real(N, C), real(N, C)
    l2, l1 = gluon.L2Loss()(pred, label), gluon.L1Loss()(pred, label)
    assert_close(loss(pred, label), l2 + 2 * l1)
    loss.shares["l1"] = 0.5
    assert_close(loss(pred, label), l2 + 0.5 * l1)
    loss.parts[0]._weight = 3.0
    assert_close(loss(pred, label), 3 * l2 + 0.5 * l1)


def test_a_cotangent_may_be_a_list_or_of_another_dtype():
    pred, label = real(N, C).astype(np.float32), real(N, C).astype(np.float32)
    loss = gluon.L2Loss()
    _, expected = loss.value_and_grad(pred, label, ct=np.arange(N, dtype=np.float32))
    for ct in (list(range(N)), np.arange(N), np.arange(N, dtype=np.float64)):
        assert_close(loss.value_and_grad(pred, label, ct=ct)[1]["pred"], expected["pred"])
    poisson = gluon.PoissonNLLLoss()
    assert_close(
        poisson.value_and_grad(pred, label, ct=2.0)[1]["pred"],
        2 * poisson.value_and_grad(pred, label)[1]["pred"],
    )


def test_the_slope_of_a_small_huber_error_keeps_its_digits():
    pred, label = np.array([1e-6, -3e-7, 2.0], np.float32), np.zeros(3, np.float32)
    _, grads = gluon.HuberLoss(rho=0.5).value_and_grad(pred, label)
    assert_close(grads["pred"], np.array([2e-6, -6e-7, 1], np.float32), tolerance=(1e-6, 0))
    huge = gluon.HuberLoss(rho=1e30)(np.array([1e25], np.float32), np.zeros(1, np.float32))
    assert_close(huge, np.array([5e19], np.float32))


def test_infinite_logits():
    pred, label = np.array([np.inf, np.inf, -np.inf, -np.inf]), np.array([1.0, 0, 0, 1])
    value, grads = gluon.SigmoidBCELoss().value_and_grad(pred, label)
    assert_close(value, np.array([0, np.inf, 0, np.inf]))
    assert_close(grads["pred"], np.array([0.0, 1, 0, -1]))
    assert_close(gluon.LogisticLoss()(pred, 2 * label - 1), value)


def test_losses_copy_and_pickle():
    loss = gluon.HuberLoss(rho=0.3)
    pred, label = real(N, C), real(N, C)
    expected = loss(pred, label)
    for again in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert_close(again(pred, label), expected)


def test_the_aliases_are_the_classes():
    assert gluon.SigmoidBCELoss is gluon.SigmoidBinaryCrossEntropyLoss
    assert gluon.SoftmaxCELoss is gluon.SoftmaxCrossEntropyLoss
    assert gluon.loss.HuberLoss is gluon.HuberLoss
    assert repr(gluon.L1Loss(weight=2)) == "L1Loss(weight=2, batch_axis=0)"


# --- dtypes ---


def test_several_float_dtypes_compute_in_the_first():
    pred, label = real(N, C), real(N, C)
    value, grads = gluon.L2Loss().value_and_grad(
        pred, label.astype(np.float32), wrt=("pred", "label")
    )
    assert value.dtype == np.float64
    assert grads["pred"].dtype == np.float64
    assert grads["label"].dtype == np.float32
    assert gluon.L2Loss()(pred.astype(np.float32), label).dtype == np.float32


@pytest.mark.parametrize("dtype", ["int16", "uint8", "uint64", "int64"])
def test_counts_of_any_dtype_keep_the_digits_of_the_prediction(dtype):
    rate, counts = prob(N, C) * 5, RNG.integers(0, 9, (N, C))
    loss = gluon.PoissonNLLLoss(from_logits=False, compute_full=True)
    assert_close(loss(rate, counts.astype(dtype)), loss(rate, counts.astype(float)))


def test_integer_and_bool_labels_are_numbers_to_a_loss_of_numbers():
    pred, label = real(N, C), RNG.random((N, C)) < 0.5
    for loss in (gluon.SigmoidBCELoss(), gluon.L1Loss(), gluon.LogisticLoss(label_format="binary")):
        expected = loss(pred, label.astype(float))
        assert_close(loss(pred, label), expected)
        assert_close(loss(pred, label.astype(np.int32)), expected)
    assert_close(gluon.HingeLoss()(pred, label * 2 - 1), gluon.HingeLoss()(pred, label * 2.0 - 1))


def test_triplets_far_from_their_anchor():
    """Squares of 1e8 whose difference is 3e4: in single precision a unit of them is 8."""
    pred, positive, negative = (
        np.zeros((1, 2)),
        np.array([[1e4, 1e4]]),
        np.array([[9999.0, 9999.5]]),
    )
    value, grads = gluon.TripletLoss().value_and_grad(
        *(x.astype(np.float32) for x in (pred, positive, negative)),
        wrt=("pred", "positive", "negative"),
    )
    np.testing.assert_allclose(value, [2e4 - 1 + 1e4 - 0.25 + 1], rtol=1e-7)
    np.testing.assert_array_equal(grads["pred"], [[-2, -1]])
    np.testing.assert_array_equal(grads["positive"], 2 * positive)
    np.testing.assert_array_equal(grads["negative"], -2 * negative)
