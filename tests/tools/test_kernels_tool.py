"""Wheels of prebuilt kernels: small ones are built, installed and found where no compiler is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lossgraph.kernels import toolchain
from lossgraph.kernels.targets import target_here
from lossgraph.kernels.toolchain import ToolchainError
from support import load_tool

pytestmark = pytest.mark.once

tool = load_tool("kernels.py")
HERE = target_here()
LOSSES = ("gluon.HuberLoss", "gluon.SoftmaxCrossEntropyLoss", "nn.CrossEntropyLoss")

# Losses called with arrays, whose sizes have other names than those in the catalogue.
USE = """
import numpy as np
from lossgraph import gluon, nn
from lossgraph.runtime import kernel_build

built = []
original = kernel_build.build_kernel
def build_kernel(*args):
    built.append(original(*args))
    return built[-1]
kernel_build.build_kernel = build_kernel

rng = np.random.default_rng(0)
pred = rng.normal(size=(6, 9)).astype(np.float32)
label, other = rng.integers(0, 9, 6), rng.normal(size=(6, 9)).astype(np.float32)
log_p = pred - np.log(np.exp(pred.astype(float)).sum(1, keepdims=True))
error = np.abs(pred - other)
expected = np.where(error > 1, error - 0.5, error**2 / 2).mean(1)
assert np.allclose(gluon.HuberLoss()(pred, other), expected, rtol=1e-5)
expected = -log_p[np.arange(6), label]
assert np.allclose(gluon.SoftmaxCELoss()(pred, label), expected, rtol=1e-5)
value, grads = nn.CrossEntropyLoss().value_and_grad(pred, label, wrt="input")
assert np.allclose(value, expected.mean(), rtol=1e-5)
assert np.allclose(grads["input"], (np.exp(log_p) - np.eye(9)[label]) / 6, atol=1e-6)
print("\\n".join(str(kernel.library) for kernel in built))
"""


def _builds_here() -> bool:
    try:
        return HERE is not None and bool(toolchain.find_for([HERE]))
    except ToolchainError:
        return False


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not _builds_here():
        pytest.skip("no C compiler for this machine")
    folder = tmp_path_factory.mktemp("wheels")
    assert tool.main([*(f"--loss={name}" for name in LOSSES), "-o", str(folder)]) == 0
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    install = ("install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target", folder)
    subprocess.run([sys.executable, "-m", "pip", *install, wheel], check=True)
    return folder


def use(folder: Path, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    """Use losses as kernels, where the only compiler fails and nothing is in the cache."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    environment = {
        **os.environ, "PYTHONPATH": path, "LOSSGRAPH_KERNELS": "1", "CC": "/no/compiler",
        "LOSSGRAPH_CACHE": str(tmp_path),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-c", USE], capture_output=True, text=True, env=environment
    )


def test_losses_run_as_kernels_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    done = use(installed, tmp_path)
    assert done.returncode == 0, done.stderr
    (library,) = set(done.stdout.split())
    assert Path(library).parent == installed / "lossgraph_kernels"
    assert len(done.stdout.split()) == 3


def test_a_wheel_of_other_sources_is_not_used(wheel: Path, tmp_path: Path) -> None:
    folder = tmp_path / "other"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    index = folder / "lossgraph_kernels" / "index.json"
    said = json.loads(index.read_bytes())
    index.write_text(json.dumps({**said, "sources": "0" * 64}))
    done = use(folder, tmp_path)
    assert "/no/compiler" in done.stderr
    assert done.returncode != 0


def test_a_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        (record,) = (archive.read(name).decode() for name in names if name.endswith("RECORD"))
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith("METADATA"))
    assert [line.split(",")[0] for line in record.splitlines()] == names
    assert "Name: lossgraph-kernels\n" in metadata
    assert wheel.name.endswith(f"-py3-none-{tool.TAGS[HERE]}.whl")


def test_what_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert tool.main(["--target", "amiga"]) == 1
    assert "expected some of linux-x86_64" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        tool.main(["--loss", "hubr"])
