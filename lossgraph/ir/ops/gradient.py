"""Values with a custom derivative, where it is more stable or cheaper than the chain rule's."""

from __future__ import annotations

from collections.abc import Sequence

from ...errors import InputError
from ..batching import pointwise
from ..expr import Array, Expr, Op, rebuild, register, transform
from ..types import TensorType, broadcast_shapes, require_equal


def _infer(value: TensorType, forward_value: TensorType, *others: TensorType) -> TensorType:
    if forward_value != value:
        raise InputError(f"the value is {value}, but the forward value {forward_value}")
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
    """The arguments are value, forward value, each wrt, and then a gradient for each wrt."""
    return args[len(args) // 2 + 1 :]


_custom_vjp: Op = register(
    Op(
        "CustomVjp",
        _infer,
        _ref,
        _vjp,
        lambda b, node, value, *_: value,
        domain=(),
        batching=pointwise,
    )
)


def custom_vjp(
    value: Expr, wrt: Sequence[Expr], gradients: Sequence[Expr], forward_value: Expr | None = None
) -> Expr:
    """``value``, whose derivatives by ``wrt`` are ``gradients``, and by all else zero.

    Args:
        value: a value that broadcasts to each of ``wrt``; an element of it depends on those
            elements alone that it broadcasts to.
        wrt: what the value depends on.
        gradients: the derivatives, of the types of ``wrt``, which may be differentiated again.
        forward_value: the same value from what the gradients compute anyway (the residuals); it
            is taken where a gradient is wanted.
    """
    return _custom_vjp(value, value if forward_value is None else forward_value, *wrt, *gradients)


def _own_gradient_infer(value: TensorType, *others: TensorType) -> TensorType:
    count = len(others) // 2
    for x, gradient in zip(others[:count], others[count:], strict=True):
        if gradient != x:
            raise InputError(f"an array {x} has no gradient {gradient}")
    return value


def _own_gradient_vjp(ct: Expr, out: Expr, *args: Expr) -> tuple[Expr | None, ...]:
    count = len(args) // 2
    return (None, *args[count + 1 :], *(None,) * count)


_own_gradient: Op = register(
    Op(
        "OwnGradient",
        _own_gradient_infer,
        _ref,
        _own_gradient_vjp,
        lambda b, node, value, *_: value,
        domain=(),
    )
)


def own_gradient(value: Expr, wrt: Sequence[Expr], gradients: Sequence[Expr]) -> Expr:
    """``value``, behind which ``wrt`` have these gradients, whatever is made of the value.

    What an output layer is that stands for a loss: it gives predictions, and the loss of them is
    never computed. By all else its derivative is zero. It has no push-forward.
    """
    return _own_gradient(value, *wrt, *gradients)


def _derived_infer(value: TensorType, formula: TensorType) -> TensorType:
    if value.dtype != formula.dtype or value.rank != formula.rank:
        raise InputError(f"a value {value} is no result {formula} of a formula")
    for dim, other in zip(value.shape, formula.shape, strict=True):
        require_equal(dim, other)
    return value


_derived: Op = register(
    Op(
        "DerivedAs",
        _derived_infer,
        lambda value, formula: value,
        lambda ct, out, value, formula: (None, ct),
        lambda b, node, value, formula: value,
        domain=(),
    )
)


def derived_as(value: Expr, formula: Expr) -> Expr:
    """``value``, whose derivatives are those of a formula for the same.

    What the engine has a fast operator for, and the language only a formula.
    """
    return _derived(value, formula)


def resolve_custom_vjp(roots: Sequence[Expr]) -> list[Expr]:
    """The roots with each value that has derivatives of its own replaced by it alone.

    After differentiation. By the forward value where one of the gradients is computed.
    """
    computed = _computed(roots)

    def choose(node: Expr, args: tuple[Expr, ...]) -> Expr:
        if node.op in (_own_gradient, _derived):
            return args[0]
        if node.op is not _custom_vjp:
            return rebuild(node, args)
        return args[1 if any(g in computed for g in _gradients(node.args)) else 0]

    return transform(roots, choose)


def _computed(roots: Sequence[Expr]) -> set[Expr]:
    """The nodes that the roots need, without gradients that nothing else needs."""
    seen: set[Expr] = set()
    waiting = list(roots)
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            hidden = node.op in (_custom_vjp, _own_gradient, _derived)
            waiting.extend(node.args[:1] if hidden else node.args)
    return seen
