"""What a loss is made of: the inputs among its attributes, and the attributes as one frozen value.

The value is what compiled variants are kept by. It is exact: an array counts with all its bytes,
in containers too. Attributes are options where a loss does not change after its constructor, and
a loss that does change, or whose containers do, gets another value.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..errors import InputError
from ..runtime.arrays import detached, device_of, is_array, to_numpy
from .inputs import Input
from .signature import Signature

_PLAIN = frozenset({bool, int, float, str, bytes, type(None)})


class Holder:
    """An object that has inputs among its attributes, or in what it has there."""

    @property
    def scalar_inputs(self) -> tuple[str, ...]:
        """The names of those inputs, each once."""
        names: dict[str, None] = {}
        for value in self.__dict__.values():  # at every call: most are plain
            if value.__class__ not in _PLAIN:
                names.update(dict.fromkeys(_names(value)))
        return tuple(names)

    def with_inputs(self, given: Mapping[str, Any]) -> Any:
        """A copy that has arrays or numbers in the places of its inputs; itself if it has none."""
        if not self.scalar_inputs:
            return self
        copy = type(self).__new__(type(self))
        copy.__dict__.update({k: _replaced(v, given) for k, v in self.__dict__.items()})
        return copy

    def frozen_state(self) -> Hashable:
        """Its attributes as one value, equal for objects that compute the same."""
        return frozen_attributes(self, ())


def frozen_attributes(holder: Holder, left_out: tuple[str, ...]) -> Hashable:
    """The class and the attributes of an object as one value, some attributes left out."""
    found: list[Any] = [holder.__class__]
    for name, value in holder.__dict__.items():
        kind = value.__class__
        if kind in _PLAIN and not (kind is float and value == 0):
            found += (name, kind, value)
        elif name not in left_out:
            found += (name, frozen(value))
    return tuple(found)


def frozen(value: Any) -> Hashable:
    """A value that can be a key: equal to another's if and only if a loss computes the same.

    Records (data classes, namespaces) count by their attributes. Of any other object that is
    neither plain nor a container, an array or a loss nothing is known but which it is: it is a key
    by identity, and so are functions.
    """
    kind = value.__class__
    if kind in _PLAIN:  # 1, 1.0 and True are three options, and so are 0.0 and -0.0
        return kind, str(value) if kind is float else value
    if isinstance(value, Holder):
        return value.frozen_state()
    if isinstance(value, (Input, Signature)):  # which do not change
        return value
    if isinstance(value, Mapping):
        return kind, tuple((frozen(key), frozen(item)) for key, item in value.items())
    if isinstance(value, (list, tuple)):
        return kind, tuple(map(frozen, value))
    if isinstance(value, (set, frozenset)):
        return kind, frozenset(map(frozen, value))
    if is_array(value):
        return _frozen_array(value)
    return (kind, frozen(_attributes(value))) if is_record(value) else Same(value)


class Same:
    """A key that is equal to another only if both are of one object, which it keeps alive."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and other.value is self.value


def is_record(value: Any) -> bool:
    """Whether a value is known by its attributes."""
    record = is_dataclass(value) and not isinstance(value, type)
    return record or isinstance(value, (SimpleNamespace, Namespace))


def _attributes(record: Any) -> dict[str, Any]:
    """The attributes of a record; with slots there are no others than its fields."""
    if hasattr(record, "__dict__"):
        return dict(vars(record))
    return {f.name: getattr(record, f.name, None) for f in fields(record)}


def _frozen_array(value: Any) -> Hashable:
    """An array by its bytes; by identity if it is read-only or on a device."""
    if isinstance(value, np.ndarray) and value.flags.owndata and not value.flags.writeable:
        return Same(value)
    try:
        if device_of(value) is not None:
            return Same(value)
        array = to_numpy("", detached(value))
    except InputError:
        return Same(value)
    if array.dtype.hasobject:
        return value.__class__, array.shape, frozen(array.tolist())
    import hashlib  # which takes OpenSSL's 5 ms, and few losses hold arrays

    digest = hashlib.sha256(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data).digest()
    return value.__class__, array.dtype, array.shape, digest


def _names(value: Any) -> Iterator[str]:
    if isinstance(value, Input):
        yield value.name
    elif isinstance(value, Holder):
        yield from value.scalar_inputs
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _names(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _names(item)


def _replaced(value: Any, given: Mapping[str, Any]) -> Any:
    """The same with what is given in the place of inputs, in new containers where there are any."""
    if isinstance(value, Input):
        return given[value.name]
    if isinstance(value, Holder):
        return value.with_inputs(given)
    if not any(True for _ in _names(value)):
        return value
    if isinstance(value, Mapping):
        return {key: _replaced(item, given) for key, item in value.items()}
    found = [_replaced(item, given) for item in value]
    return tuple(found) if isinstance(value, tuple) else found
