"""What several commands take, and how the texts on the command line become values."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ..authoring.block import Block
from ..catalogue import Entry, hint
from ..errors import InputError
from ..ir.types import FLOATS, TensorType, tensor_type
from .completion import complete_loss, complete_option

Loss = Annotated[
    str,
    typer.Argument(
        help="A loss: a name or alias of `lossgraph list`, or your own: my_losses.py:SoftHinge.",
        autocompletion=complete_loss,
    ),
]
Inputs = Annotated[
    list[str] | None,
    typer.Option(
        "--input",
        metavar="NAME:DTYPE:DIMS",
        help="Type of an input, like pred:float32:N,C (x:float32: is a scalar); repeat. "
        "Without any, typical types.",
    ),
]
Grad = Annotated[
    list[str] | None,
    typer.Option("--grad", metavar="NAME", help="Input to differentiate by; repeat."),
]
Set = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="OPTION=VALUE",
        help="Option of the loss; repeat.",
        autocompletion=complete_option,
    ),
]
Opset = Annotated[int | None, typer.Option(help="Version of the operators, 13 to 26.")]
TargetOrt = Annotated[
    str | None,
    typer.Option(metavar="RELEASE", help="Release of ONNX Runtime that is to load it, like 1.16."),
]
AsFunction = Annotated[
    bool, typer.Option("--as-function", help="One node, of a function in the model.")
]
Output = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Output or inner value that is the loss's first input; the only output if none.",
    ),
]
Bind = Annotated[
    list[str] | None,
    typer.Option(
        metavar="INPUT=NAME", help="Input of the loss that the model computes or has; repeat."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def parse_options(texts: Sequence[str] | None) -> dict[str, Any]:
    """Options from ``key=value``."""
    options: dict[str, Any] = {}
    for text in texts or ():
        key, found, value = text.partition("=")
        if not found or not key:
            raise InputError(f"--set {text}: expected OPTION=VALUE, like axis=1")
        _once(options, key, f"--set {text}")
        options[key] = literal(value)
    return options


def literal(text: str) -> Any:
    """A Python literal, an infinity, or else a string."""
    if text in ("inf", "-inf"):
        return float(text)
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def parse_types(
    texts: Sequence[str] | None, spell: Callable[[str], str] = str
) -> dict[str, TensorType]:
    """Types of inputs from ``name:dtype:dims``, the names of dims in another spelling."""
    types: dict[str, TensorType] = {}
    for text in texts or ():
        parts = text.split(":")
        if len(parts) != 3 or not all(parts[:2]):
            raise InputError(
                f"--input {text}: expected NAME:DTYPE:DIMS, like pred:float32:N,10, "
                "or x:float32: for a scalar"
            )
        name, dtype, dims = parts
        _once(types, name, f"--input {text}")
        try:
            types[name] = tensor_type(dtype, [_dim(dim, spell) for dim in dims.split(",") if dims])
        except InputError as error:
            raise error.reworded(f"--input {text}: {error}") from None
    return types


def parse_pairs(texts: Sequence[str] | None, option: str) -> dict[str, str]:
    """Pairs from ``name=text``."""
    pairs: dict[str, str] = {}
    for text in texts or ():
        name, found, value = text.partition("=")
        if not found or not name or not value:
            raise InputError(f"{option} {text}: expected NAME=VALUE")
        _once(pairs, name, f"{option} {text}")
        pairs[name] = value
    return pairs


def require_other(option: str, target: Path, read: Iterable[Path | str]) -> None:
    """Refuse to write over a file that the command reads.

    Raises:
        InputError: naming both.
    """
    for path in map(Path, read):
        if path.exists() and target.exists() and path.samefile(target):
            raise InputError(f"{option} {target} is {path}, which is read: write to another file")


def parse_sizes(texts: Sequence[str] | None) -> dict[str, int]:
    """Sizes from ``N=8``, or several in one text, ``N=8,C=5``."""
    single = [text for several in texts or () for text in several.split(",")]
    pairs = parse_pairs(single, "--size")
    for name, value in pairs.items():
        if not value.isdecimal():
            raise InputError(f"--size {name}={value}: expected a number that is not negative")
    return {name: int(value) for name, value in pairs.items()}


def types_for(
    entry: Entry, loss: Block, texts: Sequence[str] | None, dtype: str | None = None
) -> dict[str, Any]:
    """The input types given, in the order of the loss's arguments; typical ones for none.

    The order matters: the first input's dtype is that of the computation.

    Raises:
        InputError: if a ``dtype`` of the floats is given too, and is not that of the inputs given.
    """
    given = parse_types(texts)
    for name in given:
        if loss.signature.find(name) is None and name not in loss.parameter_shapes:
            suggest("--input", name, entry.inputs)
    order = [name for name in entry.inputs if name in given]
    order += [name for name in given if name not in order]  # refused later, with the names
    if dtype is None:
        return {name: given[name] for name in order} or dict(entry.example_types(loss))
    if dtype not in FLOATS:
        raise InputError(f"--dtype {dtype}: expected one of {', '.join(FLOATS)}")
    for name, type_ in given.items():
        if type_.is_float and type_.dtype != dtype:
            raise InputError(f"--dtype {dtype} and --input {name} of {type_}: leave one out")
    typical = {name: tensor_type(*type_) for name, type_ in entry.example_types(loss).items()}
    return {name: given[name] for name in order} or {
        name: type_.with_dtype(dtype) if type_.is_float else type_
        for name, type_ in typical.items()
    }


def names(texts: Sequence[str] | None) -> tuple[str, ...]:
    """Names given one by one or separated by commas."""
    return tuple(name for text in texts or () for name in text.split(",") if name)


def suggest(option: str, name: str, known: Iterable[str]) -> None:
    """Say which of the names that are known was meant, if one is spelled alike.

    Raises:
        InputError: naming it.
    """
    names_ = list(known)
    meant = "" if name in names_ else hint(name, names_)
    if meant:
        raise InputError(f"{option}: unknown [{name!r}]{meant}: the inputs are {names_}")


def _dim(text: str, spell: Callable[[str], str]) -> int | str:
    plain = text.strip()
    return int(plain) if plain.isdecimal() else spell(plain) if plain else plain


def _once(known: Mapping[str, object], key: str, where: str) -> None:
    if key in known:
        raise InputError(f"{where}: {key!r} is given twice")
