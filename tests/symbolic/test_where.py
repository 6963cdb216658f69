"""``F.where``: three arrays that broadcast, or a condition that chooses rows."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import reference
from lossgraph.authoring.functions import as_loss


def body(F, c, x, y):
    return F.where(c > 0, x, y)


def arrays(*shapes):
    rng = np.random.default_rng(0)
    return [rng.uniform(-1, 1, shape) for shape in shapes]


@pytest.mark.parametrize(
    ("shapes", "chosen"),
    [
        (((3,), (3,), (1, 3)), (1, 3)),
        (((3,), (1, 3), (1, 3)), (1, 3)),
        (((2,), (3, 2), (3, 2)), (1, 2)),
        (((2,), (2, 1, 3), (3,)), (2, 1, 1)),
        (((3,), (2, 1, 3), (3,)), (1, 1, 3)),
        (((3,), (3, 2), (2,)), (3, 1)),
        (((3,), (3, 2), ()), (3, 1)),
        (((3,), (3, 3), (3, 3)), (3, 1)),  # MXNet's
        (((3, 1), (1, 2), (1,)), (3, 1)),
        (((1,), (3, 2), (3, 2)), (1, 1)),
        (((0,), (0, 2), (2,)), (0, 1)),
        (((2,), (3, 1), (1,)), (1, 2)),
    ],
)
def test_a_condition_broadcasts_or_chooses_rows(shapes, chosen):
    c, x, y = arrays(*shapes)
    expected = np.where(c.reshape(chosen) > 0, x, y)
    np.testing.assert_array_equal(as_loss(body)(c, x, y), expected)
    judged = body(reference, *map(reference.Array, (c, x, y)))
    np.testing.assert_array_equal(judged.asnumpy(), expected)


def test_names_of_dims_decide_what_lengths_do_not():
    rows = {"c": ("float64", ("N",)), "x": ("float64", ("N", "C")), "y": ("float64", ("C",))}
    columns = {**rows, "c": ("float64", ("C",))}
    c, x, y = arrays((3,), (3, 3), (3,))
    by_row, by_column = lg.compile(body, rows), lg.compile(body, columns)
    np.testing.assert_array_equal(by_row(c, x, y), np.where(c[:, None] > 0, x, y))
    np.testing.assert_array_equal(by_column(c, x, y), np.where(c > 0, x, y))


def test_what_could_be_meant_either_way_is_refused():
    c, x, y = arrays((3,), (3,), (3, 3))
    with pytest.raises(lg.InputError, match="the first or the last axis"):
        as_loss(body)(c, x, y)
    with pytest.raises(lg.InputError, match="the first or the last axis"):
        body(reference, *map(reference.Array, (c, x, y)))


def test_a_condition_that_fits_no_axis_is_refused():
    c, x, y = arrays((4,), (3, 2), (3, 2))
    with pytest.raises(lg.InputError):
        as_loss(body)(c, x, y)
    with pytest.raises(lg.InputError, match="does not broadcast"):
        body(reference, *map(reference.Array, (c, x, y)))
