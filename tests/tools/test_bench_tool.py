"""The benchmarks' tool: its statistics, its checks, and runs with peers made up for the purpose."""

from __future__ import annotations

import ast
import importlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lossgraph.compare.differences import sample_difference
from support import TOOLS

pytestmark = pytest.mark.once


if not (TOOLS / "bench").exists():
    pytest.skip("the tools are not in this copy of the sources", allow_module_level=True)
pytest.importorskip("rich")
pytest.importorskip("onnxruntime")

sys.path.insert(0, str(TOOLS))
command, losses, measure, memory, meter, peer, peers, report, worker, workers = (
    importlib.import_module(f"bench.{name}")
    for name in (
        "command", "losses", "measure", "memory", "meter", "peer", "peers", "report", "worker",
        "workers",
    )
)  # fmt: skip

SMALL = ("--size", "6,2,4,2", "--rounds", "2", "--seconds", "0.005", "--threads", "1")
CASE = losses.Case(losses.CTC, (6, 2, 4, 2), True)

TWIN = """
from bench.peer_lossgraph import Lossgraph

class {name}(Lossgraph):
    name = "{name}"
    title = "{name}"

    def __init__(self, threads):
        super().__init__(threads)
        {start}

    def ctc(self, arrays, gradient):
        {change}
        return super().ctc(arrays, gradient)
"""


# --- the comparison of numbers ---


def test_the_one_that_is_wrong_is_named() -> None:
    right = {"loss": np.ones(2), "gradient": np.ones((2, 6, 4))}
    measure.check({"a": right, "b": right}, CASE)
    wrong = {**right, "gradient": -right["gradient"]}
    with pytest.raises(measure.DisagreementError) as caught:
        measure.check({"a": right, "b": right, "c": wrong}, CASE)
    _, *lines = str(caught.value).splitlines()
    assert lines == [
        "a and c differ in the gradient by 2.0e+00",
        "b and c differ in the gradient by 2.0e+00",
    ]
    measure.check({"a": right, "c": wrong}, CASE._replace(gradient=False))


def test_each_of_several_gradients_is_compared() -> None:
    grads = {"input": np.ones((2, 3)), "linear_weight": np.ones((4, 3))}
    right = peer.numbers(True, np.asarray)((np.ones(()), grads))
    assert right["loss"].shape == (1,)
    wrong = {**right, "gradient by linear_weight": np.full((4, 3), 1.1)}
    with pytest.raises(measure.DisagreementError, match="the gradient by linear_weight by"):
        measure.check({"a": right, "b": wrong}, CASE)


def test_arrays_are_the_same_in_every_run() -> None:
    first, again = CASE.arrays(), CASE.arrays()
    assert first["logits"].shape == (2, 6, 4)
    assert first["labels"].shape == (2, 2)
    assert first["labels"].max() < 3
    assert all((first[name] == again[name]).all() for name in first)
    few = CASE.small(1).arrays()
    assert few["logits"].shape == (1, 6, 4)
    weight = losses.Case(losses.LINEAR, (30, 50, 40), True).small(4).arrays()["linear_weight"]
    assert weight.shape == (5, 6)


@pytest.mark.parametrize("loss", losses.GLUON, ids=lambda loss: loss.title)
def test_no_sample_of_rows_is_near_a_kink(loss: Any) -> None:
    """Libraries round differently, and on both sides of a kink gradients differ."""
    from lossgraph import gluon

    for N, C in loss.sizes[:2]:
        arrays = losses.Case(loss, (N, C), True).arrays()
        value, grads = getattr(gluon, loss.name)().value_and_grad(**arrays)
        wide = {k: a.astype(np.float64) if a.dtype.kind == "f" else a for k, a in arrays.items()}
        exact, exact_grads = getattr(gluon, loss.name)().value_and_grad(**wide)
        for found, right in (
            (value, exact),
            *zip(grads.values(), exact_grads.values(), strict=True),
        ):
            assert sample_difference(found, right.astype(np.float32)) < measure.TOLERANCE / 20


def test_losses_are_chosen_in_any_spelling() -> None:
    suite = losses.SUITES["peers"]
    chosen = suite.only(["sigmoid_bce", "L2Loss", "softmaxcrossentropy"])
    assert [loss.title for loss in chosen.losses] == ["SigmoidBCE", "L2", "SoftmaxCE"]
    with pytest.raises(KeyError, match="foo"):
        suite.only(["foo"])


def test_every_rival_has_every_loss_of_rows() -> None:
    for loss in losses.GLUON:
        assert lacking(loss.name) == ["torch-chunked"]
    assert lacking("ctc") == ["torch-chunked", "torch-compile", "bandwidth"]
    assert lacking("linear") == ["jax", "mxnet", "bandwidth"]


def lacking(loss: str) -> list[str]:
    """The names of the peers that have not a loss."""
    return [name for name, source in peers.find_peers().items() if not source.peer.has(loss)]


def test_copying_reads_all_inputs_and_writes_the_gradient() -> None:
    bandwidth = peer.load(TOOLS / "bench" / "peer_bandwidth.py")
    module = sys.modules[bandwidth.__module__]
    for size in (7, module.PIECE + 1):
        source = np.arange(size, dtype=np.float32)
        into = np.zeros_like(source)
        module.read(source, into)()
        assert (into == source).all()
        module.read(source, None)()
    for count in (1, 2, 3):
        parts = module.split(source, count)
        assert len(parts) == count
        assert (np.concatenate(parts) == source).all()


# --- whole runs ---

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes the file of a peer that is lossgraph itself, but for some lines."""

    def write(name: str, start: str = "pass", change: str = "pass") -> Path:
        path = tmp_path / f"{name}.py"
        path.write_text(TWIN.format(name=name, start=start, change=change))
        return path

    return write


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    path = tmp_path / "temporary"
    path.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(path))
    return path


def run(*arguments: str | Path, names: str = "lossgraph") -> int:
    return command.main(["ctc", "--peers", names, *SMALL, *map(str, arguments)])


def run_rows(*arguments: str | Path, names: str) -> int:
    small = ("--size", "5,3", "--rounds", "2", "--seconds", "0.002", "--threads", "1")
    return command.main(["peers", "--peers", names, *small, *map(str, arguments)])


def test_lossgraph_and_its_twin(
    write: Write, tmp_path: Path, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ("--json", tmp_path / "a.json", "--markdown", tmp_path / "a.md")
    assert run("--add", write("twin"), *files, names="twin") == 0
    printed = capsys.readouterr()
    assert "6, 2, 4, 2" in printed.out
    assert "value + gradient" in printed.out
    assert "6, 2, 4, 2" not in printed.err

    found = json.loads((tmp_path / "a.json").read_text())
    assert [case["gradient"] for case in found["cases"]] == [False, True]
    for case in found["cases"]:
        assert case["sizes"] == {"T": 6, "N": 2, "C": 4, "L": 2}
        twin = case["peers"]["twin"]
        assert len(twin["ratios"]) == len(twin["medians"]) == 2
        assert 0 < twin["minimum"] <= twin["median"]
        assert case["peers"]["lossgraph"]["ratio"] == 1
    assert list(found["versions"]["twin"]) == ["lossgraph", "onnxruntime", "numpy"]
    assert found["command"].startswith("tools/bench_ctc --peers twin")
    assert {"cpu", "cpus_used", "os", "python", "load"} <= set(found["machine"])

    rows = [line.split("|") for line in (tmp_path / "a.md").read_text().splitlines()[:4]]
    assert {len(row) for row in rows} == {6}
    assert rows[2][3].strip().startswith("1.00 (")
    assert list(temporary.iterdir()) == []


OWN = "lossgraph-bind,naive,bandwidth"  # the peers that are wherever lossgraph is


def test_losses_of_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ("--json", tmp_path / "a.json", "--markdown", tmp_path / "a.md")
    assert run_rows(*files, "--losses", "huber,SoftmaxCE", names=OWN) == 0
    printed = capsys.readouterr()
    assert "geometric mean of 4 rows" in printed.out
    assert "Huber, N=5 C=3, value" in printed.err

    found = json.loads((tmp_path / "a.json").read_text())
    assert [case["loss"] for case in found["cases"]] == [
        "HuberLoss", "HuberLoss", "SoftmaxCrossEntropyLoss", "SoftmaxCrossEntropyLoss",
    ]  # fmt: skip
    order = ["lossgraph", "lossgraph-bind", "naive", "bandwidth"]
    assert [list(case["peers"]) for case in found["cases"]] == [order] * 4
    for case in found["cases"]:
        assert case["best_rival"] == case["peers"]["naive"]["ratio"]
    assert found["means"]["lossgraph"] == pytest.approx(1)

    rows = [line.split(" | ") for line in (tmp_path / "a.md").read_text().splitlines()[:7]]
    assert {len(row) for row in rows} == {7}
    assert rows[2][0] == "| Huber"
    assert rows[2][3].startswith("1.00 (")
    assert rows[6][0] == "| geometric mean"


def test_every_loss_of_rows_is_the_same_by_the_whole_graph() -> None:
    assert run_rows("--rounds", "1", "--mode", "gradient", names="naive") == 0


# --- linear layers ---


def run_linear(*arguments: str | Path, names: str, size: str = "6,5,3") -> int:
    quick = ("--rounds", "1", "--seconds", "0.001", "--threads", "1")
    options = ("--peers", names, "--size", size, *quick, *map(str, arguments))
    return command.main(["linear", *options])


def test_linear_layers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.json"
    files = ("--json", path, "--markdown", tmp_path / "a.md")
    assert run_linear(*files, names="naive,lossgraph-bind") == 0
    assert "Cross-entropy of a linear layer, N=6 C=5 D=3, value" in capsys.readouterr().err
    found = json.loads(path.read_text())
    assert found["command"].startswith("tools/bench_linear ")
    assert [case["gradient"] for case in found["cases"]] == [False, True]
    for case in found["cases"]:
        assert case["sizes"] == {"N": 6, "C": 5, "D": 3}
        assert list(case["peers"]) == ["lossgraph", "lossgraph-bind", "naive"]
    assert "6, 5, 3" in (tmp_path / "a.md").read_text()


def test_linear_layers_in_chunks_and_whole_by_pytorch() -> None:
    torch = pytest.importorskip("torch")
    chunked = hasattr(torch.nn, "LinearCrossEntropyOptions")
    names = "torch,torch-chunked" if chunked else "torch"
    here = ("--torch", sys.executable)
    assert run_linear(*here, "--mode", "gradient", names=names, size="70,9,4") == 0


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="there is no /proc here")
def test_memory_of_linear_layers_in_chunks_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    asked = ("--memory", "--mode", "gradient", "--json", path)
    assert run_linear(*asked, names="naive", size="4000,3000,2") == 0
    (case,) = json.loads(path.read_text())["cases"]
    logits = 4 * 4000 * 3000
    assert case["peers"]["naive"] > 2 * logits
    assert case["peers"]["lossgraph"] < 2 / 3 * case["peers"]["naive"]


@pytest.mark.parametrize("wrong", [["--size", "1,2"], ["--size", "1,2,0"]])
def test_wrong_sizes_of_linear_layers(wrong: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(["linear", *wrong])


def test_peers_without_the_loss_are_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["linear", "--peers", "mxnet"]) == 2
    said = capsys.readouterr().err
    assert "there is no mxnet: there are lossgraph, lossgraph-bind, lossgraph-graph, naive" in said


# --- files, memory, and what goes wrong ---


def test_pictures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "a.png"
    assert run_rows("--losses", "l1", "--picture", path, names=OWN) == 0
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="there is no /proc here")
def test_memory_besides_inputs_and_outputs(tmp_path: Path) -> None:
    size, path = ("--size", "4000,500"), tmp_path / "a.json"
    files = ("--json", path, "--markdown", tmp_path / "a.md")
    asked = ("--memory", "--losses", "l2", "--mode", "value", "--threads", "1")
    assert command.main(["peers", "--peers", "naive", *size, *asked, *map(str, files)]) == 0
    (case,) = json.loads(path.read_text())["cases"]
    array = 4000 * 500 * 4
    assert case["inputs"] == 2 * array
    # The whole graph has the differences in memory, and no more than one array beside them.
    assert 0.9 * array < case["peers"]["naive"] < 2.5 * array
    # Two million differences are not worth tiles.
    assert case["peers"]["lossgraph"] < 1.1 * case["peers"]["naive"]
    assert "MiB" in (tmp_path / "a.md").read_text()


def test_peaks_of_memory_are_seen() -> None:
    worker.reset_peak()
    before = worker.status("VmHWM")
    block = np.ones(8 << 20)  # smaller ones may come from memory that was freed before
    assert worker.status("VmHWM") - before > 0.9 * block.nbytes
    del block
    worker.reset_peak()
    assert worker.status("VmHWM") - before < 16 << 20


def test_a_peer_that_is_not_there_is_left_out(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = write("absent", start="import no_such_library")
    assert run("--mode", "value", "--add", absent, names="absent") == 0
    printed = capsys.readouterr()
    assert "absent: left out" in printed.err
    assert "No module named 'no_such_library'" in printed.err
    assert "absent: left out" in printed.out


def test_wrong_numbers_are_not_timed(
    write: Write, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    liar = write("liar", change='arrays["logits"] = arrays["logits"] * 1.1')
    assert run("--mode", "gradient", "--add", liar, names="liar") == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "lossgraph and liar differ in the loss by" in printed.err
    assert "lossgraph and liar differ in the gradient by" in printed.err
    assert list(temporary.iterdir()) == []


def test_a_peer_that_fails_is_named(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    broken = write("broken", change='raise RuntimeError("out of luck")')
    assert run("--mode", "value", "--add", broken, names="broken") == 3
    printed = capsys.readouterr()
    assert "broken failed" in printed.err
    assert "out of luck" in printed.err


def test_a_peer_that_ends_is_named(
    write: Write, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fatal = write("fatal", change='import os; print("last words"); os._exit(7)')
    assert run("--mode", "value", "--add", fatal, names="fatal") == 3
    printed = capsys.readouterr()
    assert "fatal ended with exit code 7" in printed.err
    assert printed.err.endswith("last words\n")
    assert list(temporary.iterdir()) == []


# A shell lets what it runs in the background ignore SIGINT, these tests perhaps among it.
_DRIVER = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("bench", run_name="__main__", alter_sys=True)
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="there is no /proc here")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_the_driver(write: Write, temporary: Path, number: int) -> None:
    pids = temporary.parent / "pid"
    start = f'import os; open({str(pids)!r}, "w").write(str(os.getpid()))'
    arguments = ["ctc", *SMALL, "--rounds", "9999", "--peers", "twin"]
    driver = subprocess.Popen(
        [sys.executable, "-c", _DRIVER, *arguments, "--add", str(write("twin", start=start))],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(TOOLS), os.environ.get("PYTHONPATH", "")]),
            "TMPDIR": str(temporary),
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        assert wait(lambda: list(temporary.glob("*/twin.npz")))
        driver.send_signal(number)
        code = driver.wait(timeout=20)
    finally:
        driver.kill()
        driver.wait()
    assert code == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    assert wait(lambda: not runs(int(pids.read_text())))
    assert number == signal.SIGKILL or list(temporary.iterdir()) == []


def runs(pid: int) -> bool:
    """Whether there is such a process, which has not ended and waits to be noticed."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def wait(condition: Callable[[], object]) -> bool:
    """Whether it comes true before long."""
    end = time.monotonic() + 20
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True


# --- the command line ---


@pytest.mark.parametrize(
    "wrong",
    [
        ["--rounds", "0"], ["--seconds", "-1"], ["--seconds", "nan"], ["--mode", "x"],
        ["--size", "1,2,3"], ["--size", "4,4,20,5"], ["--size", "9,1,1,1"], ["--siz", "9,1,3,1"],
        ["more"],
    ],
)  # fmt: skip
def test_wrong_options_exit_with_2(wrong: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        run(*wrong)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--threads", "99999"], "there are"),
        (["--json", "no/such/folder/a.json"], "folder"),
        (["--markdown", "."], "folder"),
        (["--lossgraph", "no/such/python"], "--lossgraph: there is no Python"),
        (["--add", "no_such_file.py"], "--add"),
        (["--peers", "torsh"], "there is no torsh"),
        (["--losses", "huber"], "there is no huber: there are CTC loss"),
        (["--picture", "a.png", "--memory"], "--memory measures none"),
    ],
)
def test_wrong_use_exits_with_2(
    wrong: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*wrong) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert printed.out == ""


def test_pythons_of_peers_are_found_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = peers.find_peers()["torch"]
    monkeypatch.setattr(peers, "CHECKOUT", tmp_path)
    assert peers.find_python(torch, None, {}) == (sys.executable, False)
    made = tmp_path / ".venvs" / "bench-torch" / "bin" / "python"
    made.parent.mkdir(parents=True)
    made.symlink_to(sys.executable)
    assert peers.find_python(torch, None, {}) == (str(made), False)
    variable = {"LOSSGRAPH_BENCH_TORCH": sys.executable}
    assert peers.find_python(torch, None, variable) == (sys.executable, True)
    assert peers.find_python(torch, str(made), variable) == (str(made), True)
    compiled = peers.find_peers()["torch-compile"]
    assert peers.find_python(compiled, None, variable) == (sys.executable, True)


# --- the parts ---


@pytest.mark.parametrize("pattern", ["__init__.py", "peer.py", "peer_*.py", "worker.py"])
def test_what_workers_import_is_of_python_3_8(pattern: str) -> None:
    known = TOOLS.parent / "lossgraph" / "compare" / "equivalents"
    for path in [*known.glob("*.py"), *TOOLS.glob(f"bench/{pattern}")]:
        tree = ast.parse(path.read_text(), feature_version=(3, 8))
        imports = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
        assert pattern == "__init__.py" or "__future__" in imports


def test_what_others_use_is_metered(tmp_path: Path) -> None:
    tick = os.sysconf("SC_CLK_TCK")

    def write(busy: float, stolen: float, ours: float) -> None:
        numbers = [0, 0, int(busy * tick), 77, 77, 0, 0, int(stolen * tick), 0, 0]
        lines = [f"{name} {' '.join(map(str, numbers))}" for name in ("cpu", "cpu0", "cpu1")]
        (tmp_path / "stat").write_text("\n".join(lines) + "\n")
        process = ["S", *["0"] * 10, str(int(ours * tick)), "0", "0"]
        (tmp_path / "42" / "stat").write_text(f"42 (a b) c) {' '.join(process)}\n")

    (tmp_path / "42").mkdir()
    times = iter([0.0, 10.0, 20.0, 30.0])
    write(busy=0, stolen=0, ours=0)
    found = meter.Meter([0, 1], [42], tmp_path, lambda: next(times))
    write(busy=6, stolen=0, ours=12)  # on two processors
    assert found.lap() == 0
    write(busy=12, stolen=1, ours=20)
    assert found.lap() == pytest.approx(0.3)
    (tmp_path / "stat").unlink()
    assert found.lap() is None
    assert meter.Meter([], [42], tmp_path).lap() is None


def test_doubtful_numbers_have_a_star() -> None:
    quiet, busy = (report.Result(CASE, {}, others) for others in ([0.0, 0.9, 0.02], [0.4, 0.3]))
    assert report.what(quiet) == "value + gradient"
    assert report.what(busy) == "value + gradient *"
    assert report.doubts([quiet]) == []
    assert "up to 35%" in report.doubts([quiet, busy])[0]


def test_processors_of_different_cores_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(sched_getaffinity=lambda _: {0, 1, 2, 3})
    monkeypatch.setattr(workers, "os", fake)
    monkeypatch.setattr(workers, "_siblings", lambda cpu: {0: "0-1", 1: "0-1"}.get(cpu, "2-3"))
    assert workers.choose_cpus(2) == [0, 2]
    assert workers.choose_cpus(3) == [0, 1, 2]


# --- accuracy ---


def test_errors_of_gradients(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    accuracy = importlib.import_module("bench.accuracy")
    sources = {"lossgraph": peers.find_peers()["lossgraph"]}
    monkeypatch.setattr(accuracy, "find_peers", lambda: sources)
    monkeypatch.setattr(accuracy, "SIZES", {"T": 9, "N": 2, "C": 4, "L": 3})
    monkeypatch.setattr(accuracy, "SCALES", (1, 10_000))
    monkeypatch.setattr(sys, "argv", ["accuracy"])
    accuracy.main()
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    found = {row[0]: float(row[1]) for row in rows if row and row[0] in ("1", "10,000")}
    assert 0 < found["1"] < 1e-5
    assert found["10,000"] < 1e-3
