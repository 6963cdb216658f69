"""Integers in lanes of 32 bits: exact, or refused by name, by the plan or by the call."""

from __future__ import annotations

import numpy as np
import pytest

from hand_written import build_kernels, needs_cc
from lossgraph.errors import InputError
from lossgraph.ir import ops
from lossgraph.ir.dims import named
from lossgraph.ir.evaluate import evaluate
from lossgraph.kernels.integers import KernelUnsupportedError
from lossgraph.kernels.kernel import Kernel
from lossgraph.kernels.library import Library
from support import symbol

N = named("N")
LONG, OTHER = symbol("i", "int64", (N,)), symbol("j", "int64", (N,))
SHORT = symbol("s", "int32", (N,))
X = symbol("x", "float32", (N,))
COUNT = ops.reduce_sum(ops.cast(ops.greater(X, 0.0), "int64"), (0,))
FAR = np.array([2**32, -(2**40), 2**31 - 1, -(2**31), 3, 0, -1, 2**63 - 1], np.int64)

REFUSED = {
    "a product": LONG * 9,
    "a sum of all": ops.reduce_sum(LONG, (0,)),
    "the largest": ops.reduce_max(LONG, (0,)),
    "a narrower dtype": ops.cast(LONG, "int32"),
}
TAKEN = {
    "compared with a number": ops.equal(LONG, 3),
    "below a number": ops.less(LONG, 4),
    "limited": ops.clip(LONG, -5, 5),
    "as a float": ops.cast(LONG, "float32"),
    "chosen as a float": ops.cast(ops.where(ops.less(LONG, 4), LONG, 7), "float32"),
    "a sign": ops.sign(LONG),
    "the sum of few": ops.reduce_sum(ops.clip(LONG, -5, 5), (0,)),
    "the largest of few": ops.reduce_max(ops.clip(LONG, -5, 5), (0,)),
    "the place of the smallest": ops.arg_extremum(ops.cast(LONG, "float32"), 0, largest=False),
    "a size": ops.size_of(N) + 1,
    "quotients": ops.div(ops.clip(LONG, -9, 9), ops.clip(LONG, 2, 3)),
    "remainders": ops.mod(ops.clip(LONG, -9, 9), ops.clip(ops.neg(ops.clip(LONG, -9, 9)), -4, -3)),
    "short ones": SHORT + SHORT * 3,
    "short ones compared": ops.less(SHORT, ops.neg(SHORT)),
    "a count": COUNT,
}

LOOKED_AT = {  # when it is called: a kernel that meets what its lanes do not hold fails
    "a sum of two": LONG + OTHER,
    "two compared": ops.equal(LONG, OTHER),
    "the size": ops.absolute(LONG),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_may_not_fit_is_refused(case):
    with pytest.raises(KernelUnsupportedError, match=r"integers|large"):
        Kernel([LONG, OTHER, X], {"x": X, "y": REFUSED[case]})


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    kernels = [Kernel([LONG, SHORT, X], {"x": X + 1, "y": node}) for node in TAKEN.values()]
    path, _ = build_kernels(kernels, tmp_path_factory.mktemp("built"), None, "-O0", "-w")
    return Library(path)


@needs_cc
@pytest.mark.parametrize("case", TAKEN)
def test_what_fits_is_exact(case, library):
    short = np.array([5, -7, 2**30, 2**31 - 1, -(2**31), 0, 1, -1], np.int32)
    x = np.linspace(-1, 1, FAR.size).astype(np.float32)
    (wanted,) = evaluate([TAKEN[case]], {"i": FAR, "s": short, "x": x}, {"N": FAR.size})
    _, found = library.run(list(TAKEN).index(case), FAR, short, x)
    np.testing.assert_array_equal(found, wanted)
    assert found.dtype == wanted.dtype


@pytest.fixture(scope="module")
def looking(tmp_path_factory):
    kernels = [Kernel([LONG, OTHER], {"y": node}) for node in LOOKED_AT.values()]
    path, _ = build_kernels(kernels, tmp_path_factory.mktemp("built"), None, "-O0", "-w")
    return Library(path)


@needs_cc
@pytest.mark.parametrize("case", LOOKED_AT)
def test_what_fits_when_it_is_called_is_exact_and_fails_else(case, looking):
    number, near = list(LOOKED_AT).index(case), np.array([3, 0, -7, 2**28, 5], np.int64)
    other = near[::-1].copy()
    (wanted,) = evaluate([LOOKED_AT[case]], {"i": near, "j": other}, {"N": near.size})
    (found,) = looking.run(number, near, other)
    np.testing.assert_array_equal(found, wanted)
    for far in FAR[:4]:
        with pytest.raises(InputError, match="integer is too large"):
            looking.run(number, np.array([0, far, 1]), np.array([far, 1, 0]))


@needs_cc
def test_arrays_beyond_offsets_of_32_bits_are_refused_by_the_plan(tmp_path):
    columns = named("C")
    table, index = symbol("t", "float32", (N, columns)), symbol("i", "int64", (N, columns))
    kernel = Kernel([table, index], {"y": ops.take(ops.reshape(table, (N * columns,)), index, 0)})
    path, _ = build_kernels([kernel], tmp_path, None, "-O0", "-w")
    library = Library(path)
    assert library.shapes(0, [(1000, 1000)] * 2) == [(1000, 1000)]
    with pytest.raises(InputError, match="too large"):
        library.shapes(0, [(2**17, 2**17)] * 2)
