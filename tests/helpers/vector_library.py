"""The kernels' vector functions as libraries of loops over arrays."""

from __future__ import annotations

import atexit
import ctypes
import functools
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path

import numpy as np

from lossgraph import kernels

SOURCES = Path(kernels.__file__).parent / "sources"
CC = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
FLAGS = (
    "-O2", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fPIC", "-shared",
    "-Wall", "-Wextra", "-Werror",
)  # fmt: skip
UNARY = (
    "neg", "abs", "sqrt", "exp", "expm1", "log", "log1p", "tanh", "sigmoid", "softplus",
    "log1p_exp_neg_abs", "erf", "erfc", "sin", "cos", "atan", "sinh", "cosh", "asinh", "floor",
    "ceil", "rint", "step", "sign", "relu", "lgamma", "digamma", "trigamma", "erfinv",
    "reciprocal", "exp_nonpositive", "log1p_unit",
)  # fmt: skip
BINARY = ("max", "min", "pow", "mod", "masked_mul")
REALS = {"f32": "float", "f64": "double", "f16": "uint16_t", "bf16": "uint16_t"}
INTEGERS = {
    "i64": "int64_t", "i32": "int32_t", "i16": "int16_t", "i8": "int8_t", "u64": "uint64_t",
    "u32": "uint32_t", "u16": "uint16_t", "u8": "uint8_t", "bool": "uint8_t",
}  # fmt: skip


def levels() -> tuple[str, ...]:
    """The values of -march that differ and that this machine can run."""
    if platform.machine() not in ("x86_64", "AMD64"):
        return ("native",)
    cpuinfo = Path("/proc/cpuinfo")
    flags = set(cpuinfo.read_text().split()) if cpuinfo.exists() else set()
    wider = ("x86-64-v3",) if {"avx2", "fma", "f16c", "bmi2"} <= flags else ()
    return ("x86-64", *wider, *(("native",) if "avx512vl" in flags else ()))


def build(text: str, march: str, *flags: str) -> ctypes.CDLL:
    """A library of C text that includes vector.h."""
    assert CC is not None
    folder = tempfile.mkdtemp(prefix="lossgraph-vectors-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    source, output = Path(folder, "library.c"), Path(folder, "library.so")
    source.write_text(text)
    command = [
        CC,
        *FLAGS,
        f"-march={march}",
        f"-I{SOURCES}",
        *flags,
        str(source),
        "-o",
        str(output),
        "-lm",
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return ctypes.CDLL(str(output))


def width(bits: int) -> str:
    """What chooses a width; LOAD(p) and STORE(p, x) are of its reals."""
    return (
        f'#undef LG_BITS\n#define LG_BITS {bits}\n#include "vector.h"\n'
        f"#undef LOAD\n#undef STORE\n#define LOAD lg_load_f{bits}\n#define STORE lg_store_f{bits}\n"
    )


def loops(bits: int) -> str:
    """Every elementwise function over arrays, of a length that all vectors divide."""
    each = "{ for (long i = 0; i < n; i += LG_LANES)"
    unary = [
        f"void {name}_{bits}(const R *x, R *r, long n)"
        f" {each} STORE(r + i, lg_{name}(LOAD(x + i))); }}"
        for name in UNARY
    ]
    binary = [
        f"void {name}_{bits}(const R *x, const R *y, R *r, long n)"
        f" {each} STORE(r + i, lg_{name}(LOAD(x + i), LOAD(y + i))); }}"
        for name in BINARY
    ]
    return width(bits) + "\n".join([*unary, *binary, ""])


def transfers(bits: int) -> str:
    """Every load and store: a vector to or from an array of as many lanes."""
    lines = [width(bits), f"int lanes_{bits}(void) {{ return LG_LANES; }}"]
    for name, c in (REALS | INTEGERS).items():
        lines += _reads(bits, name, c, "", "R", "STORE")
        if name in REALS:
            lines += _writes(bits, name, c, "", "R", "LOAD")
        else:
            whole = f"i{bits}"
            lines += _reads(bits, name, c, "i", "LG_INTEGER", f"lg_istore_{whole}")
            lines += _writes(bits, name, c, "i", "LG_INTEGER", f"lg_iload_{whole}")
    return "\n".join([*lines, ""])


def _reads(bits: int, name: str, c: str, kind: str, lane: str, store: str) -> list[str]:
    mask = f"lg_iload_i{bits}(index), lg_iload_i{bits}(mask)"
    return [
        f"void {kind}load_{name}_{bits}(const {c} *p, {lane} *r)"
        f" {{ {store}(r, lg_{kind}load_{name}(p)); }}",
        f"void {kind}load_part_{name}_{bits}(const {c} *p, int n, {lane} *r)"
        f" {{ {store}(r, lg_{kind}load_part_{name}(p, n)); }}",
        f"void {kind}load_strided_{name}_{bits}(const {c} *p, int64_t stride, int n, {lane} *r)"
        f" {{ {store}(r, lg_{kind}load_strided_{name}(p, stride, n)); }}",
        f"void {kind}gather_{name}_{bits}"
        f"(const {c} *p, const LG_INTEGER *index, const LG_INTEGER *mask, {lane} *r)"
        f" {{ {store}(r, lg_{kind}gather_{name}(p, {mask})); }}",
    ]


def _writes(bits: int, name: str, c: str, kind: str, lane: str, load: str) -> list[str]:
    return [
        f"void {kind}store_{name}_{bits}({c} *p, const {lane} *x)"
        f" {{ lg_{kind}store_{name}(p, {load}(x)); }}",
        f"void {kind}store_part_{name}_{bits}({c} *p, const {lane} *x, int n)"
        f" {{ lg_{kind}store_part_{name}(p, {load}(x), n); }}",
        f"void {kind}store_strided_{name}_{bits}({c} *p, int64_t stride, const {lane} *x, int n)"
        f" {{ lg_{kind}store_strided_{name}(p, stride, {load}(x), n); }}",
    ]


@functools.cache
def elementwise(march: str) -> ctypes.CDLL:
    """``exp_32(x, result, n)`` and so on, at a level of the processor."""
    return build(loops(32) + loops(64), march)


def pointer(array: np.ndarray) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)


def apply(march: str, name: str, *arrays: np.ndarray) -> np.ndarray:
    """An elementwise function over arrays of one float dtype."""
    size, dtype = arrays[0].size, arrays[0].dtype
    padded = [np.concatenate([a.ravel(), np.ones(-size % 16, dtype)]) for a in arrays]
    result = np.empty_like(padded[0])
    function = getattr(elementwise(march), f"{name}_{dtype.itemsize * 8}")
    function(*map(pointer, (*padded, result)), ctypes.c_long(result.size))
    return result[:size]
