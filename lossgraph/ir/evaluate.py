"""The interpreter: every expression evaluated by its numpy references alone. The oracle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import InputError
from .dims import Size
from .expr import Array, Expr, inputs_of, is_input, is_literal, map_sizes, toposort
from .types import numpy_dtype


def evaluate(
    roots: Sequence[Expr], arrays: Mapping[str, Array], sizes: Mapping[str, int] | None = None
) -> list[Array]:
    """The values of expressions, the inputs given by name.

    Args:
        roots: what to evaluate.
        arrays: a numpy array for each input, of the input's dtype and rank.
        sizes: values of dim names that no input carries.
    """
    known = {**(sizes or {}), **bind_sizes(inputs_of(roots), arrays)}
    values: dict[Expr, Any] = {}
    order = toposort(roots)
    defined = [definition for node in order if node.op.defines is not None
               for definition in node.op.defines(node).items()]  # fmt: skip
    with np.errstate(all="ignore"):
        for node in toposort([source for _, (source, _) in defined]) + order:
            if node not in values:
                values[node] = _value(node, values, arrays, known)
                known |= {n: _length(values[s], axis) for n, (s, axis) in defined if s is node}
    return [values[root] for root in roots]


def _length(value: Array, axis: int | None) -> int:
    """The length of an axis; without one the value is the length itself."""
    return int(value) if axis is None else value.shape[axis]


def bind_sizes(inputs: Sequence[Expr], arrays: Mapping[str, Array]) -> dict[str, int]:
    """The value of each dim name, read off the arrays."""
    sizes: dict[str, int] = {}
    for node in inputs:
        name = node.attrs["name"]
        if name not in arrays:
            raise InputError(f"no array is given for input {name!r}")
        for dim, length in zip(node.shape, np.shape(arrays[name]), strict=True):
            if isinstance(dim, Size) and dim.name:
                sizes.setdefault(dim.name, length)
    return sizes


def _value(
    node: Expr,
    values: Mapping[Expr, Array],
    arrays: Mapping[str, Array],
    sizes: Mapping[str, int],
) -> Any:
    if is_literal(node):
        constant: Array = node.attrs["value"]
        return constant
    if is_input(node):
        return np.asarray(arrays[node.attrs["name"]], numpy_dtype(node.dtype))
    attrs = map_sizes(node.attrs, sizes)
    value = node.op.ref(*(values[arg] for arg in node.args), **attrs)
    return value if isinstance(value, tuple) else np.asarray(value)
