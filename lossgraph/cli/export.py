"""``lossgraph export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..authoring.input_types import as_types
from ..catalogue import lookup
from ..deploy.triton import MAX_BATCH_SIZE, write_repository
from ..errors import InputError
from ..ir.types import TensorType
from ..kernels.targets import SHIPPED
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
        Path | None, typer.Option("--output", "-o", metavar="DIR", help="The folder to write.")
    ] = None,
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
    kernels: Annotated[
        str | None,
        typer.Option(
            metavar="TARGET,..",
            help=f"Add models with fused kernels, and their libraries, for {', '.join(SHIPPED)}.",
        ),
    ] = None,
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
    triton_path: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Path of the repository where Triton runs, which finds kernels by it; as here if "
            "none.",
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Export a loss: models, test data and a page about them.

    They are value.onnx, with --grad training.onnx, test_data_set_0 and README.md. With --kernels
    also value_fused.onnx, training_fused.onnx and kernels/TARGET with a native library each. With
    --triton, as models NAME and NAME_training of a model repository, with -o or instead.
    """
    if output is None and triton is None:
        raise InputError("say where to write: --output DIR, or --triton DIR")
    if triton is None and (triton_name or triton_gpu or triton_path):
        raise InputError("--triton-name, --triton-gpu and --triton-path go with --triton DIR")
    entry = lookup(loss)
    made = entry.make(parse_options(set))
    types = as_types(types_for(entry, made, input, dtype))
    if not input:
        taken = [f"{name}:{type_.dtype}:{_dims(type_)}" for name, type_ in types.items()]
        note(f"no --input: taking {', '.join(taken)}")
    from ..deploy.export import write_folder
    from ..deploy.prepared import prepare

    prepared = prepare(made, types, names(grad), entry)
    how: dict[str, Any] = {"opset": opset, "as_function": as_function, "target_ort": target_ort}
    how["kernels"] = kernels or ()
    files: list[Path] = []
    if output is not None:
        files += write_folder(prepared, output, sizes=parse_sizes(size), **how)
    if triton is not None:
        files += write_repository(
            prepared, triton, triton_name, triton_batch, triton_gpu, server_path=triton_path, **how
        )
    if json:
        print_json({"loss": entry.name, "folder": output, "triton": triton, "files": files})
    else:
        print("\n".join(map(str, files)))


def _dims(type_: TensorType) -> str:
    return ",".join(map(str, type_.shape))
