"""Plain ONNX Runtime on the graph that lossgraph exports, run as a whole by one session.

The operators are lossgraph's, with stable formulas; the tiles, the threads of its own and the
refusal of labels are not there. Sessions have the engine's default options but for threads.
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
