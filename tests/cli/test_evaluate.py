"""``lossgraph evaluate``: reports, rows and refusals of a table, as a user sees them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from command_line import call, ok, refused

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

ROWS = 3000
RNG = np.random.default_rng(5)
SCORES = RNG.normal(size=(ROWS, 3)).astype("f")
LABELS = RNG.integers(0, 3, ROWS)
TABLE = pa.table(
    {
        "country": RNG.choice(["de", "fr"], ROWS), "y": LABELS, "w": RNG.uniform(0, 1, ROWS),
        "scores": pa.FixedSizeListArray.from_arrays(pa.array(SCORES.ravel()), 3),
        "name": pa.array(np.array(["cat", "dog", "owl"])[LABELS]), "text": ["a"] * ROWS,
    }
)  # fmt: skip
WIDE = SCORES.astype("d")
LOSSES = np.log(np.exp(WIDE).sum(1)) - WIDE[np.arange(ROWS), LABELS]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "preds").mkdir()
    for i in range(3):
        parquet.write_table(TABLE.slice(1000 * i, 1000), tmp_path / "preds" / f"{i}.parquet")
    return tmp_path


def evaluate(*more, data="preds/*.parquet", column=("pred=scores", "label=y")):
    columns = [text for each in column for text in ("--column", each)]
    return ["evaluate", "softmax_ce", "--data", data, *columns, *more]


def test_a_report_is_printed_and_written(folder):
    printed = ok(*evaluate("--by", "country", "-o", "report.parquet"))
    table = parquet.read_table("report.parquet")
    assert table["country"].to_pylist() == ["de", "fr", None]
    assert table["mean"][-1].as_py() == pytest.approx(LOSSES.mean(), rel=1e-6)
    assert [line.split()[0] for line in printed.splitlines()] == ["country", "de", "fr", "all"]
    assert sorted(os.listdir()) == ["preds", "report.parquet"]


def test_everything_at_once(folder):
    described = json.loads(
        ok(
            *evaluate(column=("pred=scores", "label=name")), "--classes", "label=cat,dog,owl",
            "--where", "country == 'de'", "--weights", "w", "--worst", 2, "--keep", "name",
            "--quantiles", "0.25", "--histogram", "0,1,2", "--calibration", "--threads", 2,
            "--rows", "rows.csv", "--append", "ce", "--html", "page.html", "-o", "r.json", "--json",
        )
    )  # fmt: skip
    kept = np.array(TABLE["country"]) == "de"
    right = np.average(LOSSES[kept], weights=np.array(TABLE["w"])[kept])
    assert described["total"]["mean"] == pytest.approx(right, rel=1e-6)
    assert [row["loss"] for row in described["worst"]] == pytest.approx(
        sorted(LOSSES[kept])[:-3:-1], rel=1e-6
    )
    assert described["files"] == ["rows.csv", "r.json", "page.html"]
    with open("rows.csv") as file:
        assert file.readline() == '"name","ce"\n'
    assert "q25" in described["total"]


def test_a_query_is_a_table(folder):
    pytest.importorskip("duckdb")
    query = "select scores, y from 'preds/*.parquet' where y < 2"
    columns = ["--column", "pred=scores", "--column", "label=y"]
    described = json.loads(ok("evaluate", "softmax_ce", "--sql", query, *columns, "--json"))
    assert described["total"]["mean"] == pytest.approx(LOSSES[LABELS < 2].mean(), rel=1e-6)


def broken(folder):
    whole = (folder / "preds" / "1.parquet").read_bytes()
    (folder / "broken.parquet").write_bytes(whole[:-100])
    parquet.write_table(TABLE.slice(0, 0), folder / "empty.parquet")
    label = pa.array([None] * ROWS, pa.int64())
    parquet.write_table(TABLE.set_column(1, "y", label), folder / "nulls.parquet")
    outside = pa.array(np.where(np.arange(ROWS) == 1234, 99, LABELS))
    parquet.write_table(TABLE.set_column(1, "y", outside), folder / "outside.parquet")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"column": ("pred=score", "label=y")}, "did you mean 'scores'"),
        ({"column": ("pred=text", "label=y")}, "column 'text'"),
        ({"column": ("pred=scores",)}, "label"),
        ({"data": "broken.parquet"}, "broken.parquet"),
        ({"data": "empty.parquet"}, "the table is empty"),
        ({"data": "nulls.parquet"}, "column 'y' is null"),
        ({"data": "outside.parquet"}, "row 1234"),
        ({"data": "nothing/*.parquet"}, "nothing/*.parquet"),
        ({"data": "memory://nobody/there.parquet"}, "there.parquet"),
        ({"more": ("--where", "countri == 'de'")}, "countri"),
        ({"more": ("--by", "land")}, "land"),
        ({"more": ("--quantiles", "many")}, "--quantiles many"),
        ({"more": ("--shared", "weight=no.npy")}, "no.npy"),
        ({"more": ("--resume",), "target": None}, "-o FILE"),
        ({"more": (), "target": "r.doc"}, "r.doc"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(folder, change, said):
    broken(folder)
    before = sorted(os.listdir())
    options = {"more": (), "target": "r.parquet", **change}
    more, target = options.pop("more"), options.pop("target")
    written = ["-o", target, "--rows", "rows.parquet"] if target else []
    line = refused(*evaluate(*more, **options), *written)
    assert line.startswith("Error: ")
    assert line.count("\n") == 1
    assert said in line
    assert sorted(os.listdir()) == before


def test_what_is_read_is_not_written_over(folder):
    data = "preds/1.parquet"
    for option in ("-o", "--rows"):
        assert "is read" in refused(*evaluate(option, data, data=data))


def test_ctrl_c_leaves_nothing(folder):
    """A table that takes long: the same file many times, with rows to write."""
    table = pa.concat_tables([TABLE] * 700)
    for i in range(4):
        parquet.write_table(table, folder / f"big{i}.parquet", row_group_size=100_000)
    # As a terminal starts it: a shell lets its background processes ignore Ctrl-C.
    heeds = "import runpy, signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [
        sys.executable,
        "-c",
        heeds + "runpy.run_module('lossgraph', run_name='__main__', alter_sys=True)",
    ]
    command += [*evaluate("--rows", "rows.parquet"), "--data", "big*.parquet", "-o", "r.json"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not any(path.name.startswith(".rows") for path in folder.iterdir()):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert said == "interrupted: nothing is written\n"
    assert not [name for name in os.listdir() if "rows" in name or name.endswith(".json")]


def test_an_interrupted_run_goes_on(folder, monkeypatch):
    from lossgraph.tables import local

    run = local.run

    def stopping(plan, parts, **options):
        if options["first_part"]:
            raise KeyboardInterrupt
        return run(plan, parts, **options)

    with monkeypatch.context() as patched:
        patched.setattr(local, "run", stopping)
        result = call(*evaluate("-o", "r.csv", "--resume", "--threads", 1))
    assert result.exit_code == 130
    assert result.stderr == "interrupted: --resume goes on\n"
    assert sorted(os.listdir()) == ["preds", "r.csv.resume"]
    ok(*evaluate("-o", "r.csv", "--resume", "--threads", 1))
    ok(*evaluate("-o", "right.csv"))
    assert (folder / "r.csv").read_text() == (folder / "right.csv").read_text()
    assert sorted(os.listdir()) == ["preds", "r.csv", "right.csv"]
