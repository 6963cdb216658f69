"""Whether derivatives lead from a loss to what is trained."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from ..errors import GradientError, LossgraphWarning
from ..importer.graph import Graph
from ..ir import ops
from ..ir.expr import Body, Expr, no_gradient, toposort
from ..ir.ops.opaque import is_opaque
from .selection import Selection

Users = Mapping[Expr, Collection[Expr]]


@dataclass(frozen=True)
class Barrier:
    """What ends the ways of a parameter to the loss.

    Attributes:
        text: what is said of it.
        is_unknown: whether a derivative may exist that lossgraph does not have.
    """

    text: str
    is_unknown: bool


def with_derivatives(graph: Graph, loss: Expr, selection: Selection) -> Selection:
    """What can be trained of a selection.

    Of parameters that nobody named those are left out that the loss does not depend on, or only by
    values that have no slope, like class indices.

    Raises:
        GradientError: naming the parameter, and the operator and node that stand in the way.
    """
    barriers = _barriers(graph, loss, selection.trainable)
    for name, barrier in barriers.items():
        if selection.asked or (barrier and barrier.is_unknown):
            said = barrier.text if barrier else "the loss does not depend on it"
            raise GradientError(f"{name!r} cannot be trained: {said}")
    left = tuple(name for name in selection.trainable if name not in barriers)
    stopped = {name: barrier.text for name, barrier in barriers.items() if barrier}
    unused = {name: "the loss does not depend on it" for name in barriers if name not in stopped}
    if not left:
        said = "; ".join(f"{name}: {text}" for name, text in (stopped | unused).items())
        raise GradientError(f"nothing of the model can be trained: {said}")
    if stopped:
        listed = "; ".join(f"{name!r}: {text}" for name, text in stopped.items())
        warnings.warn(f"not trained: {listed}", LossgraphWarning, stacklevel=5)
    return replace(selection, trainable=left, left_out={**selection.left_out, **stopped, **unused})


def _barriers(graph: Graph, loss: Expr, names: Collection[str]) -> dict[str, Barrier | None]:
    """The parameters that no derivative leads to; None where the loss does not depend on one."""
    reached = _reached_from([loss])
    stopped = [name for name in names if graph.weights[name] not in reached]
    if not stopped:
        return {}
    users: dict[Expr, list[Expr]] = {}
    for node in toposort([loss]):
        for arg in dict.fromkeys(node.args):
            users.setdefault(arg, []).append(node)
    found: dict[str, Barrier | None] = {}
    for name in stopped:
        ends = _ends(graph.weights[name], users)
        ends.sort(key=lambda pair: not is_opaque(pair[0]))
        found[name] = _described(graph, users, *ends[0]) if ends else None
    return found


def _reached_from(roots: Collection[Expr]) -> set[Expr]:
    """The values that derivatives of these lead to."""
    reached, waiting = set(roots), [*roots]
    while waiting:
        node = waiting.pop()
        new = {arg for place, arg in enumerate(node.args) if _passes(node, place)} - reached
        reached |= new
        waiting.extend(new)
    return reached


def _passes(node: Expr, place: int) -> bool:
    """Whether a node has a derivative by an argument."""
    op = node.op
    if is_opaque(node) or op.vjp is no_gradient or place in op.index_args:
        return False
    if not (_is_float(node) and _is_float(node.args[place])):
        return False
    body = node.attrs.get("body")
    return not isinstance(body, Body) or _passes_inside(body, place - len(node.args))


def _passes_inside(body: Body, place: int) -> bool:
    """Whether a result of a body has a derivative by an input, counted from the last one."""
    return -place > len(body.inputs) or body.inputs[place] in _reached_from(body.outputs)


def _ends(start: Expr, users: Users) -> list[tuple[Expr, int]]:
    """The nodes that end the ways of derivatives from a value on, and at which argument."""
    reached, waiting, ends = {start}, [start], []
    while waiting:
        node = waiting.pop()
        for user in users.get(node, ()):
            places = [place for place, arg in enumerate(user.args) if arg is node]
            if not any(_passes(user, place) for place in places):
                ends.append((user, places[0]))
            elif user not in reached:
                reached.add(user)
                waiting.append(user)
    return ends


def _is_float(node: Expr) -> bool:
    return node.type.is_float or node.dtype == "tuple"


def _described(graph: Graph, users: Users, node: Expr, place: int) -> Barrier:
    names = {value: name for name, value in graph.values.items()}
    read = names.get(node.args[place])
    at = f", which reads {read!r}," if read else ""
    if is_opaque(node):
        may_have = any(type_.is_float or type_.dtype == "opaque" for type_ in node.type.items)
        label, _, _ = node.attrs["label"].rpartition(" #")
        reason = node.attrs["reason"]
        return Barrier(f"{label}{at} stands between it and the loss: {reason}", may_have)
    label = _label(graph, users, node)
    if node.op is ops.cast.op:
        label = label.replace("Cast (", f"Cast to {node.dtype} (")
    return Barrier(f"{label}{at} stands between it and the loss, and has no derivative", False)


def _label(graph: Graph, users: Users, node: Expr) -> str:
    """The node of the model that an expression is part of: the next one that has a name."""
    waiting, seen = [node], {node}
    while waiting:
        found = waiting.pop(0)
        if found in graph.labels:
            return graph.labels[found]
        new = [user for user in users.get(found, ()) if user not in seen]
        seen.update(new)
        waiting.extend(new)
    return node.op.name
