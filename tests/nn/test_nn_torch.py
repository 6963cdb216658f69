"""lossgraph.nn against PyTorch itself: random shapes, options and dtypes, value and gradients."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossgraph import nn
from support import assert_close
from tolerances import FRAMEWORK

torch = pytest.importorskip("torch")

# Ours are right to some hundred roundings; torch's float32 kernels to 1e-4 in gradients.
REDUCTIONS = st.sampled_from(["mean", "sum", "none"])
SIZES = st.integers(1, 4)


def both(name, options, inputs, wrt, ours=None):
    """Compare value and gradients by the inputs ``wrt`` of a module of torch and of ours."""
    tensors = {k: torch.from_numpy(np.array(v)) for k, v in inputs.items()}
    leaves = [tensors[k].requires_grad_() for k in wrt]
    given = {k: torch.from_numpy(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of broadcasting, and of means that are to change
        out = getattr(torch.nn, name)(**given)(*tensors.values())
    grads = torch.autograd.grad(out.sum(), leaves)
    loss = getattr(nn, name)(**{**options, **(ours or {})})
    value, mine = loss.value_and_grad(*inputs.values(), wrt=wrt)
    tolerance = FRAMEWORK[next(iter(inputs.values())).dtype.name]
    assert_close(value, out.detach().numpy(), tolerance=tolerance)
    for key, grad in zip(wrt, grads, strict=True):
        assert_close(mine[key], grad.numpy(), tolerance=tolerance)


class Draw:
    """Random arrays of one dtype, and options."""

    def __init__(self, data):
        self.data = data
        self.dtype = data.draw(st.sampled_from(["float64", "float32"]))
        self.rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
        self.reduction = data.draw(REDUCTIONS)

    def option(self, *choices):
        return self.data.draw(st.sampled_from(choices))

    def shape(self, least=0, most=3):
        return tuple(self.data.draw(st.lists(SIZES, min_size=least, max_size=most)))

    def real(self, shape, scale=None):
        scale = self.option(1.0, 0.1, 30.0) if scale is None else scale
        return np.asarray(self.rng.normal(size=shape) * scale, self.dtype)

    def unit(self, shape):
        return np.asarray(self.rng.uniform(0.01, 0.99, shape), self.dtype)

    def sign(self, shape):
        return np.asarray(self.rng.choice([-1.0, 1.0], shape), self.dtype)

    def classes(self, shape, count):
        return np.asarray(self.rng.integers(0, count, shape))

    def weight(self, shape):
        """A weight or none."""
        if self.option(True, False):
            return {}
        weight = np.asarray(self.rng.uniform(0.2, 2, shape), self.dtype)
        return {"weight": weight}


def random_options(count=25):
    def decorate(test):
        @settings(max_examples=count, deadline=None, derandomize=True)
        @given(st.data())
        def run(data):
            test(Draw(data))

        run.__name__ = test.__name__
        return run

    return decorate


@pytest.mark.parametrize("name", ["L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss"])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data())
def test_errors(name, data):
    d = Draw(data)
    shape = d.shape()
    options = {"reduction": d.reduction}
    if name == "SmoothL1Loss":
        options["beta"] = d.option(0.0, 0.5, 1.0, 3.0)
    if name == "HuberLoss":
        options["delta"] = d.option(0.1, 1.0, 7.0)
    both(name, options, {"input": d.real(shape), "target": d.real(shape)}, ["input", "target"])


@random_options()
def test_bce(d):
    shape = d.shape()
    weight = d.weight(d.option(shape, shape[-1:], ()))
    inputs = {"input": d.unit(shape), "target": d.unit(shape)}
    both("BCELoss", {"reduction": d.reduction, **weight}, inputs, ["input", "target"])


@random_options()
def test_bce_with_logits(d):
    shape = d.shape()
    options = {"reduction": d.reduction, **d.weight(d.option(shape, shape[-1:], ()))}
    if d.option(True, False):
        options["pos_weight"] = np.asarray(d.rng.uniform(0.2, 3, shape[-1:]), d.dtype)
    inputs = {"input": d.real(shape), "target": d.unit(shape)}
    both("BCEWithLogitsLoss", options, inputs, ["input", "target"])


@random_options(60)
def test_cross_entropy(d):
    batched = d.option(True, True, False)
    outer = d.shape(0, 2) if batched else ()
    classes, samples = d.option(1, 2, 5), d.option(1, 3)
    batch = (samples,) if batched else ()
    options = {"reduction": d.reduction, "label_smoothing": d.option(0.0, 0.1, 1.0)}
    options |= d.weight((classes,))
    logits = d.real((*batch, classes, *outer))
    if d.option(True, False):
        target = np.asarray(d.rng.dirichlet(np.ones(classes), (*batch, *outer)), d.dtype)
        target = np.moveaxis(target, -1, len(batch)).copy()
        both("CrossEntropyLoss", options, {"input": logits, "target": target}, ["input", "target"])
        return
    options["ignore_index"] = d.option(-100, 0, 255)
    target = d.classes((*batch, *outer), classes)
    if d.option(True, False) and target.ndim:
        target[(0,) * target.ndim] = options["ignore_index"]
    both("CrossEntropyLoss", options, {"input": logits, "target": target}, ["input"])


@random_options()
def test_nll(d):
    outer, classes, samples = d.shape(0, 2), d.option(1, 2, 5), d.option(1, 3)
    options = {"reduction": d.reduction, "ignore_index": d.option(-100, 1), **d.weight((classes,))}
    inputs = {
        "input": d.real((samples, classes, *outer)),
        "target": d.classes((samples, *outer), classes),
    }
    both("NLLLoss", options, inputs, ["input"])


@random_options()
def test_kl_div(d):
    shape = d.shape(1)
    options = {"log_target": d.option(True, False), "reduction": d.option("batchmean", d.reduction)}
    target = d.real(shape) if options["log_target"] else d.unit(shape)
    both("KLDivLoss", options, {"input": d.real(shape), "target": target}, ["input", "target"])


@random_options()
def test_poisson_nll(d):
    shape = d.shape()
    options = {"reduction": d.reduction, "log_input": d.option(True, False),
               "full": d.option(True, False), "eps": d.option(1e-8, 0.1)}  # fmt: skip
    rate = d.real(shape, 1.0) if options["log_input"] else d.unit(shape)
    counts = np.asarray(d.rng.integers(1, 9, shape), d.dtype)  # at 0 torch's gradient is NaN
    both("PoissonNLLLoss", options, {"input": rate, "target": counts}, ["input", "target"])


@random_options()
def test_gaussian_nll(d):
    shape = d.shape(1)
    kind = d.option(shape, shape[:-1], (*shape[:-1], 1))
    var = np.asarray(d.rng.uniform(0.1, 3, kind), d.dtype)  # below eps torch's gradient is not 0
    options = {"full": d.option(True, False), "eps": d.option(1e-6, 0.05), "reduction": d.reduction}
    inputs = {"input": d.real(shape), "target": d.real(shape), "var": var}
    both("GaussianNLLLoss", options, inputs, ["input", "target", "var"])


@pytest.mark.parametrize("name", ["SoftMarginLoss", "HingeEmbeddingLoss"])
@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.data())
def test_signed_labels(name, data):
    d = Draw(data)
    shape = d.shape()
    options = {"reduction": d.reduction}
    if name == "HingeEmbeddingLoss":
        options["margin"] = d.option(1.0, -0.5, 3.0)
    both(name, options, {"input": d.real(shape), "target": d.sign(shape)}, ["input"])


@random_options()
def test_margin_ranking(d):
    shape = d.shape()
    inputs = {"input1": d.real(shape), "input2": d.real(shape), "target": d.sign(shape)}
    options = {"margin": d.option(0.0, 0.5, -1.0), "reduction": d.reduction}
    both("MarginRankingLoss", options, inputs, list(inputs))


@random_options()
def test_multi_margin(d):
    classes, batch = d.option(1, 3, 6), d.option((), (1,), (4,))
    options = {"p": d.option(1, 2), "margin": d.option(1.0, 0.3, 5.0), "reduction": d.reduction}
    options |= d.weight((classes,))
    inputs = {"input": d.real((*batch, classes)), "target": d.classes(batch, classes)}
    both("MultiMarginLoss", options, inputs, ["input"])


@random_options()
def test_multi_label_margin(d):
    classes, batch = d.option(1, 3, 6), d.option((), (1,), (4,))
    target = np.asarray(d.rng.integers(-1, classes, (*batch, classes)))
    inputs = {"input": d.real((*batch, classes)), "target": target}
    both("MultiLabelMarginLoss", {"reduction": d.reduction}, inputs, ["input"])


@random_options()
def test_multi_label_soft_margin(d):
    shape = d.shape(1)
    inputs = {"input": d.real(shape), "target": d.unit(shape)}
    options = {"reduction": d.reduction, **d.weight(shape[-1:])}
    both("MultiLabelSoftMarginLoss", options, inputs, ["input", "target"])


@random_options(25)
def test_cosine_embedding(d):
    d.dtype = "float64"  # torch's float32 cosines and ours differ by an ulp over the length
    shape = d.shape(1, 2)
    inputs = {"input1": d.real(shape), "input2": d.real(shape), "target": d.sign(shape[:-1])}
    options = {"margin": d.option(0.0, 0.4, -0.3), "reduction": d.reduction}
    both("CosineEmbeddingLoss", options, inputs, ["input1", "input2"])


@random_options(40)
def test_triplet_margin(d):
    shape = d.shape(1)
    inputs = {name: d.real(shape) for name in ("anchor", "positive", "negative")}
    options = {"margin": d.option(1.0, 0.2, 50.0), "p": d.option(2.0, 1.0, 3.0, 1.5, math.inf),
               "eps": d.option(1e-6, 0.01), "swap": d.option(True, False),
               "reduction": d.reduction}  # fmt: skip
    both("TripletMarginLoss", options, inputs, list(inputs))


DISTANCES = {
    None: torch.nn.PairwiseDistance(),
    "squared_euclidean": lambda x, y: ((x - y) ** 2).sum(-1),
    "cosine": lambda x, y: 1 - torch.nn.functional.cosine_similarity(x, y, dim=-1),
    "manhattan": lambda x, y: (x - y).abs().sum(-1),
    "chebyshev": lambda x, y: (x - y).abs().amax(-1),
}


@random_options()
def test_triplet_margin_with_distance(d):
    shape = d.shape(1, 2)
    name = d.option(*DISTANCES)
    inputs = {key: d.real(shape) for key in ("anchor", "positive", "negative")}
    options = {"distance_function": DISTANCES[name], "margin": d.option(1.0, 0.3),
               "swap": d.option(True, False), "reduction": d.reduction}  # fmt: skip
    ours = {"distance_function": name}
    both("TripletMarginWithDistanceLoss", options, inputs, list(inputs), ours=ours)


@random_options(15)
def test_adaptive_log_softmax(d):
    cutoffs = d.option([4], [2, 5], [1, 3, 6])
    bias = d.option(True, False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of vectors that div_value leaves no length
        module = torch.nn.AdaptiveLogSoftmaxWithLoss(
            6, 8, cutoffs, div_value=d.option(2.0, 1.2), head_bias=bias, dtype=torch.float64
        )
    loss = nn.AdaptiveLogSoftmaxWithLoss(6, 8, cutoffs, module.div_value, bias)
    parameters = {name: p.detach().numpy() for name, p in module.named_parameters()}
    assert loss.parameter_shapes == {name: p.shape for name, p in parameters.items()}
    d.dtype = "float64"
    vectors, target = d.real((5, 6), 1.0), d.classes((5,), 8)
    x = torch.from_numpy(vectors).requires_grad_()
    expected = module(x, torch.from_numpy(target)).loss
    grads = torch.autograd.grad(expected, [x, *module.parameters()], allow_unused=True)
    value, mine = loss.value_and_grad(vectors, target, **parameters, wrt=["input", *parameters])
    assert_close(value, expected.detach().numpy())
    for name, grad in zip(mine, grads, strict=True):
        assert_close(mine[name], np.zeros_like(mine[name]) if grad is None else grad.numpy())


@pytest.mark.parametrize("name", ["l1_loss", "mse_loss", "huber_loss"])
@settings(max_examples=15, deadline=None, derandomize=True)
@given(st.data())
def test_weighed_functions(name, data):
    d = Draw(data)
    shape = d.shape(1)
    arrays = {"input": d.real(shape), "target": d.real(shape),
              "weight": np.asarray(d.rng.uniform(0, 2, shape), d.dtype)}  # fmt: skip
    options = {"reduction": d.reduction} | ({"delta": 0.7} if name == "huber_loss" else {})
    functional(name, arrays, options)


@random_options(30)
def test_distances(d):
    d.dtype = "float64"
    shape = d.shape(1)
    arrays = {"x1": d.real(shape), "x2": d.real(shape)}
    p = d.option(2.0, 1.0, math.inf, 2.5)
    functional("pairwise_distance", arrays, {"p": p, "keepdim": d.option(True, False)})
    functional("cosine_similarity", arrays, {"dim": d.data.draw(st.integers(0, len(shape) - 1))})


def functional(name, arrays, options):
    tensors = {k: torch.from_numpy(np.array(v)).requires_grad_() for k, v in arrays.items()}
    out = getattr(torch.nn.functional, name)(**tensors, **options)
    grads = torch.autograd.grad(out.sum(), list(tensors.values()))
    value, mine = getattr(nn.functional, name).value_and_grad(**arrays, **options, wrt=list(arrays))
    tolerance = FRAMEWORK[next(iter(arrays.values())).dtype.name]
    assert_close(value, out.detach().numpy(), tolerance=tolerance)
    for key, grad in zip(arrays, grads, strict=True):
        assert_close(mine[key], grad.numpy(), tolerance=tolerance)
