"""Class labels of every loss: a label between two classes is none, whoever gives it."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

import lossgraph as lg
from lossgraph import gluon, nn, optax, reference
from lossgraph.catalogue import entries
from lossgraph.deploy.example_inputs import draw_inputs
from lossgraph.ir.expr import inputs_of
from support import assert_close

SCORES = np.array([[2.0, 1.0, 0.1], [0.5, -1.0, 3.0]], np.float32)


def labels_of(entry):
    """The inputs of a loss that are class indices, or lengths, and so are looked at."""
    loss = entry.make()
    program = loss.program(entry.example_types(loss))
    found = {name for name, _ in program.labels}
    for label, _ in program.derived:
        found |= {node.attrs["name"] for node in inputs_of([label])}
    return sorted(found - {n for n in found if "padding" in n})


CASES = [
    (entry, name)
    for entry in entries()
    if entry.namespace != "gluon"
    for name in labels_of(entry)
]  # fmt: skip


def with_fraction(array):
    """A copy as floats, of which the first element lies between two whole numbers."""
    moved = array.astype(np.float64)
    moved.flat[0] += 0.5 if moved.flat[0] == 0 else -0.5
    return moved


def test_the_losses_with_class_labels_are_found():
    found = {f"{entry.name}:{name}" for entry, name in CASES}
    assert len(found) > 25
    assert {"nn.CrossEntropyLoss:target", "losses.arcface:label", "optax.ctc_loss:labels"} <= found


@pytest.mark.parametrize(("entry", "name"), CASES, ids=[f"{e.name}-{n}" for e, n in CASES])
def test_a_label_between_two_classes_is_refused(entry, name):
    loss = entry.make()
    arrays = draw_inputs(loss, loss.program(entry.example_types(loss)))
    whole = loss(**{**arrays, name: arrays[name].astype(np.float64)})
    first = whole[0] if isinstance(whole, tuple) else whole
    assert np.isfinite(first).all()
    with pytest.raises(lg.InputError, match=rf"{name}(\[0.*\])? is .*\.5, which is not one of the"):
        loss(**{**arrays, name: with_fraction(arrays[name])})


EXPORTED = {
    "nn.CrossEntropyLoss": (nn.CrossEntropyLoss(reduction="none"), "input", "target", None),
    "nn.NLLLoss": (nn.NLLLoss(reduction="none"), "input", "target", None),
    "nn.MultiMarginLoss": (nn.MultiMarginLoss(reduction="none"), "input", "target", None),
    "optax": (optax.softmax_cross_entropy_with_integer_labels, "logits", "labels", None),
    "optax hinge": (optax.multiclass_hinge_loss, "scores", "labels", None),
    "losses": (lg.losses.softmax_focal, "logits", "label", None),
    "gluon": (gluon.SoftmaxCELoss(), "pred", "label", [1, 2]),  # as MXNet reads them
}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("case", EXPORTED)
def test_a_graph_gives_nan_for_a_label_between_two_classes(case, dtype):
    loss, scores, label, instead = EXPORTED[case]
    types = {scores: ("float32", ("N", 3)), label: (dtype, ("N",))}
    model = loss.to_onnx(types, grad=(scores,)).SerializeToString()
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    value, gradient = session.run(None, {scores: SCORES, label: np.array([1.5, 2], dtype)})
    whole, grads = loss.value_and_grad(SCORES, np.array([1, 2]))
    assert_close(value[1], whole[1])
    assert_close(gradient[1], grads[scores][1])
    if instead is None:
        assert np.isnan(value[0])
        assert np.isnan(gradient[0]).all()
    else:
        assert_close(value[0], whole[0])


def test_labels_of_pytorch_s_cross_entropy_are_not_cut_off():
    with pytest.raises(lg.InputError, match=r"target\[0\] is 2\.9, which is not one of the 3"):
        nn.CrossEntropyLoss()(SCORES, np.array([2.9, -0.5]))
    with pytest.raises(lg.InputError, match=r"target\[1\] is -0\.5, which"):
        nn.CrossEntropyLoss()(SCORES, np.array([2.0, -0.5], np.float32))


def test_an_ignored_index_is_compared_before_it_is_a_class():
    loss = nn.CrossEntropyLoss(ignore_index=-1)
    assert_close(loss(SCORES, np.array([2.0, -1.0])), loss(SCORES, np.array([2, -1])))
    with pytest.raises(lg.InputError, match=r"-1\.5"):
        loss(SCORES, np.array([2.0, -1.5]))
    linear = nn.LinearCrossEntropyLoss()
    with pytest.raises(lg.InputError, match=r"-100\.5"):
        linear(SCORES, np.ones((4, 3), np.float32), np.array([-100.5, 1]))


def test_an_error_names_the_input_that_holds_the_label():
    zeros = np.zeros((2, 2))
    with pytest.raises(lg.InputError, match=r"labels\[1, 0\] is 7, which"):
        optax.ctc_loss(np.zeros((2, 5, 3)), np.zeros((2, 5)), np.array([[1, 2], [7, 1]]), zeros)


def test_gluon_cuts_fractions_off_as_mxnet_does():
    loss, labels = gluon.SoftmaxCELoss(), np.array([2.9, -0.5], np.float32)
    assert_close(loss(SCORES, labels), loss(SCORES, np.array([2, 0])))
    with pytest.raises(lg.InputError, match=r"label\[0\] is 3\.0, which"):
        loss(SCORES, np.array([3.1, 0]))
    ctc, steps = gluon.CTCLoss(), np.random.default_rng(0).normal(size=(1, 4, 3))
    assert_close(ctc(steps, np.array([[1.7, 0.2]])), ctc(steps, np.array([[1, 0]])))
    assert_close(ctc(steps, np.array([[1.7, -1.0]])), ctc(steps, np.array([[1, -1]])))


@pytest.mark.parametrize("function", ["pick", "take"])
def test_mode_raise_of_the_language_takes_whole_numbers_only(function):
    def body(F, x, index):
        if function == "take":
            return F.take(x, index, axis=1, mode="raise")
        return F.pick(x, index, axis=1, mode="raise")

    run = lg.compile(body, {"x": ("float64", ("N", 3)), "index": ("float64", ("N",))})
    x = SCORES.astype(np.float64)
    on_numpy = body(reference, reference.Array(x), reference.Array(np.array([1, 2])))
    assert_close(run(x, np.array([1.0, 2.0])), on_numpy.asnumpy())
    for index in ([0.5, 1], [1, np.nan], [-0.5, 1], [2.5, 0]):
        with pytest.raises(lg.InputError, match=r"index\["):
            run(x, np.array(index))
        with pytest.raises(lg.InputError, match=r"(index|indices)\["):
            body(reference, reference.Array(x), reference.Array(np.array(index)))
