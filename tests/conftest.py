"""What holds for all tests: none depends on which others ran before it."""

from __future__ import annotations

import zlib

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _random_numbers_of_its_own(request, monkeypatch):
    """``RNG`` of a test's module starts anew for each test, seeded by the test's name."""
    module = getattr(request, "module", None)
    if hasattr(module, "RNG"):
        seed = zlib.crc32(request.node.name.encode())
        monkeypatch.setattr(module, "RNG", np.random.default_rng(seed))
