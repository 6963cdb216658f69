"""torch.nn's conventions: tensors of constructors, what is refused, what graphs cannot refuse."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import onnxruntime as ort
import pytest

import lossgraph as lg
from lossgraph import catalogue, nn, reference
from lossgraph.ir.types import numpy_dtype
from support import assert_close

RNG = np.random.default_rng(0)
X = RNG.normal(size=(4, 3)).astype(np.float32)
Y = np.array([0, 1, -100, 2])
W = np.array([0.5, 2, 1], np.float32)
TYPES = {"input": ("float32", ("N", 3)), "target": ("int64", ("N",))}
PAIR = dict.fromkeys(("input", "target"), ("float32", ("N", "C")))


def by_hand(x, y, w):
    """Weighted cross-entropy of each row, 0 for one that is ignored."""
    shifted = x.astype(np.float64) - x.max(1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return np.array([0 if c < 0 else -w[c] * row[c] for row, c in zip(log_probs, y, strict=True)])


def run(model, **arrays):
    return ort.InferenceSession(model.SerializeToString()).run(None, arrays)


# --- tensors that a constructor or a call is given ---


def test_a_tensor_is_given_once_or_at_a_call():
    once = nn.CrossEntropyLoss(weight=W, reduction="none")
    assert_close(once(X, Y), by_hand(X, Y, W), "float32")
    assert_close(once(X, Y, weight=2 * W), by_hand(X, Y, 2 * W), "float32")
    assert_close(once(X, Y, 2 * W), by_hand(X, Y, 2 * W), "float32")
    at_call = nn.CrossEntropyLoss(reduction="none")
    assert_close(at_call(X, Y, weight=W), by_hand(X, Y, W), "float32")
    assert_close(nn.CrossEntropyLoss([0.5, 2, 1], reduction="none")(X, Y), once(X, Y))
    assert once.options == at_call.options == {
        "ignore_index": -100, "label_smoothing": 0.0, "reduction": "none"}  # fmt: skip
    assert repr(at_call) == (
        "CrossEntropyLoss(ignore_index=-100, reduction='none', label_smoothing=0.0)"
    )
    assert repr(once) == repr(at_call).replace("(", "(weight=float32[3], ", 1)


def test_a_tensor_may_change_and_be_differentiated_by():
    loss = nn.CrossEntropyLoss(weight=W.copy(), reduction="none")
    loss(X, Y)
    loss.weight *= 3  # in place: it is an input, not part of what was compiled
    assert_close(loss(X, Y), by_hand(X, Y, 3 * W), "float32")
    loss.weight = W
    _, grads = loss.value_and_grad(X, Y, wrt=("weight",))
    ones = by_hand(X, Y, np.ones(3))
    assert_close(grads["weight"], [ones[0], ones[1], ones[3]], "float32")
    assert_close(pickle.loads(pickle.dumps(loss))(X, Y), by_hand(X, Y, W), "float32")


def test_a_graph_has_it_inside_or_as_an_input():
    loss = nn.CrossEntropyLoss(weight=W, reduction="none")
    inside = loss.to_onnx(TYPES)
    assert [i.name for i in inside.graph.input] == ["input", "target"]
    assert_close(run(inside, input=X, target=Y)[0], by_hand(X, Y, W), "float32")
    outside = loss.to_onnx({**TYPES, "weight": ("float32", (3,))}, grad=("weight",))
    assert [i.name for i in outside.graph.input] == ["input", "target", "weight"]
    value, _ = run(outside, input=X, target=Y, weight=2 * W)
    assert_close(value, by_hand(X, Y, 2 * W), "float32")
    assert_close(lg.compile(loss, TYPES)(X, Y), by_hand(X, Y, W), "float32")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_a_constant_takes_the_dtype_of_the_computation(dtype):
    x, third = X.astype(dtype), np.array([1 / 3] * 3)
    types = {"input": (dtype, ("N", 3)), "target": ("int64", ("N",))}
    (value,) = run(nn.NLLLoss(weight=third, reduction="none").to_onnx(types), input=x, target=Y)
    assert value.dtype == dtype
    assert_close(value, np.array([-x[0, 0], -x[1, 1], 0, -x[3, 2]]).astype("float64") / 3, dtype)


def test_inside_another_loss_and_on_numpy():
    def twice(F, a, b):
        return 2 * nn.CrossEntropyLoss(W, reduction="sum")(a, b)

    expected = by_hand(X, Y, W).sum()
    types = {"a": ("float64", ("N", 3)), "b": ("int64", ("N",))}
    assert_close(lg.compile(twice, types)(X.astype(float), Y), 2 * expected)
    arrays = reference.Array(X.astype(float)), reference.Array(Y)
    loss = nn.CrossEntropyLoss(W, reduction="sum")
    assert_close(loss(*arrays).asnumpy(), expected)


def test_gaussian_variances_in_every_form():
    x, y = X.astype(float), X[::-1].astype(float)
    loss = nn.GaussianNLLLoss(reduction="none")
    for var in (0.5, np.array(0.5), np.full(4, 0.5), np.full((4, 1), 0.5), np.full((4, 3), 0.5)):
        assert_close(loss(x, y, var), 0.5 * np.log(0.5) + (x - y) ** 2)
    _, grads = loss.value_and_grad(x, y, np.full((4, 3), 1e-9), wrt=("var",))
    assert (grads["var"] == 0).all()  # below eps it makes no difference


# --- distances of one's own ---


def test_a_distance_of_ones_own():
    triples = dict(zip(("anchor", "positive", "negative"), RNG.normal(size=(3, 5, 4)), strict=True))
    named = nn.TripletMarginWithDistanceLoss(distance_function="manhattan", swap=True)
    expected = named.value_and_grad(**triples, wrt=list(triples))
    for distance in (
        lambda F, x, y: F.sum(F.abs(x - y), axis=-1),
        nn.functional.pairwise_distance.with_options(p=1, eps=0.0),
    ):
        loss = nn.TripletMarginWithDistanceLoss(distance_function=distance, swap=True)
        value, grads = loss.value_and_grad(**triples, wrt=list(triples))
        assert_close(value, expected[0])
        for name in triples:
            assert_close(grads[name], expected[1][name])


@pytest.mark.parametrize(("p", "expected"), [
    (0, 2.0), (0.5, (3**0.5 + 2) ** 2), (-1, 0.0), (float("-inf"), 0.0), (3, 91 ** (1 / 3)),
])  # fmt: skip
def test_norms_of_other_orders(p, expected):
    x, zero = np.array([[3.0, 0.0, -4.0]]), np.zeros((1, 3))
    value, grads = nn.functional.pairwise_distance.value_and_grad(x, zero, p=p, eps=0.0)
    assert_close(value, [expected])
    assert np.isfinite(grads["x1"]).all()
    scaled = nn.functional.pairwise_distance(x * 1e200, zero, p=p, eps=0.0)
    assert_close(scaled, [expected * (1e200 if p else 1)])


def test_an_infinite_delta_is_half_the_square():
    x = X.astype(float)
    loss = nn.HuberLoss(delta=float("inf"), reduction="none")
    value, grads = loss.value_and_grad(x, 0 * x)
    assert_close(value, x * x / 2)
    assert_close(grads["input"], x)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_extremes_in_every_dtype(dtype):
    """Logits of 1e4 (6e4 is the largest float16) and distributions with zeros."""
    x = np.array([[1e4, -1e4, 0], [0, 0, -np.inf]]).astype(numpy_dtype(dtype))
    value, grads = nn.CrossEntropyLoss(reduction="none").value_and_grad(x, np.array([1, 0]))
    assert_close(value, np.array([2e4, np.log(2)]), dtype)
    assert_close(grads["input"], np.array([[1, -1, 0], [-0.5, 0.5, 0]]), dtype)
    one = np.array([[0, 1, 0], [0.5, 0.5, 0]]).astype(x.dtype)
    dense, grads = nn.CrossEntropyLoss(reduction="none").value_and_grad(x, one)
    assert_close(dense, np.array([2e4, np.log(2)]), dtype)
    assert_close(grads["input"], np.array([[1, -1, 0], [0, 0, 0]]), dtype)
    value, grads = nn.SoftMarginLoss(reduction="none").value_and_grad(x[0], np.ones_like(x[0]))
    assert_close(value, np.array([0, 1e4, np.log(2)]), dtype)
    assert_close(grads["input"], np.array([0, -1, -0.5]), dtype)


# --- refused ---

BAD_OPTIONS = [
    (nn.MSELoss, {"size_average": False}, "size_average is deprecated: say reduction='sum'"),
    (nn.NLLLoss, {"reduce": False}, "reduce is deprecated: say reduction='none'"),
    (nn.L1Loss, {"size_average": True}, "say reduction='mean'"),
    (nn.L1Loss, {"reduction": "batchmean"}, "reduction: expected one of"),
    (nn.KLDivLoss, {"log_targets": True}, "KLDivLoss has no option 'log_targets'"),
    (nn.SmoothL1Loss, {"beta": -1.0}, "beta: expected a number that is not negative"),
    (nn.HuberLoss, {"delta": 0.0}, "delta: expected a positive number"),
    (nn.CrossEntropyLoss, {"label_smoothing": 1.5}, "label_smoothing: .* from 0 to 1"),
    (nn.CrossEntropyLoss, {"ignore_index": 1.5}, "ignore_index: expected an int"),
    (nn.MultiMarginLoss, {"p": 3}, "p: expected 1 or 2, got 3"),
    (nn.TripletMarginLoss, {"margin": 0}, "margin: expected a positive number"),
    (nn.TripletMarginLoss, {"p": "two"}, "p: expected a number"),
    (nn.TripletMarginWithDistanceLoss, {"distance_function": "l2"}, "distance_function: expected"),
    (nn.GaussianNLLLoss, {"eps": 0}, "eps: expected a positive number"),
]


@pytest.mark.parametrize(("loss", "options", "message"), BAD_OPTIONS)
def test_bad_options(loss, options, message):
    with pytest.raises(lg.InputError, match=message):
        loss(**options)


@pytest.mark.parametrize("cutoffs", [[], [0], [8], [3, 2], [2, 2]])
def test_bad_cutoffs(cutoffs):
    with pytest.raises(lg.InputError, match="cutoffs: expected increasing ints from 1 to"):
        nn.AdaptiveLogSoftmaxWithLoss(4, 8, cutoffs)


LABELS = np.array([[0, 1, -1], [3, 0, 0], [0, -1, 9], [1, 1, 1]])
BAD_ARRAYS = [
    (nn.CrossEntropyLoss(), (X, np.array([0, 3, 0, 0])), r"target\[1\] is 3, which is not one"),
    (nn.CrossEntropyLoss(), (X, np.array([0, 0, -1, 0])), r"target\[2\] is -1, which is not"),
    (nn.CrossEntropyLoss(ignore_index=7), (X, Y), r"target\[2\] is -100"),
    (nn.NLLLoss(), (X[0], np.array(5)), r"target\[.*\] is 5"),
    (nn.MultiMarginLoss(), (X, np.array([0, 1, 2, 3])), r"target\[3\] is 3"),
    (nn.MultiLabelMarginLoss(), (X, LABELS), r"target\[1, 0\] is 3"),
    (nn.CrossEntropyLoss(), (X, Y[:1]), r"target: expected the shape of input without its classes"),
    (nn.CrossEntropyLoss(), (X, X[:2]), r"target: expected the shape of input, \(4, 3\)"),
    (nn.CrossEntropyLoss(weight=W[:2]), (X, Y), r"weight: .* the classes, \(3,\), got \(2,\)"),
    (nn.CrossEntropyLoss(), (X[:, :0], Y), "there are no classes to choose from"),
    (
        nn.BCELoss(),
        (np.abs(X) / 9, np.abs(X[:1]) / 9),
        r"target: expected the shape of input, \(4, 3\), got \(1, 3\)",
    ),
    (nn.BCEWithLogitsLoss(), (X, X, X[None]), "weight of shape .* does not broadcast"),
    (nn.BCEWithLogitsLoss(pos_weight=W[:2]), (X, X), "pos_weight of shape"),
    (nn.MultiLabelSoftMarginLoss(), (X[0, 0], X[0, 0]), "takes input"),
    (nn.MultiMarginLoss(), (X[None], Y[None]), "takes input"),
    (nn.GaussianNLLLoss(), (X, X, -1.0), "var: a variance is negative"),
    (nn.GaussianNLLLoss(), (X, X, W), r"var: expected the shape of input"),
    (nn.CosineEmbeddingLoss(), (X, X[0], Y), "takes input1 and input2"),
    (nn.CosineEmbeddingLoss(), (X, X, X), "target: expected one for each pair"),
    (nn.TripletMarginLoss(), (X, X, X[0]), "as many axes"),
    (nn.functional.mse_loss.with_options(reduction="avg"), (X, X), "reduction: expected one of"),
    (nn.functional.l1_loss, (X, X, "mean", W), "weight: expected the shape of input"),
    (nn.AdaptiveLogSoftmaxWithLoss(3, 8, [4]), (X, Y), r"missing \['head.weight'"),
]


@pytest.mark.parametrize(("loss", "arrays", "message"), BAD_ARRAYS)
def test_bad_arrays(loss, arrays, message):
    with pytest.raises(lg.InputError, match=message):
        loss(*arrays)


def test_parameters_of_other_options():
    loss = nn.AdaptiveLogSoftmaxWithLoss(8, 8, [4])
    arrays = {name: np.ones(shape) for name, shape in loss.parameter_shapes.items()}
    assert np.isfinite(loss(np.ones((2, 8)), Y[:2], **arrays))
    with pytest.raises(lg.InputError, match=r"input: expected the shape of these options, \(8,\)"):
        loss(np.ones((2, 7)), Y[:2], **arrays)
    with pytest.raises(lg.InputError, match=r"head.weight: expected the shape of these options"):
        loss(np.ones((2, 8)), Y[:2], **{**arrays, "head.weight": np.ones((4, 8))})
    with pytest.raises(lg.InputError, match=r"unknown \['head.bias'\]"):
        loss(np.ones((2, 8)), Y[:2], **arrays, **{"head.bias": np.ones(5)})


@pytest.mark.parametrize("loss", [nn.CrossEntropyLoss(), nn.NLLLoss(), nn.MultiMarginLoss(),
                                  nn.MultiLabelMarginLoss(), nn.HingeEmbeddingLoss()])  # fmt: skip
def test_labels_have_no_gradient(loss):
    target = X if isinstance(loss, (nn.MultiLabelMarginLoss, nn.HingeEmbeddingLoss)) else Y
    with pytest.raises(lg.GradientError, match="'target'"):
        loss.value_and_grad(X, np.asarray(target, float), wrt=("target",))


# --- what a graph cannot refuse, and what it must not read ---


@pytest.mark.parametrize("loss", [
    nn.NLLLoss(reduction="none"),
    nn.NLLLoss(W, reduction="none"),
    nn.CrossEntropyLoss(reduction="none"),
    nn.CrossEntropyLoss(W, reduction="none", label_smoothing=0.1),
])  # fmt: skip
def test_a_graph_gives_nan_for_labels_that_are_none(loss):
    model = loss.to_onnx(TYPES, grad=("input",))
    right, right_grad = run(model, input=X, target=np.array([0, 1, -100, 2]))
    assert right[2] == 0
    assert (right_grad[2] == 0).all()
    value, grad = run(model, input=X, target=np.array([0, 3, -100, -1]))
    assert np.isnan(value).tolist() == [False, True, False, True]
    assert np.isnan(grad).all(axis=1).tolist() == [False, True, False, True]
    assert_close(value[[0, 2]], right[[0, 2]])
    assert_close(grad[[0, 2]], right_grad[[0, 2]])


@pytest.mark.parametrize("name", ["MultiMarginLoss", "MultiLabelMarginLoss"])
def test_margins_to_labels_that_are_none(name):
    rows = name == "MultiLabelMarginLoss"
    types = {**TYPES, "target": ("int64", ("N", 3))} if rows else TYPES
    model = getattr(nn, name)(reduction="none").to_onnx(types, grad=("input",))
    target = np.array([[0, -1, 9], [5, -1, 0], [-1, 7, 7], [2, 1, -1]]) if rows else Y
    bad = [False, True, False, False] if rows else [False, False, True, False]
    value, grad = run(model, input=X, target=target)
    assert np.isnan(value).tolist() == bad
    assert np.isnan(grad).all(axis=1).tolist() == bad
    assert np.isfinite(grad[~np.array(bad)]).all()


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int32", "uint64", "float32"])
def test_labels_of_any_dtype(dtype):
    labels = np.array([0, 1, 100, 2]).astype(dtype)
    loss = nn.CrossEntropyLoss(ignore_index=100, reduction="none")
    assert_close(loss(X, labels), by_hand(X, [0, 1, -1, 2], np.ones(3)), "float32")
    kept = nn.CrossEntropyLoss(reduction="none")  # -100 is no uint8, and 156 is not ignored
    with pytest.raises(lg.InputError, match=r"target\[2\] is 100"):
        kept(X, labels)


@pytest.mark.parametrize("name", [name for name in nn.__all__ if name.endswith("Loss")])
def test_empty_batches(name):
    if name in ("CTCLoss", "Loss"):
        return
    entry = catalogue.lookup(f"nn.{name}")
    for reduction in ("mean", "sum", "none") if "reduction" in entry.options else ("mean",):
        loss = entry.make({"reduction": reduction} if "reduction" in entry.options else {})
        sizes = {"N": 0, "C": 3, "D": 4}
        arrays = {
            key: np.zeros([sizes.get(dim, dim) for dim in shape], dtype)
            for key, (dtype, shape) in catalogue.example_types(loss).items()
        }
        first = next(iter(arrays))
        value, grads = loss.value_and_grad(**arrays, wrt=(first,))
        assert grads[first].shape == arrays[first].shape
        if reduction == "none":
            assert value.shape[0] == 0
        else:
            assert np.isnan(value) if reduction == "mean" else value == 0


def test_signatures_are_those_of_torch():
    torch = pytest.importorskip("torch")
    for name in nn.__all__:
        # of the linear loss the layer's parameters are inputs here, as in torch's functional form
        if not name.endswith("Loss") or name in ("Loss", "LinearCrossEntropyLoss"):
            continue
        theirs = inspect.signature(getattr(torch.nn, name)).parameters
        ours = inspect.signature(getattr(nn, name)).parameters
        assert set(theirs) - {"size_average", "reduce", "device", "dtype", "args", "kwargs"} == (
            set(ours) - {"deprecated"} | ({"reduction"} & set(theirs))
        )
        for key, parameter in ours.items():
            if key != "deprecated":
                assert parameter.default == theirs[key].default
        forward = list(inspect.signature(getattr(torch.nn, name).forward).parameters)[1:]
        mine = list(inspect.signature(getattr(nn, name).hybrid_forward).parameters)[2:]
        if name != "PoissonNLLLoss":  # where torch says log_input, which is its option too
            assert [key.rstrip("_") for key in forward] == mine[: len(forward)]
