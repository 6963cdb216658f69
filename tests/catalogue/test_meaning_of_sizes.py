"""What weights and masks mean never depends on lengths that happen to be equal.

A problem whose lengths coincide is compared with the same problem inside a larger one, whose
lengths differ: it means the same there, or is refused.
"""

from __future__ import annotations

import contextlib
import itertools

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon, losses, nn, optax
from lossgraph.authoring.weighting import weigh, weigh_samples
from support import assert_close

RNG = np.random.default_rng(5)
N = 3  # of samples; and of columns, where they coincide


def real(*shape):
    return RNG.normal(size=shape)


def positive(*shape):
    return RNG.uniform(0.2, 0.9, shape)


def classes(*shape):
    return RNG.integers(0, 3, shape)


ELEMENTWISE = {
    "L2": (gluon.L2Loss(), real, real),
    "L1": (gluon.L1Loss(), real, real),
    "BCE": (gluon.SigmoidBCELoss(), real, positive),
    "KL": (gluon.KLDivLoss(), real, positive),
    "Huber": (gluon.HuberLoss(), real, real),
    "Hinge": (gluon.HingeLoss(), real, real),
    "SquaredHinge": (gluon.SquaredHingeLoss(), real, real),
    "Logistic": (gluon.LogisticLoss(), real, real),
    "Poisson": (gluon.PoissonNLLLoss(), real, positive),
}


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_a_vector_that_could_weigh_samples_or_columns_is_refused(name):
    loss, pred, label = ELEMENTWISE[name]
    arrays, weight = (pred(N, N), label(N, N)), positive(N)
    said = (
        r"sample_weight of shape \(3,\) for losses of shape \(3, 3\): one weight per sample is "
        r"\(3, 1\), one per column is \(1, 3\)"
    )
    with pytest.raises(lg.InputError, match=said):
        loss(*arrays, weight)
    with pytest.raises(lg.InputError, match=said):
        loss.value_and_grad(*arrays, weight)


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("columns", [1, 2, 5])
def test_a_vector_that_fits_one_way_is_taken(name, columns):
    loss, pred, label = ELEMENTWISE[name]
    arrays, weight = (pred(N, columns), label(N, columns)), positive(N)
    assert_close(loss(*arrays, weight), loss(*arrays, weight.reshape(N, 1)))
    weight = positive(columns)
    assert_close(loss(*arrays, weight), loss(*arrays, weight.reshape(1, columns)))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_names_of_dims_decide(name):
    loss, pred, label = ELEMENTWISE[name]
    arrays, weight = (pred(N, N), label(N, N)), positive(N)
    of_names = {"pred": ("float64", ("N", "C")), loss.arguments[1]: ("float64", ("N", "C"))}
    by_sample = lg.compile(loss, {**of_names, "sample_weight": ("float64", ("N",))})
    by_column = lg.compile(loss, {**of_names, "sample_weight": ("float64", ("C",))})
    assert_close(by_sample(*arrays, weight), loss(*arrays, weight.reshape(N, 1)))
    assert_close(by_column(*arrays, weight), loss(*arrays, weight.reshape(1, N)))
    for shape, dim in ((("N", 3), "N"), ((3, "C"), "C"), ((3, 4), 3), ((3, 4), 4)):
        types = {"pred": ("float64", shape), loss.arguments[1]: ("float64", shape)}
        lg.compile(loss, {**types, "sample_weight": ("float64", (dim,))})
    for shape, dim in ((("N", "N"), "N"), ((3, 3), 3)):
        types = {"pred": ("float64", shape), loss.arguments[1]: ("float64", shape)}
        with pytest.raises(lg.InputError, match="one weight per sample is"):
            lg.compile(loss, {**types, "sample_weight": ("float64", (dim,))})
    with pytest.raises(lg.InputError, match=r"sample_weight of shape \(M,\) fits neither"):
        lg.compile(loss, {**of_names, "sample_weight": ("float64", ("M",))})


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_axis_of_samples_may_be_the_last(axis):
    loss = gluon.L2Loss(batch_axis=axis)
    pred, label, weight = real(N, N, N), real(N, N, N), positive(N)
    if axis == 2:
        assert_close(loss(pred, label, weight), loss(pred, label) * weight)
        return
    entry = r"one per entry of the last axis is \(1, 1, 3\)"
    sample = r"\(3, 1, 1\)" if axis == 0 else r"\(1, 3, 1\)"
    with pytest.raises(lg.InputError, match=rf"one weight per sample is {sample}, {entry}"):
        loss(pred, label, weight)


# --- labels that have not the rank of the losses ---


def test_weights_of_sequences_follow_the_label():
    pred = np.zeros((2, 2, 3), np.float32)
    pred[0, :, 0] = 5
    weight = np.array([[1], [0]], np.float32)
    value = gluon.SoftmaxCELoss()(pred, np.zeros((2, 2), int), weight)
    assert_close(value, np.array([0.0133859, 0], np.float32), tolerance=(1e-5, 1e-7))


def by_label(loss, pred, label, weight):
    """The loss by a weight for each element of the label, which has but one meaning."""
    return loss(pred, label, np.broadcast_to(weight, label.shape).copy())


LABELLED = {
    "sequences": (gluon.SoftmaxCELoss(), (N, N, 4), (N, N), (N, 1)),
    "images": (gluon.SoftmaxCELoss(), (N, N, 2, 4), (N, N, 2), (N, 1, 1)),
    "cubes": (gluon.SoftmaxCELoss(), (N, N, N, 3), (N, N, N), (1, N, 1)),
    "classes first": (gluon.SoftmaxCELoss(axis=1), (N, 3, N, N), (N, N, N), (N, 1, 1)),
    "a last axis of one": (gluon.L2Loss(), (N, N, 1), (N, N), (N, 1)),
    "a first axis of one": (gluon.L1Loss(), (1, N, N), (N, N), (1, N)),
}


@pytest.mark.parametrize("name", LABELLED)
def test_a_weight_of_the_label_s_rank_is_of_the_label(name):
    loss, pred, label, weight = LABELLED[name]
    drawn = classes(*label) if isinstance(loss, gluon.SoftmaxCELoss) else real(*label)
    given = real(*pred), drawn, positive(*weight)
    assert_close(loss(*given), by_label(loss, *given))


def test_sequences_of_other_lengths_are_weighed_alike():
    given = real(2, 5, 4), classes(2, 5), positive(2, 1)
    assert_close(gluon.SoftmaxCELoss()(*given), by_label(gluon.SoftmaxCELoss(), *given))


def test_a_weight_of_the_loss_s_rank_is_of_the_loss():
    pred, label = real(N, N, 4), classes(N, N)
    loss, weight = gluon.SoftmaxCELoss(), positive(1, N, 1)
    assert_close(loss(pred, label, weight), by_label(loss, pred, label, weight[..., 0]))
    with pytest.raises(lg.InputError, match=r"shape \(5, 1\) fits neither"):
        loss(real(N, 5, 4), classes(N, 5), positive(5, 1))  # N = 5 would mean samples


@pytest.mark.parametrize("name", ["sequences", "a last axis of one"])
def test_a_vector_for_sequences_is_refused_where_it_could_be_two(name):
    loss, pred, label, _ = LABELLED[name]
    drawn = classes(*label) if name == "sequences" else real(*label)
    with pytest.raises(lg.InputError, match=r"one weight per sample is \(3, 1\), one per column"):
        loss(real(*pred), drawn, positive(N))


@pytest.mark.parametrize("labels", [(6,), (6, 1), (2, 3)])
@pytest.mark.parametrize("weights", [(6,), (6, 1), (2, 3)])
def test_pairs_of_vectors_have_one_weight_each(labels, weights):
    if weights == (2, 3) and labels != (2, 3):
        return
    one, two = real(2, 3, 4), real(2, 3, 4)
    label, weight = np.where(real(*labels) > 0, 1.0, -1.0), positive(*weights)
    loss = gluon.CosineEmbeddingLoss()
    assert_close(loss(one, two, label, weight), loss(one, two, label) * weight.ravel())


# --- all ranks and lengths, against the readings themselves ---


def readings(weight, loss, axis):
    """What a weight may mean for losses of a shape: arrays of that shape."""
    found = []
    with contextlib.suppress(ValueError):
        found.append(np.broadcast_to(weight, loss))
    if weight.ndim == 1 and weight.shape[0] == loss[axis]:
        column = [1] * len(loss)
        column[axis] = -1
        found.append(np.broadcast_to(weight.reshape(column), loss))
    return found


@pytest.mark.parametrize("shape", [(3, 3), (3, 2), (1, 3), (3, 1), (3, 3, 3), (2, 3, 3), (3, 2, 3)])
@pytest.mark.parametrize("axis", [0, 1])
def test_a_weight_has_its_one_meaning_or_none(shape, axis):
    losses_ = real(*shape)
    for rank in range(len(shape) + 2):
        for lengths in itertools.product((1, 2, 3), repeat=rank):
            weight = positive(*lengths)
            expected = readings(weight, shape, axis)
            body = lambda F, loss, w: weigh(F, loss, w, batch_axis=axis)  # noqa: E731
            by_reference = lg.reference.Array(losses_), lg.reference.Array(weight)
            alike = all(np.array_equal(expected[0], other) for other in expected)
            if expected and alike:
                found = body(lg.reference, *by_reference).asnumpy()
                assert_close(found, losses_ * expected[0])
            else:
                with pytest.raises(lg.InputError, match=r"sample_weight of shape"):
                    body(lg.reference, *by_reference)


# --- other weights and masks ---


def test_the_share_of_a_mixture_is_of_samples():
    loss = lg.mixup(optax.squared_error, label="targets")

    def mixed(x, y, other, share):
        return loss(predictions=x, targets=y, targets_mixed=other, lam=share)

    x, y, other = real(N, N), real(N, N), real(N, N)
    share = positive(N)
    plain = optax.squared_error(x, y), optax.squared_error(x, other)
    expected = share[:, None] * plain[0] + (1 - share[:, None]) * plain[1]
    assert_close(mixed(x, y, other, share), expected)
    assert_close(mixed(x, y, other, share.reshape(N, 1)), expected)
    by_column = share * plain[0] + (1 - share) * plain[1]
    assert_close(mixed(x, y, other, share.reshape(1, N)), by_column)
    with pytest.raises(lg.InputError, match=r"lam of shape \(5,\): expected one for each sample"):
        mixed(real(N, 5), real(N, 5), real(N, 5), positive(5))
    assert_close(mixed(x, y, other, 0.25), 0.25 * plain[0] + 0.75 * plain[1])


def test_the_weights_of_a_sum_never_enlarge_its_parts():
    loss = lg.weighted_sum({"a": ("w", optax.squared_error)})
    x, y = real(N, 2), real(N, 2)
    plain = optax.squared_error(x, y)
    weight = positive(N)
    assert_close(loss(x, y, w=weight)[0], plain * weight[:, None])
    assert_close(loss(x, y, w=weight.reshape(N, 1))[0], plain * weight[:, None])
    for single in (np.array(0.5), np.array([0.5]), 0.5):
        assert_close(loss(x, y, w=single)[0], plain * 0.5)
    with pytest.raises(lg.InputError, match=r"w of shape \(3,\) for losses of shape \(3, 3\)"):
        loss(real(N, N), real(N, N), w=weight)
    rows = lg.weighted_sum({"a": ("w", gluon.L2Loss())})
    with pytest.raises(lg.InputError, match=r"w of shape \(3, 1\) fits neither"):
        rows(x, y, w=weight.reshape(N, 1))


# (loss, arrays by coinciding length, weight's name, its shape, arrays where no length coincides)
BY_CLASS = {
    "nn.BCELoss": (nn.BCELoss(reduction="none"), positive, positive, "weight"),
    "nn.BCEWithLogitsLoss": (nn.BCEWithLogitsLoss(reduction="none"), real, positive, "weight"),
    "pos_weight": (nn.BCEWithLogitsLoss(reduction="none"), real, positive, "pos_weight"),
    "nn.MultiLabelSoftMarginLoss": (
        nn.MultiLabelSoftMarginLoss(reduction="none"), real, positive, "weight"),
    "gluon pos_weight": (gluon.SigmoidBCELoss(), real, positive, "pos_weight"),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_CLASS)
def test_what_is_documented_by_class_is_by_class_whatever_the_sizes_are(name):
    loss, draw, label, weight_name = BY_CLASS[name]
    x, y, weight = draw(N, N), label(N, N), positive(N)
    square = loss(x, y, **{weight_name: weight})
    rows = [
        loss(x[:2], y[:2], **{weight_name: weight}),
        loss(x[2:], y[2:], **{weight_name: weight}),
    ]
    assert_close(square, np.concatenate(rows))
    with pytest.raises(lg.InputError, match=weight_name):
        loss(draw(N, 5), label(N, 5), **{weight_name: weight})  # one for each sample


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.NLLLoss(), nn.MultiMarginLoss()])
def test_weights_of_classes_are_of_classes(loss):
    loss = loss.with_options(reduction="none")
    x, y, weight = real(N, N), classes(N), positive(N)
    assert_close(loss(x, y, weight=weight), np.concatenate(
        [loss(x[:2], y[:2], weight=weight), loss(x[2:], y[2:], weight=weight)]))  # fmt: skip


def test_masks_lie_along_the_first_axes():
    loss = lg.masked(optax.squared_error, reduction="none")
    x, y, mask = real(N, N), real(N, N), np.array([1, 0, 1])
    expected = optax.squared_error(x, y) * mask[:, None]
    assert_close(loss(x, y, mask=mask), expected)
    steps = np.tile(mask, (N, 1))
    assert_close(loss(x, y, mask=steps), optax.squared_error(x, y) * steps)


@pytest.mark.parametrize("name", ["rank_net", "list_net", "list_mle", "approx_ndcg"])
def test_masks_of_lists_have_the_shape_of_the_lists(name):
    for shape in ((N,), (N, 1), (1, N)):
        with pytest.raises(lg.InputError, match=r"mask: expected shape \(3, 3\)"):
            getattr(losses, name)(real(N, N), positive(N, N), mask=np.ones(shape))


def test_a_body_of_one_s_own_weighs_by_the_same_rule():
    class Own(gluon.Loss):
        def __init__(self):
            super().__init__(None, 0)

        def hybrid_forward(self, F, pred, label, sample_weight=None):
            error = F.square(pred - label)
            return gluon.loss._apply_weighting(F, error, self._weight, sample_weight)

    x, y, weight = real(N, 2), real(N, 2), positive(N)
    assert_close(Own()(x, y, weight), (x - y) ** 2 * weight[:, None])
    with pytest.raises(lg.InputError, match="one weight per sample is"):
        Own()(real(N, N), real(N, N), weight)


def test_a_vector_known_to_be_of_samples():
    F = lg.reference
    loss, weight = real(N, N), positive(N)
    found = weigh_samples(F, F.Array(loss), F.Array(weight), "lam").asnumpy()
    assert_close(found, loss * weight[:, None])
    with pytest.raises(lg.InputError, match="lam of shape"):
        weigh_samples(F, F.Array(np.array(1.0)), F.Array(weight), "lam")
