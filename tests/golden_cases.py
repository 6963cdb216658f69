"""The recorded losses of another framework: ``cases(folder)`` and ``load(case)``."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parent / "golden"


@functools.cache
def cases(folder):
    """The cases of a folder."""
    return json.loads((ROOT / folder / "cases.json").read_text())


@functools.cache
def _bank(folder, file):
    with np.load(ROOT / folder / file) as bank:
        return dict(bank)


class Case:
    """One case with its arrays: the right ones where they are recorded."""

    def __init__(self, folder, case):
        bank, name = _bank(folder, case["file"]), case["id"]
        self.inputs = {n: bank[f"{name}/in/{n}"] for n in case["inputs"]}
        self.out = bank.get(f"{name}/exact/out", bank.get(f"{name}/out"))
        self.grads = {
            n: bank.get(f"{name}/exact/grad/{n}", bank.get(f"{name}/grad/{n}"))
            for n in case["grads"]
        }
        self.options = {k: float(v) if v in ("inf", "-inf") else v
                        for k, v in case["kwargs"].items()}  # fmt: skip
        self.call = case.get("call_kwargs", {})
        self.dtype = case["dtype"]
