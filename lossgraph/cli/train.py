"""``lossgraph train``."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

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
    parse_pairs,
    require_other,
)
from .output import INTERRUPTED, byte_size, note, print_json, print_table
from .training_options import (
    Frozen,
    MeanLoss,
    OptimizerName,
    OptimizerSet,
    Trainable,
    mean_of,
    step_of,
)

NAME = "train"
EXAMPLE = (
    "Example: lossgraph train net.onnx --loss softmax_ce --data train.npz --optimizer adamw "
    "--epochs 10 --validation-share 0.1 --curve curve.png -o trained.onnx"
)

_COLUMNS = 60  # letters of the curve in the terminal


def command(
    model: Annotated[Path, typer.Argument(help="An .onnx file.")],
    loss: MeanLoss,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Training data: arrays in .npz, columns in .parquet, .csv, .arrow."
        ),
    ] = None,
    target: Annotated[
        Path | None, typer.Option("-o", metavar="FILE", help="The trained model to write.")
    ] = None,
    output: Output = None,
    bind: Bind = None,
    input: Inputs = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NEW", help="What an input of the loss is called in the data; repeat."
        ),
    ] = None,
    column: Annotated[
        list[str] | None,
        typer.Option(
            metavar="INPUT=A,B,..", help="Columns of the table that make an input; repeat."
        ),
    ] = None,
    set: Set = None,
    optimizer: OptimizerName = "adamw",
    optimizer_set: OptimizerSet = None,
    trainable: Trainable = None,
    frozen: Frozen = None,
    epochs: Annotated[int, typer.Option(help="How many times to go through the data.")] = 10,
    batch_size: Annotated[int, typer.Option(help="Samples in a batch.")] = 32,
    seed: Annotated[int, typer.Option(help="Of the order of the samples.")] = 0,
    validation: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Data to validate with after each epoch.")
    ] = None,
    validation_share: Annotated[
        float, typer.Option(metavar="SHARE", help="Share of the data to validate with instead.")
    ] = 0.0,
    patience: Annotated[
        int | None,
        typer.Option(help="Stop when nothing became better for so many epochs; keep the best."),
    ] = None,
    checkpoint: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Save the run here after each epoch (.safetensors)."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run of --checkpoint, if it is there.")
    ] = False,
    curve: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A picture of the losses: .png, .svg, .pdf.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be trained and what not, and why.")
    ] = False,
    json: Json = False,
) -> None:
    """Train a model on data.

    The result is the model with new weights: names, metadata and structure stay. A curve of the
    losses is drawn at the end. --dry-run makes the training graphs and shows a table of the weights
    instead.
    """
    entry = lookup(loss)
    if not dry_run:
        _require_files(model, data, target, resume, checkpoint)
    trained = mean_of(entry, entry.make(parse_options(set)))
    optimizing = (optimizer, optimizer_set, trainable, frozen)
    step = step_of(model, trained, output, bind, input, rename, *optimizing)
    if dry_run:
        _print_plan(step, json)
        return
    from ..training.fitting import samples

    assert data is not None
    assert target is not None
    parts = _datasets(step, data, validation, validation_share, parse_columns(column), seed)
    trainer = _trainer(step, checkpoint if resume else None)
    history = _fit(trainer, parts, epochs, batch_size, seed, patience, checkpoint)
    files = [target, *([curve] if curve else [])]
    trainer.export(target)
    if curve:
        history.plot(curve)
    if json:
        print_json(
            {"loss": entry.name, "trainable": step.trainable, "steps": trainer.steps,
             "samples": samples(parts[0]), "history": history.rows, "files": files}
        )  # fmt: skip
        return
    _draw(history)
    print("\n".join(map(str, files)))


def parse_columns(texts: Sequence[str] | None) -> dict[str, list[str]]:
    """Columns of inputs from ``x=a,b,c``."""
    return {name: text.split(",") for name, text in parse_pairs(texts, "--column").items()}


def _require_files(
    model: Path, data: Path | None, target: Path | None, resume: bool, checkpoint: Path | None
) -> None:
    if data is None:
        raise InputError("--data FILE is missing, which has what to train with")
    if target is None:
        raise InputError("-o FILE is missing, the trained model to write")
    if resume and checkpoint is None:
        raise InputError("--resume goes on with the run of --checkpoint FILE, which is missing")
    require_other("-o", target, [model, data])


# --- what would be trained ---


def _print_plan(step: Any, json: bool) -> None:
    tensors = {tensor.name: tensor for tensor in step.model.graph.initializer}
    rows = []
    for name, tensor in tensors.items():
        if name in step.parameters or name in step.left_out:
            size = "x".join(map(str, tensor.dims)) or "scalar"
            why = step.left_out.get(name, "")
            rows.append((name, size, str(math.prod(tensor.dims)), why))
    trained = sum(array.size for array in step.parameters.values())
    state = sum(array.nbytes for array in step.state.values())
    if json:
        keys = ("name", "shape", "elements", "left_out")
        shapes = {name: list(tensor.dims) for name, tensor in tensors.items()}
        described = [
            {**dict(zip(keys, row, strict=True)), "shape": shapes[row[0]], "elements": int(row[2]),
             "trained": not row[3]}
            for row in rows
        ]  # fmt: skip
        hyper = {name: float(value) for name, value in step.hyper.items()}
        print_json(
            {"weights": described, "trained": trained, "state_bytes": state, "batch": step.batch,
             "optimizer": type(step.optimizer).__name__, "hyper": hyper}
        )  # fmt: skip
        return
    print_table(
        ("weight", "shape", "elements", "trained"),
        [(*row[:3], f"no: {row[3]}" if row[3] else "yes") for row in rows],
    )
    note(
        f"trains {trained} elements in {len(step.parameters)} of {len(rows)} weights, of "
        f"{', '.join(step.batch)}; {type(step.optimizer).__name__} keeps {byte_size(state)}"
    )


# --- a run ---


def _datasets(
    step: Any,
    data: Path,
    validation: Path | None,
    share: float,
    columns: Mapping[str, Sequence[str]],
    seed: int,
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """The arrays to train with, and those to validate with, if any."""
    from ..models.declared_types import input_types
    from ..training.tables import read_arrays

    if not 0 <= share < 1:
        raise InputError(f"--validation-share {share}: expected a number from 0 to below 1")
    if share and validation:
        raise InputError("--validation and --validation-share: leave one out")
    found = input_types(step.train)
    types = {name: found[name] for name in step.batch}
    arrays = read_arrays(data, types, columns)
    if validation is not None:
        return arrays, read_arrays(validation, types, columns)
    count = min(map(len, arrays.values()))
    kept = round(count * share)
    if not kept:
        return arrays, None
    order = np.random.default_rng(seed).permutation(count)
    parts = np.sort(order[kept:]), np.sort(order[:kept])
    training, checked = ({n: array[part] for n, array in arrays.items()} for part in parts)
    return training, checked


def _trainer(step: Any, checkpoint: Path | None) -> Any:
    """A trainer, which goes on with a run if there is one."""
    from ..training import Trainer

    if checkpoint is None:
        return Trainer(step)
    if not checkpoint.exists():
        note(f"{checkpoint} is not there yet: the run begins")
        return Trainer(step)
    trainer = Trainer.load(step, checkpoint)
    note(f"goes on after {trainer.steps} steps, with {checkpoint}")
    return trainer


def _fit(
    trainer: Any,
    parts: tuple[dict[str, Any], dict[str, Any] | None],
    epochs: int,
    batch_size: int,
    seed: int,
    patience: int | None,
    checkpoint: Path | None,
) -> Any:
    from ..training import Batches, Callback, Checkpoints, EarlyStopping
    from ..training.progress import line_of

    class Lines(Callback):
        """A line for each epoch where there is no bar."""

        def on_epoch(self, trainer: Any, row: Mapping[str, float]) -> None:
            if not sys.stderr.isatty():
                note(line_of(row, epochs))

    training, checked = parts
    callbacks: list[Callback] = [Lines()]
    if patience is not None:
        callbacks.append(EarlyStopping(patience))
    if checkpoint is not None:
        callbacks.append(Checkpoints(checkpoint))
    validation = Batches(checked, batch_size, shuffle=False) if checked else None
    given = Batches(training, batch_size, seed=seed)
    try:
        return trainer.fit(given, epochs, validation=validation, callbacks=callbacks)
    except KeyboardInterrupt:
        kept = "nothing is written"
        if checkpoint is not None:
            trainer.save(checkpoint)
            kept = f"--resume goes on with {checkpoint}"
        note(f"interrupted after {trainer.steps} steps: {kept}")
        raise typer.Exit(INTERRUPTED) from None


def _draw(history: Any) -> None:
    """The curve of a run in the terminal, beside the data."""
    from ..view.terminal import text_curve

    line = history.curve.smooth(_COLUMNS)
    checked = [row for row in history if "validation_loss" in row]
    marks = [(row["steps"], row["validation_loss"]) for row in checked]
    drawn = text_curve(line, marks, _COLUMNS)
    if drawn:
        note(f"loss by steps{', × is that of validation' if marks else ''}\n{drawn}")
