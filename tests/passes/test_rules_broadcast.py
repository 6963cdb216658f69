"""Rules where a side is broadcast: their examples have one shape, programs have others."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph.errors import InputError
from lossgraph.ir import ops
from lossgraph.ir.dims import evaluate as evaluate_dim
from lossgraph.ir.evaluate import evaluate
from lossgraph.ir.expr import Expr, inputs_of, toposort, variable
from lossgraph.ir.types import tensor_type
from lossgraph.passes.rewrite import rewrite
from lossgraph.passes.rules import NARROW, NONEMPTY, SIMPLIFY, STABILIZE
from support import assert_close, sample

TABLES = (STABILIZE, SIMPLIFY, NARROW, NONEMPTY)
RULES = {rule.law: (table, rule) for table in TABLES for rule in table.rules}
SIZES = {"C": 5}
SHAPES = ((), (1,), (5,), (1, 5), (4, 1), (1, 1), (2, 4, 5))


def bindings_of(rule, name, shape):
    """The rule's example with one variable of another shape."""
    positional, keywords = rule.parameters()
    made = {}
    for each in positional:
        given = rule.example.get(each, tensor_type("float64", (4, 5)))
        if each == name and not isinstance(given, Expr):
            given = tensor_type(given.dtype, shape)
        made[each] = given if isinstance(given, Expr) else variable(each, given)
    return made | {each: rule.example[each] for each in keywords}


def left_side(rule, name, shape):
    """The left side, where it is an expression and the rule's condition holds."""
    bindings = bindings_of(rule, name, shape)
    try:
        left = rule.build(rule.left, bindings)
        holds = rule.check is None or rule.check(**bindings)
    except (InputError, ValueError, IndexError):
        return None
    scattered = [node for node in toposort([left]) if node.op is ops.scatter_add.op]
    valid = all(node.args[0].shape == node.args[1].shape for node in scattered)
    return left if holds and valid else None


def arrays_for(root):
    rng = np.random.default_rng(0)
    arrays = {}
    for node in inputs_of([root]):
        shape = [evaluate_dim(dim, SIZES) for dim in node.shape]
        arrays[node.attrs["name"]] = sample(rng, node.type.with_shape(shape), (0.2, 0.9))
    return arrays


@pytest.mark.parametrize("law", RULES)
def test_a_rule_keeps_type_and_value_whatever_broadcasts(law):
    table, rule = RULES[law]
    for name in rule.parameters()[0]:
        for shape in SHAPES:
            left = left_side(rule, name, shape)
            if left is None:
                continue
            arrays = arrays_for(left)
            try:
                expected = evaluate([left], arrays, SIZES)[0]
            except (ValueError, IndexError):  # indices of another shape than what they index
                continue
            rewritten = rewrite([left], table)[0]
            assert rewritten.type == left.type, f"{name} of shape {shape}"
            found = evaluate([rewritten], arrays, SIZES)[0]
            assert_close(found, expected, tolerance=(1e-9, 1e-11))


def test_a_rule_does_not_hold_where_it_needs_the_value_of_a_named_dim():
    def body(F, x, y):
        return F.reshape_like(F.reshape(x, shape=(-4, 2, -1, -2)), y)

    types = {"x": ("float32", ("C",)), "y": ("float32", (4,))}
    x = np.arange(4, dtype="float32")
    value, gradients = lg.compile(body, types, grad=("x",))(x, x)
    assert np.array_equal(value, x)
    assert np.array_equal(gradients["x"], np.ones(4))
