"""torchvision's functions that are written in Python, also where its compiled ones do not load.

PyPI's torchvision is compiled for CUDA. Beside a PyTorch for CPUs it finds its operators missing
when it declares how they trace, and cannot be imported unless somebody else names them.
"""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

ARGUMENTS = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"

_named = []  # PyTorch forgets an operator when what declared it goes


def torchvision_ops() -> ModuleType:
    """``torchvision.ops``; a test that asks for it is skipped where there is none."""
    torch = pytest.importorskip("torch")
    try:
        return pytest.importorskip("torchvision.ops")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    _named.append(torch.library.Library("torchvision", "DEF"))
    for operator in ("nms", "qnms"):
        _named[0].define(operator + ARGUMENTS)
    return pytest.importorskip("torchvision.ops")
