"""Indices: reshapes, and the places in memory that they lead to."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lossgraph.ir.dims import named
from lossgraph.kernels.index import (
    ZERO,
    Index,
    LoopVar,
    Quotient,
    Remainder,
    address,
    divided,
    index_of,
    reshaped,
)

N, C, D = (named(name) for name in "NCD")


def value(index: Index, at: dict[LoopVar, int]) -> int:
    """The number that an index of static sizes is."""
    total = index.constant
    for atom, factor in index.terms:
        if isinstance(atom, LoopVar):
            number = at[atom]
        elif isinstance(atom, Quotient):
            number = value(atom.index, at) // atom.divisor
        else:
            assert isinstance(atom, Remainder)
            number = value(atom.index, at) % atom.divisor
        total += factor * number
    return total


@st.composite
def reshapes(draw):
    """A shape, and another of as many elements."""
    factors = draw(st.lists(st.sampled_from([1, 2, 3]), min_size=1, max_size=5))
    return grouped(draw, factors), grouped(draw, factors)


def grouped(draw, factors):
    shape = [1]
    for factor in factors:
        if draw(st.booleans()):
            shape[-1] *= factor
        else:
            shape.append(factor)
    return tuple(shape)


@given(reshapes())
def test_reshaped_indices_are_the_same_element(shapes):
    shape, before = shapes
    variables = [LoopVar(dim) for dim in shape]
    found = reshaped([index_of(var) for var in variables], shape, before)
    elements = np.arange(np.prod(shape)).reshape(before)
    for place in itertools.product(*map(range, shape)):
        at = dict(zip(variables, place, strict=True))
        there = tuple(value(index, at) for index in found)
        assert elements[there] == elements.reshape(shape)[place]


@given(reshapes())
def test_no_division_is_left_in_the_place_of_a_reshaped_element(shapes):
    shape, before = shapes
    variables = [LoopVar(dim) for dim in shape]
    indices = [index_of(var) for var in variables]
    place = address(reshaped(indices, shape, before), before)
    at = {var: var.size - 1 for var in variables}
    assert value(place, at) == np.prod(shape) - 1
    assert all(isinstance(atom, LoopVar) for atom, _ in place.terms)


@pytest.mark.parametrize(
    ("shape", "before"),
    [
        ((N, C * D), (N, C, D)),
        ((N * C, D), (N, C, D)),
        ((N, C), (N, 1, C)),
        ((N, C, D), (N, C * D)),
    ],
)
def test_sizes_may_be_symbolic(shape, before):
    variables = [LoopVar(dim) for dim in shape]
    indices = [index_of(var) for var in variables]
    place = address(reshaped(indices, shape, before), before)
    assert dict(place.terms) == dict(address(indices, shape).terms)


def test_quotients_are_seen_where_terms_show_them():
    c, d = LoopVar(C), LoopVar(D)
    whole = index_of(c) * D + index_of(d)
    assert divided(whole, D) == (index_of(c), index_of(d))
    assert divided(index_of(d), D) == (ZERO, index_of(d))
    high, low = divided(whole, C)
    assert isinstance(high.terms[0][0], Quotient)
    assert isinstance(low.terms[0][0], Remainder)
