"""Derivatives by differences: of functions whose derivatives are known."""

from __future__ import annotations

import numpy as np
import pytest

from lossgraph.compare.finite_differences import along, gradient, one_sided
from support import assert_close
from tolerances import DIFFERENCE


@pytest.fixture
def x():
    return np.array([[0.3, -1.2, 2.0], [-0.4, 0.9, 1.1]])


def test_along_a_direction(x):
    direction = np.array([[1.0, 0.5, -2.0], [0.0, 1.0, 1.0]])
    found = along(lambda at: np.exp(at["x"]) * at["y"], {"x": x, "y": x**2}, {"x": direction})
    assert_close(found, np.exp(x) * x**2 * direction, tolerance=DIFFERENCE)
    both = along(lambda at: at["x"] * at["y"], {"x": x, "y": x**2}, {"x": direction, "y": x})
    assert_close(both, direction * x**2 + x * x, tolerance=DIFFERENCE)


def test_a_gradient_is_that_of_the_sum(x):
    found = gradient(lambda at: np.sin(at["x"]).sum(axis=1), {"x": x}, "x")
    assert_close(found, np.cos(x), tolerance=DIFFERENCE)


@pytest.mark.parametrize("axis", [0, 1])
def test_all_samples_at_once(x, axis):
    """The same, in one call; what has no batch axis is the same for all samples."""
    arrays = {"x": x if axis == 0 else x.T.copy(), "w": np.array([1.0, 2.0, 3.0])}
    calls = []

    def value(at):
        calls.append(at)
        samples = at["x"] if axis == 0 else at["x"].T
        return (samples**3 @ at["w"]) * samples[:, 0]

    alone = gradient(value, arrays, "x")
    assert len(calls) == 2 * x.size
    calls.clear()
    together = gradient(value, arrays, "x", axes={"x": axis})
    assert len(calls) == 1
    assert_close(together, alone, tolerance=DIFFERENCE)


def test_what_stays_infinite_does_not_change(x):
    found = gradient(lambda at: np.array([np.inf, at["x"].sum()]), {"x": x}, "x")
    assert_close(found, np.ones_like(x), tolerance=DIFFERENCE)


def test_no_entry_no_slope():
    empty = {"x": np.zeros((0, 3))}
    for axes in (None, {"x": 0}):
        assert gradient(lambda at: at["x"].sum(1), empty, "x", axes=axes).shape == (0, 3)


def test_both_sides_of_a_kink():
    found = one_sided(lambda at: np.abs(at["x"]), {"x": np.array([-1.0, 0.0, 2.0])}, "x")
    assert_close(found.left, [-1.0, -1.0, 1.0], tolerance=DIFFERENCE)
    assert_close(found.right, [-1.0, 1.0, 1.0], tolerance=DIFFERENCE)
    assert found.kinks.tolist() == [False, True, False]
    assert_close(found.central, [-1.0, 0.0, 1.0], tolerance=DIFFERENCE)


def test_chosen_entries_in_float32_move_by_numbers_of_float32():
    x = np.array([1e3, 1.0], np.float32)
    found = one_sided(lambda at: at["x"].astype(float) * 2, {"x": x}, "x", [(0,)], 1e-3)
    assert found.places == [(0,)]
    assert_close(found.central, [2.0], tolerance=(1e-9, 0))
