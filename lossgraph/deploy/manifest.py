"""The manifest of an export: digests of its files, by which a reader knows them to be of one.

It is written last. Where a file has another digest, an export into the folder was interrupted
between two renames, or somebody changed the file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from ..errors import InputError
from ..models.loading import load_model, require_utf8

MANIFEST = "manifest.json"
_DIGEST = "sha256"


def manifest(files: Mapping[str, bytes]) -> bytes:
    """The content of the manifest of some files, by path below the folder."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return (json.dumps({_DIGEST: digests}, indent=1, sort_keys=True) + "\n").encode()


def load_exported(path: Path) -> onnx.ModelProto:
    """The model in a file, which is the one that the manifest beside it knows, if there is one.

    Raises:
        InputError: if it holds no model, or is not of the export that wrote the manifest.
    """
    known = _digests(path.parent / MANIFEST)
    if path.name not in known or not path.is_file():
        return load_model(path)
    content = path.read_bytes()  # once, so that what was compared is what is loaded
    _require(path, content, known[path.name])
    try:
        model = onnx.ModelProto.FromString(content)
    except DecodeError as error:
        raise InputError(f"{path} is not an ONNX model: {error}") from error
    require_utf8(model, str(path))
    return model


def require_whole(folder: Path) -> None:
    """Refuse a folder in which a file is not the one that the manifest knows.

    Raises:
        InputError: naming the file.
    """
    for name, digest in _digests(folder / MANIFEST).items():
        path = folder / name
        if not path.is_file():
            raise InputError(f"{path}: there is no such file, though {MANIFEST} has it")
        _require(path, path.read_bytes(), digest)


def _require(path: Path, content: bytes, digest: str) -> None:
    if hashlib.sha256(content).hexdigest() != digest:
        raise InputError(
            f"{path} is not of the export that wrote {MANIFEST}: an export was interrupted, or the "
            f"file was changed; export again, or delete {MANIFEST}"
        )


def _digests(path: Path) -> dict[str, str]:
    """The digests that a manifest has; none if there is none, or another tool's."""
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    digests = said.get(_DIGEST) if isinstance(said, dict) else None
    if not isinstance(digests, dict):
        return {}
    return {name: digest for name, digest in digests.items() if isinstance(digest, str)}
