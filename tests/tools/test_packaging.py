"""The package as others get it: what is in it, that it installs, and that its types are seen."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
import tarfile
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import lossgraph
from support import ROOT

pytestmark = pytest.mark.once

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
NAME = f"lossgraph-{lossgraph.__version__}"

# Data without which a part of it does not work.
DATA = {"py.typed", "passes/costs/cpu.json"}


def run(*command: object, **how: Any) -> str:
    """What it prints; it must not fail."""
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, **how)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that is made of it; needs no network."""
    for needed in ("build", "hatchling", "twine"):
        pytest.importorskip(needed, reason=f"packages are made with {needed}")
    folder = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, ROOT)
    return folder


@pytest.fixture(scope="session")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a new environment that has the wheel, and else what this one has."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    (wheel,) = dist.glob("*.whl")
    install = ("install", "--quiet", "--no-deps", "--no-index", "--no-compile", wheel)
    run(sys.executable, "-m", "pip", "--python", python, *install)
    (packages,) = folder.glob("lib/python3*/site-packages")
    # Files *.pth in what such a file names are not read: this checkout is not on the path.
    (packages / "others.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python


@pytest.fixture
def alone(tmp_path: Path) -> dict[str, Any]:
    """How to run something where this checkout is not found."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "MYPYPATH")}
    return {"cwd": tmp_path, "env": environment}


# --- what is in it ---


def test_twine_finds_nothing(dist: Path) -> None:
    said = run(sys.executable, "-m", "twine", "check", "--strict", *dist.iterdir())
    assert said.count("PASSED") == 2


def sources() -> Iterator[str]:
    """What git has of the package, or else what is there."""
    folder = ROOT / "lossgraph"
    for path in folder.rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(ROOT).as_posix()


def test_the_wheel_has_the_package_and_nothing_else(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    assert wheel.name == f"{NAME}-py3-none-any.whl"
    with zipfile.ZipFile(wheel) as file:
        names = set(file.namelist())
        metadata = file.read(f"{NAME}.dist-info/METADATA").decode()
    package = {name for name in names if name.startswith("lossgraph/")}
    assert package == set(sources())
    assert {f"lossgraph/{name}" for name in DATA} <= package
    assert any(name.endswith(".html") for name in package)
    assert {name.split("/")[0] for name in names - package} == {f"{NAME}.dist-info"}
    assert f"{NAME}.dist-info/licenses/LICENSE" in names
    assert "License-Expression: Apache-2.0" in metadata


def test_the_sdist_has_what_the_wheel_is_made_of(dist: Path) -> None:
    (sdist,) = dist.glob("*.tar.gz")
    with tarfile.open(sdist) as file:
        names = {name.removeprefix(f"{NAME}/") for name in file.getnames()}
    assert set(sources()) <= names
    others = {name for name in names if not name.startswith("lossgraph/")}
    assert others == {
        ".gitignore", "CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml",
    }  # fmt: skip


# --- what it says of itself ---


def test_the_classifiers_name_the_pythons_and_that_there_are_types() -> None:
    found = PROJECT["classifiers"]
    versions = re.findall(r"Python :: 3\.(\d+)", " ".join(found))
    assert f">=3.{min(map(int, versions))}" == PROJECT["requires-python"]
    assert "Typing :: Typed" in found
    assert found == sorted(found)


def test_few_packages_are_needed() -> None:
    needed = {re.split(r"[<>=]", text)[0] for text in PROJECT["dependencies"]}
    assert needed == {"ml_dtypes", "numpy", "onnx"}


EXTRAS = PROJECT["optional-dependencies"]


@pytest.mark.parametrize("pins", ["test", "oldest", "oracles", "serve-test"])
def test_the_pins_are_of_all_that_is_asked_for(pins: str) -> None:
    requirements = pytest.importorskip("packaging.requirements")
    canonical = pytest.importorskip("packaging.utils").canonicalize_name
    text = (ROOT / f"requirements/{pins}.txt").read_text()
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    pinned: dict[str, list[str]] = {}
    for line in map(requirements.Requirement, lines):
        pinned.setdefault(canonical(line.name), []).append(str(line.specifier)[2:])

    def asked(extra: str) -> Iterator[Any]:
        for wanted in map(requirements.Requirement, EXTRAS[extra]):
            if wanted.name == "lossgraph":
                for inner in wanted.extras:
                    yield from asked(inner)
            else:
                yield wanted

    extra = "test" if pins == "oldest" else pins
    for wanted in (*asked(extra), *map(requirements.Requirement, PROJECT["dependencies"])):
        versions = pinned[canonical(wanted.name)]
        assert all(wanted.specifier.contains(version) for version in versions), wanted


def test_every_range_has_a_lower_end() -> None:
    for wanted in [*PROJECT["dependencies"], *(text for some in EXTRAS.values() for text in some)]:
        assert wanted.startswith("lossgraph[") or ">=" in wanted, wanted


# --- where it is installed ---


def test_the_installed_package_works(installed: Path, alone: dict[str, Any]) -> None:
    code = (
        "import numpy as np, lossgraph as lg; from lossgraph import gluon;"
        "x = np.ones((2, 3), np.float32); print(lg.__file__); print(gluon.L2Loss()(x, x).tolist())"
    )
    file, values = run(installed, "-c", code, **alone).splitlines()
    assert Path(file).is_relative_to(installed.parents[1])
    assert values == "[0.0, 0.0]"
    command = installed.with_name("lossgraph")
    assert run(command, "--version", **alone) == f"lossgraph {lossgraph.__version__}\n"
    run(command, "show", "huber", "--html", "-o", "page.html", **alone)
    assert "<html" in Path(alone["cwd"], "page.html").read_text()
    run(command, "export", "huber", "-o", "models", **alone)
    assert Path(alone["cwd"], "models/README.md").exists()


USER = '''\
"""What a user may write; the types are those that mypy is to see."""

from typing import Any

import numpy as np

import lossgraph as lg
from lossgraph import gluon, losses, nn, optax

x, y = np.zeros((2, 3), np.float32), np.zeros((2, 3), np.float32)
types = {"pred": ("float32", ("N", 3)), "label": ("float32", ("N", 3))}

huber = gluon.HuberLoss(rho=2.0)
reveal_type(huber)  # HuberLoss
reveal_type(huber(x, y))  # Any
reveal_type(huber.value_and_grad(x, y, wrt=("pred",)))  # tuple[Any, dict[str, Any]]
reveal_type(huber.to_onnx(types, grad=["pred"]))  # ModelProto

reveal_type(nn.MSELoss(reduction="sum")(x, y))  # Any
reveal_type(optax.l2_loss(x, y))  # Any
reveal_type(losses.dice(x, y))  # Any

pred, label = lg.symbol("pred", "float32", ("N", 3)), lg.symbol("label", "float32", ("N", 3))
reveal_type(pred - label)  # Symbol
reveal_type(lg.compile(((pred - label) ** 2).mean(), grad=["pred"]))  # Compiled
'''


@pytest.fixture
def mypy(installed: Path, alone: dict[str, Any]) -> Callable[[str], str]:
    """What ``mypy --strict`` says about a file."""

    def check(text: str) -> str:
        pytest.importorskip("mypy")
        file = Path(alone["cwd"], "user.py")
        file.write_text(text)
        command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(installed)]
        cache = file.with_name("cache")
        command += ["--config-file", "", "--cache-dir", str(cache), file.name]
        done = subprocess.run(command, capture_output=True, text=True, **alone)
        assert done.stderr == ""
        return done.stdout

    return check


def test_a_user_s_code_is_typed(mypy: Callable[[str], str]) -> None:
    *revealed, last = mypy(USER).splitlines()
    assert last.startswith("Success: no issues found"), "\n".join([*revealed, last])
    found = [re.sub(r"(\w+\.)+", "", re.search('"(.*)"', line)[1]) for line in revealed]  # type: ignore[index]
    assert found == re.findall(r"reveal_type.*  # (.*)", USER)


WRONG = """\
from lossgraph import gluon, losses, nn
gluon.HuberLoss(rho="a")  # arg-type
gluon.HuberLoss().value_and_gard(1)  # attr-defined
gluon.HuberLoss().to_onnx(3)  # arg-type
nn.MSELoss(reduction=3)  # arg-type
losses.dicee  # attr-defined
"""


def test_a_user_s_mistakes_are_seen(mypy: Callable[[str], str]) -> None:
    assert re.findall(r"error: .*\[(.*)\]", mypy(WRONG)) == re.findall(r"  # (.*)", WRONG)
