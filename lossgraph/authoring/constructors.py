"""Constructors of losses: which options there are, and with which a loss was made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from ..errors import InputError
from .annotations import signature_of
from .inputs import Input, require_numbers, require_option
from .signature import Kind, Signature


def constructor_of(cls: type) -> Signature:
    """The options of a class's constructor, with those that it hands on to its bases'.

    What the constructor of a base demands is not among them, as the class has to say it itself.
    """
    found = []
    known: set[str] = set()
    for base in cls.__mro__[:-1]:
        if "__init__" not in vars(base):
            continue
        own = signature_of(vars(base)["__init__"], 1)
        new = [p for p in own.parameters if p.name not in known and p.kind is not Kind.OTHERS]
        found += [p for p in new if not (known and p.required)]
        known |= set(own.by_name)
        if own.others is None:
            return Signature(tuple(found))
    return Signature(tuple(found))


def options_by_name(cls: type, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """A constructor's arguments by name, without those that its ``*args`` takes."""
    own = signature_of(cls.__init__, 1)  # type: ignore[misc]
    return {**dict(zip(own.positional, args, strict=False)), **kwargs}


def check_constructor(
    cls: type, fixed: Iterable[str], args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> None:
    """Refuse options that a class does not have, values that its annotations do not allow, and
    inputs where they cannot stand.

    Raises:
        InputError: naming the option.
    """
    own = signature_of(cls.__init__, 1)  # type: ignore[misc]
    unknown = [name for name in kwargs if own.find(name) is None]
    if unknown:
        refuse_option(cls.__name__, unknown[0], constructor_of(cls).by_name)
    given = options_by_name(cls, args, kwargs)
    if any(isinstance(value, Input) for value in given.values()):
        require_numbers(cls.__name__, own, given, fixed)
    for name, value in given.items():
        declared = own.by_name.get(name)
        if declared is not None:
            require_option(cls.__name__, declared, value)


def refuse_option(owner: str, name: str, options: Iterable[str]) -> NoReturn:
    """Say that a loss has no such option, and which it has.

    Raises:
        InputError: always.
    """
    listed = ", ".join(name for name in options if not name.startswith("_"))
    known = f": its options are {listed}" if listed else ""
    raise InputError(f"{owner} has no option {name!r}{known}")
