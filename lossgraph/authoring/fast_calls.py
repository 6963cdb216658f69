"""Calls that need no binding: of NumPy arrays, by a loss that has not changed since a call like it.

What a call goes through depends on the loss's attributes, on which arguments are given, and on
their dtypes and shapes. Where all of that is as it was, so is the compiled loss. Attributes are
compared by identity, which tells nothing of what can change inside: a loss that holds lists,
arrays or ``Input`` options is bound anew each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import is_
from typing import Any

import numpy as np

from ..runtime.arrays import is_array
from ..runtime.compiled import Compiled, signature_of
from .inputs import Input
from .state import Holder, is_record

Held = list[tuple[Mapping[Any, Any], tuple[Any, ...], tuple[Any, ...]]]
Call = Callable[[Sequence[Any]], Any]

_MOST = 64  # calls of other arrays that are kept


class FastCalls:
    """The calls of one loss."""

    def __init__(self) -> None:
        self._kept: tuple[Held, dict[Any, Call]] = [], {}  # changed as one

    def find(self, mode: Any, args: tuple[Any, ...], named: Mapping[str, Any]) -> Call | None:
        """What computes a call of these arguments, positional ones first; None if nothing does.

        Args:
            mode: what tells calls of equal arguments apart.
            args: positional arguments.
            named: the others.
        """
        held, calls = self._kept
        if not calls:
            return None
        signature = signature_of((*args, *named.values()) if named else args)
        if signature is None:
            return None
        try:
            call = calls.get((mode, signature, *named) if named else (mode, signature))
        except TypeError:  # of a mode that is no key, which is an error
            return None
        return call if call is not None and _is_unchanged(held) else None

    def keep(
        self,
        held: Held | None,
        mode: Any,
        arrays: Mapping[str, Any],
        named: Iterable[str],
        compiled: Compiled,
        look_at: Callable[[Any, Mapping[str, Any]], None] | None,
    ) -> None:
        """Have calls of such arrays computed by a compiled loss.

        Args:
            held: the loss's attributes before the call, None if they can change unseen.
            mode: as in ``find``.
            arrays: those of the call, in the order of the loss's parameters.
            named: names of arguments that were given by name.
            compiled: what computed it.
            look_at: what is to see each answer, and the arrays by name.
        """
        by_name = [name for name in named if name in arrays]
        given = [*(name for name in arrays if name not in by_name), *by_name]
        signature = signature_of([arrays[name] for name in given])
        names = [node.attrs["name"] for node in compiled.program.inputs]
        if held is None or signature is None or set(given) != set(names):
            return
        if not _is_unchanged(held):  # a body may set attributes
            return
        calls = self._kept[1] if _is_unchanged(self._kept[0]) else {}
        calls = calls if len(calls) < _MOST else {}
        call = _in_order(given, names, compiled)
        calls[mode, signature, *by_name] = call if look_at is None else _seen(call, given, look_at)
        self._kept = held, calls


def held_by(holder: Holder) -> Held | None:
    """The attributes of a loss and of what it holds; None if something may change unseen."""
    found: Held = []
    return found if _add(holder.__dict__, found) else None


def _add(attributes: Mapping[Any, Any], found: Held) -> bool:
    values = tuple(attributes.values())
    found.append((attributes, tuple(attributes), values))
    return all(_is_fixed(value, found) for value in values)


def _is_fixed(value: Any, found: Held) -> bool:
    """Whether a value is what it was as long as it is the same object; what it holds is added."""
    if isinstance(value, Holder):
        return _add(value.__dict__, found)
    if isinstance(value, dict):
        return _add(value, found)
    if type(value) is tuple:
        return all(_is_fixed(item, found) for item in value)
    changes = isinstance(value, (Input, Mapping, list, tuple, set)) or is_record(value)
    return not changes and (isinstance(value, np.generic) or not is_array(value))


def _is_unchanged(held: Held) -> bool:
    for attributes, names, values in held:
        if tuple(attributes) != names or not all(map(is_, attributes.values(), values)):
            return False
    return True


def _in_order(given: list[str], names: list[str], compiled: Compiled) -> Call:
    """The call of a compiled loss, whose inputs stand in another order than the arguments."""
    if given == names:
        return lambda args: compiled(*args)
    places = [given.index(name) for name in names]
    return lambda args: compiled(*[args[place] for place in places])


def _seen(call: Call, given: list[str], look_at: Callable[[Any, Mapping[str, Any]], None]) -> Call:
    def seen(args: Sequence[Any]) -> Any:
        answer = call(args)
        look_at(answer, dict(zip(given, args, strict=True)))
        return answer

    return seen
