"""Schedules beside torch.optim.lr_scheduler, and what needs no oracle."""

import itertools
import warnings

import pytest

import lossgraph as lg
from lossgraph.training import schedules
from support import assert_close

CASES = {
    "LinearLR": (
        lambda: schedules.linear(0.05, 0.2, 20),
        {"start_factor": 0.25, "end_factor": 1.0, "total_iters": 20},
        30,
    ),
    "CosineAnnealingLR": (
        lambda: schedules.cosine(0.2, 25, 0.01),
        {"T_max": 25, "eta_min": 0.01},
        26,
    ),
    "CosineAnnealingWarmRestarts": (
        lambda: schedules.cosine_restarts(0.2, 5, 2, 0.01),
        {"T_0": 5, "T_mult": 2, "eta_min": 0.01},
        50,
    ),
    "StepLR": (lambda: schedules.step_decay(0.2, 7, 0.5), {"step_size": 7, "gamma": 0.5}, 30),
    "MultiStepLR": (
        lambda: schedules.milestones(0.2, [20, 3], 0.5),
        {"milestones": [3, 20], "gamma": 0.5},
        30,
    ),
    "ExponentialLR": (lambda: schedules.exponential(0.2, 0.9), {"gamma": 0.9}, 30),
    "PolynomialLR": (
        lambda: schedules.polynomial(0.2, 20, 2.0),
        {"total_iters": 20, "power": 2.0},
        30,
    ),
    "OneCycleLR": (lambda: schedules.one_cycle(0.2, 30), {"max_lr": 0.2, "total_steps": 30}, 30),
    "OneCycleLR, three phases": (
        lambda: schedules.one_cycle(0.2, 41, 0.4, 10.0, 100.0, straight=True, three_phases=True),
        {
            "max_lr": 0.2,
            "total_steps": 41,
            "pct_start": 0.4,
            "div_factor": 10.0,
            "final_div_factor": 100.0,
            "anneal_strategy": "linear",
            "three_phase": True,
        },
        41,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_scheduler_of_torch(name):
    torch = pytest.importorskip("torch")
    make, options, steps = CASES[name]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.2, momentum=0.9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the optimizer made no step
        scheduler = getattr(torch.optim.lr_scheduler, name.split(",")[0])(optimizer, **options)
        expected = []
        for _ in range(steps):
            expected.append(optimizer.param_groups[0]["lr"])
            if len(expected) < steps:
                scheduler.step()
    assert_close(list(itertools.islice(make(), steps)), expected, "float64")


def test_warming_up():
    rates = schedules.warm_up(4, schedules.step_decay(0.4, 2, 0.5), start=0.5)
    assert_close(
        [rates(n) for n in range(8)], [0.2, 0.25, 0.3, 0.35, 0.4, 0.4, 0.2, 0.2], "float64"
    )


def test_schedules_in_turn():
    rates = schedules.in_turn([schedules.linear(0.0, 1.0, 2), schedules.constant(0.5)], [3])
    assert [rates(n) for n in range(5)] == [0.0, 0.5, 1.0, 0.5, 0.5]


def test_the_inverse_root_turns_where_it_is_largest():
    rates = list(itertools.islice(schedules.inverse_root(0.3, 10), 40))
    assert max(rates) == rates[9] == 0.3
    assert_close([rates[4], rates[39]], [0.15, 0.15], "float64")


def test_what_ends_stays_where_it_ends():
    assert schedules.cosine(0.2, 10, 0.1)(1000) == 0.1
    assert schedules.one_cycle(0.2, 30)(1000) == schedules.one_cycle(0.2, 30)(29)
    assert schedules.polynomial(0.2, 10, 0.5)(1000) == 0


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: schedules.cosine(-1.0, 10), "cosine: rate: expected a finite number"),
        (lambda: schedules.cosine(0.1, 0), "cosine: steps: expected an int above 0"),
        (lambda: schedules.one_cycle(0.1, 2), "2 steps are too few"),
        (lambda: schedules.one_cycle(0.1, 20, rising=1.0), "between 0 and 1"),
        (lambda: schedules.in_turn([schedules.constant(0.1)], [3]), "change at 0 growing numbers"),
    ],
)
def test_what_does_not_fit_is_refused(make, words):
    with pytest.raises(lg.LossgraphError, match=words):
        make()
