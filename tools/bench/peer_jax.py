"""JAX, compiled, with the losses of optax."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from .peer import Peer, Prepared, equivalents, numbers


class Jax(Peer):
    name = "jax"
    title = "JAX"
    requirements = ("jax", "optax")

    def __init__(self, threads: int) -> None:
        several = "true" if threads > 1 else "false"
        flags = (os.environ.get("XLA_FLAGS"), "--xla_cpu_multi_thread_eigen=" + several)
        os.environ["XLA_FLAGS"] = " ".join(filter(None, flags))
        os.environ["PJRT_NPROC"] = os.environ["NPROC"] = str(threads)  # how many threads XLA makes
        os.environ["JAX_PLATFORMS"] = "cpu"
        import jax
        import optax

        self._jax, self._optax = jax, optax

    def versions(self) -> dict[str, str]:
        import jaxlib

        modules = (self._jax, jaxlib, self._optax)
        return {module.__name__: module.__version__ for module in modules}

    @classmethod
    def has(cls, loss: str) -> bool:
        return f"gluon.{loss}" in equivalents().JAX or hasattr(cls, loss)

    def prepare(self, loss: str, arrays: dict[str, Any], gradient: bool) -> Prepared:
        known = equivalents()
        function = known.find(known.JAX, self._jax, f"gluon.{loss}", {}, {})
        if function is None:
            return super().prepare(loss, arrays, gradient)
        grad = list(arrays)[:gradient]
        call = known.jax_call(self._jax, function, arrays, grad, self.ahead)
        return Prepared(call, numbers(gradient, np.asarray))

    def segmentation(self, arrays: dict[str, Any], gradient: bool) -> Prepared:
        jax, optax = self._jax, self._optax

        def loss(logits: Any, labels: Any) -> Any:
            last = jax.numpy.moveaxis(logits, 1, -1)
            return optax.softmax_cross_entropy_with_integer_labels(last, labels)

        grad = ("logits",) if gradient else ()
        call = equivalents().jax_call(jax, loss, arrays, grad, self.ahead)
        return Prepared(call, numbers(gradient, np.asarray))

    def ctc(self, arrays: dict[str, Any], gradient: bool) -> Prepared:
        jax, optax = self._jax, self._optax
        samples, steps, classes = arrays["logits"].shape
        labels = arrays["labels"].astype(np.int32)
        # All are arguments, so that XLA cannot compute with the labels while it compiles.
        inputs = (
            jax.device_put(arrays["logits"]),
            jax.device_put(np.zeros((samples, steps), np.float32)),
            jax.device_put(labels),
            jax.device_put(np.zeros(labels.shape, np.float32)),
        )

        def losses(logits: Any, logit_paddings: Any, labels: Any, label_paddings: Any) -> Any:
            return optax.ctc_loss(
                logits, logit_paddings, labels, label_paddings, blank_id=classes - 1
            )

        def total(*inputs: Any) -> Any:
            each = losses(*inputs)
            return each.sum(), each

        run = jax.jit(jax.value_and_grad(total, has_aux=True) if gradient else losses)
        if self.ahead:
            run = run.lower(*inputs).compile()

        def values(result: Any) -> dict[str, Any]:
            if not gradient:
                return {"loss": np.asarray(result)}
            (_, loss), by_logits = result
            return {"loss": np.asarray(loss), "gradient": np.asarray(by_logits)}

        return Prepared(lambda: jax.block_until_ready(run(*inputs)), values)
