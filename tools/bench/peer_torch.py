"""PyTorch, eager."""

from __future__ import annotations

from typing import Any

from .peer import Peer, Prepared


class Torch(Peer):
    name = "torch"
    title = "PyTorch"
    # PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu gets a far smaller build.
    requirements = ("torch==2.13.0", "numpy")

    def __init__(self, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._torch = torch

    def versions(self) -> dict[str, str]:
        return {"torch": str(self._torch.__version__)}

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

    def linear(self, arrays: dict[str, Any], gradient: bool) -> Prepared:
        """Cross-entropy of a linear layer: the logits in chunks."""
        options = self._torch.nn.LinearCrossEntropyOptions()
        return self._linear(arrays, options)

    def linear_whole(self, arrays: dict[str, Any], gradient: bool) -> Prepared:
        """The same, all logits at once."""
        return self._linear(arrays, None)

    def _linear(self, arrays: dict[str, Any], options: Any) -> Prepared:
        torch = self._torch
        rows, weight = (
            torch.from_numpy(arrays[name]).requires_grad_() for name in ("rows", "weight")
        )
        labels = torch.from_numpy(arrays["labels"])

        def both() -> Any:
            loss = torch.nn.functional.linear_cross_entropy(rows, weight, labels, options=options)
            return loss, torch.autograd.grad(loss, (rows, weight))

        def values(result: Any) -> dict[str, Any]:
            loss, gradients = result
            return {
                "loss": loss.detach().numpy().reshape(1),
                "gradient": torch.cat(gradients).numpy(),
            }

        return Prepared(both, values)
