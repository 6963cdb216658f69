"""``lossgraph show``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..catalogue import Entry, lookup
from ..compiler.program import Program
from ..errors import InputError
from ..ir.expr import Expr
from ..ir.text import lines
from ..models.files import write_file
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
        bool, typer.Option("--html", help="As a page with curves and pictures of the graphs.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write the page there.")
    ] = None,
    stages: Annotated[
        bool, typer.Option("--stages", help="The expression after each stage of the compiler.")
    ] = False,
    kernel: Annotated[
        bool, typer.Option("--kernel", help="The fused kernels: their expressions, loops and C.")
    ] = False,
    json: Json = False,
) -> None:
    """Show a loss: formula, options, expression and ONNX graph."""
    if html + stages + kernel > 1:
        raise InputError("--html, --stages and --kernel are ways to show a loss: give one")
    if output is not None and not html:
        raise InputError("-o FILE is where --html writes its page: give both")
    if html and json and output is None:
        raise InputError("--html and --json would both be printed: say where with -o FILE")
    entry = lookup(loss)
    made = entry.make(parse_options(set))
    types = types_for(entry, made, input)
    if html:
        from ..view.webpage import page

        content = page(entry, made, types, names(grad), opset)
        shown = content if output is None else str(write_file(output, content.encode()))
        if not json:
            print(shown)
            return
    if stages:
        texts = _stages(made.stages(types, names(grad)))
        print_json(texts) if json else print(_sections(texts))
        return
    if kernel:
        texts = _kernels(made.program(types, grad=names(grad)))
        print_json(texts) if json else print(_sections(texts))
        return
    described = _describe(entry, made.program(types, grad=names(grad)), opset)
    if json:
        print_json(described)
    else:
        print(_text(described))


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


def _text(described: dict[str, Any]) -> str:
    options = [f"{key} = {value!r}" for key, value in described["options"].items()]
    sections = {
        described["name"]: [described["summary"]],
        "formula": [described["formula"]],
        "options": options,
        "expression": described["expression"],
        "onnx": described["onnx"].strip().splitlines(),
    }
    return _sections(sections)


def _stages(stages: Iterable[tuple[str, Mapping[str, Expr]]]) -> dict[str, list[str]]:
    """The lines of each stage, of one that changes nothing just that."""
    shown: dict[str, list[str]] = {}
    before: Mapping[str, Expr] = {}
    for name, outputs in stages:
        shown[name] = ["unchanged"] if outputs == before else list(lines(outputs))
        before = outputs
    return shown


def _kernels(program: Program) -> dict[str, list[str]]:
    """The lines of each stage of each kernel of a program."""
    from ..kernels.model import fused
    from ..kernels.text import stages

    return {
        f"{kernel.name}: {stage}": found
        for kernel in fused(program).kernels
        for stage, found in stages(kernel)
    }


def _sections(sections: Mapping[str, Sequence[str]]) -> str:
    return "\n\n".join(
        "\n".join([title, *(f"  {line}" for line in body)]) for title, body in sections.items()
    )
