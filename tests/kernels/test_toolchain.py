"""Compilers: which one is found, what it is asked to do, and how one that fails is told."""

from __future__ import annotations

import os
import platform
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from compilers import (
    COMPILERS,
    SAYS_GCC,
    TWICE,
    each_compiler,
    needs_compiler,
    posix,
    script,
    twice,
)
from lossgraph.errors import LossgraphError
from lossgraph.kernels import processes, toolchain
from lossgraph.kernels.targets import TARGETS, WIDE_VECTORS, target_flags
from lossgraph.kernels.toolchain import BuildError, Toolchain, ToolchainError

ZIG = next((found for found in COMPILERS if found.family == "zig"), None)
needs_zig = pytest.mark.skipif(ZIG is None, reason="ziglang is not installed")
linux = pytest.mark.skipif(sys.platform != "linux", reason="scripts say that they are for Linux")


@pytest.fixture(autouse=True)
def _no_compiler_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CC", raising=False)


@pytest.fixture
def no_zig(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = toolchain.Candidate("ziglang", None, "ziglang is not installed")
    monkeypatch.setattr(toolchain, "_ziglang", lambda: missing)


def fake_gcc(path: Path, *lines: str) -> Toolchain:
    """A compiler that tells it is GCC, and does what some lines say when it is to build."""
    script(path, f'case "$*" in *-dM*) {SAYS_GCC}', "exit 0 ;; esac", *lines)
    return toolchain._ask("CC", (str(path),))


# --- which one ---


def test_there_is_none_on_an_empty_path(
    no_zig: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert toolchain.find() is None
    assert [found.problem for found in toolchain.candidates()] == [
        "ziglang is not installed",
        "there is no cc on the PATH",
        "there is no gcc on the PATH",
        "there is no clang on the PATH",
    ]
    with pytest.raises(ToolchainError, match="there is no gcc on the PATH"):
        toolchain.find("gcc")


def test_only_known_names_are_taken() -> None:
    with pytest.raises(ToolchainError, match="'tcc; rm': expected one of ziglang, cc, gcc, clang"):
        toolchain.find("tcc; rm")


@needs_compiler
def test_the_first_that_works_is_used_and_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    found = toolchain.find()
    assert found == COMPILERS[0]

    def fail(*_: object) -> None:
        raise AssertionError("a compiler was asked again")

    monkeypatch.setattr(toolchain, "run_process", fail)
    assert toolchain.find() == found


@linux
def test_one_that_does_not_work_is_passed_over(
    no_zig: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    script(tmp_path / "cc", "echo 'cannot execute cc1' >&2; exit 3")
    script(tmp_path / "gcc", SAYS_GCC)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    found = toolchain.find()
    assert found is not None
    assert (found.name, found.version) == ("gcc", "GCC 12.0 of a test")
    problems = {candidate.name: candidate.problem for candidate in toolchain.candidates()}
    assert problems["cc"] == f"{tmp_path}/cc does not work: exit code 3: cannot execute cc1"


@needs_compiler
@posix
def test_cc_is_obeyed_with_its_arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command = COMPILERS[-1].command
    monkeypatch.setenv("CC", shlex.join([*command, "-DFACTOR=3 + 0", f"-I{tmp_path}/with space"]))
    found = toolchain.find()
    assert found is not None
    assert found.name == "CC"
    assert [candidate.name for candidate in toolchain.candidates()] == ["CC"]
    (tmp_path / "with space").mkdir()
    (tmp_path / "with space" / "three.h").write_text("#define THREE (FACTOR)\n")
    text = TWICE.replace("2", "THREE").replace("__attr", '#include "three.h"\n__attr', 1)
    toolchain.build(text, found, tmp_path / "three.so")
    assert twice(tmp_path / "three.so", 5.0) == 15.0


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("no-such-compiler -O2", "CC=no-such-compiler -O2: there is no no-such-compiler"),
        ("'unclosed", "CC='unclosed: No closing quotation"),
        (shlex.join([sys.executable, "-c", "print('hello')"]), "does not work"),
    ],
)
@posix
def test_a_cc_that_does_not_work_is_refused(
    command: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", command)
    with pytest.raises(ToolchainError, match=re.escape(told)) as caught:
        toolchain.find()
    assert "\n" not in str(caught.value)


@linux
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("__GNUC__", "__OTHER__"), "neither GCC nor Clang"),
        (("__GNUC__ 12", "__GNUC__ 4"), "9 is the oldest that will do"),
        (("__SIZEOF_POINTER__ 8", "__SIZEOF_POINTER__ 4"), "compiles for another machine"),
        (("__linux__", "_WIN32"), "compiles for another machine"),
        ((f"__{platform.machine()}__", "__riscv"), "compiles for another machine"),
    ],
)
def test_compilers_of_other_kinds_are_refused(
    change: tuple[str, str], told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = script(tmp_path / "cc", SAYS_GCC.replace(*change))
    monkeypatch.setenv("CC", str(path))
    with pytest.raises(ToolchainError, match=told):
        toolchain.find()


@linux
def test_flags_that_a_compiler_does_not_take_are_left_out(tmp_path: Path) -> None:
    refuses = f'case "$*" in *{WIDE_VECTORS}*|*-mcpu*) echo error: unknown option; exit 1 ;; esac'
    found = toolchain._ask("CC", (str(script(tmp_path / "old", refuses, SAYS_GCC)),))
    assert found.native == ()


@linux
def test_one_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(toolchain, "_ASKING", 0.3)
    path = script(tmp_path / "hangs", "sleep 60 & sleep 60")  # its child holds what it writes to
    start = time.monotonic()
    with pytest.raises(ToolchainError, match=r"does not work: it did not end within 0\.3 seconds"):
        toolchain._ask("CC", (str(path),))
    assert time.monotonic() - start < 10


# --- building ---


@each_compiler
def test_a_library_is_built_whole(compiler: Toolchain, tmp_path: Path) -> None:
    path = tmp_path / "twice.so"
    toolchain.build(TWICE, compiler, path)
    assert twice(path, 1.25) == 2.5
    assert list(tmp_path.iterdir()) == [path]
    assert os.name != "posix" or path.stat().st_mode & 0o777 == 0o700


@each_compiler
def test_the_compilers_words_are_in_the_error(compiler: Toolchain, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"kernel\.c.*unknown_name") as caught:
        toolchain.build("int x = unknown_name;" * 50, compiler, tmp_path / "bad.so")
    assert len(str(caught.value)) < 700
    assert list(tmp_path.iterdir()) == []
    assert isinstance(caught.value, LossgraphError)


@each_compiler
def test_headers_of_the_package_are_found(compiler: Toolchain, tmp_path: Path) -> None:
    toolchain.build(f'#include "kernel.h"\n{TWICE}', compiler, tmp_path / "twice.so")


@linux
@pytest.mark.parametrize(
    ("does", "told"),
    [
        ("echo 'kernel.c:1: error: no space left'; exit 1", "exit code 1: kernel.c:1: error: no"),
        ("exit 0", "it wrote nothing"),
        ('while [ "$1" != -o ]; do shift; done; : > "$2"', "what it wrote is no library"),
        ('while [ "$1" != -o ]; do shift; done; echo text > "$2"', "what it wrote is no library"),
        ("kill -SEGV $$", "exit code -11"),
        ("sleep 60 & sleep 60", "it did not end within 0.5 seconds"),
    ],
)
def test_builds_that_fail_leave_nothing(does: str, told: str, tmp_path: Path) -> None:
    broken = fake_gcc(tmp_path / "bin" / "gcc", does)
    (tmp_path / "out").mkdir()
    with pytest.raises(BuildError, match=re.escape(told)):
        toolchain.build(TWICE, broken, tmp_path / "out" / "twice.so", timeout=0.5)
    assert list((tmp_path / "out").iterdir()) == []


@linux
def test_a_compiler_ends_with_the_process_that_needs_it(tmp_path: Path) -> None:
    program = (
        "import threading, time, sys\n"
        "from lossgraph.kernels import processes\n"
        "run = lambda: print(processes.run_process(sys.argv[1:], None, 60.0).code, flush=True)\n"
        "thread = threading.Thread(target=run)\n"
        "thread.start()\n"
        "while not processes._running: time.sleep(0.01)\n"
        "processes.stop_processes()\n"
        "thread.join()\n"
    )
    path = script(tmp_path / "slow", "sleep 60")
    start = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == ["-9"], done.stderr
    assert time.monotonic() - start < 30
    assert not processes._running


# --- targets ---


def test_targets_have_flags_of_each_compiler() -> None:
    zig = {name: target_flags("zig", target) for name, target in TARGETS.items()}
    assert zig["linux-x86_64"] == ("-target", "x86_64-linux-gnu.2.17", "-mcpu=x86_64")
    assert zig["windows-x86_64-v4"] == (
        "-target", "x86_64-windows-gnu", "-mcpu=x86_64_v4", WIDE_VECTORS,
    )  # fmt: skip
    assert zig["macos-arm64"][2] == "-mcpu=apple_m1"
    gcc = {name for name, target in TARGETS.items() if target_flags("gcc", target) is not None}
    assert all(TARGETS[name].is_here for name in gcc)


@needs_compiler
def test_what_a_compiler_cannot_build_for_is_said(tmp_path: Path) -> None:
    found = COMPILERS[0]
    with pytest.raises(BuildError, match=r"target 'linux-vax': expected one of native, linux-x86"):
        toolchain.build(TWICE, found, tmp_path / "a", "linux-vax")
    gcc = Toolchain("gcc", ("/bin/false",), "gcc", "GCC 12", ())
    other = next(name for name, target in TARGETS.items() if not target.is_here)
    with pytest.raises(BuildError, match=f"does not build for {other}: ziglang does"):
        toolchain.build(TWICE, gcc, tmp_path / "a", other)


@needs_zig
@pytest.mark.once
def test_zig_builds_for_another_processor(tmp_path: Path) -> None:
    assert ZIG is not None
    toolchain.build(TWICE, ZIG, tmp_path / "a.so", "linux-aarch64")
    header = (tmp_path / "a.so").read_bytes()[:20]
    assert (header[:4], header[18]) == (b"\x7fELF", 183)  # EM_AARCH64
