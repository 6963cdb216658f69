"""What has been measured, for people, for READMEs and for other programs."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich import box
from rich.table import Table
from rich.text import Text

from .losses import Case
from .peers import BASE, CHECKOUT
from .stats import Summary

DISTURBING = 0.1  # the share of the processors from which on others make numbers doubtful


class Result(NamedTuple):
    """A case, and each peer in it."""

    case: Case
    peers: dict[str, Summary]
    others: list[float]  # the share of the processors that others used, by round

    @property
    def disturbed(self) -> bool:
        """Whether others were at work in half of the rounds, which a median cannot overlook."""
        return bool(self.others) and float(np.median(self.others)) > DISTURBING


class Run(NamedTuple):
    """Everything about a run that is not a number of seconds."""

    command: str
    date: str
    machine: dict[str, Any]
    settings: dict[str, Any]
    titles: dict[str, str]
    versions: dict[str, dict[str, str]]  # of each peer, its own first
    pythons: dict[str, dict[str, str]]
    missing: dict[str, str]  # peers that were left out, and why


# --- for people ---


def table(run: Run, results: Sequence[Result]) -> Table:
    """Ratios, times, and the quartiles of the ratios, a peer a column."""
    found = Table(
        title=f"{results[0].case.loss.title}: time relative to {BASE} (above 1, {BASE} is faster)",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
    )
    found.add_column(", ".join(results[0].case.loss.dims))
    found.add_column("")
    for name in columns(results):
        found.add_column(heading(run, name), justify="right", no_wrap=True)
    for result in results:
        cells = [cell(result.peers.get(name), name) for name in columns(results)]
        found.add_row(sizes(result.case), what(result), *cells)
    return found


def cell(summary: Summary | None, name: str) -> Text:
    """A ratio and a time, and where the ratios of the middle half of the rounds were."""
    if summary is None:
        return Text("-")
    text = Text.assemble((ratio(summary.ratio), "bold"), f"  {duration(summary.median)}")
    if name != BASE:
        text.append(f"\n{ratio(summary.low)} to {ratio(summary.high)}", "dim")
    return text


def notes(run: Run, results: Sequence[Result]) -> list[str]:
    """What has to be known to read the table."""
    before, after = (averages[0] for averages in run.machine["load"])
    lines = [
        f"{run.settings['rounds']} rounds: medians, and below them the quartiles of the ratios. "
        f"{threads(run)}; load {before:.1f} before, {after:.1f} after.",
        where(run) + at_commit(run),
        "; ".join(", ".join(f"{k} {v}" for k, v in each.items()) for each in run.versions.values()),
    ]
    lines += [f"{name}: not installed" for name in run.missing]
    return [*lines, *doubts(results)]


# --- for a README ---


def markdown(run: Run, results: Sequence[Result]) -> str:
    """The table of ratios, with what it was measured on."""
    names = columns(results)
    rows = [
        [", ".join(results[0].case.loss.dims), "", *(heading(run, name) for name in names)],
        ["---", "---", *("---:" for _ in names)],
    ]
    for result in results:
        cells = [result.peers.get(name) for name in names]
        rows.append(
            [sizes(result.case), what(result)]
            + [f"{ratio(s.ratio)} ({duration(s.median)})" if s else "-" for s in cells]
        )
    engine = run.versions[BASE].get("onnxruntime", "")
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines += [
        "",
        f"Time relative to {BASE} (above 1, {BASE} is faster) and time of a call; "
        f"{threads(run)}, {where(run)}, ONNX Runtime {engine}{at_commit(run)}; "
        f"`{run.command}`, {run.date[:10]}.",
        *(f"\n\\{line}" for line in doubts(results)),  # no item of a list
    ]
    return "\n".join(lines) + "\n"


# --- for other programs ---


def as_json(run: Run, results: Sequence[Result]) -> dict[str, Any]:
    """Everything."""
    cases = [
        {
            "loss": result.case.loss.name,
            "sizes": dict(zip(result.case.loss.dims, result.case.sizes, strict=True)),
            "gradient": result.case.gradient,
            "others": result.others,
            "disturbed": result.disturbed,
            "peers": {name: summary._asdict() for name, summary in result.peers.items()},
        }
        for result in results
    ]
    return {**run._asdict(), "relative_to": BASE, "cases": cases}


# --- the machine ---


def machine(cpus: Sequence[int]) -> dict[str, Any]:
    """What this is, without what changes."""
    return {
        "cpu": cpu_model(),
        "cpus": os.cpu_count(),
        "cpus_used": list(cpus) or "not pinned",
        "os": platform.platform(),
        "python": platform.python_version(),
        "commit": commit(),
    }


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def commit() -> str:
    """The commit of the checkout, ``-dirty`` if files differ from it; empty if unknown."""
    try:
        found = subprocess.run(
            ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty"],
            capture_output=True,
            text=True,
        )
    except OSError:
        return ""
    return found.stdout.strip()


def load_average() -> list[float]:
    """How many processes wanted to run, over 1, 5 and 15 minutes."""
    return list(os.getloadavg())


# --- words ---


def columns(results: Sequence[Result]) -> list[str]:
    """The names of all peers that are in some case."""
    return list(dict.fromkeys(name for result in results for name in result.peers))


def heading(run: Run, name: str) -> str:
    return f"{run.titles[name]} {next(iter(run.versions[name].values()))}"


def what(result: Result) -> str:
    return result.case.what + " *" * result.disturbed


def doubts(results: Sequence[Result]) -> list[str]:
    """What the stars say."""
    worst = max((float(np.median(r.others)) for r in results if r.disturbed), default=None)
    if worst is None:
        return []
    return [f"* doubtful: others used the processors meanwhile, up to {worst:.0%} of them."]


def sizes(case: Case) -> str:
    return ", ".join(map(str, case.sizes))


def ratio(value: float) -> str:
    """Two digits behind the point; from 10 on and below 0.1, three and two digits that count."""
    if value >= 99.95:
        return f"{value:.0f}"
    return (
        f"{value:.1f}" if value >= 9.995 else f"{value:.2f}" if value >= 0.0995 else f"{value:.2g}"
    )


def duration(seconds: float) -> str:
    """Three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def threads(run: Run) -> str:
    count = run.settings["threads"]
    plural = "s" * (count != 1)
    pinned = isinstance(run.machine["cpus_used"], list)
    return f"{count} thread{plural}" + (f" on {count} CPU{plural}" if pinned else "")


def at_commit(run: Run) -> str:
    commit = run.machine["commit"]
    return f", {BASE} at {commit}" if commit else ""


def where(run: Run) -> str:
    return f"{run.machine['cpu']} ({run.machine['cpus']} CPUs), {run.machine['os']}"
