"""``python -m bench.linear``: cross-entropy of a linear layer, in chunks and with whole logits.

Value and gradient by rows and weight: the time of a call, and the memory that it takes at most
beside inputs and results. Memory is measured on the first call of a process of its own; times
are taken by turns.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from . import report
from .command import UsageError, ending_on_signals, fail, positive, processors, whole
from .losses import Array
from .measure import TOLERANCE, DisagreementError, calls_in, difference, in_turn
from .peers import BASE, Source, find_peers, find_python
from .stats import Summary, summarize
from .workers import Worker, WorkerError, choose_cpus, started

Sizes = tuple[int, ...]  # rows, classes, features
DEFAULT: tuple[Sizes, ...] = ((512, 8000, 256), (4096, 32000, 512))
SMALL: Sizes = (3, 5, 4)


class Contender(NamedTuple):
    """A way to compute it: a method of a peer."""

    peer: str
    method: str
    title: str


CONTENDERS = (
    Contender(BASE, "linear", "lossgraph"),
    Contender(BASE, "linear_whole", "plain graph"),
    Contender("torch", "linear", "PyTorch, chunked"),
    Contender("torch", "linear_whole", "PyTorch"),
)


class Row(NamedTuple):
    """What was measured for some sizes, by title."""

    sizes: Sizes
    seconds: dict[str, Summary]
    memory: dict[str, int]  # bytes beside inputs and results


def arrays_of(sizes: Sizes) -> dict[str, Array]:
    """Logits of about one, whatever the sizes."""
    rows, classes, features = sizes
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(classes, features)) / np.sqrt(features)
    return {
        "rows": rng.normal(size=(rows, features)).astype(np.float32),
        "weight": weight.astype(np.float32),
        "labels": rng.integers(0, classes, rows),
    }


# --- measuring ---


class Bench:
    """The contenders whose libraries are here, with what every process is started with."""

    def __init__(
        self, pythons: Sequence[tuple[Source, str]], folder: Path, options: argparse.Namespace
    ) -> None:
        self._pythons = {source.name: (source, python) for source, python in pythons}
        self._folder, self._options = folder, options
        self._started = 0
        self.cpus = choose_cpus(options.threads)
        self.missing: dict[str, str] = {}
        self.versions: dict[str, dict[str, str]] = {}
        for name in self._pythons:
            with self._workers([Contender(name, "", name)]) as found:
                self.versions |= {worker.name: worker.versions for worker in found.values()}
        self.contenders = [c for c in CONTENDERS if c.peer in self.versions]

    @contextmanager
    def _workers(self, contenders: Sequence[Contender]) -> Iterator[dict[str, Worker]]:
        """A new process for each contender, by title."""
        with ExitStack() as stack:
            found: dict[str, Worker] = {}
            for contender in contenders:
                self._started += 1
                folder = self._folder / str(self._started)
                folder.mkdir()
                alone = started(
                    [self._pythons[contender.peer]], folder, self._options.threads, self.cpus
                )
                workers, missing = stack.enter_context(alone)
                self.missing |= missing
                found.update((contender.title, worker) for worker in workers)
            yield found

    def measure(self, sizes: Sizes, say: Callable[[str], None]) -> Row:
        """Memory of each, whether all agree, and times by turns."""
        small, arrays = self._folder / "small.npz", self._folder / "arrays.npz"
        np.savez(small, **arrays_of(SMALL))  # type: ignore[arg-type]
        np.savez(arrays, **arrays_of(sizes))  # type: ignore[arg-type]
        rows, classes, features = sizes
        results = 4 * features * (rows + classes)
        memory = {}
        for contender in self.contenders:
            say(f"memory of {contender.title}")
            with self._workers([contender]) as found:
                (worker,) = found.values()
                taken = worker.memory(contender.method, small, arrays)
                memory[contender.title] = max(0, taken - results)
        with self._workers(self.contenders) as found:
            seconds = self._times(found, arrays, say)
        return Row(sizes, summarize(seconds, CONTENDERS[0].title), memory)

    def _times(
        self, workers: dict[str, Worker], arrays: Path, say: Callable[[str], None]
    ) -> dict[str, list[list[float]]]:
        counts = {}
        for contender in self.contenders:
            say(f"compiling {contender.title}")
            warm = workers[contender.title].prepare(contender.method, arrays, True)
            counts[contender.title] = calls_in(self._options.seconds, warm, fewest=1)
        check({title: worker.values() for title, worker in workers.items()})
        seconds: dict[str, list[list[float]]] = {title: [] for title in workers}
        titles = {id(worker): title for title, worker in workers.items()}
        for turn in range(self._options.rounds):
            for worker in in_turn(list(workers.values()), turn):
                title = titles[id(worker)]
                say(f"round {turn + 1}: {title}")
                seconds[title].append(worker.run(counts[title]))
        return seconds


def check(values: dict[str, dict[str, Array]]) -> None:
    """Compare what each computed with what the first did.

    Raises:
        DisagreementError: saying who differs, in what and by how much.
    """
    first, *others = values
    for other in others:
        for name in ("loss", "gradient"):
            by = difference(values[first][name], values[other][name])
            if not by <= TOLERANCE:
                raise DisagreementError(f"{first} and {other} differ in the {name} by {by:.1e}")


# --- saying ---


def cells(row: Row, title: str) -> list[str]:
    """Time, what it is divided by lossgraph's, and memory."""
    summary = row.seconds[title]
    return [
        report.duration(summary.median),
        report.ratio(summary.ratio),
        f"{row.memory[title] / 2**20:,.0f} MiB",
    ]


def table(rows: Sequence[Row]) -> Table:
    found = Table("N, C, D", "", box=box.SIMPLE_HEAD)
    for heading in ("time", "relative", "memory"):
        found.add_column(heading, justify="right")
    for row in rows:
        for title in row.seconds:
            found.add_row(", ".join(map(str, row.sizes)), title, *cells(row, title))
    return found


def markdown(rows: Sequence[Row], facts: Sequence[str]) -> str:
    lines = ["| N, C, D | | time | relative | memory |", "| --- | --- | ---: | ---: | ---: |"]
    for row in rows:
        for title in row.seconds:
            cell = [", ".join(map(str, row.sizes)), title, *cells(row, title)]
            lines.append(f"| {' | '.join(cell)} |")
    return "\n".join([*lines, "", *facts]) + "\n"


def facts_of(bench: Bench, options: argparse.Namespace, load: Sequence[float]) -> list[str]:
    """What has to be known to read the table."""
    machine, after = report.machine(bench.cpus), report.load_average()
    return [
        f"Value and gradient by rows and weight, float32; {options.threads} threads, "
        f"{options.rounds} rounds; load {load[0]:.1f} before, {after[0]:.1f} after.",
        f"{machine['cpu']} ({machine['cpus']} CPUs), {machine['os']}, {BASE} at "
        f"{machine['commit']}; "
        + "; ".join(f"{k} {v}" for each in bench.versions.values() for k, v in each.items()),
    ]


# --- the command ---


def sizes(text: str) -> Sizes:
    parts = text.split(",")
    if len(parts) != len(SMALL):
        raise argparse.ArgumentTypeError(f"expected rows,classes,features, got {text!r}")
    return tuple(map(whole, parts))


def parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, dict[str, Source]]:
    peers = {contender.peer for contender in CONTENDERS}
    sources = {name: source for name, source in find_peers().items() if name in peers}
    parser = argparse.ArgumentParser(
        prog="bench_linear",
        usage="%(prog)s [OPTION ..]",
        description="Measure cross-entropy of a linear layer: time and memory.",
        allow_abbrev=False,
    )
    default = " ".join(",".join(map(str, each)) for each in DEFAULT)
    parser.add_argument(
        "--size", type=sizes, action="append", metavar="N,C,D",
        help=f"rows, classes, features; may be given several times (default: {default})",
    )  # fmt: skip
    for name, source in sources.items():
        parser.add_argument(
            f"--{name}", metavar="PYTHON", help=f"the Python that has {source.peer.title}"
        )
    parser.add_argument("--rounds", type=whole, default=5, help="turns of each (default: 5)")
    parser.add_argument(
        "--seconds", type=positive, default=1.0, help="how long a turn takes (default: 1)"
    )
    parser.add_argument(
        "--threads", type=whole, default=min(2, processors()), help="default: %(default)s"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="a table for a README")
    return parser.parse_args(arguments), sources


def run(options: argparse.Namespace, sources: dict[str, Source]) -> None:
    """Measure, print and write."""
    try:
        pythons = [(s, find_python(s, getattr(options, n))[0]) for n, s in sources.items()]
    except ValueError as error:
        raise UsageError(str(error)) from error
    progress = Console(stderr=True, highlight=False)
    load = report.load_average()
    with tempfile.TemporaryDirectory(prefix="lossgraph-linear-") as folder:
        bench = Bench(pythons, Path(folder), options)
        if BASE in bench.missing:
            raise UsageError(f"{BASE} cannot be imported: {bench.missing[BASE]}")
        rows = []
        for each in options.size or DEFAULT:
            with progress.status("") as status:
                rows.append(
                    bench.measure(each, lambda text, at=each: status.update(f"{at}: {text}"))
                )
        facts = facts_of(bench, options, load)
    console = Console(highlight=False)
    console.print(table(rows))
    for line in [*facts, *(f"{name}: not installed" for name in bench.missing)]:
        console.print(line, soft_wrap=True)
    if options.markdown:
        options.markdown.write_text(markdown(rows, facts))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0, 1 if some disagree, 2 for wrong use, 3 if one failed."""
    codes: dict[type[Exception], int] = {
        UsageError: 2, OSError: 2, DisagreementError: 1, WorkerError: 3
    }  # fmt: skip
    try:
        with ending_on_signals():
            run(*parse(sys.argv[1:] if arguments is None else arguments))
    except tuple(codes) as error:
        code = next(code for kind, code in codes.items() if isinstance(error, kind))
        return fail("bench_linear", error, code)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
