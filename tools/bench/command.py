"""The command: its options, its exit codes, and the order of things."""

from __future__ import annotations

import argparse
import importlib.util
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

from lossgraph.compare.bench import summarize

from . import memory, report
from .losses import SUITES, Case, Sizes, Suite
from .measure import COMPILING, DisagreementError, describe, measure
from .peers import BASE, Source, find_peers, find_python
from .workers import Worker, WorkerError, choose_cpus, started

WIDTH = 180  # of the table, where stdout is no terminal
EPILOG = """\
Each peer runs in a process of its own, with the Python of its option, else of the variable
LOSSGRAPH_BENCH_NAME (in capitals), else of the environment that --install made for it, else with
the Python of this tool. A peer that cannot be imported is left out.

"%(prog)s --install [PEER ..]" makes environments for the peers, below .venvs in the checkout.
{more}
Exit codes: 0; 1 if peers computed different numbers; 2 for wrong use, or if lossgraph itself
cannot be imported; 3 if a peer failed.
"""


MORE = {
    "ctc": '"%(prog)s --accuracy" says how far each gradient in float32 is from the right one.\n'
}


class UsageError(Exception):
    """What was asked for cannot be done."""


# --- options ---


def parse(arguments: Sequence[str]) -> tuple[argparse.Namespace, Suite, dict[str, Source]]:
    """The options, the losses, and the peers that are asked for."""
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("suite", choices=list(SUITES))
    first.add_argument("--add", action="append", default=[])
    early, _ = first.parse_known_args(arguments)
    suite = SUITES[early.suite]
    try:
        sources = {n: s for n, s in find_peers(early.add).items() if has_some(s, suite)}
    except (ImportError, OSError, SyntaxError) as error:
        raise UsageError(f"--add: {error}") from error
    options = make_parser(early.suite, suite, sources).parse_args(arguments)
    wanted = options.peers or list(sources)
    unknown = [name for name in wanted if name not in sources]
    if unknown:
        raise UsageError(f"--peers: there is no {unknown[0]}: there are {', '.join(sources)}")
    check_paths(options)
    if options.losses:
        try:
            suite = suite.only(options.losses)
        except KeyError as error:
            known = ", ".join(loss.title for loss in suite.losses)
            raise UsageError(f"--losses: there is no {error.args[0]}: there are {known}") from None
    return options, suite, {n: s for n, s in sources.items() if n in wanted or n == BASE}


def has_some(source: Source, suite: Suite) -> bool:
    """Whether a peer has any of the losses."""
    return any(source.peer.has(loss.name) for loss in suite.losses)


def make_parser(name: str, suite: Suite, sources: dict[str, Source]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"bench_{name}",
        usage="%(prog)s [OPTION ..]",
        description=f"Measure the {suite.title} of lossgraph against {others(sources)}.",
        epilog=EPILOG.replace("{more}", MORE.get(name, "")),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("suite", help=argparse.SUPPRESS)
    add_what(parser, suite, sources)
    add_how(parser)
    files = parser.add_argument_group("files")
    files.add_argument("--json", type=Path, metavar="FILE", help="write everything here")
    files.add_argument("--markdown", type=Path, metavar="FILE", help="a table for a README")
    files.add_argument("--picture", type=Path, metavar="FILE", help="the ratios, as a PNG")
    files.add_argument("--quiet", action="store_true", help="say nothing on stderr but errors")
    return parser


def add_what(parser: argparse.ArgumentParser, suite: Suite, sources: dict[str, Source]) -> None:
    what = parser.add_argument_group("what is measured")
    usual = dict.fromkeys(sizes for loss in suite.losses for sizes in loss.sizes)
    default = " ".join(",".join(map(str, sizes)) for sizes in usual)
    what.add_argument(
        "--losses", type=lambda text: text.split(","), metavar="NAME,..",
        help=f"only these of {', '.join(loss.title for loss in suite.losses)}",
    )  # fmt: skip
    what.add_argument(
        "--size", type=sizes_of(suite), action="append", metavar=",".join(suite.dims),
        help=f"may be given several times (default: {default}, as far as a loss has them)",
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
    what.add_argument(
        "--memory", action="store_true",
        help="the memory that a first call takes besides inputs and outputs, instead of times",
    )  # fmt: skip
    for source in sources.values():
        if source.home == source.name:
            what.add_argument(
                f"--{source.name}", metavar="PYTHON",
                help=f"the Python that has {source.peer.title}",
            )  # fmt: skip


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
    titles = [source.peer.title for source in sources.values() if source.peer.kind == "rival"]
    return f"{', '.join(titles[:-1])} and {titles[-1]}"


def sizes_of(suite: Suite) -> Callable[[str], Sizes]:
    """A type for the command line: numbers with commas, one for each dim."""

    def read(text: str) -> Sizes:
        parts = text.split(",")
        if len(parts) != len(suite.dims):
            raise argparse.ArgumentTypeError(f"expected {','.join(suite.dims)}, got {text!r}")
        sizes = tuple(map(whole, parts))
        for loss in suite.losses:
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
    for path in filter(None, (options.json, options.markdown, options.picture)):
        if not path.absolute().parent.is_dir() or path.is_dir():
            raise UsageError(f"{path}: not a file in a folder that exists")
    if options.picture and options.memory:
        raise UsageError("--picture shows times, and --memory measures none")
    if options.picture and importlib.util.find_spec("matplotlib") is None:
        raise UsageError("--picture needs matplotlib: pip install matplotlib")


def cases_of(options: argparse.Namespace, suite: Suite) -> list[Case]:
    """What is measured; memory at the last size that all losses have."""
    modes = {"value": (False,), "gradient": (True,), "both": (False, True)}[options.mode]
    shared = [s for s in suite.losses[0].sizes if all(s in loss.sizes for loss in suite.losses)]
    return [
        Case(loss, sizes, mode)
        for loss in suite.losses
        for sizes in options.size or (shared[-1:] if options.memory else loss.sizes)
        for mode in modes
    ]


# --- running ---


def run(
    options: argparse.Namespace, suite: Suite, sources: dict[str, Source], command: str
) -> None:
    """Measure, print and write."""
    console = Console(stderr=True, quiet=options.quiet, highlight=False, markup=False)
    try:
        found = {n: find_python(s, getattr(options, s.home)) for n, s in sources.items()}
    except ValueError as error:
        raise UsageError(str(error)) from error
    pythons = [(sources[name], python) for name, (python, _) in found.items()]
    cpus = choose_cpus(options.threads)
    before = report.load_average()
    with (
        tempfile.TemporaryDirectory(prefix="lossgraph-bench-") as folder,
        started(pythons, Path(folder), options.threads, cpus) as (workers, missing),
    ):
        say_missing(console, missing, sources, {n: asked for n, (_, asked) in found.items()})
        able = [w for w in workers if any(w.has(loss.name) for loss in suite.losses)]
        cases = cases_of(options, suite)
        if options.memory:
            there = [(source, python) for source, python in pythons if source.name not in missing]
            taken = memory.measure(console, cases, there, Path(folder), options.threads, cpus)
        else:
            results = measure_all(console, options, cases, able, Path(folder), cpus)
    machine = {**report.machine(cpus), "load": [before, report.load_average()]}
    facts = report.Run(
        command=command,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine,
        settings={n: getattr(options, n) for n in ("rounds", "seconds", "threads")},
        titles={worker.name: worker.title for worker in able},
        kinds={worker.name: worker.kind for worker in able},
        versions={worker.name: worker.versions for worker in able},
        pythons={w.name: {"path": w.python, "version": w.python_version} for w in able},
        missing=missing,
    )
    if options.memory:
        write(options, memory.texts(facts, taken))
        return
    write(options, report.texts(facts, results))
    if options.picture:
        from . import picture

        picture.draw(facts, results, options.picture)


def say_missing(
    console: Console, missing: dict[str, str], sources: dict[str, Source], asked: dict[str, bool]
) -> None:
    """Say who is left out; nothing can be done without lossgraph."""
    if BASE in missing:
        raise UsageError(f"lossgraph cannot be imported: {missing[BASE]}")
    for name, reason in missing.items():
        home = sources[name].home
        hint = "" if asked[name] else f" (--{home} PYTHON, or --install {home})"
        console.print(f"{name}: left out: {reason}{hint}")


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
            able = [worker for worker in workers if worker.has(case.loss.name)]
            found = measure(case, able, folder, options.rounds, options.seconds, cpus, progress)
            peers = summarize(found.seconds, BASE)
            results.append(report.Result(case, peers, found.others))
    return results


def write(options: argparse.Namespace, texts: report.Texts) -> None:
    """Write what is asked for, and print the table."""
    if options.json:
        text = json.dumps(texts.json, indent=1, ensure_ascii=False)
        options.json.write_text(text + "\n")
    if options.markdown:
        options.markdown.write_text(texts.markdown)
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = WIDTH
    console.print(texts.table)
    for line in texts.notes:
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
