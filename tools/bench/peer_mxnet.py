"""MXNet 1.9.1, the last one, with Gluon's losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .peer import Peer, Prepared


class MXNet(Peer):
    name = "mxnet"
    title = "MXNet"
    requirements = ("mxnet==1.9.1", "numpy==1.23.5")
    python = "3.8"

    def __init__(self, threads: int) -> None:
        import mxnet  # which takes its threads from OMP_NUM_THREADS

        self._mxnet = mxnet

    def versions(self) -> dict[str, str]:
        return {"mxnet": self._mxnet.__version__}

    @classmethod
    def has(cls, loss: str) -> bool:
        return loss.endswith("Loss") or hasattr(cls, loss)

    def prepare(self, loss: str, arrays: dict[str, Any], gradient: bool) -> Prepared:
        if hasattr(self, loss):
            return super().prepare(loss, arrays, gradient)
        made = getattr(self._mxnet.gluon.loss, loss)()
        if loss == "KLDivLoss":  # documented as a mean, computed as a sum
            made = self._scaled(made, 1 / next(iter(arrays.values())).shape[1])
        inputs = [self._mxnet.nd.array(a, dtype="float32") for a in arrays.values()]
        call = self._call(made, inputs, gradient)

        def values(value: Any) -> dict[str, Any]:
            found = {"loss": value.asnumpy().reshape(-1)}
            if gradient:
                found["gradient"] = inputs[0].grad.asnumpy()
            return found

        return Prepared(call, values, 4 * inputs[0].size if gradient else 0)

    def _scaled(self, loss: Any, factor: float) -> Any:
        class Scaled(self._mxnet.gluon.HybridBlock):
            def __init__(self) -> None:
                super().__init__()
                self.loss = loss

            def hybrid_forward(self, F: Any, *inputs: Any) -> Any:
                return self.loss(*inputs) * factor

        return Scaled()

    def _call(self, loss: Any, inputs: Sequence[Any], gradient: bool) -> Callable[[], Any]:
        """What computes the value, and the gradient by the first input, which keeps it."""
        record, by = self._mxnet.autograd.record, inputs[0]
        loss.hybridize(static_alloc=True, static_shape=True)
        if gradient:
            by.attach_grad()

        def forward_only() -> Any:
            value = loss(*inputs)
            value.wait_to_read()
            return value

        def both() -> Any:
            with record():
                value = loss(*inputs)
            value.backward()
            value.wait_to_read()
            by.grad.wait_to_read()
            return value

        return both if gradient else forward_only

    def ctc(self, arrays: dict[str, Any], gradient: bool) -> Prepared:
        mx = self._mxnet
        logits = mx.nd.array(arrays["logits"].transpose(1, 0, 2), dtype="float32")
        labels = mx.nd.array(arrays["labels"], dtype="float32")
        losses = mx.gluon.loss.CTCLoss(layout="TNC", label_layout="NT")
        call = self._call(losses, [logits, labels], gradient)

        def values(loss: Any) -> dict[str, Any]:
            found = {"loss": loss.asnumpy()}
            if gradient:
                found["gradient"] = logits.grad.asnumpy().transpose(1, 0, 2)
            return found

        return Prepared(call, values, 4 * logits.size if gradient else 0)
