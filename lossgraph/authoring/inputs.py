"""Options that are inputs of the graph: known when it runs, and differentiable."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.types import TensorType
from ..reference import Array
from ..runtime.arrays import is_array, stand_in
from ..symbolic.arguments import is_numeric
from ..symbolic.symbol import Symbol
from .signature import Parameter, Signature


@dataclass(frozen=True)
class Input:
    """An input of the graph in the place of a number: ``gluon.HuberLoss(rho=lg.Input("rho"))``.

    A call then takes ``rho`` by this name, a number or an array of shape (), and so do ``to_onnx``
    and ``program``, where its type may be left out: a scalar in the dtype of the first float
    input. It has a gradient. Options may share one input.

    What a loss demands of a number, like being positive, cannot be checked: no value is known
    when the graph is made. A value outside gives whatever the formula does.

    Args:
        name: the input's name, an identifier that no other argument of the loss has.

    Raises:
        InputError: for a name that is none.
    """

    name: str

    def __post_init__(self) -> None:
        if not (isinstance(self.name, str) and self.name.isidentifier()):
            raise InputError(f"an input has a name like 'rho', not {self.name!r}")

    def __repr__(self) -> str:
        return f"Input({self.name!r})"

    def __bool__(self) -> bool:
        raise InputError(f"{self!r} stands for a number that is not known yet: it is not true")


def require_numbers(
    owner: str, signature: Signature, given: Mapping[str, Any], constant: Iterable[str] = ()
) -> None:
    """Refuse an ``Input`` for an option that is no number, or on which the graph's form depends.

    Args:
        owner: the name of the loss.
        signature: the declarations of its options.
        given: values of options, by name.
        constant: the names of further options that no input can stand for.

    Raises:
        InputError: naming the option.
    """
    for name, value in given.items():
        declared = signature.by_name.get(name)
        if not isinstance(value, Input) or declared is None:
            continue
        if name in constant or not declared.is_number:
            raise InputError(
                f"{owner}: {name} cannot be {value!r}: the graph depends on its value, "
                "only options that are mere numbers can be inputs"
            )


def require_option(owner: str, declared: Parameter, value: Any) -> None:
    """Refuse a value that an option's annotation does not allow.

    An array can stand for a mere number, and so can what will be one when the graph runs.

    Raises:
        InputError: naming the option.
    """
    if declared.allows(value):
        return
    later = isinstance(value, (Input, Symbol, Array)) or (is_array(value) and is_numeric(value))
    if declared.check is not None and not (declared.is_number and later):
        declared.check.require(f"{owner}: {declared.name}", value)


def scalar(name: str, value: Any) -> Any:
    """Check what a call gives for an ``Input`` option: a number or an array of shape ().

    Raises:
        InputError: for anything else.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    if isinstance(value, (Symbol, Array)) or is_array(value):
        require_scalar(name, value.shape if hasattr(value, "shape") else np.shape(value))
        return value
    raise InputError(f"{name}: expected a number or an array of shape (), got {value!r}")


def require_scalar(name: str, shape: Sequence[Any]) -> None:
    """Refuse a shape other than ().

    Raises:
        InputError: naming the input.
    """
    if len(shape):
        raise InputError(f"{name}: expected one number, of shape (), got {tuple(shape)}")


def with_scalar_types(
    types: Mapping[str, TensorType], names: Sequence[str], constants: Mapping[str, Any]
) -> dict[str, TensorType]:
    """Types with those of ``Input`` options added: scalars in the dtype of the first float."""
    for name in set(names) & set(types):
        require_scalar(name, types[name].shape)
    dtype = next((t.dtype for t in types.values() if t.is_float), "float32")
    new = [name for name in names if name not in types and name not in constants]
    return {**types, **{name: TensorType(dtype, ()) for name in new}}


def numbers_as_arrays(arrays: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The arrays of a call; numbers given for ``Input`` options become scalars of its floats."""
    given = dict(arrays)
    numbers = {n for n in names if isinstance(given.get(n), (int, float, np.generic))}
    if numbers:
        dtypes = (stand_in(n, x).dtype for n, x in given.items() if n not in numbers)
        dtype = next((d for d in dtypes if d.kind not in "iub"), np.dtype("float32"))
        given |= {name: np.asarray(given[name], dtype) for name in numbers}
    return given
