"""Losses called on JAX's tracers: jit, grad and vmap of them are those of JAX's own formulas."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon, nn, optax
from support import assert_close

jax = pytest.importorskip("jax", reason="JAX is not installed")
jnp = jax.numpy

RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(6, 5)), "float32")
LABEL = jnp.asarray([0, 1, 2, 3, 4, 0])
WEIGHT = jnp.asarray(RNG.random(6), "float32")


def ours(x):
    return (gluon.SoftmaxCELoss()(x, LABEL) * WEIGHT).sum()


def theirs(x):
    log_p = jax.nn.log_softmax(x, axis=1)
    return -(log_p[jnp.arange(6), LABEL] * WEIGHT).sum()


def of_gradient(function):
    return lambda x: jnp.square(jax.grad(function)(x)).sum()


TRANSFORMS = {
    "value": lambda f: lambda x: f(x),
    "jit": jax.jit,
    "grad": jax.grad,
    "jit of grad": lambda f: jax.jit(jax.grad(f)),
    "grad of jit": lambda f: jax.grad(jax.jit(f)),
    "value and grad": lambda f: lambda x: jax.value_and_grad(f)(x)[1],
    "second": lambda f: jax.grad(of_gradient(f)),
    "third": lambda f: jax.grad(of_gradient(of_gradient(f))),
    "jit of second": lambda f: jax.jit(jax.grad(of_gradient(f))),
    "vmap": lambda f: lambda x: jax.vmap(f)(jnp.stack([x, 2 * x])),
    "vmap of grad": lambda f: lambda x: jax.vmap(jax.grad(f))(jnp.stack([x, 2 * x])),
    "jit of vmap of grad": lambda f: lambda x: jax.jit(jax.vmap(jax.grad(f)))(jnp.stack([x, -x])),
    "hessian": lambda f: jax.jacrev(jax.grad(f)),
    "checkpoint": lambda f: jax.grad(jax.checkpoint(f)),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_transformations(transform):
    made = TRANSFORMS[transform]
    assert_close(made(ours)(X), made(theirs)(X))


def test_by_several_inputs_and_through_what_precedes():
    def loss(w, shift):
        return nn.MSELoss()(jnp.tanh(X @ w), shift)

    def formula(w, shift):
        return jnp.square(jnp.tanh(X @ w) - shift).mean()

    w, shift = jnp.ones((5, 3)) / 3, jnp.asarray(RNG.normal(size=(6, 3)), "float32")
    found = jax.jit(jax.grad(loss, argnums=(0, 1)))(w, shift)
    for a, b in zip(found, jax.grad(formula, argnums=(0, 1))(w, shift), strict=True):
        assert_close(a, b)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_dtypes_of_16_bits(dtype):
    found = jax.grad(lambda x: optax.squared_error(x, x * 0).sum())(X.astype(dtype))
    assert found.dtype == dtype
    assert_close(found, 2 * X.astype(dtype))


def test_value_and_grad_inside_and_several_outputs():
    def inside(x):
        value, grads = gluon.SoftmaxCELoss().value_and_grad(x, LABEL)
        return jnp.square(grads["pred"]).sum() + value.sum()

    def formula(x):
        total = lambda x: -jax.nn.log_softmax(x, axis=1)[jnp.arange(6), LABEL].sum()  # noqa: E731
        return jnp.square(jax.grad(total)(x)).sum() + total(x)

    assert_close(jax.grad(inside)(X), jax.grad(formula)(X))
    pair = lg.compile(lambda F, x: (F.exp(x), F.sum(x, axis=1)), {"x": ("float32", ("N", 5))})
    assert_close(jax.grad(lambda x: pair(x)[0].sum())(X), jnp.exp(X))
    assert_close(jax.grad(lambda x: pair(x)[1].sum())(X), jnp.ones_like(X))


def test_arrays_of_numpy_keep_their_dtypes():
    label = np.array([0, 1, 2, 3, 4, 0], np.int64)
    plain = gluon.SoftmaxCELoss()(X, label)
    assert_close(jax.jit(lambda x: gluon.SoftmaxCELoss()(x, label))(X), plain)


def test_a_label_has_no_gradient():
    with pytest.raises(lg.GradientError, match="'label'"):
        jax.grad(lambda label: gluon.SoftmaxCELoss()(X, label).sum())(LABEL.astype("float32"))
    with pytest.raises(lg.GradientError, match="pred_lengths"):
        jax.grad(lambda n: gluon.CTCLoss()(jnp.zeros((2, 3, 4)), LABEL[:2, None], n).sum())(
            jnp.asarray([2.0, 2.0])
        )


def test_forward_mode_is_refused_by_jax():
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(ours, (X,), (X,))


def test_shapes_are_checked_when_the_call_is_traced():
    with pytest.raises(lg.InputError, match="label"):
        jax.jit(lambda x: gluon.SoftmaxCELoss()(x, LABEL[:2]))(X)


def test_a_variance_that_cannot_be_read_is_not_checked():
    found = jax.jit(lambda v: nn.GaussianNLLLoss()(X, X * 0, v))(jnp.ones((6, 5)))
    assert_close(found, nn.GaussianNLLLoss()(X, X * 0, jnp.ones((6, 5))))
