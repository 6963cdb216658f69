"""Minima and maxima of sizes of which more is known than their names."""

from __future__ import annotations

import pytest

from lossgraph.ir.dims import Dim, assuming, differences_if_equal, maximum, minimum, named

T, N = named("T"), named("N")


def test_a_difference_that_is_not_negative_decides() -> None:
    with assuming([12 - T]):
        assert minimum(T, 12) == T
        assert minimum(12, T) == T
        assert maximum(T, 12) == 12
        assert str(minimum(N, 12)) == "min(N, 12)"
    assert str(minimum(T, 12)) == "min(T, 12)"


@pytest.mark.parametrize(
    ("left", "right", "known"),
    [
        (T, minimum(T, 12), [12 - T]),
        (minimum(12, T), 12, [T - 12]),
        (maximum(N, T), N, [N - T]),
        (N, minimum(T, 12), []),
        (T, N, []),
        (T, T // 2, []),
        (2 * T, minimum(T, 12) * 2, []),  # more than one is not needed by any model seen
    ],
)
def test_what_equal_sizes_tell(left: Dim, right: Dim, known: list[Dim]) -> None:
    assert differences_if_equal(left, right) == known
