"""The memory that calls take: each peer and case in a process of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from . import report
from .losses import Case
from .measure import describe
from .peers import Source
from .workers import started

SMALL = (
    4,
    6,
)  # samples of the calls that load code; two counts, for torch.compile learns from them
MIB = 1 << 20


class Taken(NamedTuple):
    """A case, and the bytes that each peer took."""

    case: Case
    given: int  # the bytes of the inputs
    peers: dict[str, int]


def measure(
    console: Console,
    cases: Sequence[Case],
    pythons: Sequence[tuple[Source, str]],
    folder: Path,
    threads: int,
    cpus: Sequence[int],
) -> list[Taken]:
    """The peak of the first call with arrays, besides inputs and outputs."""
    found = []
    for case in cases:
        console.print(describe(case))
        arrays = case.arrays()
        path = _save(folder, "arrays", arrays)
        small = [_save(folder, f"small{n}", case.small(n).arrays()) for n in SMALL]
        peers = {}
        for source, python in pythons:
            if source.peer.kind == "bound" or not source.peer.has(case.loss.name):
                continue
            with started([(source, python)], folder, threads, cpus) as (workers, _):
                for worker in workers:
                    bytes_ = worker.memory(case.loss.name, small, path, case.gradient)
                    peers[source.name] = bytes_
        found.append(Taken(case, sum(array.nbytes for array in arrays.values()), peers))
    return found


def _save(folder: Path, name: str, arrays: dict[str, np.ndarray]) -> Path:
    path = folder / f"{name}.npz"
    np.savez(path, **arrays)
    return path


def texts(run: report.Run, taken: Sequence[Taken]) -> report.Texts:
    """The megabytes, for people, for READMEs and for other programs."""
    names = list(dict.fromkeys(name for each in taken for name in each.peers))
    head = ["", ", ".join(taken[0].case.loss.dims), "", "inputs"]
    head += [report.heading(run, name) for name in names]
    rows = [
        [each.case.loss.title, report.sizes(each.case), each.case.what, megabytes(each.given)]
        + [megabytes(each.peers[name]) if name in each.peers else "-" for name in names]
        for each in taken
    ]
    table = Table(title=TITLE, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for i, name in enumerate(head):
        table.add_column(name, justify="left" if i < 3 else "right")
    for row in rows:
        table.add_row(*row)
    lines = [head, ["---"] * 3 + ["---:"] * (len(head) - 3), *rows]
    cases = [
        {**report.case_json(each.case), "inputs": each.given, "peers": each.peers} for each in taken
    ]
    return report.Texts(
        table=table,
        notes=report.circumstances(run),
        markdown=report.rows_of(lines) + f"\n{TITLE}; {report.measured_on(run)}.\n",
        json={**run._asdict(), "unit": "bytes", "cases": cases},
    )


TITLE = "MiB at the peak of a first call, besides inputs and outputs"


def megabytes(count: int) -> str:
    return f"{count / MIB:.1f}"
