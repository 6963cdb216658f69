"""The manifest of an export: digests of its files, by which a reader knows them to be of one.

It is written last. Where a file has another digest and files wait to be renamed, an export into the
folder was interrupted between two renames.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import onnx

from ..errors import InputError
from ..models.files import leftovers
from ..models.loading import load_model

MANIFEST = "manifest.json"
_DIGEST = "sha256"


def manifest(files: Mapping[str, bytes]) -> bytes:
    """The content of the manifest of some files, by path below the folder."""
    return (json.dumps(digests_of(files), indent=1, sort_keys=True) + "\n").encode()


def digests_of(files: Mapping[str, bytes]) -> dict[str, dict[str, str]]:
    """What a manifest says of files, by path below the folder."""
    return {_DIGEST: {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}}


def load_exported(path: Path) -> onnx.ModelProto:
    """The model in a file, which is of the export that wrote the manifest beside it.

    Raises:
        InputError: if it holds no model, or an export into its folder was interrupted.
    """
    digest = digests_in(path.parent / MANIFEST).get(path.name)
    model = load_model(path)
    if digest is not None and _digest(path) != digest:
        require_whole(path.parent)
        model = load_model(path)  # it may have been replaced meanwhile
    return model


def require_whole(folder: Path) -> None:
    """Refuse a folder of whose files an export has replaced some, and not all.

    A file that somebody changed is what it is; an export that ended half-way leaves files that it
    had not renamed yet.

    Raises:
        InputError: naming the file.
    """
    digests = digests_in(folder / MANIFEST)
    if not leftovers(folder / name for name in (*digests, MANIFEST)):
        return
    for name, digest in digests.items():
        if _digest(folder / name) != digest:
            raise InputError(
                f"{folder / name} is not of the export that wrote {MANIFEST}: an export was "
                "interrupted, or is still being written; export again"
            )


def _digest(path: Path) -> str:
    """The digest of a file; empty if there is none."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def digests_in(path: Path) -> dict[str, str]:
    """The digests that a manifest has; none if there is none, or another tool's."""
    try:
        said = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    digests = said.get(_DIGEST) if isinstance(said, dict) else None
    if not isinstance(digests, dict):
        return {}
    return {name: digest for name, digest in digests.items() if isinstance(digest, str)}
