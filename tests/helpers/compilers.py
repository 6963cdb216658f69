"""C compilers for tests: those of this machine, and scripts that behave badly."""

from __future__ import annotations

import ctypes
import os
import platform
import stat
from pathlib import Path

import pytest

from lossgraph.kernels import toolchain

TWICE = """
__attribute__((visibility("default"))) double twice(double x) { return 2 * x; }
"""
COMPILERS = [found.toolchain for found in toolchain.candidates() if found.toolchain]
needs_compiler = pytest.mark.skipif(not COMPILERS, reason="there is no C compiler here")
posix = pytest.mark.skipif(os.name != "posix", reason="of modes, owners and scripts of POSIX")
each_compiler = pytest.mark.parametrize("compiler", COMPILERS, ids=lambda found: found.name)


def twice(path: Path, x: float) -> float:
    """What a library of ``TWICE`` computes."""
    function = ctypes.CDLL(str(path)).twice
    function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double]
    return float(function(x))


def script(path: Path, *lines: str) -> Path:
    """An executable of a shell's lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


# What GCC says of itself here, as far as it matters.
SAYS_GCC = "\n".join(
    [
        "cat <<'END'",
        "#define __GNUC__ 12",
        '#define __VERSION__ "12.0 of a test"',
        "#define __SIZEOF_POINTER__ 8",
        "#define __linux__ 1",
        f"#define __{platform.machine()}__ 1",
        "END",
    ]
)
