"""Axes of length zero, known only when arrays come: an answer as NumPy's, or an InputError."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon, nn, reference, symbolic
from lossgraph.authoring.functions import as_loss
from lossgraph.errors import InputError, LossgraphError

MATRIX = ("float32", ("N", "C"))
# What has no answer where the axis it looks along has no element: NumPy refuses it too.
LOOKS = {
    "argmin": lambda F, x: F.argmin(x, axis=1),
    "argmax": lambda F, x: F.argmax(x, axis=1),
    "argmax of all": lambda F, x: F.argmax(x),
    "topk": lambda F, x: F.topk(x, axis=1, k=1),
    "two of topk": lambda F, x: F.topk(x, axis=1, k=2, ret_typ="value"),
    "mask of topk": lambda F, x: F.topk(x, axis=1, k=1, ret_typ="mask"),
    "take": lambda F, x: F.take(x, F.array([0]), axis=1),
    "take_along_axis": lambda F, x: F.take_along_axis(x, F.array([[0]]), axis=1),
    "pick": lambda F, x: F.pick(x, F.zeros_like(F.sum(x, axis=1)), axis=1),
    "max": lambda F, x: F.max(x, axis=1),
    "min": lambda F, x: F.min(x, axis=1),
    "max of all": lambda F, x: F.max(x),
    "Embedding": lambda F, x: F.Embedding(F.array([0]), F.transpose(x), input_dim=0, output_dim=2),
}
ANSWERS = {
    "all of topk": lambda F, x: F.topk(x, axis=1, k=0),
    "sort": lambda F, x: F.sort(x, axis=1),
    "argsort": lambda F, x: F.argsort(x, axis=1),
    "nothing of take": lambda F, x: F.take(x, F.zeros((0,)), axis=1),
    "sum": lambda F, x: F.sum(x, axis=1),
    "prod": lambda F, x: F.prod(x, axis=1),
    "mean": lambda F, x: F.mean(x, axis=1),
    "norm": lambda F, x: F.norm(x, axis=1),
    "logsumexp": lambda F, x: F.logsumexp(x, axis=1),
    "softmax": lambda F, x: F.softmax(x, axis=1),
    "log_softmax": lambda F, x: F.log_softmax(x, axis=1),
    "cumsum": lambda F, x: F.cumsum(x, axis=1),
    "slice": lambda F, x: x[:, ::-1][:, :2],
    "max of each column": lambda F, x: F.max(x, axis=0),
}


@pytest.mark.parametrize("name", LOOKS)
def test_nothing_to_look_at_is_an_error_in_words(name):
    body = LOOKS[name]
    compiled = lg.compile(body, {"x": MATRIX})
    for call in (as_loss(body), compiled):
        with pytest.raises(InputError, match=r"length zero|cannot take [12] of 0 elements"):
            call(np.zeros((2, 0), "f"))
    with pytest.raises(InputError, match="for sizes N=2, C=0"):
        compiled(np.zeros((2, 0), "f"))
    with pytest.raises(LossgraphError):  # and where the size is known before
        as_loss(body).to_onnx({"x": ("float32", (2, 0))})
    assert np.isfinite(compiled(np.ones((2, 3), "f"))).all()  # other arrays are taken after it


@pytest.mark.parametrize("name", ANSWERS)
def test_other_operators_have_numpys_answer(name):
    body = ANSWERS[name]
    x = np.zeros((2, 0), "f")
    with np.errstate(all="ignore"):
        expected = body(reference, reference.Array(x)).asnumpy()
    for call in (as_loss(body), lg.compile(body, {"x": MATRIX})):
        np.testing.assert_array_equal(call(x), expected)


def test_no_rows_have_no_extrema():
    """An extremum of each row of none: an empty answer, though the columns are none either."""
    for shape in ((0, 3), (0, 0)):
        assert lg.compile(LOOKS["max"], {"x": MATRIX})(np.zeros(shape, "f")).shape == (0,)


LOSSES = [
    (nn.MSELoss(), ("input", "target")),
    (nn.L1Loss(reduction="none"), ("input", "target")),
    (nn.BCEWithLogitsLoss(), ("input", "target")),
    (gluon.L2Loss(), ("pred", "label")),
]


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (0, 0), (5, 3), (7, 5000)], ids=str)
@pytest.mark.parametrize(("loss", "names"), LOSSES, ids=lambda value: type(value).__name__)
def test_tiles_and_threads(loss, names, shape):
    """The same as in one piece, gradients included."""
    types = dict.fromkeys(names, MATRIX)
    rng = np.random.default_rng(0)
    arrays = {name: rng.uniform(size=shape).astype("f") for name in names}
    whole, wanted = lg.compile(loss, types, grad=names[:1], tiles=0, threads=1)(**arrays)
    for tiles in (1, 2):
        for threads in (1, 2):
            run = lg.compile(loss, types, grad=names[:1], tiles=tiles, threads=threads)
            value, grads = run(**arrays)
            np.testing.assert_allclose(value, whole, rtol=1e-6)
            np.testing.assert_allclose(grads[names[0]], wanted[names[0]], rtol=1e-6)


def test_gradients_of_means_in_tiles():
    """Of a large batch, which is taken in tiles unasked: the engine loads what it is given."""
    x = np.full((4096, 300), 0.5, "f")
    for loss, others in ((nn.MSELoss(), [0 * x]), (nn.GaussianNLLLoss(), [0 * x, 1 + 0 * x])):
        _, grads = loss.value_and_grad(x, *others)
        np.testing.assert_allclose(grads["input"], grads["input"][0, 0])
        assert grads["input"][0, 0] > 0


def test_a_program_that_reads_no_input():
    """How it is lowered is not decided by the sizes of its inputs, of which there are none."""
    value = symbolic.norm(symbolic.ones((2, 4)), axis=1)
    np.testing.assert_array_equal(lg.compile(value)(), np.array([2, 2], np.float32))


def test_a_maximum_of_nothing_for_no_row_is_no_error():
    """The rows are known to be none only when the array comes: one axis alone decides nothing."""

    def largest(F, x):
        return F.max(x[2:1, :0], axis=1)

    assert as_loss(largest)(np.zeros((4, 3), "f")).shape == (0,)
    with pytest.raises(InputError, match="length zero"):
        as_loss(lambda F, x: F.max(x[:, :0], axis=1))(np.zeros((4, 3), "f"))
