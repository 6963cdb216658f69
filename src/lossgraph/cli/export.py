"""``lossgraph export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..catalogue import lookup
from ..errors import InputError
from ..triton import MAX_BATCH_SIZE, export_repository
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
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="The folder to write.")
    ] = None,
    input: Inputs = None,
    grad: Grad = None,
    set: Set = None,
    opset: Opset = None,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="DIM=NUMBER", help="Size of a dim in the test data; repeat."),
    ] = None,
    triton: Annotated[
        Path | None, typer.Option(metavar="DIR", help="A model repository of Triton to write into.")
    ] = None,
    triton_name: Annotated[
        str | None, typer.Option(metavar="NAME", help="The model's name there; the loss's if none.")
    ] = None,
    triton_batch: Annotated[
        int, typer.Option(min=0, help="Most samples that Triton may put together; 0, none.")
    ] = MAX_BATCH_SIZE,
    triton_gpu: Annotated[bool, typer.Option("--triton-gpu", help="Run it on GPUs there.")] = False,
    json: Json = False,
) -> None:
    """Write value.onnx, with --grad training.onnx, test data and a page about them.

    With --triton, as models NAME and NAME_training of a model repository, with -o or instead.
    """
    if output is None and triton is None:
        raise InputError("say where to write: --output DIR, or --triton DIR")
    if triton is None and (triton_name or triton_gpu):
        raise InputError("--triton-name and --triton-gpu go with --triton DIR")
    entry = lookup(loss)
    made = entry.make(parse_options(set))
    types = types_for(entry, made, input)
    if not input:
        taken = [f"{name}:{dtype}:{_dims(shape)}" for name, (dtype, shape) in types.items()]
        note(f"no --input: taking {', '.join(taken)}")
    from ..export import export_folder

    files: list[Path] = []
    if output is not None:
        files += export_folder(made, types, output, names(grad), opset, parse_sizes(size))
    if triton is not None:
        files += export_repository(
            made, types, triton, names(grad), opset, triton_name, triton_batch, triton_gpu
        )
    if json:
        print_json({"loss": entry.name, "folder": output, "triton": triton, "files": files})
    else:
        print("\n".join(map(str, files)))


def _dims(shape: tuple[str | int, ...]) -> str:
    return ",".join(map(str, shape))
