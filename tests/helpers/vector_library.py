"""The kernels' vector functions as a library of loops over arrays, for tests."""

from __future__ import annotations

import ctypes
import functools
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest

from lossgraph import kernels

SOURCES = Path(kernels.__file__).parent / "sources"
FLAGS = (
    "-O2",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-Wall",
    "-Wextra",
    "-Werror",
)
UNARY = [
    "neg",
    "abs",
    "sqrt",
    "exp",
    "expm1",
    "log",
    "log1p",
    "tanh",
    "sigmoid",
    "softplus",
    "log1p_exp_neg_abs",
    "erf",
    "erfc",
    "sin",
    "cos",
    "atan",
    "sinh",
    "cosh",
    "asinh",
    "floor",
    "ceil",
    "rint",
    "step",
    "sign",
    "relu",
    "lgamma",
    "digamma",
    "trigamma",
    "erfinv",
    "reciprocal",
    "exp_nonpositive",
    "log1p_unit",
]
BINARY = ["max", "min", "pow", "mod", "masked_mul"]
REDUCTIONS = ["sum", "max_of", "min_of"]


def levels() -> tuple[str, ...]:
    """The values of -march that differ and that this machine can run."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return ("native",)
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    wider = ("x86-64-v3",) if {"avx2", "fma", "bmi2"} <= flags else ()
    return ("x86-64", *wider, *(("native",) if "avx512vl" in flags else ()))


def compiler() -> str:
    """The machine's C compiler."""
    found = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if found is None:
        pytest.skip("no C compiler on this machine")
    return found


def build(text: str, march: str, *flags: str) -> Path:
    """A library of C text that may include vector.h."""
    folder = Path(tempfile.mkdtemp(prefix="lossgraph-vectors-"))
    (folder / "library.c").write_text(text)
    command = [compiler(), *FLAGS, f"-march={march}", f"-I{SOURCES}", "-fPIC", "-shared", *flags]
    output = folder / "library.so"
    done = subprocess.run(
        [*command, str(folder / "library.c"), "-o", str(output), "-lm"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return output


def _loops(bits: int) -> str:
    real = {32: "f32", 64: "f64"}[bits]
    lines = [f"#undef LG_BITS\n#define LG_BITS {bits}", '#include "vector.h"']
    loop = "for (long i = 0; i < n; i += LG_LANES)"
    load = f"lg_load_{real}"
    for name in UNARY:
        lines.append(
            f"void {name}_{bits}(const R *x, R *r, long n)"
            f" {{ {loop} lg_store_{real}(r + i, lg_{name}({load}(x + i))); }}"
        )
    for name in BINARY:
        lines.append(
            f"void {name}_{bits}(const R *x, const R *y, R *r, long n)"
            f" {{ {loop} lg_store_{real}(r + i, lg_{name}({load}(x + i), {load}(y + i))); }}"
        )
    return "\n".join(lines)


@functools.cache
def library(march: str) -> ctypes.CDLL:
    """Every elementwise function at a level of the processor: ``exp_32(x, result, n)`` ..."""
    return ctypes.CDLL(str(build(_loops(32) + "\n" + _loops(64) + "\n", march)))


def apply(march: str, name: str, *arrays: np.ndarray) -> np.ndarray:
    """A function over arrays of one float dtype."""
    size, dtype = arrays[0].size, arrays[0].dtype
    padded = [np.concatenate([a.ravel(), np.ones(-size % 16, dtype)]) for a in arrays]
    result = np.empty_like(padded[0])
    function = getattr(library(march), f"{name}_{dtype.itemsize * 8}")
    function(
        *(ctypes.c_void_p(a.ctypes.data) for a in (*padded, result)), ctypes.c_long(result.size)
    )
    return result[:size]
