"""Every function of F with each argument replaced by what it is not."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import pytest

import lossgraph as lg
from bad_arguments import BAD, raw_errors, with_each_replaced
from lossgraph import reference, symbolic

# What a parameter of this name may be; any other is an array, of the first rank that fits.
USUAL: Mapping[str, list[Any]] = {
    "N": [3], "a_max": [1.0], "a_min": [0.0], "act_type": ["relu"], "axis": [0, -1],
    "begin": [(0, 0), 0], "depth": [3], "destination": [1], "dtype": ["float32"],
    "end": [(2, 2), 1], "mode": ["constant", "clip"], "num_outputs": [3], "num": [3],
    "pad_width": [(0, 0, 0, 0, 1, 1, 1, 1)], "repeats": [2], "reps": [2], "shape": [(3, 3)],
    "source": [0], "source_array": [[1.0, 2.0]], "start": [0], "stop": [3],
    "subscripts": ["ij->i"], "val": [1.0],
}  # fmt: skip
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of NumPy before 2.2
ARRAYS = [
    np.ones((3, 3), np.float32),
    np.ones(3, np.float32),
    np.zeros(3, np.int64),
    np.ones((2, 3, 3), np.float32),
    np.ones((1, 2, 4, 4), np.float32),
]
OF_USERS = {"body", "cond", "func", "then_func", "else_func"}  # functions, whose errors are theirs


def _functions(F: Any) -> Iterator[Any]:
    for name in sorted(n for n in F.__all__ if n not in ("Symbol", "SymbolicSize", "Array")):
        if callable(getattr(F, name)):
            yield pytest.param(F, name, id=f"{F.__name__}.{name}")
    for name in sorted(vars(F.contrib)):
        yield pytest.param(F, f"contrib.{name}", id=f"{F.__name__}.contrib.{name}")


def _array(F: Any, value: Any) -> Any:
    if F is reference:
        return F.array(value, dtype=value.dtype)
    return lg.symbol(f"x{value.ndim}{value.dtype.kind}", value.dtype.name, value.shape)


def _arguments(F: Any, function: Callable[..., Any]) -> list[Any]:
    """Arguments for the required parameters that the function takes, else plausible ones."""
    parameters = inspect.signature(function).parameters.values()
    arrays = [_array(F, value) for value in ARRAYS]
    choices = [
        USUAL.get(p.name, arrays)
        for p in parameters
        if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    tried = list(itertools.islice(itertools.product(*choices), 100))
    for args in tried:
        try:
            function(*args)
        except Exception:  # these do not fit together
            continue
        return list(args)
    return list(tried[0])


@pytest.mark.parametrize(("F", "name"), [*_functions(symbolic), *_functions(reference)])
def test_an_argument_is_what_it_has_to_be_or_named(F: Any, name: str) -> None:
    function = F
    for part in name.split("."):
        function = getattr(function, part) if F is function else vars(function)[part]
    args = _arguments(F, function)
    parameters = inspect.signature(function).parameters.values()
    optional = {p.name: p.default for p in parameters if p.default is not p.empty}
    required = [p.name for p in parameters if p.default is p.empty]

    def cases() -> Iterator[tuple[str, Any, Any]]:
        for what, given, named in with_each_replaced(args, {}):
            if required[min(int(what.partition(":")[0]), len(required) - 1)] not in OF_USERS:
                yield what, given, named
        for key in set(optional) - {"name"}:
            for what, value in BAD.items():
                yield f"{key}: {what}", args, {key: value}
        yield "nothing", [], {}
        yield "an unknown name", args, {"nonsense": 1}

    assert raw_errors(function, cases()) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda F, x: F.sum(x, axis="a"), "F.sum: axis: expected an axis or several or None"),
        (lambda F, x: F.log(None), "F.log: data: expected a symbol, a number or an array"),
        (lambda F, x: F.sum(x, keepdims="yes"), "F.sum: keepdims: expected True or False"),
        (lambda F, x: F.concat(x, "x", dim=0), r"F.concat: .*\[1\]: expected a symbol.*'x'"),
        (lambda F, x: F.zeros((2, 1.5)), "F.zeros: shape: expected a size or several"),
        (lambda F, x: F.one_hot(x, depth=10**30), "expected a size below 2"),
        (lambda F, x: F.cast(x, dtype=3), "F.cast: dtype: expected a dtype, got 3"),
        (lambda F, x: F.flatten(F.scalar(F.sum(x))), "flatten: data: expected at least 1 axes"),
        (lambda F, x: x + "a", "expected a symbol, a number or an array of them, got 'a'"),
    ],
)
def test_what_is_wanted_is_said(call: Any, message: str) -> None:
    with pytest.raises(lg.InputError, match=message):
        call(symbolic, lg.symbol("x", "float32", ("N", 3)))


@pytest.mark.parametrize("F", [symbolic, reference], ids=["symbolic", "reference"])
def test_integers_are_clipped_by_fractions_as_floats(F: Any) -> None:
    def body(F: Any, x: Any) -> Any:
        return F.clip(x, 0.5, float("inf"))

    x = np.array([0, 1, 2])
    found = body(F, reference.array(x, dtype=x.dtype)).asnumpy() if F is reference else None
    if found is None:
        found = lg.compile(body, {"x": ("int64", (3,))})(x)
    assert found.tolist() == [0.5, 1, 2]
