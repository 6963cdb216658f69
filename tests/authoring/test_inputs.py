"""Options that are inputs of the graph: values, gradients and exports of every float option."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import Input, catalogue, gluon, losses, nn, optax
from lossgraph.authoring.functions import FunctionLoss
from lossgraph.catalogue import Entry, entries, lookup
from lossgraph.compare.finite_differences import along
from lossgraph.deploy.example_inputs import choose_sizes, draw
from lossgraph.errors import InputError
from support import assert_close, run_model

# Options whose value the form of the graph, or the shapes of its inputs, depend on.
CONSTANT = {
    ("nn.AdaptiveLogSoftmaxWithLoss", "div_value"),  # shapes of the parameters
    ("nn.TripletMarginLoss", "p"),  # another formula for each norm
    ("optax.triplet_margin_loss", "norm_degree"),  # likewise
}
# Options in weights that are constants to the gradient, as their sources have it.
DETACHED = {("losses.ciou", "epsilon"), ("losses.circle", "margin")}
# Where the default makes no difference, or stands at a kink or at the end of what is allowed.
VALUES = {
    ("gluon.CosineEmbeddingLoss", "margin"): -0.5,
    ("losses.absolute_percentage", "epsilon"): 1.0,
    ("losses.contrastive", "margin"): 10.0,
    ("losses.cross_entropy", "base"): 2.0,
    ("losses.entropy", "base"): 2.0,
    ("losses.jensen_shannon", "base"): 2.0,
    ("losses.mutual_information", "base"): 2.0,
    ("losses.relative_entropy", "base"): 2.0,
    ("losses.wasserstein_1d", "p"): 1.5,
    ("losses.wasserstein_histogram", "p"): 1.5,
    ("losses.wing", "width"): 0.6,
    ("losses.tukey_biweight", "c"): 2.0,
    ("losses.circle", "scale"): 2.0,
    ("losses.batch_hard_triplet", "margin"): 3.0,
    ("losses.vicreg", "target"): 3.0,
    ("losses.vicreg", "epsilon"): 0.1,
    ("losses.charbonnier", "epsilon"): 0.1,
    ("gluon.PoissonNLLLoss", "epsilon"): 0.1,
    ("nn.CosineEmbeddingLoss", "margin"): -0.5,
    ("nn.GaussianNLLLoss", "eps"): 1.0,
    ("nn.PoissonNLLLoss", "eps"): 0.1,
    ("nn.TripletMarginLoss", "eps"): 0.1,
    ("nn.TripletMarginLoss", "margin"): 5.0,
    ("nn.TripletMarginWithDistanceLoss", "margin"): 5.0,
    ("optax.cosine_distance", "epsilon"): 20.0,
    ("optax.cosine_similarity", "epsilon"): 20.0,
    ("optax.triplet_margin_loss", "eps"): 0.1,
    ("optax.triplet_margin_loss", "margin"): 5.0,
    ("gluon.TripletLoss", "margin"): 20.0,
}
# Other options without which the one in question makes no difference.
BESIDE = {
    ("gluon.PoissonNLLLoss", "epsilon"): {"from_logits": False},
    ("nn.PoissonNLLLoss", "eps"): {"log_input": False},
    ("losses.circle", "margin"): {"scale": 2.0},
}
# Where the sum of the value is the same whatever the option.
WITHOUT_EFFECT = {
    ("losses.smooth_labels", "alpha"),  # moves what sums to 1; see below
    ("optax.smooth_labels", "alpha"),
    ("optax.ctc_loss", "log_epsilon"),  # a bound that no likely path comes to
}
# Labels of which there are several, where those of the examples may be all alike.
LABELS = {
    "gluon.CosineEmbeddingLoss": lambda n: (-1.0) ** np.arange(n),
    "losses.batch_hard_triplet": lambda n: np.arange(n) // 2,
    "losses.circle": lambda n: np.arange(n) // 2,
}


def float_options(entry: Entry) -> list[str]:
    """Options annotated as floats: of a function's body, or of a constructor."""
    body = entry.source.body if isinstance(entry.source, FunctionLoss) else entry.source.__init__
    parameters = inspect.signature(body).parameters.values()
    return [p.name for p in parameters if "float" in str(p.annotation)]


CASES = [
    pytest.param(entry, option, id=f"{entry.name}-{option}")
    for entry in entries()
    for option in float_options(entry)
]


def value_of(entry: Entry, option: str) -> float:
    default = entry.options[option]
    return float(VALUES.get((entry.name, option), 0.7 if default in (None, 0) else default))


def inputs_for(entry: Entry, loss: lg.gluon.Loss) -> tuple[dict, dict]:
    """Plausible arrays for what a loss must be given, floats in float64, and their types."""
    examples = {
        name: example
        for name, example in catalogue.examples_of(loss).items()
        if entry.inputs.get(name, True)
    }
    types = {
        name: ("float64" if e.dtype == "float32" else e.dtype, e.shape)
        for name, e in examples.items()
    }
    program = loss.program(types)
    found = {node.attrs["name"]: node.type for node in program.inputs}
    sizes = choose_sizes(found, program.constraints)
    arrays = draw(found, sizes, examples, program.labels)
    if entry.name in LABELS:
        arrays["label"] = LABELS[entry.name](len(arrays["label"])).astype(arrays["label"].dtype)
    return arrays, types


def total(value):
    return sum(np.sum(part) for part in (value if isinstance(value, tuple) else (value,)))


@pytest.mark.parametrize(("entry", "option"), CASES)
def test_every_float_option_can_be_an_input(entry: Entry, option: str) -> None:
    key = (entry.name, option)
    beside = BESIDE.get(key, {})
    if key in CONSTANT:
        with pytest.raises(InputError, match=option):
            entry.make({option: Input(option)})
        return
    at = value_of(entry, option)
    constant = entry.make({option: at, **beside})
    loss = entry.make({option: Input("knob"), **beside})
    arrays, types = inputs_for(entry, constant)
    expected = constant(**arrays)
    expected = expected if isinstance(expected, tuple) else (expected,)
    model = loss.to_onnx(types, grad=["knob"])
    *values, slope = run_model(model, {**arrays, "knob": np.asarray(at)})
    for actual, desired in zip(values, expected, strict=True):
        assert_close(actual, desired, tolerance=(1e-9, 1e-10))
    assert slope.shape == ()
    step = 1e-5 * abs(at)
    difference = along(
        lambda given: total(loss(**arrays, **given)), {"knob": at}, {"knob": 1.0}, step
    )
    if key not in DETACHED:
        rounding = 1e-13 * abs(total(tuple(values))) / step
        np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-9 + rounding)
        assert (abs(slope) > 100 * rounding) == (key not in WITHOUT_EFFECT)


def test_the_exceptions_are_options() -> None:
    known = {(entry.name, option) for entry in entries() for option in float_options(entry)}
    assert CONSTANT | DETACHED | WITHOUT_EFFECT | set(VALUES) | set(BESIDE) <= known


def test_what_sums_to_one_is_moved_all_the_same() -> None:
    loss = losses.smooth_labels.with_options(alpha=Input("share"))
    labels, ct = np.eye(4)[[0, 2]], np.arange(8.0).reshape(2, 4)
    value, grads = loss.value_and_grad(labels, share=0.2, ct=ct, wrt=("share",))
    assert_close(value, 0.8 * labels + 0.05)
    assert_close(grads["share"], np.sum(ct * (0.25 - labels)), tolerance=(1e-12, 1e-12))


# --- the calls ------------------------------------------------------------------------------


PRED = np.array([[0.1, 3.0], [-4.0, 0.3]], "float32")
LABEL = np.zeros((2, 2), "float32")


def huber(rho):
    size = np.abs(PRED - LABEL)
    return np.where(size <= rho, size**2 / (2 * rho), size - rho / 2).mean(axis=1)


def test_an_input_is_an_argument_of_the_call() -> None:
    loss = gluon.HuberLoss(rho=Input("rho"))
    for rho in (2.0, 1, np.int64(2), np.float32(0.5), np.asarray(2.0, "float32"), np.float64(2.0)):
        assert_close(loss(PRED, LABEL, rho=rho), huber(rho).astype("float32"))
    value, grads = loss.value_and_grad(PRED, LABEL, rho=2.0, wrt=("pred", "rho"))
    assert_close(value, huber(2.0).astype("float32"))
    # half the square of 0.1/2, 1, 1 and 0.3/2, each in a mean of two
    assert_close(grads["rho"], np.float32(-0.25 * (0.05**2 + 1 + 1 + 0.15**2)))
    assert grads["rho"].dtype == np.float32
    assert "rho" not in loss.value_and_grad(PRED, LABEL, rho=2.0)[1]


def test_arrays_that_are_numbers_keep_their_dtype() -> None:
    pair = np.float64(3.0), np.float64(1.0)
    assert nn.MSELoss()(*pair).dtype == np.float64
    value, grads = nn.HuberLoss(delta=Input("d")).value_and_grad(*pair, d=1, wrt=("d",))
    assert value.dtype == grads["d"].dtype == np.float64


def test_an_exported_model_takes_it_as_a_scalar_of_the_floats_dtype() -> None:
    loss = gluon.HuberLoss(rho=Input("rho"))
    types = {"pred": ("float64", ("N", "C")), "label": ("float64", ("N", "C"))}
    found = {i.name: i.type.tensor_type for i in loss.to_onnx(types, grad=["rho"]).graph.input}
    assert found["rho"].elem_type == found["pred"].elem_type
    assert len(found["rho"].shape.dim) == 0
    given = loss.to_onnx({**types, "rho": ("float32", ())})
    assert given.graph.input[2].type.tensor_type.elem_type == 1
    assert [i.name for i in loss.to_onnx(types, rho=2.0).graph.input] == ["pred", "label"]


def test_a_compiled_loss_takes_it() -> None:
    types = {"pred": ("float32", ("N", 2)), "label": ("float32", ("N", 2))}
    compiled = lg.compile(gluon.HuberLoss(rho=Input("rho")), types, grad=["rho"])
    value, _ = compiled(PRED, LABEL, np.asarray(2.0, "float32"))
    assert_close(value, huber(2.0).astype("float32"))


def test_a_compiled_loss_takes_a_number_for_a_scalar() -> None:
    types = {**dict.fromkeys(("pred", "label"), ("float32", ("N", 2))), "rho": ("float32", ())}
    compiled = lg.compile(gluon.HuberLoss(rho=Input("rho")), types)
    pred, label = (array.astype("float32") for array in (PRED, LABEL))
    for rho in (2, 0.5, np.float64(0.5)):
        expected = compiled(pred, label, np.array(rho, "float32"))
        assert_close(compiled(pred, label, rho), expected)
        assert_close(compiled(pred, label, rho=rho), expected)
    for bad in (True, "2", None):
        with pytest.raises(lg.LossgraphError, match="rho"):
            compiled(pred, label, rho=bad)
    with pytest.raises(lg.DtypeError, match="pred"):
        compiled(1.0, label, 2.0)


@pytest.mark.parametrize("samples", [64, 40_000])
def test_its_gradient_adds_up_over_all_samples(samples: int) -> None:
    """Of batches that are computed in tiles too."""
    rng = np.random.default_rng(3)
    pred, label = (rng.normal(size=(samples, 32)).astype("float32") * 3 for _ in range(2))
    loss = gluon.HuberLoss(rho=Input("rho"))
    _, grads = loss.value_and_grad(pred, label, rho=1.5, wrt=("rho",))
    slope = np.minimum(np.abs(pred.astype("float64") - label) / 1.5, 1)
    expected = -0.5 * np.square(slope).mean(axis=1).sum()
    assert_close(grads["rho"], np.float32(expected), tolerance=(1e-4, 0))


def test_several_options_may_share_one_input() -> None:
    loss = losses.tversky.with_options(alpha=Input("k"), beta=Input("k"), smooth=Input("s"))
    arrays, _ = inputs_for(lookup("losses.tversky"), losses.tversky)
    one, two = (losses.tversky(**arrays, alpha=a, beta=b) for a, b in ((0.4, 0.4), (0.4, 0.6)))
    assert_close(loss(**arrays, k=0.4, s=0.0), one)
    assert not np.allclose(one, two)
    at = {"alpha": np.asarray(0.4), "beta": np.asarray(0.4)}
    _, shared = loss.value_and_grad(**arrays, k=0.4, s=0.0, wrt=("k",))
    _, apart = losses.tversky.value_and_grad(**arrays, **at, wrt=("alpha", "beta"))
    assert_close(shared["k"], apart["alpha"] + apart["beta"])


def test_of_a_function_an_input_is_what_an_array_at_the_call_is() -> None:
    arrays, _ = inputs_for(lookup("losses.sigmoid_focal"), losses.sigmoid_focal)
    at = np.asarray(1.5)
    value, grads = losses.sigmoid_focal.value_and_grad(**arrays, gamma=at, wrt=("gamma",))
    loss = losses.sigmoid_focal.with_options(gamma=Input("g"))
    same, again = loss.value_and_grad(**arrays, g=1.5, wrt=("g",))
    assert_close(same, value)
    assert_close(again["g"], grads["gamma"])


@pytest.mark.parametrize(
    ("loss", "option", "at"),
    [(nn.functional.huber_loss, "delta", 0.7), (nn.functional.cosine_similarity, "eps", 3.0),
     (nn.functional.pairwise_distance, "eps", 0.3)],
    ids=["huber_loss", "cosine_similarity", "pairwise_distance"],
)  # fmt: skip
def test_functions_of_torch_take_them(loss: FunctionLoss, option: str, at: float) -> None:
    rng = np.random.default_rng(0)
    pair = rng.normal(size=(2, 5, 4))
    given = loss.with_options(**{option: Input("knob")})
    value, grads = given.value_and_grad(*pair, knob=at, wrt=("knob",))
    assert_close(value, loss(*pair, **{option: at}))
    above, below = (np.sum(loss(*pair, **{option: at + h})) for h in (1e-6, -1e-6))
    assert grads["knob"] != 0
    np.testing.assert_allclose(grads["knob"], (above - below) / 2e-6, rtol=1e-7)


@pytest.mark.parametrize(("rho", "slope"), [(0.0, -0.5), (np.inf, 0.0)])
def test_bounds_at_the_end_of_what_they_can_be(rho: float, slope: float) -> None:
    """As constants they are special cases: the absolute and the squared error."""
    x = np.array([3.0, -2.0])
    if rho == 0:
        loss, same = nn.SmoothL1Loss(beta=Input("b")), nn.SmoothL1Loss(beta=0)
    else:
        loss, same = nn.HuberLoss(delta=Input("b")), nn.HuberLoss(delta=rho)
    value, grads = loss.value_and_grad(x, 0 * x, b=rho, wrt=("input", "b"))
    expected, by_input = same.value_and_grad(x, 0 * x)
    assert_close(value, expected)
    assert_close(grads["input"], by_input["input"])
    assert_close(grads["b"], slope)


def test_an_optional_argument_of_a_call_is_the_option_of_its_name() -> None:
    loss = gluon.PoissonNLLLoss(from_logits=False, epsilon=Input("epsilon"))
    rates, counts = np.array([[0.5], [2.0]]), np.array([[1.0], [0.0]])
    same = gluon.PoissonNLLLoss(from_logits=False)(rates, counts, epsilon=0.25)
    assert_close(loss(rates, counts, epsilon=0.25), same)


def test_smoothing_of_a_linear_layers_classes_has_a_gradient_with_weights_too() -> None:
    rng = np.random.default_rng(1)
    rows, layer = rng.normal(size=(6, 3)), rng.normal(size=(4, 3))
    target, weight, bias = np.array([0, 1, 2, 3, -100, 1]), rng.uniform(1, 2, 4), rng.normal(size=4)
    arrays = {"linear_bias": bias, "weight": weight}
    for reduction in ("mean", "sum", "none"):
        loss = nn.LinearCrossEntropyLoss(reduction, label_smoothing=Input("s"))
        _, grads = loss.value_and_grad(
            rows, layer, target, **arrays, s=0.2, wrt=("s", "weight", "linear_bias")
        )
        for at in (0.2, 0.0):
            plain = nn.CrossEntropyLoss(weight, reduction=reduction, label_smoothing=at)
            expected = plain(rows @ layer.T + bias, target)
            assert_close(loss(rows, layer, target, **arrays, s=at), expected)
        above, below = (
            np.sum(loss(rows, layer, target, **arrays, s=0.2 + h)) for h in (1e-6, -1e-6)
        )
        np.testing.assert_allclose(grads["s"], (above - below) / 2e-6, rtol=1e-7)
        constant = nn.LinearCrossEntropyLoss(reduction, label_smoothing=0.2)
        _, same = constant.value_and_grad(
            rows, layer, target, **arrays, wrt=("weight", "linear_bias")
        )
        for name, expected in same.items():
            assert_close(grads[name], expected)


# --- losses in losses -----------------------------------------------------------------------


def test_in_a_weighted_sum_inputs_of_one_name_are_one() -> None:
    whole = lg.weighted_sum(
        {
            "huber": (Input("share"), gluon.HuberLoss(rho=Input("rho"))),
            "hinge": (0.5, gluon.HingeLoss(margin=Input("rho"), weight=Input("share"))),
        }
    )
    (total_, parts), grads = whole.value_and_grad(
        PRED, LABEL, rho=2.0, share=0.3, wrt=("rho", "share")
    )
    assert_close(parts["huber"], huber(2.0).astype("float32"))
    assert_close(total_, (0.3 * huber(2.0) + 0.5 * 0.3 * 2).astype("float32"))
    assert_close(grads["share"], np.float32(huber(2.0).sum() + 0.5 * 2 * 2))
    assert {grad.dtype for grad in grads.values()} == {np.dtype("float32")}
    with pytest.raises(InputError, match="share: expected one number"):
        whole(PRED, LABEL, rho=2.0, share=np.ones(2))
    model = whole.to_onnx({"pred": ("float32", ("N", 2)), "label": ("float32", ("N", 2))})
    assert sorted(i.name for i in model.graph.input) == ["label", "pred", "rho", "share"]


def test_renamed_and_masked_losses_take_them() -> None:
    renamed = lg.renamed(gluon.HuberLoss(rho=Input("rho")), rho="width", pred="x")
    assert_close(renamed(x=PRED, label=LABEL, width=2.0), huber(2.0).astype("float32"))
    masked = lg.masked(gluon.HuberLoss(rho=Input("rho")))
    value, grads = masked.value_and_grad(
        PRED, LABEL, mask=np.array([True, False]), rho=2.0, wrt=("rho",)
    )
    assert_close(value, np.float32(huber(2.0)[0]))
    assert_close(grads["rho"], np.float32(-0.25 * (0.05**2 + 1)))


class Doubled(gluon.Loss):
    """A loss that has another, and an input of its own."""

    def __init__(self, factor, inner):
        super().__init__(None, 0)
        self.factor = factor
        self.inner = [inner]

    def hybrid_forward(self, F, pred, label):
        return self.factor * self.inner[0](pred, label)


def test_a_loss_inside_another_needs_no_help() -> None:
    loss = Doubled(Input("factor"), gluon.HuberLoss(rho=Input("rho")))
    assert_close(loss(PRED, LABEL, factor=3, rho=2.0), (3 * huber(2.0)).astype("float32"))
    loss.inner[0].weight = None
    loss.inner[0]._rho = 2.0  # a constant again
    assert_close(loss(PRED, LABEL, factor=3), (3 * huber(2.0)).astype("float32"))


def test_losses_of_losses_inside_another_need_no_help() -> None:
    inner = lg.weighted_sum({"a": (Input("share"), gluon.HuberLoss(rho=Input("rho")))})
    masked = lg.masked(lg.renamed(gluon.HuberLoss(rho=Input("rho")), rho="width"))

    class Both(gluon.Loss):
        def __init__(self):
            super().__init__(None, 0)
            self.inner, self.masked = inner, masked

        def hybrid_forward(self, F, pred, label, mask):
            return self.inner(pred, label)[0] + self.masked(pred, label, mask=mask)

    value = Both()(PRED, LABEL, np.ones(2, "bool"), share=0.5, rho=1.0, width=2.0)
    assert_close(value, (0.5 * huber(1.0) + huber(2.0).mean()).astype("float32"))
    assert inner.scalar_inputs == ("rho", "share")


def test_a_body_hands_a_number_or_a_symbol_on() -> None:
    inner = gluon.HuberLoss(rho=Input("rho"))
    compiled = FunctionLoss(lambda F, pred, label, rho: inner(pred, label, rho=rho))
    at = np.asarray(2.0, "float32")
    assert_close(compiled(PRED, LABEL, at), huber(2.0).astype("float32"))
    fixed = FunctionLoss(lambda F, pred, label: inner(pred, label, rho=2.0))
    assert_close(fixed(PRED, LABEL), huber(2.0).astype("float32"))
    given = lg.reference.array(PRED), lg.reference.array(LABEL)
    assert_close(np.asarray(inner(*given, rho=2.0).asnumpy()), huber(2.0).astype("float32"))


# --- what is refused ------------------------------------------------------------------------


def test_an_option_that_is_no_mere_number_is_refused_by_name() -> None:
    for make, option in [
        (lambda v: gluon.SoftmaxCELoss(axis=v), "axis"),
        (lambda v: gluon.SoftmaxCELoss(sparse_label=v), "sparse_label"),
        (lambda v: gluon.CTCLoss(layout=v), "layout"),
        (lambda v: nn.MultiMarginLoss(p=v), "p"),
        (lambda v: nn.CrossEntropyLoss(weight=v), "weight"),
        (lambda v: nn.CrossEntropyLoss(v), "weight"),
        (lambda v: nn.MSELoss(v), "reduction"),
        (lambda v: nn.functional.pairwise_distance.with_options(p=v), "p"),
        (lambda v: optax.poly_loss_cross_entropy.with_options(axis=v), "axis"),
    ]:
        with pytest.raises(InputError, match=rf"{option} cannot be Input\('x'\)"):
            make(Input("x"))


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(InputError, match="has an argument 'label'"):
        gluon.HuberLoss(rho=Input("label"))(PRED, LABEL)
    with pytest.raises(InputError, match="has an argument 'gamma'"):
        losses.sigmoid_focal.with_options(alpha=Input("gamma"))(PRED, LABEL, gamma=1.0)


@pytest.mark.parametrize("name", ["", "1", "a b", None, 3])
def test_a_name_is_an_identifier(name: object) -> None:
    with pytest.raises(InputError, match="an input has a name"):
        Input(name)


def test_what_is_given_for_it_is_one_number() -> None:
    loss = gluon.HuberLoss(rho=Input("rho"))
    with pytest.raises(InputError, match="rho"):
        loss(PRED, LABEL)
    for wrong in ("2", None, True, np.ones(3, "float32")):
        with pytest.raises(InputError, match="rho: expected"):
            loss(PRED, LABEL, rho=wrong)
    types = {"pred": ("float32", ("N", 2)), "label": ("float32", ("N", 2))}
    with pytest.raises(InputError, match="rho: expected one number"):
        loss.to_onnx({**types, "rho": ("float32", ("N",))})


def test_an_input_says_what_it_is() -> None:
    loss = nn.HuberLoss(delta=Input("d"))
    assert repr(loss) == "HuberLoss(reduction='mean', delta=Input('d'))"
    assert loss.options["delta"] == Input("d")
    assert pickle.loads(pickle.dumps(loss)).options == loss.options
    assert "gamma=Input('g')" in repr(losses.sigmoid_focal.with_options(gamma=Input("g")))
    with pytest.raises(InputError, match="not known yet"):
        bool(Input("d"))
