"""Layers of ``F`` that end a network: losses inside a body, and outputs that stand for a loss.

An output gives predictions. The gradient behind it is that of its loss, which is never computed,
and does not depend on what is made of the predictions.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from ..errors import InputError
from ..ir import ops
from ..ir.dims import product
from ..ir.expr import Expr
from . import ctc
from .control import foreach
from .elementwise import _chosen, _floating
from .index import one_hot
from .register import function, functions
from .symbol import Operand, Symbol, as_expr, beside, same_size, user_size, wrap

# --- outputs ------------------------------------------------------------------------------------


@function(False, "Softmax")
def SoftmaxOutput(
    data: Operand,
    label: Operand,
    grad_scale: float = 1.0,
    ignore_label: float = -1.0,
    multi_output: bool = False,
    use_ignore: bool = False,
    preserve_shape: bool = False,
    normalization: str = "null",
    out_grad: bool = False,
    smooth_alpha: float = 0.0,
) -> Symbol:
    """``softmax(data)``, with the gradient of cross-entropy: ``softmax(data)`` minus the target.

    Args:
        data: logits: (N, C); (N, C, ..) with ``multi_output``; (.., C) with ``preserve_shape``;
            else (N, ..), whose axes but the first are joined.
        label: classes, in the shape of the logits without their axis; one outside them has a
            target of zeros. Or probabilities, in the shape of the logits.
        grad_scale: a factor of the gradient.
        ignore_label: a class whose samples have no gradient, with ``use_ignore``.
        multi_output: the classes are along axis 1, and the gradient is divided by the number of
            places that follow it.
        use_ignore: whether there is such a class.
        preserve_shape: the classes are along the last axis.
        normalization: ``null``; ``batch`` divides by the number of labels; ``valid`` by the
            number of those that are not ignored, and by nothing else.
        out_grad: multiply by what flows back, element by element.
        smooth_alpha: what the label's class gives to all others, in equal parts.
    """
    given = _floating(data)
    flat = not (multi_output or preserve_shape) and given.rank > 2
    x = ops.reshape(given, (given.shape[0], product(given.shape[1:]))) if flat else given
    if x.rank < 2:
        raise InputError(f"SoftmaxOutput: expected logits of rank 2 or more, got {x.type}")
    axis = 1 if multi_output or not preserve_shape else x.rank - 1
    probabilities = ops.softmax(x, (axis,))
    target = as_expr(label)
    if target.rank == given.rank and _same_shape(target, given):
        gradient = probabilities - ops.reshape(beside(label, x), x.shape)
    else:
        places = user_size(product(x.shape[2:])) if multi_output else 1
        classes = _class_gradient(probabilities, target, axis, smooth_alpha)
        ignored = float(ignore_label) if use_ignore else None
        gradient = _normalized(classes, target, axis, ignored, normalization, places)
    gradient = gradient * float(grad_scale)
    join = ops.custom_vjp if out_grad else ops.own_gradient
    return wrap(ops.reshape(join(probabilities, [x], [gradient]), given.shape))


def _same_shape(a: Expr, b: Expr) -> bool:
    return all(same_size(m, n) for m, n in zip(a.shape, b.shape, strict=True))


def _class_gradient(p: Expr, label: Expr, axis: int, smooth: float) -> Expr:
    """Probabilities minus 1 at the label's class, some of it moved to the others."""
    if label.rank != p.rank - 1:
        raise InputError(
            f"SoftmaxOutput: labels {label.type} are neither classes nor probabilities of {p.type}"
        )
    hot = as_expr(one_hot(wrap(label), user_size(p.shape[axis]), dtype=p.dtype))
    order = [*range(axis), hot.rank - 1, *range(axis, hot.rank - 1)]
    hot = ops.transpose(hot, order)
    if smooth == 0:
        return p - hot
    others = ops.cast(ops.size_of(p.shape[axis] - 1), p.dtype)
    return p - (hot * (1.0 - float(smooth)) + (1.0 - hot) * float(smooth) / others)


def _normalized(
    gradient: Expr, label: Expr, axis: int, ignored: float | None, mode: str, places: Any
) -> Expr:
    """Without what is ignored, divided by what the mode counts."""
    counted = ops.full(1.0, gradient.dtype, label.shape)
    if ignored is not None:
        same = ops.equal(ops.cast(label, gradient.dtype), ignored)
        counted = ops.where(same, 0.0, counted)
        gradient = gradient * ops.expand_dims(counted, (axis,))
    every = ops.cast(ops.size_of(product(label.shape)), gradient.dtype)
    number = as_expr(places) if isinstance(places, int) else places.as_symbol().expr
    shared = ops.cast(number, gradient.dtype)
    divisors: dict[str, Callable[[], Expr]] = {
        "null": lambda: shared,
        "batch": lambda: every,
        "valid": lambda: ops.maximum(
            ops.reshape(ops.reduce_sum(counted, range(counted.rank)), ()), 1.0
        ),
    }
    return gradient / _chosen("normalization", mode, divisors)()


def _regression(
    name: str, predict: Callable[[Expr], Expr], derivative: Callable[[Expr, Expr], Expr], doc: str
) -> Any:
    def call(data: Operand, label: Operand, grad_scale: float = 1.0) -> Symbol:
        x = _floating(data)
        target = ops.reshape(beside(label, x), x.shape)
        outputs = ops.cast(ops.size_of(product(x.shape[1:])), x.dtype)
        value = predict(x)
        gradient = derivative(value, target) * float(grad_scale) / outputs
        return wrap(ops.own_gradient(value, [x], [gradient]))

    call.__name__ = name
    call.__doc__ = f"{doc}, times ``grad_scale``, over the number of outputs of a sample."
    return function()(call)


LinearRegressionOutput = _regression(
    "LinearRegressionOutput",
    lambda x: x,
    lambda value, target: value - target,
    "``data``, with the gradient ``data - label`` of half the squared distance",
)
LogisticRegressionOutput = _regression(
    "LogisticRegressionOutput",
    ops.sigmoid,
    lambda value, target: value - target,
    "``sigmoid(data)``, with the gradient ``sigmoid(data) - label`` of binary cross-entropy",
)
MAERegressionOutput = _regression(
    "MAERegressionOutput",
    lambda x: x,
    lambda value, target: ops.sign(value - target),
    "``data``, with the gradient ``sign(data - label)`` of the distance",
)

# --- losses -------------------------------------------------------------------------------------


@function(False, "ctc_loss")
def CTCLoss(
    data: Operand,
    label: Operand,
    data_lengths: Operand | None = None,
    label_lengths: Operand | None = None,
    use_data_lengths: bool = False,
    use_label_lengths: bool = False,
    blank_label: str = "first",
) -> Symbol:
    """Connectionist temporal classification: ``-log`` of the probability of a label sequence.

    Args:
        data: logits (T, N, C).
        label: classes (N, L), the blank not among them; where no lengths are used they end at
            the first 0 (``blank_label="first"``) or -1 (``"last"``).
        data_lengths: (N,), with ``use_data_lengths``.
        label_lengths: (N,), with ``use_label_lengths``.
        use_data_lengths: whether inputs differ in length.
        use_label_lengths: whether the lengths of labels are given.
        blank_label: whether the blank is class 0 or the last one.

    Returns:
        (N,); 0, with a gradient of 0, for a label without an alignment.

    Source: Graves et al. (2006), ICML.
    """
    first = _chosen("blank_label", blank_label, {"first": True, "last": False})
    x, labels = wrap(_floating(data)), wrap(as_expr(label))
    if x.ndim != 3 or labels.ndim != 2:
        raise InputError(f"CTCLoss: expected (T, N, C) and (N, L), got {x} and {labels}")
    input_lengths = _lengths_of("data_lengths", data_lengths, use_data_lengths)
    of_labels = _lengths_of("label_lengths", label_lengths, use_label_lengths)
    space = SimpleNamespace(**functions(), contrib=SimpleNamespace(foreach=foreach))
    logits = space.swapaxes(x, 0, 1)
    return wrap(ctc.ctc_loss(space, logits, labels, input_lengths, of_labels, first).expr)


def _lengths_of(name: str, given: Operand | None, used: bool) -> Symbol | None:
    if used and given is None:
        raise InputError(f"CTCLoss: use_{name}=True needs {name}")
    return wrap(as_expr(given)) if used and given is not None else None
