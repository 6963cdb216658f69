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
