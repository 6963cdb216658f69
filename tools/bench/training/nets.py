"""The networks, in PyTorch, which also exports them; each with a batch."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn
from torch.nn import functional

SEED = 0


class Block(nn.Module):
    """Two convolutions beside a shortcut; norms are folded into convolutions, as when exported."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, after, 3, stride, 1)
        self.second = nn.Conv2d(after, after, 3, 1, 1)
        plain = before == after and stride == 1
        self.down = nn.Identity() if plain else nn.Conv2d(before, after, 1, stride)

    def forward(self, x: Any) -> Any:
        return functional.relu(self.down(x) + self.second(functional.relu(self.first(x))))


class Layer(nn.Module):
    """A layer of a transformer: causal attention, then two linear layers with Gelu."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(2))
        self.joined = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.wide = nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, x: Any) -> Any:
        n, length, width = x.shape
        each = self.joined(self.norms[0](x)).reshape(n, length, 3, self.heads, width // self.heads)
        q, k, v = each.permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / math.sqrt(width // self.heads)
        scores = scores + torch.full((length, length), -1e9).triu(1)
        seen = (scores.softmax(-1) @ v).transpose(1, 2).reshape(n, length, width)
        x = x + self.out(seen)
        return x + self.narrow(functional.gelu(self.wide(self.norms[1](x))))


class Transformer(nn.Module):
    """A language model of two layers."""

    def __init__(self, words: int = 256, width: int = 256, length: int = 64) -> None:
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.places = nn.Parameter(torch.randn(length, width) * 0.02)
        self.layers = nn.Sequential(*(Layer(width, 4) for _ in range(2)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, words)

    def forward(self, index: Any) -> Any:
        return self.head(self.norm(self.layers(self.words(index) + self.places)))


def perceptron() -> nn.Module:
    """784 numbers, two hidden layers of 256."""
    hidden = [nn.Linear(784, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU()]
    return nn.Sequential(*hidden, nn.Linear(256, 10))


def lenet() -> nn.Module:
    """LeNet-5 with maxima, for images of 28 by 28."""
    first = [nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    last = [nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    return nn.Sequential(*first, *second, *last)


def resnet(width: int = 32) -> nn.Module:
    """Like ResNet-18, for images of 32 by 32: four stages of two blocks, 32 to 256 channels."""
    layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1), nn.ReLU()]
    before = width
    for stage in range(4):
        for block in range(2):
            after = width * 2**stage
            layers.append(Block(before, after, 2 if stage and not block else 1))
            before = after
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, 10))


def made(name: str) -> tuple[nn.Module, Any, Any]:
    """A network, a batch and its labels: the same each time."""
    torch.manual_seed(SEED)
    if name == "GPT":
        index = torch.randint(0, 256, (8, 65))
        net, x, label = Transformer(), index[:, :-1].contiguous(), index[:, 1:].contiguous()
    else:
        build, shape = IMAGES[name]
        net, x, label = build(), torch.randn(shape), torch.randint(0, 10, shape[:1])
    with torch.no_grad():  # exporters join parameters that are equal
        for parameter in net.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.01)
    return net, x, label


IMAGES = {
    "MLP": (perceptron, (64, 784)),
    "LeNet": (lenet, (64, 1, 28, 28)),
    "ResNet": (resnet, (16, 3, 32, 32)),
}
