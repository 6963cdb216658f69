"""The recorded losses of another framework: ``cases(folder)`` and ``load(case)``."""

from __future__ import annotations

import functools
import json

import ml_dtypes
import numpy as np

from support import GOLDEN, assert_close
from tolerances import RECORDED


@functools.cache
def cases(folder):
    """The cases of a folder."""
    return json.loads((GOLDEN / folder / "cases.json").read_text())


@functools.cache
def _bank(folder, file):
    with np.load(GOLDEN / folder / file) as bank:
        return dict(bank)


def close(actual, expected, dtype):
    """Equal to recorded digits; one element of either shape is one element."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape and actual.size == expected.size == 1:
        expected = expected.reshape(actual.shape)
    assert_close(actual, expected, tolerance=RECORDED[dtype])


def _as_bfloat16(array):
    return array.astype(ml_dtypes.bfloat16) if array.dtype.kind == "f" else array


class Case:
    """One case with its arrays: the right ones where they are recorded."""

    def __init__(self, folder, case):
        bank, name = _bank(folder, case["file"]), case["id"]
        self.inputs = {n: bank[f"{name}/in/{n}"] for n in case["inputs"]}
        if case["dtype"] == "bfloat16":  # which a .npz cannot hold
            self.inputs = {n: _as_bfloat16(array) for n, array in self.inputs.items()}
        self.out = bank.get(f"{name}/exact/out", bank.get(f"{name}/out"))
        self.grads = {
            n: bank.get(f"{name}/exact/grad/{n}", bank.get(f"{name}/grad/{n}"))
            for n in case["grads"]
        }
        self.options = {k: float(v) if v in ("inf", "-inf") else v
                        for k, v in case["kwargs"].items()}  # fmt: skip
        self.call = case.get("call_kwargs", {})
        self.dtype = case["dtype"]


def by_logits(grad, log_probs):
    """The gradient before the log_softmax."""
    grad, log_probs = grad.astype(np.float64), log_probs.astype(np.float64)
    return grad - np.exp(log_probs) * grad.sum(-1, keepdims=True)
