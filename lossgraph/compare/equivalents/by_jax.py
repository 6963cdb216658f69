"""Losses in JAX: those of optax by their names, others written for their arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from .shared import Call, Function, reduced, sample_mean, total

# Options that are names here and functions in optax, and those functions.
_FUNCTIONS: Mapping[str, Mapping[str, Any]] = {
    "reduce_fn": {
        "mean": lambda jax: jax.numpy.mean,
        "sum": lambda jax: jax.numpy.sum,
        "none": lambda jax: None,
    },
    "max_fun": {
        "logsumexp": lambda jax: jax.scipy.special.logsumexp,
        "max": lambda jax: jax.numpy.max,
        "half_squared_norm": lambda jax: lambda s: 0.5 * jax.numpy.vdot(s, s),
        "sum_softplus": lambda jax: lambda s: jax.nn.softplus(s).sum(),
    },
}


def native(jax: Any, name: str, options: Mapping[str, Any], inputs: Sequence[str]) -> Any:
    """What computes a loss of ``optax.losses``; None for what it has not.

    Raises:
        ImportError: where there is no optax.
    """
    import optax

    made = getattr(optax.losses, name, None)
    if made is None:
        return None
    given = {k: _FUNCTIONS[k][v](jax) if k in _FUNCTIONS else v for k, v in options.items()}
    if name == "make_fenchel_young_loss":
        made = made(given.get("max_fun", jax.scipy.special.logsumexp))
        return lambda *arrays: made(*arrays)

    def compute(*arrays: Any) -> Any:
        named = dict(zip(inputs, arrays))  # noqa: B905, which Python 3.8 has not
        return made(**named, **given)

    return compute


# --- gluon, with optax where that has the loss ---


def _gluon_cosine(jax: Any, input1: Any, input2: Any, label: Any, *, margin: float = 0) -> Any:
    import optax

    similarity = optax.losses.cosine_similarity(input1, input2, epsilon=1e-12)
    far = jax.nn.relu(similarity - margin)
    return jax.numpy.where(label == 1, 1 - similarity, far).reshape(-1)


def _gluon_hinge(jax: Any, pred: Any, label: Any, *, margin: float = 1) -> Any:
    return sample_mean(jax.nn.relu(margin - pred * label))


def _gluon_huber(jax: Any, pred: Any, label: Any, *, rho: float = 1) -> Any:
    import optax

    return sample_mean(optax.losses.huber_loss(pred, label, delta=rho)) / rho


def _gluon_kl_div(jax: Any, pred: Any, label: Any) -> Any:
    import optax

    return optax.losses.kl_divergence(pred, label) / pred.shape[1]


def _gluon_l1(jax: Any, pred: Any, label: Any) -> Any:
    return sample_mean(jax.numpy.abs(label - pred))


def _gluon_l2(jax: Any, pred: Any, label: Any) -> Any:
    import optax

    return sample_mean(optax.losses.l2_loss(pred, label))


def _gluon_logistic(jax: Any, pred: Any, label: Any) -> Any:
    return sample_mean(jax.nn.softplus(-pred * label))


def _gluon_poisson(jax: Any, pred: Any, target: Any) -> Any:
    return (jax.numpy.exp(pred) - target * pred).mean().reshape(1)


def _gluon_sigmoid_bce(jax: Any, pred: Any, label: Any) -> Any:
    import optax

    return sample_mean(optax.losses.sigmoid_binary_cross_entropy(pred, label))


def _gluon_softmax_ce(jax: Any, pred: Any, label: Any) -> Any:
    import optax

    return optax.losses.softmax_cross_entropy_with_integer_labels(pred, label)


def _gluon_triplet(jax: Any, pred: Any, positive: Any, negative: Any, *, margin: float = 1) -> Any:
    square = jax.numpy.square
    gap = square(positive - pred) - square(negative - pred)
    return jax.nn.relu(gap.sum(1) + margin)


def _gluon_squared_hinge(jax: Any, pred: Any, label: Any, *, margin: float = 1) -> Any:
    return sample_mean(jax.numpy.square(jax.nn.relu(margin - pred * label)))


def _gluon_ctc(jax: Any, pred: Any, label: Any) -> Any:
    import optax

    none = jax.numpy.zeros
    return optax.losses.ctc_loss(
        pred, none(pred.shape[:2], pred.dtype), label, none(label.shape, pred.dtype),
        blank_id=pred.shape[-1] - 1,
    )  # fmt: skip


# --- nn ---


def _nn_bce(jax: Any, input: Any, target: Any, *, reduction: str = "mean") -> Any:
    each = -(target * jax.numpy.log(input) + (1 - target) * jax.numpy.log1p(-input))
    return reduced(each, reduction)


def _nn_bce_with_logits(jax: Any, input: Any, target: Any, *, reduction: str = "mean") -> Any:
    import optax

    return reduced(optax.losses.sigmoid_binary_cross_entropy(input, target), reduction)


def _nn_cosine(
    jax: Any, input1: Any, input2: Any, target: Any, *, margin: float = 0.0, reduction: str = "mean"
) -> Any:
    import optax

    similarity = optax.losses.cosine_similarity(input1, input2)
    far = jax.nn.relu(similarity - margin)
    return reduced(jax.numpy.where(target == 1, 1 - similarity, far), reduction)


def _nn_cross_entropy(
    jax: Any, input: Any, target: Any, *, reduction: str = "mean", label_smoothing: float = 0.0
) -> Any:
    """Of classes; the mean over samples of distributions is of another count."""
    logs = jax.nn.log_softmax(input, 1)
    at = jax.numpy.take_along_axis(logs, target[:, None], 1)[:, 0]
    return reduced(-(1 - label_smoothing) * at - label_smoothing * logs.mean(1), reduction)


def _nn_gaussian_nll(
    jax: Any, input: Any, target: Any, var: Any, *, full: bool = False, eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    var = jax.numpy.maximum(var, eps)
    each = 0.5 * (jax.numpy.log(var) + jax.numpy.square(input - target) / var)
    return reduced(each + 0.5 * jax.numpy.log(2 * jax.numpy.pi) if full else each, reduction)


def _nn_hinge_embedding(
    jax: Any, input: Any, target: Any, *, margin: float = 1.0, reduction: str = "mean"
) -> Any:
    return reduced(jax.numpy.where(target == 1, input, jax.nn.relu(margin - input)), reduction)


def _nn_huber(
    jax: Any, input: Any, target: Any, *, delta: float = 1.0, reduction: str = "mean"
) -> Any:
    import optax

    return reduced(optax.losses.huber_loss(input, target, delta=delta), reduction)


def _nn_kl_div(jax: Any, input: Any, target: Any, *, reduction: str = "mean") -> Any:
    each = jax.scipy.special.xlogy(target, target) - target * input
    if reduction == "batchmean":
        return each.sum() / input.shape[0]
    return reduced(each, reduction)


def _nn_l1(jax: Any, input: Any, target: Any, *, reduction: str = "mean") -> Any:
    return reduced(jax.numpy.abs(input - target), reduction)


def _nn_margin_ranking(
    jax: Any, input1: Any, input2: Any, target: Any, *, margin: float = 0.0, reduction: str = "mean"
) -> Any:
    return reduced(jax.nn.relu(margin - target * (input1 - input2)), reduction)


def _nn_mse(jax: Any, input: Any, target: Any, *, reduction: str = "mean") -> Any:
    return reduced(jax.numpy.square(input - target), reduction)


def _nn_multi_margin(
    jax: Any, input: Any, target: Any, *, p: int = 1, margin: float = 1.0, reduction: str = "mean"
) -> Any:
    own = jax.numpy.take_along_axis(input, target[:, None], 1)
    each = jax.nn.relu(margin - own + input) ** p
    others = jax.numpy.arange(input.shape[1]) != target[:, None]
    return reduced((each * others).mean(1), reduction)


def _nn_nll(jax: Any, input: Any, target: Any, *, reduction: str = "mean") -> Any:
    return reduced(-jax.numpy.take_along_axis(input, target[:, None], 1)[:, 0], reduction)


def _nn_poisson(jax: Any, input: Any, target: Any, *, reduction: str = "mean") -> Any:
    return reduced(jax.numpy.exp(input) - target * input, reduction)


def _nn_smooth_l1(
    jax: Any, input: Any, target: Any, *, beta: float = 1.0, reduction: str = "mean"
) -> Any:
    import optax

    return reduced(optax.losses.huber_loss(input, target, delta=beta) / beta, reduction)


def _nn_soft_margin(jax: Any, input: Any, target: Any, *, reduction: str = "mean") -> Any:
    return reduced(jax.nn.softplus(-target * input), reduction)


def _nn_triplet(
    jax: Any, anchor: Any, positive: Any, negative: Any, *, margin: float = 1.0,
    reduction: str = "mean",
) -> Any:  # fmt: skip
    near, far = (
        jax.numpy.linalg.norm(anchor - other + 1e-6, axis=-1) for other in (positive, negative)
    )
    return reduced(jax.nn.relu(near - far + margin), reduction)


# --- losses: of optax under another name ---


def _of_optax(name: str) -> Function:
    def compute(jax: Any, *arrays: Any) -> Any:
        import optax

        return getattr(optax.losses, name)(*arrays)

    return compute


def _sigmoid_focal(
    jax: Any, logits: Any, labels: Any, *, alpha: Any = None, gamma: float = 2.0
) -> Any:
    import optax

    return optax.losses.sigmoid_focal_loss(logits, labels, alpha=alpha, gamma=gamma)


def _smooth_labels(jax: Any, labels: Any, *, alpha: float = 0.1) -> Any:
    import optax

    return optax.losses.smooth_labels(labels, alpha)


def _nt_xent(jax: Any, embeddings: Any, labels: Any, *, temperature: float = 0.07) -> Any:
    import optax

    return optax.losses.ntxent(embeddings, labels, temperature=temperature)


def _z_loss(jax: Any, logits: Any) -> Any:
    return jax.numpy.square(jax.scipy.special.logsumexp(logits, -1))


# Inputs that are no arrays of the loss come by name only, and are its options.
JAX: Mapping[str, Function] = {
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
    "losses.binary_sparsemax": _of_optax("sparsemax_loss"),
    "losses.log_cosh": _of_optax("log_cosh"),
    "losses.multiclass_hinge": _of_optax("multiclass_hinge_loss"),
    "losses.nt_xent": _nt_xent,
    "losses.poly_cross_entropy": _of_optax("poly_loss_cross_entropy"),
    "losses.sigmoid_focal": _sigmoid_focal,
    "losses.smooth_labels": _smooth_labels,
    "losses.sparsemax": _of_optax("multiclass_sparsemax_loss"),
    "losses.z_loss": _z_loss,
    "nn.BCELoss": _nn_bce,
    "nn.BCEWithLogitsLoss": _nn_bce_with_logits,
    "nn.CosineEmbeddingLoss": _nn_cosine,
    "nn.CrossEntropyLoss": _nn_cross_entropy,
    "nn.GaussianNLLLoss": _nn_gaussian_nll,
    "nn.HingeEmbeddingLoss": _nn_hinge_embedding,
    "nn.HuberLoss": _nn_huber,
    "nn.KLDivLoss": _nn_kl_div,
    "nn.L1Loss": _nn_l1,
    "nn.MSELoss": _nn_mse,
    "nn.MarginRankingLoss": _nn_margin_ranking,
    "nn.MultiMarginLoss": _nn_multi_margin,
    "nn.NLLLoss": _nn_nll,
    "nn.PoissonNLLLoss": _nn_poisson,
    "nn.SmoothL1Loss": _nn_smooth_l1,
    "nn.SoftMarginLoss": _nn_soft_margin,
    "nn.TripletMarginLoss": _nn_triplet,
}


# --- calling ---


def jax_call(
    jax: Any,
    function: Function,
    arrays: Mapping[str, Any],
    grad: Sequence[str] = (),
    ahead: bool = False,
    narrow: Sequence[str] = (),
) -> Call:
    """What computes ``(value, grads)`` of numpy arrays, in JAX's own memory.

    ``ahead``: compiled here, and not by the first call. ``narrow``: names of arrays that are to
    be bfloat16.
    """
    inputs = [
        jax.device_put(array).astype(jax.numpy.bfloat16)
        if name in narrow
        else jax.device_put(array)
        for name, array in arrays.items()
    ]
    wrt = tuple(list(arrays).index(name) for name in grad)

    def both_of(*inputs: Any) -> Any:
        value = function(*inputs)
        return total(value), value

    run = jax.jit(jax.value_and_grad(both_of, wrt, has_aux=True) if grad else function)
    if ahead:
        run = run.lower(*inputs).compile()

    def value() -> Any:
        return jax.block_until_ready(run(*inputs)), {}

    def both() -> Any:
        (_, loss), found = jax.block_until_ready(run(*inputs))
        return loss, dict(zip(grad, found))  # noqa: B905

    return both if grad else value


def wide_numbers(jax: Any, arrays: Mapping[str, Any]) -> Any:
    """A context in which JAX has float64, if there are such arrays: it makes them float32 else."""
    if not any(str(array.dtype) == "float64" for array in arrays.values()):
        return nullcontext()
    if hasattr(jax, "enable_x64"):
        return jax.enable_x64(True)
    from jax.experimental import enable_x64

    return enable_x64()
