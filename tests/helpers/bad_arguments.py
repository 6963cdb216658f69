"""What users give by mistake, and how calls with it are held to errors of lossgraph's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import lossgraph as lg

NO_ARRAYS: Mapping[str, Any] = {
    "a fraction": 1.5,
    "a negative": -3,
    "a large int": 10**20,
    "a truth value": True,
    "a complex": 1j,
    "None": None,
    "a string": "abc",
    "bytes": b"x",
    "an object": object(),
    "a dict": {"a": 1},
    "a set": {1},
    "a class": int,
    "an empty list": [],
    "a ragged list": [[1.0, 2.0], [3.0]],
    "a list of strings": ["a", "b"],
    "a list with None": [None, 1.0],
    "a mixed tuple": (1, "a"),
}
OTHER_KINDS: Mapping[str, Any] = {
    "objects": np.array([object()] * 2),
    "complex numbers": np.ones(3, np.complex64),
    "strings": np.array(["a", "b"]),
    "dates": np.array(["2020-01-01"], "datetime64[D]"),
    "records": np.zeros(2, [("a", "f4")]),
    "long doubles": np.ones(4, np.longdouble),
}
OTHER_SHAPES: Mapping[str, Any] = {
    "rank 0": np.float32(1),
    "rank 1": np.ones(7, np.float32),
    "rank 2": np.ones((3, 7), np.float32),
    "rank 4": np.ones((2, 3, 2, 2), np.float32),
    "no rows": np.ones((0, 2), np.float32),
    "truth values": np.ones(4, bool),
    "unsigned": np.ones((4, 5), np.uint64),
    "another byte order": np.ones(4, ">f4"),
}
BAD: Mapping[str, Any] = {**NO_ARRAYS, **OTHER_KINDS, **OTHER_SHAPES}


def complaint(call: Callable[[], Any]) -> str:
    """The text of the LossgraphError that a call raises; empty if it has a result."""
    try:
        call()
    except lg.LossgraphError as error:
        return str(error) or "an error without words"
    return ""


def with_each_replaced(
    args: Sequence[Any], kwargs: Mapping[str, Any], values: Mapping[str, Any] = BAD
) -> Iterator[tuple[str, list[Any], dict[str, Any]]]:
    """Arguments with one of them replaced, and a name for what was done."""
    for what, value in values.items():
        for place in range(len(args)):
            yield f"{place}: {what}", [*args[:place], value, *args[place + 1 :]], dict(kwargs)
        for name in kwargs:
            yield f"{name}: {what}", list(args), {**kwargs, name: value}


def raw_errors(call: Callable[..., Any], cases: Iterator[tuple[str, Any, Any]]) -> list[str]:
    """The cases that raise anything else than lossgraph's errors, each with what it raises."""
    found = []
    for what, args, kwargs in cases:
        try:
            complaint(lambda a=args, k=kwargs: call(*a, **k))
        except lg.LossgraphWarning:  # a result, of numbers outside of a domain
            pass
        except Exception as error:  # what is looked for
            found.append(f"{what}: {error!r}")
    return found
