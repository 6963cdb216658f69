"""Processes that answer requests, and what they speak."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import numpy as np
import pytest

from lossgraph.compare import worker_protocol, workers
from lossgraph.compare.worker_protocol import fetch, store
from lossgraph.compare.workers import EndedError, Worker, WorkerError

SCRIPT = """
import os, sys, time
sys.path.append({folder!r})
import worker_protocol as protocol

answers = protocol.private_stdout()
protocol.end_with_parent()

def answer(request):
    print("a library says something")
    if request == "end":
        print("it was too much", file=sys.stderr)
        os._exit(3)
    if request == "sleep":
        time.sleep(60)
    return {{"double": 2 * request}}

protocol.say({hello}, answers)
protocol.serve(answer, answers)
"""


@pytest.fixture
def start(tmp_path):
    folder = str(Path(worker_protocol.__file__).parent)
    started = []

    def make(hello="{'version': 1}", **options):
        script = tmp_path / "script.py"
        script.write_text(SCRIPT.format(folder=folder, hello=hello))
        started.append(Worker([sys.executable, str(script)], tmp_path, **options))
        return started[-1]

    yield make
    for worker in started:
        worker.close()


def test_requests_have_answers_whatever_a_library_prints(start):
    worker = start()
    assert worker.hello() == {"version": 1}
    assert worker.ask(4) == {"double": 8}
    worker.pause()
    worker.resume()
    assert worker.ask("ab") == {"double": "abab"}


def test_a_request_that_fails_is_no_end(start):
    worker = start()
    worker.hello()
    with pytest.raises(WorkerError, match="TypeError: unsupported operand"):
        worker.ask(None)
    assert worker.ask(1) == {"double": 2}


def test_an_end_is_told_with_the_last_words(start):
    worker = start()
    worker.hello()
    with pytest.raises(EndedError, match="the process ended with 3: it was too much") as error:
        worker.ask("end")
    assert error.value.code == 3
    with pytest.raises(EndedError):
        worker.ask(1)


def test_patience_ends(start):
    worker = start(seconds=2.0)
    worker.hello()
    with pytest.raises(WorkerError, match="took longer than 2 s"):
        worker.ask("sleep")


def test_what_is_missing_is_said(start):
    with pytest.raises(WorkerError, match="no such library"):
        start("{'missing': 'no such library'}").hello()


def test_a_program_that_is_not_there(tmp_path):
    with pytest.raises(WorkerError, match="nowhere does not start: No such file"):
        Worker([str(tmp_path / "nowhere")], tmp_path)


def test_arrays_survive(tmp_path):
    arrays = {
        "a.b": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "big endian": np.array([1, 2], ">i4"),
        "none": np.zeros((0, 3), np.float16),
        "truth": np.array(True),
    }
    places = store(tmp_path / "x", arrays)
    assert places["none"] == {
        "dtype": "float16", "shape": [0, 3], "file": str(tmp_path / "x_2.bin"),
    }  # fmt: skip
    found = fetch(places)
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype.newbyteorder("=")
        found[name][...] = 0  # it can be written to


def test_the_protocol_is_of_python_3_8():
    """As the worker of the equivalents and the finite differences, which run there too."""
    folder = Path(workers.__file__).parent
    for name in ("worker_protocol.py", "finite_differences.py", "equivalents/worker.py"):
        ast.parse((folder / name).read_text(), feature_version=(3, 8))
