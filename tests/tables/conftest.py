"""Tables are computed by fused kernels, where there is a compiler: rows have equal bits by them."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _kernels(monkeypatch):
    monkeypatch.setenv("LOSSGRAPH_KERNELS", "auto")
