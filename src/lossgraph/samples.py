"""Plausible, reproducible arrays for the inputs of a graph: test data of exports and checks."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .catalogue import examples_of
from .dims import Dim, evaluate
from .errors import InputError
from .examples import Example
from .loss import Block
from .program import Program
from .types import Constraint, TensorType, numpy_dtype, shape_names

Array = np.ndarray[Any, Any]

SIZES = {"N": 4, "C": 5, "D": 3, "T": 6, "L": 2}
OTHER_SIZE = 3
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
    return draw(types, chosen, examples_of(loss), program.labels)


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
        rng = np.random.default_rng([zlib.crc32(name.encode()), *([seed] if seed else [])])
        shape = tuple(evaluate(dim, sizes) for dim in type_.shape)
        if name in classes:
            values = rng.integers(0, max(classes[name], 1), shape)
        else:
            values = _values(rng, known.get(name, Example()).values, shape, type_)
        arrays[name] = np.asarray(values).astype(numpy_dtype(type_.dtype))
    return arrays


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


def _values(
    rng: np.random.Generator, kind: str, shape: tuple[int, ...], type_: TensorType
) -> Array:
    if kind == "class":
        return np.asarray(rng.integers(0, 2, shape))
    if kind == "mask":
        chosen = rng.integers(0, 2, shape)
        chosen[..., :1] = 1
        return chosen
    if kind == "zero":
        return np.zeros(shape)
    if kind == "sign":
        low = 0 if type_.dtype.startswith("u") or type_.dtype == "bool" else -1
        return np.asarray(rng.choice([low, 1], shape))
    if kind == "count":
        return np.asarray(rng.poisson(3.0, shape))
    if not type_.is_float:
        return np.asarray(rng.integers(0, 2, shape))
    if kind == "unit":
        return np.asarray(rng.uniform(0.05, 0.95, shape))
    if kind == "positive":
        return np.asarray(rng.uniform(0.5, 2.0, shape))
    real = np.asarray(rng.standard_normal(shape))
    if kind == "box":
        real[..., 2:] = real[..., :2] + rng.uniform(0.5, 2.0, (*shape[:-1], 2))
        return real
    if kind == "real" or not shape:
        return real
    shares = np.exp(real) / np.exp(real).sum(axis=-1, keepdims=True)
    return np.log(shares) if kind == "log_simplex" else shares
