"""Servers for a session of tests, each on ports that are free, with the cases exported."""

from __future__ import annotations

import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest
from server_cases import CASES

from lossgraph.export import export_folder
from lossgraph.triton import export_repository

ROOT = Path(__file__).parent.parent.parent
TRITON = ROOT / ".venvs" / "triton"
WHY = "tools/test --servers makes the environments"


class Addresses(NamedTuple):
    url: str
    grpc: str

    @property
    def http(self) -> str:
        return self.url.removeprefix("http://")


@pytest.fixture(scope="session")
def v2_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """``lossgraph serve`` with all cases, as folders."""
    if find_spec("kserve") is None or find_spec("tritonclient") is None:
        pytest.skip(f"no kserve or no tritonclient here: {WHY}")
    folder = tmp_path_factory.mktemp("exported")
    for name, case in CASES.items():
        export_folder(case.loss, case.types, folder / name, case.grad)
    process = start_serve(folder, "--grpc-port", "0")
    said = json.loads(first_line(process))
    yield Addresses(said["url"], said["grpc"])
    process.terminate()
    assert process.wait(20) == 0


def start_serve(*arguments: object) -> subprocess.Popen[str]:
    """A server on a free port that says where it is on stdout."""
    command = [sys.executable, "-m", "lossgraph", "serve", "--port", "0", "--json"]
    return subprocess.Popen(
        [*command, *map(str, arguments)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def first_line(process: subprocess.Popen[str], seconds: float = 60) -> str:
    assert process.stdout is not None
    assert process.stderr is not None
    ready, _, _ = select.select([process.stdout], [], [], seconds)
    line = process.stdout.readline() if ready else ""
    if not line:
        process.kill()
        pytest.fail(f"the server did not start: {process.stderr.read()[-2000:]}")
    return line


@pytest.fixture(scope="session")
def triton_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """Triton's own program with all cases, in a model repository."""
    if find_spec("tritonclient") is None or not TRITON.is_dir():
        pytest.skip(f"no tritonclient, or no {TRITON.name} environment here: {WHY}")
    folder = tmp_path_factory.mktemp("repository")
    for name, case in CASES.items():
        export_repository(case.loss, case.types, folder, case.grad, name=name)
    backends = tmp_path_factory.mktemp("backends")
    log = tmp_path_factory.mktemp("log") / "triton.txt"
    with log.open("w") as output:
        process, addresses = start_triton(folder, backends, output)
        try:
            wait_for(f"{addresses.url}/v2/health/ready", process, log)
            yield addresses
        finally:
            process.terminate()
            process.wait(20)


def start_triton(repository: Path, backends: Path, output: object):
    """The server of NVIDIA's package, with a backend in Python in the place of ONNX Runtime's."""
    (packages,) = TRITON.glob("lib/python3.*/site-packages")
    version = packages.parent.name.removeprefix("python")
    program = packages / "pytriton" / "tritonserver"
    shutil.copytree(program / "backends" / "python", backends / "python")
    stub = program / "python_backend_stubs" / version / "triton_python_backend_stub"
    shutil.copy(stub, backends / "python")
    (backends / "onnxruntime").mkdir()
    shutil.copy(
        Path(__file__).with_name("onnxruntime_backend.py"), backends / "onnxruntime/model.py"
    )
    python = sysconfig_of(TRITON / "bin" / "python")
    environment = {
        **os.environ,
        "PATH": f"{TRITON / 'bin'}:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": f"{packages / 'nvidia_pytriton.libs'}:{python}",
    }
    environment.pop("PYTHONPATH", None)
    http, grpc = free_port(), free_port()
    command = [
        program / "bin" / "tritonserver", f"--model-repository={repository}",
        f"--backend-directory={backends}", "--http-address=127.0.0.1", "--grpc-address=127.0.0.1",
        f"--http-port={http}", f"--grpc-port={grpc}", "--allow-metrics=false",
        "--backend-config=python,shm-default-byte-size=1048576", "--exit-timeout-secs=10",
    ]  # fmt: skip
    process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
    return process, Addresses(f"http://127.0.0.1:{http}", f"127.0.0.1:{grpc}")


def sysconfig_of(python: Path) -> str:
    """Where the library of a Python is."""
    code = "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"
    return subprocess.check_output([python, "-c", code], text=True).strip()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as bound:
        return int(bound.getsockname()[1])


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"Triton did not start: {log.read_text()[-4000:]}")
