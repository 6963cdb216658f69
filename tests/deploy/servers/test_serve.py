"""``lossgraph serve``: a server of the Open Inference Protocol, asked by a client and by hand."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lossgraph
from lossgraph import gluon
from lossgraph.deploy.export import export_folder
from lossgraph.deploy.triton import export_repository
from server_cases import CASES
from server_clients import TRANSPORTS, Client, assert_answer, connected
from server_processes import Addresses, end, first_line, start_serve
from support import ROOT

Clients = dict[str, Client]

pytestmark = pytest.mark.filterwarnings("ignore")  # the clients' own


@pytest.fixture(scope="module")
def clients(v2_server: Addresses) -> Iterator[Clients]:
    with connected(v2_server) as made:
        yield made


def request(url: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Status and JSON of an answer, JSON being what the standard says it is."""
    data = json.dumps(body).encode() if isinstance(body, dict) else body
    asked = urllib.request.Request(url, data, headers or {})
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return answer.status, strict(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, strict(error.read())


def strict(text: bytes) -> Any:
    def refuse(constant: str) -> None:
        pytest.fail(f"{constant} is not JSON")

    return json.loads(text, parse_constant=refuse) if text else None


def tensor(name: str, datatype: str, shape: list[int], data: Any) -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


PRED = tensor("pred", "FP32", [2, 3], [1, 2, 3, 0, 0, 0])
LABEL = tensor("label", "INT64", [2], [2, 0])


# --- answers ---


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", CASES)
def test_answers_are_those_of_the_call(name: str, transport: str, clients: Clients) -> None:
    case = CASES[name]
    answer = clients[transport].ask(name, case.arrays)
    assert_answer(answer, {"loss": case.expected()["loss"]})
    if case.grad:
        answer = clients[transport].ask(f"{name}_training", case.arrays)
        assert_answer(answer, case.expected())


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_only_what_is_asked_for(transport: str, clients: Clients) -> None:
    case = CASES["softmax_ce"]
    answer = clients[transport].ask("softmax_ce_training", case.arrays, ["grad_pred"])
    assert_answer(answer, {"grad_pred": case.expected()["grad_pred"]})


def test_json_by_hand(v2_server: Addresses) -> None:
    """Flat or nested, with an id, an answer that is plain JSON of the right shape."""
    nested = tensor("pred", "FP32", [2, 3], [[1, 2, 3], [0, 0, 0]])
    for pred in (PRED, nested):
        body = {"id": "42", "inputs": [pred, LABEL]}
        status, answer = request(f"{v2_server.url}/v2/models/softmax_ce/infer", body)
        assert status == 200
        assert (answer["id"], answer["model_name"]) == ("42", "softmax_ce")
        (loss,) = answer["outputs"]
        assert (loss["name"], loss["datatype"], loss["shape"]) == ("loss", "FP32", [2])
        assert loss["data"] == pytest.approx([0.40760595, 1.0986123])


def test_numbers_that_json_has_not(v2_server: Addresses) -> None:
    """In questions and answers they are texts, which numpy reads."""
    pred = tensor("pred", "FP32", [3, 2], ["NaN", 0, "-Infinity", 0, 0, "-Infinity"])
    label = tensor("label", "INT64", [3], [0, 0, 0])
    status, answer = request(
        f"{v2_server.url}/v2/models/softmax_ce/infer", {"inputs": [pred, label]}
    )
    assert status == 200
    assert answer["outputs"][0]["data"] == ["NaN", "Infinity", 0.0]
    read = np.array(answer["outputs"][0]["data"], np.float32)
    np.testing.assert_array_equal(read, np.float32([np.nan, np.inf, 0]))


def test_binary_and_json_in_one(v2_server: Addresses) -> None:
    """One input in bytes and one in JSON, one output each."""
    pred = np.float32([[1, 2, 3], [0, 0, 0]])
    said = {k: v for k, v in PRED.items() if k != "data"} | {"parameters": {"binary_data_size": 24}}
    wanted = [{"name": "loss"}, {"name": "grad_pred", "parameters": {"binary_data": True}}]
    text = json.dumps({"inputs": [said, LABEL], "outputs": wanted}).encode()
    asked = urllib.request.Request(
        f"{v2_server.url}/v2/models/softmax_ce_training/infer",
        text + pred.tobytes(),
        {"Inference-Header-Content-Length": str(len(text))},
    )
    with urllib.request.urlopen(asked) as answer:
        size, content = int(answer.headers["Inference-Header-Content-Length"]), answer.read()
    loss, grad = strict(content[:size])["outputs"]
    value, grads = gluon.SoftmaxCrossEntropyLoss().value_and_grad(pred, np.array([2, 0]))
    np.testing.assert_array_equal(np.float32(loss["data"]), value)
    assert grad["parameters"] == {"binary_data_size": 24}
    np.testing.assert_array_equal(
        np.frombuffer(content[size:], np.float32).reshape(2, 3), grads["pred"]
    )


def test_many_at_once(clients: Clients) -> None:
    case = CASES["huber"]
    expected = case.expected()
    with ThreadPoolExecutor(8) as pool:
        for answer in pool.map(
            lambda _: clients["grpc"].ask("huber_training", case.arrays), range(64)
        ):
            assert_answer(answer, expected)


# --- what the server tells ---


def test_health_and_metadata(v2_server: Addresses, clients: Clients) -> None:
    for path in ("health/live", "health/ready", "models/softmax_ce/ready"):
        assert request(f"{v2_server.url}/v2/{path}")[0] == 200
    status, server = request(f"{v2_server.url}/v2")
    assert (status, server["name"], server["version"]) == (200, "lossgraph", lossgraph.__version__)
    assert server["extensions"] == ["binary_tensor_data"]
    status, model = request(f"{v2_server.url}/v2/models/weighted_ce_training")
    assert (status, model["name"], model["platform"]) == (
        200, "weighted_ce_training", "onnxruntime_onnx",
    )  # fmt: skip
    assert model["inputs"] == [
        {"name": "input", "datatype": "FP32", "shape": [-1, -1]},
        {"name": "target", "datatype": "INT64", "shape": [-1]},
        {"name": "weight", "datatype": "FP32", "shape": [-1]},
    ]
    assert [output["name"] for output in model["outputs"]] == ["loss", "grad_input", "grad_weight"]
    assert request(f"{v2_server.url}/v2/models/scaled")[1]["inputs"][2]["shape"] == []
    for client in clients.values():
        assert client.connection.is_server_live()
        assert client.connection.is_server_ready()
        assert client.connection.is_model_ready("huber")
    said = clients["grpc"].connection.get_model_metadata("huber")
    assert [tensor.datatype for tensor in said.inputs] == ["FP64", "FP64"]


# --- what is refused ---

REFUSED = {
    "missing input": ({"inputs": [PRED]}, "missing ['label']"),
    "unknown input": ({"inputs": [PRED, LABEL, {**PRED, "name": "x"}]}, "unknown ['x']"),
    "input given twice": ({"inputs": [PRED, PRED, LABEL]}, "pred is given twice"),
    "rank": ({"inputs": [{**PRED, "shape": [6]}, LABEL]}, "pred: expected float32[N,C], of rank 2"),
    "length": (
        {"inputs": [PRED, {**LABEL, "shape": [1], "data": [0]}]},
        "label: axis 0 has length 1, but dim 'N' is 2 in axis 0 of pred",
    ),
    "datatype": ({"inputs": [{**PRED, "datatype": "FP64"}, LABEL]}, "pred: expected datatype FP32"),
    "no datatype": ({"inputs": [{**PRED, "datatype": "F"}, LABEL]}, "pred: expected datatype FP32"),
    "size": ({"inputs": [{**PRED, "shape": [2, 4]}, LABEL]}, "pred: FP32 of shape [2, 4] has 8"),
    "negative length": ({"inputs": [{**PRED, "shape": [-2, -3]}, LABEL]}, "[-2, -3] is no shape"),
    "length that is no number": ({"inputs": [{**PRED, "shape": ["2"]}, LABEL]}, "is no shape"),
    "ragged": ({"inputs": [{**PRED, "data": [[1], [2, 3]]}, LABEL]}, "pred: the rows"),
    "nested otherwise": (
        {"inputs": [{**PRED, "data": [[1, 2], [3, 4], [5, 6]]}, LABEL]}, "of shape [3, 2], not",
    ),
    "text": ({"inputs": [{**PRED, "data": ["1"] * 6}, LABEL]}, "pred: the data are no FP32"),
    "null": ({"inputs": [{**PRED, "data": [None] * 6}, LABEL]}, "pred: the data are no FP32"),
    "too large": ({"inputs": [{**PRED, "data": [1e300] * 6}, LABEL]}, "pred: the data are beyond"),
    "fraction": ({"inputs": [PRED, {**LABEL, "data": [0.5, 1]}]}, "label: the data are no INT64"),
    "larger": ({"inputs": [PRED, {**LABEL, "data": [2**63, 1]}]}, "label: the data are no INT64"),
    "huge": ({"inputs": [PRED, {**LABEL, "data": [2**99, 1]}]}, "label: the data are no INT64"),
    "true": ({"inputs": [PRED, {**LABEL, "data": [True, False]}]}, "label: the data are no INT64"),
    "label": (
        {"inputs": [PRED, {**LABEL, "data": [0, 3]}]},
        "label[1] is 3, which is not one of the 3 allowed, 0 to 2",
    ),
    "output": ({"inputs": [PRED, LABEL], "outputs": [{"name": "y"}]}, "unknown ['y']"),
    "no inputs": ({"input": []}, "inputs: expected an array, got null"),
    "inputs of no objects": ({"inputs": [1]}, "an element of inputs: expected an object, got 1"),
    "input without a name": ({"inputs": [{"shape": [1]}]}, "the name of an input"),
    "input without data": ({"inputs": [{**PRED, "data": None}]}, "pred: data: expected an array"),
    "parameters": ({"inputs": [], "parameters": []}, "parameters: expected an object"),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused(what: str, v2_server: Addresses) -> None:
    body, words = REFUSED[what]
    status, answer = request(f"{v2_server.url}/v2/models/softmax_ce/infer", body)
    assert status == 400
    assert list(answer) == ["error"]
    assert words in answer["error"]


BINARY = {k: v for k, v in PRED.items() if k != "data"}
BROKEN = {
    "no JSON": (b"{", None, "not JSON"),
    "no UTF-8": (b"\xff", None, "not JSON"),
    "nothing": (b"", None, "not JSON"),
    "no object": (b"[]", None, "the request: expected an object, got []"),
    "too deep": (b"[" * 100_000, None, "not JSON"),
    "a size that is none": (b"{}", "x", "Inference-Header-Content-Length is 'x'"),
    "a size beyond the body": (b"{}", "3", "at most 2"),
    "bytes too many": (b'{"inputs": []}ab', "14", "2 bytes follow"),
    "bytes too few": (
        json.dumps({"inputs": [{**BINARY, "parameters": {"binary_data_size": 24}}]}).encode(),
        None,
        "pred: binary_data_size is 24, but 0 bytes follow",
    ),
    "bytes for another shape": (
        json.dumps({"inputs": [{**BINARY, "parameters": {"binary_data_size": 0}}]}).encode(),
        None,
        "pred: FP32 of shape [2, 3] has 24 bytes, the data are 0",
    ),
}


@pytest.mark.parametrize("what", BROKEN)
def test_bodies_that_are_no_requests(what: str, v2_server: Addresses) -> None:
    body, size, words = BROKEN[what]
    headers = {} if size is None else {"Inference-Header-Content-Length": size}
    status, answer = request(f"{v2_server.url}/v2/models/softmax_ce/infer", body, headers)
    assert (status, list(answer)) == (400, ["error"])
    assert words in answer["error"]


def test_what_is_not_there(v2_server: Addresses) -> None:
    for path in ("models/none", "models/none/ready", "models/none/infer", "none"):
        body = {"inputs": []} if path.endswith("infer") else None
        status, answer = request(f"{v2_server.url}/v2/{path}", body)
        assert (status, list(answer)) == (404, ["error"]), path
    status, answer = request(f"{v2_server.url}/v2/models/huber/infer")
    assert (status, answer) == (405, {"error": "Method Not Allowed"})
    status, answer = request(f"{v2_server.url}/v2/repository/models/huber/unload", b"")
    assert (status, answer["error"].split(",")[0]) == (
        400,
        "models are loaded when the server starts",
    )


@pytest.mark.parametrize(
    ("model", "change", "words", "status"),
    [
        ("softmax_ce", {"pred": np.zeros((6, 5))}, "pred: expected datatype FP32", "INVALID"),
        ("softmax_ce", {"pred": np.zeros(6, np.float32)}, "pred: expected float32[N,C]", "INVALID"),
        ("softmax_ce", {"label": np.full(6, 9)}, "label[0] is 9", "INVALID"),
        ("none", {}, "none does not exist", "NOT_FOUND"),
    ],
)
def test_grpc_refuses_too(
    model: str, change: dict[str, Any], words: str, status: str, clients: Clients
) -> None:
    from tritonclient.utils import InferenceServerException

    with pytest.raises(InferenceServerException) as caught:
        clients["grpc"].ask(model, {**CASES["softmax_ce"].arrays, **change})
    assert words in caught.value.message()
    assert status in caught.value.status()


def test_grpc_takes_numbers_instead_of_bytes(clients: Clients) -> None:
    """As clients that have no arrays send them."""
    from tritonclient.grpc import service_pb2, service_pb2_grpc

    contents = {"pred": {"fp32_contents": PRED["data"]}, "label": {"int64_contents": [2, 0]}}
    inputs = [
        {**{k: v for k, v in said.items() if k != "data"}, "contents": contents[said["name"]]}
        for said in (PRED, LABEL)
    ]
    stub = service_pb2_grpc.GRPCInferenceServiceStub(clients["grpc"].connection._channel)
    answer = stub.ModelInfer(service_pb2.ModelInferRequest(model_name="softmax_ce", inputs=inputs))
    value = np.frombuffer(answer.raw_output_contents[0], np.float32)
    np.testing.assert_allclose(value, [0.40760595, 1.0986123], rtol=1e-6)


# --- starting and stopping ---


@pytest.fixture
def exported(tmp_path: Path, v2_server: Addresses) -> Path:
    """A folder of one loss; asked for after the server, which says whether there is KServe."""
    types = dict.fromkeys(("pred", "label"), ("float32", ("N", "C")))
    export_folder(gluon.L2Loss(), types, tmp_path / "exported" / "l2", ["pred"])
    export_repository(gluon.L1Loss(), types, tmp_path / "exported" / "repository", name="l1")
    return tmp_path / "exported"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_says_when_it_is_ready_and_ends_in_peace(number: int, exported: Path) -> None:
    process = start_serve(exported)
    said = json.loads(first_line(process))
    assert said["models"] == ["l1", "l2", "l2_training"]
    assert said["grpc"] is None
    assert request(f"{said['url']}/v2/health/ready")[0] == 200
    process.send_signal(number)
    _, stderr = process.communicate(timeout=20)
    assert process.returncode == 0
    assert stderr == f"serving l1, l2, l2_training at {said['url']}; Ctrl-C ends\n"


def test_ports_in_use(exported: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for option in ("--port", "--grpc-port"):
            done = serve_briefly(exported, option, port)
            assert done.returncode == 2
            assert done.stderr.startswith(f"Error: cannot listen at 127.0.0.1:{port}")
            assert done.stdout == ""


def test_an_address_that_is_not_here(exported: Path) -> None:
    done = serve_briefly(exported, "--host", "192.0.2.1")
    assert done.returncode == 2
    assert "cannot listen at 192.0.2.1" in done.stderr


def serve_briefly(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lossgraph", "serve", "--port", "0", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env={**os.environ})


# --- the page ---

PAGE = (ROOT / "docs" / "serving.md").read_text()


@pytest.fixture(scope="module")
def documented(v2_server: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server of the page, exported and started by its own commands; its address."""
    folder = tmp_path_factory.mktemp("page")
    export, serve = re.findall(r"^\$ lossgraph (export .* -o .*|serve .*)$", PAGE, re.MULTILINE)
    command = [sys.executable, "-m", "lossgraph", *export.split()]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    process = start_serve(folder / serve.split()[1])
    yield json.loads(first_line(process))["url"].removeprefix("http://")
    end(process)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_its_commands_print_what_it_says(documented: str) -> None:
    commands = re.findall(r"^\$ (curl .*?\]\}')\n(.*?)\n```", PAGE, re.DOTALL | re.MULTILINE)
    assert len(commands) == 2
    for command, printed in commands:
        there = command.replace("localhost:8080", documented)
        assert subprocess.check_output(there, shell=True, text=True) == printed


def test_its_python_runs(documented: str) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (ours,) = (block for block in blocks if "localhost:8080" in block)
    exec(compile(ours.replace("localhost:8080", documented), "serving.md", "exec"), {})
