"""What is known of values when a model is read: constants, and sizes of the model's inputs.

Exporters compute shapes with the same operators as everything else: Shape, Gather, Mul, Concat.
The elements of such a value are numbers and dims; with them the language says the shape of a
Reshape, whatever the batch. An integer that nothing is known of is itself: an expression.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
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
        found = self.parts(value)
        return None if found is None or any(isinstance(e, Expr) for e in found.flat) else found

    def parts(self, value: Expr) -> Elements | None:
        """The same; of integers some of which are not known these are scalar expressions."""
        for node in toposort([value]):
            if node not in self._found:
                self._found[node] = self._parts(node)
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

    def _parts(self, node: Expr) -> Elements | None:
        if is_literal(node):
            array = node.attrs["value"]
            return array.astype(object) if array.size <= _MOST else None
        size = product(node.shape) if node.dtype not in ("tuple", "opaque") else None
        if not isinstance(size, int) or size > _MOST:
            return None
        shape = [int(n) for n in node.shape]  # type: ignore[arg-type]  # their product is one
        found = self._by_rule(node, shape)
        if found is None and node.dtype == "int64" and size <= _FEW:
            found = np.full(shape, None, object)
        if found is None or all(element is not None for element in found.flat):
            return found
        return _filled(found, node) if node.dtype == "int64" else None

    def _by_rule(self, node: Expr, shape: list[int]) -> Elements | None:
        rule = _RULES.get(node.op.name)
        arguments = [self._found[arg] for arg in node.args]
        if rule is None or any(argument is None for argument in arguments):
            return None
        try:
            found = rule(*arguments, **node.attrs)
        except _Unknown:
            return None
        return np.asarray(found, dtype=object).reshape(shape)


_FEW = 64  # elements of a value of which nothing is known, which may be sizes


def _filled(found: Elements, node: Expr) -> Elements:
    """The elements of which nothing is known are taken out of the value."""
    flat = ops.reshape(node, (found.size,))
    made = found.copy()
    for place in np.ndindex(found.shape):
        if found[place] is None:
            number = int(np.ravel_multi_index(place, found.shape)) if place else 0
            made[place] = ops.reshape(ops.take_range(flat, 0, number, 1), ())
    return made


# What makes places in an array, and what makes no negative number of others that are none.
_PLACES = (ops.iota.op, ops.arg_extremum.op, ops.arg_sort.op)
_OF_COUNTED = (ops.add, ops.mul, ops.maximum, ops.minimum, ops.mod, ops.cast.op)


class _Unknown(Exception):  # noqa: N818
    """What depends on the values of dims in another way than sizes do."""


def _elementwise(function: Callable[..., Any]) -> Callable[..., Any]:
    """A rule for each element by itself, None of what it does not know."""
    count = function.__code__.co_argcount if hasattr(function, "__code__") else 2

    def of(*values: Any) -> Any:
        if any(value is None or isinstance(value, Expr) for value in values):
            return None
        try:
            return function(*values)
        except _Unknown:
            return None

    return lambda *arrays, **_: np.frompyfunc(of, count, 1)(*arrays)


def _is_number(*values: Any) -> bool:
    return not any(isinstance(value, (Size, Ratio, Expr)) or value is None for value in values)


class Ratio:
    """A size over a number, before it is rounded."""

    def __init__(self, above: Any, below: int) -> None:
        self.above, self.below = above, below


def _as_ratio(value: Any) -> tuple[Any, int]:
    """Above and below the line; of a float with many digits the engine's roundings count."""
    if isinstance(value, Ratio):
        return value.above, value.below
    if isinstance(value, (Size, int)):
        return value, 1
    if not np.isfinite(value):
        raise _Unknown
    fraction = Fraction(float(value))
    if fraction.denominator > _MOST:
        raise _Unknown
    return fraction.numerator, fraction.denominator


def _ratio(above: Any, below: Any) -> Any:
    """A quotient that is rounded later, reduced where it is a size."""
    if not isinstance(below, int) or below < 1:
        raise _Unknown
    exact = floordiv(above, below)
    return exact if exact * below == above else Ratio(above, below)


def _quotient(x: Any, y: Any) -> Any:
    """ONNX's Div: of integers towards zero, which for sizes is what ``//`` is."""
    if any(isinstance(value, (float, Ratio)) for value in (x, y)):
        return x / y if _is_number(x, y) and y else _float_quotient(x, y)
    if _is_number(x, y):
        if y == 0:
            raise _Unknown
        return abs(x) // abs(y) * (1 if (x < 0) == (y < 0) else -1)
    if not (is_nonnegative(x) and is_nonnegative(y)):  # a division by 0 ends the original too
        raise _Unknown
    return floordiv(x, y)


def _float_quotient(x: Any, y: Any) -> Any:
    (above, below), (other, under) = _as_ratio(x), _as_ratio(y)
    return _ratio(above * under, below * other)


def _floor(x: Any) -> Any:
    if isinstance(x, Ratio):
        return floordiv(x.above, x.below)
    return x if isinstance(x, Size) else np.floor(x)


def _ceil(x: Any) -> Any:
    if isinstance(x, Ratio):
        return floordiv(x.above + (x.below - 1), x.below)
    return x if isinstance(x, Size) else np.ceil(x)


def _remainder(x: Any, y: Any) -> Any:
    if _is_number(x, y):
        return x % y
    return x - _quotient(x, y) * y


def _equal(x: Any, y: Any) -> bool:
    if _is_number(x, y):
        return bool(x == y)
    _require_sizes(x, y)
    if x == y:
        return True
    if is_positive(x - y) or is_positive(y - x):
        return False
    raise _Unknown


def _greater(x: Any, y: Any) -> bool:
    if _is_number(x, y):
        return bool(x > y)
    _require_sizes(x, y)
    if is_positive(x - y):
        return True
    if is_nonnegative(y - x):
        return False
    raise _Unknown


def _require_sizes(*values: Any) -> None:
    if not all(isinstance(value, (Size, int)) for value in values):
        raise _Unknown


def _extremum(function: Callable[[Any, Any], Any], x: Any, y: Any) -> Any:
    _require_sizes(x, y)
    return function(x, y)


def _where(condition: Any, x: Any, y: Any) -> Any:
    if condition is None or isinstance(condition, Expr):
        return None
    return x if condition else y


def _product_of(x: Any, y: Any) -> Any:
    if _is_number(x, y) or not any(isinstance(value, (float, Ratio)) for value in (x, y)):
        return x * y
    (above, below), (other, under) = _as_ratio(x), _as_ratio(y)
    return _ratio(above * other, below * under)


def _total(x: Any, y: Any) -> Any:
    if _is_number(x, y) or not any(isinstance(value, (float, Ratio)) for value in (x, y)):
        return x + y
    (above, below), (other, under) = _as_ratio(x), _as_ratio(y)
    return _ratio(above * under + other * below, below * under)


def _cast(x: Elements, *, to: str) -> Elements:
    if to == "bool":
        return _cast_each(lambda v: not _equal(v, 0))(x)
    if to.startswith(("int", "uint")):
        return _cast_each(_whole)(x)
    if to.startswith("float"):
        return _cast_each(lambda v: v if isinstance(v, (Size, Ratio)) else float(v))(x)
    raise _Unknown


def _cast_each(function: Callable[[Any], Any]) -> Callable[[Elements], Elements]:
    def of(value: Any) -> Any:
        return None if value is None or isinstance(value, Expr) else function(value)

    return np.frompyfunc(of, 1, 1)


def _whole(value: Any) -> Any:
    """An integer, as a cast makes it: towards zero."""
    if isinstance(value, Ratio):
        return _floor(value) if is_nonnegative(value.above) else None
    return value if isinstance(value, Size) else int(value)


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
    def of(x: Any, y: Any) -> Any:
        if any(value is None or isinstance(value, Expr) for value in (x, y)):
            raise _Unknown
        return function(x, y)

    ufunc = np.frompyfunc(of, 2, 1)
    return lambda x, *, axes: ufunc.reduce(x, axis=tuple(axes), keepdims=True)


def _count(*, size: Any) -> Elements:
    if not isinstance(size, int):
        raise _Unknown
    return np.arange(size).astype(object)


_RULES: Mapping[str, Callable[..., Any]] = {
    "Abs": _rounded(abs),
    "Add": _elementwise(_total),
    "And": _elementwise(lambda x, y: x and y),
    "BroadcastTo": _broadcast,
    "Cast": _cast,
    "Ceil": _elementwise(_ceil),
    "Concat": lambda *arrays, axis: np.concatenate(arrays, axis=axis),
    "Div": _elementwise(_quotient),
    "Equal": _elementwise(_equal),
    "Floor": _elementwise(_floor),
    "Greater": _elementwise(_greater),
    "GreaterOrEqual": _elementwise(lambda x, y: not _greater(y, x)),
    "Iota": _count,
    "Less": _elementwise(lambda x, y: _greater(y, x)),
    "LessOrEqual": _elementwise(lambda x, y: not _greater(x, y)),
    "Max": _elementwise(lambda x, y: max(x, y) if _is_number(x, y) else _extremum(maximum, x, y)),
    "Min": _elementwise(lambda x, y: min(x, y) if _is_number(x, y) else _extremum(minimum, x, y)),
    "Mod": _elementwise(_remainder),
    "Mul": _elementwise(_product_of),
    "Neg": _elementwise(lambda x: _product_of(x, -1)),
    "Not": _elementwise(lambda x: not x),
    "Or": _elementwise(lambda x, y: x or y),
    "ReduceProd": _reduced(_product_of),
    "ReduceSum": _reduced(_total),
    "Reshape": lambda x, shape: x.reshape(shape),
    "SizeOf": lambda *_, size: np.asarray(size, dtype=object),
    "Slice": _slice,
    "Sub": _elementwise(lambda x, y: _total(x, _product_of(y, -1))),
    "Take": _take,
    "Transpose": lambda x, perm: np.transpose(x, perm),
    "Where": lambda *arrays: np.frompyfunc(_where, 3, 1)(*arrays),
}


def sizes_vector(dims: Any, *of: Expr) -> Expr:
    """A vector of int64 whose elements are dims, ``of`` something where they are known late."""
    dims = list(dims)
    if all(isinstance(dim, int) for dim in dims):
        return const(np.asarray(dims, np.int64), "int64")
    return ops.concat([ops.reshape(ops.size_of(dim, *of), (1,)) for dim in dims], 0)
