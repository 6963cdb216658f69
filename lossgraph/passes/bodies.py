"""What scans, loops and choices have in common: variables of bodies, and what stays outside."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from ..ir.dims import Size, names
from ..ir.expr import Body, Expr, is_literal, scalar_value, substitute, toposort, variable
from ..ir.types import TupleType

_DEPTH: ContextVar[int] = ContextVar("depth", default=0)
_APART = 1000  # deeper than Python nests functions


@contextmanager
def apart() -> Iterator[None]:
    """Bodies made here are told apart from all that are made elsewhere, as deep as those may be.

    For operations that are lowered to scans: what theirs stand in is known to nobody by then.
    """
    token = _DEPTH.set(_APART)
    try:
        yield
    finally:
        _DEPTH.reset(token)


@contextmanager
def deeper() -> Iterator[int]:
    """The depth of a body that is made here: inside another one it is larger."""
    depth = _DEPTH.get() + 1
    token = _DEPTH.set(depth)
    try:
        yield depth
    finally:
        _DEPTH.reset(token)


def hoisted(
    roots: Sequence[Expr], inside: Sequence[Expr], depth: int
) -> tuple[list[Expr], dict[Expr, Expr]]:
    """The roots on variables alone, and what those stand for that are computed outside."""
    order = toposort(roots)
    depends = _dependents(order, set(inside))
    users = [node for node in order if node in depends]
    border = [*(arg for node in users for arg in node.args), *roots]
    outside: dict[Expr, Expr] = {}
    for node in border:
        if node not in depends and node not in outside and not _stays(node):
            outside[node] = variable(f"_outer{depth}_{len(outside)}", node.type)
    return substitute(roots, outside), {name: node for node, name in outside.items()}


def _dependents(order: Sequence[Expr], found: set[Expr]) -> set[Expr]:
    """What is computed of some nodes, or has a length that is only known by these."""
    while True:
        for node in order:
            if any(arg in found for arg in node.args):
                found.add(node)
        local = local_dims([node for node in order if node in found])
        sized = {n for n in order if n not in found and not local.isdisjoint(mentioned(n))}
        if not sized:
            return found
        found |= sized


def mentioned(node: Expr) -> set[str]:
    """The dims in the type and the attributes of a node."""
    types = node.type.items if isinstance(node.type, TupleType) else (node.type,)
    waiting: list[Any] = [*node.attrs.values(), *(type_.shape for type_ in types)]
    found: set[str] = set()
    while waiting:
        value = waiting.pop()
        if isinstance(value, tuple):
            waiting.extend(value)
        elif isinstance(value, Size):
            found |= names(value)
    return found


def _stays(node: Expr) -> bool:
    """Constants and numbers, however wide, are no arguments."""
    return is_literal(node) or scalar_value(node) is not None


def fresh_names(body: Body) -> Iterator[str]:
    """Names of variables that the body has not: numbered on from its inputs."""
    return (f"_back{body.depth}_{number}" for number in itertools.count(len(body.inputs)))


def local_dims(nodes: Iterable[Expr]) -> set[str]:
    """The dims that nodes define."""
    return {name for n in nodes if n.op.defines is not None for name in n.op.defines(n)}
