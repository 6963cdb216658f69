"""The same losses in other frameworks, to be measured and compared with.

This package imports nothing but the framework that it is handed, and nothing of lossgraph: the
tools run it in environments that have no lossgraph, of Python 3.8 too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from .by_jax import JAX, jax_call, wide_numbers
from .by_jax import native as _of_jax
from .by_mxnet import MXNET, mxnet_call
from .by_mxnet import native as _of_mxnet
from .by_torch import TORCH, torch_call
from .by_torch import native as _of_torch
from .by_torch import to_numpy as _from_torch
from .shared import Function, changed, keyword_only, values_of

__all__ = [
    "FRAMEWORKS", "JAX", "MXNET", "TORCH", "Function", "call", "compute", "find", "jax_call",
    "mxnet_call", "torch_call", "values_of", "version",
]  # fmt: skip

# The tables, and the namespace of lossgraph whose losses a framework has by their very names.
FRAMEWORKS = {"torch": (TORCH, "nn"), "jax": (JAX, "optax"), "mxnet": (MXNET, "gluon")}
_NATIVE = {"torch": _of_torch, "jax": _of_jax, "mxnet": _of_mxnet}


def find(
    table: Mapping[str, Function],
    framework: Any,
    name: str,
    options: Mapping[str, Any],
    defaults: Mapping[str, Any],
    inputs: Sequence[str] = (),
) -> Any:
    """The equivalent of a loss with its options, None if none is known.

    The losses of ``lossgraph.nn`` are those of ``torch.nn``, by their very names; and so are those
    of ``optax`` and ``gluon``.

    Args:
        table: the framework's.
        framework: its module.
        name: of the loss, with its namespace.
        options: those that are given.
        defaults: what options are if they are not given.
        inputs: names of the arrays that it will be called with, by position.
    """
    namespace, _, own = name.partition(".")
    function = table.get(name)
    if function is None:
        known = getattr(framework, "__name__", "")
        if known not in FRAMEWORKS or FRAMEWORKS[known][1] != namespace:
            return None
        return _NATIVE[known](framework, own, {**defaults, **options}, inputs)
    given = changed(options, defaults)
    if not set(given) <= set(keyword_only(function)) or not _takes(function, inputs):
        return None
    return lambda *arrays: function(framework, *arrays, **given)


def _takes(function: Function, inputs: Sequence[str]) -> bool:
    """Whether a function of the tables has these arrays for its first arguments."""
    code = function.__code__
    if code.co_flags & 0x04:  # *arrays
        return True
    return list(inputs) == list(code.co_varnames[1 : code.co_argcount])[: len(inputs)]


def compute(
    framework: str,
    name: str,
    options: Mapping[str, Any],
    defaults: Mapping[str, Any],
    arrays: Mapping[str, Any],
    grad: Sequence[str],
    narrow: Sequence[str] = (),
) -> Any:
    """The outputs of a loss in a framework by name; a text that says why there are none.

    Args:
        framework: a name of ``FRAMEWORKS``.
        name: of the loss, with its namespace.
        options: those that are given.
        defaults: what options are if they are not given.
        arrays: inputs by name.
        grad: names of inputs; the gradients by these are outputs too, of the sum of the value.
        narrow: names of inputs that are to be bfloat16, which come as float32.

    Returns:
        ``loss``, or ``loss_0``, .. of several, and ``grad_<name>``; bfloat16 as float32.

    Raises:
        ImportError: if the framework is not here.
    """
    module = import_module(framework)
    try:
        function = find(FRAMEWORKS[framework][0], module, name, options, defaults, list(arrays))
        if function is None:
            return f"no equivalent of {name} with these options and inputs is known"
        value, grads = call(framework, function, arrays, grad, narrow)
    except ImportError:
        raise
    except Exception as error:  # whatever a framework raises for inputs that it does not take
        return f"it cannot compute this: {type(error).__name__}: {error}".splitlines()[0]
    values = values_of(value)
    names = ["loss"] if len(values) == 1 else [f"loss_{k}" for k in range(len(values))]
    outputs = dict(zip(names, values))  # noqa: B905, which Python 3.8 has not
    return {**outputs, **{f"grad_{n}": gradient for n, gradient in grads.items()}}


def call(
    framework: str,
    function: Any,
    arrays: Mapping[str, Any],
    grad: Sequence[str],
    narrow: Sequence[str] = (),
) -> Any:
    """``(value, grads)`` of a function of a framework's arrays, as numpy arrays.

    Raises:
        ImportError: if the framework is not here.
    """
    return _CALLS[framework](import_module(framework), function, arrays, grad, narrow)


def version(framework: str) -> str:
    """The version of a framework, with optax's where its losses come from there.

    Raises:
        ImportError: if it is not here.
    """
    found = str(import_module(framework).__version__)
    if framework == "jax":
        try:
            return f"{found}, optax {import_module('optax').__version__}"
        except ImportError:
            return found
    return found


def _by_torch(torch: Any, function: Any, arrays: Any, grad: Any, narrow: Any) -> Any:
    return _plain(torch_call(torch, function, arrays, grad, narrow=narrow)(), _from_torch)


def _by_jax(jax: Any, function: Any, arrays: Any, grad: Any, narrow: Any) -> Any:
    numpy = import_module("numpy")

    def plain(array: Any) -> Any:
        wide = "float32" if str(array.dtype) == "bfloat16" else str(array.dtype)
        return numpy.asarray(array).astype(wide)

    with wide_numbers(jax, arrays):
        return _plain(jax_call(jax, function, arrays, grad, narrow=narrow)(), plain)


def _by_mxnet(mxnet: Any, function: Any, arrays: Any, grad: Any, narrow: Any) -> Any:
    return _plain(mxnet_call(mxnet, function, arrays, grad, narrow)(), lambda a: a.asnumpy())


_CALLS = {"torch": _by_torch, "jax": _by_jax, "mxnet": _by_mxnet}


def _plain(result: Any, as_numpy: Any) -> Any:
    """A value or several, and gradients, as numpy arrays."""
    value, grads = result
    several = isinstance(value, tuple)
    plain = tuple(as_numpy(v) for v in value) if several else as_numpy(value)
    return plain, {name: as_numpy(gradient) for name, gradient in grads.items()}
