"""What a report has, as the template takes it: texts, which it escapes, and charts."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from ... import __version__
from ...ir.pages import environment, markup
from ..calibration import Reliability
from ..histogram import SCALE
from . import charts
from .charts import Interval
from .numbers import percent, real, shown, whole

Array = np.ndarray[Any, Any]

MOST_GROUPS = 200
MOST_ROWS = 50  # of the rows with the largest losses
MOST_COLUMNS = 40
MOST_FILES = 100
_MOST_DOTS_WITH_NAMES = 60
_FEWEST_FOR_FUNNEL = 8
_LEVEL = 0.95  # of intervals

_TEMPLATES = Path(__file__).parent / "templates"


class Grid(NamedTuple):
    """A table: titles, whether a column has numbers, and rows of texts and charts."""

    head: Sequence[Any]
    numeric: Sequence[bool]
    rows: Sequence[Sequence[Any]]
    left_out: str = ""


def page(
    table: pa.Table,
    by: Sequence[str],
    ran: Mapping[str, Any],
    worst: pa.Table | None = None,
    histogram: pa.Table | None = None,
    curve: pa.Table | None = None,
    calibration: Reliability | None = None,
    gradients: Mapping[str, Array] | None = None,
) -> str:
    """The page of a report.

    Args:
        table: a row for each group, and one of all rows at the end.
        by: the columns of groups.
        ran: what was run; ``loss`` is the title.
        worst: the rows with the largest losses.
        histogram: bins with ``low``, ``high`` and ``count``.
        curve: values, and the ``share`` of rows up to each ``value``.
        calibration: how far probabilities came true.
        gradients: of the mean by inputs that all rows share.

    Raises:
        InputError: if Jinja2 is not installed.
    """
    template = environment(_TEMPLATES).get_template("report.html")
    total = table.slice(len(table) - 1).to_pylist()[0]
    return template.render(
        title=str(ran.get("loss", "loss")),
        summary=_summary(total),
        facts=list(_facts(total, calibration)),
        groups=_groups(table, by, total),
        funnel=markup(_funnel(table, by, total)),
        comparison=bool(_compared(table)),
        distribution=_distribution(histogram, curve, total),
        quantiles=_quantiles(total),
        worst=None if worst is None else _worst(worst),
        calibration=None if calibration is None else _calibration(calibration),
        gradients=[(name, *_gradient(array)) for name, array in (gradients or {}).items()],
        ran=list(_ran(ran)),
        files=_files(ran.get("sources", ())),
        version=__version__,
    )


# --- the whole ---


def interval(mean: float | None, error: float | None, count: float) -> Interval:
    """The mean and its 95% interval, by Student's t distribution."""
    if mean is None:
        return Interval(math.nan, math.nan, math.nan)
    if error is None or not math.isfinite(error) or count < 2:
        return Interval(math.nan, mean, math.nan)
    from scipy.special import stdtrit

    reach = float(stdtrit(count - 1, (1 + _LEVEL) / 2)) * error
    return Interval(mean - reach, mean, mean + reach)


def _interval_of(row: Mapping[str, Any]) -> Interval:
    return interval(row["mean"], row.get("standard_error"), row.get("count") or 0)


def _summary(total: Mapping[str, Any]) -> str:
    found = _interval_of(total)
    rows = f"{whole(total['rows'])} {'row' if total['rows'] == 1 else 'rows'}"
    if math.isnan(found.mean) and total["mean"] is None:
        return f"{rows}, none of which counts"
    if math.isnan(found.low):
        return f"mean {real(found.mean)} over {rows}"
    return f"mean {real(found.mean)} ± {real(found.high - found.mean, 2)} over {rows}"


def _facts(total: Mapping[str, Any], calibration: Reliability | None) -> Iterator[tuple[str, str]]:
    """The figures of all rows that are read first."""
    names = {
        "mean": "mean", "q50": "median", "q99": "99% at most", "max": "largest",
        "difference": "difference", "difference_mean": "difference",
    }  # fmt: skip
    yield "rows", whole(total["rows"])
    for key, title in {"count": "rows that count", "weight": "sum of weights"}.items():
        if total.get(key) not in (None, total["rows"]):
            yield title, shown(total[key])
    for key, title in names.items():
        if total.get(key) is not None:
            yield title, shown(total[key])
    for key in ("nan", "infinite"):
        if total.get(key):
            yield f"losses that are {'NaN' if key == 'nan' else key}", whole(total[key])
    if calibration is not None and calibration.expected_error is not None:
        yield "calibration error", percent(calibration.expected_error)


# --- groups ---


def _groups(table: pa.Table, by: Sequence[str], total: Mapping[str, Any]) -> Grid | None:
    """The groups with bars of their intervals, all rows first."""
    names = [name for name in table.column_names if name not in by and tells(table, name)]
    names.sort(key=lambda name: name not in _FIRST)  # a comparison is read beside the mean
    chosen = _most_rows(table)
    rows = [total, *chosen.to_pylist()] if by else [total]
    bars = {"mean": [_interval_of(row) for row in rows]}
    if compared := _compared(table):
        bars[compared] = [_difference(row, compared) for row in rows]
    marked = {name: found[0].mean if name == "mean" else 0.0 for name, found in bars.items()}
    axes = {
        name: charts.interval_axis(found[1:], found[0], marked[name])
        for name, found in bars.items()
    }
    head: list[Any] = list(by)
    for name in names:
        head.append(name.replace("_", " "))
        if name in bars:
            head.append(markup(charts.interval_scale(axes[name])))
    lines = []
    for i, row in enumerate(rows):
        line = [_key(row, name, i == 0) for name in by]
        for name in names:
            line.append(_figure(row[name]))
            if name in bars:
                line.append(markup(charts.interval_cell(bars[name][i], axes[name], marked[name])))
        lines.append(line)
    left = len(table) - 1 - len(chosen)
    words = (
        f"Shown are the {whole(len(chosen))} groups with the most rows; {whole(left)} smaller ones "
        "are left out here and stand in the report's table."
    )
    return Grid(
        head, [False] * len(by) + [True] * (len(head) - len(by)), lines, words if left else ""
    )


def tells(table: pa.Table, name: str) -> bool:
    """Whether a column says something that others do not."""
    column = table[name]
    if name in ("count", "weight"):
        return not np.array_equal(column.to_numpy(), table["rows"].to_numpy())
    if name == "nan" or name == "infinite" or name.endswith(("_nan", "_infinite")):
        return bool(np.any(column.to_numpy()))
    return True


_DIFFERENCES = ("difference", "difference_mean")
_FIRST = ("rows", "count", "weight", "mean", "against_mean", *_DIFFERENCES,
          "difference_low", "difference_high")  # fmt: skip


def _compared(table: pa.Table) -> str:
    """The column of the difference of two models, if they are compared."""
    return next((name for name in _DIFFERENCES if name in table.column_names), "")


def _difference(row: Mapping[str, Any], name: str) -> Interval:
    """The difference with the interval that is in the table, or one by its standard error."""
    low, high = row.get("difference_low"), row.get("difference_high")
    if low is not None and high is not None and row[name] is not None:
        return Interval(low, row[name], high)
    return interval(row[name], row.get("difference_standard_error"), row.get("count") or 0)


def _most_rows(table: pa.Table) -> pa.Table:
    """The groups with the most rows, in the order of the table."""
    groups = table.slice(0, len(table) - 1)
    if len(groups) <= MOST_GROUPS:
        return groups
    order = np.argsort(-groups["rows"].to_numpy(), kind="stable")[:MOST_GROUPS]
    return groups.take(np.sort(order))


def _key(row: Mapping[str, Any], name: str, is_total: bool) -> Any:
    if is_total:
        return markup("<b>all</b>")
    value = row[name]
    return markup('<i class="quiet">null</i>') if value is None else _text(value)


def _text(value: Any) -> str:
    """A key: numbers as they are, because they are names."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else shown(value)


def _figure(value: Any) -> str:
    return "" if value is None else shown(value)


def _funnel(table: pa.Table, by: Sequence[str], total: Mapping[str, Any]) -> str:
    groups = table.slice(0, len(table) - 1)
    if len(groups) < _FEWEST_FOR_FUNNEL or total["mean"] is None:
        return ""
    count = groups["count" if "count" in table.column_names else "rows"].to_numpy()
    mean = groups["mean"].to_numpy(zero_copy_only=False).astype("float64")
    with np.errstate(invalid="ignore"):
        surprise = np.nan_to_num(np.abs(mean - total["mean"]) * np.sqrt(count), nan=-1.0)
    named = np.argsort(-surprise, kind="stable")[:_MOST_DOTS_WITH_NAMES]
    keys = groups.select(list(by)).take(pa.array(named)).to_pylist()
    names = {i: _name_of(key, mean[i]) for i, key in zip(named.tolist(), keys, strict=True)}
    points = [
        (n, value, names.get(i, ""))
        for i, (n, value) in enumerate(zip(count.tolist(), mean.tolist(), strict=True))
    ]
    error = total.get("standard_error")
    return charts.funnel(
        points, total["mean"], math.nan if error is None else error, total.get("count") or 0
    )


def _name_of(keys: Mapping[str, Any], mean: float) -> str:
    return f"{', '.join(f'{key} {_text(value)}' for key, value in keys.items())}: {real(mean)}"


# --- the distribution ---


class Distribution(NamedTuple):
    """Charts of how large losses are, and what they do not show."""

    histogram: Any
    cumulative: Any
    log: bool


def _distribution(
    histogram: pa.Table | None, curve: pa.Table | None, total: Mapping[str, Any]
) -> Distribution | None:
    if histogram is None or not len(histogram):
        return None
    log = (histogram.schema.metadata or {}).get(SCALE) == b"log"
    columns = (histogram[name].to_pylist() for name in ("low", "high", "count"))
    bins = [charts.Bin(*each) for each in zip(*columns, strict=True)]
    marks = [(name, total[key]) for key, name in _MARKS.items() if total.get(key) is not None]
    drawn = charts.histogram(bins, log, marks)
    if not drawn:
        return None
    cumulative = ""
    shown_bins = [b for b in bins if math.isfinite(b.low + b.high) and (b.low > 0 or not log)]
    if curve is not None and shown_bins:
        points = list(zip(curve["value"].to_pylist(), curve["share"].to_pylist(), strict=True))
        ends = shown_bins[0].low, shown_bins[-1].high
        cumulative = charts.cumulative(points, log, *ends)
    return Distribution(markup(drawn), markup(cumulative), log)


_MARKS = {"mean": "mean", "q50": "median", "q90": "90%", "q99": "99%"}


def _quantiles(total: Mapping[str, Any]) -> Grid | None:
    names = ["min", *(n for n in total if n[:1] == "q" and n[1:].replace(".", "").isdigit()), "max"]
    found = [name for name in names if total.get(name) is not None]
    if not found:
        return None
    titles = [f"{name[1:]}%" if name[0] == "q" else name for name in found]
    return Grid(titles, [True] * len(found), [[shown(total[name]) for name in found]])


# --- rows ---


def _worst(worst: pa.Table) -> Grid:
    names = worst.column_names[:MOST_COLUMNS]
    rows = worst.select(names).slice(0, MOST_ROWS).to_pylist()
    numeric = [_is_number(worst.schema.field(name).type) for name in names]
    left = [
        f"{whole(count)} more {what}"
        for count, what in (
            (len(worst) - len(rows), "rows"),
            (worst.num_columns - len(names), "columns"),
        )
        if count
    ]
    words = f"Left out here: {' and '.join(left)}." if left else ""
    return Grid(names, numeric, [[shown(row[name]) for name in names] for row in rows], words)


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_))


# --- calibration ---


def _calibration(found: Reliability) -> dict[str, Any]:
    table = found.table
    names = ("low", "high", "confidence", "frequency", "standard_error", "count")
    columns = [table[name].to_pylist() for name in names] if len(table) else []
    bins = [
        charts.Reliability(*(math.nan if x is None else x for x in each))
        for each in zip(*columns, strict=True)
    ]
    head = [name.replace("_", " ") for name in table.column_names]
    rows = [[_figure(value) for value in row.values()] for row in table.to_pylist()]
    return {
        "drawing": markup(charts.reliability(bins)) if bins else "",
        "expected": None if found.expected_error is None else percent(found.expected_error),
        "maximum": None if found.maximum_error is None else percent(found.maximum_error),
        "unknown": whole(found.unknown) if found.unknown else "",
        "kind": found.kind,
        "proper": found.proper,
        "bins": Grid(head, [True] * len(head), rows),
    }


# --- what was run ---


def _gradient(array: Array) -> tuple[str, str]:
    shape = "×".join(map(str, array.shape)) or "a number"
    return shape, shown(array.reshape(-1).tolist()) if array.ndim else real(float(array))


def _ran(ran: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was run as lines of a name and a text; files stand by themselves."""
    for key, value in ran.items():
        if key == "sources" or value is None or value in ({}, (), []):
            continue
        yield _TITLES.get(key, key.replace("_", " ")), _said(value)
    if ran.get("seconds") and ran.get("rows"):
        yield "rows a second", whole(round(ran["rows"] / ran["seconds"]))


_TITLES = {"model": "model, SHA-256"}


def _said(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_said(each)}" for key, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_said(each) for each in value)
    return str(value) if isinstance(value, str) else shown(value)


def _files(sources: Sequence[Mapping[str, Any]]) -> Grid | None:
    if not sources:
        return None
    some = sources[:MOST_FILES]
    names = list(dict.fromkeys(itertools.chain.from_iterable(some)))
    rows = [[_figure_or_text(each.get(name)) for name in names] for each in some]
    numeric = [isinstance(some[0].get(name), int | float) for name in names]
    words = ""
    if len(sources) > len(some):
        words = f"Shown are the first {len(some)} of {whole(len(sources))}."
    return Grid(names, numeric, rows, words)


def _figure_or_text(value: Any) -> str:
    return value if isinstance(value, str) else _figure(value)
