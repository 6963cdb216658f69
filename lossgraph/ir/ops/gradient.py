"""Values whose derivative is given: what the chain rule would find, found better."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import InputError
from ..expr import Array, Expr, Op, rebuild, register, transform
from ..types import TensorType, broadcast_shapes


def _infer(value: TensorType, beside: TensorType, *others: TensorType) -> TensorType:
    if beside != value:
        raise InputError(f"the value is {value} and, beside its gradient, {beside}")
    count = len(others) // 2
    for x, gradient in zip(others[:count], others[count:], strict=True):
        if gradient != x or broadcast_shapes(value.shape, x.shape) != x.shape:
            raise InputError(f"a value {value} by {x} has no gradient {gradient}")
    return value


def _ref(value: Array, *_: Array) -> Array:
    return value


def _vjp(ct: Expr, out: Expr, *args: Expr) -> tuple[Expr | None, ...]:
    by_wrt = [ct * gradient for gradient in _gradients(args)]
    return (None, None, *by_wrt, *(None,) * len(by_wrt))


def _gradients(args: tuple[Expr, ...]) -> tuple[Expr, ...]:
    """The last of: value, beside, what it depends on .., a gradient by each."""
    return args[len(args) // 2 + 1 :]


_with_gradient = register(
    Op("WithGradient", _infer, _ref, _vjp, lambda b, node, value, *_: value, domain=())
)


def with_gradient(
    value: Expr, wrt: Sequence[Expr], gradients: Sequence[Expr], beside: Expr | None = None
) -> Expr:
    """``value``, whose derivatives by ``wrt`` are ``gradients``, and by all else zero.

    Args:
        value: a value that broadcasts to each of ``wrt``: element i depends on those elements
            only that it meets.
        wrt: what the value depends on.
        gradients: the derivatives, of the types of ``wrt``. They are differentiated in their turn.
        beside: the same value as it comes with the gradients; taken where those are wanted.
    """
    return _with_gradient(value, value if beside is None else beside, *wrt, *gradients)


def settle(roots: Sequence[Expr]) -> list[Expr]:
    """The roots with each ``with_gradient`` replaced by its value: derivatives are taken.

    Where the gradient is computed anyway, by the value that comes with it.
    """
    computed = _computed(roots)

    def choose(node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op is not _with_gradient:
            return rebuild(node, args)
        return args[1 if any(g in computed for g in _gradients(node.args)) else 0]

    return transform(roots, choose)


def _computed(roots: Sequence[Expr]) -> set[Expr]:
    """What the roots need, if gradients are not needed for being given."""
    seen: set[Expr] = set()
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting.extend(node.args[:1] if node.op is _with_gradient else node.args)
    return seen
