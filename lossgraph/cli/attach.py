"""``lossgraph attach``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..catalogue import lookup
from .completion import complete_loss
from .options import (
    AsFunction,
    Bind,
    Inputs,
    Json,
    Output,
    Set,
    TargetOrt,
    names,
    parse_options,
    parse_pairs,
    parse_types,
)
from .output import note, print_json

NAME = "attach"
EXAMPLE = (
    "Example: lossgraph attach model.onnx --loss softmax_ce --output logits --grad logits "
    "-o scored.onnx"
)


def command(
    model: Annotated[Path, typer.Argument(help="An .onnx file.")],
    loss: Annotated[
        str,
        typer.Option(
            metavar="LOSS",
            help="A name or alias of `lossgraph list`.",
            autocompletion=complete_loss,
        ),
    ],
    target: Annotated[Path, typer.Option("-o", metavar="FILE", help="The file to write.")],
    output: Output = None,
    bind: Bind = None,
    input: Inputs = None,
    grad: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Output or input to differentiate by; repeat."),
    ] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NEW", help="Other name for an input or output of the loss; repeat."
        ),
    ] = None,
    set: Set = None,
    as_function: AsFunction = False,
    target_ort: TargetOrt = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace the model, if FILE is its own file.")
    ] = False,
    json: Json = False,
) -> None:
    """Attach a loss to the end of a model.

    What the model computed stays as it was. The new file has the inputs and outputs of the model,
    those inputs of the loss that the model does not give, and the loss. --input names inputs of the
    loss: those that the model gives only where it does not say their type itself.
    """
    entry = lookup(loss)
    from ..models.attach import attach_file
    from ..models.declared_types import identifier

    made = attach_file(
        model,
        target,
        entry.make(parse_options(set)),
        force,
        output=output,
        bind=parse_pairs(bind, "--bind"),
        inputs=parse_types(input, identifier),
        grad=names(grad),
        rename=parse_pairs(rename, "--rename"),
        as_function=as_function,
        target_ort=target_ort,
    )
    inputs = {name: str(type_) for name, type_ in made.inputs.items()}
    outputs = {name: str(type_) for name, type_ in made.outputs.items()}
    if json:
        versions = {"opset": made.opset, "ir_version": made.model.ir_version}
        described = {"loss": entry.name, "inputs": inputs, "outputs": outputs, **versions}
        print_json({**described, "files": made.files})
    else:
        listed = [f"{name} {type_}" for name, type_ in (inputs | outputs).items()]
        note(f"new: {', '.join(listed)}")
        print("\n".join(map(str, made.files)))
