"""Laws of a loss, for tables of cases: an independent value, differences, dtypes, other engines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from lossgraph import reference
from support import DIFFERENCE, TOLERANCE, assert_close, difference_quotient

# Of batch-coupled losses in float32: scores of some hundreds keep 1e-5 of themselves.
FLOAT32 = (2e-4, 2e-5)


@dataclass(frozen=True)
class Case:
    """A loss on arrays, with an oracle ``oracle(**arrays, **options)`` in float64.

    Attributes:
        wrt: inputs to differentiate by; all floats if None.
        scalars: options to differentiate by, given as arrays.
        differences: whether the gradient is that of the value (not of a detached one).
    """

    name: str
    loss: Any
    arrays: Mapping[str, np.ndarray]
    oracle: Callable[..., Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    wrt: tuple[str, ...] | None = None
    scalars: tuple[str, ...] = ()
    differences: bool = True

    def __str__(self) -> str:
        return self.name

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        return {**self.arrays, **{k: np.array(float(self.options[k])) for k in self.scalars}}

    @property
    def fixed(self) -> dict[str, Any]:
        return {k: v for k, v in self.options.items() if k not in self.scalars}

    @property
    def names(self) -> list[str]:
        floats = [k for k, v in self.arrays.items() if v.dtype.kind == "f"]
        return [*(floats if self.wrt is None else self.wrt), *self.scalars]


def value_is_the_oracles(case: Case) -> None:
    with np.errstate(all="ignore"):
        expected = case.oracle(**case.arrays, **case.options)
    assert_close(case.loss(**case.arrays, **case.options), expected, "float64")


def options_may_be_arrays(case: Case) -> None:
    value = case.loss(**case.inputs, **case.fixed)
    assert_close(value, case.loss(**case.arrays, **case.options), tolerance=(1e-9, 1e-10))


def gradient_is_that_of_differences(case: Case) -> None:
    if not case.differences:
        pytest.skip("part of the formula is a constant to the gradient")
    rng = np.random.default_rng(1)
    value = np.asarray(case.loss(**case.inputs, **case.fixed))
    ct = rng.uniform(0.5, 1.5, value.shape)
    _, grads = case.loss.value_and_grad(**case.inputs, **case.fixed, wrt=case.names, ct=ct)

    def weighed(**at: Any) -> Any:
        return np.sum(ct * case.loss(**at, **case.fixed))

    for name in case.names:
        direction = rng.uniform(-1, 1, case.inputs[name].shape)
        expected = difference_quotient(weighed, case.inputs, name, direction)
        scale = max(1.0, float(np.abs(ct * value).sum()))
        rtol, atol = DIFFERENCE
        assert_close(
            np.sum(grads[name] * direction),
            expected,
            tolerance=(rtol, atol * scale),
        )


def numpy_body_agrees(case: Case) -> None:
    with np.errstate(all="ignore"):
        found = case.loss(
            **{k: reference.Array(v) for k, v in case.arrays.items()}, **case.options
        ).asnumpy()
    expected = case.loss(**case.arrays, **case.options)
    assert_close(np.reshape(found, np.shape(expected)), expected, "float64")


def float32_keeps_most_digits(case: Case) -> None:
    narrow = {k: v.astype("f4") if v.dtype.kind == "f" else v for k, v in case.arrays.items()}
    wide = {k: v.astype("f8") if v.dtype.kind == "f" else v for k, v in narrow.items()}
    names = [name for name in case.names if name in case.arrays]
    results = [
        case.loss.value_and_grad(**arrays, **case.options, wrt=names) for arrays in (narrow, wide)
    ]
    (value, grads), (exact, exact_grads) = results
    assert value.dtype == np.float32
    assert_close(value, exact, tolerance=FLOAT32)
    for name in names:
        assert grads[name].dtype == np.float32
        scale = max(1.0, float(np.abs(exact_grads[name]).max(initial=0)))
        rtol, atol = FLOAT32
        assert_close(grads[name], exact_grads[name], tolerance=(rtol, atol * scale))


def half_is_float32_rounded(case: Case) -> None:
    half = {k: v.astype("f2") if v.dtype.kind == "f" else v for k, v in case.arrays.items()}
    single = {k: v.astype("f4") if v.dtype.kind == "f" else v for k, v in half.items()}
    rtol, atol = TOLERANCE["float16"]
    value = case.loss(**half, **case.options)
    assert value.dtype == np.float16
    assert_close(value, case.loss(**single, **case.options), tolerance=(rtol, max(atol, 1e-5)))


LAWS = [
    value_is_the_oracles,
    options_may_be_arrays,
    gradient_is_that_of_differences,
    numpy_body_agrees,
    float32_keeps_most_digits,
    half_is_float32_rounded,
]
laws = pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
