"""Plausible, reproducible arrays for the inputs of a graph: test data of exports and checks.

They are made of the raw bits of a PCG64, which NumPy keeps for ever, as it does not keep what the
methods of a ``Generator`` make of them; and by arithmetic that is exact or rounded once, so that
every machine has the same bytes.
"""

from __future__ import annotations

import itertools
import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..authoring.block import Block
from ..catalogue import Example, examples_of
from ..compiler.program import Program
from ..errors import InputError
from ..ir.dims import Dim, evaluate
from ..ir.types import Constraint, TensorType, numpy_dtype, shape_names

Array = np.ndarray[Any, Any]

SIZES = {"N": 4, "C": 5, "D": 3, "T": 6, "L": 2}
OTHER_SIZE = 3
# Along which axes numbers of a kind, or their exponentials, sum to 1.
_SUMS = {"simplex": (-1,), "log_simplex": (-1,), "shares": (1,), "table": (-2, -1)}
_MOST_BYTES = 2**31 - 1  # of a protobuf message
_LARGEST = 24  # of the sizes that are tried where constraints rule the usual ones out


def draw_inputs(
    loss: Block,
    program: Program,
    sizes: Mapping[str, int] | None = None,
    usual: Mapping[str, int] | None = None,
) -> dict[str, Array]:
    """An array for each input of a loss's program.

    Args:
        loss: the loss, which says what plausible inputs are.
        program: its program.
        sizes: values of named dims.
        usual: as of ``draw_for``.
    """
    return draw_for(program, examples_of(loss), sizes, usual)


def draw_for(
    program: Program,
    examples: Mapping[str, Example],
    sizes: Mapping[str, int] | None = None,
    usual: Mapping[str, int] | None = None,
) -> dict[str, Array]:
    """An array for each input of a program, for a caller who knows what they are.

    Args:
        program: the program.
        examples: what the elements are, for the inputs where that is known.
        sizes: values of named dims.
        usual: values of named dims that have none in ``sizes``, as far as the program has them
            and no constraint rules them out; small ones otherwise.
    """
    types = {node.attrs["name"]: node.type for node in program.inputs}
    there = frozenset().union(*(shape_names(type_.shape) for type_ in types.values()))
    wished = {name: size for name, size in (usual or {}).items() if name in there}
    try:
        chosen = choose_sizes(types, program.constraints, {**wished, **(sizes or {})})
    except InputError:
        chosen = choose_sizes(types, program.constraints, sizes)
    return draw(types, chosen, examples, program.labels)


def bound_sizes(program: Program, arrays: Mapping[str, Array]) -> dict[str, int]:
    """The sizes of named dims, as the arrays have them."""
    return {
        dim.name: length
        for node in program.inputs
        for dim, length in zip(node.shape, arrays[node.attrs["name"]].shape, strict=True)
        if not isinstance(dim, int) and dim.name
    }


def draw(
    types: Mapping[str, TensorType],
    sizes: Mapping[str, int],
    examples: Mapping[str, Example] | None = None,
    labels: Sequence[tuple[str, Dim]] = (),
    seed: int = 0,
) -> dict[str, Array]:
    """An array for each type, the same in every run.

    Args:
        types: the types, by name of the input.
        sizes: the value of each named dim.
        examples: what the elements are, for the inputs where that is known.
        labels: inputs of class labels, with the number of classes.
        seed: for other arrays.
    """
    classes = {name: evaluate(count, sizes) for name, count in labels}
    known = examples or {}
    arrays = {}
    for name, type_ in types.items():
        # A seed of its own, so that an input's data do not depend on the other inputs.
        bits = np.random.PCG64([zlib.crc32(name.encode()), *([seed] if seed else [])])
        shape = tuple(evaluate(dim, sizes) for dim in type_.shape)
        _require_memory(name, shape, type_)
        kind = known.get(name, Example()).values
        if name in classes:
            values = _labels(bits, kind, shape, max(classes[name], 1))
        else:
            values = _values(bits, kind, shape, type_)
        arrays[name] = np.asarray(values).astype(numpy_dtype(type_.dtype))
    return arrays


def _require_memory(name: str, shape: tuple[int, ...], type_: TensorType) -> None:
    """Refuse an array that no file of ONNX holds.

    Raises:
        InputError: naming the input.
    """
    size = math.prod(shape) * numpy_dtype(type_.dtype).itemsize
    if size > _MOST_BYTES or max(shape, default=0) > _MOST_BYTES:
        raise InputError(
            f"{name}: data of shape {list(shape)} are {size / 2**30:.3g} GiB, a file of a tensor "
            "holds 2: give smaller sizes"
        )


def choose_sizes(
    types: Mapping[str, TensorType],
    constraints: Sequence[Constraint] = (),
    given: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """Small values for named dims, such that the constraints hold.

    Raises:
        InputError: for a value given to a dim that is not there, and if no values were found.
    """
    names = sorted(frozenset().union(*(shape_names(type_.shape) for type_ in types.values())))
    unknown = [name for name in given or {} if name not in names]
    if unknown:
        raise InputError(f"no dim is called {unknown[0]!r}: the named dims are {names}")
    sizes = {name: SIZES.get(name, OTHER_SIZE) for name in names} | dict(given or {})
    for candidate in _candidates(sizes, constraints, given or {}):
        if all(evaluate(a, candidate) == evaluate(b, candidate) for a, b in constraints):
            return candidate
    listed = " and ".join(f"{a} = {b}" for a, b in constraints)
    raise InputError(f"found no small sizes with {listed}: give sizes such as {names[0]}=4")


def _candidates(
    sizes: Mapping[str, int], constraints: Sequence[Constraint], given: Mapping[str, int]
) -> Iterator[dict[str, int]]:
    yield dict(sizes)
    ruled = sorted(frozenset().union(*(shape_names(pair) for pair in constraints)))
    # The last name varies first, so that those with a usual size keep it longest.
    free = sorted((n for n in ruled if n not in given), key=lambda n: (n not in SIZES, n))
    for values in itertools.product(*(_tries(sizes[name]) for name in free[:3])):
        yield {**sizes, **dict(zip(free, values, strict=False))}


def _tries(usual: int) -> list[int]:
    return [usual, *(n for n in range(1, _LARGEST + 1) if n != usual)]


def _labels(bits: np.random.PCG64, kind: str, shape: tuple[int, ...], classes: int) -> Array:
    if kind == "length":
        return classes - 1 - _below(min(classes, 2), bits, shape)
    return _below(classes, bits, shape)


def _values(bits: np.random.PCG64, kind: str, shape: tuple[int, ...], type_: TensorType) -> Array:
    if kind == "zero":
        return np.zeros(shape)
    if kind == "mask":
        chosen = _below(2, bits, shape)
        chosen[..., :1] = 1
        return chosen
    if kind == "sign":
        low = 0 if type_.dtype.startswith("u") or type_.dtype == "bool" else -1
        return np.where(_below(2, bits, shape) == 0, low, 1)
    if kind == "count":
        return _below(7, bits, shape)
    if kind == "event":
        return 1 + _below(2, bits, shape)
    if kind == "group":  # at random there might be one alone
        return np.arange(math.prod(shape)).reshape(shape) % 2
    if kind == "class" or not type_.is_float:
        return _below(2, bits, shape)
    if kind == "unit":
        return _uniform(0.05, 0.95, bits, shape)
    if kind == "positive":
        return _uniform(0.5, 2.0, bits, shape)
    if kind in _SUMS and shape:
        shares = _shares(bits, shape, _SUMS[kind])
        return np.log(shares) if kind == "log_simplex" else shares
    if kind == "log_probability":
        return np.log(_uniform(0.05, 0.95, bits, shape))
    real = _normal(bits, shape)
    if kind == "box":
        real[..., 2:] = real[..., :2] + _uniform(0.5, 2.0, bits, (*shape[:-1], 2))
    return real


def _below(count: int, bits: np.random.PCG64, shape: tuple[int, ...]) -> Array:
    """Integers from 0 to before ``count``."""
    half = np.uint64(32)
    return (((_raw(bits, shape) >> half) * np.uint64(count)) >> half).astype(np.int64)


def _uniform(low: float, high: float, bits: np.random.PCG64, shape: tuple[int, ...]) -> Array:
    return low + (high - low) * ((_raw(bits, shape) >> np.uint64(11)) * 2.0**-53)


def _normal(bits: np.random.PCG64, shape: tuple[int, ...]) -> Array:
    """Of mean 0 and variance 1, nearly normal: sums of four uniform numbers of 16 bits."""
    quarters = _raw(bits, shape).reshape(-1).view(np.uint16).reshape(*shape, 4)
    sums = quarters.sum(axis=-1, dtype=np.int64) - 2 * (2**16 - 1)
    return np.asarray(sums * (math.sqrt(3) / 2**16))


def _shares(bits: np.random.PCG64, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """Distributions along axes: events differ, but none is very rare."""
    weights = (_below(2**20, bits, shape) + 2**18) ** 2
    return np.asarray(weights / weights.sum(axis=axes, keepdims=True))


def _raw(bits: np.random.PCG64, shape: tuple[int, ...]) -> Array:
    return np.asarray(bits.random_raw(math.prod(shape)), np.uint64).reshape(shape)
