"""``lossgraph export-training``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ..catalogue import lookup
from ..errors import InputError
from .completion import complete_loss
from .options import (
    Inputs,
    Json,
    Set,
    names,
    parse_options,
    parse_pairs,
    parse_sizes,
    parse_types,
)
from .output import note, print_json

NAME = "export-training"
EXAMPLE = (
    "Example: lossgraph export-training net.onnx --loss nn.CrossEntropyLoss --optimizer adamw "
    "-o training"
)


def command(
    model: Annotated[Path, typer.Argument(help="An .onnx file.")],
    loss: Annotated[
        str,
        typer.Option(
            metavar="LOSS",
            help="A name or alias of `lossgraph list`; trained is its mean.",
            autocompletion=complete_loss,
        ),
    ],
    folder: Annotated[Path, typer.Option("-o", metavar="DIR", help="The folder to write.")],
    output: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Output or inner value that is the loss's first input; the only output if none.",
        ),
    ] = None,
    bind: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT=NAME", help="Input of the loss that the model computes or has; repeat."
        ),
    ] = None,
    input: Inputs = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NEW", help="Other name for an input of the loss; repeat."),
    ] = None,
    set: Set = None,
    optimizer: Annotated[
        str, typer.Option(metavar="NAME", help="How parameters move: sgd, adamw, ..")
    ] = "adamw",
    optimizer_set: Annotated[
        list[str] | None,
        typer.Option(metavar="OPTION=VALUE", help="Option of it, like learning_rate=0.01; repeat."),
    ] = None,
    trainable: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATTERN",
            help="Initializer to train, like 'layer4.*'; repeat. All that a person would if none.",
        ),
    ] = None,
    frozen: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Initializer not to train; repeat."),
    ] = None,
    batch: Annotated[
        Path | None,
        typer.Option(metavar="FILE.npz", help="An example batch; one is drawn if none."),
    ] = None,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="DIM=NUMBER", help="Size of a dim in that batch; repeat."),
    ] = None,
    json: Json = False,
) -> None:
    """Write the graphs with which ONNX Runtime alone trains a model.

    They are train.onnx, a step of the optimizer, evaluate.onnx and gradients.onnx; what a run
    begins with, in initial.onnx and state.bin; and README.md, which trains with them in Python,
    C++ and JavaScript.
    """
    entry = lookup(loss)
    made = entry.make(parse_options(set))
    from ..deploy.export_training import export_training
    from ..models.declared_types import identifier
    from ..training import build
    from .optimizers import named_optimizer
    from .train import mean_of

    step = build(
        model,
        mean_of(entry, made),
        output,
        bind=parse_pairs(bind, "--bind"),
        inputs=parse_types(input, identifier),
        rename=parse_pairs(rename, "--rename"),
        optimizer=named_optimizer(optimizer, **parse_options(optimizer_set)),
        trainable=list(names(trainable)) or None,
        frozen=list(names(frozen)),
    )
    arrays = _arrays(batch) if batch else None
    examples = entry.examples(made)
    files = export_training(
        step, folder, arrays, parse_sizes(size), title=model.name, examples=examples
    )
    if json:
        described = {"trainable": step.trainable, "left_out": dict(step.left_out)}
        print_json({"loss": entry.name, **described, "batch": step.batch, "files": files})
    else:
        note(f"trains {', '.join(step.trainable)}, of {', '.join(step.batch)}")
        print("\n".join(map(str, files)))


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """The arrays in a file.

    Raises:
        InputError: for a file that is none of NumPy's archives.
    """
    try:
        with np.load(path) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"--batch {path}: expected an .npz of NumPy: {error}") from error
