"""What is known of values when a model is read: constants, and sizes of the model's inputs.

Exporters compute shapes with the same operators as everything else: Shape, Gather, Mul, Concat.
The elements of such a value are numbers and dims; with them the language says the shape of a
Reshape, whatever the batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ..ir import ops
from ..ir.dims import Size, floordiv, is_nonnegative, is_positive, maximum, minimum, product
from ..ir.expr import Expr, const, is_literal, toposort

Elements = np.ndarray[Any, Any]  # of ints, floats, bools and dims

_MOST = 1024  # elements of a value that is followed


class Known:
    """The elements of values, as far as they are known; each is found once."""

    def __init__(self) -> None:
        self._found: dict[Expr, Elements | None] = {}

    def elements(self, value: Expr) -> Elements | None:
        """The elements, of the shape of the value; None if they are not known."""
        for node in toposort([value]):
            if node not in self._found:
                self._found[node] = self._elements(node)
        return self._found[value]

    def never_negative(self, value: Expr) -> bool:
        """Whether integers are seen to be at least 0, as counted places and lengths are."""
        found = self.elements(value)
        if found is not None:
            return all(is_nonnegative(element) for element in found.flat)
        if is_literal(value):
            return bool((value.attrs["value"] >= 0).all())
        if value.dtype == "bool" or value.op in _PLACES:
            return True
        if value.op.movement is not None or value.op in _OF_COUNTED:
            return all(self.never_negative(arg) for arg in value.args)
        return False

    def _elements(self, node: Expr) -> Elements | None:
        if is_literal(node):
            array = node.attrs["value"]
            return array.astype(object) if array.size <= _MOST else None
        rule = _RULES.get(node.op.name)
        size = product(node.shape) if node.dtype != "tuple" else None
        if rule is None or not isinstance(size, int) or size > _MOST:
            return None
        arguments = [self._found[arg] for arg in node.args]
        if any(argument is None for argument in arguments):
            return None
        try:
            found = rule(*arguments, **node.attrs)
        except _Unknown:
            return None
        return np.asarray(found, dtype=object).reshape([int(n) for n in node.shape])


# What makes places in an array, and what makes no negative number of others that are none.
_PLACES = (ops.iota.op, ops.arg_extremum.op, ops.arg_sort.op)
_OF_COUNTED = (ops.add, ops.mul, ops.maximum, ops.minimum, ops.mod, ops.cast.op)


class _Unknown(Exception):  # noqa: N818
    """What depends on the values of dims in another way than sizes do."""


def _elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    count = function.__code__.co_argcount if hasattr(function, "__code__") else 2
    return lambda *arrays, **_: np.frompyfunc(function, count, 1)(*arrays)


def _is_number(*values: Any) -> bool:
    return not any(isinstance(value, Size) for value in values)


def _quotient(x: Any, y: Any) -> Any:
    """ONNX's Div: of integers towards zero, which for sizes is what ``//`` is."""
    if any(isinstance(value, float) for value in (x, y)):
        if not _is_number(x, y):
            raise _Unknown
        return x / y
    if _is_number(x, y):
        if y == 0:
            raise _Unknown
        return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    if not (is_nonnegative(x) and is_positive(y)):
        raise _Unknown
    return floordiv(x, y)


def _remainder(x: Any, y: Any) -> Any:
    if _is_number(x, y):
        return x % y
    return x - _quotient(x, y) * y


def _equal(x: Any, y: Any) -> bool:
    if _is_number(x, y):
        return bool(x == y)
    if x == y:
        return True
    if is_positive(x - y) or is_positive(y - x):
        return False
    raise _Unknown


def _greater(x: Any, y: Any) -> bool:
    if _is_number(x, y):
        return bool(x > y)
    if is_positive(x - y):
        return True
    if is_nonnegative(y - x):
        return False
    raise _Unknown


def _where(condition: Any, x: Any, y: Any) -> Any:
    return x if condition else y


def _product_of(x: Any, y: Any) -> Any:
    for number, size in ((x, y), (y, x)):
        if isinstance(number, float) and isinstance(size, Size):
            if number != int(number):
                raise _Unknown
            return size * int(number)
    return x * y


def _cast(x: Elements, *, to: str) -> Elements:
    if to.startswith("int") or to.startswith("uint"):
        return np.frompyfunc(lambda v: v if isinstance(v, Size) else int(v), 1, 1)(x)
    if to.startswith("float"):
        return np.frompyfunc(lambda v: v if isinstance(v, Size) else float(v), 1, 1)(x)
    if to == "bool":
        return np.frompyfunc(lambda v: not _equal(v, 0), 1, 1)(x)
    raise _Unknown


def _rounded(function: Callable[[Any], Any]) -> Callable[..., Any]:
    return _elementwise(lambda x: x if isinstance(x, Size) else function(x))


def _take(x: Elements, index: Elements, *, axis: int) -> Elements:
    if not all(_is_number(i) for i in index.flat):
        raise _Unknown
    return np.take(x, index.astype(np.int64), axis=axis)


def _slice(
    x: Elements, *, starts: tuple[Any, ...], steps: tuple[int, ...], sizes: tuple[Any, ...]
) -> Elements:
    if not _is_number(*starts, *sizes):
        raise _Unknown
    for axis, (start, step, size) in enumerate(zip(starts, steps, sizes, strict=True)):
        x = np.take(x, [start + step * k for k in range(size)], axis=axis)
    return x


def _broadcast(x: Elements, *, shape: tuple[Any, ...]) -> Elements:
    return np.broadcast_to(x, shape)


def _reduced(function: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    ufunc = np.frompyfunc(function, 2, 1)
    return lambda x, *, axes: ufunc.reduce(x, axis=tuple(axes), keepdims=True)


_RULES: Mapping[str, Callable[..., Any]] = {
    "Abs": _rounded(abs),
    "Add": _elementwise(lambda x, y: x + y),
    "And": _elementwise(lambda x, y: x and y),
    "BroadcastTo": _broadcast,
    "Cast": _cast,
    "Ceil": _rounded(np.ceil),
    "Concat": lambda *arrays, axis: np.concatenate(arrays, axis=axis),
    "Div": _elementwise(_quotient),
    "Equal": _elementwise(_equal),
    "Floor": _rounded(np.floor),
    "Greater": _elementwise(_greater),
    "GreaterOrEqual": _elementwise(lambda x, y: not _greater(y, x)),
    "Less": _elementwise(lambda x, y: _greater(y, x)),
    "LessOrEqual": _elementwise(lambda x, y: not _greater(x, y)),
    "Max": _elementwise(lambda x, y: max(x, y) if _is_number(x, y) else maximum(x, y)),
    "Min": _elementwise(lambda x, y: min(x, y) if _is_number(x, y) else minimum(x, y)),
    "Mod": _elementwise(_remainder),
    "Mul": _elementwise(_product_of),
    "Neg": _elementwise(lambda x: -x),
    "Not": _elementwise(lambda x: not x),
    "Or": _elementwise(lambda x, y: x or y),
    "ReduceProd": _reduced(_product_of),
    "ReduceSum": _reduced(lambda x, y: x + y),
    "Reshape": lambda x, shape: x.reshape(shape),
    "SizeOf": lambda *_, size: np.asarray(size, dtype=object),
    "Slice": _slice,
    "Sub": _elementwise(lambda x, y: x - y),
    "Take": _take,
    "Transpose": lambda x, perm: np.transpose(x, perm),
    "Where": _elementwise(_where),
}


def sizes_vector(dims: Any, *of: Expr) -> Expr:
    """A vector of int64 whose elements are dims, ``of`` something where they are known late."""
    dims = list(dims)
    if all(isinstance(dim, int) for dim in dims):
        return const(np.asarray(dims, np.int64), "int64")
    return ops.concat([ops.reshape(ops.size_of(dim, *of), (1,)) for dim in dims], 0)
