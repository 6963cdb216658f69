"""``lossgraph inspect``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import Json
from .output import byte_size, print_json, print_table

if TYPE_CHECKING:
    from ..models.summary import DataFile, ModelSummary

NAME = "inspect"
EXAMPLE = "Example: lossgraph inspect exported/ce/training.onnx"

_MOST_OPTIONAL = 8  # of inputs with defaults, which in old models are all weights
_MOST_LETTERS = 200  # of what other tools write into a model


def command(
    model: Annotated[Path, typer.Argument(help="An .onnx file, of lossgraph or any other tool.")],
    json: Json = False,
) -> None:
    """Tell what a model is, without running it.

    Inputs and outputs with their types, versions, operators with their counts (in subgraphs and
    functions too), parameters, files, and what lossgraph wrote into it. Weights in other files
    are not read.
    """
    from ..models.summary import summarize

    found = summarize(model)
    if json:
        print_json({**asdict(found), "total_size": found.total_size})
    else:
        print_table(("", "name", "value"), list(_rows(found)))


def _rows(found: ModelSummary) -> Iterable[tuple[str, str, str]]:
    """What stands in each line; the first column names a section where it begins."""
    for title, section in _sections(found).items():
        for i, (name, value) in enumerate(section.items()):
            yield title if i == 0 else "", _printable(name), _printable(value)


def _sections(found: ModelSummary) -> dict[str, dict[str, str]]:
    parameters, attached = found.parameters, dict(enumerate(found.attached, 1))
    return {
        "model": {
            "graph": found.graph,
            "producer": found.producer or "not said",
            "IR version": str(found.ir_version),
            **{f"opset of {domain}": str(version) for domain, version in found.opsets.items()},
        },
        "inputs": dict(found.inputs),
        "optional inputs": _first(found.optional_inputs, _MOST_OPTIONAL),
        "outputs": dict(found.outputs),
        "operators": _counts(found.operators),
        "functions": {name: f"{count} nodes" for name, count in found.functions.items()},
        "subgraphs": {"inside operators": str(found.subgraphs)} if found.subgraphs else {},
        "parameters": {
            "tensors": str(parameters.tensors),
            "elements": f"{parameters.elements:,}",
            "size": byte_size(parameters.bytes),
            **{f"of {dtype}": f"{count:,}" for dtype, count in parameters.dtypes.items()},
        },
        "files": {
            Path(found.file).name: byte_size(found.file_size),
            **{file.location: _data(file) for file in found.data_files},
            **({"together": byte_size(found.total_size)} if found.data_files else {}),
        },
        "lossgraph": {key: _said(value) for key, value in found.lossgraph.items()},
        "attached": {str(number): _said(value) for number, value in attached.items()},
        "metadata": dict(found.metadata),
    }


def _first(values: Mapping[str, str], most: int) -> dict[str, str]:
    shown = dict(list(values.items())[:most])
    left = len(values) - len(shown)
    return {**shown, "..": f"{left} more, see --json"} if left else shown


def _counts(operators: Mapping[str, int]) -> dict[str, str]:
    total = {"all": str(sum(operators.values()))} if len(operators) > 1 else {}
    return {**{name: str(count) for name, count in operators.items()}, **total}


def _data(file: DataFile) -> str:
    return file.problem if file.size is None else byte_size(file.size)


def _said(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}={item!r}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        pairs = (" = ".join(map(str, i)) if isinstance(i, list) else str(i) for i in value)
        return ", ".join(pairs) or "none"
    return str(value)


def _printable(text: str) -> str:
    """A text of others on one line of bounded length, which no terminal takes for commands."""
    plain = "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)
    return plain if len(plain) <= _MOST_LETTERS else f"{plain[: _MOST_LETTERS - 2]}.."
