"""``lossgraph doctor`` and ``lossgraph cache``: what they say of machines of several kinds."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path
from typing import Any

import onnxruntime
import pytest

import lossgraph
from command_line import call, ok, refused
from compilers import COMPILERS, SAYS_GCC, needs_compiler, script
from lossgraph.cli import doctor
from lossgraph.errors import ProviderError
from lossgraph.kernels import cache, toolchain
from lossgraph.kernels.prebuilt import Prebuilt
from lossgraph.runtime import kernel_health, sessions
from lossgraph.runtime.kernel_trial import Verdict

TRY = kernel_health.try_in_a_process
RELEASE = onnxruntime.__version__
linux = pytest.mark.skipif(sys.platform != "linux", reason="scripts say that they are for Linux")


@pytest.fixture(autouse=True)
def _machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A cache of its own, no settings, and no process for the trial of a kernel."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("LOSSGRAPH_CACHE", str(tmp_path / "cache"))
    for name in ("CC", "LOSSGRAPH_KERNELS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cache, "_failed", {})
    monkeypatch.setattr(kernel_health, "try_in_a_process", lambda *_: Verdict(True, "it runs"))


@pytest.fixture
def no_compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder, which is all of the PATH."""
    missing = toolchain.Candidate("ziglang", None, "ziglang is not installed")
    monkeypatch.setattr(toolchain, "_ziglang", lambda: missing)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path / "bin"


def told(exit_code: int = 0) -> dict[str, Any]:
    """What ``doctor`` says, for programs."""
    result = call("doctor", "--json")
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


def kernels(exit_code: int = 0) -> tuple[bool, str]:
    """Whether kernels are used, and why."""
    found = told(exit_code)["kernels"]
    return found["used"], found["reason"]


@needs_compiler
def test_doctor_where_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_health, "try_in_a_process", TRY)
    lines = [line.split() for line in ok("doctor").splitlines()]
    assert ["versions", "lossgraph", lossgraph.__version__] in lines
    assert ["ONNX", "Runtime", "version", RELEASE] in lines
    first, *others = COMPILERS
    assert any(
        line[-len(str(first).split()) - 1 :] == ["used:", *str(first).split()] for line in lines
    )
    for other in others:
        assert any(line[:5] == [other.name, "not", "used,", "as", first.name] for line in lines)
    assert lines[-1][:3] == ["used", "yes:", "a"]
    assert lines[-1][-4:] == ["in", "ONNX", "Runtime", RELEASE]


@needs_compiler
def test_doctor_for_programs() -> None:
    found = told()
    assert found["ok"]
    assert found["problems"] == []
    assert found["versions"]["lossgraph"] == lossgraph.__version__
    assert found["onnxruntime"]["version"] == RELEASE
    assert "CPUExecutionProvider" in found["onnxruntime"]["providers"]
    assert found["kernels"]["compiler"] == COMPILERS[0].name
    assert found["kernels"]["setting"] == "auto"
    assert found["kernels"]["used"]


def test_extras_are_those_of_the_package() -> None:
    text = Path(__file__).parents[2].joinpath("pyproject.toml").read_text()
    declared = tomllib.loads(text)["project"]["optional-dependencies"]
    for name, packages in doctor.EXTRAS.items():
        own = [item for item in declared[name] if not item.startswith("lossgraph[")]
        assert all(item.startswith(package) for item, package in zip(own, packages, strict=True))


def test_what_is_not_installed_is_told_with_what_brings_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_version", lambda name: None if name == "kserve" else "1.2")
    monkeypatch.setenv("LOSSGRAPH_KERNELS", "off")
    lines = [line.split(maxsplit=1) for line in ok("doctor").splitlines()]
    assert ["serve", "no kserve: pip install 'lossgraph[serve]'"] in lines
    assert ["cli", "rich 1.2, typer 1.2"] in lines


# --- settings ---


@pytest.mark.parametrize("word", ["0", "off"])
def test_kernels_that_are_not_wanted(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSGRAPH_KERNELS", word)
    assert kernels() == (False, "LOSSGRAPH_KERNELS asks for none")


def test_a_setting_that_means_nothing_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSGRAPH_KERNELS", "perhaps")
    used, reason = kernels(1)
    assert not used
    assert reason.startswith("LOSSGRAPH_KERNELS='perhaps': expected")


# --- compilers ---


def test_no_compiler_is_no_fault(no_compiler: Path) -> None:
    used, reason = kernels()
    assert not used
    assert reason.startswith("there is no C compiler here: pip install 'lossgraph[kernels]'")
    assert "there is no clang on the PATH" in ok("doctor")


def test_no_compiler_is_one_where_kernels_are_asked_for(
    no_compiler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOSSGRAPH_KERNELS", "on")
    result = call("doctor")
    assert result.exit_code == 1
    assert "broken: kernels: there is no C compiler here" in result.stderr


def test_kernels_that_are_installed_need_no_compiler(
    no_compiler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Prebuilt(no_compiler / "library.so", "lossgraph.test")
    monkeypatch.setattr(kernel_health, "installed", lambda: found)
    used, reason = kernels()
    assert used
    assert reason.startswith("those of the catalogue's losses are installed")


@linux
def test_a_broken_compiler_is_a_fault(no_compiler: Path) -> None:
    script(no_compiler / "gcc", f'case "$*" in *-dM*) {SAYS_GCC}', "exit 0 ;; esac", "exit 4")
    (no_compiler / "cat").symlink_to("/bin/cat")
    assert kernels(1) == (
        False,
        f"{no_compiler}/gcc (GCC 12.0 of a test) cannot build a kernel: exit code 4",
    )


def test_a_cc_that_is_not_there_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "/no/such/compiler -m64")
    found = told(1)["kernels"]
    assert found["reason"] == "CC=/no/such/compiler -m64: there is no /no/such/compiler"
    assert [item["name"] for item in found["compilers"]] == ["CC"]


# --- folders ---


@needs_compiler
def test_a_folder_that_others_can_write_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache").chmod(0o777)
    result = call("doctor")
    assert result.exit_code == 1
    assert f"broken: kernels: {tmp_path}/cache can be written by others" in result.stderr
    assert "can be written by others" in result.stdout


def test_a_relative_folder_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSGRAPH_CACHE", "cache")
    found = call("doctor", "--json")
    assert "expected an absolute path" in json.loads(found.stdout)["cache"]["problem"]
    assert call("cache", "clear").exit_code == 1


@needs_compiler
def test_a_folder_that_cannot_be_written_is_none(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    assert kernels()[0]


# --- ONNX Runtime ---


def test_without_onnxruntime(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        cause = ModuleNotFoundError("No module", name="onnxruntime")
        raise ProviderError("running needs ONNX Runtime") from cause

    for module in (doctor, kernel_health):
        monkeypatch.setattr(module, "onnxruntime", missing)
    monkeypatch.setattr(doctor, "_version", lambda name: None)
    assert told()["onnxruntime"] == {
        "version": None,
        "providers": [],
        "problem": "running needs ONNX Runtime",
    }


def test_an_onnxruntime_that_cannot_be_imported_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)  # importing it raises
    monkeypatch.setattr(doctor, "onnxruntime", sessions.onnxruntime)
    found = told(1)
    assert found["problems"][0].startswith("ONNX Runtime: ")
    assert not found["kernels"]["used"]


@needs_compiler
@pytest.mark.parametrize(("known", "code"), [(True, 1), (False, 0)])
def test_a_release_that_does_not_run_kernels(
    known: bool, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernel_health, "try_in_a_process", lambda *_: Verdict(False, "it crashed"))
    monkeypatch.setattr(kernel_health, "is_known", lambda version: known)
    assert kernels(code) == (False, "it crashed")


# --- the cache ---


@needs_compiler
def test_cache_info_and_clear(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "kernels"
    assert json.loads(ok("cache", "info", "--json"))["libraries"] == 0
    told()
    info = json.loads(ok("cache", "info", "--json"))
    assert (info["folder"], info["libraries"], info["problem"]) == (str(folder), 1, "")
    lines = [line.split(maxsplit=1) for line in ok("cache", "info").splitlines()]
    assert ["folder", str(folder)] in lines
    assert ["state", "fine"] in lines
    removed = json.loads(ok("cache", "clear", "--json"))["removed"]
    assert removed == {"folder": str(folder), "libraries": 1, "size": info["size"]}
    assert ok("cache", "clear") == f"removed 0 libraries, 0 bytes: {folder}\n"
    assert "tidy" in refused("cache", "tidy")
