"""Environments that the tools make, with a Python and a uv that only note what they are asked."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest

from support import ROOT, TOOLS, load_tool, tool_path

pytestmark = pytest.mark.once

tool_path("environment")

Run = Callable[..., subprocess.CompletedProcess[str]]

# What runs `-c ''`, and is asked to make an environment and to bring uv into it.
PYTHON = """\
#!/bin/sh
case "$1 $2" in
    "-m venv") mkdir -p "$4/bin"; cp "$0" "$4/bin/python" ;;
    "-m pip") test ! -e "$CHECKOUT/offline" || exit 1
        case "$*" in *requirements/uv.txt) cp "$CHECKOUT/uv" "${0%/*}/uv" ;; esac ;;
    *) exit ;;
esac
echo "$2 $*" >>"$CHECKOUT/log"
"""

# It finds itself, what is executable, and the versions that HERE names.
UV = """\
#!/bin/sh
for last; do :; done
case "$1 $2" in
    "--version ") exit ;;
    "python find") case " $HERE " in
            *" $last "*) echo "python-$last" ;;
            *) test -x "$last" && echo "$last" ;;
        esac
        exit ;;
    "venv "*) test ! -e "$CHECKOUT/full" || exit 1
        mkdir -p "$last/bin"; cp "$CHECKOUT/stub" "$last/bin/python"
        touch "$last/pyvenv.cfg" ;;
    "pip install") test ! -e "$CHECKOUT/killed" || { kill -9 $PPID; exit 1; }
        test ! -e "$CHECKOUT/offline" || exit 1 ;;
esac
echo "uv $*" >>"$CHECKOUT/log"
"""

PROJECT = """\
requires-python = ">=3.11"
classifiers = [
    "Programming Language :: Python :: 3.11",
    "Programming Language :: Python :: 3.13",
]
"""


@pytest.fixture(params=["checkout", "a check out"])
def checkout(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    folder = tmp_path / request.param
    (folder / "tools").mkdir(parents=True)
    shutil.copy(TOOLS / "environment", folder / "tools")
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "requirements").mkdir()
    for name in ("test", "oracles", "foreign"):
        (folder / f"requirements/{name}.txt").write_text("numpy==2.0\n")
    write_script(folder / "stub", PYTHON)
    write_script(folder / "uv", UV)
    write_script(folder / "bin" / "uv", UV)
    return folder


@pytest.fixture
def run(checkout: Path) -> Run:
    """Runs a line of bash that has sourced the file."""

    def run(
        line: str, at: Path = checkout, path: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        known = {
            "CHECKOUT": str(checkout),
            "HOME": str(checkout),
            "PATH": path or f"{checkout}/bin:/usr/bin:/bin",
            "PYTHON": str(checkout / "stub"),
        }
        return subprocess.run(
            ["bash", "-c", f"set -euo pipefail; source tools/environment; {line}"],
            cwd=at,
            env={**known, **variables},
            capture_output=True,
            text=True,
        )

    return run


def write_script(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def log(checkout: Path) -> list[str]:
    return (checkout / "log").read_text().splitlines() if (checkout / "log").exists() else []


def installations(checkout: Path) -> list[str]:
    """The extras that were installed, and ``venv`` for each environment that was made."""
    lines = [line for line in log(checkout) if line.startswith("uv ")]
    return [
        "venv" if line.startswith("uv venv") else line.rpartition("[")[2].rstrip("]")
        for line in lines
    ]


def no_uv() -> bool:
    return not any(Path(folder, "uv").exists() for folder in ("/usr/bin", "/bin"))


def only(checkout: Path, *commands: str) -> str:
    """A path on which nothing is but these, and what the file itself needs."""
    folder = checkout / "few"
    folder.mkdir()
    for name in ("bash", "sh", "sed", "sort", "head", "tail", "cat", "basename", "dirname"):
        (folder / name).symlink_to(shutil.which(name) or name)
    for name in commands:
        (folder / name).symlink_to(shutil.which(name) or name)
    return str(folder)


# --- of lossgraph ---


def test_environment_is_made_once(run: Run, checkout: Path) -> None:
    first = run("ensure_environment env demo")
    assert first.returncode == 0, first.stderr
    assert first.stdout == ""
    assert "making env" in first.stderr
    assert "installing lossgraph[demo] into env" in first.stderr
    assert "installed in " in first.stderr
    assert not (checkout / "env/.unfinished").exists()
    assert run("ensure_environment env demo").stderr == ""
    assert installations(checkout) == ["venv", "demo"]


def test_an_environment_that_is_there_needs_no_network(run: Run, checkout: Path) -> None:
    run("ensure_environment env demo")
    (checkout / "offline").touch()
    again = run("ensure_environment env demo")
    assert (again.returncode, again.stderr) == (0, "")


@pytest.mark.skipif(not no_uv(), reason="uv is where bash is")
def test_uv_is_brought_only_where_the_machine_has_none(run: Run, checkout: Path) -> None:
    run("ensure_environment env demo")
    assert not [line for line in log(checkout) if "uv.txt" in line]
    first = run("ensure_environment other demo", path="/usr/bin:/bin")
    assert first.returncode == 0, first.stderr
    assert first.stderr.splitlines()[0].endswith(
        "fetching uv, by which all else is installed, once"
    )
    run("ensure_environment other test", path="/usr/bin:/bin")
    assert [line for line in log(checkout) if "uv.txt" in line] == [
        "pip -m pip install --quiet --quiet --disable-pip-version-check "
        f"--requirement {checkout}/requirements/uv.txt"
    ]
    assert installations(checkout) == ["venv", "demo", "venv", "demo", "test"]


@pytest.mark.skipif(not no_uv(), reason="uv is where bash is")
def test_uv_that_cannot_be_brought(run: Run, checkout: Path) -> None:
    (checkout / "offline").touch()
    failed = run("ensure_environment env demo; echo went on", path="/usr/bin:/bin")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert f"pip could not bring it: tried {checkout}/stub" in failed.stderr
    assert "set PYTHON to its path" in failed.stderr
    (checkout / "offline").unlink()
    assert run("ensure_environment env demo", path="/usr/bin:/bin").returncode == 0


@pytest.mark.parametrize(
    ("extra", "versions", "pins"),
    [("oracles", "", "oracles"), ("cpu,cli", "", "test"), ("test", "foreign", "foreign")],
)
def test_the_versions_are_those_of_the_repository(
    run: Run, checkout: Path, extra: str, versions: str, pins: str
) -> None:
    run(f"ensure_environment env {extra} {versions}")
    assert log(checkout)[-1].endswith(
        f" --constraints {checkout}/requirements/{pins}.txt --build-constraints "
        f"{checkout}/requirements/build.txt --editable {checkout}[{extra}]"
    )
    with (checkout / f"requirements/{pins}.txt").open("a") as file:
        file.write("onnx==1.30\n")
    run(f"ensure_environment env {extra} {versions}")
    assert installations(checkout) == ["venv", extra, extra]


def test_the_newest_versions_are_looked_for_once_a_day(run: Run, checkout: Path) -> None:
    for _ in range(2):
        run("ensure_environment env test newest")
    assert installations(checkout) == ["venv", "test"]
    assert "--upgrade" in log(checkout)[-1]
    assert "constraints" not in log(checkout)[-1]
    run("date() { echo tomorrow; }; ensure_environment env test newest")
    assert installations(checkout) == ["venv", "test", "test"]


def test_extras_share_an_environment(run: Run, checkout: Path) -> None:
    for extra in ("demo", "test", "demo", "test"):
        assert run(f"ensure_environment env {extra}").returncode == 0
    assert installations(checkout) == ["venv", "demo", "test"]


def test_changed_project_is_installed_again(run: Run, checkout: Path) -> None:
    run("ensure_environment env demo")
    with (checkout / "pyproject.toml").open("a") as file:
        file.write("# another dependency\n")
    run("ensure_environment env demo")
    run("ensure_environment env demo")
    assert installations(checkout) == ["venv", "demo", "demo"]


def test_half_made_environment_is_made_again(run: Run, checkout: Path) -> None:
    (checkout / "offline").touch()
    failed = run("ensure_environment env demo; echo went on")
    assert failed.returncode == 1
    assert failed.stdout == ""
    assert "could not be installed" in failed.stderr
    (checkout / "env" / "rubbish").touch()
    (checkout / "offline").unlink()
    assert run("ensure_environment env demo").returncode == 0
    assert installations(checkout) == ["venv", "venv", "demo"]
    assert not (checkout / "env" / "rubbish").exists()


def test_environment_that_cannot_be_made(run: Run, checkout: Path) -> None:
    (checkout / "full").touch()
    failed = run("ensure_environment env demo || echo failed; ensure_foreign env - numpy || echo f")
    assert failed.stdout.split() == ["failed", "f"]
    assert "could not make env" in failed.stderr
    assert log(checkout) == []


def test_an_installation_that_was_killed_is_made_again(run: Run, checkout: Path) -> None:
    run("ensure_environment env demo")
    (checkout / "killed").touch()
    assert run("ensure_environment env test").returncode != 0
    (checkout / "killed").unlink()
    assert run("ensure_environment env test").returncode == 0
    assert installations(checkout) == ["venv", "demo", "venv", "test"]


def test_what_cannot_be_renewed_is_kept(run: Run, checkout: Path) -> None:
    run("ensure_environment env demo")
    (checkout / "offline").touch()
    assert run("ensure_environment env test").returncode == 1
    assert run("ensure_environment env demo").returncode == 0
    assert installations(checkout) == ["venv", "demo"]


def test_environment_whose_python_went_away_is_made_again(run: Run, checkout: Path) -> None:
    run("ensure_environment env demo")
    (checkout / "env" / "bin" / "python").unlink()
    run("ensure_environment env demo")
    assert installations(checkout) == ["venv", "demo", "venv", "demo"]


def test_environment_of_a_checkout_that_moved_is_made_again(run: Run, checkout: Path) -> None:
    run("ensure_environment env demo")
    moved = checkout.with_name("moved")
    shutil.copytree(checkout, moved)
    assert run("ensure_environment env demo", at=moved).returncode == 0
    assert installations(checkout) == ["venv", "demo", "venv", "demo"]
    assert run("ensure_environment env demo", at=moved).stderr == ""


def test_folder_that_is_no_environment_is_left_alone(run: Run, checkout: Path) -> None:
    (checkout / "env").mkdir()
    (checkout / "env" / "precious").touch()
    refused = run("ensure_environment env demo")
    assert refused.returncode == 1
    assert "not a virtual environment" in refused.stderr
    assert (checkout / "env" / "precious").exists()


# --- of other programs ---


def test_foreign_environment_is_made_once_for_what_a_file_says(run: Run, checkout: Path) -> None:
    line = "ensure_foreign env - --requirement requirements/foreign.txt"
    for _ in range(2):
        assert run(line).returncode == 0
    assert [entry for entry in log(checkout) if "foreign.txt" in entry and "uv pip" in entry] == [
        log(checkout)[-1]
    ]
    (checkout / "requirements/foreign.txt").write_text("numpy==2.1\n")
    run(line)
    assert installations(checkout).count("venv") == 2


def test_what_is_named_itself_is_installed_by_pip(run: Run, checkout: Path) -> None:
    assert run("ensure_foreign env - torch==2.13.0 numpy").returncode == 0
    assert log(checkout)[-1].startswith("pip -m pip install")
    assert log(checkout)[-1].endswith("torch==2.13.0 numpy")
    assert run("ensure_foreign env - torch==2.13.0 numpy").stderr == ""


def test_foreign_environment_without_its_python(run: Run, checkout: Path) -> None:
    failed = run("ensure_foreign env 3.8 numpy; echo went on")
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "no Python 3.8 here" in failed.stderr
    assert not (checkout / "env").exists()
    assert run("ensure_foreign env 3.8 numpy", HERE="3.8").returncode == 0
    assert "--python python-3.8 env" in log(checkout)[0]


# --- of Node.js ---

NPM = """\
#!/bin/sh
test ! -e "$CHECKOUT/offline" || exit 1
while test "$1" != --prefix; do shift; done
mkdir -p "$2/node_modules"
echo "npm $(cat "$2/package.json")" >>"$CHECKOUT/log"
"""


def test_node_modules_are_made_once_for_what_a_file_says(run: Run, checkout: Path) -> None:
    write_script(checkout / "bin/npm", NPM)
    write_script(checkout / "bin/node", "#!/bin/sh\necho v99.0.0\n")
    path = f"{checkout}/bin:/usr/bin:/bin"
    line = "ensure_node modules package.json; ls modules"
    (checkout / "package.json").write_text("one")
    (checkout / "offline").touch()
    assert run(line, path=path).returncode == 1
    (checkout / "offline").unlink()
    for text in ("one", "one", "two"):
        (checkout / "package.json").write_text(text)
        made = run(line, path=path)
        assert made.stdout.split() == ["node_modules", "package.json"]
    assert log(checkout) == ["npm one", "npm two"]


def test_without_node_nothing_is_made(run: Run, checkout: Path) -> None:
    (checkout / "package.json").touch()
    failed = run("ensure_node modules package.json", path=only(checkout, "cmp"))
    assert failed.returncode == 1
    assert "no node or no npm here" in failed.stderr


@pytest.mark.parametrize("file", sorted(TOOLS.rglob("package.json")), ids=lambda p: p.parent.name)
def test_versions_of_node_packages_are_exact(file: Path) -> None:
    package = json.loads(file.read_text())
    versions = {**package["dependencies"], **package.get("devDependencies", {})}
    assert versions
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in versions.values())


# --- Python ---


@pytest.mark.parametrize(
    ("here", "python", "found"),
    [
        (">=3.11,<3.14 >=3.11", "", "python->=3.11,<3.14"),
        (">=3.11", "", "python->=3.11"),  # newer than all that are tested, and the only one
        (">=3.11,<3.14 3.12", "3.12", "python-3.12"),
        (">=3.11,<3.14", "3.12", ""),
        ("", "", ""),
    ],
)
def test_a_python_that_is_tested_is_preferred(run: Run, here: str, python: str, found: str) -> None:
    said = run("python=$(find_python) && echo $python", HERE=here, PYTHON=python)
    assert said.stdout.strip() == found
    assert ("no Python" in said.stderr) == (said.returncode == 1) == (not found)


@pytest.mark.skipif(shutil.which("uv") is None, reason="there is no uv")
def test_the_real_uv_passes_over_a_python_that_does_not_run(run: Run, checkout: Path) -> None:
    (checkout / "bin/uv").unlink()
    for name in ("python3", "python3.13"):
        write_script(checkout / "bin" / name, "#!/bin/sh\nexit 127\n")
    path = f"{checkout}/bin{os.pathsep}{os.environ['PATH']}"
    found = run("find_python '>=3.11'", path=path).stdout.strip()
    assert found
    assert not found.startswith(str(checkout))


# --- tools/test ---


def test_the_help_says_what_runs_where() -> None:
    said = subprocess.run([TOOLS / "test", "--help"], capture_output=True, text=True, check=True)
    for option in ("--oracles", "--newest", "--oldest", "--matrix", "--servers", "--all"):
        assert f"tools/test {option} " in said.stdout
    assert said.stdout.startswith("Linters, types and the whole test suite")
    assert "set -euo" not in said.stdout


REPORT = """\
<testsuites><testsuite>
  <testcase classname="tests.a" name="test_both[1]" />
  <testcase classname="tests.a" name="test_never"><skipped message="no CUDA" /></testcase>
  <testcase classname="" name="tests.b"><skipped message="no torch" /></testcase>
  <testcase classname="" name="tests.c">
    <skipped message="collection skipped">('a', 2, "Skipped: No module named 'c'")</skipped>
  </testcase>
  <testcase classname="tests.a" name="test_one"><skipped message="no jax" /></testcase>
</testsuite></testsuites>
"""


def test_what_nothing_ran_is_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    skipped = load_tool("skipped.py")
    (tmp_path / "one.xml").write_text(REPORT)
    other = '<testcase classname="tests.b" name="test" /><testcase classname="tests.a" name="{}" />'
    (tmp_path / "two.xml").write_text(f"<testsuite>{other.format('test_one')}</testsuite>")
    skipped.main(str(tmp_path), "Triton: no Python for it")
    assert capsys.readouterr().out.splitlines() == [
        "== not run here",
        "- Triton: no Python for it",
        "- 1 skipped: No module named 'c'",
        "- 1 skipped: no CUDA",
    ]
    (tmp_path / "one.xml").unlink()
    skipped.main(str(tmp_path))
    assert capsys.readouterr().out == "== everything ran\n"


# --- tools/releases ---


@pytest.mark.parametrize(
    ("release", "python"),
    [
        ("1.12.1", "3.8"),
        ("1.15.0", "3.8"),
        ("1.16.3", "3.11"),
        ("1.99.0", "3.11"),
        ("2.0.0", "3.11"),
    ],
)
def test_the_python_of_a_release(release: str, python: str) -> None:
    assert load_tool("releases.py").python_for(release) == python


def test_releases_are_asked_for_more_than_onnx_knows(tmp_path: Path) -> None:
    load_tool("releases.py").write_versions(tmp_path / "versions")
    tried = [map(int, path.stem.split("_")) for path in (tmp_path / "versions").iterdir()]
    opset, ir = map(max, zip(*tried, strict=True))
    assert opset == onnx.defs.onnx_opset_version() + 2
    assert ir == onnx.IR_VERSION + 2


# --- requirements ---


def test_no_pin_tells_of_a_machine_or_an_index() -> None:
    for file in (ROOT / "requirements").iterdir():
        text = file.read_text()
        assert "://" not in text, file
        assert "index" not in text.replace("index-url", ""), file
        if file.suffix == ".txt":
            lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
            assert lines, file
            assert all("==" in line for line in lines), file
