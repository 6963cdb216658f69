"""Losses in MXNet: those of Gluon by their names, some of torch's and optax's made of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .shared import Call, Function, total


def native(mxnet: Any, name: str, options: Mapping[str, Any], inputs: Sequence[str]) -> Any:
    """What computes a loss of ``mxnet.gluon.loss``; None for what it has not."""
    made = getattr(mxnet.gluon.loss, name, None)
    if made is None:
        return None
    own = dict(options)
    if own.pop("epsilon", 1e-8) != 1e-8:  # which the constructor does not take
        return None
    loss = made(**own)

    def compute(*arrays: Any) -> Any:
        given = dict(zip(inputs, arrays))  # noqa: B905, which Python 3.8 has not
        value = loss(*_in_place(made, given))
        if name == "CosineEmbeddingLoss":  # documented as (N,), computed as (N, 1)
            return value.reshape((-1,))
        # Documented as a mean over the classes, and computed as a sum.
        return value / arrays[0].shape[options.get("axis", -1)] if name == "KLDivLoss" else value

    return compute


def _in_place(made: Any, given: Mapping[str, Any]) -> Sequence[Any]:
    """Arrays in the order of ``hybrid_forward``, None for those that are left out."""
    code = made.hybrid_forward.__code__
    order = code.co_varnames[2 : code.co_argcount]
    last = max(order.index(name) for name in given)
    return [given.get(name) for name in order[: last + 1]]


# --- nn: Gluon's mean over the classes, and then over the samples ---


def _reduced(each: Any, reduction: str, elements: int = 1) -> Any:
    if reduction == "none" and elements > 1:
        raise ValueError("Gluon's loss is a mean over the elements of a sample")
    if reduction == "sum":
        return each.sum() * elements
    return each if reduction == "none" else each.mean()


def _elements(array: Any) -> int:
    """How many each sample has."""
    return int(array.size // array.shape[0])


def _nn_bce_with_logits(mx: Any, input: Any, target: Any, *, reduction: str = "mean") -> Any:
    each = mx.gluon.loss.SigmoidBinaryCrossEntropyLoss()(input, target)
    return _reduced(each, reduction, _elements(input))


def _nn_cross_entropy(mx: Any, input: Any, target: Any, *, reduction: str = "mean") -> Any:
    return _reduced(mx.gluon.loss.SoftmaxCrossEntropyLoss(axis=1)(input, target), reduction)


def _nn_elementwise(name: str) -> Function:
    def compute(mx: Any, input: Any, target: Any, *, reduction: str = "mean") -> Any:
        return _reduced(getattr(mx.gluon.loss, name)()(input, target), reduction, _elements(input))

    return compute


def _nn_huber(
    mx: Any, input: Any, target: Any, *, delta: float = 1.0, reduction: str = "mean"
) -> Any:
    each = delta * mx.gluon.loss.HuberLoss(rho=delta)(input, target)
    return _reduced(each, reduction, _elements(input))


def _nn_mse(mx: Any, input: Any, target: Any, *, reduction: str = "mean") -> Any:
    return 2 * _reduced(mx.gluon.loss.L2Loss()(input, target), reduction, _elements(input))


def _nn_nll(mx: Any, input: Any, target: Any, *, reduction: str = "mean") -> Any:
    each = mx.gluon.loss.SoftmaxCrossEntropyLoss(axis=1, from_logits=True)(input, target)
    return _reduced(each, reduction)


def _nn_smooth_l1(
    mx: Any, input: Any, target: Any, *, beta: float = 1.0, reduction: str = "mean"
) -> Any:
    each = mx.gluon.loss.HuberLoss(rho=beta)(input, target)
    return _reduced(each, reduction, _elements(input))


# --- optax ---


def _cross_entropy(mx: Any, logits: Any, labels: Any) -> Any:
    sparse = labels.ndim < logits.ndim
    return mx.gluon.loss.SoftmaxCrossEntropyLoss(sparse_label=sparse)(logits, labels)


# Inputs that are no arrays of the loss come by name only, and are its options.
MXNET: Mapping[str, Function] = {
    "nn.BCEWithLogitsLoss": _nn_bce_with_logits,
    "nn.CrossEntropyLoss": _nn_cross_entropy,
    "nn.HuberLoss": _nn_huber,
    "nn.L1Loss": _nn_elementwise("L1Loss"),
    "nn.MSELoss": _nn_mse,
    "nn.NLLLoss": _nn_nll,
    "nn.SmoothL1Loss": _nn_smooth_l1,
    "nn.SoftMarginLoss": _nn_elementwise("LogisticLoss"),
    "optax.softmax_cross_entropy": _cross_entropy,
    "optax.softmax_cross_entropy_with_integer_labels": _cross_entropy,
}


# --- calling ---


def mxnet_call(
    mxnet: Any,
    function: Function,
    arrays: Mapping[str, Any],
    grad: Sequence[str] = (),
    narrow: Sequence[str] = (),
) -> Call:
    """What computes ``(value, grads)`` of numpy arrays, in MXNet's own memory.

    Raises:
        ValueError: for ``narrow``, arrays of bfloat16, which its losses do not take.
    """
    if narrow:
        raise ValueError("MXNet's losses take no bfloat16")
    # Of labels too, with which its operators compute.
    dtype = next(array.dtype for array in arrays.values() if array.dtype.kind == "f")
    inputs = {n: mxnet.nd.array(array, dtype=dtype) for n, array in arrays.items()}

    def value() -> Any:
        return function(*inputs.values()), {}

    def both() -> Any:
        with mxnet.autograd.record():
            loss = function(*inputs.values())
            whole = total(loss)
        whole.backward()
        return loss, {name: inputs[name].grad for name in grad}

    for name in grad:
        inputs[name].attach_grad()
    return both if grad else value
