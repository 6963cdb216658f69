"""Signatures of loss bodies: which parameters are arrays, and what ``*inputs`` are called."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from ..errors import InputError

Body = TypeVar("Body", bound=Callable[..., Any])

_SIGNATURES: WeakKeyDictionary[Callable[..., Any], inspect.Signature] = WeakKeyDictionary()


def without_gradient(*names: str) -> Callable[[Body], Body]:
    """Say of a loss's function which inputs are only compared, and so have no gradient."""

    def mark(body: Body) -> Body:
        vars(body)["without_gradient"] = names
        return body

    return mark


def constants(*names: str) -> Callable[[Body], Body]:
    """Say of a loss's function on which float options its form depends: no inputs can be these."""

    def mark(body: Body) -> Body:
        vars(body)["constant_options"] = names
        return body

    return mark


def is_array_parameter(parameter: inspect.Parameter) -> bool:
    """An array is annotated as anything; an option's annotation or default says what it is."""
    if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
        return False
    if parameter.annotation is parameter.empty:
        return parameter.default is parameter.empty or parameter.default is None
    return parameter.annotation in ("Any", Any)


def without_first(function: Callable[..., Any], count: int) -> inspect.Signature:
    """The signature of a function without its first parameters; found out once."""
    try:
        return _SIGNATURES[function]
    except (KeyError, TypeError):  # new, or a callable that cannot be a key
        parameters = list(inspect.signature(function).parameters.values())[count:]
        found = inspect.Signature(parameters)
    with suppress(TypeError):
        _SIGNATURES[function] = found
    return found


def flat_arguments(
    bound: Mapping[str, Any], signature: inspect.Signature
) -> Iterator[tuple[str, Any]]:
    """Bound arguments, each under a name of its own: those of ``*inputs`` are ``inputs_0``, .."""
    for name, value in bound.items():
        kind = signature.parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            yield from value.items()
        elif kind is inspect.Parameter.VAR_POSITIONAL:
            if any(item is None for item in value):
                raise InputError(f"*{name}: expected arrays, got None")
            yield from ((f"{name}_{i}", item) for i, item in enumerate(value))
        else:
            yield name, value


def as_positional(
    given: Mapping[str, Any], signature: inspect.Signature
) -> tuple[list[Any], dict[str, Any]]:
    """Arguments by name as positional and named ones: ``inputs_0``, .. are ``*inputs`` again."""
    several, left = _several(signature.parameters), dict(given)
    if several is None or not any(_is_one_of(name, several) for name in given):
        return [], left
    before = itertools.takewhile(lambda name: name != several, signature.parameters)
    args = [left.pop(name, None) for name in before]
    places = sorted(int(name[len(several) + 1 :]) for name in left if _is_one_of(name, several))
    return args + [left.pop(f"{several}_{place}") for place in places], left


def is_known(name: str, parameters: Mapping[str, inspect.Parameter]) -> bool:
    """Whether a body takes an argument of this name."""
    several = _several(parameters)
    open_ended = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return name in parameters or open_ended or (several is not None and _is_one_of(name, several))


def _several(parameters: Mapping[str, inspect.Parameter]) -> str | None:
    """The name of ``*inputs``."""
    return next((p.name for p in parameters.values() if p.kind is p.VAR_POSITIONAL), None)


def _is_one_of(name: str, several: str) -> bool:
    return re.fullmatch(rf"{several}_(0|[1-9]\d*)", name) is not None
