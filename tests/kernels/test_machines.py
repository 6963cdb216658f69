"""Machines of several kinds, from a loss to its numbers: right ones, and a sentence."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lossgraph as lg
from compilers import COMPILERS, SAYS_GCC, needs_compiler, posix, script
from lossgraph import gluon
from lossgraph.kernels import cache, toolchain
from lossgraph.kernels.folders import private_folder
from lossgraph.runtime.background import BACKGROUND

TYPES = {"pred": ("float32", ("N", "C")), "label": ("float32", ("N", "C"))}
# Of each compiler that does not work: what it does when it is to build, and what is told of it.
BROKEN = {
    "fails": (
        "echo 'error: out of luck'; exit 1",
        "cannot build a kernel: exit code 1: error: out",
    ),
    "hangs": ("sleep 60", "it did not end within 1.5 seconds"),
    "writes nothing": ("exit 0", "it wrote nothing"),
    "writes a text": ('while [ "$1" != -o ]; do shift; done; echo text > "$2"', "is no library"),
    "writes half": (
        'while [ "$1" != -o ]; do shift; done; printf "\\177ELF" > "$2"',
        "ONNX Runtime cannot use",
    ),
}


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("LOSSGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(cache, "_failed", {})


@pytest.fixture
def only_cc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where the only compiler of the machine would be."""
    missing = toolchain.Candidate("ziglang", None, "ziglang is not installed")
    monkeypatch.setattr(toolchain, "_ziglang", lambda: missing)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/bin")
    monkeypatch.setattr(toolchain, "NAMES", ("ziglang", "cc"))
    (tmp_path / "bin").mkdir()
    which = toolchain.shutil.which
    monkeypatch.setattr(
        toolchain.shutil, "which", lambda name: which(name, path=str(tmp_path / "bin"))
    )
    return tmp_path / "bin" / "cc"


def status_of(compiled: Any) -> str:
    """How a compiled loss stands with its kernel, once its numbers were found right."""
    rng = np.random.default_rng(1)
    pred, label = rng.normal(size=(2, 33, 17)).astype(np.float32)
    for _ in range(2):  # by the graph, and then by the kernel, if there is one
        loss = compiled(pred=pred, label=label)
        np.testing.assert_allclose(loss, ((pred - label) ** 2).mean(axis=1) / 2, rtol=1e-6)
        BACKGROUND.wait()
    return str(compiled.kernel_status)


def falls_back() -> str:
    """Why a loss has no kernel, the same whether it may do without or not."""
    status = status_of(lg.compile(gluon.L2Loss(), TYPES, kernels="auto"))
    assert status.startswith("no kernel: ")
    reason = status.removeprefix("no kernel: ")
    assert "\n" not in reason
    with pytest.raises(lg.LossgraphError, match=r".") as caught:
        lg.compile(gluon.L2Loss(), TYPES, kernels=True)
    assert str(caught.value) == reason
    return reason


def runs_fused() -> Path:
    """The library of a loss's kernel."""
    status = status_of(lg.compile(gluon.L2Loss(), TYPES, kernels="auto"))
    assert status.startswith("kernel Fused_")
    return Path(status.partition(" in ")[2])


@pytest.mark.parametrize("compiler", COMPILERS, ids=lambda found: found.name)
def test_each_compiler(
    compiler: toolchain.Toolchain, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(toolchain, "NAMES", (compiler.name,))
    assert runs_fused().parent == tmp_path / "cache" / "kernels"


def test_no_compiler(only_cc: Path) -> None:
    assert falls_back().startswith("there is no C compiler here: pip install 'lossgraph[kernels]'")


@pytest.mark.skipif(sys.platform != "linux", reason="scripts say that they are for Linux")
@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_compiler(kind: str, only_cc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    does, told = BROKEN[kind]
    script(only_cc, f'case "$*" in *-dM*) {SAYS_GCC}', "exit 0 ;; esac", does)
    run = toolchain.run_process
    monkeypatch.setattr(toolchain, "run_process", lambda *a: run(*a[:2], min(a[2], 1.5), *a[3:]))
    assert told in falls_back()


def test_a_cc_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    assert falls_back() == "CC=no-such-compiler: there is no no-such-compiler"


@needs_compiler
def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    assert runs_fused().parent == private_folder()


@posix
@needs_compiler
def test_a_folder_that_others_can_write(tmp_path: Path) -> None:
    runs_fused()
    (tmp_path / "cache").chmod(0o777)
    assert "can be written by others" in falls_back()


@needs_compiler
def test_a_folder_from_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(cache, "processor", lambda: "another processor")
        theirs = runs_fused()
    theirs.unlink()  # it is loaded, and must stay as it is
    theirs.write_bytes(b"\x7fELF and instructions that this machine has not")
    ours = runs_fused()
    assert ours.parent == theirs.parent
    assert ours != theirs


@needs_compiler
def test_a_compiler_that_was_there_before(only_cc: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as before:
        before.setattr(toolchain, "find", lambda: COMPILERS[0])
        library = runs_fused()
    assert runs_fused() == library
