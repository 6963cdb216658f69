"""``lossgraph export-training``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from ..catalogue import lookup
from ..errors import InputError
from .options import (
    Bind,
    Inputs,
    Json,
    Output,
    Set,
    parse_options,
    parse_sizes,
)
from .output import note, print_json
from .training_options import (
    Frozen,
    MeanLoss,
    OptimizerName,
    OptimizerSet,
    Trainable,
    mean_of,
    step_of,
)

NAME = "export-training"
EXAMPLE = (
    "Example: lossgraph export-training net.onnx --loss nn.CrossEntropyLoss --optimizer adamw "
    "-o training"
)


def command(
    model: Annotated[Path, typer.Argument(help="An .onnx file.")],
    loss: MeanLoss,
    folder: Annotated[Path, typer.Option("-o", metavar="DIR", help="The folder to write.")],
    output: Output = None,
    bind: Bind = None,
    input: Inputs = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=NEW", help="Other name for an input of the loss; repeat."),
    ] = None,
    set: Set = None,
    optimizer: OptimizerName = "adamw",
    optimizer_set: OptimizerSet = None,
    trainable: Trainable = None,
    frozen: Frozen = None,
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

    optimizing = (optimizer, optimizer_set, trainable, frozen)
    step = step_of(model, mean_of(entry, made), output, bind, input, rename, *optimizing)
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
