"""The command: its options, its exit codes, and the order of things."""

from __future__ import annotations

import argparse
import json
import math
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from . import report
from .losses import LOSSES, Case, Loss, Sizes
from .measure import COMPILING, DisagreementError, describe, measure
from .peers import BASE, Source, find_peers, find_python
from .stats import summarize
from .workers import Worker, WorkerError, choose_cpus, started

WIDTH = 140  # of the table, where stdout is no terminal
EPILOG = """\
Each peer runs in a process of its own, with the Python of its option, else of the variable
LOSSGRAPH_BENCH_NAME (in capitals), else of the environment that --install made for it, else with
the Python of this tool. A peer that cannot be imported is left out.

"%(prog)s --install [PEER ..]" makes environments for the peers, below .venvs in the checkout;
"%(prog)s --accuracy" says how far each gradient in float32 is from the right one.

Exit codes: 0; 1 if peers computed different numbers; 2 for wrong use, or if lossgraph itself
cannot be imported; 3 if a peer failed.
"""


class UsageError(Exception):
    """What was asked for cannot be done."""


# --- options ---


def parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, Loss, dict[str, Source]]:
    """The options, the loss, and the peers that are asked for."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("loss", choices=list(LOSSES))
    first.add_argument("--add", action="append", default=[])
    early, _ = first.parse_known_args(arguments)
    try:
        sources = find_peers(early.add)
    except (ImportError, OSError, SyntaxError) as error:
        raise UsageError(f"--add: {error}") from error
    loss = LOSSES[early.loss]
    options = make_parser(loss, sources).parse_args(arguments)
    wanted = options.peers or list(sources)
    unknown = [name for name in wanted if name not in sources]
    if unknown:
        raise UsageError(f"--peers: there is no {unknown[0]}: there are {', '.join(sources)}")
    check_paths(options)
    return options, loss, {n: s for n, s in sources.items() if n in wanted or n == BASE}


def make_parser(loss: Loss, sources: dict[str, Source]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"bench_{loss.name}",
        usage="%(prog)s [OPTION ..]",
        description=f"Measure the {loss.title} of lossgraph against {others(sources)}.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("loss", help=argparse.SUPPRESS)
    add_what(parser, loss, sources)
    add_how(parser)
    files = parser.add_argument_group("files")
    files.add_argument("--json", type=Path, metavar="FILE", help="write everything here")
    files.add_argument("--markdown", type=Path, metavar="FILE", help="a table for a README")
    files.add_argument("--quiet", action="store_true", help="say nothing on stderr but errors")
    return parser


def add_what(parser: argparse.ArgumentParser, loss: Loss, sources: dict[str, Source]) -> None:
    what = parser.add_argument_group("what is measured")
    default = " ".join(",".join(map(str, s)) for s in loss.sizes)
    what.add_argument(
        "--size", type=sizes_of(loss), action="append", metavar=",".join(loss.dims),
        help=f"may be given several times (default: {default})",
    )  # fmt: skip
    what.add_argument(
        "--mode", choices=["value", "gradient", "both"], default="both",
        help="the value, value and gradient, or both by themselves (default)",
    )  # fmt: skip
    what.add_argument(
        "--peers", type=lambda text: text.split(","), metavar="NAME,..",
        help=f"only these of {', '.join(n for n in sources if n != BASE)}",
    )  # fmt: skip
    what.add_argument(
        "--add", action="append", metavar="FILE", help="a further peer, as in tools/bench/peer.py"
    )
    for source in sources.values():
        what.add_argument(
            f"--{source.name}", metavar="PYTHON", help=f"the Python that has {source.peer.title}"
        )


def add_how(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("how")
    how.add_argument(
        "--rounds", type=whole, default=7, help="how often each has its turn (default: 7)"
    )
    how.add_argument(
        "--seconds", type=positive, default=0.2, help="how long a turn takes (default: 0.2)"
    )
    how.add_argument(
        "--threads", type=whole, default=min(2, processors()),
        help="for every peer, which is held to as many processors (default: %(default)s)",
    )  # fmt: skip


def others(sources: dict[str, Source]) -> str:
    titles = [source.peer.title for source in sources.values() if source.name != BASE]
    return f"{', '.join(titles[:-1])} and {titles[-1]}"


def sizes_of(loss: Loss) -> Callable[[str], Sizes]:
    """A type for the command line: numbers with commas, one for each dim."""

    def read(text: str) -> Sizes:
        parts = text.split(",")
        if len(parts) != len(loss.dims):
            raise argparse.ArgumentTypeError(f"expected {','.join(loss.dims)}, got {text!r}")
        sizes = tuple(map(whole, parts))
        fault = loss.fault(**dict(zip(loss.dims, sizes, strict=True)))
        if fault:
            raise argparse.ArgumentTypeError(f"{text}: {fault}")
        return sizes

    return read


def whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a number from 1 on, got {text!r}")
    return int(text)


def positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a number of seconds, got {text!r}")
    return number


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_paths(options: argparse.Namespace) -> None:
    """Refuse at once what could not be written minutes later."""
    if options.threads > processors():
        raise UsageError(f"--threads {options.threads}: there are {processors()} processors")
    for path in filter(None, (options.json, options.markdown)):
        if not path.absolute().parent.is_dir() or path.is_dir():
            raise UsageError(f"{path}: not a file in a folder that exists")


def cases_of(options: argparse.Namespace, loss: Loss) -> list[Case]:
    modes = {"value": (False,), "gradient": (True,), "both": (False, True)}[options.mode]
    return [Case(loss, sizes, mode) for sizes in options.size or loss.sizes for mode in modes]


# --- running ---


def run(options: argparse.Namespace, loss: Loss, sources: dict[str, Source], command: str) -> None:
    """Measure, print and write."""
    console = Console(stderr=True, quiet=options.quiet, highlight=False, markup=False)
    try:
        found = {n: find_python(s, getattr(options, n)) for n, s in sources.items()}
    except ValueError as error:
        raise UsageError(str(error)) from error
    pythons = [(sources[name], python) for name, (python, _) in found.items()]
    cpus = choose_cpus(options.threads)
    before = report.load_average()
    with (
        tempfile.TemporaryDirectory(prefix="lossgraph-bench-") as folder,
        started(pythons, Path(folder), options.threads, cpus) as (workers, missing),
    ):
        say_missing(console, missing, {name: asked for name, (_, asked) in found.items()})
        able = [worker for worker in workers if worker.has(loss.name)]
        results = measure_all(console, options, cases_of(options, loss), able, Path(folder), cpus)
    machine = {**report.machine(cpus), "load": [before, report.load_average()]}
    facts = report.Run(
        command=command,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine,
        settings={n: getattr(options, n) for n in ("rounds", "seconds", "threads")},
        titles={worker.name: worker.title for worker in able},
        versions={worker.name: worker.versions for worker in able},
        pythons={w.name: {"path": w.python, "version": w.python_version} for w in able},
        missing=missing,
    )
    write(options, facts, results)


def say_missing(console: Console, missing: dict[str, str], asked: dict[str, bool]) -> None:
    """Say who is left out; nothing can be done without lossgraph."""
    if BASE in missing:
        raise UsageError(f"lossgraph cannot be imported: {missing[BASE]}")
    for name, reason in missing.items():
        hint = "" if asked[name] else f" (--{name} PYTHON, or --install {name})"
        console.print(f"{name}: not installed: {reason}{hint}")


def measure_all(
    console: Console,
    options: argparse.Namespace,
    cases: Sequence[Case],
    workers: Sequence[Worker],
    folder: Path,
    cpus: Sequence[int],
) -> list[report.Result]:
    """All cases, with a bar that says how far it has come."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    results = []
    # Drawn when something is to be said, and not by a thread in the midst of measuring.
    drawn = console.is_terminal
    with Progress(
        *columns, console=console, auto_refresh=False, transient=True, disable=not drawn
    ) as bar:
        task = bar.add_task("", total=len(cases) * options.rounds * len(workers))

        def progress(case: Case, what: str) -> None:
            bar.update(task, description=f"{describe(case)}: {what}", refresh=True)
            if what != COMPILING:
                bar.advance(task)
            elif not drawn:
                console.print(describe(case))

        for case in cases:
            found = measure(case, workers, folder, options.rounds, options.seconds, cpus, progress)
            peers = summarize(found.seconds, BASE)
            results.append(report.Result(case, peers, found.others))
    return results


def write(options: argparse.Namespace, facts: report.Run, results: Sequence[report.Result]) -> None:
    if options.json:
        text = json.dumps(report.as_json(facts, results), indent=1, ensure_ascii=False)
        options.json.write_text(text + "\n")
    if options.markdown:
        options.markdown.write_text(report.markdown(facts, results))
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = WIDTH
    console.print(report.table(facts, results))
    for line in report.notes(facts, results):
        console.print(line, soft_wrap=True)


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end this process as CTRL-C does, so that workers end with it."""

    def end(number: int, _: Any) -> None:
        raise SystemExit(128 + number)

    numbers = [n for n in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) != signal.SIG_IGN]
    before = {n: signal.signal(n, end) for n in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0, 1 if peers disagree, 2 for wrong use, 3 if a peer failed."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    name = f"bench_{arguments[0]}" if arguments else "bench"
    command = shlex.join([f"tools/{name}", *arguments[1:]])
    try:
        with ending_on_signals():
            run(*parse(arguments), command)
    except (UsageError, OSError) as error:
        return fail(name, error, 2)
    except DisagreementError as error:
        return fail(name, error, 1)
    except WorkerError as error:
        return fail(name, error, 3)
    except KeyboardInterrupt:
        return 130
    return 0


def fail(name: str, error: Exception, code: int) -> int:
    print(f"{name}: {error}", file=sys.stderr)
    return code
