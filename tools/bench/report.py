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

from lossgraph.compare.bench import Summary, duration_text, geometric_mean, ratio_text

from .losses import Case
from .peers import BASE, CHECKOUT

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
    kinds: dict[str, str]  # as in ``peer.py``
    versions: dict[str, dict[str, str]]  # of each peer, its own first
    pythons: dict[str, dict[str, str]]
    missing: dict[str, str]  # peers that were left out, and why


class Texts(NamedTuple):
    """What was measured, for people, for READMEs and for other programs."""

    table: Table
    notes: list[str]
    markdown: str
    json: dict[str, Any]


def texts(run: Run, results: Sequence[Result]) -> Texts:
    return Texts(
        table(run, results), notes(run, results), markdown(run, results), as_json(run, results)
    )


# --- means ---


def means(results: Sequence[Result]) -> dict[str, float]:
    """The geometric mean of a peer's ratios, over the cases that it is in."""
    return {
        name: geometric_mean(r.peers[name].ratio for r in results if name in r.peers)
        for name in columns(results)
    }


def best(run: Run, result: Result) -> float | None:
    """The ratio of the best rival of a case; None if there is none."""
    ratios = [s.ratio for name, s in result.peers.items() if run.kinds[name] == "rival"]
    return min(ratios, default=None)


def summary(run: Run, results: Sequence[Result]) -> list[str]:
    """How lossgraph stands against the best rival of each case, in a sentence."""
    ratios = [ratio for result in results if (ratio := best(run, result)) is not None]
    if not ratios:
        return []
    ahead = sum(ratio >= 1 for ratio in ratios)
    return [
        f"The best rival of each row takes {ratio_text(geometric_mean(ratios))} times as long as "
        f"{BASE} (geometric mean of {len(ratios)} row{'s' * (len(ratios) != 1)}); "
        f"{BASE} is ahead of all in {ahead} of them."
    ]


# --- for people ---


def table(run: Run, results: Sequence[Result]) -> Table:
    """Ratios, times, and the quartiles of the ratios, a peer a column."""
    several = len(losses(results)) > 1
    what_of = "Losses" if several else results[0].case.loss.title
    found = Table(
        title=f"{what_of}: time relative to {BASE} (above 1, {BASE} is faster)",
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
    )
    for title in labels_head(results):
        found.add_column(title)
    names = columns(results)
    for name in names:
        found.add_column(heading(run, name), justify="right")
    for result in results:
        cells = [cell(result.peers.get(name), name) for name in names]
        found.add_row(*labels(result, several), *cells)
    if len(results) > 1:
        found.add_section()
        mean = means(results)
        empty = [""] * (len(labels_head(results)) - 1)
        found.add_row("geometric mean", *empty, *(ratio_text(mean[name]) for name in names))
    return found


def cell(summary: Summary | None, name: str) -> Text:
    """A ratio and a time, and where the ratios of the middle half of the rounds were."""
    if summary is None:
        return Text("-")
    text = Text.assemble((ratio_text(summary.ratio), "bold"), f"  {duration_text(summary.median)}")
    if name != BASE:
        text.append(f"\n{ratio_text(summary.low)} to {ratio_text(summary.high)}", "dim")
    return text


def notes(run: Run, results: Sequence[Result]) -> list[str]:
    """What has to be known to read the table."""
    rounds = run.settings["rounds"]
    return [
        *summary(run, results),
        f"{rounds} rounds: medians, and below them the quartiles of the ratios.",
        *circumstances(run),
        *doubts(results),
    ]


def circumstances(run: Run) -> list[str]:
    """Where and with what it was measured."""
    before, after = (averages[0] for averages in run.machine["load"])
    versions = (", ".join(f"{k} {v}" for k, v in each.items()) for each in run.versions.values())
    return [
        f"{threads(run)}; load {before:.1f} before, {after:.1f} after.",
        where(run) + at_commit(run),
        "; ".join(dict.fromkeys(versions)),
        *(f"{name}: left out" for name in run.missing),
    ]


# --- for a README ---


def markdown(run: Run, results: Sequence[Result]) -> str:
    """The table of ratios, with what it was measured on."""
    names, several = columns(results), len(losses(results)) > 1
    head = labels_head(results)
    rows = [
        [*head, *(heading(run, name) for name in names)],
        [*("---" for _ in head), *("---:" for _ in names)],
    ]
    for result in results:
        rows.append([*labels(result, several), *(plain(result.peers.get(n), n) for n in names)])
    if len(results) > 1:
        mean = means(results)
        empty = [""] * (len(head) - 1)
        rows.append(["geometric mean", *empty, *(ratio_text(mean[name]) for name in names)])
    lines = [
        f"Time relative to {BASE} (above 1, {BASE} is faster); {measured_on(run)}.",
        *summary(run, results),
        *(f"\n\\{line}" for line in doubts(results)),  # no item of a list
    ]
    return rows_of(rows) + "\n" + "\n".join(lines) + "\n"


def rows_of(rows: Sequence[Sequence[str]]) -> str:
    return "".join("| " + " | ".join(row) + " |\n" for row in rows)


def plain(summary: Summary | None, name: str) -> str:
    """A ratio, and for what all are compared with the time of a call."""
    if summary is None:
        return "-"
    time = f" ({duration_text(summary.median)})" if name == BASE else ""
    return ratio_text(summary.ratio) + time


def measured_on(run: Run) -> str:
    engine = run.versions[BASE].get("onnxruntime", "")
    return (
        f"{threads(run)}, {where(run)}, ONNX Runtime {engine}{at_commit(run)}; "
        f"`{run.command}`, {run.date[:10]}"
    )


# --- for other programs ---


def as_json(run: Run, results: Sequence[Result]) -> dict[str, Any]:
    """Everything."""
    cases = [
        {
            **case_json(result.case),
            "others": result.others,
            "disturbed": result.disturbed,
            "best_rival": best(run, result),
            "peers": {name: summary._asdict() for name, summary in result.peers.items()},
        }
        for result in results
    ]
    return {**run._asdict(), "relative_to": BASE, "means": means(results), "cases": cases}


def case_json(case: Case) -> dict[str, Any]:
    return {
        "loss": case.loss.name,
        "sizes": dict(zip(case.loss.dims, case.sizes, strict=True)),
        "gradient": case.gradient,
    }


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


def losses(results: Sequence[Result]) -> list[str]:
    """The names of all losses."""
    return list(dict.fromkeys(result.case.loss.name for result in results))


def labels_head(results: Sequence[Result]) -> list[str]:
    loss = [""] if len(losses(results)) > 1 else []
    return [*loss, ", ".join(results[0].case.loss.dims), ""]


def labels(result: Result, several: bool) -> list[str]:
    """What a row is about: the loss if there are several, its sizes, and what was computed."""
    loss = [result.case.loss.title] if several else []
    return [*loss, sizes(result.case), what(result)]


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
