"""Random graphs of operations that move, choose and add, as kernels: to the bit."""

from __future__ import annotations

import numpy as np
import pytest

from hand_written import needs_cc
from lossgraph.ir import ops
from lossgraph.ir.dims import named
from support import load_from, symbol

# JAX, if another test has started it, warns of forks; the child here calls nothing but a kernel.
pytestmark = [needs_cc, pytest.mark.filterwarnings("ignore:os.fork:RuntimeWarning")]
kernels, moves = load_from("fuzzer", "kernels"), load_from("fuzzer", "moves")
N, C = named("N"), named("C")


@pytest.mark.once
def test_random_graphs_agree():
    for _, found in kernels.try_batch(range(12)):
        assert found is None, str(found)


def test_a_wrong_kernel_is_found_and_its_node_named(monkeypatch):
    right = kernels.evaluate
    monkeypatch.setattr(kernels, "evaluate", lambda *args: [x + 1 for x in right(*args)])
    found = [found for _, found in kernels.try_batch([3]) if found]
    assert found
    assert "%0 = Input" in found[0].paste


X = symbol("x", "float32", (N, C))
ROW, LABEL = symbol("r", "float32", (C,)), symbol("i", "int64", (N, 1))
# What was wrong once.
GRAPHS = {
    "an axis of length one is padded": ops.pad(ops.reduce_max(X, (0,)), (1, 0), (0, 0)),
    "an axis without elements is padded": ops.pad(ops.reduce_sum(X, (1,)), (2, 1), (0, 0)),
    "an empty part of several": ops.concat([X, X * 2, ops.neg(X)], 1),
    "an element of what rows keep": ops.pick(
        ops.pad(ops.exp(ops.minimum(X, 0.0)), (0, 0), (0, 4)) * ops.reduce_sum(X, (1,)), LABEL, 1
    ),
    "a row added to all": X + ops.flip(ROW, (0,)),
}


@pytest.mark.parametrize("case", GRAPHS)
def test_graphs_that_were_wrong(case):
    sizes = tuple({"N": n, "C": c} for n in (0, 1, 3, 20) for c in (0, 1, 5, 60))
    graph = moves.Graph((ops.rint(GRAPHS[case]),), sizes)
    kernel = kernels.kernel_of_outputs(graph.outputs)
    with np.errstate(all="ignore"):
        assert not kernels.differs(kernels.built([kernel]), kernel, graph)
