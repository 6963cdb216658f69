"""``lossgraph run``."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from ..compiler.outputs import classify
from ..errors import InputError
from ..ir.types import TensorType, numpy_dtype
from .options import Json, parse_pairs, require_other, suggest
from .output import print_json

NAME = "run"
EXAMPLE = (
    "Example: lossgraph run ce/training.onnx --input pred=pred.npy --input label=data.npz:label "
    "-o out.npz"
)

Array = np.ndarray[Any, Any]

# What reading a file raises that is no archive of arrays, or a broken one.
_NO_ARRAYS = (
    ValueError, EOFError, KeyError, SyntaxError, NotImplementedError, zipfile.BadZipFile, zlib.error
)  # fmt: skip


def command(
    model: Annotated[Path, typer.Argument(help="An .onnx file, or an exported folder.")],
    input: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Array of an input: x.npy or x.npz:name; repeat."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write an .npz.")
    ] = None,
    provider: Annotated[
        list[str] | None, typer.Option(help="Execution provider, cpu if none; repeat.")
    ] = None,
    json: Json = False,
) -> None:
    """Run a model on arrays from files.

    Prints the value and the shapes of gradients. Of an exported folder this is training.onnx, or
    value.onnx if that is all there is.
    """
    from ..deploy.manifest import load_exported
    from ..models.model_runner import ModelRunner

    files = parse_pairs(input, "--input")
    if output is not None:
        require_other("-o", output, [model, *(_split(text)[0] for text in files.values())])
    runner = ModelRunner(load_exported(_model_of(model)), provider or None)
    for name in files:
        suggest("--input", name, runner.types)
    arrays = {n: load_array("--input", n, f, runner.types.get(n)) for n, f in files.items()}
    results = runner.run(arrays)
    if output is not None:
        _save(output, results)
    if json:
        print_json({"outputs": {name: _described(v) for name, v in results.items()}})
    else:
        print("\n".join(_line(name, value) for name, value in results.items()))


def _model_of(path: Path) -> Path:
    if not path.is_dir():
        return path
    from ..compare.checks import find_models

    found = {model.name: model for model in find_models(path)}
    return found.get("training.onnx") or next(iter(found.values()))


def load_array(option: str, name: str, text: str, type_: TensorType | None = None) -> Array:
    """An array from ``file.npy`` or ``file.npz:member``, as an option gives it.

    Raises:
        InputError: for what cannot be read.
    """
    file, member = _split(text)
    given = f"{option} {name}={text}"
    try:
        loaded = np.load(file, allow_pickle=False)
        array = loaded if isinstance(loaded, np.ndarray) else _member(given, loaded, member)
    except InputError:
        raise
    except OSError as error:
        raise InputError(f"{given}: cannot read {file}: {error.strerror or error}") from error
    except MemoryError as error:
        raise InputError(f"{given}: {file} says it holds more than fits in memory") from error
    except _NO_ARRAYS as error:  # what is no array may be a pickle
        raise InputError(f"{given}: {file} is no .npy or .npz of numbers") from error
    return _as_bfloat16(array, type_)


def _split(text: str) -> tuple[str, str]:
    """A file and the name of a member of it, if there is one."""
    file, found, member = text.rpartition(":")
    return (file, member) if found and file.endswith(".npz") else (text, "")


def _member(given: str, loaded: Any, member: str) -> Array:
    with loaded:
        for name in loaded.files:
            _require_inside(given, name)
        if member not in loaded.files:
            raise InputError(f"{given}: name one of its arrays, FILE.npz:ARRAY: {loaded.files}")
        array: Array = loaded[member]
        return array


def _as_bfloat16(array: Array, type_: TensorType | None) -> Array:
    """``.npy`` knows bfloat16 only as two bytes without a meaning."""
    if type_ is not None and type_.dtype == "bfloat16" and array.dtype == np.dtype("V2"):
        return array.view(numpy_dtype("bfloat16"))
    return array


def _require_inside(given: str, member: str) -> None:
    """Refuse a member of an archive whose name leads out of the folder that it is unpacked in.

    Raises:
        InputError: naming it.
    """
    if ".." in re.split(r"[/\\]", member):
        raise InputError(f"{given}: an array called {member!r} would be a file of another folder")


def _save(path: Path, results: Mapping[str, Array]) -> None:
    from ..models.files import write_file

    for name in results:
        _require_inside(f"-o {path}", name)
    buffer = io.BytesIO()
    named: dict[str, Any] = dict(results)
    np.savez(buffer, **named)
    write_file(path, buffer.getvalue())


def _described(value: Array) -> dict[str, Any]:
    return {"dtype": value.dtype.name, "shape": list(value.shape), "value": value}


def _line(name: str, value: Array) -> str:
    shape = ",".join(map(str, value.shape))
    line = f"{name}: {value.dtype.name}[{shape}]"
    if classify(name)[0] == "gradient":
        return line
    text = np.array2string(value, max_line_width=10**6, separator=", ", threshold=100)
    return f"{line} = {text}"
