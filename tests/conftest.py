"""What all tests have: random numbers of their own, and a browser where there is one."""

from __future__ import annotations

import os
import zlib

import numpy as np
import pytest

os.environ["LOSSGRAPH_KERNELS"] = "0"  # no compiler runs beside the tests that ask for none


@pytest.fixture(autouse=True)
def _random_numbers_of_its_own(request, monkeypatch):
    """``RNG`` of a test's module starts anew for each test, seeded by the test's name."""
    module = getattr(request, "module", None)
    if hasattr(module, "RNG"):
        seed = zlib.crc32(request.node.name.encode())
        monkeypatch.setattr(module, "RNG", np.random.default_rng(seed))


def pytest_collection_modifyitems(items):
    """Skip what the oldest engine and the oldest onnx cannot do."""
    from oldest import reason_to_skip  # which needs the engine

    for item in items:
        why = reason_to_skip(item.nodeid)
        if why:
            item.add_marker(pytest.mark.skip(reason=why))


@pytest.fixture(scope="module")
def browser():
    """Chromium, driven as the tools drive it."""
    from support import load_tool  # which needs the engine

    tool = load_tool("browser.py")
    try:
        with tool.chromium() as started:
            yield started
    except tool.MissingBrowserError as error:
        pytest.skip(str(error))
