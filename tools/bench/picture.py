"""The ratios as a picture: a row for each loss and size, a dot for each peer."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import report
from .peers import BASE

COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")  # told apart by all
MARKS = "osD^vP"
NOT_RIVALS = {"itself": ("black", "x"), "bound": ("#888888", "|")}
TICKS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200)


def draw(run: report.Run, results: Sequence[report.Result], path: Path) -> None:
    """Write a PNG, with a panel for values and one for values and gradients."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    kinds = [kind for kind in (False, True) if any(r.case.gradient == kind for r in results)]
    rows = list(dict.fromkeys((r.case.loss.title, report.sizes(r.case)) for r in results))
    figure, panels = pyplot.subplots(
        1, len(kinds), figsize=(2.6 + 4.8 * len(kinds), 1.9 + 0.25 * len(rows)),
        sharex=True, sharey=True, squeeze=False, layout="constrained",
    )  # fmt: skip
    for panel, kind in zip(panels[0], kinds, strict=True):
        of_kind = [result for result in results if result.case.gradient == kind]
        _panel(panel, run, of_kind, rows)
        panel.set_title("value and gradient" if kind else "value", loc="left", fontsize=11)
    _name_rows(panels[0][0], rows)
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper left", ncols=4, frameon=False, fontsize=9)
    figure.supxlabel(
        f"time relative to {BASE}: right of 1, {BASE} is faster\n"
        f"{report.threads(run)}, {report.where(run)}, {run.date[:10]}",
        fontsize=9,
    )
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def _panel(
    panel: Any, run: report.Run, results: Sequence[report.Result], rows: list[tuple[str, str]]
) -> None:
    """The dots of values, or of values and gradients."""
    height = {row: len(rows) - i for i, row in enumerate(rows)}
    rivals = itertools.cycle(zip(COLORS, MARKS, strict=True))
    for name in report.columns(results):
        if name == BASE:
            continue
        points = [
            (r.peers[name].ratio, height[r.case.loss.title, report.sizes(r.case)])
            for r in results
            if name in r.peers
        ]
        color, mark = NOT_RIVALS.get(run.kinds[name]) or next(rivals)
        panel.scatter(
            *zip(*points, strict=True), s=34, color=color, marker=mark,
            label=report.heading(run, name), zorder=3, linewidths=1.5,
        )  # fmt: skip
    panel.axvline(1, color="black", linewidth=1.2, zorder=2)
    panel.set_xscale("log")
    low, high = panel.get_xlim()
    ticks = [tick for tick in TICKS if low <= tick <= high]
    panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.minorticks_off()
    panel.grid(axis="x", color="#dddddd", linewidth=0.8)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.tick_params(axis="y", length=0)


def _name_rows(panel: Any, rows: list[tuple[str, str]]) -> None:
    """A loss is named at its first row."""
    heights = range(len(rows), 0, -1)
    names, last = [], ""
    for loss, sizes in rows:
        names.append(f"{loss}   {sizes}" if loss != last else sizes)
        last = loss
    panel.set_yticks(heights, names, fontsize=8.5)
    for figure_panel in panel.figure.axes:
        for height, (loss, _) in zip(heights, rows, strict=True):
            if [row[0] for row in rows].index(loss) == len(rows) - height and height < len(rows):
                figure_panel.axhline(height + 0.5, color="#dddddd", linewidth=0.8)
    panel.set_ylim(0.4, len(rows) + 0.6)
