"""Exported repositories in Triton's own program, asked over HTTP and gRPC by its own client."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from server_cases import CASES, Case
from server_clients import TRANSPORTS, Client, assert_answer, connected
from support import ROOT

Clients = dict[str, Client]

SERVED = {name: case for name, case in CASES.items() if name != "halves"}  # numpy has no bfloat16

pytestmark = pytest.mark.filterwarnings("ignore")  # the clients' own


@pytest.fixture(scope="module")
def clients(triton_server: Any) -> Iterator[dict[str, Client]]:
    with connected(triton_server) as made:
        yield made


def as_sent(case: Case) -> dict[str, np.ndarray]:
    """A scalar, and each scalar of a batch, has an axis of length 1."""
    return {
        name: array[:, None] if case.batched and array.ndim == 1 else np.atleast_1d(array)
        for name, array in case.arrays.items()
    }


def as_received(case: Case, value: np.ndarray) -> np.ndarray:
    return value[:, None] if case.batched and value.ndim == 1 else np.atleast_1d(value)


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("name", SERVED)
def test_answers_are_those_of_the_call(name: str, transport: str, clients: Clients) -> None:
    case = CASES[name]
    expected = {output: as_received(case, value) for output, value in case.expected().items()}
    answer = clients[transport].ask(name, as_sent(case))
    assert_answer(answer, {"loss": expected["loss"]})
    answer = clients[transport].ask(f"{name}_training", as_sent(case))
    assert_answer(answer, expected)


def test_what_is_configured_is_what_triton_says(clients: Clients) -> None:
    http = clients["http"].connection
    for name, case in CASES.items():
        assert http.get_model_config(name)["max_batch_size"] == (4096 if case.batched else 0)
    said = http.get_model_metadata("softmax_ce_training")
    tensors = {t["name"]: (t["datatype"], t["shape"]) for t in said["inputs"] + said["outputs"]}
    assert tensors == {
        "pred": ("FP32", [-1, -1]), "label": ("INT64", [-1, 1]),
        "loss": ("FP32", [-1, 1]), "grad_pred": ("FP32", [-1, -1]),
    }  # fmt: skip
    assert http.get_model_metadata("halves")["inputs"][0]["datatype"] == "BF16"


def counted(http: Any, model: str, at_least: int = 0) -> tuple[int, int]:
    """How often a model ran and for how many samples, once that stands still.

    Triton counts just after it answers: on a busy machine an answer is there first.
    """
    end, last = time.monotonic() + 10, None
    while time.monotonic() < end:
        stats = http.get_inference_statistics(model)["model_stats"][0]
        now = stats["execution_count"], stats["inference_count"]
        if now == last and now[1] >= at_least:
            break
        last = now
        time.sleep(0.05)
    return now


def test_requests_that_meet_in_a_batch_notice_nothing(clients: Clients) -> None:
    case = CASES["softmax_ce"]
    expected = case.expected()
    rows = [slice(i, i + 1 + i % 2) for i in range(5)] * 8

    def one(part: slice) -> dict[str, np.ndarray]:
        arrays = {name: array[part] for name, array in as_sent(case).items()}
        return clients["grpc"].ask("softmax_ce_training", arrays)  # HTTP's belongs to one thread

    http = clients["http"].connection
    wanted = sum(part.stop - part.start for part in rows)
    runs_before, samples_before = counted(http, "softmax_ce_training")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(one, rows))
    for part, answer in zip(rows, answers, strict=True):
        assert_answer(answer, {n: as_received(case, v)[part] for n, v in expected.items()})
    runs, samples = counted(http, "softmax_ce_training", samples_before + wanted)
    assert samples - samples_before == wanted
    assert runs - runs_before < len(rows)  # some did meet


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"pred": np.zeros((6, 5, 1), np.float32)}, ("input 'pred'", "shape")),
        ({"pred": np.zeros((6, 5))}, ("'pred'", "FP32", "FP64")),
        ({"label": np.zeros((5, 1), np.int64)}, ("batch size", "'pred'")),
        ({"labels": np.zeros((6, 1), np.int64)}, ("labels",)),
    ],
    ids=["rank", "dtype", "batch", "name"],
)
def test_what_does_not_fit_is_refused(
    change: dict[str, np.ndarray], words: tuple[str, ...], transport: str, clients: Any
) -> None:
    from tritonclient.utils import InferenceServerException

    arrays = as_sent(CASES["softmax_ce"])
    if "labels" in change:
        del arrays["label"]
    with pytest.raises(InferenceServerException) as caught:
        clients[transport].ask("softmax_ce", {**arrays, **change})
    for word in words:
        assert word in caught.value.message()
    assert caught.value.status() in ("400", "StatusCode.INVALID_ARGUMENT")


def test_a_reduced_loss_checks_its_rank(clients: Clients) -> None:
    from tritonclient.utils import InferenceServerException

    with pytest.raises(InferenceServerException, match="'input'"):
        clients["http"].ask("mse", {**CASES["mse"].arrays, "input": np.zeros(12, np.float32)})


def test_the_python_of_the_page_runs(triton_server: Any) -> None:
    page = (ROOT / "docs" / "serving.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (code,) = (block for block in blocks if "localhost:8000" in block)
    code = code.replace("localhost:8000", triton_server.http)
    code = code.replace('"ce_training"', '"softmax_ce_training"')
    exec(compile(code, "serving.md", "exec"), {})
