"""What operations declare of where they are finite, and of what they can be, is so."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from lossgraph.errors import DtypeError
from lossgraph.ir import ops
from lossgraph.ir.batching import pointwise
from lossgraph.ir.dims import named
from lossgraph.ir.evaluate import evaluate
from lossgraph.ir.expr import registered, toposort, variable
from lossgraph.ir.types import TensorType
from lossgraph.passes import autodiff

inf = math.inf
POINTS = (
    -inf, -1e4, -100.0, -87.0, -2.0, -1.0, -0.5, -1e-8, 0.0, 1e-8,
    0.25, 0.5, 1.0, 2.0, 3.0, 87.0, 100.0, 1e4, inf,
)  # fmt: skip
ENDS = ((-1e4, 1e4), (-2.0, 3.0), (0.0, 0.5), (0.25, 2.0), (-1e4, -1.0), (1.0, inf))


def takes_floats(op):
    try:
        return op.infer(*[TensorType("float32", ())] * op.arity).is_float
    except DtypeError:
        return False


ELEMENTWISE = {
    name: op
    for name, op in registered().items()
    if op.batching is pointwise and op.arity in (1, 2) and not op.attributes and takes_floats(op)
}


def applied(op):
    args = [variable(name, TensorType("float32", (named("K"),))) for name in "xy"[: op.arity]]
    return op(*args), args


def at(op, roots, points):
    columns = np.array(points, np.float32).T.reshape(op.arity, -1)
    return evaluate(roots, dict(zip("xy", columns, strict=False)))


def inside(op, point):
    domain = op.finite_on or ((-inf, inf),) * op.arity
    return all(math.isfinite(p) and low < p < high for p, (low, high) in zip(point, domain))  # noqa: B905


@pytest.mark.parametrize("name", [n for n, op in ELEMENTWISE.items() if op.differentiable])
def test_an_operation_and_its_derivatives_are_finite_where_it_says(name):
    op = ELEMENTWISE[name]
    node, args = applied(op)
    points = [p for p in itertools.product(POINTS, repeat=op.arity) if inside(op, p)]
    first = [g for arg in args for g in autodiff.grad(node, [arg])]
    second = [g for slope in first for arg in args for g in autodiff.grad(slope, [arg])]
    for found in at(op, [node, *first, *second], points):
        lost = np.flatnonzero(~np.isfinite(np.broadcast_to(found, len(points))))
        assert not len(lost), [points[i] for i in lost]


@pytest.mark.parametrize("name", [n for n, op in ELEMENTWISE.items() if op.linear])
def test_no_value_is_in_the_derivative_of_a_linear_operation(name):
    node, args = applied(ELEMENTWISE[name])
    ct = variable("ct", node.type)
    cotangents = node.op.vjp(ct, node, *args)
    assert not set(toposort([c for c in cotangents if c is not None])) & {node, *args}


@pytest.mark.parametrize("name", [n for n, op in ELEMENTWISE.items() if op.range_of])
def test_results_lie_in_their_range(name):
    op = ELEMENTWISE[name]
    node, _ = applied(op)
    for ends in itertools.product(ENDS, repeat=op.arity):
        between = [[p for p in POINTS if low <= p <= high] for low, high in ends]
        (found,) = at(op, [node], list(itertools.product(*between)))
        low, high = op.range_of(node, *ends)
        finite = found[np.isfinite(found)]
        assert (low <= finite).all(), ends
        assert (finite <= np.float32(high)).all(), ends
        assert math.isinf(high) or math.isinf(low) or len(finite) == len(found), ends


@pytest.mark.parametrize(
    "build",
    [
        ops.relu,
        lambda x: ops.clip(x, -0.5, 0.25),
        lambda x: ops.maximum(x, 0.25),
        lambda x: ops.minimum(x, 0.25),
        lambda x: ops.reduce_max(x, (0,)),
        lambda x: ops.reduce_min(x, (0,)),
    ],
)
def test_what_is_not_chosen_has_no_derivative(build):
    x = variable("x", TensorType("float64", (named("K"),)))
    node = build(x)
    choice = next(c for c in node.op.chosen(node, *node.args, **node.attrs) if c)
    (slope,) = autodiff.grad(node, [x])
    finite = [p for p in POINTS if math.isfinite(p)]
    passes, slopes = evaluate([choice.condition, slope], {"x": np.array(finite)})
    out = np.broadcast_to(passes != choice.holds, len(finite))
    assert out.any()
    assert (slopes[out] == 0).all()
