"""Losses that servers serve: what they are exported from, and what is asked of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

import lossgraph as lg
from lossgraph import gluon, losses, nn
from lossgraph.authoring.block import Block
from lossgraph.kernels.targets import target_here
from lossgraph.kernels.toolchain import ToolchainError, find_for

RNG = np.random.default_rng(0)


@dataclass(frozen=True)
class Case:
    loss: Block
    types: dict[str, Any]
    arrays: dict[str, np.ndarray]
    grad: tuple[str, ...]
    batched: bool = False
    kernels: bool = False  # served as a fused kernel, where there is a compiler

    def expected(self) -> dict[str, np.ndarray]:
        """What a call in Python gives, by the names of the graph's outputs."""
        value, grads = self.loss.value_and_grad(**self.arrays, wrt=self.grad)
        return {"loss": value, **{f"grad_{name}": g for name, g in grads.items()}}


def targets(case: Case) -> tuple[str, ...]:
    """What a case is exported with kernels for."""
    here = target_here()
    try:
        return (here,) if case.kernels and here and find_for([here]) else ()
    except ToolchainError:
        return ()


def normal(*shape: int, dtype: str = "float32") -> np.ndarray:
    return RNG.normal(size=shape).astype(dtype)


def both(first: str, second: str, dtype: str, *dims: str) -> dict[str, Any]:
    return dict.fromkeys((first, second), (dtype, dims))


CASES = {
    "softmax_ce": Case(
        gluon.SoftmaxCrossEntropyLoss(),
        {"pred": ("float32", ("N", "C")), "label": ("int64", ("N",))},
        {"pred": 3 * normal(6, 5), "label": np.array([0, 4, 1, 1, 2, 3])},
        ("pred",),
        batched=True,
    ),
    "fused": Case(
        gluon.HuberLoss(),
        both("pred", "label", "float32", "N", "C"),
        {"pred": 2 * normal(5, 7), "label": normal(5, 7)},
        ("pred",),
        batched=True,
        kernels=True,
    ),
    "huber": Case(
        gluon.HuberLoss(),
        both("pred", "label", "float64", "N", "C"),
        {"pred": normal(3, 4, dtype="float64"), "label": normal(3, 4, dtype="float64")},
        ("pred", "label"),
        batched=True,
    ),
    "ctc": Case(
        gluon.CTCLoss(),
        {"pred": ("float32", ("N", "T", "C")), "label": ("int32", ("N", "L"))},
        {"pred": normal(2, 7, 5), "label": np.array([[1, 2, -1], [3, 3, 0]], np.int32)},
        ("pred",),
        batched=True,
    ),
    "charbonnier": Case(
        losses.charbonnier,
        both("pred", "target", "float16", "N", "C"),
        {"pred": normal(2, 3, dtype="float16"), "target": normal(2, 3, dtype="float16")},
        ("pred",),
        batched=True,
    ),
    "mse": Case(
        nn.MSELoss(),
        both("input", "target", "float32", "N", "C"),
        {"input": normal(4, 3), "target": normal(4, 3)},
        ("input",),
    ),
    "weighted_ce": Case(
        nn.CrossEntropyLoss(reduction="none"),
        {
            "input": ("float32", ("N", "C")),
            "target": ("int64", ("N",)),
            "weight": ("float32", ("C",)),
        },
        {
            "input": normal(4, 3),
            "target": np.array([2, 0, 1, 1]),
            "weight": np.float32([1, 2, 0.5]),
        },
        ("input", "weight"),
    ),
    "scaled": Case(
        gluon.HuberLoss(rho=lg.Input("rho")),
        {**both("pred", "label", "float32", "N", "C"), "rho": ("float32", ())},
        {"pred": normal(4, 3), "label": normal(4, 3), "rho": np.array(0.5, np.float32)},
        ("pred", "rho"),
    ),
    "halves": Case(
        losses.absolute_percentage,
        both("pred", "target", "bfloat16", "N", "C"),
        {
            "pred": normal(2, 3).astype(ml_dtypes.bfloat16),
            "target": np.ones((2, 3), ml_dtypes.bfloat16),
        },
        (),
        batched=True,
    ),
}
