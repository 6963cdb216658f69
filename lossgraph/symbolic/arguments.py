"""What arguments must be: read off a function's annotations once, and checked at every call.

``axis: int = -1`` is all that a function says. An annotation that is not understood allows
everything; ``Annotated[Any, Check(..)]`` says for itself what it allows.
"""

from __future__ import annotations

import functools
import inspect
import reprlib
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ParamSpec, TypeVar, Union, get_args, get_origin

import numpy as np

from ..errors import InputError
from ..ir.expr import Expr

P = ParamSpec("P")
R = TypeVar("R")

_EMPTY = inspect.Parameter.empty
_VARIADIC = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


@dataclass(frozen=True)
class Check:
    """What an argument must be.

    Attributes:
        holds: whether a value is that.
        words: what an error calls it.
    """

    holds: Callable[[Any], bool]
    words: str

    def require(self, name: str, value: Any) -> None:
        """Refuse another value.

        Raises:
            InputError: naming the argument, what it must be and what was given.
        """
        if not self.holds(value):
            raise InputError(f"{name}: expected {self.words}, got {shown(value)}")


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose arguments are what its annotations say, or an InputError."""
    arguments = Arguments(function.__name__, function)

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        arguments.require(args, kwargs)
        return function(*args, **kwargs)

    return call


class Arguments:
    """The checks of a function's arguments, made when it is called first.

    Args:
        owner: what errors call the function.
        function: the function.
    """

    def __init__(self, owner: str, function: Callable[..., Any]) -> None:
        self._owner, self._function = owner, function

    def require(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        """Refuse arguments that are not what the function's annotations say.

        Raises:
            InputError: naming the first.
        """
        for value, (name, check) in zip(args, self._places, strict=False):
            if check is not None and not check.holds(value):
                check.require(f"{self._owner}: {name}", value)
        if len(args) > len(self._places) and self._several is not None:
            name, check = self._several
            for i, value in enumerate(args[len(self._places) :]):
                check.require(f"{self._owner}: {name}[{i}]", value)
        for name, value in kwargs.items():
            named = self._by_name.get(name)
            if name not in self._names:
                named = self._others
            if named is not None:
                named.require(f"{self._owner}: {name}", value)

    @cached_property
    def _checks(self) -> list[tuple[inspect.Parameter, Check | None]]:
        given = inspect.signature(self._function).parameters.values()
        return [(p, check_of(resolved(p.annotation, self._function), p.default)) for p in given]

    @cached_property
    def _by_name(self) -> dict[str, Check]:
        return {p.name: check for p, check in self._checks if check and p.kind not in _VARIADIC}

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(p.name for p, _ in self._checks)

    @cached_property
    def _others(self) -> Check | None:
        return next((c for p, c in self._checks if p.kind is p.VAR_KEYWORD), None)

    @cached_property
    def _places(self) -> list[tuple[str, Check | None]]:
        return [(p.name, check) for p, check in self._checks if p.kind in _POSITIONAL]

    @cached_property
    def _several(self) -> tuple[str, Check] | None:
        found = ((p.name, c) for p, c in self._checks if p.kind is p.VAR_POSITIONAL and c)
        return next(found, None)


def check_of(hint: Any, default: Any = _EMPTY) -> Check | None:
    """What a type allows, None where that is not known; its default is always allowed.

    A hint is a type, not its text.
    """
    found = _check_of(hint)
    if found is None or default is _EMPTY or found.holds(default):
        return found
    return Check(lambda v: v is default or found.holds(v), f"{found.words} or {default!r}")


def is_int(value: Any) -> bool:
    """Whether a value is a whole number, or a size that stands for one."""
    kind = type(value)
    if kind is int:
        return True
    if kind is bool or isinstance(value, (type, np.bool_)) or not hasattr(kind, "__index__"):
        return False
    return not hasattr(value, "dtype") or (not value.ndim and np.dtype(value.dtype).kind in "iu")


def is_real(value: Any) -> bool:
    """Whether a value is a real number, by itself or as a NumPy scalar."""
    if isinstance(value, (bool, np.bool_)):
        return False
    if isinstance(value, np.ndarray):
        return value.ndim == 0 and value.dtype.kind in "iuf"
    return isinstance(value, (int, float, np.integer, np.floating))


def is_numeric(value: Any) -> bool:
    """Whether a value is an array of numbers or truth values, or lists that make one."""
    try:
        array = np.asarray(value)
    except Exception:  # whatever a foreign ``__array__`` does
        return False
    return array.dtype.kind in "iufb" or array.dtype.name == "bfloat16"


def shown(value: Any) -> str:
    """A value in a few letters: an array by dtype and shape."""
    if isinstance(value, np.ndarray):
        return f"an array {value.dtype}[{','.join(map(str, value.shape))}]"
    if isinstance(value, str) or not hasattr(value, "shape"):
        return reprlib.repr(value)
    return f"{type(value).__name__} of shape {tuple(value.shape)}"


def resolved(annotation: Any, function: Callable[..., Any]) -> Any:
    """The type that a string annotation names; the string itself if it cannot be evaluated."""
    if not isinstance(annotation, str):
        return annotation
    try:
        found = eval(annotation, _globals(function))
    except Exception:  # whatever the user's names do
        return annotation
    return resolved(found, function) if found != annotation else found


def _globals(function: Any) -> dict[str, Any]:
    """The names that a function sees."""
    while hasattr(function, "func"):  # functools.partial
        function = function.func
    function = inspect.unwrap(getattr(function, "__func__", function))
    if not hasattr(function, "__globals__"):
        function = type(function).__call__
    return {"Any": Any, **getattr(function, "__globals__", {})}


_SIMPLE: dict[Any, Check] = {
    bool: Check(lambda v: isinstance(v, (bool, np.bool_)) or (is_int(v) and v in (0, 1)),
                "True or False"),
    int: Check(lambda v: is_int(v) and (type(v) is not int or -(2**63) <= v < 2**63), "an int"),
    float: Check(lambda v: is_real(v) or is_int(v), "a number"),
    str: Check(lambda v: isinstance(v, str), "a string"),
    type(None): Check(lambda v: v is None, "None"),
}  # fmt: skip


def _check_of(hint: Any) -> Check | None:
    if hint is None:
        return _SIMPLE[type(None)]
    if isinstance(hint, type) and hint in _SIMPLE:
        return _SIMPLE[hint]
    origin = get_origin(hint)
    if origin is Annotated:
        own = next((m for m in hint.__metadata__ if isinstance(m, Check)), None)
        return own or _check_of(get_args(hint)[0])
    if origin in (Union, types.UnionType):
        return _any_of(map(_check_of, get_args(hint)))
    if origin in (Sequence, tuple, list):
        return _sequence_of(*get_args(hint)[:1])
    if origin is Mapping:
        return _mapping_of(get_args(hint)[0])
    return None


def _any_of(checks: Iterable[Check | None]) -> Check | None:
    known = list(checks)
    found = [check for check in known if check is not None]
    if len(found) < len(known):
        return None
    words = " or ".join(dict.fromkeys(check.words for check in found))
    return Check(lambda v: any(check.holds(v) for check in found), words)


def _mapping_of(key: Any) -> Check:
    keys = _check_of(key)
    if keys is None:
        return Check(lambda v: isinstance(v, Mapping), "a mapping")
    return Check(lambda v: isinstance(v, Mapping) and all(map(keys.holds, v)), "a mapping of names")


def _sequence_of(item: Any) -> Check | None:
    one = _check_of(item)
    if one is None:
        return None

    def holds(value: Any) -> bool:
        given = value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else value
        return isinstance(given, (list, tuple, range)) and all(map(one.holds, given))

    several = Check(holds, f"a sequence, each {one.words}")
    return _any_of([one, several]) if item is str else several  # a name is a sequence of names


def require_rank(name: str, x: Expr, least: int) -> None:
    """Refuse an array of a lower rank.

    Raises:
        InputError: naming the argument.
    """
    if x.rank < least:
        raise InputError(f"{name}: expected at least {least} axes, got {x.type}")


def as_axes(axes: Any) -> tuple[int, ...]:
    """Axes as users give them: one or several."""
    return tuple(axes) if isinstance(axes, (tuple, list, range)) else (axes,)


def require_as_many(what: str, left: Sequence[Any], right: Sequence[Any]) -> None:
    """Refuse two sequences that do not belong together.

    Raises:
        InputError: saying what they are.
    """
    if len(left) != len(right):
        raise InputError(f"{what}: expected as many, got {len(left)} and {len(right)}")


def numbers(value: Any) -> np.ndarray[Any, Any]:
    """An array of numbers from what is no symbol.

    Raises:
        InputError: for anything else.
    """
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # lists of several lengths
        array = np.empty(0, object)
    if array.dtype.kind not in "fiub" and array.dtype.name != "bfloat16":
        raise InputError(f"expected a symbol, a number or an array of them, got {shown(value)}")
    return array
