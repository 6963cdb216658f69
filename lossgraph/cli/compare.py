"""``lossgraph compare``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer

from ..authoring.block import Block
from ..authoring.input_types import as_types
from ..catalogue import Entry, lookup
from ..compare.differences import number_text, tolerance_of, ulp_text
from ..deploy.example_inputs import draw_inputs
from ..errors import InputError
from ..ir.types import FLOATS, TensorType, dtype_name, numpy_dtype
from .options import (
    Grad,
    Inputs,
    Json,
    Set,
    names,
    parse_options,
    parse_pairs,
    parse_sizes,
    types_for,
)
from .output import note, on_terminal, print_json, print_table, progress
from .run import load_array

if TYPE_CHECKING:
    from ..compare.comparison import Comparison, Row
    from ..compare.differences import Element
    from ..compare.own_engines import Subject

NAME = "compare"
EXAMPLE = "Example: lossgraph compare cross_entropy --against torch,jax,mxnet --extremes"

Array = np.ndarray[Any, Any]


def command(
    loss: Annotated[
        str | None, typer.Argument(help="A loss: a name or alias of `lossgraph list`.")
    ] = None,
    named: Annotated[str | None, typer.Option("--loss", metavar="LOSS", help="The same.")] = None,
    against: Annotated[
        str,
        typer.Option(
            metavar="NAME,..",
            help="Of numpy, onnx.reference, onnxruntime, torch, jax, mxnet, optax; all if none.",
        ),
    ] = "",
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="DIM=NUMBER,..", help="Sizes of dims, like N=8,C=5."),
    ] = None,
    grad: Grad = None,
    input: Inputs = None,
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Array of an input: x.npy or x.npz:name; repeat."),
    ] = None,
    set: Set = None,
    dtype: Annotated[
        str | None, typer.Option(help="Dtype of all inputs that are floats, like float64.")
    ] = None,
    extremes: Annotated[
        bool, typer.Option("--extremes", help="Also at large logits, zeros and certainties.")
    ] = False,
    rtol: Annotated[float | None, typer.Option(help="Relative tolerance.")] = None,
    atol: Annotated[float | None, typer.Option(help="Absolute tolerance.")] = None,
    ulp: Annotated[
        int | None, typer.Option(min=0, help="Tolerance in units in the last place.")
    ] = None,
    python: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH", help="Python or environment that has a framework; repeat."
        ),
    ] = None,
    mxnet: Annotated[str | None, typer.Option(metavar="PATH", help="The same for mxnet.")] = None,
    json: Json = False,
) -> None:
    """Compare a loss with the same in other frameworks.

    Compared are the value, and the gradient of its sum by all predictions. numpy is the loss's own
    body on arrays, in float64; onnx.reference and onnxruntime run the exported graph; torch, jax
    and mxnet are the same loss in these frameworks, where it is known, and optax its own losses. A
    framework may live in another Python. What is not installed is left out. The exit code is 1 if
    numbers differ by more than the tolerance, 2 if nothing is left.
    """
    from ..compare.comparison import ALL, compare

    entry, given = lookup(_one_loss(loss, named)), parse_options(set)
    made = entry.make(given)
    subject = _subject(entry, made, given, (input, grad, size, data), dtype)
    pythons = parse_pairs(python, "--python") | ({"mxnet": mxnet} if mxnet else {})
    wanted = names([against]) or ALL
    found = compare(
        subject, wanted, pythons, extremes,
        partial(tolerance_of, relative=rtol, absolute=atol, ulp=ulp),
        partial(progress, label="comparing"),
    )  # fmt: skip
    if json:
        print_json(_described(subject, found))
    else:
        _print(subject, found)
    if not found.rows:
        raise InputError(f"there is nothing to compare {entry.name} with")
    if not found.ok:
        raise typer.Exit(1)


def _one_loss(loss: str | None, named: str | None) -> str:
    if (loss is None) == (named is None):
        raise InputError("expected one loss: lossgraph compare LOSS, or --loss LOSS")
    return loss or named or ""


# --- inputs ---


def _subject(
    entry: Entry,
    made: Block,
    options: Mapping[str, Any],
    texts: Sequence[list[str] | None],
    dtype: str | None,
) -> Subject:
    """The loss with its inputs: drawn, but for those from files."""
    from ..compare.own_engines import Subject

    input, grad, size, data = texts
    types = as_types(types_for(entry, made, input))
    files = parse_pairs(data, "--data")
    loaded = {n: load_array("--data", n, file, types.get(n)) for n, file in files.items()}
    sizes = parse_sizes(size)
    for name, array in loaded.items():
        types[name] = _type_of(array, types.get(name), sizes)
    types = {name: types[name] for name in [n for n in entry.inputs if n in types] or types}
    if dtype is not None:
        wide = dtype_name(dtype)
        if wide not in FLOATS:
            raise InputError(f"--dtype {dtype}: expected one of {FLOATS}")
        types = {n: t.with_dtype(wide) if t.is_float else t for n, t in types.items()}
    known = _dims(types)
    unknown = [name for name in sizes if name not in known]
    if unknown:
        raise InputError(f"--size {unknown[0]}: no input has this dim: {sorted(known)}")
    wrt = names(grad) or tuple(name for name in entry.predictions if name in types)
    program = made.program(types, grad=wrt)
    drawn = draw_inputs(made, program, sizes)
    arrays = {
        name: loaded[name].astype(numpy_dtype(types[name].dtype)) if name in loaded else array
        for name, array in drawn.items()
    }
    return Subject(entry, made, program, arrays, options)


def _type_of(array: Array, declared: TensorType | None, sizes: dict[str, int]) -> TensorType:
    """The type of an array, with the names of its dims, whose sizes are known by it."""
    own = TensorType(dtype_name(array.dtype), array.shape)
    if declared is None or declared.rank != array.ndim:
        return own
    for dim, length in zip(declared.shape, array.shape, strict=True):
        if isinstance(dim, int):
            if dim != length:
                return own
        elif dim.name and sizes.setdefault(dim.name, length) != length:
            raise InputError(f"{dim.name} is {sizes[dim.name]} and {length}: give arrays that fit")
    return own.with_shape(declared.shape)


def _dims(types: Mapping[str, TensorType]) -> set[str]:
    return {
        dim.name for t in types.values() for dim in t.shape if not isinstance(dim, int) and dim.name
    }


# --- what is printed ---


def _print(subject: Subject, found: Comparison) -> None:
    shapes = (f"{n} {a.dtype}{list(a.shape)}" for n, a in subject.arrays.items())
    note(f"{subject.entry.name}: {', '.join(shapes)}")
    if on_terminal():  # which may have 80 columns
        for name in dict.fromkeys(row.framework for row in found.rows):
            print(" ".join([name, found.versions[name]]))
            print_table(_HEAD[1:], [_cells(r)[1:] for r in found.rows if r.framework == name])
    elif found.rows:
        print_table(_HEAD, [_cells(row) for row in found.rows])
    for row in found.rows:
        if not row.ok:
            print(f"{row.framework}, {row.case}: {_first(row)}")
    for name, reason in found.left_out.items():
        note(f"{name}: left out: {reason}")


_HEAD = ("framework", "inputs", "output", "ULP", "relative", "absolute", "")


def _cells(row: Row) -> tuple[str, ...]:
    apart = row.deviation
    return (
        row.framework, row.case, row.output, ulp_text(apart.ulp), f"{apart.relative:.2g}",
        f"{apart.absolute:.2g}", "agrees" if row.ok else "DIFFERS",
    )  # fmt: skip


def _first(row: Row) -> str:
    """The first element that is wrong: lossgraph's and theirs."""
    first = row.deviation.first
    if first is None:
        return row.deviation.wrong
    place = f"{row.output}{list(first.place)}" if first.place else row.output
    mine, its = number_text(first.actual), number_text(first.expected)
    return f"{place}: lossgraph {mine}, {row.framework} {its}"


def _described(subject: Subject, found: Comparison) -> dict[str, Any]:
    rows = [
        {
            "framework": row.framework,
            "inputs": row.case,
            "output": row.output,
            "agrees": row.ok,
            "max_ulp": row.deviation.ulp,
            "max_relative": row.deviation.relative,
            "max_absolute": row.deviation.absolute,
            "different": row.deviation.different,
            "first": _element(row.deviation.first),
            "wrong": row.deviation.wrong,
        }
        for row in found.rows
    ]
    return {
        "loss": subject.entry.name,
        "options": subject.loss.options,
        "inputs": {name: list(array.shape) for name, array in subject.arrays.items()},
        "agrees": found.ok,
        "versions": found.versions,
        "left_out": found.left_out,
        "rows": rows,
    }


def _element(first: Element | None) -> dict[str, Any] | None:
    if first is None:
        return None
    index, mine, its = first
    return {"index": list(index), "lossgraph": mine.item(), "other": its.item()}
