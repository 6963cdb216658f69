"""The application: its commands, its version, and how errors end it."""

from __future__ import annotations

import io
import sys
from typing import Annotated, Any

import typer

from ..errors import InputError, LossgraphError, LoweringError
from . import (
    attach,
    bench,
    cache,
    check,
    compare,
    doctor,
    evaluate,
    export,
    export_training,
    inspect,
    listing,
    plot,
    run,
    serve,
    show,
    train,
)

_WRONG_USE = (InputError, LoweringError)


class _Group(typer.core.TyperGroup):
    """Errors of lossgraph are messages, not tracebacks."""

    def invoke(self, ctx: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):  # names of files may be no text
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="surrogateescape")
        try:
            return super().invoke(ctx)
        except LossgraphError as error:
            print(f"Error: {error}", file=sys.stderr)
            raise typer.Exit(2 if isinstance(error, _WRONG_USE) else 1) from error
        except MemoryError as error:
            print(f"Error: there is not enough memory: {error}", file=sys.stderr)
            raise typer.Exit(1) from error


app = typer.Typer(
    name="lossgraph",
    cls=_Group,
    help="Losses as mathematics, compiled to ONNX graphs of value and gradient.",
    epilog="Example: lossgraph export softmax_ce --grad pred -o ce",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _version(asked: bool) -> None:
    if asked:
        from .. import __version__

        print(f"lossgraph {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    pass


_COMMANDS = (
    listing, show, plot, export, attach, train, export_training, inspect, run, evaluate, check,
    compare, bench, serve, doctor, cache,
)  # fmt: skip
for _module in _COMMANDS:
    app.command(_module.NAME, epilog=_module.EXAMPLE)(_module.command)
