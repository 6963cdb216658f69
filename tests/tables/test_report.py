"""Reports: their table, files and texts, and the page, which a browser shows."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from scipy import stats

import lossgraph as lg
from html_outline import Outline
from lossgraph.tables import Report, evaluate
from lossgraph.tables.histogram import of_groups
from lossgraph.tables.page.numbers import shown
from lossgraph.tables.page.render import MOST_GROUPS, interval
from lossgraph.tables.statistics import Groups

ROWS = 3_000


def source(rows: int = ROWS, groups: int = 3) -> pa.Table:
    rng = np.random.default_rng(2)
    scores = rng.normal(scale=2, size=(rows, 3)).astype("float32")
    names = np.array([f"group {i}" for i in range(groups)])
    keys = names[np.arange(rows) % groups]
    return pa.table({
        "scores": pa.FixedSizeListArray.from_arrays(scores.reshape(-1), 3),
        "y": rng.integers(0, 3, rows),
        "key": keys,
        "other": rng.integers(0, 2, rows),
    })  # fmt: skip


@pytest.fixture(scope="module")
def report() -> Report:
    columns = {"input": "scores", "target": "y"}
    found = evaluate(
        lg.nn.CrossEntropyLoss(), source(), columns, by=("key", "other"), calibration=True
    )
    gradients = {"temperature": np.array(0.25), "bias": np.array([1.0, -2.0, 3.0])}
    return dataclasses.replace(found, worst=source(20), gradients=gradients)


def of_values(by: tuple[str, ...] = (), **columns: object) -> Report:
    """A report of losses by the keys of groups."""
    loss = np.asarray(columns.pop("loss"), "float64")
    groups = Groups(by, ("loss",), weighted=False)
    groups.add([pa.array(columns[name]) for name in by], {"loss": loss})
    total = groups.total().summary()
    table = total
    if by:
        table = groups.summary()
        for i, name in enumerate(by):
            total = total.add_column(i, name, pa.nulls(1, table.schema.field(name).type))
        table = pa.concat_tables([table, total])
    histogram, curve = of_groups(groups)
    ran = {"loss": "TheLoss", "options": {}}
    return Report(table, by, ran, histogram=histogram, curve=curve)


# --- the table ---


def test_the_table_has_a_row_for_each_group_and_one_of_all(report: Report) -> None:
    table = report.to_arrow()
    assert table.num_rows == 3 * 2 + 1
    assert table.slice(6).select(["key", "other"]).to_pylist() == [{"key": None, "other": None}]
    assert report.total["rows"] == ROWS
    assert report.total["mean"] == table["mean"][-1].as_py()
    assert set(report.total).isdisjoint(report.by)
    ran = json.loads(table.schema.metadata[b"lossgraph"])
    assert ran["loss"] == "CrossEntropyLoss"
    assert ran["versions"]["lossgraph"] == lg.__version__
    assert re.fullmatch("[0-9a-f]{64}", ran["model"])


def test_files_have_the_table(report: Report, tmp_path: Path) -> None:
    expected = report.to_arrow()
    for name in ("a.parquet", "a.arrow", "a.csv", "a.json", "a.html"):
        assert report.write(tmp_path / name) == tmp_path / name
    assert pyarrow.parquet.read_table(tmp_path / "a.parquet").equals(expected)
    assert pyarrow.feather.read_table(tmp_path / "a.arrow").equals(expected, check_metadata=True)
    with (tmp_path / "a.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["key"] for row in rows] == [key or "" for key in expected["key"].to_pylist()]
    assert [float(row["mean"]) for row in rows] == expected["mean"].to_pylist()
    found = json.loads((tmp_path / "a.json").read_text())
    assert [row["mean"] for row in found["groups"]] == expected["mean"].to_pylist()[:-1]
    assert found["total"]["mean"] == report.total["mean"]
    assert found["calibration"]["expected_error"] == report.calibration.expected_error
    assert found["gradients"] == {"temperature": 0.25, "bias": [1.0, -2.0, 3.0]}
    assert found["histogram"] == json.loads(json.dumps(report.histogram.to_pylist()))
    assert (tmp_path / "a.html").read_text() == report.to_html()
    assert len(list(tmp_path.iterdir())) == 5


def test_json_has_no_numbers_that_json_has_not(tmp_path: Path) -> None:
    path = of_values(loss=[np.nan, np.inf, 1.0]).write(tmp_path / "a.json")

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    found = json.loads(path.read_text(), parse_constant=refuse)
    assert found["total"]["mean"] == "nan"
    assert found["total"]["max"] == "inf"


@pytest.mark.parametrize("name", ["a", "a.txt", "a.xlsx"])
def test_other_suffixes_are_refused(report: Report, name: str, tmp_path: Path) -> None:
    with pytest.raises(lg.InputError, match=r"\.parquet, \.arrow, \.csv, \.json, \.html"):
        report.write(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_leaves_nothing(report: Report, tmp_path: Path) -> None:
    (tmp_path / "a.parquet").mkdir()
    with pytest.raises(lg.InputError, match="is a folder"):
        report.write(tmp_path / "a.parquet")
    with pytest.raises(lg.InputError, match="is a folder"):
        report.to_html(tmp_path / "a.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_columns_that_a_file_cannot_have_are_refused(tmp_path: Path) -> None:
    found = of_values(("key",), key=[[1, 2], [3]], loss=[1.0, 2.0])
    assert found.write(tmp_path / "a.parquet").is_file()
    with pytest.raises(lg.InputError, match=r"a\.csv: \.csv has no place for a column"):
        found.write(tmp_path / "a.csv")
    assert len(list(tmp_path.iterdir())) == 1


# --- texts ---


def test_a_text_is_a_table(report: Report) -> None:
    lines = str(report).splitlines()
    assert lines[0].split()[:3] == ["key", "other", "rows"]
    assert len(lines) == 1 + 6 + 1
    assert lines[-1].startswith("all")
    assert repr(report).startswith("<Report of CrossEntropyLoss: mean 1")
    assert repr(report).endswith(", 6 groups>")
    assert "<b>CrossEntropyLoss</b>" in report._repr_html_()


def test_long_tables_say_what_they_leave_out() -> None:
    found = of_values(("key",), key=np.arange(500), loss=np.ones(500))
    assert str(found).splitlines()[-1] == "480 more groups, of 500"
    assert "480 more groups, of 500" in found._repr_html_()


def test_figures_that_say_nothing_are_left_out() -> None:
    assert "nan" not in str(of_values(loss=[1.0]))
    assert "nan" in str(of_values(loss=[1.0, np.nan]))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"), (True, "true"), (12, "12"), (12345, "12,345"), (0.1234567, "0.12346"),
        (2.0, "2"), (float("nan"), "NaN"), (float("-inf"), "-∞"), (1e300, "1e+300"),
        ([1.0, 2.5], "[1, 2.5]"), (list(range(20)), "[0, 1, 2, 3, 4, 5, 6, 7, … 12 more]"),
        ({"a": 1.5}, "{a: 1.5}"), (b"\x01\xff", "01ff"), ("x" * 200, "x" * 119 + "…"),
        (np.float32(0.25), "0.25"), (np.int8(3), "3"), (np.bool_(False), "false"),
    ],
)  # fmt: skip
def test_values_as_texts(value: object, text: str) -> None:
    assert shown(value) == text


def test_intervals_are_those_of_students_distribution() -> None:
    values = np.random.default_rng(0).normal(size=7)
    found = interval(values.mean(), stats.sem(values), 7)
    low, high = stats.t.interval(0.95, 6, values.mean(), stats.sem(values))
    np.testing.assert_allclose((found.low, found.high), (low, high), rtol=1e-12)
    assert np.isnan(interval(1.0, None, 1).low)
    assert np.isnan(interval(None, None, 0).mean)


# --- the page ---


def test_a_page_is_whole_and_asks_for_nothing(report: Report) -> None:
    text = report.to_html()
    outline = Outline(text)
    assert outline.headings == [
        "CrossEntropyLoss", "Groups", "Distribution", "Calibration", "Rows with the largest losses",
        "Gradients by what rows share", "What was run", "Sources",
    ]  # fmt: skip
    assert outline.asked == []
    assert not re.search(r"@import|url\(|<script|<link|javascript:", text)
    assert text == report.to_html()
    (rows,) = [row for row in outline.tables if row[:2] == ["all", "all"]]
    assert rows[2] == shown(ROWS)
    assert rows[3] == shown(report.total["mean"])
    assert text.count('<svg class="interval"') == 1 + 7
    assert f"Expected calibration error {report.calibration.expected_error * 100:.3g}%" in text


def test_everything_is_escaped() -> None:
    bad = '</main><script>alert("1")</script>&'
    found = of_values((bad,), **{bad: [bad, bad, None] * 4, "loss": np.arange(12.0)})
    table = pa.table({bad: [bad, [bad][0]], "list": [[bad], [bad]]})
    ran = {"loss": bad, "options": {bad: bad}, bad: bad, "sources": [{"path": bad, bad: bad}]}
    hostile = dataclasses.replace(
        found, ran=ran, worst=table, gradients={bad: np.ones((2, 2))}
    )  # fmt: skip
    for text in (hostile.to_html(), f"<main></main>{hostile._repr_html_()}"):
        Outline(text)
        assert "<script" not in text
        assert text.count("</main>") == 1
        assert 'alert("1")' not in text
        assert "&lt;script&gt;" in text


def test_many_groups_are_named_as_left_out() -> None:
    count = 10_000
    rng = np.random.default_rng(1)
    keys = np.concatenate([np.arange(count), rng.integers(0, MOST_GROUPS // 2, 20_000)])
    found = of_values(("key",), key=keys, loss=rng.exponential(size=len(keys)))
    text = found.to_html()
    outline = Outline(text)
    assert "Shown are the 200 groups with the most rows; 9800 smaller ones are left out" in text
    named = [row[0] for row in outline.tables if len(row) > 5][2:]
    assert named == [str(i) for i in range(MOST_GROUPS)]  # of one row the first ones
    assert "Means by numbers of rows" in outline.headings
    assert len(text) < 500_000


def test_a_group_of_one_row_and_one_without_a_key() -> None:
    found = of_values(("key",), key=["a", None, None], loss=[1.0, 2.0, 4.0])
    rows = Outline(found.to_html()).tables
    assert [row[:3] for row in rows[1:4]] == [
        ["all", "3", "2.3333"], ["a", "1", "1"], ["null", "2", "3"],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        ([], "0 rows, none of which counts"),
        ([0.5], "mean 0.5 over 1 row"),
        ([np.nan, 1.0], "mean NaN over 2 rows"),
        ([np.inf], "mean ∞ over 1 row"),
        ([np.inf, -np.inf], "mean NaN over 2 rows"),
        ([0.0] * 5, "mean 0 ± 0 over 5 rows"),
        ([1e-300, 1e300], "over 2 rows"),
        ([-1e308, 1e308], "over 2 rows"),
        (np.exp(np.linspace(-30, 9, 400)), "on a logarithmic axis"),
        (np.append(np.exp(np.linspace(-30, 9, 400)), 0.0), "on a logarithmic axis"),
    ],
)
def test_unusual_losses_have_a_page(loss: object, said: str) -> None:
    text = of_values(loss=loss).to_html()
    Outline(text)
    assert said in text
    for attribute in re.findall(r' (?:d|x|y|cx|cy|width|height)="([^"]*)"', text):
        assert "nan" not in attribute
        assert "inf" not in attribute


def test_models_that_are_compared_have_intervals_of_the_difference() -> None:
    found = of_values(("key",), key=["a", "b"] * 5, loss=np.arange(10.0))
    table = found.table
    for name, value in {"difference": 0.5, "difference_low": -0.1, "difference_high": 1.1}.items():
        table = table.append_column(name, pa.array([value] * len(table)))
    text = dataclasses.replace(found, table=table).to_html()
    assert text.count('<svg class="interval"') == 2 * (1 + 3)
    assert "0.5, from -0.1 to 1.1" in text
    columns = {"pred": "y", "label": "other"}
    found = evaluate("l2", source(), columns, against={"pred": "other"}, by="key")
    assert found.to_html().count('<svg class="interval"') == 2 * (1 + 4)


def test_calibration_of_a_loss_that_is_not_proper() -> None:
    table = pa.table({"x": [0.5, -1.0, 2.0], "y": [1.0, 0.0, 1.0]})
    found = evaluate("losses.sigmoid_focal", table, {"logits": "x", "labels": "y"}, calibration=4)
    assert found.calibration.table["count"].to_pylist() == [1, 1, 1]
    assert "not least for the true probabilities" in found.to_html()


def test_calibration_and_edges_of_a_call() -> None:
    columns = {"input": "scores", "target": "y"}
    found = evaluate(
        lg.nn.CrossEntropyLoss(),
        source(),
        columns,
        calibration=True,
        histogram=[0, 1, 2],
        threads=2,
    )
    values = lg.nn.CrossEntropyLoss(reduction="none")(
        np.stack(source()["scores"].to_pylist()).astype("float32"), source()["y"].to_numpy()
    )
    expected = [(values <= 1).sum(), ((values > 1) & (values <= 2)).sum(), (values > 2).sum()]
    assert found.histogram["count"].to_pylist() == expected
    assert found.calibration.table["count"].to_numpy().sum() == ROWS
    with pytest.raises(lg.InputError, match="L1Loss has no probabilities"):
        evaluate("l1", source(), {"pred": "y", "label": "other"}, calibration=True)
    own = lg.tables.Probabilities("input", "target", "softmax", "class", 1)
    loss = lg.renamed(lg.nn.CrossEntropyLoss(), input="scores")
    mine = dataclasses.replace(own, predictions="scores")
    other = evaluate(loss, source(), {"scores": "scores", "target": "y"}, calibration=mine)
    assert other.calibration == found.calibration


def test_without_jinja2_the_extra_is_named(
    report: Report, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(lg.InputError, match=r"pip install 'lossgraph\[html\]'"):
        report.to_html(tmp_path / "a.html")
    assert list(tmp_path.iterdir()) == []


# --- in a browser ---


@pytest.mark.once
@pytest.mark.parametrize(("scheme", "width"), [("light", 1250), ("dark", 360)])
def test_a_browser_shows_it(browser, report, scheme, width, tmp_path) -> None:
    report.to_html(tmp_path / "page.html")
    shown = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
    said, asked = [], []
    shown.on("console", lambda message: said.append(message.text))
    shown.on("request", lambda request: asked.append(request.url))
    shown.goto((tmp_path / "page.html").as_uri())
    assert (said, len(asked)) == ([], 1)
    # nothing makes the page wider than the screen
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    # text and marks differ from the ground
    ground = {"light": "rgb(255, 255, 255)", "dark": "rgb(18, 18, 18)"}[scheme]
    assert shown.eval_on_selector("body", "e => getComputedStyle(e).backgroundColor") == ground
    ink = {"light": "rgb(0, 0, 0)", "dark": "rgb(255, 255, 255)"}[scheme]
    assert shown.eval_on_selector("svg text", "e => getComputedStyle(e).fill") == ink
    accent = {"light": "rgb(0, 114, 178)", "dark": "rgb(86, 180, 233)"}[scheme]
    assert shown.eval_on_selector("svg rect", "e => getComputedStyle(e).fill") == accent
    # no text of a chart is cut off, none lies on another
    wrong = shown.evaluate("""() => [...document.querySelectorAll('svg')].flatMap(svg => {
        const box = svg.getBoundingClientRect();
        const texts = [...svg.querySelectorAll('text')].map(t => [t, t.getBoundingClientRect()]);
        return texts.filter(([t, a], i) => a.left < box.left - 1 || a.right > box.right + 1
                || a.top < box.top - 1 || a.bottom > box.bottom + 1
                || texts.slice(i + 1).some(([u, b]) => a.left < b.right - 1 && b.left < a.right - 1
                    && a.top < b.bottom - 3 && b.top < a.bottom - 3))
            .map(([t]) => t.textContent); })""")
    assert wrong == []
    # the titles of the groups stay in sight
    sticky = "e => getComputedStyle(e).position"
    assert shown.eval_on_selector(".keys thead th", sticky) == "sticky"
    shown.close()
