"""Losses in PyTorch: those of ``torch.nn`` by their names, others written for their arrays."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from .shared import Call, Function, reduced, sample_mean, total


def native(torch: Any, name: str, options: Mapping[str, Any], inputs: Sequence[str]) -> Any:
    """What computes a loss of ``torch.nn``; None for what it has not.

    ``inputs``: names of the arrays that are given; those that the constructor takes go there, and
    those that a module has inside take the place of its own.
    """
    made = getattr(torch.nn, name, None)
    if made is None:
        return None
    if not inputs:
        return made(**options)
    constructor = [n for n in inputs if n in inspect.signature(made.__init__).parameters]
    others = [n for n in inputs if "." in n]
    call = [n for n in inputs if n not in constructor and n not in others]

    def compute(*arrays: Any) -> Any:
        given = dict(zip(inputs, arrays))  # noqa: B905, which Python 3.8 has not
        module = made(**{**options, **{n: given[n] for n in constructor}})
        args = tuple(given[n] for n in call)
        if not others:
            return module(*args)
        parameters = {n: given[n] for n in others}
        return torch.func.functional_call(module, parameters, args).loss

    return compute


# --- gluon ---


def _gluon_sigmoid_bce(torch: Any, pred: Any, label: Any) -> Any:
    each = torch.nn.functional.binary_cross_entropy_with_logits(pred, label, reduction="none")
    return sample_mean(each)


def _gluon_cosine(torch: Any, input1: Any, input2: Any, label: Any, *, margin: float = 0) -> Any:
    each = torch.nn.functional.cosine_embedding_loss(
        input1, input2, label, margin=margin, reduction="none"
    )
    return each.reshape(-1)


def _gluon_hinge(torch: Any, pred: Any, label: Any, *, margin: float = 1) -> Any:
    return sample_mean(torch.relu(margin - pred * label))


def _gluon_huber(torch: Any, pred: Any, label: Any, *, rho: float = 1) -> Any:
    return sample_mean(torch.nn.functional.smooth_l1_loss(pred, label, beta=rho, reduction="none"))


def _gluon_kl_div(torch: Any, pred: Any, label: Any) -> Any:
    return sample_mean(torch.nn.functional.kl_div(pred, label, reduction="none"))


def _gluon_l1(torch: Any, pred: Any, label: Any) -> Any:
    return sample_mean(torch.nn.functional.l1_loss(pred, label, reduction="none"))


def _gluon_l2(torch: Any, pred: Any, label: Any) -> Any:
    return 0.5 * sample_mean(torch.nn.functional.mse_loss(pred, label, reduction="none"))


def _gluon_logistic(torch: Any, pred: Any, label: Any) -> Any:
    return sample_mean(torch.nn.functional.soft_margin_loss(pred, label, reduction="none"))


def _gluon_poisson(torch: Any, pred: Any, target: Any) -> Any:
    return torch.nn.functional.poisson_nll_loss(pred, target, reduction="mean").reshape(1)


def _gluon_softmax_ce(torch: Any, pred: Any, label: Any) -> Any:
    return torch.nn.functional.cross_entropy(pred, label, reduction="none")


def _gluon_triplet(
    torch: Any, pred: Any, positive: Any, negative: Any, *, margin: float = 1
) -> Any:
    gap = (positive - pred).square() - (negative - pred).square()
    return torch.relu(gap.sum(1) + margin)


def _gluon_squared_hinge(torch: Any, pred: Any, label: Any, *, margin: float = 1) -> Any:
    return sample_mean(torch.relu(margin - pred * label).square())


def _gluon_ctc(torch: Any, pred: Any, label: Any) -> Any:
    samples, steps, classes = pred.shape
    return torch.nn.functional.ctc_loss(
        pred.log_softmax(-1).transpose(0, 1), label, [steps] * samples,
        [label.shape[1]] * samples, blank=classes - 1, reduction="none",
    )  # fmt: skip


# --- nn ---


def _nn_ctc(
    torch: Any, log_probs: Any, targets: Any, input_lengths: Any, target_lengths: Any, *,
    blank: int = 0, reduction: str = "mean", zero_infinity: bool = False,
) -> Any:  # fmt: skip
    """With the gradient of the value.

    PyTorch's own is that by logits whose softmax the probabilities are, so that it is right behind
    a log_softmax only: for each step it has the probabilities too much.
    """
    each = torch.nn.functional.ctc_loss(
        log_probs, targets, input_lengths, target_lengths, blank=blank, reduction="none",
        zero_infinity=zero_infinity,
    )  # fmt: skip
    sums = log_probs.exp().sum(-1)
    there = torch.arange(len(sums))[:, None] < input_lengths
    there = there & torch.isfinite(each) & (each != 0)
    each = each - ((sums - sums.detach()) * there).sum(0)
    if reduction == "mean":
        return (each / target_lengths.clamp(min=1)).mean()
    return reduced(each, reduction)


def _nn_linear_cross_entropy(
    torch: Any, input: Any, linear_weight: Any, target: Any, *, reduction: str = "mean",
    label_smoothing: float = 0.0, ignore_index: Any = None,
) -> Any:  # fmt: skip
    """By its definition, which older releases have too."""
    return torch.nn.functional.cross_entropy(
        torch.nn.functional.linear(input, linear_weight), target, reduction=reduction,
        ignore_index=-100 if ignore_index is None else ignore_index,
        label_smoothing=label_smoothing,
    )  # fmt: skip


# --- optax ---


def _cross_entropy(torch: Any, logits: Any, labels: Any) -> Any:
    """Of the last axis, for classes as well as for distributions."""
    found = torch.nn.functional.cross_entropy(
        logits.reshape(-1, logits.shape[-1]),
        labels.reshape(-1, logits.shape[-1]) if labels.is_floating_point() else labels.reshape(-1),
        reduction="none",
    )
    return found.reshape(logits.shape[:-1])


def _sigmoid_bce(torch: Any, logits: Any, labels: Any) -> Any:
    return torch.nn.functional.binary_cross_entropy_with_logits(logits, labels, reduction="none")


def _sigmoid_focal(
    torch: Any, logits: Any, labels: Any, *, gamma: float = 2.0, alpha: Any = None
) -> Any:
    p = torch.sigmoid(logits)
    missed = p * (1 - labels) + (1 - p) * labels
    each = _sigmoid_bce(torch, logits, labels) * missed**gamma
    return each if alpha is None else each * (alpha * labels + (1 - alpha) * (1 - labels))


def _hinge(torch: Any, predictor_outputs: Any, targets: Any) -> Any:
    return torch.relu(1 - predictor_outputs * targets)


def _huber(torch: Any, predictions: Any, targets: Any = 0.0, *, delta: float = 1.0) -> Any:
    errors = predictions - targets
    zeros = torch.zeros_like(errors)
    return torch.nn.functional.huber_loss(errors, zeros, delta=delta, reduction="none")


def _kl(torch: Any, log_predictions: Any, targets: Any) -> Any:
    return torch.nn.functional.kl_div(log_predictions, targets, reduction="none").sum(-1)


def _kl_of_logs(torch: Any, log_predictions: Any, log_targets: Any) -> Any:
    return torch.nn.functional.kl_div(
        log_predictions, log_targets, reduction="none", log_target=True
    ).sum(-1)


def _l2(torch: Any, predictions: Any, targets: Any = 0.0) -> Any:
    return 0.5 * (predictions - targets).square()


def _log_cosh(torch: Any, predictions: Any, targets: Any = 0.0) -> Any:
    errors = predictions - targets
    return torch.logaddexp(errors, -errors) - torch.log(torch.full_like(errors, 2))


def _squared_error(torch: Any, predictions: Any, targets: Any = 0.0) -> Any:
    return (predictions - targets).square()


def _cosine_similarity(torch: Any, predictions: Any, targets: Any) -> Any:
    return torch.nn.functional.cosine_similarity(predictions, targets, dim=-1, eps=0.0)


# --- losses ---


def _charbonnier(torch: Any, pred: Any, target: Any, *, epsilon: float = 1e-3) -> Any:
    return torch.hypot(pred - target, torch.full_like(pred, epsilon))


def _distillation(torch: Any, student: Any, teacher: Any, *, temperature: float = 2.0) -> Any:
    return temperature**2 * _kl_of_logs(
        torch, (student / temperature).log_softmax(-1), (teacher / temperature).log_softmax(-1)
    )


def _dpo(
    torch: Any, policy_chosen: Any, policy_rejected: Any, reference_chosen: Any,
    reference_rejected: Any, *, beta: float = 0.1,
) -> Any:  # fmt: skip
    margin = (policy_chosen - policy_rejected) - (reference_chosen - reference_rejected)
    return -torch.nn.functional.logsigmoid(beta * margin)


def _gamma_nll(torch: Any, concentration: Any, rate: Any, target: Any) -> Any:
    return -torch.distributions.Gamma(concentration, rate).log_prob(target)


def _gaussian_nll(torch: Any, mean: Any, variance: Any, target: Any) -> Any:
    return -torch.distributions.Normal(mean, variance.sqrt()).log_prob(target)


def _gaussian_nll_by_log_variance(torch: Any, mean: Any, log_variance: Any, target: Any) -> Any:
    return -torch.distributions.Normal(mean, (log_variance / 2).exp()).log_prob(target)


def _info_nce(torch: Any, query: Any, key: Any, *, temperature: float = 0.1) -> Any:
    normalize = torch.nn.functional.normalize
    scores = normalize(query) @ normalize(key).T / temperature
    labels = torch.arange(len(query))
    return torch.nn.functional.cross_entropy(scores, labels, reduction="none")


def _laplace_nll(torch: Any, location: Any, scale: Any, target: Any) -> Any:
    return -torch.distributions.Laplace(location, scale).log_prob(target)


def _list_net(torch: Any, score: Any, relevance: Any) -> Any:
    return torch.nn.functional.cross_entropy(score, relevance.softmax(-1), reduction="none")


def _quantile(torch: Any, pred: Any, target: Any, *, q: float = 0.5) -> Any:
    error = target - pred
    return torch.maximum(q * error, (q - 1) * error)


def _relative_entropy(torch: Any, p: Any, q: Any) -> Any:
    return torch.nn.functional.kl_div(q.log(), p, reduction="none").sum(-1)


def _root_mean_square(torch: Any, pred: Any, target: Any) -> Any:
    return torch.nn.functional.mse_loss(pred, target).sqrt()


def _softmax_focal(torch: Any, logits: Any, label: Any, *, gamma: float = 2.0) -> Any:
    each = torch.nn.functional.cross_entropy(logits, label, reduction="none")
    return each * (-torch.expm1(-each)) ** gamma


def _squared_log(torch: Any, pred: Any, target: Any) -> Any:
    return (pred.log1p() - target.log1p()).square()


def _student_t_nll(torch: Any, location: Any, scale: Any, degrees: Any, target: Any) -> Any:
    return -torch.distributions.StudentT(degrees, location, scale).log_prob(target)


def _z_loss(torch: Any, logits: Any) -> Any:
    return logits.logsumexp(-1).square()


# Inputs that are no arrays of the loss come by name only, and are its options.
TORCH: Mapping[str, Function] = {
    "gluon.CTCLoss": _gluon_ctc,
    "gluon.CosineEmbeddingLoss": _gluon_cosine,
    "gluon.HingeLoss": _gluon_hinge,
    "gluon.HuberLoss": _gluon_huber,
    "gluon.KLDivLoss": _gluon_kl_div,
    "gluon.L1Loss": _gluon_l1,
    "gluon.L2Loss": _gluon_l2,
    "gluon.LogisticLoss": _gluon_logistic,
    "gluon.PoissonNLLLoss": _gluon_poisson,
    "gluon.SigmoidBinaryCrossEntropyLoss": _gluon_sigmoid_bce,
    "gluon.SoftmaxCrossEntropyLoss": _gluon_softmax_ce,
    "gluon.SquaredHingeLoss": _gluon_squared_hinge,
    "gluon.TripletLoss": _gluon_triplet,
    "losses.charbonnier": _charbonnier,
    "losses.distillation": _distillation,
    "losses.dpo": _dpo,
    "losses.gamma_nll": _gamma_nll,
    "losses.gaussian_nll": _gaussian_nll,
    "losses.gaussian_nll_by_log_variance": _gaussian_nll_by_log_variance,
    "losses.info_nce": _info_nce,
    "losses.laplace_nll": _laplace_nll,
    "losses.list_net": _list_net,
    "losses.log_cosh": _log_cosh,
    "losses.quantile": _quantile,
    "losses.relative_entropy": _relative_entropy,
    "losses.root_mean_square": _root_mean_square,
    "losses.sigmoid_focal": _sigmoid_focal,
    "losses.softmax_focal": _softmax_focal,
    "losses.squared_log": _squared_log,
    "losses.student_t_nll": _student_t_nll,
    "losses.z_loss": _z_loss,
    "nn.CTCLoss": _nn_ctc,
    "nn.LinearCrossEntropyLoss": _nn_linear_cross_entropy,
    "optax.cosine_similarity": _cosine_similarity,
    "optax.hinge_loss": _hinge,
    "optax.huber_loss": _huber,
    "optax.kl_divergence": _kl,
    "optax.kl_divergence_with_log_targets": _kl_of_logs,
    "optax.l2_loss": _l2,
    "optax.log_cosh": _log_cosh,
    "optax.safe_softmax_cross_entropy": _cross_entropy,
    "optax.sigmoid_binary_cross_entropy": _sigmoid_bce,
    "optax.sigmoid_focal_loss": _sigmoid_focal,
    "optax.softmax_cross_entropy": _cross_entropy,
    "optax.softmax_cross_entropy_with_integer_labels": _cross_entropy,
    "optax.squared_error": _squared_error,
}


# --- calling ---


def torch_call(
    torch: Any,
    function: Function,
    arrays: Mapping[str, Any],
    grad: Sequence[str] = (),
    compiled: bool = False,
    narrow: Sequence[str] = (),
) -> Call:
    """What computes ``(value, grads)`` of numpy arrays, in PyTorch's own memory.

    ``compiled``: value and gradients as one graph of inductor's, which is faster than a graph
    of its own for each. ``narrow``: names of arrays that are to be bfloat16.
    """
    inputs = [_tensor(torch, name, array, narrow) for name, array in arrays.items()]
    wrt = tuple(list(arrays).index(name) for name in grad)
    run = torch.compile(function) if compiled and not grad else function

    def value() -> Any:
        with torch.no_grad():
            return run(*inputs), {}

    def eager() -> Any:
        loss = function(*inputs)
        # What a value does not depend on has gradient 0, as everywhere.
        leaves = [inputs[i] for i in wrt]
        found = torch.autograd.grad(total(loss), leaves, materialize_grads=True)
        return _detached(loss), dict(zip(grad, found))  # noqa: B905, which Python 3.8 has not

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
    def both_of(*inputs: Any) -> Any:
        value = function(*inputs)
        return total(value), value

    run = torch.compile(torch.func.grad_and_value(both_of, wrt, has_aux=True))

    def both() -> Any:
        with torch.no_grad():
            found, (_, loss) = run(*inputs)
        return loss, dict(zip(grad, found))  # noqa: B905

    return both


def to_numpy(tensor: Any) -> Any:
    """The numbers of a tensor; bfloat16, which numpy has not, as float32."""
    tensor = tensor.detach()
    return (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()


def _tensor(torch: Any, name: str, array: Any, narrow: Sequence[str]) -> Any:
    tensor = torch.from_numpy(array)
    return tensor.to(torch.bfloat16) if name in narrow else tensor


def _detached(value: Any) -> Any:
    return tuple(each.detach() for each in value) if isinstance(value, tuple) else value.detach()
