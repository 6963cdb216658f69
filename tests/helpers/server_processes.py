"""Starting and stopping servers, each on ports that are free."""

from __future__ import annotations

import os
import select
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import IO, NamedTuple

import pytest

from support import ROOT

TRITON = ROOT / ".venvs" / "triton"


class Addresses(NamedTuple):
    url: str
    grpc: str

    @property
    def http(self) -> str:
        return self.url.removeprefix("http://")


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


def end(process: subprocess.Popen[str]) -> str:
    """What it has written to stderr; it ends in peace."""
    process.terminate()
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 0, stderr
    return stderr


def start_triton(
    repository: Path, backends: Path, output: IO[str]
) -> tuple[subprocess.Popen[bytes], Addresses]:
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
