"""PyTorch, eager."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .peer import LINEAR_GRAD, Peer, Prepared, equivalents, numbers


class Torch(Peer):
    name = "torch"
    title = "PyTorch"
    compiled = False
    # PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu gets a far smaller build.
    requirements = ("torch==2.13.0", "numpy")

    def __init__(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._torch = torch

    def versions(self) -> dict[str, str]:
        return {"torch": str(self._torch.__version__)}

    @classmethod
    def has(cls, loss: str) -> bool:
        return f"gluon.{loss}" in equivalents().TORCH or getattr(cls, loss, None) is not None

    def prepare(self, loss: str, arrays: dict[str, Any], gradient: bool) -> Prepared:
        known = equivalents()
        function = known.find(known.TORCH, self._torch, f"gluon.{loss}", {}, {})
        if function is None:
            return super().prepare(loss, arrays, gradient)
        grad = list(arrays)[:gradient]
        return self._prepared(function, arrays, grad)

    def _prepared(
        self, function: Callable[..., Any], arrays: dict[str, Any], grad: Sequence[str]
    ) -> Prepared:
        call = equivalents().torch_call(self._torch, function, arrays, grad, self.compiled)
        return Prepared(call, numbers(bool(grad), lambda tensor: tensor.numpy()))

    def linear(self, arrays: dict[str, Any], gradient: bool) -> Prepared:
        return self._prepared(self._linear_loss(), arrays, LINEAR_GRAD if gradient else ())

    def _linear_loss(self) -> Callable[..., Any]:
        functional = self._torch.nn.functional
        return lambda input, weight, target: functional.cross_entropy(
            functional.linear(input, weight), target
        )

    def segmentation(self, arrays: dict[str, Any], gradient: bool) -> Prepared:
        loss = partial(self._torch.nn.functional.cross_entropy, reduction="none")
        return self._prepared(loss, arrays, ("logits",) if gradient else ())

    def ctc(self, arrays: dict[str, Any], gradient: bool) -> Prepared:
        torch = self._torch
        samples, steps, classes = arrays["logits"].shape
        logits = torch.from_numpy(arrays["logits"]).transpose(0, 1).contiguous()
        logits.requires_grad_(gradient)
        labels = torch.from_numpy(arrays["labels"])
        steps_of = torch.full((samples,), steps)
        labels_of = torch.full((samples,), labels.shape[1])

        def forward() -> Any:
            return torch.nn.functional.ctc_loss(
                logits.log_softmax(-1),
                labels,
                steps_of,
                labels_of,
                blank=classes - 1,
                reduction="none",
            )

        def forward_only() -> Any:
            with torch.no_grad():
                return forward(), None

        def both() -> Any:
            loss = forward()
            return loss, torch.autograd.grad(loss.sum(), logits)[0]

        def values(result: Any) -> dict[str, Any]:
            loss, by_logits = result
            found = {"loss": loss.detach().numpy()}
            if gradient:
                found["gradient"] = by_logits.transpose(0, 1).numpy()
            return found

        return Prepared(both if gradient else forward_only, values)
