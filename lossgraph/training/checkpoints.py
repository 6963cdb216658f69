"""Checkpoints: all that a run needs to go on, in one file of safetensors.

A file is written under another name beside its place, and takes the place when it is complete and
on the disk: whatever ends the process, the last complete one is there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.types import numpy_dtype
from ..models.files import write_files

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]

_KEY, _VERSION = "lossgraph", 1


def write_checkpoint(path: str | Path, arrays: Arrays, notes: Mapping[str, Any]) -> Path:
    """Write arrays and notes, whole or not at all.

    Args:
        path: the file.
        arrays: by name; they are read where they lie.
        notes: what JSON can hold.

    Raises:
        InputError: if safetensors is not installed, or the system refuses to write.
    """
    path = Path(path)
    if path.is_dir():
        raise InputError(f"{path} is a folder: give the name of a file to write")
    half = [name for name, array in arrays.items() if array.dtype.name == "bfloat16"]
    plain = {name: a.view(np.uint16) if name in half else a for name, a in arrays.items()}
    said = json.dumps({"version": _VERSION, "bfloat16": half, **notes})
    write = partial(_save, plain, {_KEY: said})
    return write_files(path.parent, {path.name: write})[0]


def read_checkpoint(path: str | Path) -> tuple[dict[str, Array], dict[str, Any]]:
    """The arrays and notes of a file.

    Raises:
        InputError: for a file that is no checkpoint, or not there.
    """
    path, library = Path(path), require_safetensors()
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with library.safe_open(path, framework="np") as file:
            said = (file.metadata() or {}).get(_KEY)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (library.SafetensorError, OSError) as error:
        raise InputError(f"{path} is no file of safetensors: {error}") from error
    notes = json.loads(said) if said else {}
    if notes.get("version") != _VERSION:
        raise InputError(
            f"{path} is no checkpoint of a trainer"
            + (f", or of version {notes['version']}, which is newer" if notes else "")
        )
    for name in notes["bfloat16"]:
        arrays[name] = arrays[name].view(numpy_dtype("bfloat16"))
    return arrays, notes


def _save(arrays: Arrays, metadata: Mapping[str, str], path: Path) -> None:
    library = require_safetensors()
    try:
        library.numpy.save_file(dict(arrays), path, metadata=dict(metadata))
    except library.SafetensorError as error:
        raise InputError(f"cannot write {path}: {error}") from error
    with path.open("rb+") as file:  # a name that is there before its content would be no use
        os.fsync(file.fileno())


def require_safetensors() -> Any:
    """The library.

    Raises:
        InputError: if it is not installed, saying which extra brings it.
    """
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise InputError(
            "checkpoints need safetensors: pip install 'lossgraph[training]'"
        ) from None
    return safetensors
