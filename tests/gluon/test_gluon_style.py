"""Losses as GluonCV and GluonNLP write them, after their import lines are changed.

Written anew in the manner of those libraries: their bases, their operators, their habits.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, log_softmax

import lossgraph as mx
from lossgraph import gluon, reference
from lossgraph.authoring.functions import FunctionLoss
from lossgraph.errors import InputError
from lossgraph.gluon import HybridBlock
from lossgraph.gluon import loss as gloss
from lossgraph.gluon.loss import Loss, SoftmaxCELoss, _apply_weighting, _reshape_like
from support import assert_close, difference_quotient
from tolerances import DIFFERENCE, TOLERANCE

RNG = np.random.default_rng(8)


def real(*shape):
    return RNG.normal(size=shape)


# --- GluonCV ---


class SSDMultiBoxLoss(HybridBlock):
    """Classes with hard negatives mined by two argsorts, boxes by smooth L1."""

    def __init__(self, negative_mining_ratio=3, rho=1.0, lambd=1.0, min_hard_negatives=0, **kwargs):
        super(SSDMultiBoxLoss, self).__init__(**kwargs)  # noqa: UP008
        self._ratio = max(0, negative_mining_ratio)
        self._rho, self._lambd = rho, lambd
        self._least = max(0, min_hard_negatives)

    def hybrid_forward(self, F, cls_pred, box_pred, cls_target, box_target):
        pos = cls_target > 0
        count = F.maximum(F.sum(pos), 1)
        loss = -F.pick(F.log_softmax(cls_pred, axis=-1), cls_target, axis=-1, keepdims=False)
        order = (loss * (pos - 1)).argsort(axis=1).argsort(axis=1)
        wanted = F.maximum(self._least, pos.sum(axis=1) * self._ratio).expand_dims(-1)
        hard = F.broadcast_lesser(order, wanted)
        loss = F.where((pos + hard) > 0, loss, F.zeros_like(loss))
        classes = F.broadcast_div(F.sum(loss, axis=0, exclude=True), count)
        gap = F.abs(_reshape_like(F, box_pred, box_target) - box_target)
        gap = F.where(gap > self._rho, gap - 0.5 * self._rho, (0.5 / self._rho) * F.square(gap))
        gap = F.broadcast_mul(gap, pos.expand_dims(axis=-1))
        boxes = F.broadcast_div(F.sum(gap, axis=0, exclude=True), count)
        return classes + self._lambd * boxes, classes, boxes


def ssd(cls_pred, box_pred, cls_target, box_target):
    p = -log_softmax(cls_pred, -1)
    classes, boxes = np.zeros(len(p)), np.zeros(len(p))
    count = max(1, (cls_target > 0).sum())
    for n in range(len(p)):
        each = p[n, np.arange(p.shape[1]), cls_target[n]]
        pos = cls_target[n] > 0
        hard = np.argsort(-np.where(pos, 0, each), kind="stable")[: 3 * pos.sum()]
        classes[n] = each[sorted(set(np.flatnonzero(pos)) | set(hard))].sum() / count
        gap = np.abs(box_pred.reshape(box_target.shape)[n] - box_target[n])[pos]
        boxes[n] = np.where(gap > 1, gap - 0.5, gap**2 / 2).sum() / count
    return classes + boxes, classes, boxes


class FocalLoss(Loss):
    """With an epsilon, one-hot labels or not, and ``size_average``."""

    def __init__(self, axis=-1, alpha=0.25, gamma=2, sparse_label=True, from_logits=False,
                 batch_axis=0, weight=None, num_class=None, eps=1e-12, size_average=True,
                 **kwargs):  # fmt: skip
        super().__init__(weight, batch_axis, **kwargs)
        self._axis, self._alpha, self._gamma = axis, alpha, gamma
        self._sparse_label, self._from_logits = sparse_label, from_logits
        self._num_class, self._eps, self._size_average = num_class, eps, size_average

    def hybrid_forward(self, F, pred, label, sample_weight=None):
        if not self._from_logits:
            pred = F.sigmoid(pred)
        hot = F.one_hot(label, self._num_class) if self._sparse_label else label > 0
        pt = F.where(hot, pred, 1 - pred)
        one = F.ones_like(hot)
        alpha = F.where(hot, self._alpha * one, (1 - self._alpha) * one)
        loss = -alpha * ((1 - pt) ** self._gamma) * F.log(F.minimum(pt + self._eps, 1))
        loss = _apply_weighting(F, loss, self._weight, sample_weight)
        reduce = F.mean if self._size_average else F.sum
        return reduce(loss, axis=self._batch_axis, exclude=True)


def focal(pred, label):
    p, y = expit(pred), np.eye(pred.shape[1])[label]
    pt = np.where(y > 0, p, 1 - p)
    return -(np.where(y > 0, 0.25, 0.75) * (1 - pt) ** 2 * np.log(pt)).mean(1)


class SegmentationCELoss(SoftmaxCELoss):
    """Classes along axis 1; one of the labels is of no class and has no loss."""

    def __init__(self, axis=1, ignore_label=-1, size_average=True, **kwargs):
        super().__init__(axis, **kwargs)
        self._ignore_label, self._size_average = ignore_label, size_average

    def hybrid_forward(self, F, pred, label, sample_weight=None):
        log_probs = F.log_softmax(pred, axis=self._axis)
        known = (label != self._ignore_label).astype("float32")
        loss = -(F.pick(log_probs, label, axis=self._axis, keepdims=True)
                 * F.expand_dims(known, axis=self._axis))  # fmt: skip
        loss = _apply_weighting(F, loss, self._weight, sample_weight)
        mean = F.mean(loss, axis=self._batch_axis, exclude=True)
        return mean * known.size / F.sum(known) if self._size_average else mean


class MixSoftmaxCrossEntropyLoss(SegmentationCELoss):
    """The main and an auxiliary prediction, as ``*inputs``."""

    def __init__(self, aux=True, aux_weight=0.2, **kwargs):
        super(MixSoftmaxCrossEntropyLoss, self).__init__(**kwargs)  # noqa: UP008
        self.aux, self.aux_weight = aux, aux_weight

    def _both(self, F, pred1, pred2, label, **kwargs):
        forward = super(MixSoftmaxCrossEntropyLoss, self).hybrid_forward  # noqa: UP008
        return forward(F, pred1, label, **kwargs) + self.aux_weight * forward(
            F, pred2, label, **kwargs
        )

    def hybrid_forward(self, F, *inputs, **kwargs):
        if self.aux:
            return self._both(F, *inputs, **kwargs)
        return super(MixSoftmaxCrossEntropyLoss, self).hybrid_forward(F, *inputs, **kwargs)  # noqa: UP008


class ICNetLoss(SegmentationCELoss):
    """Predictions of several sizes, each resized to that of the label."""

    def __init__(self, weights=(0.4, 0.4, 1.0), height=None, width=None, **kwargs):
        super().__init__(**kwargs)
        self.weights, self.height, self.width = weights, height, width

    def _weighted(self, F, *inputs):
        label, found = inputs[-1], []
        for pred in inputs[:-1]:
            pred = F.contrib.BilinearResize2D(pred, height=self.height, width=self.width)
            found.append(super().hybrid_forward(F, pred, label))
        return sum(w * each for w, each in zip(self.weights, found, strict=True))

    def hybrid_forward(self, F, *inputs):
        return self._weighted(F, *inputs)


def segmentation(pred, label):
    p = -log_softmax(pred, 1)
    n, h, w = np.indices(label.shape)
    each = np.where(label == -1, 0, p[n, np.maximum(label, 0), h, w])
    return each.sum((1, 2)) * len(label) / (label != -1).sum()


class YOLOLoss(Loss):
    """Four losses of a detector, with masks made of targets, by Gluon's own losses."""

    def __init__(self, batch_axis=0, weight=None, **kwargs):
        super().__init__(weight, batch_axis, **kwargs)
        with self.name_scope():
            self._ce = gluon.loss.SigmoidBinaryCrossEntropyLoss(from_sigmoid=False)
            self._l1 = gluon.loss.L1Loss()

    def hybrid_forward(self, F, objness, centers, scales, classes,
                       objness_t, center_t, scale_t, weight_t, class_t, class_mask):  # fmt: skip
        size = F.cast(
            F.shape_array(objness_t).slice_axis(axis=0, begin=1, end=None).prod(), "float32"
        )
        weight_t = F.broadcast_mul(weight_t, objness_t)
        hard = F.where(objness_t > 0, F.ones_like(objness_t), objness_t)
        seen = F.where(objness_t > 0, objness_t, objness_t >= 0)
        obj = F.broadcast_mul(self._ce(objness, hard, seen), size)
        center = F.broadcast_mul(self._ce(centers, center_t, weight_t), size * 2)
        scale = F.broadcast_mul(self._l1(scales, scale_t, weight_t), size * 2)
        size = F.cast(
            F.shape_array(class_t).slice_axis(axis=0, begin=1, end=None).prod(), "float32"
        )
        mask = F.broadcast_mul(class_mask, objness_t)
        return obj, center, scale, F.broadcast_mul(self._ce(classes, class_t, mask), size)


def yolo(objness, centers, scales, classes, objness_t, center_t, scale_t, weight_t, class_t,
         class_mask):  # fmt: skip
    def ce(x, y):
        return np.logaddexp(0, x) - x * y

    weight = weight_t * objness_t
    seen = np.where(objness_t > 0, objness_t, objness_t >= 0)
    return (
        (seen * ce(objness, np.where(objness_t > 0, 1, objness_t))).sum((1, 2)),
        (weight * ce(centers, center_t)).mean((1, 2)) * objness_t[0].size * 2,
        (weight * np.abs(scales - scale_t)).mean((1, 2)) * objness_t[0].size * 2,
        (class_mask * objness_t * ce(classes, class_t)).sum((1, 2)),
    )


class HeatmapFocalLoss(Loss):
    """The focal loss of centers, whose neighbours are less wrong; one number, shape (1,)."""

    def __init__(self, from_logits=False, batch_axis=0, weight=None, **kwargs):
        super().__init__(weight, batch_axis, **kwargs)
        self._from_logits = from_logits

    def hybrid_forward(self, F, pred, label):
        if not self._from_logits:
            pred = F.sigmoid(pred)
        center, other = label == 1, label < 1
        hit = F.log(pred) * F.power(1 - pred, 2) * center
        miss = F.log(1 - pred) * F.power(pred, 2) * F.power(1 - label, 4) * other
        count = F.clip(F.sum(center), 1, 1e30)
        return -(F.sum(hit) + F.sum(miss)) / count


def heatmap(pred, label):
    p = expit(pred)
    hit = (np.log(p) * (1 - p) ** 2)[label == 1].sum()
    miss = (np.log(1 - p) * p**2 * (1 - label) ** 4)[label < 1].sum()
    return np.array([-(hit + miss) / max(1, (label == 1).sum())])


class MaskedL1Loss(Loss):
    def __init__(self, weight=None, batch_axis=0, **kwargs):
        super().__init__(weight, batch_axis, **kwargs)

    def hybrid_forward(self, F, pred, label, mask, sample_weight=None):
        label = gloss._reshape_like(F, label, pred)
        loss = F.abs(label * mask - pred * mask)
        loss = _apply_weighting(F, loss, self._weight, sample_weight)
        return F.sum(loss) / (F.sum(mask) + 1e-4)


# --- GluonNLP ---


class MaskedSoftmaxCELoss(SoftmaxCELoss):
    """Steps beyond a sample's length have no weight."""

    def hybrid_forward(self, F, pred, label, valid_length):
        if self._sparse_label:
            weight = F.cast(F.expand_dims(F.ones_like(label), axis=-1), dtype=np.float32)
        else:
            weight = F.ones_like(label)
        weight = F.SequenceMask(weight, sequence_length=valid_length, use_sequence_length=True,
                                axis=1)  # fmt: skip
        return super(MaskedSoftmaxCELoss, self).hybrid_forward(F, pred, label, weight)  # noqa: UP008


def masked_ce(pred, label, valid_length):
    p = -log_softmax(pred, -1)
    inside = np.arange(label.shape[1]) < valid_length[:, None]
    return (np.take_along_axis(p, label[..., None], -1)[..., 0] * inside).mean(1)


class LabelSmoothing(HybridBlock):
    """Labels that give every class a share, for a loss of dense labels."""

    def __init__(
        self, axis=-1, epsilon=0.1, units=None, sparse_label=True, prefix=None, params=None
    ):
        super().__init__(prefix=prefix, params=params)
        self._axis, self._epsilon, self._units = axis, epsilon, units
        self._sparse_label = sparse_label

    def hybrid_forward(self, F, inputs, units=None):
        if self._sparse_label:
            inputs = F.one_hot(inputs, depth=self._units)
        units = self._units if units is None else units
        return ((1 - self._epsilon) * inputs) + (self._epsilon / units)


class SmoothedCELoss(HybridBlock):
    """A block of two, the one's labels those of the other."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.smooth = LabelSmoothing(units=units, epsilon=0.2)
        self.ce = SoftmaxCELoss(sparse_label=False)

    def hybrid_forward(self, F, pred, label):
        return self.ce(pred, self.smooth(label))


def smoothed(pred, label):
    target = 0.8 * np.eye(pred.shape[1])[label] + 0.2 / pred.shape[1]
    return -(target * log_softmax(pred, -1)).sum(1)


class ActivationRegularization(Loss):
    """Of any number of states: their squares, and the steps of the last."""

    def __init__(self, alpha=0.5, beta=2, weight=None, batch_axis=None, **kwargs):
        super().__init__(weight, batch_axis or 0, **kwargs)
        self._alpha, self._beta = alpha, beta

    def hybrid_forward(self, F, *states):
        if not states:
            return F.zeros(1)
        means = [self._alpha * state.__pow__(2).mean() for state in states]
        means += [self._beta * (state[1:] - state[:-1]).__pow__(2).mean() for state in states[-1:]]
        return F.add_n(*means)


def regularization(*states):
    steps = states[-1][1:] - states[-1][:-1]
    return np.array([sum(0.5 * (x**2).mean() for x in states) + 2 * (steps**2).mean()])


BOX_T = np.where(RNG.random((2, 7, 4)) < 0.5, 0, real(2, 7, 4)) * 2
OBJ_T = np.array([[[1.0], [0.0], [-1.0]], [[0.5], [1.0], [0.0]]])
HEAT = np.array([[1.0, 0.3], [0.9, 0.0]])[None, None].repeat(2, 0)
PIXELS = RNG.integers(-1, 3, (2, 4, 6))
# (loss, inputs in the order of the call, those with a gradient, oracle)
CASES = {
    "ssd": (SSDMultiBoxLoss(),
            {"cls_pred": real(2, 7, 4), "box_pred": real(2, 28), "box_target": BOX_T,
             "cls_target": np.array([[0, 3, 0, 0, 1, 0, 0], [0] * 6 + [2]])},
            ("cls_pred", "box_pred"), ssd),
    "focal": (FocalLoss(num_class=5), {"pred": real(4, 5), "label": np.array([0, 4, 2, 2])},
              ("pred",), focal),
    "segmentation": (SegmentationCELoss(), {"pred": real(2, 3, 4, 6), "label": PIXELS}, ("pred",),
                     segmentation),
    "mixed": (MixSoftmaxCrossEntropyLoss(aux_weight=0.3),
              {"inputs_0": real(2, 3, 4, 6), "inputs_1": real(2, 3, 4, 6), "inputs_2": PIXELS},
              ("inputs_0", "inputs_1"),
              lambda a, b, label: segmentation(a, label) + 0.3 * segmentation(b, label)),
    "mixed of one": (MixSoftmaxCrossEntropyLoss(aux=False),
                     {"inputs_0": real(2, 3, 4, 6), "inputs_1": PIXELS}, ("inputs_0",),
                     segmentation),
    "yolo": (YOLOLoss(),
             {"objness": real(2, 3, 1), "centers": real(2, 3, 2), "scales": real(2, 3, 2),
              "classes": real(2, 3, 5), "objness_t": OBJ_T, "center_t": RNG.random((2, 3, 2)),
              "scale_t": real(2, 3, 2), "weight_t": np.abs(real(2, 3, 2)),
              "class_t": RNG.random((2, 3, 5)), "class_mask": (RNG.random((2, 3, 5)) < 0.7) * 1.0},
             ("objness", "centers", "scales", "classes"), yolo),
    "heatmap": (HeatmapFocalLoss(), {"pred": real(2, 1, 2, 2), "label": HEAT}, ("pred",), heatmap),
    "masked l1": (MaskedL1Loss(),
                  {"pred": real(2, 3), "label": real(2, 3),
                   "mask": np.array([[1.0, 0, 1], [0, 0, 1]])},
                  ("pred",),
                  lambda pred, label, mask: np.array(
                      [(mask * np.abs(label - pred)).sum() / (mask.sum() + 1e-4)])),
    "masked ce": (MaskedSoftmaxCELoss(),
                  {"pred": real(2, 4, 5), "label": RNG.integers(0, 5, (2, 4)),
                   "valid_length": np.array([3, 1])}, ("pred",), masked_ce),
    "smoothed": (SmoothedCELoss(5), {"pred": real(4, 5), "label": np.array([0, 4, 2, 2])},
                 ("pred",), smoothed),
    "regularization": (ActivationRegularization(),
                       {"states_0": real(3, 2), "states_1": real(4, 2)}, ("states_0", "states_1"),
                       regularization),
}  # fmt: skip
every = pytest.mark.parametrize("name", CASES)


def flat(value):
    return list(value) if isinstance(value, tuple) else [value]


def in_order(loss, given):
    """The arrays in the order of the call."""
    names = [n for n in loss.signature.by_name if n in given] or list(given)
    return [given[n] for n in names]


@every
def test_values(name):
    loss, given, _, oracle = CASES[name]
    arrays = in_order(loss, given)
    expected = flat(oracle(*arrays))
    for found in (loss(*arrays), loss(**given)):
        for a, b in zip(flat(found), expected, strict=True):
            assert_close(a, b, tolerance=(1e-6, 1e-7) if name == "smoothed" else (1e-9, 1e-10))
    on_numpy = flat(loss(*map(reference.Array, arrays)))
    for a, b in zip(on_numpy, expected, strict=True):
        assert_close(a.asnumpy(), b, tolerance=(1e-5, 1e-6))  # MXNet's float32 counts


@every
def test_gradients(name):
    loss, given, wrt, _ = CASES[name]
    _, grads = loss.value_and_grad(**given, wrt=wrt)
    for k in wrt:
        direction = np.random.default_rng(0).uniform(-1, 1, given[k].shape)
        expected = difference_quotient(
            lambda **at: sum(np.sum(v) for v in flat(loss(**at))), given, k, direction
        )
        assert_close(np.sum(grads[k] * direction), expected, tolerance=DIFFERENCE)


@every
def test_exports(name):
    loss, given, wrt, _ = CASES[name]
    types = {k: ("float32" if v.dtype.kind == "f" else "int32", ("N", *v.shape[1:]))
             for k, v in given.items()}  # fmt: skip
    if name == "regularization":
        types = {k: ("float32", (f"N{k[-1]}", 2)) for k in given}
    run = mx.compile(loss, types, grad=wrt)
    narrow = {k: v.astype(types[k][0]) for k, v in given.items()}
    (value, grads), exact = run(**narrow), loss.value_and_grad(**given, wrt=wrt)
    for a, b in zip(flat(value), flat(exact[0]), strict=True):
        assert_close(a, b, tolerance=(1e-4, 1e-5))
    for k in wrt:
        assert_close(grads[k], exact[1][k], tolerance=(1e-4, 1e-5))
    assert [i.name for i in loss.to_onnx(types, grad=wrt).graph.input] == list(types)


@pytest.mark.parametrize("align_corners", [True, False])
@pytest.mark.parametrize("sizes", [(8, 12), (3, 2), (1, 1), (4, 6), (7, 1)])
def test_images_are_resized_as_torch_does(sizes, align_corners):
    torch = pytest.importorskip("torch")

    def resize(F, x):
        return F.contrib.BilinearResize2D(x, height=sizes[0], width=sizes[1],
                                          align_corners=align_corners)  # fmt: skip

    x = real(2, 3, 4, 6)
    given = torch.tensor(x, requires_grad=True)
    expected = torch.nn.functional.interpolate(
        given, sizes, mode="bilinear", align_corners=align_corners
    )
    value, grads = FunctionLoss(resize).value_and_grad(x)
    assert_close(value, expected.detach().numpy())
    assert_close(resize(reference, reference.Array(x)).asnumpy(), expected.detach().numpy())
    expected.sum().backward()
    assert_close(grads["x"], given.grad.numpy())


def test_images_like_others_and_by_scale():
    def like(F, x, y):
        return F.contrib.BilinearResize2D(x, like=y)

    def twice(F, x):
        return F.contrib.BilinearResize2D(x, scale_height=2, scale_width=0.5)

    x, y = real(1, 1, 4, 6), real(1, 1, 5, 3)
    for body, arrays in ((like, (x, y)), (twice, (x,))):
        on_numpy = body(reference, *map(reference.Array, arrays)).asnumpy()
        shapes = {k: ("float64", a.shape) for k, a in zip("xy", arrays, strict=False)}
        assert_close(mx.compile(body, shapes)(*arrays), on_numpy)
    named = {"x": ("float64", (1, 1, "H", "W")), "y": ("float64", (1, 1, "A", "B"))}
    assert_close(mx.compile(like, named)(x, y), FunctionLoss(like)(x, y))
    for wrong in ((real(2, 3),), (reference.Array(real(2, 3)),)):
        with pytest.raises(InputError, match="expected images"):
            FunctionLoss(twice)(*wrong)
    with pytest.raises(InputError, match="is no length"):
        mx.compile(twice, {"x": named["x"]})


def test_predictions_of_several_sizes():
    loss = ICNetLoss(height=4, width=6)
    preds = [real(2, 3, 2, 3), real(2, 3, 3, 5), real(2, 3, 4, 6)]
    value, grads = loss.value_and_grad(*preds, PIXELS, wrt=("inputs_0", "inputs_2"))
    whole = [
        reference.contrib.BilinearResize2D(reference.Array(p), height=4, width=6).asnumpy()
        for p in preds
    ]
    expected = sum(w * segmentation(p, PIXELS) for w, p in zip((0.4, 0.4, 1.0), whole, strict=True))
    assert_close(value, expected, tolerance=TOLERANCE["float64"])
    assert grads["inputs_0"].shape == preds[0].shape


def test_what_cannot_be_among_inputs():
    loss = CASES["mixed"][0]
    with pytest.raises(InputError, match=r"\*inputs: expected arrays, got None"):
        loss(real(2, 3, 4, 6), None, PIXELS)
    with pytest.raises(InputError, match="unknown"):
        CASES["regularization"][0](states_a=real(2, 2))
    with pytest.raises(InputError, match="in another loss inputs need names"):
        mx.weighted_sum({"a": loss})
