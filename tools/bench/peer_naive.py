"""Plain ONNX Runtime on the graph that lossgraph exports, run as a whole by one session.

The operators are lossgraph's, with stable formulas; the tiles, the threads of its own and the
refusal of labels are not there. Sessions have the engine's default options but for threads.
Cross-entropy of a linear layer is the plain formula, which has all logits at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .peer_lossgraph import Lossgraph


class Naive(Lossgraph):
    name = "naive"
    title = "ONNX Runtime"
    kind = "rival"
    home = "lossgraph"

    def versions(self) -> dict[str, str]:
        found = super().versions()
        return {"onnxruntime": found.pop("onnxruntime"), **found}

    def _linear_loss(self) -> Any:
        return self._lossgraph.authoring.functions.FunctionLoss(linear_cross_entropy)

    def _call(
        self, loss: Any, types: dict[str, Any], grad: tuple[str, ...], arrays: list[Any]
    ) -> Callable[[], Any]:
        options = self._onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        model = loss.to_onnx(types, grad=grad).SerializeToString()
        session = self._onnxruntime.InferenceSession(
            model, options, providers=["CPUExecutionProvider"]
        )
        feeds = dict(zip(types, arrays))  # noqa: B905

        def run() -> Any:
            value, *found = session.run(None, feeds)
            return (value, dict(zip(grad, found))) if grad else value  # noqa: B905

        return run


def linear_cross_entropy(F: Any, input: Any, linear_weight: Any, target: Any) -> Any:
    log_probs = F.log_softmax(F.dot(input, linear_weight, transpose_b=True))
    return F.mean(-F.pick(log_probs, target, mode="raise"))
