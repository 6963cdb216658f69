"""The same losses in other frameworks, to be measured and compared with.

This file imports nothing but the framework that it is handed, and nothing of lossgraph: the
tools run it in environments that have no lossgraph.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Function = Callable[..., Any]  # (*arrays) -> the value, unreduced as lossgraph's
Call = Callable[[], Any]  # -> the value and the gradients, computed when it returns


def _mean(each: Any) -> Any:
    """The mean over all axes but that of the samples."""
    return each.mean(tuple(range(1, each.ndim))) if each.ndim > 1 else each


# --- PyTorch ---


def _torch_sigmoid_bce(torch: Any, pred: Any, label: Any) -> Any:
    each = torch.nn.functional.binary_cross_entropy_with_logits(pred, label, reduction="none")
    return _mean(each)


def _torch_cosine(torch: Any, input1: Any, input2: Any, label: Any, *, margin: float = 0) -> Any:
    return torch.nn.functional.cosine_embedding_loss(
        input1, input2, label, margin=margin, reduction="none"
    )


def _torch_hinge(torch: Any, pred: Any, label: Any, *, margin: float = 1) -> Any:
    return _mean(torch.relu(margin - pred * label))


def _torch_huber(torch: Any, pred: Any, label: Any, *, rho: float = 1) -> Any:
    return _mean(torch.nn.functional.smooth_l1_loss(pred, label, beta=rho, reduction="none"))


def _torch_kl_div(torch: Any, pred: Any, label: Any) -> Any:
    return _mean(torch.nn.functional.kl_div(pred, label, reduction="none"))


def _torch_l1(torch: Any, pred: Any, label: Any) -> Any:
    return _mean(torch.nn.functional.l1_loss(pred, label, reduction="none"))


def _torch_l2(torch: Any, pred: Any, label: Any) -> Any:
    return 0.5 * _mean(torch.nn.functional.mse_loss(pred, label, reduction="none"))


def _torch_logistic(torch: Any, pred: Any, label: Any) -> Any:
    return _mean(torch.nn.functional.soft_margin_loss(pred, label, reduction="none"))


def _torch_poisson(torch: Any, pred: Any, target: Any) -> Any:
    return torch.nn.functional.poisson_nll_loss(pred, target, reduction="mean").reshape(1)


def _torch_softmax_ce(torch: Any, pred: Any, label: Any) -> Any:
    return torch.nn.functional.cross_entropy(pred, label, reduction="none")


def _torch_triplet(
    torch: Any, pred: Any, positive: Any, negative: Any, *, margin: float = 1
) -> Any:
    gap = (positive - pred).square() - (negative - pred).square()
    return torch.relu(gap.sum(1) + margin)


TORCH: Mapping[str, Function] = {
    "gluon.CosineEmbeddingLoss": _torch_cosine,
    "gluon.HingeLoss": _torch_hinge,
    "gluon.HuberLoss": _torch_huber,
    "gluon.KLDivLoss": _torch_kl_div,
    "gluon.L1Loss": _torch_l1,
    "gluon.L2Loss": _torch_l2,
    "gluon.LogisticLoss": _torch_logistic,
    "gluon.PoissonNLLLoss": _torch_poisson,
    "gluon.SigmoidBinaryCrossEntropyLoss": _torch_sigmoid_bce,
    "gluon.SoftmaxCrossEntropyLoss": _torch_softmax_ce,
    "gluon.TripletLoss": _torch_triplet,
}


def torch_call(
    torch: Any,
    function: Function,
    arrays: Mapping[str, Any],
    grad: Sequence[str] = (),
    compiled: bool = False,
) -> Call:
    """What computes ``(value, grads)`` of numpy arrays, in PyTorch's own memory.

    ``compiled``: value and gradients as one graph of inductor's, which is faster than a graph
    of its own for each.
    """
    inputs = [torch.from_numpy(array) for array in arrays.values()]
    wrt = tuple(list(arrays).index(name) for name in grad)
    run = torch.compile(function) if compiled and not grad else function

    def value() -> Any:
        with torch.no_grad():
            return run(*inputs), {}

    def eager() -> Any:
        loss = function(*inputs)
        found = torch.autograd.grad(loss.sum(), [inputs[i] for i in wrt])
        return loss.detach(), dict(zip(grad, found))  # noqa: B905, which Python 3.8 has not

    if not grad:
        return value
    if compiled:
        return _torch_fused(torch, function, inputs, grad, wrt)
    for i in wrt:
        inputs[i].requires_grad_()
    return eager


def _torch_fused(
    torch: Any, function: Function, inputs: Sequence[Any], grad: Sequence[str], wrt: Sequence[int]
) -> Call:
    def total(*inputs: Any) -> Any:
        value = function(*inputs)
        return value.sum(), value

    run = torch.compile(torch.func.grad_and_value(total, wrt, has_aux=True))

    def both() -> Any:
        with torch.no_grad():
            found, (_, loss) = run(*inputs)
        return loss, dict(zip(grad, found))  # noqa: B905

    return both


# --- JAX, with optax where that has the loss ---


def _jax_cosine(jax: Any, input1: Any, input2: Any, label: Any, *, margin: float = 0) -> Any:
    import optax

    similarity = optax.losses.cosine_similarity(input1, input2, epsilon=1e-12)
    far = jax.nn.relu(similarity - margin)
    return jax.numpy.where(label == 1, 1 - similarity, far)


def _jax_hinge(jax: Any, pred: Any, label: Any, *, margin: float = 1) -> Any:
    return _mean(jax.nn.relu(margin - pred * label))


def _jax_huber(jax: Any, pred: Any, label: Any, *, rho: float = 1) -> Any:
    import optax

    return _mean(optax.losses.huber_loss(pred, label, delta=rho)) / rho


def _jax_kl_div(jax: Any, pred: Any, label: Any) -> Any:
    import optax

    return optax.losses.kl_divergence(pred, label) / pred.shape[1]


def _jax_l1(jax: Any, pred: Any, label: Any) -> Any:
    return _mean(jax.numpy.abs(label - pred))


def _jax_l2(jax: Any, pred: Any, label: Any) -> Any:
    import optax

    return _mean(optax.losses.l2_loss(pred, label))


def _jax_logistic(jax: Any, pred: Any, label: Any) -> Any:
    return _mean(jax.nn.softplus(-pred * label))


def _jax_poisson(jax: Any, pred: Any, target: Any) -> Any:
    return (jax.numpy.exp(pred) - target * pred).mean().reshape(1)


def _jax_sigmoid_bce(jax: Any, pred: Any, label: Any) -> Any:
    import optax

    return _mean(optax.losses.sigmoid_binary_cross_entropy(pred, label))


def _jax_softmax_ce(jax: Any, pred: Any, label: Any) -> Any:
    import optax

    return optax.losses.softmax_cross_entropy_with_integer_labels(pred, label)


def _jax_triplet(jax: Any, pred: Any, positive: Any, negative: Any, *, margin: float = 1) -> Any:
    square = jax.numpy.square
    gap = square(positive - pred) - square(negative - pred)
    return jax.nn.relu(gap.sum(1) + margin)


JAX: Mapping[str, Function] = {
    "gluon.CosineEmbeddingLoss": _jax_cosine,
    "gluon.HingeLoss": _jax_hinge,
    "gluon.HuberLoss": _jax_huber,
    "gluon.KLDivLoss": _jax_kl_div,
    "gluon.L1Loss": _jax_l1,
    "gluon.L2Loss": _jax_l2,
    "gluon.LogisticLoss": _jax_logistic,
    "gluon.PoissonNLLLoss": _jax_poisson,
    "gluon.SigmoidBinaryCrossEntropyLoss": _jax_sigmoid_bce,
    "gluon.SoftmaxCrossEntropyLoss": _jax_softmax_ce,
    "gluon.TripletLoss": _jax_triplet,
}


def jax_call(
    jax: Any,
    function: Function,
    arrays: Mapping[str, Any],
    grad: Sequence[str] = (),
    ahead: bool = False,
) -> Call:
    """What computes ``(value, grads)`` of numpy arrays, in JAX's own memory.

    ``ahead``: compiled here, and not by the first call.
    """
    inputs = [jax.device_put(array) for array in arrays.values()]
    wrt = tuple(list(arrays).index(name) for name in grad)

    def total(*inputs: Any) -> Any:
        value = function(*inputs)
        return value.sum(), value

    run = jax.jit(jax.value_and_grad(total, wrt, has_aux=True) if grad else function)
    if ahead:
        run = run.lower(*inputs).compile()

    def value() -> Any:
        return jax.block_until_ready(run(*inputs)), {}

    def both() -> Any:
        (_, loss), found = jax.block_until_ready(run(*inputs))
        return loss, dict(zip(grad, found))  # noqa: B905

    return both if grad else value


# --- finding one ---


def find(
    table: Mapping[str, Function],
    framework: Any,
    name: str,
    options: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> Function | None:
    """The counterpart of a loss with its options, None if none is known.

    The losses of ``lossgraph.nn`` are those of ``torch.nn``, by their very names.
    """
    namespace, _, own = name.partition(".")
    if namespace == "nn" and getattr(framework, "__name__", "") == "torch":
        made = getattr(framework.nn, own, None)
        return None if made is None else made(**options)
    function = table.get(name)
    if function is None:
        return None
    parameters = inspect.signature(function).parameters.values()
    taken = {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}
    changed = {k: v for k, v in options.items() if v != defaults.get(k)}
    if not set(changed) <= taken:
        return None
    return lambda *arrays: function(framework, *arrays, **changed)
