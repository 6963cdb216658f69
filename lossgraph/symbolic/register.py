"""The functions of ``F``: each declares itself, and some are methods of symbols too."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import DtypeError, InputError
from .arguments import Arguments

FUNCTIONS: dict[str, Callable[..., Any]] = {}
METHODS: set[str] = set()


def function(method: bool = False, *aliases: str) -> Callable[[Any], Any]:
    """Make a function one of ``F``: MXNet's ``name=`` is accepted, symbols gain a method."""

    def decorate(body: Callable[..., Any]) -> Callable[..., Any]:
        call = function_of_f(f"F.{body.__name__.rstrip('_')}", body)
        for known_as in (body.__name__.rstrip("_"), *aliases):
            FUNCTIONS[known_as] = call
            if method:
                METHODS.add(known_as)
        return call

    return decorate


def function_of_f(owner: str, body: Callable[..., Any]) -> Callable[..., Any]:
    """A function of ``F``: what it is called with is what its annotations say."""
    arguments = Arguments(owner, body)

    @functools.wraps(body)
    def call(*args: Any, name: str | None = None, **kwargs: Any) -> Any:
        arguments.require(args, kwargs)
        try:
            return body(*args, **kwargs)
        except InputError as error:
            if error.reason is None:
                error.reason = ""
            raise
        except TypeError as error:
            raise _clearer(error, owner, body, args, kwargs) from error

    return call


def functions() -> dict[str, Callable[..., Any]]:
    """Every function of ``F`` by name."""
    return dict(FUNCTIONS)


def _clearer(
    error: TypeError,
    owner: str,
    body: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> TypeError:
    """An InputError where the call does not fit the signature; other errors stay."""
    if isinstance(error, DtypeError):
        return error
    try:
        inspect.signature(body).bind(*args, **kwargs)
    except TypeError as mismatch:
        return DtypeError(f"{owner}{inspect.signature(body)}: {mismatch}")
    return error
