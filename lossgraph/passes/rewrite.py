"""Rewriting: rules as equations, one matcher, one engine.

A rule is an equation between two expressions of the same variables, written once with the
functions of ``ops``::

    Rule("log(sigmoid(x)) = -softplus(-x)", lambda o, x: o.log(o.sigmoid(x)),
         lambda o, x: -o.softplus(-x))

Called with ``PATTERN`` as ``o`` the left side yields a pattern; called with ``ops`` either side
yields an expression, which is how a test checks every law on ordinary and special values.
Positional parameters stand for expressions (the same letter for the same node), keyword-only
ones for attributes, of which a pattern binds all. A rule never changes a type: where it would, it
declines.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ..errors import LossgraphError, SpecializationError
from ..ir import ops
from ..ir.expr import Expr, Op, rebuild, scalar_value, transform

Bindings = dict[str, Any]
_MAX_PASSES = 200


class _Sides:
    """Arithmetic on patterns."""

    def __add__(self, other: Pattern) -> PatternNode:
        return PatternNode(ops.add, (self, other))

    def __radd__(self, other: Pattern) -> PatternNode:
        return PatternNode(ops.add, (other, self))

    def __sub__(self, other: Pattern) -> PatternNode:
        return PatternNode(ops.sub, (self, other))

    def __rsub__(self, other: Pattern) -> PatternNode:
        return PatternNode(ops.sub, (other, self))

    def __mul__(self, other: Pattern) -> PatternNode:
        return PatternNode(ops.mul, (self, other))

    def __rmul__(self, other: Pattern) -> PatternNode:
        return PatternNode(ops.mul, (other, self))

    def __truediv__(self, other: Pattern) -> PatternNode:
        return PatternNode(ops.div, (self, other))

    def __rtruediv__(self, other: Pattern) -> PatternNode:
        return PatternNode(ops.div, (other, self))

    def __neg__(self) -> PatternNode:
        return PatternNode(ops.neg, (self,))


@dataclass(frozen=True)
class Variable(_Sides):
    """Stands for any expression."""

    name: str


@dataclass(frozen=True)
class Attribute:
    """Stands for any value of an attribute."""

    name: str


@dataclass(frozen=True, eq=False)
class PatternNode(_Sides):
    """Stands for an operation on what its arguments stand for, with the attributes named.

    Raises:
        ValueError: for an attribute of the operation that is left open: the right side would be
            built with a default, and not with what was matched.
    """

    op: Op
    args: tuple[Any, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        unbound = self.op.attributes - self.attrs.keys()
        if unbound:
            raise ValueError(f"a pattern of {self.op.name} leaves {sorted(unbound)} unbound")


Pattern: TypeAlias = _Sides | float | int


class _PatternOps:
    """The functions of ``ops``, building patterns."""

    def __getattr__(self, name: str) -> Callable[..., PatternNode]:
        function = getattr(ops, name)
        if isinstance(function, Op):
            return lambda *args: PatternNode(function, args)
        if not hasattr(function, "op"):
            raise AttributeError(f"ops.{name} builds no single operation: it stands in no rule")
        return functools.partial(_pattern_of_call, function)


def _pattern_of_call(function: Any, *args: Any, **kwargs: Any) -> PatternNode:
    """The node that a function builds, its attributes told apart by the operation's declaration."""
    op: Op = function.op
    given = inspect.signature(function).bind_partial(*args, **kwargs).arguments
    arrays = tuple(value for name, value in given.items() if name not in op.attributes)
    return PatternNode(op, arrays, {k: v for k, v in given.items() if k in op.attributes})


PATTERN: Any = _PatternOps()


@dataclass(frozen=True)
class Rule:
    """An equation, applied from left to right.

    Attributes:
        law: the equation as text: name of the rule, of its test, and in traces.
        left: ``(o, *expressions, *, attributes)`` builds the left side from ``o``'s functions.
        right: the same for the right side.
        check: a side condition on the bindings; says by its name why the rule declines.
        example: for tests, attribute values, and types of variables other than float64[4,5].
    """

    law: str
    left: Callable[..., Any]
    right: Callable[..., Expr]
    check: Callable[..., bool] | None = None
    example: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _ = self.pattern  # so that a pattern that is not complete is refused here

    @functools.cached_property
    def pattern(self) -> PatternNode:
        """The left side as a pattern."""
        positional, keywords = self.parameters()
        made = self.left(
            PATTERN,
            *(Variable(name) for name in positional),
            **{name: Attribute(name) for name in keywords},
        )
        assert isinstance(made, PatternNode)
        return made

    def parameters(self) -> tuple[list[str], list[str]]:
        """Names of the variables and of the attributes."""
        parameters = list(inspect.signature(self.left).parameters.values())[1:]
        keyword = inspect.Parameter.KEYWORD_ONLY
        return (
            [p.name for p in parameters if p.kind is not keyword],
            [p.name for p in parameters if p.kind is keyword],
        )

    def build(self, side: Callable[..., Any], bindings: Mapping[str, Any]) -> Expr:
        """One side as an expression."""
        positional, keywords = self.parameters()
        built: Expr = side(
            ops,
            *(bindings[name] for name in positional),
            **{name: bindings[name] for name in keywords},
        )
        return built


Computed: TypeAlias = Callable[[Expr], tuple[Expr, str] | None]


class RuleSet:
    """Rules in order of priority, indexed by the operation at the root of the left side.

    ``fold`` is tried first: it replaces a node by a constant, or gives None. ``computed`` makes,
    for one run of rewriting, a function that is tried last: it gives what a node becomes, and the
    law, where that follows from more than a shape.
    """

    def __init__(
        self,
        name: str,
        rules: Sequence[Rule],
        fold: Callable[[Expr], Expr | None] | None = None,
        computed: Callable[[], Computed] | None = None,
    ) -> None:
        self.name = name
        self.rules = tuple(rules)
        self.fold = fold
        self.computed = computed
        # With the operations of the arguments that a rule needs: most rules are ruled out by them.
        self._by_op: dict[Op, list[tuple[Rule, frozenset[Op]]]] = {}
        for rule in rules:
            needed = frozenset(a.op for a in rule.pattern.args if isinstance(a, PatternNode))
            self._by_op.setdefault(rule.pattern.op, []).append((rule, needed))

    def apply(self, node: Expr) -> tuple[Expr, str] | None:
        """What ``node`` becomes by the first law that changes it, and that law."""
        folded = self.fold(node) if self.fold else None
        if folded is not None:
            return folded, "fold"
        given = {arg.op for arg in node.args}
        for rule, needed in self._by_op.get(node.op, ()):
            if not needed <= given:
                continue
            for bindings in match(rule.pattern, node, {}):
                if rule.check is not None and not rule.check(**bindings):
                    continue
                try:
                    result = rule.build(rule.right, bindings)
                except SpecializationError:
                    continue  # it would need the value of a named dim, which the node does not
                if result is not node and result.type == node.type:
                    return result, rule.law
        return None


def rewrite(
    roots: Sequence[Expr],
    rules: RuleSet,
    trace: Callable[[str, Expr, Expr], None] | None = None,
) -> list[Expr]:
    """Apply the rules everywhere until none applies; the result is a fixed point.

    Args:
        roots: expressions to rewrite together, so that what they share stays shared.
        rules: the rules.
        trace: called with each law applied, the node before and after.
    """
    computed = rules.computed() if rules.computed else lambda node: None

    def visit(node: Expr, args: tuple[Expr, ...]) -> Expr:
        current = _with_body(rebuild(node, args), rules)
        for _ in range(_MAX_PASSES):
            found = rules.apply(current) or computed(current)
            if found is None:
                return current
            if trace is not None:
                trace(found[1], current, found[0])
            current = found[0]
        raise LossgraphError(f"rules {rules.name!r} do not come to an end at {node!r}")

    current = list(roots)
    for _ in range(_MAX_PASSES):
        following = transform(current, visit)
        if all(a is b for a, b in zip(current, following, strict=True)):
            return current
        current = following
    raise LossgraphError(f"rules {rules.name!r} do not come to an end")


def _with_body(node: Expr, rules: RuleSet) -> Expr:
    """A node that holds a body, rewritten inside."""
    if not node.op.has_body:
        return node
    body = node.attrs["body"]
    return rebuild(node, node.args, body=body.replaced(rewrite(body.outputs, rules)))


def match(pattern: Any, node: Expr, bindings: Bindings) -> Iterator[Bindings]:
    """Every way in which a pattern stands for a node, given what is bound already."""
    if isinstance(pattern, Variable):
        if bindings.get(pattern.name, node) is node:
            yield {**bindings, pattern.name: node}
    elif isinstance(pattern, PatternNode):
        if node.op is pattern.op and len(node.args) == len(pattern.args):
            yield from _match_node(pattern, node, bindings)
    elif scalar_value(node) == pattern:
        yield bindings


def _match_node(pattern: PatternNode, node: Expr, bindings: Bindings) -> Iterator[Bindings]:
    bound: Bindings | None = dict(bindings)
    for name, wanted in pattern.attrs.items():
        bound = _bind_attribute(wanted, node.attrs[name], bound)
        if bound is None:
            return
    assert bound is not None
    yield from _match_all(pattern.args, node.args, bound)
    if node.op.commutative and node.args[0] is not node.args[1]:
        yield from _match_all(pattern.args, node.args[::-1], bound)


def _bind_attribute(wanted: Any, value: Any, bindings: Bindings | None) -> Bindings | None:
    if bindings is None:
        return None
    if not isinstance(wanted, Attribute):
        return bindings if wanted == value else None
    if bindings.setdefault(wanted.name, value) != value:
        return None
    return bindings


def _match_all(
    patterns: Sequence[Any], nodes: Sequence[Expr], bindings: Bindings
) -> Iterator[Bindings]:
    if not patterns:
        yield bindings
        return
    for bound in match(patterns[0], nodes[0], bindings):
        yield from _match_all(patterns[1:], nodes[1:], bound)
