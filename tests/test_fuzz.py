"""Random expressions: evaluated, differentiated, rewritten and lowered, they agree."""

from __future__ import annotations

import numpy as np
from hypothesis import given, note, settings
from hypothesis import strategies as st

from lossgraph.compare.finite_differences import along
from lossgraph.ir import ops
from lossgraph.ir import text as show
from lossgraph.ir.evaluate import evaluate
from lossgraph.ir.expr import is_literal, rename_sizes
from lossgraph.passes import autodiff
from lossgraph.passes.rewrite import rewrite
from lossgraph.passes.rules import SIMPLIFY, STABILIZE
from random_expressions import LEAVES, X, arrays, expressions
from support import assert_close, run_ort, symbol


@settings(max_examples=150, deadline=None, derandomize=True)
@given(expressions(), st.integers(1, 4), st.integers(0, 2**31))
def test_all_ways_to_a_value_and_gradient_agree(made, rows, seed):
    root, text = made
    if is_literal(root):
        return
    note(f"{text}\n{show.text({'root': root})}")
    given_arrays = arrays(rows, seed)
    sizes = {"N": rows}
    stable = rewrite([root], STABILIZE)[0]
    gradients = autodiff.grad(stable, LEAVES)
    simple = rewrite([stable, *gradients], SIMPLIFY)
    assert [a.type for a in simple] == [a.type for a in (stable, *gradients)]
    assert rewrite(simple, SIMPLIFY) == simple

    naive = evaluate([root, *autodiff.grad(root, LEAVES)], given_arrays, sizes)
    expected = evaluate([stable, *gradients], given_arrays, sizes)
    for a, b in zip(naive, expected, strict=True):
        assert_close(a, b, tolerance=(1e-8, 1e-9))
    for a, b in zip(evaluate(simple, given_arrays, sizes), expected, strict=True):
        assert_close(a, b, tolerance=(1e-9, 1e-10))
    # The engine knows N by the inputs: give it all of them, whatever the roots read.
    anchored = [ops.add(part, ops.reduce_sum(X * 0.0, (0, 1)) * 0.0) if part.rank else part
                for part in simple]  # fmt: skip
    for a, b in zip(run_ort(anchored, given_arrays), expected, strict=True):
        assert_close(a, b, tolerance=(1e-9, 1e-10))

    direction = {k: np.random.default_rng(seed + 1).uniform(-1, 1, v.shape)
                 for k, v in given_arrays.items()}  # fmt: skip
    expected_slope = along(
        lambda at: np.sum(evaluate([root], at, sizes)[0]), given_arrays, direction
    )
    slope = sum(np.sum(g * direction[k]) for g, k in zip(expected[1:], "xyz", strict=True))
    scale = 1 + sum(np.sum(np.abs(g)) for g in expected[1:])
    assert abs(slope - expected_slope) < 1e-5 * scale


@settings(max_examples=40, deadline=None, derandomize=True)
@given(expressions(), st.integers(0, 2**31))
def test_named_and_static_sizes_agree(made, seed):
    root, text = made
    note(text)
    static = rename_sizes([root], {"N": 2})[0]
    assert all(isinstance(dim, int) for dim in static.shape)
    given_arrays = arrays(2, seed)
    (a,), (b,) = (
        evaluate([root], given_arrays, {"N": 2}),
        evaluate([static], given_arrays),
    )
    assert_close(a, b, tolerance=(0, 0))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(expressions(), st.integers(0, 2**31))
def test_forward_and_reverse_mode_agree_to_second_order(made, seed):
    root, text = made
    note(text)
    given_arrays = arrays(2, seed)
    rng = np.random.default_rng(seed)
    tangents = {leaf: symbol(f"v{i}", "float64", leaf.shape) for i, leaf in enumerate(LEAVES)}
    given_arrays |= {
        v.attrs["name"]: rng.uniform(-1, 1, given_arrays[leaf.attrs["name"]].shape)
        for leaf, v in tangents.items()
    }
    scalar = ops.reduce_sum(root, range(root.rank))
    gradient = autodiff.grad(scalar, LEAVES)
    pushed = autodiff.jvp([scalar, *gradient], tangents)
    through = sum(
        (ops.reduce_sum(g * v, (0, 1)) for g, v in zip(gradient, tangents.values(), strict=True)),
        start=ops.full(0.0, "float64", (1, 1)),
    )
    second = autodiff.grad(through, LEAVES)
    values = evaluate([*pushed, through, *second], given_arrays, {"N": 2})
    assert_close(values[0], values[4], tolerance=(1e-8, 1e-9))
    for forward, reverse in zip(values[1:4], values[5:], strict=True):
        assert_close(forward, reverse, tolerance=(1e-7, 1e-8))
