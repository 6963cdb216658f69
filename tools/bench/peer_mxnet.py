"""MXNet 1.9.1, the last one, with Gluon's losses."""

from __future__ import annotations

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

    def ctc(self, arrays: dict[str, Any], gradient: bool) -> Prepared:
        mx = self._mxnet
        logits = mx.nd.array(arrays["logits"].transpose(1, 0, 2), dtype="float32")
        labels = mx.nd.array(arrays["labels"], dtype="float32")
        losses = mx.gluon.loss.CTCLoss(layout="TNC", label_layout="NT")
        losses.hybridize(static_alloc=True, static_shape=True)
        if gradient:
            logits.attach_grad()

        def forward_only() -> Any:
            loss = losses(logits, labels)
            loss.wait_to_read()
            return loss

        def both() -> Any:
            with mx.autograd.record():
                loss = losses(logits, labels)
            loss.backward()
            loss.wait_to_read()
            logits.grad.wait_to_read()
            return loss

        def values(loss: Any) -> dict[str, Any]:
            found = {"loss": loss.asnumpy()}
            if gradient:
                found["gradient"] = logits.grad.asnumpy().transpose(1, 0, 2)
            return found

        return Prepared(both if gradient else forward_only, values)
