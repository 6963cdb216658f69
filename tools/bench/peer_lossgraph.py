"""lossgraph as it is in this checkout, on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .peer import LINEAR_GRAD, SOURCES, Peer, Prepared, numbers

AXES = ("N", "C")  # of the losses of rows
LINEAR_TYPES = {
    "input": ("float32", ("N", "D")),
    "linear_weight": ("float32", ("C", "D")),
    "target": ("int64", ("N",)),
}
IMAGE_TYPES = {
    "input": ("float32", ("N", "C", "H", "W")),
    "target": ("int64", ("N", "H", "W")),
}


class Lossgraph(Peer):
    name = "lossgraph"
    title = "lossgraph"
    kind = "itself"
    paths = (str(SOURCES),)
    kernels = True

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
        return Prepared(call, values_of(gradient))

    def _call(
        self, loss: Any, types: dict[str, Any], grad: tuple[str, ...], arrays: list[Any]
    ) -> Callable[[], Any]:
        """What is timed: a call with arrays, whose results are new ones."""
        run = self._compiled(loss, types, grad)
        return lambda: run(*arrays)

    def _compiled(self, loss: Any, types: dict[str, Any], grad: tuple[str, ...]) -> Any:
        """As it is once the kernel is built, if there can be one."""
        how = {"grad": grad, "threads": self._threads}
        try:
            return self._lossgraph.compile(loss, types, kernels=self.kernels, **how)
        except self._lossgraph.LossgraphError:
            return self._lossgraph.compile(loss, types, kernels=False, **how)

    def ctc(self, arrays: dict[str, Any], gradient: bool) -> Prepared:
        types = {"pred": ("float32", ("N", "T", "C")), "label": ("int64", ("N", "L"))}
        loss, grad = self._lossgraph.gluon.CTCLoss(), ("pred",) if gradient else ()
        call = self._call(loss, types, grad, list(arrays.values()))
        return Prepared(call, values_of(gradient))

    def segmentation(self, arrays: dict[str, Any], gradient: bool) -> Prepared:
        loss, grad = self._lossgraph.nn.CrossEntropyLoss(reduction="none"), ("input",)
        call = self._call(loss, IMAGE_TYPES, grad if gradient else (), list(arrays.values()))
        return Prepared(call, values_of(gradient))

    def linear(self, arrays: dict[str, Any], gradient: bool) -> Prepared:
        grad = LINEAR_GRAD if gradient else ()
        call = self._call(self._linear_loss(), LINEAR_TYPES, grad, list(arrays.values()))
        return Prepared(call, values_of(gradient))

    def _linear_loss(self) -> Any:
        return self._lossgraph.nn.LinearCrossEntropyLoss()


def values_of(gradient: bool) -> Callable[[Any], dict[str, Any]]:
    """``Prepared.values`` of what lossgraph returns: without gradients, the value alone."""
    named = numbers(gradient, np.asarray)
    return named if gradient else lambda value: named((value, {}))
