"""Options that are inputs of the graph: values, gradients and exports of every float option."""

from __future__ import annotations

import inspect
import pickle

import numpy as np
import pytest
from support import assert_close, run_model

import lossgraph as lg
from lossgraph import Input, catalogue, gluon, losses, nn, optax
from lossgraph.catalogue import Entry, entries, lookup
from lossgraph.errors import InputError
from lossgraph.functions import FunctionLoss
from lossgraph.samples import choose_sizes, draw

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
# Where nothing depends on the option: a bound that no path comes to.
WITHOUT_EFFECT = {("optax.ctc_loss", "log_epsilon"), ("optax.ctc_loss_with_forward_probs", "log_epsilon")}


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
    return draw(found, sizes, examples, program.labels), types


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
    above, below = (total(loss(**arrays, knob=at + s)) for s in (step, -step))
    difference = (above - below) / (2 * step)
    if key not in DETACHED:
        rounding = 1e-13 * abs(above) / step
        np.testing.assert_allclose(slope, difference, rtol=1e-5, atol=1e-9 + rounding)
        assert (abs(slope) > 100 * rounding) == (key not in WITHOUT_EFFECT)


def test_the_exceptions_are_options() -> None:
    known = {(entry.name, option) for entry in entries() for option in float_options(entry)}
    assert CONSTANT | DETACHED | WITHOUT_EFFECT | set(VALUES) | set(BESIDE) <= known
