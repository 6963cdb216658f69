"""What a peer is: a class that knows one library, and makes callables of its losses.

Runs on Python 3.8 too, and imports no numpy: threads are set before that is loaded.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Prepared(NamedTuple):
    """A loss on arrays that are in the library's memory and layout already."""

    call: Callable[[], Any]  # what is timed; when it returns, the results are computed
    # Those results as numpy arrays: "loss", one for each sample, and "gradient", by the
    # prediction and in the layout that the arrays came in.
    values: Callable[[Any], Any]


class Peer:
    """A library. Importing it is left to ``__init__``, for others read the class without it.

    For each loss that the library has, a subclass has a method of the loss's name, which takes
    the arrays of the case by name and whether the gradient is wanted, and answers ``Prepared``.
    """

    name = ""  # on the command line and in files
    title = ""  # in tables
    requirements: tuple[str, ...] = ()  # what pip needs to be told to install it
    python = ""  # the one version of Python that can have it, such as 3.8; empty for any
    paths: tuple[str, ...] = ()  # where else its Python finds modules

    def __init__(self, threads: int) -> None:
        """Import the library and let it use so many threads."""

    def versions(self) -> dict[str, str]:
        """Versions of what is measured, the library's own first."""
        raise NotImplementedError


def load(file: str | Path) -> type[Peer]:
    """The class of the peer in a file."""
    path = Path(file)
    name = f"{__package__}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, str(path))
    if spec is None or spec.loader is None:
        raise ImportError(f"not a Python file: {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    for _, value in inspect.getmembers(module, inspect.isclass):
        if issubclass(value, Peer) and value.__module__ == name and value.name:
            return value
    raise ImportError(f"no class of a peer in {path}")
