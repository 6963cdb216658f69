"""``lossgraph plot``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from ..catalogue import Entry, lookup
from ..errors import InputError
from ..view.curves import Curve, curve
from ..view.sweeps import Sweep, sweep_of
from .completion import complete_loss
from .options import Json, Set, literal, parse_options
from .output import print_json, progress

NAME = "plot"
EXAMPLE = "Example: lossgraph plot huber l1 --set rho=2 -o curves.png"


class Drawn(NamedTuple):
    """A loss with options, and what is drawn of it."""

    name: str
    entry: Entry
    options: Mapping[str, Any]
    sweep: Sweep
    curve: Curve


def command(
    losses: Annotated[
        list[str],
        typer.Argument(
            metavar="LOSS...", help="Losses of `lossgraph list`.", autocompletion=complete_loss
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
    points: Annotated[int, typer.Option(min=2, help="How many points.")] = 401,
    label: Annotated[
        float | None, typer.Option(help="The label, instead of 0 (of a class or a sign, 1).")
    ] = None,
    dtype: Annotated[str, typer.Option(help="Compute in this dtype.")] = "float64",
    json: Json = False,
) -> None:
    """Draw the values and gradients of losses.

    One entry of the prediction moves. Losses of single elements stand at the label 0, those of
    signs and classes at 1 with other scores 0, all others at sample data. An option goes to the
    losses that have it; LOSS.OPTION to one. A gradient that jumps is drawn as a jump, and a pole is
    cut off.
    """
    if output is None and not json:
        raise InputError("nothing to do: give a picture to write, like -o curves.png, or --json")
    chosen = [(name, lookup(name)) for name in losses]
    families = list(_families(chosen, parse_options(set), sweep))
    drawn = [
        _drawn(name, entry, options, dtype, label, (low, high, points))
        for name, entry, options in progress(families, "computing")
    ]
    if output is not None:
        _write(output, drawn)
    if json:
        print_json([_described(one) for one in drawn])
    else:
        print(output)


# --- which losses, with which options ---


def _families(
    chosen: Sequence[tuple[str, Entry]], given: Mapping[str, Any], sweep: str | None
) -> Iterator[tuple[str, Entry, dict[str, Any]]]:
    """Each loss with its options, several times where one of them has several values."""
    common = _by_loss(chosen, given)
    several = _by_loss(chosen, _values(sweep))
    for (name, entry), options, varied in zip(chosen, common, several, strict=True):
        for option, values in varied.items():
            for value in values:
                yield name, entry, {**options, option: value}
        if not varied:
            yield name, entry, options


def _by_loss(chosen: Sequence[tuple[str, Entry]], given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The options given for each loss.

    Raises:
        InputError: for an option that no loss has, or for a loss that is not drawn.
    """
    found: list[dict[str, Any]] = [{} for _ in chosen]
    for key, value in given.items():
        loss, _, option = key.rpartition(".")
        only = lookup(loss).name if loss else None
        meant = [i for i, (_, entry) in enumerate(chosen) if only in (None, entry.name)]
        having = [i for i in meant if option in chosen[i][1].options]
        if not meant:
            raise InputError(f"{key}: {only} is not among the losses that are drawn")
        if not having:
            known = "; ".join(f"{e.name} has {', '.join(e.options)}" for _, e in chosen)
            raise InputError(f"no loss here has an option {option!r}: {known}")
        for i in having:
            found[i][option] = value
    return found


def _values(text: str | None) -> dict[str, list[Any]]:
    """The option that varies, with its values."""
    if text is None:
        return {}
    option, _, values = text.partition("=")
    if not option or not values:
        raise InputError(f"--sweep {text}: expected OPTION=VALUE,VALUE,.., like rho=0.5,1,2")
    return {option: [literal(value) for value in values.split(",")]}


# --- their curves ---


def _drawn(
    name: str,
    entry: Entry,
    options: Mapping[str, Any],
    dtype: str,
    label: float | None,
    wanted: tuple[float | None, float | None, int],
) -> Drawn:
    loss = entry.make(options)
    sweep = sweep_of(loss, dtype)
    try:
        sweep = sweep if label is None else sweep.labelled(label)
    except InputError as error:
        raise InputError(f"{name}: {error}") from None
    return Drawn(name, entry, options, sweep, curve(loss, sweep, _points(name, sweep, *wanted)))


def _points(name: str, sweep: Sweep, low: float | None, high: float | None, count: int) -> Any:
    """The range that is wanted, as far as the loss is defined there."""
    first = sweep.low if low is None else max(low, sweep.limits[0])
    last = sweep.high if high is None else min(high, sweep.limits[1])
    if not first < last:
        where = f"from {sweep.limits[0]:g} to {sweep.limits[1]:g}"
        raise InputError(f"{name}: nothing to draw from {first:g} to {last:g}: defined {where}")
    return np.linspace(first, last, count)


# --- what is told of them ---


def _write(path: Path, drawn: Sequence[Drawn]) -> None:
    """The picture: what is common to all lines in its title, what is not in the legend."""
    from ..models.files import write_file
    from ..view.plotting import Line, picture

    told = [_told(one) for one in drawn]
    differs = [len({*texts}) > 1 for texts in zip(*told, strict=True)]
    lines = [
        Line(" ".join(filter(None, itertools.compress(texts, differs))), one.curve)
        for texts, one in zip(told, drawn, strict=True)
    ]
    title = " ".join(filter(None, itertools.compress(told[0], (not each for each in differs))))
    moving = {one.sweep.moving for one in drawn}
    content = picture(
        lines,
        path.suffix.removeprefix("."),
        moving.pop() if len(moving) == 1 else "prediction",
        title,
        ordered=len(drawn) > 1 and not differs[0],
    )
    write_file(path, content)


def _told(drawn: Drawn) -> tuple[str, str, str]:
    """The loss, its options, where its label stands; empty if there is nothing to tell."""
    options = ", ".join(f"{key}={value}" for key, value in drawn.options.items())
    standing = drawn.sweep.standing
    return drawn.name, options, "" if standing is None else f"at label {standing:.4g}"


def _described(drawn: Drawn) -> dict[str, Any]:
    sweep, found = drawn.sweep, drawn.curve
    return {
        "loss": drawn.entry.name,
        "options": dict(drawn.options),
        "moves": sweep.moving,
        "label": sweep.standing,
        "inputs": sweep.arrays,
        "x": found.x,
        "value": found.value,
        "gradient": found.gradient,
        "kinks": [asdict(kink) for kink in found.kinks],
    }
