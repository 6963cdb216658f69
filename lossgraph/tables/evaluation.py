"""A loss over a table: from the call to the report."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ..authoring.block import Block
from ..authoring.functions import as_loss
from ..catalogue import lookup
from ..catalogue.probabilities import Probabilities
from ..errors import InputError
from ..symbolic.arguments import checked
from . import engines
from .against import BOOTSTRAP, LEVEL, RESAMPLES, bootstrap
from .asked import Asked
from .calibration import CALIBRATION, asked_for
from .collected import Collected
from .columns.inputs import inputs_of
from .coupled import asked_batches, batched
from .finish import report
from .histogram import BINS, HISTOGRAM, edges_of
from .plan import plan_of
from .report import Report
from .running import Beside, engine_rows, local_run
from .sources import open_source
from .statistics.summary import require_names
from .worst import WORST, worst_rows

Engine = Literal["local", "ray", "spark"]
ENGINES = ("local", "ray", "spark")


@checked
def evaluate(
    loss: Any,
    source: Any,
    columns: Mapping[str, Any],
    *,
    by: str | Sequence[str] = (),
    weights: str | None = None,
    where: Any = None,
    grad: str | Sequence[str] = (),
    shared: Mapping[str, Any] | None = None,
    against: str | Sequence[str] | Mapping[str, Any] | None = None,
    classes: Mapping[str, Any] | None = None,
    nulls: str = "refuse",
    ragged: str = "refuse",
    quantiles: Sequence[float] = (0.5, 0.9, 0.99),
    worst: int = 0,
    keep: str | Sequence[str] = (),
    histogram: int | Sequence[float] | None = None,
    calibration: bool | int | Probabilities = False,
    interval: float = LEVEL,
    resamples: int = RESAMPLES,
    batch_by: str | Sequence[str] = (),
    batch_size: int | None = None,
    remainder: str = "keep",
    rows: str | os.PathLike[str] | None = None,
    append: str = "loss",
    engine: Engine = "local",
    threads: int | None = None,
    resume: str | os.PathLike[str] | None = None,
    progress: bool | None = False,
) -> Report:
    """The statistics of a loss over a table, for each group of rows and for all of them.

    The table is read piece by piece, so that it may be larger than the memory. Sums are exact, so
    the answer depends neither on how the table is cut nor on which thread or machine computed what.

    Args:
        loss: a loss, a function of F, or the name of a loss of the catalogue.
        source: paths of files (Parquet, CSV, Arrow), folders, globs and lists of them; a table,
            dataset, reader or frame of pyarrow, Polars, pandas, DuckDB; what has the Arrow stream
            interface; with an engine also its own: a dataset of Ray, a frame of Spark.
        columns: what inputs of the loss are made of: a column, a list of columns or a pattern
            such as ``logit_*``, whose columns stand side by side.
        by: the columns whose values make the groups.
        weights: a column of weights of rows, 0 or more.
        where: which rows are read: an expression of pyarrow, or text such as
            ``country == 'de' and year >= 2020``.
        grad: inputs whose gradients are wanted: those of rows are for ``rows``, those of ``shared``
            are summed over the table.
        shared: inputs that all rows share, such as weights of classes or a temperature.
        against: columns of another model in the place of some of ``columns``, to compare with; of
            the first input of the loss if no input is named.
        classes: of labels that are names, the names in the order of the classes, by input.
        nulls: what to do with rows that have a null: ``refuse`` or ``skip``.
        ragged: what to do with lists of different lengths: ``refuse`` or ``pad``.
        quantiles: which quantiles are told.
        worst: how many of the rows with the largest losses are kept.
        keep: columns that are kept of these rows, beside those of groups, and of ``rows``.
        histogram: the edges of its bins, or about how many there are to be.
        calibration: whether to compare predicted probabilities with what came true, or in how many
            bins; for a loss of your own, what ``Probabilities`` its predictions are.
        interval: the level of the interval of the difference, by a bootstrap over blocks of rows:
            see ``against``; it depends on the order of rows, and on how files are cut.
        resamples: how often blocks are drawn for it.
        batch_by: columns that rows of one batch have equal, such as a query, for a loss that
            couples the rows of a batch. Statistics are then of batches, each of which has one loss,
            the mean where that has several elements. Rows of a batch may stand anywhere.
        batch_size: the same for so many rows after each other.
        remainder: what becomes of the last rows if they are fewer: ``keep`` or ``drop``.
        rows: where the rows of the table are written with their losses beside them, in the order of
            the table: a file ``.parquet``, ``.arrow`` or ``.csv``, or a folder (a name without
            suffix) with a file for each file of the table. Gradients of rows are lists. Rows that
            are skipped have null.
        append: what the column of losses is called there.
        engine: what computes: this machine, Ray or Spark.
        threads: how many threads read and compute, or processes of an engine; by default as many as
            there are processors.
        resume: a file for the state of the run: if the run is interrupted, the same call goes on
            with it, to the bits of a run that was not. It is deleted at the end.
        progress: whether to draw a bar on standard error; None for where somebody watches.

    Raises:
        CoupledRowsError: if the loss of a row depends on other rows.
        InputError: for tables that cannot be read, columns that are not there or do not fit, and
            rows that have no loss, with file and row.
    """
    if engine not in ENGINES:
        raise InputError(f"engine: expected one of {', '.join(ENGINES)}, got {engine!r}")
    began = time.perf_counter()
    require_names(_names(by), weights is not None, quantiles)
    beside = Beside(rows, append, resume, progress, {"where": str(where)})
    beside.check()
    batches = asked_batches(_names(batch_by), batch_size, remainder)
    if batches is not None and engine != "local":
        raise InputError(f"batch_by and batch_size: not by engine {engine!r}, but by 'local'")
    if batches is not None and calibration:
        raise InputError("calibration: is of rows, which have no losses of their own in batches")
    if batches is not None and (rows is not None or resume is not None):
        raise InputError("rows and resume: not for batches, whose rows have no losses of their own")
    block = loss_of(loss)
    against = _against(block, columns, against)
    opened = (
        open_source(source, where) if engine == "local" else engines.open_on(engine, source, where)
    )
    collect: dict[str, Asked | None] = {
        BOOTSTRAP: bootstrap(against, opened.parts(), _names(by), resamples, interval),
        HISTOGRAM: edges_of(histogram),
        CALIBRATION: asked_for(block, calibration, weights),
        WORST: worst_rows(worst, _names(keep) if worst or rows is None else (), _names(by)),
    }
    plan = plan_of(
        block, opened.schema, columns, by=_names(by), weights=weights, grad=_names(grad),
        shared=shared, against=against, classes=classes, nulls=nulls, ragged=ragged,
        keep=beside.columns(_names(keep), opened.schema),
        collect={name: each for name, each in collect.items() if each}, batches=batches,
    )  # fmt: skip

    def finished(collected: Collected) -> Report:
        seconds = time.perf_counter() - began
        ran = {"where": None if where is None else str(where), "engine": engine,
               "seconds": seconds, "sources": opened.description}  # fmt: skip
        bins = histogram if isinstance(histogram, int) else BINS
        parts = opened.parts() if batches is None else ()
        return report(plan, collected, quantiles, ran, bins, parts)

    if engine == "local":
        with (
            batched(opened.parts(), plan.batches, plan.columns) as parts,
            local_run(plan, opened, parts, beside, threads) as collected,
        ):
            return finished(collected)
    if resume is not None:
        raise InputError(f"resume: not by engine {engine!r}, which runs again what failed")
    made = finished(engines.run(engine, plan, opened, threads))
    engine_rows(engines.write_rows, engine, plan, opened, beside, threads)
    return made


def _against(
    loss: Block, columns: Mapping[str, Any], against: str | Sequence[str] | Mapping[str, Any] | None
) -> Mapping[str, Any] | None:
    """The columns of another model, by inputs."""
    if against is None or isinstance(against, Mapping):
        return against
    first = next((name for name in inputs_of(loss) if name in columns), "")
    return {first: against}


def loss_of(loss: Any) -> Block:
    """A loss, made of its name if that is what was given."""
    if isinstance(loss, str):
        made: Block = lookup(loss).make()
        return made
    return as_loss(loss)


def _names(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
