"""The command line of tools/conformance."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from lossgraph.catalogue import entries
from lossgraph.errors import LossgraphError
from lossgraph.models.files import write_file

from . import page, report
from .adapters import Engine, MissingError, Step, engines
from .cases import Case, from_catalogue, write
from .gallery import CASES
from .matrix import Column, Watch, fill
from .subjects import Subject, read_tree

DESCRIPTION = """\
Runs exported losses in several ONNX engines, and compares what they give with what they ought to.

Without a FOLDER the models are those of a gallery, exported on the spot: every loss of the
catalogue with typical inputs and at edge cases, and CTC in many forms. What they ought to give
is computed by numpy in float64. An engine that is not installed is left out, unless --engine
names it."""

EPILOG = """\
`tools/conformance --install` first makes the environments of the engines; those in JavaScript need
a Node.js, and that in a browser a Chromium. IREE, which takes seconds to compile a model, runs
those of value and gradient alone unless --engine names it, and is run as far as it gets. The exit
code is 0 if every other engine that is installed gives what is expected of every model, or what it
is known to get wrong, 1 if one does not, 2 for wrong use."""

DTYPES = ("float16", "float64")  # beside float32


class _UsageError(Exception):
    """What is asked for cannot be done."""


def main(arguments: Sequence[str] | None = None, known: Sequence[Engine] | None = None) -> int:
    """The command, with other engines than the usual ones if some are given."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    known = engines() if known is None else known
    options = _parse(given, [engine.name for engine in known])
    named = options.engine or []
    wanted = named or [engine.name for engine in known]
    chosen = [e for e in known if e.name in wanted and e.name not in options.without]
    try:
        for engine in chosen if named else ():
            _require(engine)
        with TemporaryDirectory(prefix="conformance-") as temporary:
            subjects = list(_subjects(options, options.output or Path(temporary)))
            if not subjects:
                raise _UsageError(f"no loss of the gallery has {options.only!r} in its name")
            parts = partial(_part, subjects, named)
            with _watching() as watch:
                columns = fill(subjects, chosen, watch, parts)
        if not any(column.cells for column in columns):
            raise _UsageError("none of these engines is installed")
        found = report.Report(subjects, columns, shlex.join(["tools/conformance", *given]))
        for path, form in (
            (options.markdown, report.markdown),
            (options.json, report.as_json),
            (options.html, page.html),
        ):
            if path is not None:
                write_file(path, form(found).encode())
    except (LossgraphError, OSError, _UsageError, MissingError) as error:
        _say(str(error))
        return 2
    report.print_table(found)
    return 0 if all(column.ok for column in columns) else 1


def _require(engine: Engine) -> None:
    try:
        engine.version()
    except MissingError as error:
        raise _UsageError(f"{engine.name}: not installed: {error}") from error


def _part(subjects: Sequence[Subject], named: Sequence[str], engine: Engine) -> list[Subject]:
    """The models that an engine runs."""
    kinds = () if engine.name in named else getattr(engine, "kinds", ())
    return [subject for subject in subjects if not kinds or subject.kind in kinds]


def _subjects(options: argparse.Namespace, folder: Path) -> Iterator[Subject]:
    """The models that are asked for."""
    for path in options.folders:
        yield from read_tree(path)
    cases = _cases(options)
    if cases:
        _say(f"exporting {len(cases)} cases" if len(cases) > 1 else f"exporting {cases[0].name}")
    for case in cases:
        yield from write(case, folder, options.opset)


def _cases(options: argparse.Namespace) -> list[Case]:
    """The losses that are named, or else those of the gallery."""
    if options.loss:
        cases = [from_catalogue(name) for name in options.loss]
    elif options.folders:
        cases = []
    else:
        every = [*CASES, *(from_catalogue(entry.name) for entry in entries())]
        cases = [case for case in every if options.only in case.name]
    if options.static:
        cases = [each for case in cases for each in (case, case.as_static())]
    if options.dtype:
        cases = [case.in_dtype(options.dtype) for case in cases]
    return cases


def _parse(arguments: Sequence[str] | None, names: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/conformance",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "folders", nargs="*", type=Path, metavar="FOLDER",
        help="models with test data in the form of ONNX's backend tests, as `lossgraph export` "
        "writes them",
    )  # fmt: skip
    parser.add_argument("--engine", action="append", choices=names, help="run in this one; repeat")
    parser.add_argument(
        "--without", action="append", default=[], choices=names, help="not in this one; repeat"
    )
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="losses of the gallery with this in their name"
    )
    parser.add_argument(
        "--loss", action="append", metavar="NAME",
        help="a loss of `lossgraph list` with typical inputs, instead of the gallery; repeat",
    )  # fmt: skip
    parser.add_argument("--dtype", choices=DTYPES, help="of the inputs that are not integers")
    parser.add_argument("--static", action="store_true", help="also with static shapes")
    parser.add_argument("--opset", type=int, help="version of the standard operators")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="keep what is exported there"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the table as Markdown")
    parser.add_argument("--html", type=Path, metavar="FILE", help="the table as a page")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all results as JSON")
    return parser.parse_args(arguments)


class _Lines(Watch):
    """Says on standard error which engine runs and what came of it."""

    def start(self, engine: str, version: str, count: int) -> Step:
        _say(f"{engine} {version}: {count} models")
        return lambda: None

    def end(self, column: Column) -> None:
        if column.missing:
            _say(f"{column.engine}: not installed: {column.missing}")
        else:
            _say(f"{column.engine}: {report.counted(column)}")


class _Bars(_Lines):
    """Shows a bar for each engine that runs, where somebody watches."""

    def __init__(self, add: Callable[[str, int], Step]) -> None:
        self._add = add

    def start(self, engine: str, version: str, count: int) -> Step:
        return self._add(f"{engine} {version}", count)


@contextmanager
def _watching() -> Iterator[Watch]:
    if not sys.stderr.isatty():
        yield _Lines()
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:

        def add(text: str, count: int) -> Step:
            return partial(progress.advance, progress.add_task(text, total=count))

        yield _Bars(add)


def _say(text: str) -> None:
    print(f"conformance: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
