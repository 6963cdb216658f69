"""The command line of tools/conformance."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from lossgraph.errors import LossgraphError

from . import report
from .adapters import Engine, engines
from .cases import Case, from_catalogue, write
from .gallery import CASES
from .matrix import fill
from .subjects import Subject, read_folder

DESCRIPTION = """\
Runs exported losses in several ONNX engines, and compares what they give with what they ought to.

Without a FOLDER the models are those of a gallery, exported on the spot; what they ought to give
is computed by numpy in float64. An engine that is not installed is left out."""

EPILOG = """\
`tools/conformance --install` first makes the environments of OpenVINO and of the engines in
JavaScript, the latter where there is a Node.js. The exit code is 0 if every engine that is
installed gives what is expected of every model, 1 if one does not, 2 for wrong use."""


class _UsageError(Exception):
    """What is asked for cannot be done."""


def main(arguments: Sequence[str] | None = None, known: Sequence[Engine] | None = None) -> int:
    """The command, with other engines than the usual ones if some are given."""
    known = engines() if known is None else known
    options = _parse(arguments, [engine.name for engine in known])
    chosen = [engine for engine in known if engine.name in (options.engine or [engine.name])]
    try:
        with TemporaryDirectory(prefix="conformance-") as temporary:
            subjects = list(_subjects(options, options.output or Path(temporary)))
            if not subjects:
                raise _UsageError(f"no loss of the gallery has {options.only!r} in its name")
            columns = fill(subjects, chosen, _say)
        if not any(column.cells for column in columns):
            raise _UsageError("none of these engines is installed")
        for path, form in ((options.markdown, report.markdown), (options.json, report.as_json)):
            if path is not None:
                path.write_text(form(subjects, columns))
    except (LossgraphError, OSError, _UsageError) as error:
        _say(str(error))
        return 2
    report.print_table(subjects, columns)
    return 0 if all(column.ok for column in columns) else 1


def _subjects(options: argparse.Namespace, folder: Path) -> Iterator[Subject]:
    """The models that are asked for."""
    for path in options.folders:
        yield from read_folder(path)
    for case in _cases(options):
        _say(f"exporting {case.name}")
        yield from write(case, folder, options.opset)


def _cases(options: argparse.Namespace) -> list[Case]:
    """The losses that are named, or else those of the gallery."""
    if options.loss:
        cases = [from_catalogue(name) for name in options.loss]
    else:
        cases = [] if options.folders else [case for case in CASES if options.only in case.name]
    if options.static:
        cases = [each for case in cases for each in (case, case.as_static())]
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
        "--only", default="", metavar="TEXT", help="losses of the gallery with this in their name"
    )
    parser.add_argument(
        "--loss", action="append", metavar="NAME",
        help="a loss of `lossgraph list` with typical inputs, instead of the gallery; repeat",
    )  # fmt: skip
    parser.add_argument("--static", action="store_true", help="also with static shapes")
    parser.add_argument("--opset", type=int, help="version of the standard operators")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="keep what is exported there"
    )
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="the table as Markdown")
    parser.add_argument("--json", type=Path, metavar="FILE", help="all results as JSON")
    return parser.parse_args(arguments)


def _say(text: str) -> None:
    print(f"conformance: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
