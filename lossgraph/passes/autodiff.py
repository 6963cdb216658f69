"""Differentiation of expressions: reverse mode, and forward mode by transposing it.

The rules are the ``vjp`` fields of the operations. They are built of operations themselves,
so gradients differentiate again. Summing a cotangent to its argument's shape happens here,
once, in ``unbroadcast``; what guards keep out is in ``guards``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import GradientError
from ..ir.expr import Expr, inputs_of, is_input, scalar_value, substitute, toposort, variable
from ..ir.ops import full
from ..ir.types import TensorType, TupleType
from .guards import Cotangent, Guards, before, settle, unbroadcast


def vjp(outputs: Sequence[Expr], cotangents: Sequence[Expr], wrt: Sequence[Expr]) -> list[Expr]:
    """Cotangents of ``wrt``: the transposed Jacobian of the outputs times ``cotangents``.

    Raises:
        GradientError: for a ``wrt`` without a derivative (integers, class labels), and for an
            operation on the way that has no rule.
    """
    for node in wrt:
        _require_differentiable(node, outputs)
    return pull_back(outputs, cotangents, wrt)


def pull_back(
    outputs: Sequence[Expr], cotangents: Sequence[Expr], wrt: Sequence[Expr]
) -> list[Expr]:
    """``vjp`` without asking whether ``wrt`` can have a gradient: what has none gets zero."""
    active, order = _dependents(outputs, wrt), toposort(outputs)
    guards = Guards(order, active)
    pending: dict[Expr, Any] = {}
    for output, ct in zip(outputs, cotangents, strict=True):
        _accumulate(pending, output, Cotangent(unbroadcast(ct, output.type)))
    for node in reversed(order):
        if node in pending and node in active:
            _pull_back(node, pending, active, guards)
    return [settle(pending[node]).kept() if node in pending else _zero(node) for node in wrt]


def grad(output: Expr, wrt: Sequence[Expr]) -> list[Expr]:
    """The gradient of the sum of ``output``."""
    return vjp([output], [full(1.0, output.dtype, output.shape)], wrt)


def jvp(outputs: Sequence[Expr], tangents: Mapping[Expr, Expr]) -> list[Expr]:
    """Tangents of the outputs: the Jacobian times ``tangents``.

    The pull-back is linear in its cotangent; its own pull-back is therefore the push-forward.
    """
    if not tangents:
        return [_zero(output) for output in outputs]
    wrt = list(tangents)
    taken = {node.attrs["name"] for node in inputs_of([*outputs, *wrt, *tangents.values()])}
    results = []
    for output in outputs:
        probe = _fresh_input(taken, output.type)
        pulled = vjp([output], [probe], wrt)
        linear = [(g, t) for g, t in zip(pulled, tangents.values(), strict=True)]
        if any(probe not in inputs_of([g]) and scalar_value(g) != 0 for g, _ in linear):
            raise GradientError(
                "the gradient does not depend on what is made of the value, as behind an output "
                "layer that stands for a loss: there is no directional derivative"
            )
        if all(probe not in inputs_of([g]) for g, _ in linear):
            results.append(_zero(output))
            continue
        live = [(g, unbroadcast(t, g.type)) for g, t in linear if probe in inputs_of([g])]
        (pushed,) = vjp([g for g, _ in live], [t for _, t in live], [probe])
        # What is left of the probe multiplies nothing: the map is linear in it.
        results.append(substitute([pushed], {probe: _zero(output)})[0])
    return results


def _pull_back(node: Expr, pending: dict[Expr, Any], active: set[Expr], guards: Guards) -> None:
    if node.op.is_item:  # the cotangent of a tuple is a dict of those of its items
        parts = pending.setdefault(node.args[0], {})
        index, ct = node.attrs["index"], settle(pending[node]).value
        parts[index] = parts[index] + ct if index in parts else ct
        return
    if node.op.vjp is None:
        raise GradientError(f"{node.op.name}({', '.join(str(a.type) for a in node.args)}): "
                            "no gradient is known for this operation")  # fmt: skip
    if isinstance(node.type, TupleType):
        _pull_back_tuple(node, pending, active)
        return
    total = before(node, settle(pending[node]))
    choices = guards.choices(node)
    args = guards.arguments(node, total.live)
    cotangents = node.op.vjp(total.value, node, *args, **node.attrs)
    for place, (value, choice) in enumerate(zip(cotangents, choices, strict=True)):
        arg = node.args[place]
        if value is not None and arg in active and arg.type.is_float:
            found = guards.passed(node, place, Cotangent(value, total.live), choice)
            _accumulate(pending, arg, found)


def _pull_back_tuple(node: Expr, pending: dict[Expr, Any], active: set[Expr]) -> None:
    """Through an operation with several results: ``ct`` has the cotangents of those that have one.

    Its gradient may cost more for each argument that wants one: it is told which do.
    """
    assert node.op.vjp is not None
    needed = frozenset(i for i, arg in enumerate(node.args) if arg in active)
    cotangents = node.op.vjp(pending[node], node, *node.args, **node.attrs, needed=needed)
    for arg, ct in zip(node.args, cotangents, strict=True):
        if ct is not None and arg in active and arg.type.is_float:
            _accumulate(pending, arg, Cotangent(unbroadcast(ct, arg.type)))


def _accumulate(pending: dict[Expr, Any], node: Expr, ct: Cotangent) -> None:
    pending.setdefault(node, []).append(ct)


def _dependents(outputs: Sequence[Expr], wrt: Sequence[Expr]) -> set[Expr]:
    """The nodes of the outputs that depend on any of ``wrt``."""
    found = set(wrt)
    for node in toposort(outputs):
        if any(arg in found for arg in node.args):
            found.add(node)
    return found


def _require_differentiable(node: Expr, outputs: Sequence[Expr]) -> None:
    label = f"{node.attrs['name']!r}" if is_input(node) else f"{node!r}"
    if not node.type.is_float:
        raise GradientError(
            f"{label} has dtype {node.dtype}, which has no gradient: only floats have one"
        )
    if _only_selects(node, outputs):
        raise GradientError(f"{label} is a class label or an index: it has no gradient")


def _only_selects(node: Expr, outputs: Sequence[Expr]) -> bool:
    """Whether every way from ``node`` to the outputs goes through an index argument."""
    order = toposort(outputs)
    if node not in order:
        return False  # nothing depends on it: its derivative is zero
    reached = {node}
    for user in order:
        for position, arg in enumerate(user.args):
            if arg in reached and position not in user.op.index_args:
                reached.add(user)
    return not any(output in reached for output in outputs)


def _zero(node: Expr) -> Expr:
    return full(0.0, node.dtype, node.shape)


def _fresh_input(taken: set[str], type_: TensorType) -> Expr:
    name = "_cotangent"
    while name in taken:
        name += "_"
    return variable(name, type_)
