"""``lossgraph show``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from ..catalogue import Entry, lookup
from ..program import Program
from ..show import lines
from .options import Grad, Inputs, Json, Loss, Opset, Set, names, parse_options, types_for
from .output import print_json

NAME = "show"
EXAMPLE = (
    "Example: lossgraph show huber --set rho=2 --grad pred --input pred:float64:N,3 "
    "--input label:float64:N,3"
)


def command(
    loss: Loss,
    input: Inputs = None,
    grad: Grad = None,
    set: Set = None,
    opset: Opset = None,
    html: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write a page with curves and pictures of the graphs."),
    ] = None,
    json: Json = False,
) -> None:
    """Show a loss: formula, options, expression and ONNX graph."""
    entry = lookup(loss)
    made = entry.make(parse_options(set))
    types = types_for(entry, made, input)
    program = made.program(types, grad=names(grad))
    if html is not None:
        from ..files import write_file
        from ..webpage import page

        write_file(html, page(entry, made, types, names(grad), opset).encode())
    described = _describe(entry, program, opset)
    if json:
        print_json(described)
    elif html is not None:
        print(html)
    else:
        print(_page(described))


def _describe(entry: Entry, program: Program, opset: int | None) -> dict[str, Any]:
    from onnx import printer

    return {
        "name": entry.name,
        "summary": entry.summary,
        "formula": entry.formula,
        "options": dict(program.options),
        "inputs": {node.attrs["name"]: str(node.type) for node in program.inputs},
        "outputs": {name: str(node.type) for name, node in program.outputs.items()},
        "expression": list(lines(program.outputs, program.inputs)),
        "onnx": printer.to_text(program.to_onnx(opset)),
    }


def _page(described: dict[str, Any]) -> str:
    options = [f"{key} = {value!r}" for key, value in described["options"].items()]
    sections = {
        described["name"]: [described["summary"]],
        "formula": [described["formula"]],
        "options": options,
        "expression": described["expression"],
        "onnx": described["onnx"].strip().splitlines(),
    }
    return "\n\n".join(
        "\n".join([title, *(f"  {line}" for line in body)]) for title, body in sections.items()
    )
