"""Whether derivatives lead from a loss to what is trained."""

from __future__ import annotations

from collections.abc import Sequence

from ..errors import GradientError
from ..importer.graph import Graph
from ..ir.expr import Expr, no_gradient, toposort


def require_derivatives(graph: Graph, loss: Expr, names: Sequence[str]) -> None:
    """Refuse parameters to which no derivative leads from the loss.

    Raises:
        GradientError: naming the parameter, and the operator and node that stand in the way.
    """
    users: dict[Expr, list[Expr]] = {}
    for node in toposort([loss]):
        for arg in node.args:
            users.setdefault(arg, []).append(node)
    for name in names:
        parameter = graph.weights[name]
        reached, barriers = _follow(parameter, users)
        if loss in reached:
            continue
        if not barriers:
            raise GradientError(f"{name!r} cannot be trained: the loss does not depend on it")
        node = barriers[0]
        raise GradientError(
            f"{name!r} cannot be trained: {_described(graph, node)} stands between it and the "
            "loss, and has no derivative"
        )


def _follow(start: Expr, users: dict[Expr, list[Expr]]) -> tuple[set[Expr], list[Expr]]:
    """The values that depend on another by derivatives, and what ends such ways."""
    reached, waiting, barriers = {start}, [start], []
    while waiting:
        node = waiting.pop()
        for user in users.get(node, ()):
            if user in reached:
                continue
            places = [place for place, arg in enumerate(user.args) if arg is node]
            selects = all(place in user.op.index_args for place in places)
            if user.op.vjp is no_gradient or selects or not _is_float(user):
                barriers.append(user)
            else:
                reached.add(user)
                waiting.append(user)
    return reached, barriers


def _is_float(node: Expr) -> bool:
    return node.type.is_float or node.dtype == "tuple"


def _described(graph: Graph, node: Expr) -> str:
    return graph.labels.get(node, node.op.name)
