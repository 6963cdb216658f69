"""The loss under test and its inputs, in the forms in which a user may give them."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..authoring.block import Block
from ..authoring.functions import as_loss
from ..authoring.input_types import as_types
from ..catalogue import OBSERVED, entry_of, example_types, examples_of
from ..compare.differences import is_float, with_floats
from ..compare.outputs import named_outputs
from ..compiler.outputs import classify
from ..deploy.example_inputs import choose_sizes, draw
from ..errors import InputError, LossgraphError
from ..ir.types import TensorType, numpy_dtype
from ..runtime.arrays import to_numpy
from ..runtime.compiled import Compiled
from ..runtime.sessions import engine_errors

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
_FEW = 64  # elements of an array that a report shows whole


def loss_of(loss: Any) -> Block:
    """A loss, an instance of a loss's class without options, or a function of F.

    Raises:
        InputError: for anything else.
    """
    if isinstance(loss, type) and issubclass(loss, Block):
        return loss()
    if isinstance(loss, Compiled):
        raise InputError("expected a loss, not a compiled one, which has one dtype only")
    return as_loss(loss)


def name_of(loss: Any) -> str:
    """What a loss, or a function, is called."""
    program = getattr(loss, "program", None) if isinstance(loss, Compiled) else None
    own = program.name if program is not None else getattr(loss, "name", None)
    return own if isinstance(own, str) else getattr(loss, "__name__", type(loss).__name__)


def arrays_of(loss: Any, inputs: Mapping[str, Any] | None, seed: int = 0) -> Arrays:
    """Inputs as arrays: given ones, and for types, ``(dtype, shape)``, such as are plausible.

    Without any inputs those of the catalogue's example.

    Raises:
        InputError: for a loss without inputs that is not in the catalogue.
    """
    if inputs is None:
        if not isinstance(loss, Block) or entry_of(loss) is None:
            raise InputError(f"{name_of(loss)}: which inputs? {{'pred': array, 'label': array}}")
        inputs = example_types(loss)
    given = {name: value for name, value in inputs.items() if not _is_type(value)}
    arrays = {name: to_numpy(name, value) for name, value in given.items()}
    types = as_types({name: value for name, value in inputs.items() if name not in given})
    if types:
        known = examples_of(loss) if isinstance(loss, Block) else {}
        constraints, labels = _program_facts(loss, {**types, **_types(arrays)})
        drawn = draw(types, choose_sizes(types, constraints), known, labels, seed)
        arrays |= drawn
    return {name: arrays[name] for name in inputs}


def default_wrt(loss: Any, arrays: Mapping[str, Array]) -> tuple[str, ...]:
    """The inputs to differentiate by if none are said: floats that are no labels or weights."""
    labels = loss.labels_among(_types(arrays)) if isinstance(loss, Block) else ()
    real = [n for n, a in arrays.items() if is_float(a.dtype) and n not in labels]
    chosen = [name for name in real if name not in OBSERVED and "weight" not in name]
    return tuple(chosen or real[:1])


def chosen_wrt(
    loss: Any, arrays: Mapping[str, Array], wrt: Sequence[str] | None
) -> tuple[str, ...]:
    """Those that are said, or the default ones.

    Raises:
        InputError: for a name that no input has.
    """
    if wrt is None:
        return default_wrt(loss, arrays)
    chosen = (wrt,) if isinstance(wrt, str) else tuple(wrt)
    unknown = [name for name in chosen if name not in arrays]
    if unknown:
        raise InputError(f"there is no input {unknown[0]!r}: there are {list(arrays)}")
    return chosen


def outputs_of(loss: Any, arrays: Mapping[str, Array], wrt: Sequence[str]) -> Arrays:
    """Value and gradients as a user gets them, by the names of a model's outputs."""
    if isinstance(loss, Compiled):
        result = loss.call(arrays)
        value, grads = result if loss.program.wrt else (result, {})
        if not set(wrt) <= set(grads):
            raise InputError(f"{name_of(loss)} was compiled with grad={list(loss.program.wrt)}")
        return named_outputs((value, {name: grads[name] for name in wrt}))
    if wrt:
        return named_outputs(loss.value_and_grad(**arrays, wrt=wrt))
    return named_outputs((loss(**arrays), {}))


def summed(outputs: Mapping[str, Array]) -> Any:
    """The sum of the value, or of all values of several, which is what is differentiated."""
    whole = [array for name, array in outputs.items() if classify(name)[0] == "value"]
    return sum(array.astype(np.longdouble).sum() for array in whole)


def in_dtype(arrays: Mapping[str, Array], dtype: str) -> Arrays:
    """The inputs with floats of another dtype."""
    return with_floats(arrays, numpy_dtype(dtype))


def refused(error: BaseException) -> bool:
    """Whether an error says that an engine, or lossgraph, does not do such a thing."""
    return isinstance(error, (LossgraphError, *engine_errors()))


def at_element(arrays: Mapping[str, Array], index: Sequence[int]) -> list[str]:
    """What the inputs are at an element of an output, as far as they have its axes."""
    lines = []
    for name, array in arrays.items():
        place = tuple(index[: array.ndim])
        if place and all(i < n for i, n in zip(place, array.shape, strict=False)):
            found = np.asarray(array[place])
            if found.size <= _FEW:
                lines.append(f"{name}{list(place)} = {_literal(found)}")
    return lines


def reproduced(arrays: Mapping[str, Array]) -> str:
    """Python code of the inputs; of large ones what they are."""
    lines = []
    for name, array in arrays.items():
        if array.size <= _FEW:
            lines.append(f"    {name!r}: np.array({_literal(array)}, {array.dtype.name!r}),")
        else:
            lines.append(f"    {name!r}: ...,  # {array.dtype.name}{list(array.shape)}")
    return "\n".join(["inputs = {", *lines, "}"])


def generator(*words: object) -> np.random.Generator:
    """Random numbers, the same for the same words."""
    return np.random.default_rng(zlib.crc32(repr(words).encode()))


def _literal(array: Array) -> str:
    """Numbers as Python has them, those of float32 with the digits that they need."""
    text = repr(_plain(array))
    return re.sub(r"\b(nan|inf)\b", r"np.\1", text)


def _plain(array: Array) -> Any:
    if array.ndim:
        return [_plain(item) for item in array]
    if is_float(array.dtype):
        return float(str(array)) if array.dtype == np.float32 else float(array)
    return array.item()


def _is_type(value: Any) -> bool:
    if isinstance(value, TensorType):
        return True
    pair = isinstance(value, tuple) and len(value) == 2
    return pair and isinstance(value[0], (str, type, np.dtype)) and isinstance(value[1], Sequence)


def _types(arrays: Mapping[str, Array]) -> dict[str, TensorType]:
    return {n: TensorType(a.dtype.name, a.shape) for n, a in arrays.items()}


def _program_facts(loss: Any, types: Mapping[str, TensorType]) -> tuple[Any, Any]:
    """Constraints on sizes, and which inputs are labels of how many classes."""
    program = loss.program if isinstance(loss, Compiled) else loss.program(types)
    return program.constraints, program.labels
