"""Compilers: which one is found, what it is asked to do, and how one that fails is told."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from lossgraph.kernels import toolchain
from lossgraph.kernels.toolchain import BuildError, Toolchain

TWICE = """
__attribute__((visibility("default"))) double twice(double x) { return 2 * x; }
"""
COMPILERS = [found.toolchain for found in toolchain.candidates() if found.toolchain]
needs_compiler = pytest.mark.skipif(not COMPILERS, reason="there is no C compiler here")
each_compiler = pytest.mark.parametrize("compiler", COMPILERS, ids=lambda compiler: compiler.name)


def twice(path: Path, x: float) -> float:
    """What a library of ``TWICE`` computes."""
    function = ctypes.CDLL(str(path)).twice
    function.restype, function.argtypes = ctypes.c_double, [ctypes.c_double]
    return float(function(x))


@each_compiler
def test_a_library_is_built_whole(compiler: Toolchain, tmp_path: Path) -> None:
    path = tmp_path / "twice.so"
    toolchain.build(TWICE, compiler, path)
    assert twice(path, 1.25) == 2.5
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o700


@each_compiler
def test_the_compilers_words_are_in_the_error(compiler: Toolchain, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"kernel\.c.*unknown_name") as caught:
        toolchain.build("int x = unknown_name;", compiler, tmp_path / "bad.so")
    assert len(str(caught.value)) < 700
    assert list(tmp_path.iterdir()) == []
