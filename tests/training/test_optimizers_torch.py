"""Optimizers beside torch.optim, step by step."""

import numpy as np
import pytest

from lossgraph import training
from support import assert_close
from training_cases import Run, drawn, step_of

torch = pytest.importorskip("torch")

STEPS = 40
CASES = {
    "SGD": [
        {},
        {"momentum": 0.9},
        {"momentum": 0.9, "dampening": 0.3},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.01},
        {"weight_decay": 0.1, "maximize": True},
    ],
    "Adam": [
        {},
        {"betas": (0.0, 0.9)},
        {"betas": (0.8, 0.0), "eps": 1e-3},
        {"amsgrad": True, "weight_decay": 0.05},
        {"maximize": True},
    ],
    "AdamW": [{}, {"weight_decay": 0.3, "amsgrad": True}, {"weight_decay": 0.0, "maximize": True}],
    "Adagrad": [
        {},
        {"lr_decay": 0.1, "weight_decay": 0.01},
        {"initial_accumulator_value": 0.5, "eps": 1e-3, "maximize": True},
    ],
    "RMSprop": [
        {},
        {"alpha": 0.9, "momentum": 0.9},
        {"weight_decay": 0.01, "maximize": True},
        {"centered": True, "eps": 1e-2},
        {"centered": True, "momentum": 0.5, "eps": 1e-2, "weight_decay": 0.1},
    ],
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("name", "options"),
    [pytest.param(k, o, id=f"{k}-{'-'.join(o)}") for k, several in CASES.items() for o in several],
)
def test_it_moves_as_in_torch(name, options, dtype):
    start = np.random.default_rng(0).standard_normal((3, 4)).astype(dtype)
    run = Run(step_of({"w": start}, optimizer=getattr(training, name)(0.02, **options)))
    w = torch.nn.Parameter(torch.tensor(start))
    optimizer = getattr(torch.optim, name)([w], lr=0.02, **options)
    largest = {}
    for gradient in drawn(start.shape, start.dtype, 1, STEPS):
        w.grad = torch.tensor(gradient)
        optimizer.step()
        run(dw=gradient)
        kept = {"": w.detach(), **{slot: optimizer.state[w][slot] for slot in run.slots}}
        for slot, expected in kept.items():
            actual = run.state[f"w.{slot}"] if slot else run.parameters["w"]
            # What is left of huge numbers has the roundings of huge numbers.
            size = expected.abs().max().item() or 1.0
            largest[slot] = max(largest.get(slot, 0.0), size)
            assert_close(actual / largest[slot], expected.numpy() / largest[slot], dtype)
