"""JAX's transformations through a compiled loss: a ``custom_vjp`` around a callback.

``jit``, ``grad`` and ``vmap`` trace a call: they give it arrays that have a type but no numbers.
What they get is a callback, which runs the loss when the numbers are there, and that of its
pullback for the gradient. Both go over the bridge again where they are traced, so that
transformations nest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from . import Differentiable, check_gradients, is_traced, pullback_inputs

Arrays = Mapping[str, Any]


def differentiates(values: Collection[Any]) -> bool:
    """Whether JAX traces the call: a call with the numbers of all arrays may run at once."""
    return any(is_traced(value) for value in values)


def call(compiled: Differentiable, arrays: Arrays) -> Any:
    """The answer of a call, which JAX can compile, differentiate and map.

    Raises:
        GradientError: if a class label or a length is differentiated.
    """
    return compiled.answer(_outputs(compiled, arrays))


def _outputs(compiled: Differentiable, arrays: Arrays) -> tuple[Any, ...]:
    """The outputs in order: a ``custom_vjp`` of JAX's arrays among the inputs."""
    names = [name for name, value in arrays.items() if isinstance(value, jax.Array)]
    others = {name: value for name, value in arrays.items() if name not in names}

    def by_name(values: Sequence[Any]) -> dict[str, Any]:
        return dict(zip(names, values, strict=True))

    @jax.custom_vjp  # type: ignore[untyped-decorator, unused-ignore]
    def loss(*values: Any) -> tuple[Any, ...]:
        return _callback(compiled, others, by_name(values))

    def forward(*inputs: Any) -> tuple[tuple[Any, ...], Any]:
        given = by_name([x.value for x in inputs])
        wrt = [name for name, x in by_name(inputs).items() if x.perturbed]
        check_gradients(compiled, wrt)
        # The names are the keys of a dict without leaves, since residuals are arrays.
        return _outputs(compiled, {**others, **given}), (given, dict.fromkeys(wrt, ()))

    def backward(residuals: Any, cotangents: Sequence[Any]) -> tuple[Any, ...]:
        given, wrt = residuals
        pullback = compiled.pullback(tuple(wrt))
        inputs = pullback_inputs(compiled, pullback, {**others, **given}, _arrays(cotangents))
        gradients = dict(zip(wrt, _outputs(pullback, inputs), strict=True))
        return tuple(gradients.get(name) for name in names)

    loss.defvjp(forward, backward, symbolic_zeros=True)
    return loss(*(arrays[name] for name in names))


def _arrays(cotangents: Sequence[Any]) -> list[Any]:
    """Cotangents of outputs, those that are known to be zero as arrays too."""
    zero = jax.custom_derivatives.SymbolicZero
    return [jnp.zeros(ct.shape, ct.dtype) if isinstance(ct, zero) else ct for ct in cotangents]


def _callback(compiled: Differentiable, others: Arrays, traced: Arrays) -> tuple[Any, ...]:
    """The outputs, computed on the host once there are numbers; one sample at a time in vmap."""
    # Without x64 JAX has no numbers of 64 bits, but arrays of other libraries stay as they are.
    canonical = jax.dtypes.canonicalize_dtype
    types = [
        jax.ShapeDtypeStruct(shape, canonical(dtype))
        for dtype, shape in compiled.output_types({**others, **traced})
    ]

    def run(given: Arrays) -> tuple[Any, ...]:
        numbers = {name: np.asarray(value) for name, value in given.items()}
        found = compiled.outputs({**others, **numbers}, like=np.empty(0))
        return tuple(np.asarray(x, t.dtype) for x, t in zip(found, types, strict=True))

    results: tuple[Any, ...] = jax.pure_callback(
        run, tuple(types), dict(traced), vmap_method="sequential"
    )
    return results
