"""Whole models beside recorded answers: what is trained, losses, gradients and ten steps."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import lossgraph as lg
from lossgraph import gluon, nn

CASES = sorted(
    path.parent for path in Path(__file__).parents[1].glob("golden/training/*/case.json")
)
SPACES = {"nn": nn, "gluon": gluon}
ZERO = 1e-10  # of all gradients: what is zero but for rounding, and is compared with all of them
BATCHES = ("b0", "b1")


class Case:
    """A recorded case: a model, its loss, and arrays by what they are."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "model.onnx"
        self.note: dict[str, Any] = json.loads((folder / "case.json").read_text())
        self.arrays: dict[str, Any] = dict(np.load(folder / "data.npz"))
        tensors = onnx.load(self.path).graph.initializer
        self.weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in tensors}

    def part(self, prefix: str) -> dict[str, Any]:
        return {k.removeprefix(prefix): v for k, v in self.arrays.items() if k.startswith(prefix)}

    def batch(self, name: str) -> dict[str, Any]:
        return {**self.part(f"{name}/in/"), **self.part(f"{name}/label/")}

    def loss(self) -> Any:
        spec = self.note["loss"]
        space, name = spec["name"].split(".")
        loss = getattr(SPACES[space], name)(**spec["options"])
        if spec["reduce"] is None:
            return loss

        def reduced(F: Any, pred: Any, label: Any) -> Any:
            return getattr(F, spec["reduce"])(loss(pred, label=label))

        return reduced

    def build(self, optimizer: Any = None) -> Any:
        spec = self.note["loss"]
        return lg.training.build(
            self.path, self.loss(), spec["output"], bind=spec["bind"], optimizer=optimizer
        )


@cache
def case(folder: Path) -> Case:
    return Case(folder)


each_case = pytest.mark.parametrize("folder", CASES, ids=lambda path: path.name)


def norm(array: Any) -> float:
    return float(np.linalg.norm(np.asarray(array, np.float64)))


@each_case
def test_what_is_trained_and_its_gradients(folder: Path) -> None:
    recorded = case(folder)
    step, tolerance = recorded.build(), recorded.note["tolerance"]
    assert set(step.trainable) == set(recorded.note["trainable"])
    for name in BATCHES:
        got = step.gradients.run({**recorded.weights, **recorded.batch(name)})
        right = recorded.part(f"{name}/grad/")
        assert got["loss"] == pytest.approx(recorded.arrays[f"{name}/loss"], rel=tolerance)
        total = norm([norm(gradient) for gradient in right.values()])
        for parameter, gradient in right.items():
            mine, size = got[f"grad_{parameter}"], norm(gradient)
            assert mine.shape == gradient.shape
            allowed = recorded.note["looser"].get(parameter, tolerance) * size
            if size <= ZERO * total:
                allowed = tolerance / 10 * total
            assert norm(mine - gradient) <= allowed, parameter


@pytest.mark.parametrize("run", ["adamw", "sgd"])
@each_case
def test_ten_steps(folder: Path, run: str) -> None:
    recorded = case(folder)
    options: dict[str, float] = recorded.note["runs"][run]["options"]
    allowed = recorded.note["runs"][run]["tolerance"]
    trainer = lg.training.Trainer(recorded.build(optimizer(run, options)))
    for step, right in enumerate(recorded.arrays[f"{run}/losses"]):
        loss = trainer.step(recorded.batch(BATCHES[step % 2]))
        assert loss == pytest.approx(right, rel=allowed), step
    for name, end in trainer.parameters.items():
        looser = recorded.note["final_looser"].get(run, {}).get(name, 0)
        apart = difference(
            summary(end, recorded.weights[name]), recorded.arrays[f"{run}/final/{name}"], end.size
        )
        assert apart <= max(looser, allowed), name


def optimizer(run: str, options: Mapping[str, float]) -> Any:
    if run == "sgd":
        return lg.training.SGD(**options)
    return lg.training.AdamW(options["learning_rate"], weight_decay=options["weight_decay"])


def summary(end: Any, start: Any) -> Any:
    """The mean, norm and change of a parameter, and its product with cosines."""
    end, start = end.astype(np.float64), start.astype(np.float64)
    cosines = np.cos(np.arange(end.size))
    return np.array([end.mean(), norm(end), norm(end - start), end.reshape(-1) @ cosines])


def difference(got: Any, right: Any, count: int) -> float:
    """The largest of the differences, relative to the norm, of the change to a tenth of it."""
    size = max(right[1], 1e-30)
    scale = np.array([size / np.sqrt(count), size, 10 * max(right[2], 1e-30), size])
    return float(np.max(np.abs(got - right) / scale))


def test_the_cases_are_there() -> None:
    assert len(CASES) == 9
    assert all(re.fullmatch(r"[a-z0-9_]+(-(dynamo|script)\d+(_bn)?)?", path.name) for path in CASES)
