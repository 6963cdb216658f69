"""Functions of other frameworks as ``arrays -> value and gradients``, with numpy arrays."""

from __future__ import annotations

import dis
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import ModuleType
from typing import Any

import numpy as np

from ..authoring.block import Block
from ..compare import equivalents
from ..compare.external_frameworks import widened
from ..compare.finite_differences import gradient
from ..compare.outputs import named_outputs
from ..errors import InputError
from ..runtime.compiled import Compiled
from .subjects import Array, Arrays, in_dtype, loss_of, outputs_of

FRAMEWORKS = ("torch", "jax", "mxnet", "numpy", "lossgraph")
_HOMES = {"jaxlib": "jax", "optax": "jax"}  # what belongs to another framework


def framework_of(function: Any, said: str | None = None) -> str:
    """The framework that a function is written for.

    It is where the function comes from, or what it speaks of; numpy if it speaks of none.

    Raises:
        InputError: for a framework that there is not, and if it speaks of several.
    """
    if said is not None:
        if said not in FRAMEWORKS:
            raise InputError(f"framework: expected one of {FRAMEWORKS}, got {said!r}")
        return said
    if isinstance(function, (Block, Compiled)) or _is_class_of_losses(function):
        return "lossgraph"
    homes = {_home(getattr(function, "__module__", None)), _home(type(function).__module__)}
    found = homes & set(FRAMEWORKS) or _spoken_of(function)
    if len(found) > 1:
        raise InputError(f"the function speaks of {sorted(found)}: say framework=")
    return next(iter(found), "numpy")


def outputs_by(
    framework: str, function: Any, arrays: Mapping[str, Array], wrt: Sequence[str]
) -> Arrays:
    """Value and gradients of a function of a framework, by the names of a model's outputs.

    Raises:
        InputError: if the framework is not installed.
    """
    if framework == "lossgraph":
        loss = function if isinstance(function, Compiled) else loss_of(function)
        return outputs_of(loss, arrays, wrt)
    call = _by_place(function, list(arrays))
    if framework == "numpy":
        return _by_numpy(call, arrays, wrt)
    plain, narrow = widened(arrays)
    try:
        found = equivalents.call(framework, call, plain, wrt, narrow)
    except ImportError as error:
        raise InputError(f"{framework} cannot be imported: {error}") from error
    return named_outputs(found)


def _by_numpy(call: Callable[..., Any], arrays: Mapping[str, Array], wrt: Sequence[str]) -> Arrays:
    """The value, and gradients that the function returns beside it, or its slopes in float64."""
    with np.errstate(all="ignore"):  # what it is at extremes is seen in the numbers
        result = call(*arrays.values())
    if isinstance(result, tuple) and len(result) == 2 and isinstance(result[1], dict):
        value, grads = result
        return named_outputs((value, {name: grads[name] for name in wrt}))

    def total(given: Mapping[str, Array]) -> Any:
        return sum(np.sum(each) for each in equivalents.values_of(call(*given.values())))

    wide = in_dtype(arrays, "float64")
    with np.errstate(all="ignore"):
        found = {n: gradient(total, wide, n).astype(arrays[n].dtype) for n in wrt}
    return named_outputs((result, found))


def _by_place(function: Any, names: Sequence[str]) -> Callable[..., Any]:
    """The function, called by names if it has them, else by the order of the inputs."""
    with suppress(TypeError, ValueError):
        parameters = inspect.signature(function).parameters
        if set(names) <= set(parameters):
            return lambda *arrays: function(**dict(zip(names, arrays, strict=True)))
    return lambda *arrays: function(*arrays)


def _home(module: Any) -> str:
    root = str(module or "").partition(".")[0]
    return _HOMES.get(root, root)


def _is_class_of_losses(function: Any) -> bool:
    return isinstance(function, type) and issubclass(function, Block)


def _spoken_of(function: Any) -> set[str]:
    """The frameworks among the globals that a Python function names, F for one of lossgraph."""
    if not inspect.isfunction(function) and not inspect.ismethod(function):
        function = type(function).__call__
    code = getattr(function, "__code__", None)
    if code is None:
        return set()
    if code.co_varnames[: code.co_argcount][:1] == ("F",):
        return {"lossgraph"}
    names, modules = _names(code)
    spoken = [getattr(function, "__globals__", {}).get(name) for name in names]
    spoken += [sys.modules.get(name) for name in modules]
    homes = {
        _home(item.__name__ if isinstance(item, ModuleType) else getattr(item, "__module__", ""))
        for item in [*spoken, *_cells(function)]
        if item is not None
    }
    return (homes & set(FRAMEWORKS)) - {"numpy"}


def _names(code: Any) -> tuple[set[str], set[str]]:
    """The globals that code reads, and the modules that it imports; no attributes of either."""
    found = [(step.opname, step.argval) for step in dis.get_instructions(code)]
    names = {name for kind, name in found if kind in ("LOAD_GLOBAL", "LOAD_NAME")}
    modules = {name.partition(".")[0] for kind, name in found if kind == "IMPORT_NAME"}
    for inner in filter(inspect.iscode, code.co_consts):
        more = _names(inner)
        names, modules = names | more[0], modules | more[1]
    return names, modules


def _cells(function: Any) -> list[Any]:
    """What a function has from the function around it."""
    found = []
    for cell in getattr(function, "__closure__", None) or ():
        with suppress(ValueError):  # not filled yet
            found.append(cell.cell_contents)
    return found
