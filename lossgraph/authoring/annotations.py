"""Signatures from functions: what annotations and defaults declare of each argument.

An array is annotated as ``Any``, as an array of some library, or not at all; anything else is an
option. ``label: Label`` and its kin declare more::

    def hybrid_forward(self, F, input: Any, target: Label, weight: TensorOption = None): ...
"""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin
from weakref import WeakKeyDictionary

import numpy as np

from ..symbolic.arguments import check_of, resolved
from .signature import ORDINARY, Domain, Kind, Parameter, Role, Signature

Label = Annotated[Any, Role(gradient=False)]
"""A class label, or another array that is only compared."""
Length = Annotated[Any, Role(gradient=False, number=True)]
"""The length of a sequence, of which a call may give a number."""
Number = Annotated[Any, Role(number=True)]
"""An array, of which a call may give a number."""
TensorOption = Annotated[Any, Role(held=True)]
"""An array that the constructor may be given too."""
NonNegative = Annotated[Any, Role(domain=Domain(low=0.0))]
"""An array without negative numbers: variances, rates, shares."""
Share = Annotated[Any, Role(domain=Domain(low=0.0, when=lambda given: not given["from_logits"]))]
"""The same, unless the option ``from_logits`` says that it has logits."""
CONSTANT = Role(constant=True)
"""Of an option, ``p: Annotated[float, CONSTANT]``: the form of the graph depends on its value."""

_EMPTY = inspect.Parameter.empty
_ARRAY_NAME = re.compile(r"(?<!\w)(Any|\w*[Aa]rray\w*|\w*Tensor\w*|Symbol)(?!\w)")
_KINDS: dict[Any, Kind] = {
    inspect.Parameter.VAR_POSITIONAL: Kind.INPUTS,
    inspect.Parameter.VAR_KEYWORD: Kind.OTHERS,
}

_OF_FUNCTIONS: WeakKeyDictionary[Callable[..., Any], dict[int, Signature]] = WeakKeyDictionary()
_OF_CLASSES: WeakKeyDictionary[type, tuple[Any, Signature]] = WeakKeyDictionary()


def signature_of(function: Callable[..., Any], skip: int) -> Signature:
    """The signature of a function without its first parameters; made once for each function."""
    try:
        return _OF_FUNCTIONS[function][skip]
    except (KeyError, TypeError):  # new, or a callable that cannot be a key
        parameters = list(inspect.signature(function).parameters.values())[skip:]
        found = Signature(tuple(_declared(p, function) for p in parameters))
    with suppress(TypeError):
        _OF_FUNCTIONS.setdefault(function, {})[skip] = found
    return found


def signature_of_method(owner: type, name: str, skip: int) -> Signature:
    """The signature of a class's method; made once for each class.

    Arguments without an annotation are what the method of a base declares them to be, so that a
    subclass that writes the method anew need not say it again.
    """
    method = getattr(owner, name)
    known = _OF_CLASSES.get(owner)
    if known is not None and known[0] is method:
        return known[1]
    static = isinstance(inspect.getattr_static(owner, name), staticmethod)
    own = signature_of(method, skip - 1 if static else skip)
    bases = [signature_of(vars(c)[name], skip) for c in owner.__mro__[1:] if name in vars(c)]
    found = Signature(tuple(_inherited(p, bases) for p in own.parameters))
    _OF_CLASSES[owner] = (method, found)
    return found


def _inherited(parameter: Parameter, bases: list[Signature]) -> Parameter:
    if parameter.annotation is not _EMPTY or parameter.kind is not Kind.ARRAY:
        return parameter
    for base in bases:
        declared = base.by_name.get(parameter.name)
        if declared is not None and declared.annotation is not _EMPTY:
            return Parameter(
                parameter.name, parameter.kind, declared.role, parameter.default,
                keyword_only=parameter.keyword_only,
            )  # fmt: skip
    return parameter


def _declared(parameter: inspect.Parameter, function: Callable[..., Any]) -> Parameter:
    hint = resolved(parameter.annotation, function)
    role = next((m for m in getattr(hint, "__metadata__", ()) if isinstance(m, Role)), ORDINARY)
    kind = _KINDS.get(parameter.kind)
    if kind is None:
        kind = Kind.ARRAY if _is_array(hint, parameter.default) else Kind.OPTION
    return Parameter(
        parameter.name, kind, role, parameter.default, parameter.annotation,
        keyword_only=parameter.kind is parameter.KEYWORD_ONLY,
        check=check_of(hint, parameter.default) if kind is Kind.OPTION else None,
    )  # fmt: skip


def _is_array(hint: Any, default: Any) -> bool:
    """Whether an argument is an array; where its type allows a number too, the default decides."""
    optional = default is _EMPTY or default is None
    if hint is _EMPTY:
        return optional
    members = [_names_array(member) for member in _members(hint)]
    return any(members) and (all(members) or optional)


def _members(hint: Any) -> Iterator[Any]:
    """The types of a union, without None."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    alias = get_origin(hint) or hint
    if hasattr(alias, "__value__"):  # ``type Array = ..``, as NumPy's NDArray is since 2.5
        yield from _members(alias.__value__)
    elif get_origin(hint) in (Union, types.UnionType):
        for member in get_args(hint):
            yield from _members(member)
    elif hint not in (None, type(None)):
        yield hint


def _names_array(hint: Any) -> bool:
    if hint is Any or isinstance(hint, TypeVar):
        return True
    if isinstance(hint, str):  # it could not be resolved: imported for typing only, perhaps
        return all(map(_ARRAY_NAME.search, _written_members(hint)))
    kind = get_origin(hint) or hint
    if not isinstance(kind, type) or issubclass(kind, np.generic):
        return False
    speaks = hasattr(kind, "__array__") or hasattr(kind, "__dlpack__")
    return speaks or _ARRAY_NAME.search(kind.__name__) is not None


def _written_members(hint: str) -> list[str]:
    inner = re.sub(r"^(?:\w+\.)*Optional\[(.*)\]$", r"\1", hint.strip())
    return [part for part in inner.split("|") if part.strip() != "None"]
