"""From what was collected to a report."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from ..errors import InputError
from ..runtime.sessions import onnxruntime
from .against import compared
from .calibration import CALIBRATION, Calibration
from .collected import Collected
from .histogram import BINS, HISTOGRAM, Histogram, of_groups
from .plan import Plan
from .report import Report
from .sources.base import Part
from .statistics import Groups
from .worst import WORST, Worst


def report(
    plan: Plan,
    collected: Collected,
    quantiles: Sequence[float],
    ran: Mapping[str, Any],
    bins: int = BINS,
    parts: Sequence[Part] = (),
) -> Report:
    """The report of a run.

    Args:
        plan: what was asked for.
        collected: of the whole table.
        quantiles: which ones are told.
        ran: what was run, further to what the plan says.
        bins: of the histogram, where the plan does not ask for edges.
        parts: of the table, if the places of rows are of these.
    """
    _require_rows(collected)
    whole = collected.groups.total()
    counts = {"rows": collected.rows, "skipped": collected.skipped}
    histogram, curve = of_groups(whole, bins)
    table, drawn = compared(_with_total(collected.groups, whole, quantiles), collected, plan.by)
    names = HISTOGRAM, CALIBRATION, WORST
    edges, probabilities, worst = (collected.others.get(name) for name in names)
    return Report(
        table,
        plan.by,
        {**described(plan), **counts, **drawn, **ran},
        worst=worst.table(parts) if isinstance(worst, Worst) else None,
        histogram=edges.table() if isinstance(edges, Histogram) else histogram,
        curve=curve,
        calibration=(
            probabilities.reliability() if isinstance(probabilities, Calibration) else None
        ),
        gradients=collected.gradients(),
    )


def _require_rows(collected: Collected) -> None:
    """Refuse a table of which nothing can be told.

    Raises:
        InputError: if there are no rows, or all were skipped.
    """
    if not collected.rows:
        raise InputError("there are no rows: the table is empty, or no row fulfils the condition")
    if collected.rows == collected.skipped:
        raise InputError(f"all of the {collected.rows} rows have nulls: nothing is left")


def described(plan: Plan) -> dict[str, Any]:
    """The loss, its model and the versions that compute it."""
    from .. import __version__

    program = plan.rows.program
    digest = hashlib.sha256(program.to_onnx().SerializeToString(deterministic=True))
    found = {"lossgraph": __version__, "onnxruntime": str(onnxruntime().__version__)}
    return {
        "loss": program.name,
        "options": {name: repr(value) for name, value in program.options.items()},
        "columns": {each.input: list(each.columns) for each in plan.binding.bound},
        "by": list(plan.by),
        "weights": plan.weights,
        "model": digest.hexdigest(),
        "versions": {**found, "pyarrow": pa.__version__, "Python": platform.python_version()},
    }


def _with_total(groups: Groups, whole: Groups, quantiles: Sequence[float]) -> pa.Table:
    """A row for each group, and one of all rows; that one alone where there are no groups."""
    total = whole.summary(quantiles)
    if not groups.by:
        return total
    table = groups.summary(quantiles)
    for i, name in enumerate(groups.by):
        total = total.add_column(i, name, pa.nulls(len(total), table.schema.field(name).type))
    return pa.concat_tables([table, total])
