"""NaN in, NaN out, for every loss of the catalogue: in value and gradients, run and exported."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph.catalogue import entries
from lossgraph.deploy.example_inputs import choose_sizes, draw
from lossgraph.deploy.export import expected
from lossgraph.runtime.sessions import make_session

LENGTH = 9  # of the features or classes: a vector of the processor, and a rest
# Inputs that are compared only, as labels are, or of which some elements are not looked at.
NOT_SEEN = {
    "losses.cox_partial_likelihood": {"time"},
    "losses.list_mle": {"relevance"},
    "losses.rank_net": {"relevance"},
    "nn.HingeEmbeddingLoss": {"target"},
    "nn.AdaptiveLogSoftmaxWithLoss": {"tail.0.0.weight", "tail.0.1.weight"},
    "optax.ctc_loss": {"logit_paddings", "label_paddings"},
    "optax.ctc_loss_with_forward_probs": {"logit_paddings", "label_paddings"},
    "losses.focal_ctc": {"log_probs"},
    "nn.CTCLoss": {"log_probs"},
    "nn.NLLLoss": {"input"},
}


def example(entry, dtype):
    """The loss compiled with gradients, its arrays, and its exported model."""
    loss = entry.make()
    types = {
        name: (dtype if kind.startswith("float") else kind, shape)
        for name, (kind, shape) in entry.example_types(loss).items()
    }
    run = lg.compile(loss, types, grad=entry.predictions)
    inputs = {node.attrs["name"]: node.type for node in run.program.inputs}
    names = {str(dim) for type_ in inputs.values() for dim in type_.shape}
    wide = next((name for name in ("C", "D", "F", "T") if name in names), None)
    try:
        sizes = choose_sizes(inputs, run.program.constraints, {wide: LENGTH} if wide else {})
    except lg.InputError:
        sizes = choose_sizes(inputs, run.program.constraints)
    arrays = draw(inputs, sizes, entry.examples(loss), run.program.labels)
    return loss, run, arrays, make_session(run.program.to_onnx())


def flat(program, result):
    """The outputs of a call by name."""
    value, grads = result
    values = value if program.several or isinstance(value, tuple) else (value,)
    return dict(zip(program.outputs, (*values, *grads.values()), strict=True))


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_losses(entry):
    loss, run, arrays, exported = example(entry, "float64")
    program = run.program
    for name, array in arrays.items():
        if array.dtype.kind != "f" or not array.size:
            continue
        for place in (0, array.size - 1):
            spoilt = {**arrays, name: array.copy()}
            spoilt[name].flat[place] = np.nan
            with np.errstate(all="ignore"):
                wanted = expected(loss, program, spoilt)
            if name not in NOT_SEEN.get(entry.name, ()):
                assert any(np.isnan(wanted[key]).any() for key in program.values), name
            feeds = {node.name: spoilt[node.name] for node in exported.get_inputs()}
            outputs = dict(zip(program.outputs, exported.run(None, feeds), strict=True))
            for found in (flat(program, run(**spoilt)), outputs):
                for key, value in wanted.items():
                    np.testing.assert_array_equal(np.isnan(found[key]), np.isnan(value), key)
