"""What the page is told of a loss: its words, its options, and a model of each variant."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx

import lossgraph as lg
from lossgraph.catalogue import VALUES, Entry, Example, example_types, examples_of
from lossgraph.view.drawing import svg
from lossgraph.view.formulas import mathml
from lossgraph.view.sweeps import Label, Sweep, sweep_of

from . import knobs

DTYPE = "float32"
REACH = 5.0  # how far the slider of a label goes where nothing limits it


def index(entry: Entry) -> dict[str, Any]:
    """What the list of losses is told."""
    summary = entry.summary.replace("``", "")
    return {"name": entry.name, "summary": summary, "aliases": entry.aliases}


def sheet(entry: Entry) -> dict[str, Any]:
    """What the page of a loss is told."""
    numbers, choices = knobs.numbers(entry), knobs.choices(entry)
    loss = entry.make()
    types, moving = example_types(loss), sweep_of(loss, DTYPE).input
    models = {"value": loss.to_onnx(types), "training": loss.to_onnx(types, grad=(moving,))}
    return {
        "name": entry.name,
        "summary": marked_up(entry.summary),
        "formula": mathml(entry.formula),
        "aliases": entry.aliases,
        "original": entry.original,
        "same": entry.same,
        "source": entry.paper,
        "inputs": _inputs(entry),
        "options": [_option(entry, name, v, numbers, choices) for name, v in entry.options.items()],
        "variants": [_variant(entry, chosen, numbers) for chosen in knobs.variants(choices)],
        "exported": {kind: _text(model) for kind, model in models.items()},
        "drawings": {kind: svg(model, f"{entry.name}: {kind}") for kind, model in models.items()},
    }


# --- words ---


def marked_up(text: str) -> str:
    """A line of documentation as HTML."""
    text = re.sub(r":\w+:`~?([^`]*)`", r"``\1``", text)
    return re.sub(r"``(.*?)``", r"<code>\1</code>", html.escape(text, quote=False))


def _inputs(entry: Entry) -> list[dict[str, str]]:
    required = entry.inputs
    examples = examples_of(entry.make())
    ordered = sorted(examples.items(), key=lambda item: not required[item[0]])
    return [
        {"name": name, "text": ("" if required[name] else "optional, ") + _described(example)}
        for name, example in ordered
    ]


def _described(example: Example) -> str:
    values = "" if example.values == "real" else f", {VALUES[example.values]}"
    return f"{example.dtype}[{', '.join(map(str, example.shape))}]{values}"


# --- options ---


def _option(
    entry: Entry,
    name: str,
    value: object,
    numbers: Mapping[str, knobs.Scale],
    choices: Mapping[str, tuple[object, ...]],
) -> dict[str, Any]:
    if name in choices:
        return {
            "name": name, "kind": "choice", "value": str(value),
            "choices": [str(choice) for choice in choices[name]],
        }  # fmt: skip
    if name in numbers:
        scale = numbers[name]
        beyond = knobs.limits(entry, name, scale)
        return {"name": name, "kind": "number", "value": value, **vars(scale), **beyond}
    return {"name": name, "kind": "text", "value": repr(value)}


# --- variants ---


def _variant(
    entry: Entry, chosen: Mapping[str, Any], numbers: Mapping[str, knobs.Scale]
) -> dict[str, Any]:
    """A model that has the numbers among the options as inputs, and what it is given."""
    sweep = sweep_of(entry.make(chosen), DTYPE)
    loss = entry.make({**chosen, **{name: lg.Input(name) for name in numbers}})
    known = examples_of(loss)
    types = {name: (a.dtype.name, known[name].shape) for name, a in sweep.arrays.items()}
    program = loss.program(types, grad=(sweep.input,))
    arrays = dict(sweep.arrays)
    if program.several:  # of several values the first is drawn
        program = loss.program(types, grad=(sweep.input,), with_ct=True)
        values = entry.make(chosen)(**sweep.arrays)
        arrays |= {f"ct_{i}": np.full_like(value, i == 0) for i, value in enumerate(values)}
    return {
        "choices": {name: str(value) for name, value in chosen.items()},
        "model": _text(program.to_onnx()),
        "arrays": {name: _array(array) for name, array in arrays.items()},
        "input": sweep.input,
        "place": _place(sweep.arrays[sweep.input], sweep.entry),
        "moving": sweep.moving,
        "low": sweep.low,
        "high": sweep.high,
        "value": program.values[0],
        "label": _label(sweep, sweep.label) if sweep.label else None,
    }


def _label(sweep: Sweep, label: Label) -> dict[str, Any]:
    array = sweep.arrays[label.input]
    place = (*label.entry, 0) if label.kind == "one_hot" else label.entry
    named = f"{label.input}[{', '.join(map(str, label.entry))}]"
    told = {
        "name": named, "input": label.input, "place": _place(array, place), "kind": label.kind,
        "value": label.default,
    }  # fmt: skip
    if label.kind == "one_hot":
        told["classes"] = array.shape[-1]
    if label.choices:
        return {**told, "choices": label.choices}
    ends = {"low": max(label.low, -REACH), "high": min(label.high, REACH)}
    limits = {"least": _finite(label.low), "most": _finite(label.high)}
    return {**told, **ends, **limits}


def _finite(limit: float) -> float | None:
    """A limit, None where there is none: JSON has no infinities."""
    return limit if np.isfinite(limit) else None


def _array(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {"dtype": array.dtype.name, "shape": array.shape, "data": array.ravel().tolist()}


def _place(array: np.ndarray[Any, Any], entry: tuple[int, ...]) -> int:
    return int(np.ravel_multi_index(entry, array.shape)) if array.ndim else 0


def _text(model: onnx.ModelProto) -> str:
    """The bytes that an export has."""
    return base64.b64encode(model.SerializeToString(deterministic=True)).decode()
