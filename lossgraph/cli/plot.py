"""``lossgraph plot``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ..errors import InputError
from ..view.plots import POINTS, Drawn, draw, file_of, subject_of
from .completion import complete_loss
from .options import Json, Set, literal, parse_options
from .output import print_json, progress

NAME = "plot"
EXAMPLE = "Example: lossgraph plot huber l1 --set rho=2 -o curves.png"


def command(
    losses: Annotated[
        list[str],
        typer.Argument(
            metavar="LOSS...",
            help="Losses of `lossgraph list`, or your own: my_losses.py:SoftHinge.",
            autocompletion=complete_loss,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="A .png, .svg or .pdf to write."),
    ] = None,
    set: Set = None,
    sweep: Annotated[
        str | None,
        typer.Option(metavar="OPTION=A,B,..", help="Draw a line for each value of an option."),
    ] = None,
    low: Annotated[float | None, typer.Option("--from", help="Where the range begins.")] = None,
    high: Annotated[float | None, typer.Option("--to", help="Where it ends.")] = None,
    points: Annotated[int, typer.Option(min=2, help="How many points.")] = POINTS,
    label: Annotated[
        str | None,
        typer.Option(
            metavar="A,B,..",
            help="The label, instead of 0 (of a class or a sign, 1); a line for each.",
        ),
    ] = None,
    dtype: Annotated[str, typer.Option(help="Compute in this dtype.")] = "float64",
    together: Annotated[
        bool, typer.Option("--together", help="Value and gradient in one panel.")
    ] = False,
    json: Json = False,
) -> None:
    """Draw the values and gradients of losses.

    One entry of the prediction moves. Losses of single elements stand at the label 0, those of
    signs and classes at 1 with other scores 0, all others at example inputs. An option goes to the
    losses that have it; LOSS.OPTION to one. A gradient that jumps is drawn as a jump, and a pole is
    cut off.
    """
    if output is None and not json:
        raise InputError("nothing to do: give a picture to write, like -o curves.png, or --json")
    subjects = [subject_of(name) for name in losses]
    options, varied, labels = parse_options(set), _values(sweep), _labels(label)
    wanted = (low, high, points)
    drawn = draw(subjects, options, varied, labels, wanted, dtype, watch=progress)
    if output is not None:
        _write(output, drawn, together)
    if json:
        print_json([_described(one) for one in drawn])
    else:
        print(output)


def _write(path: Path, drawn: Sequence[Drawn], together: bool) -> None:
    from ..models.files import write_file

    write_file(path, file_of(drawn, path.suffix.removeprefix("."), together))


# --- texts of options ---


def _labels(text: str | None) -> list[float | None]:
    """Where the label stands, once or in several places."""
    if text is None:
        return [None]
    try:
        return [float(value) for value in text.split(",")]
    except ValueError:
        raise InputError(f"--label {text}: expected NUMBER,NUMBER,.., like -1,1") from None


def _values(text: str | None) -> dict[str, list[Any]]:
    """The option that varies, with its values."""
    if text is None:
        return {}
    option, _, values = text.partition("=")
    if not option or not values:
        raise InputError(f"--sweep {text}: expected OPTION=VALUE,VALUE,.., like rho=0.5,1,2")
    return {option: [literal(value) for value in values.split(",")]}


# --- numbers ---


def _described(drawn: Drawn) -> dict[str, Any]:
    sweep, found = drawn.sweep, drawn.curve
    return {
        "loss": drawn.subject.entry.name if drawn.subject.entry else drawn.subject.name,
        "options": dict(drawn.options),
        "moves": sweep.moving,
        "label": sweep.standing,
        "inputs": sweep.arrays,
        "x": found.x,
        "value": found.value,
        "gradient": found.gradient,
        "kinks": [asdict(kink) for kink in found.kinks],
    }
