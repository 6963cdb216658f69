"""What the reference page of ``mxnet.gluon.loss`` (version 1.x) documents, fact by fact.

``reference_page.json`` has the facts: names, parameters in order with their defaults, the inputs
of a call (``?`` marks those that may be left out), their shapes where they are not (N, C), which
inputs may have any shape of as many elements, the value's shape where it is not (N,), and bounds.
"""

from __future__ import annotations

import inspect
import json
import math
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

import lossgraph as lg
from lossgraph import gluon
from support import assert_close

PAGE = json.loads((Path(__file__).parent / "reference_page.json").read_text())
SIZES = {"N": 6, "C": 4, "T": 5, "L": 2}
WEIGHED = [name for name, facts in PAGE.items() if "sample_weight?" in facts["call"]]
RESHAPED = [(name, x) for name, facts in PAGE.items() for x in facts.get("as_many_elements_as", {})]
ELEMENTWISE = [n for n in WEIGHED if "pred" in PAGE[n].get("as_many_elements_as", {}).values()]
ALONG_BATCH = [n for n in WEIGHED if n not in ("PoissonNLLLoss", "CTCLoss", "CosineEmbeddingLoss")]


def shape_of(name, argument):
    facts = PAGE[name]
    dims = facts.get("shapes", {}).get(argument, ["N", "C"])
    return tuple(SIZES[d] for d in dims)


def array_of(name, argument):
    """Plausible values of an input."""
    rng = np.random.default_rng(len(argument))
    shape, kind = shape_of(name, argument), PAGE[name].get("values", {}).get(argument, "real")
    drawn = {
        "real": rng.normal(size=shape),
        "probability": rng.uniform(0.1, 0.9, shape),
        "sign": np.where(rng.random(shape) < 0.5, -1.0, 1.0),
        "class": rng.integers(0, SIZES["C"] - 1, shape),
        "count": rng.integers(0, 6, shape).astype(float),
        "step": np.full(shape, SIZES["T"]),
        "length": np.full(shape, SIZES["L"]),
    }
    return drawn[kind]


def given(name, *without):
    """The inputs of a call, those that may be left out included, but for some."""
    names = [argument.rstrip("?") for argument in PAGE[name]["call"]]
    left_out = {*without, "pos_weight"}
    return {n: array_of(name, n) for n in names if n not in left_out}


def required(name):
    return given(name, *(a.rstrip("?") for a in PAGE[name]["call"] if a.endswith("?")))


def test_the_page_has_these_names_and_no_others():
    names = {"Loss", *PAGE, *(facts["alias"] for facts in PAGE.values() if "alias" in facts)}
    assert {name for name in gluon.loss.__all__ if not name.startswith("_")} == names
    for name, facts in PAGE.items():
        if "alias" in facts:
            assert getattr(gluon.loss, facts["alias"]) is getattr(gluon.loss, name)
        assert getattr(gluon, name) is getattr(gluon.loss, name)


@pytest.mark.parametrize("name", PAGE)
def test_parameters_their_order_and_defaults(name):
    parameters = list(inspect.signature(getattr(gluon.loss, name)).parameters.values())
    positional = [[p.name, p.default] for p in parameters if p.kind is not p.VAR_KEYWORD]
    facts = PAGE[name]
    assert positional == [*facts["parameters"], *facts.get("keyword_parameters", [])]
    assert parameters[-1].kind is inspect.Parameter.VAR_KEYWORD  # prefix and params
    loss = getattr(gluon.loss, name)(prefix="own_", params=None)
    assert loss.prefix == "own_"


@pytest.mark.parametrize("name", PAGE)
def test_inputs_of_a_call_and_their_order(name):
    loss = getattr(gluon.loss, name)()
    arrays = [p for p in loss.signature.parameters if p.name != "epsilon"]
    assert [p.name + "?" * (not p.required) for p in arrays] == PAGE[name]["call"]
    by_name = given(name)
    assert_close(loss(*by_name.values()), loss(**by_name))


@pytest.mark.parametrize("name", PAGE)
def test_help_explains_parameters_and_inputs(name):
    text = inspect.getdoc(getattr(gluon.loss, name))
    facts = PAGE[name]
    for parameter, _ in [*facts["parameters"], *facts.get("keyword_parameters", [])]:
        assert f"{parameter}: " in text
    if name != "SquaredHingeLoss":  # whose inputs are those of HingeLoss
        for argument in facts["call"]:
            assert f"``{argument.rstrip('?')}``" in text


@pytest.mark.parametrize("name", PAGE)
def test_the_shape_of_the_value(name):
    loss = getattr(gluon.loss, name)()
    expected = tuple(PAGE[name].get("value", [SIZES["N"]]))
    assert loss(**required(name)).shape == expected
    assert loss(**given(name)).shape == expected


@pytest.mark.parametrize("name", [n for n in PAGE if n not in ("CTCLoss", "SDMLLoss")])
def test_more_axes_are_averaged_out(name):
    """The value keeps the batch axis alone; cosines are of vectors, whose axes all stay."""
    arrays = {n: np.stack([x] * 3, axis=1) for n, x in required(name).items()}
    value = getattr(gluon.loss, name)()(**arrays)
    plain = getattr(gluon.loss, name)()(**required(name))
    if name == "CosineEmbeddingLoss":
        plain = np.repeat(plain, 3)
    if name == "TripletLoss":  # which sums
        assert value.shape == plain.shape
        return
    assert_close(value, plain)


@pytest.mark.parametrize("name", ALONG_BATCH)
def test_batch_axis_is_the_axis_that_stays(name):
    options = {"axis": 0} if name in ("SoftmaxCrossEntropyLoss", "KLDivLoss") else {}
    turned = {n: np.moveaxis(x, 0, -1) for n, x in required(name).items()}
    loss = getattr(gluon.loss, name)
    assert_close(loss(batch_axis=1, **options)(**turned), loss()(**required(name)))


@pytest.mark.parametrize("name", PAGE)
def test_weight_is_a_global_scalar(name):
    loss = getattr(gluon.loss, name)
    expected = 3 * loss(weight=1)(**required(name))
    assert_close(loss(weight=3)(**required(name)), expected)
    if PAGE[name]["parameters"][0] == ["weight", 1.0]:
        assert_close(loss(weight=None)(**required(name)), expected / 3)


@pytest.mark.parametrize("name", WEIGHED)
def test_sample_weight_weighs_each_sample(name):
    loss, arrays = getattr(gluon.loss, name)(), required(name)
    weight = np.arange(1.0, SIZES["N"] + 1)
    column = weight if name == "CTCLoss" else weight.reshape(-1, 1)
    value = loss(**arrays, sample_weight=column)
    if name == "PoissonNLLLoss":  # one mean of everything
        each = [loss(**{n: x[i : i + 1] for n, x in arrays.items()})[0] for i in range(SIZES["N"])]
        assert_close(value, [np.mean(np.array(each) * weight)])
    else:
        assert_close(value, loss(**arrays) * weight)


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_sample_weight_is_element_wise(name):
    loss, arrays = getattr(gluon.loss, name)(), required(name)
    weight = np.zeros(shape_of(name, "pred"))
    weight[:, 1] = 1.0
    alone = loss(**{n: x[:, 1:2] for n, x in arrays.items()})
    assert_close(loss(**arrays, sample_weight=weight), alone / SIZES["C"])
    assert_close(loss(**arrays, sample_weight=weight[:1]), alone / SIZES["C"])  # broadcast


@pytest.mark.parametrize(("name", "argument"), RESHAPED)
def test_as_many_elements_in_any_shape(name, argument):
    loss, arrays = getattr(gluon.loss, name)(), required(name)
    expected = loss(**arrays)
    for shape in (
        (SIZES["C"], SIZES["N"]),
        (-1,),
        (SIZES["N"], 2, -1),
        (SIZES["N"], SIZES["C"], 1),
    ):
        assert_close(loss(**{**arrays, argument: arrays[argument].reshape(shape)}), expected)


@pytest.mark.parametrize(("name", "argument"), RESHAPED)
def test_another_number_of_elements_is_refused(name, argument):
    loss, arrays = getattr(gluon.loss, name)(), required(name)
    like, found = PAGE[name]["as_many_elements_as"][argument], arrays[argument]
    for other in (found[:, :1], found[:1], found[0, 0], np.concatenate([found, found])):
        said = rf"{argument}: expected as many elements as {like}, of shape \(6, 4\), has; got"
        with pytest.raises(lg.InputError, match=said):
            loss(**{**arrays, argument: np.asarray(other)})


CHOICES = [(n, option) for n, facts in PAGE.items() for option in facts.get("choices", {})]


@pytest.mark.parametrize(("name", "option"), CHOICES)
def test_options_are_one_of_a_few_words(name, option):
    loss = getattr(gluon.loss, name)
    for word in PAGE[name]["choices"][option]:
        loss(**{option: word})
    with pytest.raises(lg.InputError, match=f"{option}: expected one of"):
        loss(**{option: "other"})


def test_the_smoothing_parameter_is_a_share():
    for inside in (0, 0.5, 0.999):
        gluon.SDMLLoss(inside)
    for outside in (1, 1.5, -0.2, math.nan, math.inf):
        with pytest.raises(lg.InputError, match="smoothing_parameter: expected a number"):
            gluon.SDMLLoss(outside)
    with pytest.raises(lg.InputError, match="smoothing_parameter"):
        gluon.SDMLLoss(smoothing_parameter=1.0)


def test_labels_stand_in_pred_s_shape_without_the_axis_of_the_classes():
    rng = np.random.default_rng(0)
    pred, label = rng.normal(size=(1, 2, 3, 4)), rng.integers(0, 3, (1, 2, 4))
    loss = gluon.SoftmaxCELoss(axis=2)
    log_probs = pred - np.log(np.exp(pred).sum(2, keepdims=True))
    picked = np.take_along_axis(log_probs, label[:, :, None], 2)
    assert_close(loss(pred, label), -picked.mean((1, 2, 3)))
    hot = np.moveaxis(np.eye(3)[label], -1, 2)
    assert_close(gluon.SoftmaxCELoss(axis=2, sparse_label=False)(pred, hot), loss(pred, label))
    weight = rng.uniform(size=(64, 1))
    pred, label = rng.normal(size=(64, 10, 5)), rng.integers(0, 5, (64, 10))
    plain = gluon.SoftmaxCELoss()(pred, label)
    assert_close(gluon.SoftmaxCELoss()(pred, label, weight), plain * weight[:, 0])


@pytest.mark.parametrize(
    ("options", "shape", "says"),
    [
        ({}, (3,), r"expected classes in the shape of pred .*\(2,\), as pred has shape \(2, 3\)"),
        ({}, (2, 3), "distributions over the classes are for sparse_label=False"),
        ({}, (1,), r"got shape \(1,\)"),
        ({"sparse_label": False}, (2,), "class indices are for sparse_label=True"),
    ],
)
def test_labels_of_other_shapes_name_the_option_that_is_meant(options, shape, says):
    with pytest.raises(lg.InputError, match=f"label: .*{says}"):
        gluon.SoftmaxCELoss(**options)(np.ones((2, 3)), np.zeros(shape))


def test_pos_weight_is_a_vector_of_the_classes():
    rng = np.random.default_rng(0)
    pred, label, weight = (
        rng.normal(size=(64, 10)),
        rng.uniform(size=(64, 10)),
        rng.uniform(size=10),
    )
    loss = gluon.SigmoidBCELoss()
    softplus = np.logaddexp
    expected = weight * label * softplus(0, -pred) + (1 - label) * softplus(0, pred)
    assert_close(loss(pred, label, None, weight.reshape(1, 10)), expected.mean(1))
    assert_close(loss(pred, label, None, weight), expected.mean(1))
    with pytest.raises(lg.InputError, match="pos_weight of shape"):
        loss(pred, label, None, rng.uniform(size=64))
    square = rng.normal(size=(10, 10)), label[:10], None, weight  # as many samples as classes
    assert_close(loss(*square), loss(*square[:3], weight.reshape(1, 10)))


def test_kl_divergences_take_labels_of_another_shape():
    pred, label = np.log([[0.2], [0.3], [0.5]]), np.array([0.1, 0.3, 0.6])
    value = gluon.KLDivLoss()(pred, label)
    assert_close(value, label * (np.log(label) - pred[:, 0]), tolerance=(0, 1e-10))
    with pytest.raises(lg.InputError, match="label: expected as many elements"):
        gluon.KLDivLoss()(np.zeros((1, 4)), np.full((3, 4), 0.25))


def test_rows_of_metric_learning_are_pairs():
    for other in ((3, 4), (4, 4), (1, 3), (12, 1)):
        with pytest.raises(lg.InputError, match=r"x2: expected the shape of x1, \(4, 3\)"):
            gluon.SDMLLoss()(np.ones((4, 3)), np.ones(other))


def test_cosines_have_one_label_for_each_pair():
    one = np.ones((4, 3))
    loss = gluon.CosineEmbeddingLoss()
    assert loss(one, one, np.ones(4)).shape == (4,)
    assert loss(one, one, np.ones((4, 1))).shape == (4,)
    for labels in (2, 3, 12):
        with pytest.raises(lg.InputError, match="label: expected as many elements as the pairs"):
            loss(one, one, np.ones(labels))
    with pytest.raises(lg.InputError, match="label: expected as many"):
        loss(one[:1], one[:1], np.ones(3))
    assert_close(loss(one, one, np.ones(1)), loss(one, one, np.ones(4)))
    assert_close(loss(one, one, 1), loss(one, one, np.ones(4)))


# --- sequences ---


def test_the_page_s_example_of_three_words():
    labels = np.array([[1, 0, -1, -1], [2, 1, 1, -1], [0, 1, 0, 2]])
    pred = np.random.default_rng(0).normal(size=(3, 6, 4))
    loss, lengths = gluon.CTCLoss(), np.array([2, 3, 4])
    value = loss(pred, labels)
    assert value.shape == (3,)
    assert_close(value, loss(pred, labels, None, lengths))
    turned = gluon.CTCLoss(layout="TNC", label_layout="TN")
    assert_close(value, turned(pred.swapaxes(0, 1), labels.T))


@pytest.mark.parametrize("labels", [[[0, 2]], [[2, -1]], [[1.0, 2.0]], [[3, 0]], [[-2, 0]]])
def test_the_blank_and_what_is_no_class_are_no_labels(labels):
    pred, labels = np.zeros((1, 3, 3)), np.array(labels)
    with pytest.raises(lg.InputError, match=r"label\[0, \d\] is .* not one of the 2 allowed"):
        gluon.CTCLoss()(pred, labels)
    with pytest.raises(lg.InputError, match=r"label\[\d, 0\] is .* not one of the 2 allowed"):
        gluon.CTCLoss(label_layout="TN")(pred, labels.T)
    types = {"pred": ("float64", ("N", "T", 3)), "label": (labels.dtype.name, ("N", "L"))}
    model = gluon.CTCLoss().to_onnx(types, grad=("pred",))
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    value, gradient = session.run(None, {"pred": pred, "label": labels})
    assert np.isnan(value).all()
    assert np.isnan(gradient).all()


def test_a_blank_past_the_end_of_a_label_is_nothing():
    pred = np.random.default_rng(0).normal(size=(1, 4, 3))
    loss = gluon.CTCLoss()
    whole = loss(pred, np.array([[0, -1, 2]]))
    assert_close(whole, loss(pred, np.array([[0]])))
    assert_close(whole, loss(pred, np.array([[0, 2, 2]]), None, np.array([1])))


# --- blocks without parameters ---


@pytest.mark.parametrize("name", PAGE)
def test_a_loss_is_a_block_without_parameters(name):
    loss, arrays = getattr(gluon.loss, name)(), required(name)
    expected = loss(**arrays)
    assert loss.collect_params() == loss.collect_params(".*weight") == loss.params == {}
    assert loss.prefix == f"{name.lower()}0_" == loss.params.prefix
    assert loss.initialize() is loss.hybridize() is loss.cast("float16") is None
    assert loss.infer_shape(*arrays.values()) is loss.infer_type(*arrays.values()) is None
    assert_close(loss.forward(*arrays.values()), expected)
    seen = []
    assert loss.apply(seen.append) is loss
    assert seen == [loss]
    with loss.name_scope():
        pass
    found = {"net": 1}
    found.update(loss.collect_params())
    assert found == {"net": 1}
    parameters = loss.collect_params()
    parameters.initialize()
    parameters.zero_grad()
    parameters.setattr("grad_req", "null")
    parameters.reset_ctx(None)
    with pytest.raises(lg.DtypeError):
        loss.cast("float17")


# --- where MXNet 1.9.1 is followed against the page, as the guide's table says ---


def test_the_blank_is_a_label_where_lengths_are_given():
    pred = np.ones((2, 20, 4), np.float32)
    label = np.array([[2, 1, 2, 2], [3, 2, 2, 2]])
    value = gluon.CTCLoss()(pred, label, None, np.array([2, 3]))
    assert_close(value, np.array([18.82820702, 16.50581741], np.float32), tolerance=(1e-6, 0))
    with pytest.raises(lg.InputError, match=r"label\[1, 0\] is 3, which is not one of the 3"):
        gluon.CTCLoss()(pred, label)


def test_cosines_of_pairs_labelled_minus_one_have_a_margin():
    one, two = np.array([[1.0, 0], [1, 0]]), np.array([[3.0, 4], [-1, 0]])
    value = gluon.CosineEmbeddingLoss(margin=0.5)(one, two, -np.ones(2))
    assert_close(value, [0.1, 0], tolerance=(1e-9, 1e-12))


def test_stirling_s_term_is_of_targets_above_one():
    pred, target = np.zeros((1, 3)), np.array([[0.0, 1, 4]])
    plain = gluon.PoissonNLLLoss()(pred, target)
    full = gluon.PoissonNLLLoss(compute_full=True)(pred, target)
    term = 4 * np.log(4) - 4 + 0.5 * np.log(2 * np.pi * 4)
    assert_close(full - plain, [term / 3])


def test_epsilon_is_a_parameter_and_an_argument_of_the_call():
    arrays = required("PoissonNLLLoss")
    arrays = {n: np.abs(x) + 0.1 for n, x in arrays.items()}
    by_option = gluon.PoissonNLLLoss(from_logits=False, epsilon=0.5)(**arrays)
    assert_close(gluon.PoissonNLLLoss(from_logits=False)(**arrays, epsilon=0.5), by_option)


@pytest.mark.parametrize("name", ["PoissonNLLLoss", "CosineEmbeddingLoss", "SDMLLoss"])
def test_batch_axis_has_no_effect_where_the_value_has_no_such_axis(name):
    loss, arrays = getattr(gluon.loss, name), required(name)
    assert_close(loss(batch_axis=1)(**arrays), loss()(**arrays))
