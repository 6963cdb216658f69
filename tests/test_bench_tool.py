"""The benchmarks' tool: its statistics, its checks, and runs with peers made up for the purpose."""

from __future__ import annotations

import ast
import importlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

TOOLS = Path(__file__).parents[1] / "tools"

if not (TOOLS / "bench").exists():
    pytest.skip("the tools are not in this copy of the sources", allow_module_level=True)
pytest.importorskip("rich")
pytest.importorskip("onnxruntime")

sys.path.insert(0, str(TOOLS))
NAMES = ("command", "linear", "losses", "measure", "meter", "peers", "report", "stats", "workers")
command, linear, losses, measure, meter, peers, report, stats, workers = (
    importlib.import_module(f"bench.{name}") for name in NAMES
)

SMALL = ("--size", "6,2,4,2", "--rounds", "2", "--seconds", "0.005", "--threads", "1")
CASE = losses.Case(losses.LOSSES["ctc"], (6, 2, 4, 2), True)

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


# --- the statistics ---


def test_ratios_are_taken_round_by_round() -> None:
    base = [[1.0, 2.0, 9.0], [10.0], [4.0, 4.0]]  # medians 2, 10, 4
    other = [[6.0], [20.0, 10.0, 30.0], [4.0]]  # medians 6, 20, 4
    found = stats.summarize({"lossgraph": base, "other": other}, "lossgraph")
    assert found["other"].ratios == [3.0, 2.0, 1.0]
    assert found["other"].ratio == 2.0
    assert (found["other"].low, found["other"].high) == (1.5, 2.5)
    assert found["other"].medians == [6.0, 20.0, 4.0]
    assert found["other"].median == 6.0
    assert found["other"].minimum == 4.0
    assert found["other"].calls == 5
    assert found["lossgraph"].ratios == [1.0, 1.0, 1.0]
    assert found["lossgraph"].median == 4.0


def test_one_slow_call_or_round_changes_little() -> None:
    rounds = [[1.0, 1.0, 100.0]] * 4 + [[50.0]]
    found = stats.summarize({"lossgraph": [[2.0]] * 5, "other": rounds}, "lossgraph")
    assert found["other"].ratio == 0.5
    assert found["other"].median == 1.0


def test_everybody_is_first_in_turn() -> None:
    orders = ["".join(measure.in_turn("abc", turn)) for turn in range(7)]
    assert orders == ["abc", "bca", "cab", "cba", "acb", "bac", "abc"]


def test_calls_of_a_round_follow_the_time_that_one_takes() -> None:
    assert measure.calls_in(0.2, [0.01, 0.01, 5.0]) == 20
    assert measure.calls_in(0.2, [7.0]) == measure.FEWEST
    assert measure.calls_in(0.2, [1e-9]) == measure.MOST


# --- the comparison of numbers ---


def test_difference_is_relative_to_a_sample() -> None:
    a = np.array([[100.0, 1.0], [1e-3, 0.0]])
    assert measure.difference(a, a) == 0
    assert measure.difference(np.zeros(3), np.zeros(3)) == 0
    for change, apart in (([[0, 0], [0, 1e-4]], 0.1), ([[0, 0.1], [0, 0]], 1e-3)):
        assert measure.difference(a, a + np.array(change)) == pytest.approx(apart, rel=0.01)
    assert measure.difference(a, a[:1]) == math.inf
    assert measure.difference(a, np.full_like(a, math.nan)) == math.inf


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


def test_arrays_are_the_same_in_every_run() -> None:
    first, again = CASE.arrays(), CASE.arrays()
    assert first["logits"].shape == (2, 6, 4)
    assert first["labels"].shape == (2, 2)
    assert first["labels"].max() < 3
    assert all((first[name] == again[name]).all() for name in first)


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


def test_a_peer_that_is_not_there_is_left_out(
    write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    absent = write("absent", start="import no_such_library")
    assert run("--mode", "value", "--add", absent, names="absent") == 0
    printed = capsys.readouterr()
    assert "absent: not installed" in printed.err
    assert "No module named 'no_such_library'" in printed.err
    assert "absent: not installed" in printed.out


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
        env={**os.environ, "PYTHONPATH": str(TOOLS), "TMPDIR": str(temporary)},
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


# --- the parts ---


@pytest.mark.parametrize("pattern", ["__init__.py", "peer.py", "peer_*.py", "worker.py"])
def test_what_workers_import_is_of_python_3_8(pattern: str) -> None:
    for path in TOOLS.glob(f"bench/{pattern}"):
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


def test_ratios_and_times_are_short() -> None:
    assert [report.ratio(x) for x in (0.0123, 0.5, 1.004, 12.34, 123.4)] == [
        "0.012", "0.50", "1.00", "12.3", "123",
    ]  # fmt: skip
    assert [report.duration(x) for x in (1.5, 0.0123, 4.5e-5)] == ["1.5 s", "12.3 ms", "45 µs"]


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


# --- linear layers ---


def test_linear_layers_in_chunks_and_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not Path("/proc/self/clear_refs").exists():
        pytest.skip("memory is measured on Linux")
    sources = {"lossgraph": peers.find_peers()["lossgraph"]}
    monkeypatch.setattr(linear, "find_peers", lambda: sources)
    page = tmp_path / "linear.md"
    options = ("--rounds", "2", "--seconds", "0.001", "--threads", "1", "--markdown", str(page))
    assert linear.main(["--size", "4000,3000,2", *options]) == 0
    assert "plain graph" in capsys.readouterr().out
    rows = [line.split(" | ") for line in page.read_text().splitlines() if "graph" in line]
    (ours, plain) = (int(row[-1].split(" MiB")[0]) for row in rows[:2])
    assert rows[0][3] == "1.00"
    logits = 4 * 4000 * 3000 / 2**20
    assert plain > 2 * logits
    assert ours < 2 * plain / 3


def test_linear_layers_have_to_agree() -> None:
    right = {"loss": np.ones(1), "gradient": np.ones((3, 2))}
    linear.check({"a": right, "b": right})
    with pytest.raises(measure.DisagreementError, match="a and b differ in the gradient by"):
        linear.check({"a": right, "b": {**right, "gradient": np.full((3, 2), 1.1)}})


@pytest.mark.parametrize("wrong", [["--size", "1,2"], ["--size", "1,2,0"], ["--rounds", "0"]])
def test_wrong_options_for_linear_layers(wrong: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        linear.main(wrong)


def test_a_python_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert linear.main(["--lossgraph", "/no/python"]) == 2
    assert "--lossgraph: there is no Python" in capsys.readouterr().err
