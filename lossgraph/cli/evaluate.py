"""``lossgraph evaluate``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..catalogue import lookup
from ..errors import InputError
from .options import (
    Grad,
    Json,
    Loss,
    Set,
    literal,
    names,
    parse_options,
    parse_pairs,
    require_other,
)
from .output import INTERRUPTED, note, print_json
from .run import load_array

NAME = "evaluate"
EXAMPLE = (
    "Example: lossgraph evaluate softmax_ce --data 'preds/*.parquet' --column pred=scores "
    "--column label=y --by country -o report.parquet"
)

_REPORTS = (".parquet", ".arrow", ".csv", ".json", ".html")


def command(
    loss: Loss,
    data: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="Parquet, CSV or Arrow: a file, a folder, a glob in quotes, a URL; repeat.",
        ),
    ] = None,
    sql: Annotated[
        str | None, typer.Option(metavar="QUERY", help="A query of DuckDB instead of --data.")
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT=COLUMN",
            help="What an input is made of: a column, several as a,b or a pattern as logit_*, "
            "which stand side by side; repeat.",
        ),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN,..", help="Columns whose values make groups; repeat."),
    ] = None,
    target: Annotated[
        Path | None,
        typer.Option(
            "-o", metavar="FILE", help="The report: .parquet, .arrow, .csv, .json, .html."
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The report as a page in one file.")
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(metavar="CONDITION", help="Rows that count: \"country == 'de' and n > 3\"."),
    ] = None,
    weights: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Weights of rows, 0 or more.")
    ] = None,
    nulls: Annotated[
        str, typer.Option(help="Rows with a null: refuse them, or skip and count them.")
    ] = "refuse",
    ragged: Annotated[
        str, typer.Option(help="Lists of different lengths: refuse them, or pad them.")
    ] = "refuse",
    classes: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT=NAMES",
            help="Classes of labels that are names, in order: cat,dog or a file .json; repeat.",
        ),
    ] = None,
    set: Set = None,
    shared: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT=VALUE",
            help="An input that all rows share: a number, a list, a file .npy; repeat.",
        ),
    ] = None,
    grad: Grad = None,
    against: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT=COLUMN",
            help="The columns of another model, to compare with; of the first input, COLUMN does.",
        ),
    ] = None,
    interval: Annotated[
        float, typer.Option(help="The level of the interval of the difference, with --against.")
    ] = 0.95,
    resamples: Annotated[
        int, typer.Option(help="How often blocks of rows are drawn for it.", min=1)
    ] = 1000,
    quantiles: Annotated[
        str, typer.Option(metavar="NUMBER,..", help="Which quantiles are told.")
    ] = "0.5,0.9,0.99",
    worst: Annotated[int, typer.Option(help="How many rows with the largest losses to keep.")] = 0,
    keep: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN,..", help="Columns to keep of them, and in --rows; repeat."),
    ] = None,
    histogram: Annotated[
        str | None,
        typer.Option(metavar="BINS|EDGE,..", help="A number of bins, or their edges as 0,1,2.5."),
    ] = None,
    calibration: Annotated[
        bool, typer.Option("--calibration", help="Compare probabilities with what came true.")
    ] = False,
    rows: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The table with its losses beside it: .parquet, .arrow, .csv, or a new folder.",
        ),
    ] = None,
    append: Annotated[
        str, typer.Option(metavar="NAME", help="What the column of losses is called in --rows.")
    ] = "loss",
    batch_by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN,..", help="Rows with equal values are one batch; repeat."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="So many rows after each other are one batch.")
    ] = None,
    remainder: Annotated[
        str, typer.Option(help="Last rows that are fewer: keep them, or drop them.")
    ] = "keep",
    engine: Annotated[
        Literal["local", "ray", "spark"], typer.Option(help="What computes.")
    ] = "local",
    threads: Annotated[
        int | None, typer.Option(min=1, help="How many threads; as many as processors if none.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Keep the state of the run beside -o, and go on with it if it is there.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Evaluate a loss over a table of any size.

    The table is read piece by piece. Printed is a row of statistics for each group, and one of all
    rows; -o, --html and --rows write files, each whole or not at all. Ctrl-C leaves none.
    """
    from .. import tables

    source = _source(data, sql)
    _check_targets(data, target, html, rows)
    state = _state(target) if resume else None
    entry = lookup(loss)
    with _interruptible(state):
        report = tables.evaluate(
            entry.make(parse_options(set)), source, _columns(column, "--column"),
            by=names(by), weights=weights, where=where, grad=names(grad),
            shared=_shared(shared),
            against=_against(against), classes=_classes(classes),
            nulls=nulls, ragged=ragged, quantiles=_numbers("--quantiles", quantiles), worst=worst,
            keep=names(keep), histogram=_histogram(histogram), calibration=calibration,
            rows=rows, append=append, engine=engine, threads=threads, resume=state, progress=None,
            batch_by=names(batch_by), batch_size=batch_size, remainder=remainder,
            interval=interval, resamples=resamples,
        )  # fmt: skip
        files = _written(report, target, html, rows)
    if json:
        print_json(_described(report, files))
        return
    print(report)
    if report.worst is not None and not files:
        print(f"\nworst rows\n{_lines(report.worst)}")
    for file in files:
        note(str(file))


def _source(data: Sequence[str] | None, sql: str | None) -> Any:
    if bool(data) == (sql is not None):
        raise InputError("expected a table: --data PATH or --sql QUERY, and not both")
    if sql is None:
        return list(data or ())
    from ..tables.sources import sql as query

    return query(sql)


def _check_targets(data: Sequence[str] | None, *targets: Path | None) -> None:
    """Refuse what cannot be written before anything is computed."""
    for option, target in zip(("-o", "--html", "--rows"), targets, strict=True):
        if target is None:
            continue
        require_other(option, target, [path for path in data or () if "://" not in path])
        if option != "--rows" and target.is_dir():
            raise InputError(f"{option} {target} is a folder: give the name of a file to write")
    if targets[0] is not None and targets[0].suffix.lower() not in _REPORTS:
        raise InputError(f"-o {targets[0]}: a report is written as one of {', '.join(_REPORTS)}")


def _state(target: Path | None) -> Path:
    if target is None:
        raise InputError("--resume keeps the state of the run beside -o FILE, which is missing")
    return target.with_name(target.name + ".resume")


@contextmanager
def _interruptible(state: Path | None) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        kept = "nothing is written"
        if state is not None and state.exists():
            kept = "--resume goes on"
        note(f"interrupted: {kept}")
        raise typer.Exit(INTERRUPTED) from None


def _written(report: Any, target: Path | None, html: Path | None, rows: Path | None) -> list[Path]:
    files = [rows] if rows else []
    if target:
        files.append(report.write(target))
    if html:
        report.to_html(html)
        files.append(html)
    return files


def _described(report: Any, files: Sequence[Path]) -> dict[str, Any]:
    tables = {name: getattr(report, name) for name in ("worst", "histogram")}
    return {
        "groups": report.table.slice(0, len(report.table) - 1).to_pylist(),
        "total": report.total,
        **{name: None if table is None else table.to_pylist() for name, table in tables.items()},
        "gradients": dict(report.gradients),
        "ran": dict(report.ran),
        "files": list(files),
    }


def _lines(table: Any) -> str:
    from ..tables.report import Report

    return str(Report(table))


# --- texts ---


def _against(texts: Sequence[str] | None) -> Any:
    """The columns of another model: by inputs, or those of the first input alone."""
    if texts and len(texts) == 1 and "=" not in texts[0]:
        return texts[0].split(",") if "," in texts[0] else texts[0]
    return _columns(texts, "--against") or None


def _columns(texts: Sequence[str] | None, option: str) -> dict[str, str | list[str]]:
    """Columns of inputs, several if there are commas."""
    return {
        name: text.split(",") if "," in text else text
        for name, text in parse_pairs(texts, option).items()
    }


def _classes(texts: Sequence[str] | None) -> dict[str, Any] | None:
    pairs = parse_pairs(texts, "--classes")
    return {
        name: text if text.endswith(".json") else text.split(",") for name, text in pairs.items()
    } or None


def _shared(texts: Sequence[str] | None) -> dict[str, Any]:
    """Inputs that all rows share: arrays of files, or numbers and lists of them."""
    return {
        name: load_array("--shared", name, text)
        if any(suffix in text for suffix in (".npy", ".npz"))
        else literal(text)
        for name, text in parse_pairs(texts, "--shared").items()
    }


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",") if number]
    except ValueError:
        raise InputError(f"{option} {text}: expected numbers, like 0.5,0.9") from None


def _histogram(text: str | None) -> int | list[float] | None:
    if text is None:
        return None
    return int(text) if text.isdecimal() else _numbers("--histogram", text)
