"""Tables of losses made of functions: what every row of one is held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from lossgraph import losses, reference
from support import DIFFERENCE, assert_close, difference_quotient

# Losses in float32 against float64: of the value, and of gradients, whose terms may cancel.
SINGLE = (2e-5, 4e-6), (2e-4, 2e-5)


@dataclass(frozen=True)
class Row:
    """A loss at some inputs, and what somebody else says that it is there.

    Attributes:
        loss: the name of the loss.
        arrays: its inputs, and the options that are given as arrays.
        expected: a function of the same arguments by name, or the value itself.
        options: the other options.
        fixed: inputs of floats that no difference is taken of (labels, events, times).
        note: part of the test's name.
    """

    loss: str
    arrays: Mapping[str, Any]
    expected: Callable[..., Any] | Any
    options: Mapping[str, Any] = field(default_factory=dict)
    fixed: tuple[str, ...] = ()
    note: str = ""

    def __str__(self) -> str:
        options = ",".join(f"{k}={v}" for k, v in self.options.items())
        return "-".join(part for part in (self.loss, options, self.note) if part)

    @property
    def value(self) -> Any:
        given = {name: np.asarray(array) for name, array in self.arrays.items()}
        return self.expected(**given, **self.options) if callable(self.expected) else self.expected

    @property
    def wrt(self) -> list[str]:
        return [
            name
            for name, array in self.arrays.items()
            if np.asarray(array).dtype.kind == "f" and name not in self.fixed
        ]


def on_numpy(row: Row, arrays: Mapping[str, Any]) -> Any:
    """The value by the numpy F."""
    wrapped = {name: reference.Array(array) for name, array in arrays.items()}
    with np.errstate(all="ignore"):
        return getattr(losses, row.loss)(**wrapped, **row.options).asnumpy()


def check_value(row: Row) -> None:
    """The compiled value and the numpy F's are what somebody else says."""
    expected = np.asarray(row.value, np.float64)
    value = getattr(losses, row.loss)(**row.arrays, **row.options)
    assert_close(value, expected, tolerance=(1e-10, 1e-12))
    assert_close(on_numpy(row, row.arrays), expected, tolerance=(1e-10, 1e-12))


def check_gradients(row: Row) -> None:
    """In float64 those of central differences, in float32 those of float64."""
    loss, wrt = getattr(losses, row.loss), tuple(row.wrt)
    value, grads = loss.value_and_grad(**row.arrays, **row.options, wrt=wrt)
    rng = np.random.default_rng(1)
    for name in wrt:
        direction = rng.uniform(0.5, 1, np.shape(row.arrays[name]))
        direction *= rng.choice([-1, 1], direction.shape)
        expected = difference_quotient(
            lambda **at: on_numpy(row, at).sum(), row.arrays, name, direction
        )
        rtol, atol = DIFFERENCE
        size = max(1.0, float(np.abs(value).sum()))  # the difference of sums has their rounding
        assert_close(np.sum(grads[name] * direction), expected, tolerance=(rtol, atol * size))
    single = {
        name: array.astype(np.float32) if np.asarray(array).dtype == np.float64 else array
        for name, array in row.arrays.items()
    }
    narrow, narrow_grads = loss.value_and_grad(**single, **row.options, wrt=wrt)
    assert narrow.dtype == np.float32
    assert_close(narrow, value, tolerance=SINGLE[0])
    for name in wrt:
        assert_close(narrow_grads[name], grads[name], tolerance=SINGLE[1])


@dataclass(frozen=True)
class EdgeCase:
    """A loss where formulas fail, and what it and its gradients are there.

    Attributes:
        loss: the name of the loss.
        arrays: its inputs.
        value: the value.
        grads: gradients by input; those that are not said are only computed where asked for.
        options: options.
        note: part of the test's name.
    """

    loss: str
    arrays: Mapping[str, Any]
    value: Any
    grads: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""

    def __str__(self) -> str:
        return f"{self.loss}-{self.note}"


def check_edge_case(row: EdgeCase, dtype: str) -> None:
    loss = getattr(losses, row.loss)
    arrays = {
        name: np.asarray(array).astype(dtype) if np.asarray(array).dtype.kind == "f" else array
        for name, array in row.arrays.items()
    }
    value, grads = loss.value_and_grad(**arrays, **row.options, wrt=tuple(row.grads))
    (rtol, atol), gradient = SINGLE if dtype == "float32" else ((1e-10, 1e-12), (1e-9, 1e-10))
    assert_close(value, row.value, tolerance=(rtol, atol))
    for name, expected in row.grads.items():
        assert_close(grads[name], expected, tolerance=gradient)


def check_empty(loss: str, **shapes: Any) -> None:
    """A batch without samples: a value without elements, gradients likewise."""
    arrays = {
        name: np.zeros(shape, np.int64 if kind == "int" else np.float32)
        for name, (kind, shape) in shapes.items()
    }
    value, grads = getattr(losses, loss).value_and_grad(**arrays)
    assert value.shape[0] == 0
    for grad in grads.values():
        assert grad.size == 0
