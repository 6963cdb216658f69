"""Every rewriting rule is true: both sides, on ordinary and special values."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lossgraph.errors import LossgraphError
from lossgraph.ir import ops
from lossgraph.ir.dims import evaluate as evaluate_dim
from lossgraph.ir.dims import named
from lossgraph.ir.evaluate import evaluate
from lossgraph.ir.expr import Expr, const, inputs_of, is_literal, scalar_value, variable
from lossgraph.ir.types import TensorType
from lossgraph.passes.autodiff import pull_back
from lossgraph.passes.rewrite import PATTERN, Rule, RuleSet, Variable, match, rewrite
from lossgraph.passes.rules import FUSING, NARROW, NONEMPTY, SIMPLIFY, STABILIZE
from support import SPECIAL, assert_close

DEFAULT = TensorType("float64", (4, 5))
TABLES = (STABILIZE, SIMPLIFY, NARROW, NONEMPTY, FUSING)
RULES = {rule.law: rule for table in TABLES for rule in table.rules}
# Special values that a law does not hold for, and why that is wanted.
EXCEPTIONS = {
    "exp(x)/sum(exp(x)) = softmax(x)": ([np.inf], "softmax of an infinite logit is NaN all along"),
}


def bind(rule, **changed):
    """An expression or a value for each parameter of a rule."""
    positional, keywords = rule.parameters()
    bindings, example = {}, {**rule.example, **changed}
    for name in positional:
        given = example.get(name, DEFAULT)
        if isinstance(given, Expr) and is_literal(given):
            given = const(given.attrs["value"], "float64")
        bindings[name] = given if isinstance(given, Expr) else variable(name, given)
    return bindings | {name: example[name] for name in keywords}


REPEATED = {"unique_indices": False, "index": TensorType("int64", (4, 3))}


def examples(rule):
    """The example of a rule, and one whose indices repeat if it is about indices."""
    yield bind(rule)
    if "unique_indices" in rule.parameters()[1]:
        repeated = bind(rule, **REPEATED)
        if rule.check is None or rule.check(**repeated):
            yield repeated


def arrays_for(expr, kind, seed, without=()):
    rng = np.random.default_rng(seed)
    arrays = {}
    for node in inputs_of([expr]):
        shape = tuple(evaluate_dim(dim, {"C": 5}) for dim in node.shape)
        if node.dtype == "bool":
            value = rng.random(shape) < 0.5
        elif node.dtype == "int64":
            value = rng.integers(0, 3, shape)
        elif kind == "ordinary":
            value = rng.uniform(-3, 3, shape)
        elif kind == "positive":
            value = rng.uniform(0.1, 3, shape)
        else:
            value = rng.choice(np.array([v for v in SPECIAL if v not in without]), shape)
        arrays[node.attrs["name"]] = value
    return arrays


@pytest.mark.parametrize("law", RULES)
def test_left_side_becomes_right_side(law):
    """The engine does with the left side what the law says."""
    rule = RULES[law]
    alone = RuleSet("alone", [rule])
    for bindings in examples(rule):
        assert rule.check is None or rule.check(**bindings), "the example misses the condition"
        left, right = rule.build(rule.left, bindings), rule.build(rule.right, bindings)
        assert left is not right
        assert left.type == right.type
        found = alone.apply(left)
        assert found is not None
        assert found[0] is right


@pytest.mark.parametrize("kind", ["ordinary", "positive", "special"])
@pytest.mark.parametrize("law", RULES)
def test_both_sides_are_equal(law, kind):
    rule = RULES[law]
    bindings = bind(rule)
    left, right = rule.build(rule.left, bindings), rule.build(rule.right, bindings)
    without, _ = EXCEPTIONS.get(law, ((), ""))
    for seed in range(20 if kind == "special" else 3):
        arrays = arrays_for(
            ops.add(left, right) if left.type.is_float else left, kind, seed, without
        )
        a, b = evaluate([left, right], arrays)
        if kind == "special":  # what the left lost, the right may have
            lost = ~np.isfinite(a)
            assert not (np.isnan(b) & ~lost).any()
            a = np.where(lost, b, a)
        # exp and log near 1 lose digits on the naive side, which is what the rules are for
        assert_close(a, b, tolerance=(1e-7, 1e-9))


def has_gradient(rule):
    left = rule.build(rule.left, bind(rule))
    return left.type.is_float and any(node.type.is_float for node in inputs_of([left]))


@pytest.mark.parametrize("law", [law for law, rule in RULES.items() if has_gradient(rule)])
def test_both_sides_have_equal_gradients(law):
    """By every input, of the sum weighed by a random cotangent, where the left side has one."""
    rule = RULES[law]
    for bindings, kind in itertools.product(examples(rule), ("ordinary", "positive")):
        tolerance = (1e-5, 1e-5) if bindings.get("to") == "float32" else (1e-7, 1e-9)
        left, right = rule.build(rule.left, bindings), rule.build(rule.right, bindings)
        ct = variable("cotangent", left.type)
        wrt = [node for node in inputs_of([left]) if node.type.is_float]
        gradients = [pull_back([side], [ct], wrt) for side in (left, right)]
        for seed in range(3):
            arrays = arrays_for(ops.add(ops.add(left, right), ct), kind, seed)
            naive, stable = (evaluate(side, arrays, {"C": 5}) for side in gradients)
            for a, b in zip(naive, stable, strict=True):
                assert kind == "ordinary" or np.isfinite(a).any()
                there = np.isfinite(a)
                assert_close(np.where(there, b, 0), np.where(there, a, 0), tolerance=tolerance)


@pytest.mark.parametrize("law", [law for law, rule in RULES.items() if has_gradient(rule)])
def test_no_side_loses_a_nan(law):
    """An input of NaN that the left side shows, the right one shows too: x*0 = 0 is no rule."""
    rule = RULES[law]
    for bindings in examples(rule):
        left, right = rule.build(rule.left, bindings), rule.build(rule.right, bindings)
        ordinary = arrays_for(left, "positive", 0)
        for node in inputs_of([left]):
            if node.type.is_float:
                name = node.attrs["name"]
                lost = {**ordinary, name: np.full_like(ordinary[name], np.nan)}
                a, b = evaluate([left, right], lost, {"C": 5})
                assert not (np.isnan(a) & ~np.isnan(b)).any(), name


def test_a_pattern_that_leaves_an_attribute_open_is_refused():
    with pytest.raises(ValueError, match=r"Pick leaves \['unique_indices'\] unbound"):
        Rule(
            "pick(-x) = -pick(x)",
            lambda o, x, index, *, axis: o.pick(-x, index, axis),
            lambda o, x, index, *, axis: -o.pick(x, index, axis),
        )


def test_an_operation_takes_the_attributes_that_it_declares():
    x = variable("x", DEFAULT)
    for attrs in ({}, {"axes": (1,), "keepdims": True}):
        with pytest.raises(TypeError, match="ReduceSum has the attributes"):
            ops.reduce_sum.op(x, **attrs)


def test_a_lost_value_is_replaced_by_the_limit_only():
    """Where the naive side overflows, the stable side is what exact arithmetic gives."""
    x = variable("x", TensorType("float64", (3,)))
    grid = np.array([1e4, -1e4, 0.0])
    cases = {
        ops.log(1 + ops.exp(x)): [1e4, 0.0, np.log(2)],
        ops.log(ops.sigmoid(x)): [0.0, -1e4, -np.log(2)],
        ops.log(ops.exp(x)): [1e4, -1e4, 0.0],
        ops.log(1 / (1 + ops.exp(-x))): [0.0, -1e4, -np.log(2)],
    }
    for naive, limit in cases.items():
        (stable,) = rewrite([naive], STABILIZE)
        assert_close(evaluate([stable], {"x": grid})[0], np.array(limit))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
@pytest.mark.parametrize("law", RULES)
def test_rewriting_is_idempotent(law, table):
    rule = RULES[law]
    left = rule.build(rule.left, bind(rule))
    once = rewrite([left], table)
    assert rewrite(once, table)[0] is once[0]


def test_laws_are_named_once():
    for table in TABLES:
        laws = [rule.law for rule in table.rules]
        assert len(set(laws)) == len(laws)


def test_commutative_operands_match_in_either_order():
    x, y = (variable(name, DEFAULT) for name in "xy")
    pattern = PATTERN.add(1, PATTERN.exp(Variable("x")))
    for left, right in itertools.permutations([const(1.0), ops.exp(x)]):
        assert list(match(pattern, ops.add(left, right), {})) == [{"x": x}]
    assert not list(match(pattern, ops.sub(ops.exp(x), y), {}))


def test_a_rule_set_without_end_is_reported():
    swap = Rule("x-y = -(y-x)", lambda o, x, y: x - y, lambda o, x, y: -(y - x))
    back = Rule("-(x-y) = y-x", lambda o, x, y: -(x - y), lambda o, x, y: y - x)
    x, y = (variable(name, DEFAULT) for name in "xy")
    with pytest.raises(LossgraphError, match="come to an end"):
        rewrite([x - y], RuleSet("circular", [swap, back]))


def test_trace_names_the_laws():
    x = variable("x", DEFAULT)
    seen = []
    rewrite([ops.log(ops.sigmoid(x))], STABILIZE, trace=lambda law, *_: seen.append(law))
    assert seen == ["log(sigmoid(x)) = -softplus(-x)"]


def test_a_sum_over_another_axis_than_the_picked_stays():
    x, index = (
        variable("x", TensorType("float64", (4, 1))),
        variable("i", TensorType("int64", (4, 1))),
    )
    wide = variable("j", TensorType("int64", (4, 2)))
    two = variable("y", TensorType("float64", (4, 2)))
    for kept in (
        ops.reduce_sum(ops.scatter_add(x, index, 1, 5), (0,)),
        ops.reduce_sum(ops.scatter_add(two, wide, 1, 5), (1,)),
    ):
        assert rewrite([kept], SIMPLIFY) == [kept]


def test_a_sum_is_not_scaled_over_axes_that_were_not_stretched():
    a = variable("a", TensorType("float64", (1, 5)))
    kept = ops.reduce_sum(ops.broadcast_to(a, (4, 5)), (1,))
    assert rewrite([kept], SIMPLIFY) == [kept]


def test_numbers_whose_product_overflows_are_not_multiplied():
    x = variable("x", TensorType("float32", (3,)))
    kept = x * 1e30 * 1e30
    assert rewrite([kept], SIMPLIFY) == [kept]
    assert evaluate([kept], {"x": np.full(3, 1e-30, np.float32)})[0][0] == pytest.approx(1e30)


def test_numbers_however_wide_are_computed():
    wide = ops.broadcast_to(const(2.0), (named("N"), 3))
    (folded,) = rewrite([ops.exp(wide * 3.0 - ops.broadcast_to(const(5.0), (3,)))], SIMPLIFY)
    assert folded.op.name == "BroadcastTo"
    assert folded.shape == wide.shape
    np.testing.assert_allclose(scalar_value(folded), np.e)


def test_a_factor_that_is_wider_than_a_broadcast_does_not_go_inside():
    a, b = (variable(n, TensorType("float64", s)) for n, s in (("a", (3, 3)), ("b", (1, 1, 3))))
    kept = a * ops.broadcast_to(b, (2, 1, 3))
    (found,) = rewrite([kept], NARROW)
    assert found.shape == kept.shape == (2, 3, 3)
