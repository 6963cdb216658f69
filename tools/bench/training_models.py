"""The models of ``tools/bench_training``, in PyTorch: run as a program, it exports them.

python training_models.py FOLDER    model.onnx and batch.npz of each, in folders of their names
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """Two convolutions around which the input goes."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(after), nn.BatchNorm2d(after)])
        same = stride == 1 and before == after
        self.beside = nn.Identity() if same else nn.Conv2d(before, after, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.norms[0](self.first(x)))
        return torch.relu(self.norms[1](self.second(y)) + self.beside(x))


class Block(nn.Module):
    """A block of a decoder: attention to what came before, and two layers."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])
        self.read, self.write = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        n, t, width = x.shape
        split = self.read(self.norms[0](x)).view(n, t, 3, self.heads, width // self.heads)
        q, k, v = split.permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / (width // self.heads) ** 0.5
        later = torch.ones(t, t, dtype=torch.bool).triu(1)
        weights = scores.masked_fill(later, -1e9).softmax(-1)
        x = x + self.write((weights @ v).transpose(1, 2).reshape(n, t, width))
        return x + self.narrow(nn.functional.gelu(self.wide(self.norms[1](x))))


class Decoder(nn.Module):
    """A small language model."""

    def __init__(
        self, words: int = 1000, width: int = 256, heads: int = 4, length: int = 64
    ) -> None:
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(Block(width, heads), Block(width, heads))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, words)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.words(tokens) + self.places(torch.arange(tokens.shape[1]))
        return self.head(self.norm(self.blocks(x))).flatten(0, 1)


def models() -> dict[str, tuple[nn.Module, dict[str, np.ndarray[Any, Any]]]]:
    """The models by name, each with a batch: what it takes, and the classes."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    mlp = nn.Sequential(
        nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10)
    )
    lenet = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.Tanh(), nn.AvgPool2d(2), nn.Conv2d(6, 16, 5), nn.Tanh(),
        nn.AvgPool2d(2), nn.Flatten(), nn.Linear(400, 120), nn.Tanh(), nn.Linear(120, 84),
        nn.Tanh(), nn.Linear(84, 10),
    )  # fmt: skip
    resnet = nn.Sequential(
        nn.Conv2d(3, 32, 3, 1, 1, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        Residual(32, 32, 1), Residual(32, 64, 2), Residual(64, 128, 2), nn.AdaptiveAvgPool2d(1),
        nn.Flatten(), nn.Linear(128, 10),
    )  # fmt: skip

    def images(count: int, *shape: int) -> dict[str, np.ndarray[Any, Any]]:
        x = rng.normal(size=(count, *shape)).astype(np.float32)
        return {"x": x, "target": rng.integers(0, 10, count)}

    tokens = rng.integers(0, 1000, (8, 65))
    text = {"x": tokens[:, :-1], "target": tokens[:, 1:].reshape(-1)}
    return {
        "MLP": (mlp, images(64, 784)),
        "LeNet": (lenet, images(64, 1, 28, 28)),
        "ResNet": (resnet, images(16, 3, 32, 32)),
        "GPT": (Decoder(), text),
    }


def main() -> None:
    for name, (model, batch) in models().items():
        folder = Path(sys.argv[1]) / name
        folder.mkdir(parents=True)
        np.savez(folder / "batch.npz", **batch)  # type: ignore[arg-type]
        torch.onnx.export(
            model.eval(),  # normalized by statistics that are given, in all of them
            (torch.from_numpy(batch["x"]),),
            folder / "model.onnx",
            input_names=["x"],
            output_names=["logits"],
            dynamo=False,
            opset_version=17,
            dynamic_axes={"x": {0: "N"}, "logits": {0: "M"}},
            do_constant_folding=False,
        )


if __name__ == "__main__":
    main()
