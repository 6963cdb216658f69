"""The register: every loss of the namespaces, and the entry of a loss.

Losses are found in the modules of ``NAMESPACES``; nothing is said here that a class says
itself. What no signature tells, the types and values of plausible inputs, is in ``examples``.
"""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module

from ..authoring.block import Block
from ..authoring.functions import FunctionLoss
from ..errors import InputError
from .aliases import ALIASES
from .entry import Entry, ExampleType, hint, own_name_of
from .examples import Example
from .namespaces import NAMESPACES


@lru_cache(maxsize=1)
def entries() -> tuple[Entry, ...]:
    """Every loss, by namespace and name."""
    found = []
    for namespace, module_name in NAMESPACES.items():
        names = _losses(module_name)
        for source in sorted(names, key=own_name_of):
            full = f"{namespace}.{own_name_of(source)}"
            short = [alias for alias, target in ALIASES.items() if target == full]
            found.append(Entry(namespace, source, (*sorted(short), *names[source])))
    return tuple(found)


def namespace_entries(namespace: str) -> tuple[Entry, ...]:
    """The losses of one namespace, by name.

    Raises:
        InputError: for a namespace that there is not.
    """
    if namespace not in NAMESPACES:
        raise InputError(
            f"no namespace is called {namespace!r}{hint(namespace, NAMESPACES)}: "
            f"there are {', '.join(NAMESPACES)}"
        )
    return tuple(entry for entry in entries() if entry.namespace == namespace)


def entry_of(loss: object) -> Entry | None:
    """The entry of a loss's class or function, None for one that a user wrote."""
    return next((entry for entry in entries() if _is_made_by(loss, entry.source)), None)


def examples_of(loss: Block) -> dict[str, Example]:
    """Plausible inputs for a loss with its options; none for a loss that a user wrote."""
    entry = entry_of(loss)
    return entry.examples(loss) if entry else {}


def example_types(loss: Block) -> dict[str, ExampleType]:
    """Types of the inputs that a loss must have; none for a loss that a user wrote."""
    entry = entry_of(loss)
    return entry.example_types(loss) if entry else {}


def _losses(module_name: str) -> dict[type[Block] | FunctionLoss, tuple[str, ...]]:
    """The losses that a module offers, with the other names it has for them."""
    module = import_module(module_name)
    found: dict[type[Block] | FunctionLoss, tuple[str, ...]] = {}
    for name in sorted(module.__all__):
        source = getattr(module, name)
        if _is_loss(source):
            other = () if name == own_name_of(source) else (name,)
            found[source] = (*found.get(source, ()), *other)
    return found


def _is_loss(value: object) -> bool:
    """A base has no mathematics of its own."""
    if isinstance(value, type):
        return issubclass(value, Block) and value.hybrid_forward is not Block.hybrid_forward
    return isinstance(value, FunctionLoss)


def _is_made_by(loss: object, source: type[Block] | FunctionLoss) -> bool:
    if isinstance(source, FunctionLoss):
        return isinstance(loss, FunctionLoss) and loss.body is source.body
    return source is type(loss)
