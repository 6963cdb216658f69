"""``lossgraph export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..catalogue import lookup
from .options import (
    Grad,
    Inputs,
    Json,
    Loss,
    Opset,
    Set,
    names,
    parse_options,
    parse_sizes,
    types_for,
)
from .output import note, print_json

NAME = "export"
EXAMPLE = (
    "Example: lossgraph export softmax_ce --input pred:float32:N,C --input label:int64:N "
    "--grad pred -o exported/ce"
)


def command(
    loss: Loss,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="DIR", help="The folder to write.")
    ],
    input: Inputs = None,
    grad: Grad = None,
    set: Set = None,
    opset: Opset = None,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="DIM=NUMBER", help="Size of a dim in the test data; repeat."),
    ] = None,
    json: Json = False,
) -> None:
    """Write value.onnx, with --grad training.onnx, test data and a page about them."""
    entry = lookup(loss)
    made = entry.make(parse_options(set))
    types = types_for(entry, made, input)
    if not input:
        taken = [f"{name}:{dtype}:{_dims(shape)}" for name, (dtype, shape) in types.items()]
        note(f"no --input: taking {', '.join(taken)}")
    from ..export import export_folder

    files = export_folder(made, types, output, names(grad), opset, parse_sizes(size))
    if json:
        print_json({"loss": entry.name, "folder": output, "files": files})
    else:
        print("\n".join(map(str, files)))


def _dims(shape: tuple[str | int, ...]) -> str:
    return ",".join(map(str, shape))
