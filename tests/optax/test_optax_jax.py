"""lossgraph.optax against optax itself: random options, shapes and values."""

from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lossgraph import optax
from support import assert_close
from tolerances import FRAMEWORK

theirs = pytest.importorskip("optax")
jax = pytest.importorskip("jax")

TOLERANCE = FRAMEWORK["float64"]
# what has a default here, or is a name where optax takes a function
OTHER_DEFAULTS = {"alpha", "max_fun", "reduce_fn"}
some = settings(max_examples=3, deadline=None, derandomize=True, database=None)


@pytest.fixture(scope="module", autouse=True)
def double_precision():
    with jax.enable_x64(True):
        yield


def losses_of(module):
    names = [n for n in dir(module) if not n.startswith("_") and callable(getattr(module, n))]
    return [name for name in names if not inspect.isclass(getattr(module, name))]


def test_every_loss_of_optax_is_here():
    assert set(losses_of(theirs.losses)) == set(optax.__all__)


@pytest.mark.parametrize("name", optax.__all__)
def test_signatures_are_those_of_optax(name):
    if name == "make_fenchel_young_loss":
        return
    mine, its = (inspect.signature(getattr(m, name)).parameters for m in (optax, theirs.losses))
    assert list(mine) == list(its)
    for key, parameter in its.items():
        assert mine[key].kind == parameter.kind
        if key not in OTHER_DEFAULTS or name == "dice_loss":
            assert mine[key].default == parameter.default


def check(name, arrays, wrt, its=None, **options):
    """Value and gradients of both, by the same arguments; without compiling JAX's side."""
    made = getattr(theirs.losses, name) if its is None else its
    wanted = {key: jax.numpy.asarray(array) for key, array in arrays.items()}
    fixed = {key: array for key, array in wanted.items() if key not in wrt}
    given_options = {k: v for k, v in options.items() if its is None}

    def total(chosen):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            value = made(**chosen, **fixed, **given_options)
        return value.sum(), value

    chosen = {key: wanted[key] for key in wrt}
    gradients, value = jax.grad(total, has_aux=True)(chosen)
    mine, grads = getattr(optax, name).value_and_grad(**arrays, **options, wrt=wrt)
    assert_close(mine, value, tolerance=TOLERANCE)
    for key in wrt:
        assert_close(grads[key], gradients[key], tolerance=TOLERANCE)


shapes = st.sampled_from([(), (1,), (4,), (2, 3), (1, 3), (2, 1, 4), (0, 3)])
with_axes = st.sampled_from([
    ((4,), -1), ((2, 3), -1), ((2, 3), 0), ((2, 3), None), ((2, 3, 4), (0, 2)), ((2, 3, 4), 1),
    ((2, 3, 4), (1,)), ((1, 1), -1), ((0, 3), -1),
])  # fmt: skip
seeds = st.integers(0, 2**31)
numbers = st.floats(0.05, 4.0)


def real(seed, shape, scale=2.0):
    return np.asarray(np.random.default_rng(seed).normal(scale=scale, size=shape))


def shares(seed, shape):
    return np.asarray(np.random.default_rng(seed).uniform(0.1, 1.0, size=shape))


def mask(seed, shape):
    return np.asarray(np.random.default_rng(seed).random(shape) < 0.6)


@some
@given(shapes, seeds, st.sampled_from([True, False]), numbers)
def test_regression(shape, seed, both, delta):
    arrays = {"predictions": real(seed, shape)}
    if both:
        arrays["targets"] = real(seed + 1, shape)
    for name in ("squared_error", "l2_loss", "log_cosh"):
        check(name, arrays, tuple(arrays))
    check("huber_loss", arrays, tuple(arrays), delta=delta)


@some
@given(with_axes, seeds, st.sampled_from([0.0, 1e-3, 2.0]), st.booleans(), st.booleans())
def test_cosine(shaped, seed, epsilon, masked, distance):
    shape, axis = shaped
    arrays = {"predictions": real(seed, shape), "targets": real(seed + 1, shape)}
    if masked and epsilon:
        arrays["where"] = mask(seed, shape)
    name = "cosine_distance" if distance else "cosine_similarity"
    check(name, arrays, ("predictions", "targets"), axis=axis, epsilon=epsilon)


@some
@given(shapes, seeds, st.booleans(), numbers, st.sampled_from([None, 0.25, 0.8]))
def test_binary(shape, seed, soft, gamma, alpha):
    logits = real(seed, shape, 3.0)
    labels = shares(seed, shape) if soft else np.asarray(mask(seed, shape), float)
    both = {"logits": logits, "labels": labels}
    check("sigmoid_binary_cross_entropy", both, ("logits", "labels"))
    check("sigmoid_focal_loss", both, ("logits", "labels"), gamma=gamma, alpha=alpha)
    check("sparsemax_loss", {**both, "labels": mask(seed, shape).astype(np.int32)}, ("logits",))
    signed = {"predictor_outputs": np.round(logits), "targets": 2 * mask(seed, shape) - 1.0}
    for name in ("hinge_loss", "perceptron_loss"):
        check(name, signed, tuple(signed))


@some
@given(with_axes, seeds, st.booleans(), numbers)
def test_cross_entropy(shaped, seed, masked, epsilon):
    shape, axis = shaped
    arrays = {"logits": real(seed, shape), "labels": shares(seed, shape)}
    wrt = ("logits", "labels")
    if masked:  # what is masked out has no derivative by labels
        arrays["where"], wrt = mask(seed, shape) | (np.indices(shape).sum(0) == 0), ("logits",)
    check("softmax_cross_entropy", arrays, wrt, axis=axis)
    check("poly_loss_cross_entropy", arrays, wrt, axis=axis, epsilon=epsilon)


@some
@given(with_axes, seeds, st.sampled_from([None, "classes", "samples"]))
def test_integer_labels(shaped, seed, masked):
    shape, axis = shaped
    if axis is None:
        axis = tuple(range(len(shape)))
    axes = [a % len(shape) for a in (axis if isinstance(axis, tuple) else (axis,))]
    outer = tuple(n for i, n in enumerate(shape) if i not in axes)
    classes = int(np.prod([shape[a] for a in axes]))
    labels = np.random.default_rng(seed).integers(0, classes, outer)
    arrays = {"logits": real(seed, shape), "labels": np.asarray(labels)}
    if masked is not None and not (masked == "samples" and isinstance(axis, tuple)):
        arrays["where"] = mask(seed, shape if masked == "classes" else outer)
    check("softmax_cross_entropy_with_integer_labels", arrays, ("logits",), axis=axis)


@some
@given(with_axes, seeds, st.booleans())
def test_divergences(shaped, seed, masked):
    shape, axis = shaped
    arrays = {"log_predictions": real(seed, shape), "targets": shares(seed, shape)}
    if masked:
        arrays["where"] = mask(seed, shape)
    for name in ("kl_divergence", "generalized_kl_divergence"):
        check(name, arrays, ("log_predictions", "targets"), axis=axis)
    arrays["log_targets"] = np.log(arrays.pop("targets"))
    wrt = ("log_predictions", "log_targets")
    check("kl_divergence_with_log_targets", arrays, wrt, axis=axis)


@some
@given(st.sampled_from([(4, 5), (3, 1), (1, 4), (0, 3)]), seeds, st.booleans())
def test_multiclass(shape, seed, tied):
    scores = real(seed, shape)
    labels = np.random.default_rng(seed).integers(0, shape[-1], shape[:-1])
    arrays = {"scores": np.round(scores) if tied else scores, "labels": labels}
    for name in ("multiclass_hinge_loss", "multiclass_perceptron_loss"):
        check(name, arrays, ("scores",))
    check("multiclass_sparsemax_loss", {**arrays, "scores": scores}, ("scores",))


@some
@given(st.sampled_from([(5,), (3, 4), (2, 3, 4)]), seeds, st.booleans(), st.booleans(),
       st.sampled_from(["mean", "sum", "none"]))  # fmt: skip
def test_ranking(shape, seed, masked, weighted, reduce_fn):
    arrays = {"logits": real(seed, shape), "labels": shares(seed, shape)}
    wrt = ("logits", "labels")
    if masked:
        arrays["where"] = mask(seed, shape)
    if weighted:
        arrays["weights"] = shares(seed + 1, shape)
        wrt += ("weights",)
    function = {"mean": jax.numpy.mean, "sum": jax.numpy.sum, "none": None}[reduce_fn]

    def its(**given_arrays):
        return theirs.losses.ranking_softmax_loss(**given_arrays, reduce_fn=function)

    check("ranking_softmax_loss", arrays, wrt, its, reduce_fn=reduce_fn)


@some
@given(st.sampled_from([(2, 3, 4), (3, 2), (2, 2, 2, 1), (2, 3, 2, 3)]), seeds, numbers, numbers,
       numbers, st.sampled_from(["mean", "sum", "none"]), st.booleans(), st.booleans())  # fmt: skip
def test_dice(shape, seed, smooth, alpha, beta, reduction, background, across):
    arrays = {"predictions": real(seed, shape), "targets": shares(seed, shape)}
    wrt = tuple(arrays)
    check("binary_dice_loss", arrays, wrt, smooth=smooth)
    if shape[-1] > 1:
        named = {"smooth": smooth, "ignore_background": background}
        check("multiclass_generalized_dice_loss", arrays, wrt, **named)
    arrays["class_weights"] = shares(seed + 2, shape[-1:])
    check(
        "dice_loss", arrays, wrt, smooth=smooth, alpha=alpha, beta=beta, reduction=reduction,
        ignore_background=background, axis=(0, *range(1, len(shape) - 1)) if across else None,
    )  # fmt: skip


@some
@given(st.sampled_from([((3, 4), -1), ((3, 4), 0), ((2, 3, 4), 1), ((4,), -1)]), seeds, numbers,
       st.sampled_from([2, 4]), st.sampled_from([1e-6, 0.1]))  # fmt: skip
def test_triplets(shaped, seed, margin, degree, eps):
    shape, axis = shaped
    arrays = {name: real(seed + i, shape) for i, name in enumerate(
        ("anchors", "positives", "negatives"))}  # fmt: skip
    named = {"margin": margin, "norm_degree": degree, "eps": eps, "axis": axis}
    check("triplet_margin_loss", arrays, tuple(arrays), **named)


@some
@given(st.integers(2, 6), seeds, numbers)
def test_pairs(count, seed, temperature):
    labels = np.random.default_rng(seed).integers(0, 3, count)
    labels[:2] = 1
    arrays = {"embeddings": real(seed, (count, 3)), "labels": labels}
    check("ntxent", arrays, ("embeddings",), temperature=temperature)


MAX_FUNCTIONS = {
    "logsumexp": jax.scipy.special.logsumexp,
    "max": jax.numpy.max,
    "half_squared_norm": lambda s: 0.5 * jax.numpy.vdot(s, s),
    "sum_softplus": lambda s: jax.nn.softplus(s).sum(),
}


@some
@given(st.sampled_from([(4,), (2, 3), (2, 1, 3)]), seeds, st.sampled_from(list(MAX_FUNCTIONS)))
def test_fenchel_young(shape, seed, name):
    its = theirs.losses.make_fenchel_young_loss(MAX_FUNCTIONS[name])
    arrays = {"scores": real(seed, shape), "targets": shares(seed, shape)}

    def by_name(scores, targets):
        return its(scores, targets)

    check("make_fenchel_young_loss", arrays, tuple(arrays), by_name, max_fun=name)


@some
@given(with_axes, seeds, numbers, st.booleans())
def test_smoothing(shaped, seed, alpha, masked):
    shape, axis = shaped
    arrays = {"labels": shares(seed, shape)}
    if masked:
        arrays["where"] = mask(seed, shape) | (np.indices(shape).sum(0) % 2 == 0)
    if 0 not in shape:
        check("smooth_labels", arrays, ("labels",), alpha=alpha, axis=axis)


@pytest.mark.parametrize(("blank", "log_epsilon"), [(0, -1e5), (2, -1e3)])
def test_ctc(blank, log_epsilon):
    """Padded steps anywhere, labels that do not fit, all scores on the way."""
    rng, batch, steps, count = np.random.default_rng(blank), 12, 5, 3
    present = rng.integers(0, count + 1, batch)
    arrays = {
        "logits": rng.normal(size=(batch, steps, 4)),
        "logit_paddings": (rng.random((batch, steps)) < 0.3).astype(float),
        "labels": (blank + rng.integers(1, 4, (batch, count))) % 4,
        "label_paddings": (np.arange(count) >= present[:, None]).astype(float),
    }
    for name, row in (("labels", 3), ("label_paddings", 0), ("logit_paddings", [1, 0, 0, 0, 1])):
        arrays[name][0] = row  # which does not fit
    named = {"blank_id": blank, "log_epsilon": log_epsilon}
    check("ctc_loss", arrays, ("logits",), **named)
    its = theirs.losses.ctc_loss_with_forward_probs(**arrays, **named)
    mine = optax.ctc_loss_with_forward_probs(**arrays, **named)
    assert mine[0][0] > -log_epsilon / 2
    for a, b in zip(mine, its, strict=True):
        assert_close(a, b, tolerance=TOLERANCE)
