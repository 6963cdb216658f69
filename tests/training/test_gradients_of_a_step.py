"""What happens to gradients before a step: clipped, summed over batches, unscaled, skipped."""

import numpy as np
import pytest

import lossgraph as lg
from lossgraph.training import SGD, AdamW, LossScale
from support import assert_close
from training_cases import Run, drawn, step_of

draw = np.random.default_rng(5)
PARAMETERS = {"a": draw.standard_normal((3, 4)), "b": draw.standard_normal(4)}


def gradients_of(seed, dtype=np.float64, steps=10):
    pairs = zip(*(drawn(p.shape, np.dtype(dtype), seed + i, steps)
                  for i, p in enumerate(PARAMETERS.values())), strict=True)  # fmt: skip
    return [{f"d{name}": g for name, g in zip(PARAMETERS, pair, strict=True)} for pair in pairs]


def moved(before, after):
    return {name: before[name] - after[name] for name in before}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("options", [{"clip_norm": 0.5}, {"clip_value": 0.1}], ids=str)
def test_clipping_is_that_of_torch(options, dtype):
    torch = pytest.importorskip("torch")
    zeros = {name: np.zeros_like(array, dtype) for name, array in PARAMETERS.items()}
    run = Run(step_of(zeros, optimizer=SGD(1.0), **options))
    huge = [{k: g * np.asarray(1e17, dtype) for k, g in gradients_of(1, dtype, 1)[0].items()}]
    spoilt = [{"da": np.full((3, 4), np.nan, dtype), "db": np.ones(4, dtype)}]
    for gradients in gradients_of(0, dtype) + huge + spoilt:
        run.parameters = dict(zeros)
        run(**gradients)
        held = [torch.nn.Parameter(torch.zeros(p.shape)) for p in zeros.values()]
        for parameter, gradient in zip(held, gradients.values(), strict=True):
            parameter.data = parameter.data.to(torch.tensor(gradient).dtype)
            parameter.grad = torch.tensor(gradient)
        if "clip_norm" in options:
            torch.nn.utils.clip_grad_norm_(held, options["clip_norm"])
        else:
            torch.nn.utils.clip_grad_value_(held, options["clip_value"])
        for name, parameter in zip(zeros, held, strict=True):
            assert_close(run.parameters[name], -parameter.grad.numpy(), dtype)


def test_both_bounds_hold():
    zeros = {name: np.zeros_like(array) for name, array in PARAMETERS.items()}
    run = Run(step_of(zeros, optimizer=SGD(1.0), clip_value=0.1, clip_norm=0.2))
    run(**{name: 1e3 * g for name, g in gradients_of(0)[0].items()})
    flat = np.concatenate([array.ravel() for array in run.parameters.values()])
    assert_close(np.linalg.norm(flat), 0.2, tolerance=(1e-5, 0))  # 1e-6 beside the norm
    assert np.abs(flat).max() < 0.1


def test_a_norm_of_groups_is_that_of_all():
    zeros = {name: np.zeros_like(array) for name, array in PARAMETERS.items()}
    run = Run(step_of(zeros, optimizer=SGD(1.0), groups={"b": SGD(1.0)}, clip_norm=2.0))
    run(da=np.full((3, 4), 100.0), db=np.full(4, 100.0))
    assert_close(run.parameters["b"], np.full(4, -0.5), tolerance=(1e-7, 0))


def test_gradients_of_several_batches_make_a_step():
    options = {"optimizer": AdamW(0.1), "clip_norm": 1.0}
    one = Run(step_of(PARAMETERS, **options))
    several = Run(step_of(PARAMETERS, accumulate=3, **options))
    assert several.step.accumulation == 3
    batches = gradients_of(0, steps=9)
    for first in range(0, 9, 3):
        together = batches[first : first + 3]
        one(**{name: sum(b[name] for b in together) / 3 for name in together[0]})
        for batch in together[:2]:
            before = dict(several.parameters)
            made = several("accumulate", **batch)
            assert set(made) == {"loss", "next_a.gradient_sum", "next_b.gradient_sum"}
            assert all(np.array_equal(several.parameters[k], before[k]) for k in before)
        several(**together[2])
        for name in PARAMETERS:
            assert_close(several.parameters[name], one.parameters[name])
            assert not several.state[f"{name}.gradient_sum"].any()
    assert several.state["step"] == 3


def test_one_batch_is_a_step_by_default():
    step = step_of(PARAMETERS)
    assert step.accumulate is None
    assert step.accumulation == 1


def test_a_scaled_loss_moves_as_one_that_is_not():
    plain = Run(step_of(PARAMETERS, optimizer=AdamW(0.1)))
    scaled = Run(step_of(PARAMETERS, optimizer=AdamW(0.1), loss_scale=LossScale(2.0**10)))
    for gradients in gradients_of(0):
        losses = [run(**gradients)["loss"] for run in (plain, scaled)]
        assert losses[0] == losses[1]
    for name in PARAMETERS:
        assert_close(scaled.parameters[name], plain.parameters[name])


def test_the_scale_falls_grows_and_skips_as_in_torch():
    torch = pytest.importorskip("torch")
    scale = LossScale(4.0, growth=3.0, backoff=0.25, interval=2)
    run = Run(step_of(PARAMETERS, optimizer=SGD(0.1, momentum=0.9), loss_scale=scale))
    held = {name: torch.nn.Parameter(torch.tensor(array)) for name, array in PARAMETERS.items()}
    optimizer = torch.optim.SGD(held.values(), 0.1, momentum=0.9)
    scaler = torch.amp.GradScaler("cpu", 4.0, 3.0, 0.25, 2)
    for number, gradients in enumerate(gradients_of(0, steps=12)):
        if number in (0, 4, 5, 9):
            gradients["da"].flat[number] = [np.inf, -np.inf, np.nan][number % 3]
        run(**gradients)
        optimizer.zero_grad()
        scaler.scale(
            sum((held[n] * torch.tensor(gradients[f"d{n}"])).sum() for n in held)
        ).backward()
        scaler.step(optimizer)
        scaler.update()
        assert run.state["loss_scale"] == scaler.get_scale()
        for name, parameter in held.items():
            assert_close(run.parameters[name], parameter.detach().numpy())
    assert run.state["step"] == 8  # skipped steps do not count


def test_a_spoilt_batch_spoils_the_step_it_is_in_and_no_other():
    run = Run(step_of(PARAMETERS, optimizer=SGD(0.1), accumulate=2, loss_scale=8.0))
    good = gradients_of(0)[0]
    run("accumulate", **{name: np.full_like(g, np.inf) for name, g in good.items()})
    run(**good)
    assert all(np.array_equal(run.parameters[name], PARAMETERS[name]) for name in PARAMETERS)
    run("accumulate", **good)
    run(**good)
    assert_close(run.parameters["a"], PARAMETERS["a"] - 0.1 * good["da"])
    assert run.state["loss_scale"] == 8.0


def test_a_scale_does_not_grow_to_infinity():
    scale = LossScale(2.0**127, interval=1)
    run = Run(step_of({"w": np.zeros(2)}, loss_scale=scale))
    run(dw=np.full(2, 1e-300))
    assert run.state["loss_scale"] == np.float32(2.0**127)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: step_of(PARAMETERS, clip_norm=0.0), "clip_norm: expected a finite number above 0"),
        (lambda: step_of(PARAMETERS, clip_value=-1.0), "clip_value"),
        (lambda: step_of(PARAMETERS, accumulate=0), "accumulate: expected an int above 0"),
        (lambda: step_of(PARAMETERS, loss_scale="auto"), "loss_scale"),
        (lambda: LossScale(0.0), "LossScale: start"),
        (lambda: LossScale(interval=0), "LossScale: interval"),
    ],
)
def test_options_are_checked(make, words):
    with pytest.raises(lg.LossgraphError, match=words):
        make()
