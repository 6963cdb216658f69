"""MXNet's arrays, and its operators on them: those of ``F``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NoReturn

import numpy as np

from ... import reference, symbolic
from ...errors import InputError
from ...symbolic.symbol import Symbol

_NO_TAPE = (
    "nothing is recorded here: gradients come from loss.value_and_grad(..), lg.value_and_grad, "
    "or lg.grad inside a body"
)


class NDArray(np.ndarray[Any, Any]):
    """An array of numpy with MXNet's methods; losses that are called with it return such."""

    @classmethod
    def from_numpy(cls, array: Any) -> Any:
        """An array of numpy as one of these, of the same memory."""
        return np.asarray(array).view(cls)

    @property
    def context(self) -> str:
        """Where it is: in the CPU's memory."""
        return "cpu(0)"

    ctx = context

    def asnumpy(self) -> np.ndarray[Any, Any]:
        """A copy as a plain array of numpy."""
        return np.array(self)

    def asscalar(self) -> Any:
        """The only element."""
        return self.item()

    def as_in_context(self, context: Any) -> NDArray:
        """The array itself: there is one device."""
        return self

    as_in_ctx = copyto = as_in_context

    def wait_to_read(self) -> None:
        """Nothing to wait for: it is computed."""

    def attach_grad(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse what autograd would do.

        Raises:
            InputError: saying what to do.
        """
        raise InputError(_NO_TAPE)

    backward = attach_grad


def array(source_array: Any, ctx: Any = None, dtype: Any = None) -> Any:
    """An array of numbers: in float32 unless a dtype is given, or the source is an array."""
    if isinstance(source_array, (Symbol, reference.Array)):
        return source_array
    default = getattr(source_array, "dtype", np.float32)
    return NDArray.from_numpy(np.array(source_array, default if dtype is None else dtype))


def operator(name: str) -> Callable[..., Any]:
    """The operator of a name: of symbols in a loss, and of arrays elsewhere.

    Raises:
        UnknownOperatorError: for one that F has not.
    """
    return _dispatching(getattr(symbolic, name), getattr(reference, name))


class Operators:
    """A namespace of operators inside another, like ``contrib`` and ``linalg``."""

    def __init__(self, name: str) -> None:
        self._symbolic, self._reference = getattr(symbolic, name), getattr(reference, name)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        return _dispatching(getattr(self._symbolic, name), getattr(self._reference, name))


def _dispatching(on_symbols: Callable[..., Any], on_arrays: Callable[..., Any]) -> Any:
    def call(*args: Any, **kwargs: Any) -> Any:
        given = list(_flat((*args, *kwargs.values())))
        if any(isinstance(value, Symbol) for value in given):
            return on_symbols(*args, **kwargs)
        if any(isinstance(value, reference.Array) for value in given):
            return on_arrays(*args, **kwargs)
        wrapped = {name: _wrapped(value) for name, value in kwargs.items()}
        return _unwrapped(on_arrays(*map(_wrapped, args), **wrapped))

    return call


def _flat(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, (list, tuple)):
            yield from _flat(value)
        else:
            yield value


def _wrapped(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(_wrapped, value))
    return reference.Array(value) if isinstance(value, np.ndarray) else value


def _unwrapped(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(_unwrapped, value))
    return NDArray.from_numpy(value.value) if isinstance(value, reference.Array) else value
