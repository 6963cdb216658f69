"""Kernels that were built before: those of the catalogue's losses, in a wheel of their own.

``lossgraph_kernels`` is a package without code: a library with many kernels, and an index of their
names. A kernel's name is a digest of its C, and the index has one of the headers, so that what is
found there is what a compiler would make here; no processor of the wheel's kind is too old for it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from .targets import suffix, target_here
from .toolchain import SOURCES

PACKAGE = "lossgraph_kernels"
INDEX = "index.json"


class Prebuilt(NamedTuple):
    """A library with a kernel, and the domain of its operators."""

    library: Path
    domain: str


def prebuilt(name: str) -> Prebuilt | None:
    """The library of the installed wheel with a kernel of that name, if there is one."""
    found, names = _installed()
    return found if name in names else None


def installed() -> Prebuilt | None:
    """The library of the installed wheel, if it is one for this machine and these sources."""
    return _installed()[0]


def library_file(target: str) -> str:
    """The name of the file of a library that was made to be passed on."""
    return f"{PACKAGE}{suffix(target)}"


def index(names: Sequence[str], domain: str) -> bytes:
    """The index of a library with kernels of these names."""
    said = {"sources": sources_digest(), "domain": domain, "kernels": sorted(names)}
    return (json.dumps(said, indent=1) + "\n").encode()


@functools.cache
def sources_digest() -> str:
    """A digest of the C that all kernels have in common."""
    digest = hashlib.sha256()
    for path in sorted(SOURCES.glob("*.[ch]")):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


@functools.cache
def _installed() -> tuple[Prebuilt | None, frozenset[str]]:
    """The wheel's library and the names of its kernels; none of another lossgraph's sources."""
    target = target_here()
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec and spec.submodule_search_locations) or () if target else ():
        library = Path(place) / library_file(target or "")
        try:
            said = json.loads((Path(place) / INDEX).read_bytes())
            if said["sources"] == sources_digest() and library.is_file():
                return Prebuilt(library, str(said["domain"])), frozenset(said["kernels"])
        except (OSError, ValueError, KeyError, TypeError):
            continue  # a wheel that is damaged, or of another version
    return None, frozenset()
