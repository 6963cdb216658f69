"""Libraries for other machines, and for every processor of this kind of machine."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lossgraph import gluon
from lossgraph.kernels import toolchain
from lossgraph.kernels.kernel import kernel_of
from lossgraph.kernels.library import Library
from lossgraph.kernels.targets import LEVELS, SHIPPED, TARGETS, suffix
from lossgraph.kernels.toolchain import SOURCES, ToolchainError, compile_flags, find_for
from lossgraph.kernels.unit import translation_unit
from support import ROOT, assert_close

TYPES = {"pred": ("float32", ("N", "C")), "label": ("int64", ("N",))}
EXPORTED = {"RegisterCustomOps", "lg_count", "lg_kernel", "lg_level", "lg_run"}
QEMU = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")


def _compiler(*targets: str) -> toolchain.Toolchain | None:
    try:
        return find_for(targets)
    except ToolchainError:
        return None


X86 = next((n for n in SHIPPED if TARGETS[n].is_here and TARGETS[n].levels), "")
ZIG = _compiler(*SHIPPED)
needs_levels = pytest.mark.skipif(
    not X86 or _compiler(X86) is None, reason="no compiler here for the levels of x86-64"
)
needs_zig = pytest.mark.skipif(ZIG is None, reason="ziglang is not installed, which cross-compiles")


@pytest.fixture(scope="module")
def text() -> str:
    """A unit of cross-entropy with its gradient."""
    program = gluon.SoftmaxCELoss().program(TYPES, grad=("pred",))
    return translation_unit([kernel_of(program)]).text


@pytest.fixture(scope="module")
def arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    pred = (3 * rng.normal(size=(37, 70))).astype(np.float32)
    return [pred, rng.integers(0, 70, 37)]


def cross_entropy(pred: np.ndarray, label: np.ndarray) -> list[np.ndarray]:
    """Computed by numpy in float64."""
    wide = np.exp(pred.astype(np.float64))
    rows = np.arange(len(pred))
    gradient = wide / wide.sum(1, keepdims=True)
    loss = np.log(wide.sum(1)) - pred[rows, label]
    gradient[rows, label] -= 1
    return [loss.astype(np.float32), gradient.astype(np.float32)]


# --- the levels of x86-64 ---


@pytest.fixture(scope="module")
def levels(text: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The library of all levels, and one of each."""
    folder = tmp_path_factory.mktemp("levels")
    paths = {}
    for target in (X86, *(f"{X86}-v{level}" for level in LEVELS)):
        paths[target] = folder / f"{target}{suffix(target)}"
        toolchain.build(text, find_for([target]), paths[target], target)
    return paths


def best_level() -> int:
    """The level of this machine by what Linux says of it."""
    flags = set(Path("/proc/cpuinfo").read_text().partition("\nflags")[2].split("\n")[0].split())
    third = {"avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe"}
    fourth = {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"}
    return 1 + 2 * (third <= flags) + (third | fourth <= flags)


@needs_levels
@pytest.mark.skipif(not Path("/proc/cpuinfo").exists(), reason="only Linux says what there is")
def test_the_best_level_that_the_processor_has_is_chosen(
    levels: dict[str, Path], arrays: list[np.ndarray]
) -> None:
    library, level = Library(levels[X86]), best_level()
    assert library._loaded.lg_level() == level
    alone = Library(levels[f"{X86}-v{level}"])
    assert alone._loaded.lg_level() == 0
    for chosen, single in zip(library.run(0, *arrays), alone.run(0, *arrays), strict=True):
        np.testing.assert_array_equal(chosen, single)


@needs_levels
@pytest.mark.parametrize("level", LEVELS)
def test_each_level_computes_the_same(
    level: int, levels: dict[str, Path], arrays: list[np.ndarray]
) -> None:
    if level > best_level():
        pytest.skip("this processor does not run it")
    found = Library(levels[f"{X86}-v{level}"]).run(0, *arrays)
    for actual, expected in zip(found, cross_entropy(*arrays), strict=True):
        assert_close(actual, expected)


def test_gcc_builds_for_its_own_machine_alone() -> None:
    for target in SHIPPED:
        if not TARGETS[target].is_here:
            gcc = toolchain.Toolchain("gcc", ("gcc",), "gcc", "GCC 12", ())
            with pytest.raises(toolchain.BuildError, match=rf"{target}.*lossgraph\[kernels\]"):
                compile_flags(gcc, target)


# --- other machines ---


@needs_zig
@pytest.mark.parametrize("target", SHIPPED)
def test_a_library_exports_what_it_must_and_needs_the_c_library_alone(
    target: str, text: str, tmp_path: Path
) -> None:
    lief: Any = pytest.importorskip("lief", reason="lief reads libraries of all systems")
    assert ZIG is not None
    path = tmp_path / f"kernels{suffix(target)}"
    toolchain.build(text, ZIG, path, target)
    binary = lief.parse(str(path))
    names = {str(function.name) for function in binary.exported_functions}
    needed = {str(getattr(library, "name", library)) for library in binary.libraries}
    if TARGETS[target].system == "windows":
        needed = {name.lower() for name in needed}
        c_library = {name for name in needed if name.startswith("api-ms-win-crt-")}
        assert needed - c_library <= {"kernel32.dll", "ntdll.dll"}
    elif TARGETS[target].system == "macos":
        names = {name.removeprefix("_") for name in names}
        assert needed - {"kernel.dylib"} == {"/usr/lib/libSystem.B.dylib"}  # the first is its own
        assert binary.has_code_signature or target != "macos-arm64"  # else it is not loaded there
    else:
        assert needed <= {"libc.so.6", "libm.so.6"}
    assert names & EXPORTED == EXPORTED
    assert not {name for name in names - EXPORTED if name.startswith("lg_")}


@needs_zig
@pytest.mark.skipif(QEMU is None, reason="no qemu-aarch64 here")
def test_the_code_for_aarch64_runs_and_is_right(
    text: str, arrays: list[np.ndarray], tmp_path: Path
) -> None:
    """As a program with the C library inside, as there is none for that processor here."""
    assert ZIG is not None
    assert QEMU is not None
    caller = (ROOT / "tests" / "kernels" / "call_kernel.c").read_text()
    (tmp_path / "program.c").write_text(text + caller)
    shared = ("-shared", "-fPIC", "-target", TARGETS["linux-aarch64"].triple)
    flags = [flag for flag in compile_flags(ZIG, "linux-aarch64") if flag not in shared]
    build = [*ZIG.command, *flags, "-target", "aarch64-linux-musl", "-static", "-I", SOURCES]
    subprocess.run([*build, "-o", tmp_path / "program", tmp_path / "program.c"], check=True)
    given = b"".join(np.int64(array.shape).tobytes() + array.tobytes() for array in arrays)
    done = subprocess.run(
        [QEMU, tmp_path / "program"], input=given, capture_output=True, check=True
    )
    for expected in cross_entropy(*arrays):
        head, rest = np.split(np.frombuffer(done.stdout, np.uint8), [8 * expected.ndim])
        assert head.view(np.int64).tolist() == list(expected.shape)
        assert_close(rest[: expected.nbytes].view(np.float32).reshape(expected.shape), expected)
        done.stdout = rest[expected.nbytes :].tobytes()
    assert done.stdout == b""


@needs_zig
def test_what_is_built_twice_is_the_same(text: str, tmp_path: Path) -> None:
    """So that whoever has the compiler can know a library to be built of its source."""
    assert ZIG is not None
    built = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        folder.mkdir()
        toolchain.build(text, ZIG, folder / "kernels.so", "linux-aarch64")
        built.append((folder / "kernels.so").read_bytes())
    assert built[0] == built[1]
