"""lossgraph as it is in this checkout, on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .peer import SOURCES, Peer, Prepared, numbers

AXES = ("N", "C")  # of the losses of rows


class Lossgraph(Peer):
    name = "lossgraph"
    title = "lossgraph"
    kind = "itself"
    paths = (str(SOURCES),)

    def __init__(self, threads: int) -> None:
        import onnxruntime

        import lossgraph

        self._lossgraph, self._onnxruntime = lossgraph, onnxruntime
        self._threads = threads

    def versions(self) -> dict[str, str]:
        modules = (self._lossgraph, self._onnxruntime, np)
        return {module.__name__: module.__version__ for module in modules}

    @classmethod
    def has(cls, loss: str) -> bool:
        return loss.endswith("Loss") or getattr(cls, loss, None) is not None

    def prepare(self, loss: str, arrays: dict[str, Any], gradient: bool) -> Prepared:
        if hasattr(self, loss):
            return super().prepare(loss, arrays, gradient)
        types = {name: (a.dtype.name, AXES[: a.ndim]) for name, a in arrays.items()}
        made = getattr(self._lossgraph.gluon, loss)()
        call = self._call(made, types, tuple(arrays)[:gradient], list(arrays.values()))

        def values(result: Any) -> dict[str, Any]:
            return numbers(gradient, np.asarray)(result if gradient else (result, {}))

        return Prepared(call, values)

    def _call(
        self, loss: Any, types: dict[str, Any], grad: tuple[str, ...], arrays: list[Any]
    ) -> Callable[[], Any]:
        """What is timed: a call with arrays, whose results are new ones."""
        run = self._lossgraph.compile(loss, types, grad=grad, threads=self._threads)
        return lambda: run(*arrays)

    def ctc(self, arrays: dict[str, Any], gradient: bool) -> Prepared:
        types = {"pred": ("float32", ("N", "T", "C")), "label": ("int64", ("N", "L"))}
        loss, grad = self._lossgraph.gluon.CTCLoss(), ("pred",) if gradient else ()
        call = self._call(loss, types, grad, list(arrays.values()))

        def values(result: Any) -> dict[str, Any]:
            if not gradient:
                return {"loss": result}
            loss, gradients = result
            return {"loss": loss, "gradient": gradients["pred"]}

        return Prepared(call, values)
