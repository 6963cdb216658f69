"""The recorded results of MXNet's operators: ``cases()`` and ``load(case)``.

>>> case = cases()[0]
>>> inputs, outputs, cts, grads = load(case)
>>> result = eval(case["expr"], {"F": F, "np": np, **wrapped(inputs)})  # doctest: +SKIP
"""

from __future__ import annotations

import functools
import json
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from support import GOLDEN

FOLDER = GOLDEN / "mxnet_ops"
Case = dict[str, Any]
Values = npt.NDArray[Any]


class Recorded(NamedTuple):
    """What is recorded of one case; ``cts`` weigh the outputs in the gradients."""

    inputs: dict[str, Values]
    outputs: list[Values]
    cts: list[Values]
    grads: dict[str, Values]


@functools.cache
def cases() -> list[Case]:
    """All the cases, in the order in which they were recorded."""
    found: list[Case] = json.loads((FOLDER / "cases.json").read_text())
    return found


@functools.cache
def _arrays() -> dict[str, Values]:
    with np.load(FOLDER / "arrays.npz") as file:
        return dict(file)


def load(case: Case) -> Recorded:
    """The arrays of a case; without gradients ``cts`` is empty."""
    arrays, name = _arrays(), case["id"]
    inputs = {each: arrays[f"in/{each}"] for each in case["inputs"]}
    keys = ["out"] if case["outputs"] == 1 else [f"out_{i}" for i in range(case["outputs"])]
    outputs = [arrays[f"{name}/{key}"] for key in keys]
    grads = {each: arrays[f"{name}/grad/{each}"] for each in case["grads"]}
    cts = [arrays[_ct_key(each)] for each in outputs] if grads else []
    return Recorded(inputs, outputs, cts, grads)


def _ct_key(output: Values) -> str:
    return f"ct/{output.dtype}/{'x'.join(map(str, output.shape))}"
