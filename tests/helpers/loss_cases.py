"""Cases of losses with values that somebody else says, and the laws that each is held to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from lossgraph import losses, reference
from lossgraph.compare.finite_differences import along
from support import assert_close
from tolerances import (
    DIFFERENCE,
    ORACLE,
    ORACLE_GRADIENT,
    SINGLE,
    SINGLE_COUPLED,
    TOLERANCE,
)


@dataclass(frozen=True)
class Case:
    """A loss on arrays, and what it is there.

    Attributes:
        name: of the test.
        loss: the loss.
        arrays: its inputs, and the options that are given as arrays.
        expected: the value in float64, or a function that computes it of all arguments by name,
            which has nothing of the loss in it.
        options: the other options.
        wrt: inputs to differentiate by; all floats that are not ``fixed`` if None.
        scalars: options that are held to be the same, and differentiable, when given as arrays.
        fixed: inputs of floats that no difference is taken of (labels, events, times).
        differences: whether the gradient is that of the value (not of a detached one).
    """

    name: str
    loss: Any
    arrays: Mapping[str, np.ndarray]
    expected: Callable[..., Any] | Any
    options: Mapping[str, Any] = field(default_factory=dict)
    wrt: tuple[str, ...] | None = None
    scalars: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    differences: bool = True

    def __str__(self) -> str:
        return self.name

    @property
    def value(self) -> np.ndarray:
        """What it is expected to be."""
        if not callable(self.expected):
            return np.asarray(self.expected, np.float64)
        with np.errstate(all="ignore"):
            return np.asarray(self.expected(**self.arrays, **self.options), np.float64)

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        """The arrays, with the scalars among them."""
        return {**self.arrays, **{k: np.array(float(self.options[k])) for k in self.scalars}}

    @property
    def rest(self) -> dict[str, Any]:
        """The options that are no arrays."""
        return {k: v for k, v in self.options.items() if k not in self.scalars}

    @property
    def names(self) -> list[str]:
        """By what it is differentiated."""
        floats = [k for k, v in self.arrays.items() if v.dtype.kind == "f" and k not in self.fixed]
        return [*(floats if self.wrt is None else self.wrt), *self.scalars]

    def in_dtype(self, dtype: str) -> dict[str, np.ndarray]:
        """The arrays with floats of another dtype."""
        return {k: v.astype(dtype) if v.dtype.kind == "f" else v for k, v in self.arrays.items()}

    def on_numpy(self, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
        """The value by the loss's body on numpy arrays; options that are arrays likewise."""
        wrapped = {name: reference.Array(array) for name, array in arrays.items()}
        options = {k: v for k, v in self.options.items() if k not in arrays}
        with np.errstate(all="ignore"):
            return self.loss(**wrapped, **options).asnumpy()


def row(
    loss: str,
    arrays: Mapping[str, Any],
    expected: Any,
    options: Mapping[str, Any] | None = None,
    fixed: tuple[str, ...] = (),
    note: str = "",
) -> Case:
    """A case of a loss by its name, which is named after its options and a note."""
    said = ",".join(f"{k}={v}" for k, v in (options or {}).items())
    name = "-".join(part for part in (loss, said, note) if part)
    made = {k: np.asarray(array) for k, array in arrays.items()}
    return Case(name, getattr(losses, loss), made, expected, options or {}, fixed=fixed)


def value_is_the_oracles(case: Case) -> None:
    assert_close(case.loss(**case.arrays, **case.options), case.value, tolerance=ORACLE)


def options_may_be_arrays(case: Case) -> None:
    assert_close(case.loss(**case.inputs, **case.rest), case.value, tolerance=ORACLE)


def numpy_body_agrees(case: Case) -> None:
    expected = case.value
    found = case.on_numpy(case.arrays)
    assert_close(np.reshape(found, expected.shape), expected, tolerance=ORACLE)


def gradient_is_that_of_differences(case: Case) -> None:
    rng = np.random.default_rng(1)
    value = np.asarray(case.loss(**case.inputs, **case.rest))
    ct = rng.uniform(0.5, 1.5, value.shape)
    _, grads = case.loss.value_and_grad(**case.inputs, **case.rest, wrt=case.names, ct=ct)

    def weighted(at: Mapping[str, np.ndarray]) -> Any:
        return np.sum(ct * np.reshape(case.on_numpy(at), ct.shape))

    rtol, atol = DIFFERENCE
    size = max(1.0, float(np.abs(ct * value).sum()))  # the difference of sums has their rounding
    for name in case.names:
        shape = case.inputs[name].shape
        direction = rng.uniform(0.5, 1, shape) * rng.choice([-1, 1], shape)
        expected = along(weighted, case.inputs, {name: direction})
        assert_close(np.sum(grads[name] * direction), expected, tolerance=(rtol, atol * size))


def float32_keeps_most_digits(case: Case) -> None:
    narrow = case.in_dtype("f4")
    wide = {k: v.astype("f8") if v.dtype.kind == "f" else v for k, v in narrow.items()}
    names = [name for name in case.names if name in case.arrays]
    (value, grads), (exact, exact_grads) = (
        case.loss.value_and_grad(**arrays, **case.options, wrt=names) for arrays in (narrow, wide)
    )
    assert value.dtype == np.float32
    assert_close(value, exact, tolerance=SINGLE)
    rtol, atol = SINGLE_COUPLED
    for name in names:
        assert grads[name].dtype == np.float32
        scale = max(1.0, float(np.abs(exact_grads[name]).max(initial=0)))
        assert_close(grads[name], exact_grads[name], tolerance=(rtol, atol * scale))


def half_is_float32_rounded(case: Case) -> None:
    half = case.in_dtype("f2")
    single = {k: v.astype("f4") if v.dtype.kind == "f" else v for k, v in half.items()}
    rtol, atol = TOLERANCE["float16"]
    value = case.loss(**half, **case.options)
    assert value.dtype == np.float16
    expected = case.loss(**single, **case.options)
    assert_close(value, expected, tolerance=(rtol, max(atol, 1e-5)))


LAWS: Mapping[Callable[[Case], None], Callable[[Case], bool]] = {
    value_is_the_oracles: lambda case: case.expected is not None,
    options_may_be_arrays: lambda case: bool(case.scalars),
    numpy_body_agrees: lambda case: case.expected is not None,
    gradient_is_that_of_differences: lambda case: case.differences and bool(case.names),
    float32_keeps_most_digits: lambda case: bool(case.names),
    half_is_float32_rounded: lambda case: True,
}


def laws(cases: Sequence[Case]) -> pytest.MarkDecorator:
    """Parameters ``case`` and ``law``: every case with each law that says something about it."""
    pairs = [(case, law) for case in cases for law, says in LAWS.items() if says(case)]
    names = [f"{case}-{law.__name__}" for case, law in pairs]
    return pytest.mark.parametrize(("case", "law"), pairs, ids=names)


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


def check_edge_case(case: EdgeCase, dtype: str) -> None:
    loss = getattr(losses, case.loss)
    arrays = {
        name: np.asarray(array).astype(dtype) if np.asarray(array).dtype.kind == "f" else array
        for name, array in case.arrays.items()
    }
    value, grads = loss.value_and_grad(**arrays, **case.options, wrt=tuple(case.grads))
    of_value, of_gradients = {
        "float32": (SINGLE, SINGLE_COUPLED), "float64": (ORACLE, ORACLE_GRADIENT),
    }[dtype]  # fmt: skip
    assert_close(value, case.value, tolerance=of_value)
    for name, expected in case.grads.items():
        assert_close(grads[name], expected, tolerance=of_gradients)


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
