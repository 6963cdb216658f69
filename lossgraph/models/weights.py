"""Weights that are in files beside a model: bringing them to another folder."""

from __future__ import annotations

import filecmp
from pathlib import Path

import onnx
from onnx import TensorProto

from ..errors import InputError
from .walk import tensors


def move_weights(model: onnx.ModelProto, folder: Path, target: Path) -> dict[str, Path]:
    """Let a model that is to be written elsewhere find its weights there.

    Args:
        model: the model, whose tensors say in which files of ``folder`` their data are; changed
            where these get other names.
        folder: where the model was read.
        target: the file that it is to be written to.

    Returns:
        The files to copy, by the names that they have beside ``target``.

    Raises:
        InputError: for a file that is not there, or outside the folder.
    """
    places: dict[str, str] = {}
    copies: dict[str, Path] = {}
    for entry in _locations(model):
        if entry.value not in places:
            source = _inside(folder, entry.value)
            place = _place(source, entry.value, target, copies)
            places[entry.value] = place
            if not (target.parent / place).exists():
                copies[place] = source
        entry.value = places[entry.value]
    return copies


def _locations(model: onnx.ModelProto) -> list[onnx.StringStringEntryProto]:
    return [
        entry
        for tensor in tensors(model)
        if tensor.data_location == TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    ]


def _inside(folder: Path, location: str) -> Path:
    """The file of a location, which may not lead out of the folder, by no link either."""
    path = folder / location
    if not path.is_file():
        raise InputError(f"{path}, which holds weights of the model: no such file")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{path}, which holds weights of the model, is outside {folder}")
    if path.is_symlink() or path.stat().st_nlink > 1:
        raise InputError(
            f"{path}, which holds weights of the model, is a link: onnx refuses to read it, as it "
            "may be any file; put a copy in its place"
        )
    return path


def _place(source: Path, location: str, target: Path, copies: dict[str, Path]) -> str:
    """Where the file is to be beside the target: its place, unless another file is there."""
    name, number = Path(location), 1
    place = name
    while place.as_posix() in copies or not _is_free(target.parent / place, source, target):
        number += 1
        place = name.with_name(f"{name.stem}_{number}{name.suffix}")
    return place.as_posix()


def _is_free(place: Path, source: Path, target: Path) -> bool:
    if place == target or not place.exists():
        return place != target
    return place.samefile(source) or filecmp.cmp(place, source, shallow=False)
