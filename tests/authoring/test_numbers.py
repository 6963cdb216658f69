"""A Python number is taken where an array of rank 0 would be, by every loss."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon, losses, nn, optax, reference
from lossgraph.authoring.functions import FunctionLoss
from lossgraph.catalogue import entries
from lossgraph.deploy.example_inputs import draw_inputs
from support import assert_close

SCORES = np.array([2.0, 1.0, 0.1], np.float32)
PAIR = np.array([1.0, -2.0], np.float32)


def answer(loss, arrays):
    """The value, or the words of a refusal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", lg.LossgraphWarning)
        try:
            return loss(**arrays)
        except lg.InputError as error:
            return str(error)


def plain(value):
    """A number of Python from the first element."""
    return value.ravel()[0].item()


@pytest.mark.parametrize("entry", entries(), ids=lambda e: e.name)
def test_a_number_is_what_an_array_of_rank_0_is(entry):
    loss = entry.make()
    arrays = draw_inputs(loss, loss.program(entry.example_types(loss)))
    for name in arrays:
        if name not in loss.signature.by_name:
            continue  # the parameters of an adaptive softmax
        number = plain(arrays[name])
        as_number = answer(loss, {**arrays, name: number})
        as_array = answer(loss, {**arrays, name: np.asarray(number, arrays[name].dtype)})
        if isinstance(as_array, str) or isinstance(as_number, str):
            assert isinstance(as_array, str)
            assert isinstance(as_number, str)
        elif not isinstance(as_array, tuple):
            assert_close(as_number, as_array, tolerance=(1e-6, 1e-6))


CASES = {
    "a class": (nn.CrossEntropyLoss(), (SCORES, 2), np.array(2)),
    "a class of NLL": (nn.NLLLoss(), (SCORES, 1), np.array(1)),
    "a class with margins": (nn.MultiMarginLoss(), (SCORES, 1), np.array(1)),
    "a class of optax": (optax.multiclass_hinge_loss, (SCORES, 1), np.array(1)),
    "a class of no framework": (losses.softmax_focal, (SCORES, 1), np.array(1)),
    "a target": (nn.MSELoss(), (PAIR, 1.5), np.array(1.5, np.float32)),
    "an int": (nn.L1Loss(), (PAIR, 1), np.array(1, np.float32)),
    "a sign": (nn.CosineEmbeddingLoss(), (PAIR, SCORES[:2], 1), np.array(1)),
    "a distance": (nn.HingeEmbeddingLoss(), (PAIR, -1), np.array(-1)),
    "optax's": (optax.huber_loss, (PAIR, 0.5), np.array(0.5, np.float32)),
    "a variance": (nn.GaussianNLLLoss(), (PAIR, PAIR, 2.0), np.array(2, np.float32)),
}


@pytest.mark.parametrize("case", CASES)
def test_numbers_of_every_kind(case):
    loss, (*arrays, number), array = CASES[case]
    assert_close(loss(*arrays, number), loss(*arrays, array))
    value, grads = loss.value_and_grad(*arrays, number)
    expected, slopes = loss.value_and_grad(*arrays, array)
    assert_close(value, expected)
    first = loss.arguments[0]
    assert grads[first].dtype == np.float32
    assert_close(grads[first], slopes[first])


def test_labels_and_weights_of_gluon():
    one, two = np.ones((4, 3)), np.arange(12.0).reshape(4, 3)
    cosine = gluon.CosineEmbeddingLoss()
    assert_close(cosine(one, two, 1), cosine(one, two, np.ones(4)))
    for loss in (gluon.L2Loss(), gluon.SigmoidBCELoss(), gluon.KLDivLoss(), gluon.PoissonNLLLoss()):
        assert_close(loss(one, one / 2, 3), 3 * loss(one, one / 2))
        assert_close(loss(one, one / 2, 0.5), 0.5 * loss(one, one / 2))
    bce = gluon.SigmoidBCELoss()
    assert_close(bce(two, one / 2, None, 2), bce(two, one / 2, None, np.full((1, 3), 2.0)))


def test_a_number_alone_and_first():
    bce = nn.BCEWithLogitsLoss()
    assert_close(bce(1.5, 1.0), np.array(np.log1p(np.exp(-1.5)), np.float32))
    value = nn.MSELoss()(1, PAIR)
    assert value.dtype == np.float32
    assert_close(value, nn.MSELoss()(PAIR, 1))
    assert nn.MSELoss()(1.0, PAIR.astype(np.float64)).dtype == np.float64


@pytest.mark.parametrize("number", [1.0, 1, True])
def test_where_the_shape_has_to_be_the_same_a_number_is_refused_as_its_tensor_is(number):
    with pytest.raises(lg.InputError, match=r"target: expected the shape of input, \(2,\), got"):
        nn.BCEWithLogitsLoss()(PAIR, number)
    with pytest.raises(lg.InputError, match=r"label: expected as many elements as pred"):
        gluon.L2Loss()(PAIR, number)


def test_numbers_beside_symbols_and_reference_arrays_are_constants():
    inside = lg.compile(
        lambda F, scores: nn.CrossEntropyLoss()(scores, 2) + nn.MSELoss()(scores, 0.5),
        {"scores": ("float32", (3,))},
    )
    expected = nn.CrossEntropyLoss()(SCORES, 2) + nn.MSELoss()(SCORES, 0.5)
    assert_close(inside(SCORES), expected)
    on_numpy = nn.CrossEntropyLoss()(reference.Array(SCORES), 2).asnumpy()
    assert_close(on_numpy, nn.CrossEntropyLoss()(SCORES, 2))


def test_a_number_in_a_graph_is_a_constant():
    model = nn.CrossEntropyLoss().to_onnx({"input": ("float32", ("C",))}, target=1)
    assert [node.name for node in model.graph.input] == ["input"]
    model = gluon.L2Loss().to_onnx(
        dict.fromkeys(("pred", "label"), ("float32", ("N", 3))), sample_weight=2.0
    )
    assert len(model.graph.input) == 2


def test_one_graph_serves_all_numbers():
    loss = nn.MSELoss()
    for target in (0.5, 1.5, -3.0):
        assert_close(loss(PAIR, target), np.mean((PAIR - np.float32(target)) ** 2))
    (variants,) = loss._compiled_variants._by_state.values()
    assert len(variants) == 1


def test_what_a_body_of_one_s_own_calls_a_number_stays_one():
    def hot(F, label, depth):
        assert isinstance(depth, int)
        return F.one_hot(label, depth)

    assert FunctionLoss(hot)(np.array([0, 2]), 4).shape == (2, 4)
