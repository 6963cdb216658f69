"""What a peer is: a class that knows one library, and makes callables of its losses.

Runs on Python 3.8 too, and imports no numpy: threads are set before that is loaded.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

LINEAR_GRAD = ("input", "linear_weight")  # what the gradients of "linear" are by
SOURCES = Path(__file__).resolve().parents[2]


class Prepared(NamedTuple):
    """A loss on arrays that are in the library's memory and layout already."""

    call: Callable[[], Any]  # what is timed; when it returns, the results are computed
    # Those results as numpy arrays: "loss", one for each sample or their mean, and "gradient", by
    # the prediction and in the layout that the arrays came in; of several, "gradient by NAME".
    values: Callable[[Any], Any]
    kept: int = 0  # bytes of the results that are there before the first call


class Peer:
    """A library. Importing it is left to ``__init__``, for others read the class without it.

    For each loss that the library has, a subclass has a method of the loss's name, which takes
    the arrays of the case by name and whether the gradient is wanted, and answers ``Prepared``;
    or it overrides ``has`` and ``prepare`` for many of them at once.
    """

    name = ""  # on the command line and in files
    title = ""  # in tables
    # A "rival" of lossgraph; lossgraph "itself", perhaps used otherwise; or a "bound": what
    # computes nothing, and says what could be.
    kind = "rival"
    home = ""  # the peer in whose environment this one lives; empty for one of its own
    requirements: tuple[str, ...] = ()  # what pip needs to be told to install it
    python = ""  # the one version of Python that can have it, such as 3.8; empty for any
    paths: tuple[str, ...] = ()  # where else its Python finds modules
    ahead = False  # whether to compile in ``prepare`` already, and not in the first call

    def __init__(self, threads: int) -> None:
        """Import the library and let it use so many threads."""

    def versions(self) -> dict[str, str]:
        """Versions of what is measured, the library's own first."""
        raise NotImplementedError

    @classmethod
    def has(cls, loss: str) -> bool:
        """Whether the library has this loss."""
        return hasattr(cls, loss)

    def prepare(self, loss: str, arrays: dict[str, Any], gradient: bool) -> Prepared:
        """A loss on arrays; the gradient is that of the sum, mostly by the first of them."""
        prepared: Prepared = getattr(self, loss)(arrays, gradient)
        return prepared


def load(file: str | Path) -> type[Peer]:
    """The class of the peer in a file."""
    module = load_module(file)
    for _, value in inspect.getmembers(module, inspect.isclass):
        if issubclass(value, Peer) and value.__module__ == module.__name__ and value.name:
            return value
    raise ImportError(f"no class of a peer in {file}")


def load_module(file: str | Path) -> ModuleType:
    """A file as a module of this package, or a folder as a package in it, wherever it is."""
    path = Path(file)
    name = f"{__package__}.{path.stem}"
    inside = [str(path)] if path.is_dir() else None
    start = path / "__init__.py" if inside else path
    spec = importlib.util.spec_from_file_location(
        name, str(start), submodule_search_locations=inside
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"not a Python file: {path}")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def equivalents() -> Any:
    """``lossgraph.compare.equivalents``, which needs no lossgraph around it."""
    known = sys.modules.get(f"{__package__}.equivalents")
    return known or load_module(SOURCES / "lossgraph" / "compare" / "equivalents")


def protocol() -> Any:
    """``lossgraph.compare.worker_protocol``, likewise."""
    return load_module(SOURCES / "lossgraph" / "compare" / "worker_protocol.py")


def numbers(gradient: bool, as_numpy: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    """What makes ``Prepared.values`` of ``(value, grads)``, the value's numbers in a row."""

    def values(result: Any) -> dict[str, Any]:
        loss, grads = result
        found = {"loss": as_numpy(loss).reshape(-1)}
        if gradient:
            for name, grad in grads.items():
                found["gradient" if len(grads) == 1 else f"gradient by {name}"] = as_numpy(grad)
        return found

    return values
