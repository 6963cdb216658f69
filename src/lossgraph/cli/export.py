"""``lossgraph export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..catalogue import lookup
from ..loss import as_types
from ..types import TensorType
from .options import (
    AsFunction,
    Grad,
    Inputs,
    Json,
    Loss,
    Opset,
    Set,
    TargetOrt,
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
    target_ort: TargetOrt = None,
    dtype: Annotated[
        str | None,
        typer.Option(help="Dtype of the typical float inputs: float16, bfloat16, float64."),
    ] = None,
    as_function: AsFunction = False,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="DIM=NUMBER", help="Size of a dim in the test data; repeat."),
    ] = None,
    json: Json = False,
) -> None:
    """Write value.onnx, with --grad training.onnx, test data and a page about them."""
    entry = lookup(loss)
    made = entry.make(parse_options(set))
    types = as_types(types_for(entry, made, input, dtype))
    if not input:
        taken = [f"{name}:{type_.dtype}:{_dims(type_)}" for name, type_ in types.items()]
        note(f"no --input: taking {', '.join(taken)}")
    from ..export import export_folder

    files = export_folder(
        made,
        types,
        output,
        names(grad),
        opset,
        parse_sizes(size),
        as_function=as_function,
        target_ort=target_ort,
    )
    if json:
        print_json({"loss": entry.name, "folder": output, "files": files})
    else:
        print("\n".join(map(str, files)))


def _dims(type_: TensorType) -> str:
    return ",".join(map(str, type_.shape))
