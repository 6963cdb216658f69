"""What the commands that train take, and the step that they make of it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..authoring.block import Block
from ..catalogue import Entry
from .completion import complete_loss
from .options import names, parse_options, parse_pairs, parse_types

Texts = Sequence[str] | None

MeanLoss = Annotated[
    str,
    typer.Option(
        "--loss",
        metavar="LOSS",
        help="A name or alias of `lossgraph list`; trained is its mean.",
        autocompletion=complete_loss,
    ),
]
OptimizerName = Annotated[
    str, typer.Option("--optimizer", metavar="NAME", help="How parameters move: sgd, adamw, ..")
]
OptimizerSet = Annotated[
    list[str] | None,
    typer.Option(
        "--optimizer-set",
        metavar="OPTION=VALUE",
        help="Option of it, like learning_rate=0.01; repeat.",
    ),
]
Trainable = Annotated[
    list[str] | None,
    typer.Option(
        "--trainable",
        metavar="PATTERN",
        help="Initializer to train, like 'layer4.*'; repeat. All that a person would if none.",
    ),
]
Frozen = Annotated[
    list[str] | None,
    typer.Option("--frozen", metavar="PATTERN", help="Initializer not to train; repeat."),
]


def step_of(
    model: Path,
    loss: Any,
    output: str | None,
    bind: Texts,
    inputs: Texts,
    rename: Texts,
    optimizer: str,
    optimizer_set: Texts,
    trainable: Texts,
    frozen: Texts,
) -> Any:
    """The step that the options of a command describe."""
    from ..models.declared_types import identifier
    from ..training import build
    from .optimizers import named_optimizer

    return build(
        model,
        loss,
        output,
        bind=parse_pairs(bind, "--bind"),
        inputs=parse_types(inputs, identifier),
        rename=parse_pairs(rename, "--rename"),
        optimizer=named_optimizer(optimizer, **parse_options(optimizer_set)),
        trainable=list(names(trainable)) or None,
        frozen=list(names(frozen)),
    )


def mean_of(entry: Entry, loss: Block) -> Any:
    """The mean of a loss, so that a step does not depend on how many samples a batch has."""
    types = entry.example_types(loss)
    program = loss.program(types)
    if len(program.values) > 1 or not program.outputs[program.values[0]].rank:
        return loss
    needed = [name for name in types if entry.declared.get(name, True)]

    def mean(F: Any, *arrays: Any, **named: Any) -> Any:
        return F.mean(loss(*arrays, **named))

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind) for name in ("F", *needed)]
    mean.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    mean.__name__ = f"mean_of_{loss.name}"
    return mean
