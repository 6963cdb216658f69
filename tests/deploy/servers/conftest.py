"""Servers for a session of tests, with the cases exported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from lossgraph.deploy.export import export_folder
from lossgraph.deploy.triton import export_repository
from server_cases import CASES, targets
from server_processes import TRITON, Addresses, end, first_line, start_serve, start_triton, wait_for

NEEDED = ("kserve", "tritonclient", "geventhttpclient")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not here: tools/test --servers makes the environments")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOSSGRAPH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def v2_server(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """``lossgraph serve`` with all cases, as folders."""
    folder = tmp_path_factory.mktemp("exported")
    for name, case in CASES.items():
        export_folder(case.loss, case.types, folder / name, case.grad, kernels=targets(case))
    process = start_serve(folder, "--grpc-port", "0")
    said = json.loads(first_line(process))
    yield Addresses(said["url"], said["grpc"])
    remarks = end(process)
    fused = [name for name, case in CASES.items() if targets(case)]
    assert all(f"{name}: kernel of value_fused.onnx" in remarks for name in fused), remarks


@pytest.fixture(scope="session")
def triton_server(
    environment: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Addresses]:
    """Triton's own program with all cases, in a model repository."""
    if not TRITON.is_dir():
        pytest.skip(f"no {TRITON} here: tools/test --servers makes it")
    folder = tmp_path_factory.mktemp("repository")
    for name, case in CASES.items():
        export_repository(
            case.loss, case.types, folder, case.grad, name=name, kernels=targets(case)
        )
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
