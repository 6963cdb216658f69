"""lossgraph as it is in this checkout, on ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .peer import Peer, Prepared


class Lossgraph(Peer):
    name = "lossgraph"
    title = "lossgraph"
    paths = (str(Path(__file__).resolve().parents[2] / "src"),)

    def __init__(self, threads: int) -> None:
        import onnxruntime

        import lossgraph

        self._lossgraph, self._onnxruntime = lossgraph, onnxruntime
        self._threads = threads

    def versions(self) -> dict[str, str]:
        modules = (self._lossgraph, self._onnxruntime, np)
        return {module.__name__: module.__version__ for module in modules}

    def ctc(self, arrays: dict[str, Any], gradient: bool) -> Prepared:
        logits, labels = arrays["logits"], arrays["labels"]
        run = self._lossgraph.compile(
            self._lossgraph.gluon.CTCLoss(),
            {"pred": ("float32", ("N", "T", "C")), "label": ("int64", ("N", "L"))},
            grad=("pred",) if gradient else (),
            threads=self._threads,
        )

        def values(result: Any) -> dict[str, Any]:
            if not gradient:
                return {"loss": result}
            loss, gradients = result
            return {"loss": loss, "gradient": gradients["pred"]}

        return Prepared(lambda: run(logits, labels), values)

    def linear(self, arrays: dict[str, Any], gradient: bool) -> Prepared:
        """Cross-entropy of a linear layer: the logits in chunks."""
        return self._linear(self._lossgraph.nn.LinearCrossEntropyLoss(), arrays)

    def linear_whole(self, arrays: dict[str, Any], gradient: bool) -> Prepared:
        """The same, written down plainly."""

        def body(F: Any, input: Any, linear_weight: Any, target: Any) -> Any:
            log_probs = F.log_softmax(F.dot(input, linear_weight, transpose_b=True))
            return F.mean(-F.pick(log_probs, target, mode="raise"))

        return self._linear(body, arrays)

    def _linear(self, loss: Any, arrays: dict[str, Any]) -> Prepared:
        given = [arrays[name] for name in ("rows", "weight", "labels")]
        run = self._lossgraph.compile(
            loss,
            {
                "input": ("float32", ("N", "D")),
                "linear_weight": ("float32", ("C", "D")),
                "target": ("int64", ("N",)),
            },
            grad=("input", "linear_weight"),
            threads=self._threads,
        )

        def values(result: Any) -> dict[str, Any]:
            loss, gradients = result
            return {"loss": loss.reshape(1), "gradient": np.concatenate([*gradients.values()])}

        return Prepared(lambda: run(*given), values)
