"""Curves in a terminal."""

from __future__ import annotations

import math

from lossgraph.view.terminal import text_curve


def test_a_line_goes_from_corner_to_corner():
    assert text_curve([(0, 0), (1, 1)], width=4, height=2).splitlines() == [
        "1 │  ⡠⠊",
        "0 │⡠⠊",
        "  └────",
        "   0  1",
    ]


def test_marks_stand_where_they_are():
    rows = text_curve([(0, 0), (10, 0)], [(10, 5), (0, 5)], width=5, height=3).splitlines()
    assert rows[0] == "5 │×   ×"
    assert rows[2] == "0 │⣀⣀⣀⣀⣀"


def test_what_is_not_finite_is_left_out():
    assert text_curve([(0, math.nan), (math.inf, 1)]) == ""
    assert text_curve([]) == ""
    flat = text_curve([(0, 1), (1, math.nan), (2, 1)], width=4, height=3).splitlines()
    assert flat[1].count("⠤") + flat[1].count("⠒") == 4
