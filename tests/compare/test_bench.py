"""Measuring callables, by a clock that is made up; and the equivalents of losses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from lossgraph import gluon
from lossgraph.catalogue import example_types, lookup
from lossgraph.compare import equivalents
from lossgraph.compare.bench import (
    FEWEST,
    MOST,
    WARM_CALLS,
    calls_in,
    duration_text,
    geometric_mean,
    in_turn,
    interleave,
    ratio_text,
    summarize,
    warm,
)
from lossgraph.compare.differences import sample_difference
from lossgraph.deploy.example_inputs import draw_inputs

# --- taking turns ---


class Machine:
    """A clock, and calls that take a time by it."""

    def __init__(self) -> None:
        self.now, self.order = 0.0, ""

    def clock(self) -> float:
        return self.now

    def call(self, name: str, *seconds: float) -> Callable[[], None]:
        """A call that takes a time, or several by turns."""
        taken = 0

        def call() -> None:
            nonlocal taken
            self.now += seconds[taken % len(seconds)]
            self.order += name
            taken += 1

        return call


def test_calls_are_measured_by_turns() -> None:
    machine = Machine()
    calls = {"a": machine.call("a", 0.125), "b": machine.call("b", 0.5)}
    found = interleave(calls, rounds=2, seconds=1.0, clock=machine.clock)
    assert found == {"a": [[0.125] * 8] * 2, "b": [[0.5] * FEWEST] * 2}
    # Each is warmed up, then has its turns with an untimed call before.
    assert machine.order.endswith("a" * 9 + "b" * 4 + "b" * 4 + "a" * 9)


def test_what_compiles_is_not_measured() -> None:
    machine = Machine()
    slow_first = machine.call("a", 60.0, *[1 / 64] * 100)
    assert warm(slow_first, machine.clock) == [1 / 64] * 4  # of 7, which fill 0.1 s
    assert len(warm(machine.call("b", 9.0), machine.clock)) == WARM_CALLS - WARM_CALLS // 2


def test_ratios_are_taken_round_by_round() -> None:
    base = [[1.0, 2.0, 9.0], [10.0], [4.0, 4.0]]  # medians 2, 10, 4
    other = [[6.0], [20.0, 10.0, 30.0], [4.0]]  # medians 6, 20, 4
    found = summarize({"lossgraph": base, "other": other}, "lossgraph")
    assert found["other"].ratios == [3.0, 2.0, 1.0]
    assert found["other"].ratio == 2.0
    assert (found["other"].low, found["other"].high) == (1.5, 2.5)
    assert found["other"].medians == [6.0, 20.0, 4.0]
    assert found["other"].median == 6.0
    assert found["other"].minimum == 4.0
    assert found["other"].calls == 5
    assert found["lossgraph"].ratios == [1.0, 1.0, 1.0]
    assert found["lossgraph"].median == 4.0


def test_one_slow_call_or_round_changes_little() -> None:
    rounds = [[1.0, 1.0, 100.0]] * 4 + [[50.0]]
    found = summarize({"lossgraph": [[2.0]] * 5, "other": rounds}, "lossgraph")
    assert found["other"].ratio == 0.5
    assert found["other"].median == 1.0


def test_everybody_is_first_in_turn() -> None:
    orders = ["".join(in_turn("abc", turn)) for turn in range(7)]
    assert orders == ["abc", "bca", "cab", "cba", "acb", "bac", "abc"]


def test_calls_of_a_round_follow_the_time_that_one_takes() -> None:
    assert calls_in(0.2, [0.01, 0.01, 5.0]) == 20
    assert calls_in(0.2, [7.0]) == FEWEST
    assert calls_in(0.2, [1e-9]) == MOST


def test_means_of_ratios() -> None:
    assert geometric_mean([0.5, 2.0]) == pytest.approx(1)
    assert geometric_mean([1.0, 10.0, 100.0]) == pytest.approx(10)
    assert math.isnan(geometric_mean([]))


# --- numbers and words ---


def test_ratios_and_times_are_short() -> None:
    assert [ratio_text(x) for x in (0.0123, 0.5, 1.004, 12.34, 123.4)] == [
        "0.012", "0.50", "1.00", "12.3", "123",
    ]  # fmt: skip
    assert [duration_text(x) for x in (1.5, 0.0123, 4.5e-5)] == ["1.5 s", "12.3 ms", "45 µs"]


# --- equivalents ---


NAMES = [name for name in equivalents.TORCH if name.startswith("gluon.")]
APART = 1e-4  # of a sample in float32, for 1 - cos of two that are almost parallel cancels


def sample(name: str) -> tuple[Any, dict[str, Any]]:
    """A loss and arrays for it."""
    made = lookup(name).make()
    return made, draw_inputs(made, made.program(example_types(made)))


def of(framework: str) -> tuple[Any, Any, Any]:
    """The framework if it is here, its table, and what makes calls."""
    module = pytest.importorskip(framework)
    if framework == "torch":
        return module, equivalents.TORCH, equivalents.torch_call
    pytest.importorskip("optax")
    return module, equivalents.JAX, equivalents.jax_call


@pytest.mark.parametrize("framework", ["torch", "jax"])
@pytest.mark.parametrize("name", NAMES)
def test_equivalents_compute_the_same(name: str, framework: str) -> None:
    module, table, make = of(framework)
    made, arrays = sample(name)
    first = next(iter(arrays))
    value, grads = made.value_and_grad(**arrays)
    function = equivalents.find(table, module, name, {}, {})
    alone, nothing = make(module, function, arrays)()
    theirs, their_grads = make(module, function, arrays, [first])()
    assert nothing == {}
    for found in (alone, theirs):
        assert sample_difference(value.reshape(-1), np.asarray(found).reshape(-1)) < APART
    assert sample_difference(grads[first], np.asarray(their_grads[first])) < APART


def test_tables_have_the_same_losses() -> None:
    assert [name for name in equivalents.JAX if name.startswith("gluon.")] == NAMES
    for table, _ in equivalents.FRAMEWORKS.values():
        assert list(table) == sorted(table)
        assert all(lookup(name).name == name for name in table)


def test_options_that_an_equivalent_has_not_rule_it_out() -> None:
    options = lookup("huber").options
    framework = type("Framework", (), {})

    def find(name: str, **given: object) -> object:
        return equivalents.find(equivalents.TORCH, framework, name, given, options)

    assert find("gluon.HuberLoss", rho=2)
    assert find("gluon.HuberLoss", weight=None)
    assert find("gluon.HuberLoss", weight=2.0) is None
    assert find("gluon.SDMLLoss") is None


@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_options_reach_a_equivalent(framework: str) -> None:
    module, table, make = of(framework)
    made, arrays = gluon.HuberLoss(rho=0.3), sample("gluon.HuberLoss")[1]
    options = lookup("huber").options
    function = equivalents.find(table, module, "gluon.HuberLoss", {"rho": 0.3}, options)
    assert (
        sample_difference(made(**arrays), np.asarray(make(module, function, arrays)()[0])) < APART
    )


def test_losses_of_torch_are_their_own_equivalents() -> None:
    torch = pytest.importorskip("torch")
    found = equivalents.find(equivalents.TORCH, torch, "nn.HuberLoss", {"delta": 3}, {})
    assert isinstance(found, torch.nn.HuberLoss)
    assert found.delta == 3
