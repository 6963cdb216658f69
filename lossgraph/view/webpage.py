"""A loss as a page: formula, types, curves and graphs in one HTML file that asks for nothing else.

Text is escaped by the template; what is markup already, pictures and formulas, says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from onnx import printer

from .. import __version__
from ..authoring.block import Block
from ..authoring.input_types import InputTypes
from ..catalogue import Entry
from ..compiler.program import Program
from ..deploy.page import values_of
from ..deploy.prepared import prepare
from ..errors import LossgraphError
from ..ir.pages import environment, markup
from ..ir.text import text
from ..lowering.opsets import DEFAULT_OPSET
from .curves import curve
from .drawing import svg
from .formulas import mathml
from .plotting import Line, inline_svg
from .sweeps import Sweep, sweep_of

_TEMPLATES = Path(__file__).parent / "templates"


def page(
    entry: Entry,
    loss: Block,
    types: InputTypes,
    grad: Sequence[str] = (),
    opset: int | None = None,
) -> str:
    """The page of a loss of the catalogue.

    Args:
        entry: what the catalogue says of it.
        loss: the loss, with its options.
        types: types of its inputs.
        grad: inputs whose gradients the training graph has; by default the prediction.
        opset: version of the standard operators.

    Raises:
        InputError: if what draws and writes pages is not installed, and for what a program refuses.
    """
    template = environment(_TEMPLATES).get_template("loss.html")
    sweep = _sweep(loss, entry)
    prediction = sweep.input if sweep and sweep.input in types else next(iter(types))
    prepared = prepare(loss, types, tuple(grad) or (prediction,), entry)
    training = prepared.full
    programs = {"Value": prepared.value, "Value and gradient": training}
    inputs = [(node.attrs["name"], node.type) for node in training.inputs]
    return template.render(
        title=entry.name,
        summary=entry.summary,
        aliases=entry.aliases,
        formula=markup(mathml(entry.formula)) if entry.formula else "",
        inputs=[
            (name, type_, values_of(name, type_, training, prepared.examples))
            for name, type_ in inputs
        ],
        outputs=[(name, value.type) for name, value in training.outputs.items()],
        options=_options(entry, loss),
        curves=_curves(loss, sweep),
        graphs=[_graph(f"{entry.name}, {n.lower()}", n, p, opset) for n, p in programs.items()],
        expression=text(training.outputs, training.inputs),
        source=entry.paper,
        original=entry.original,
        same=entry.same,
        version=__version__,
        opset=DEFAULT_OPSET if opset is None else opset,
    )


def _graph(name: str, title: str, program: Program, opset: int | None) -> tuple[str, Any, str]:
    model = program.to_onnx(opset)
    return title, markup(svg(model, name)), printer.to_text(model)


def _options(entry: Entry, loss: Block) -> list[tuple[str, str, str]]:
    own = loss.options
    return [(key, repr(own.get(key, value)), repr(value)) for key, value in entry.options.items()]


def _sweep(loss: Block, entry: Entry) -> Sweep | None:
    """None for options with which the loss does not take the inputs that are usual for it."""
    try:
        return sweep_of(loss, entry=entry)
    except LossgraphError:
        return None


def _curves(loss: Block, sweep: Sweep | None) -> dict[str, Any] | None:
    if sweep is None:
        return None
    return {
        "drawing": markup(inline_svg([Line("", curve(loss, sweep))], sweep.moving)),
        "moves": sweep.moving,
        "label": sweep.standing,
    }
