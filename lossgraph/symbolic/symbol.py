"""Symbols: expressions as users write with them, in MXNet's conventions.

A ``Symbol`` wraps an ``Expr`` and overloads every operator, ``==`` too, which an expression
(a key of dicts) cannot. Its methods are the functions of ``F`` that declare themselves such.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, TypeAlias

import numpy as np

from ..errors import InputError, SpecializationError
from ..ir import dims, ops
from ..ir.dims import Dim, Size
from ..ir.expr import Expr, const, is_literal
from ..ir.types import FLOATS, canonical_axis, dtype_name, numpy_dtype, wider
from ..reference.missing import MASK_REFUSED, missing
from .arguments import Check, is_int, is_numeric, numbers, shown
from .array_index import take_elements
from .register import FUNCTIONS, METHODS


class SymbolicSize:
    """The length of an axis that is known by name only.

    It adds, subtracts, multiplies and divides (``//``) like an int and may stand in shapes.
    Whatever needs its value (``int()``, ``bool()``, comparison with another number) makes
    the dim static and traces the loss again.
    """

    __slots__ = ("dim",)

    def __init__(self, dim: Size) -> None:
        self.dim = dim

    def __repr__(self) -> str:
        return str(self.dim)

    def __hash__(self) -> int:
        return hash(self.dim)

    def _value(self) -> int:
        return static(self.dim, "the body of the loss")

    __int__ = __index__ = __bool__ = __float__ = _value

    def __eq__(self, other: object) -> bool:
        if not _is_size(other):
            return NotImplemented  # None, text: nothing that a length could be
        return self.dim == _dim_of(other) or bool(self._value())

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: object) -> bool:
        return bool(self._value())

    __le__ = __gt__ = __ge__ = __lt__

    def __add__(self, other: object) -> Any:
        return self._combine(other, lambda a, b: a + b, lambda a, b: a + b)

    def __radd__(self, other: object) -> Any:
        return self + other

    def __sub__(self, other: object) -> Any:
        return self._combine(other, lambda a, b: a - b, lambda a, b: a - b)

    def __rsub__(self, other: object) -> Any:
        return self._combine(other, lambda a, b: b - a, lambda a, b: b - a)

    def __mul__(self, other: object) -> Any:
        return self._combine(other, lambda a, b: a * b, lambda a, b: a * b)

    def __rmul__(self, other: object) -> Any:
        return self * other

    def __floordiv__(self, other: object) -> Any:
        return self._combine(other, dims.floordiv, lambda a, b: self._value())

    def __rfloordiv__(self, other: object) -> Any:
        return self._combine(other, lambda a, b: dims.floordiv(b, a), lambda a, b: self._value())

    def __truediv__(self, other: Any) -> Any:
        return self.as_symbol() / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / self.as_symbol()

    def __pow__(self, other: Any) -> Any:
        return self.as_symbol() ** other

    def as_symbol(self) -> Symbol:
        """The size as a number to compute with."""
        return Symbol(ops.cast(ops.size_of(self.dim), "float64"), weak=True)

    def _combine(
        self,
        other: object,
        sizes: Callable[[Any, Any], Dim],
        numbers: Callable[[Any, Any], Any],
    ) -> Any:
        if isinstance(other, Symbol):
            return NotImplemented
        if isinstance(other, SymbolicSize) or (
            isinstance(other, (int, np.integer)) and not isinstance(other, bool)
        ):
            return user_size(sizes(self.dim, _dim_of(other)))
        return numbers(self.as_symbol(), other)


Number: TypeAlias = int | float | np.number[Any]


class Symbol:
    """An array known by its type: what a traced loss computes with.

    ``weak`` symbols are numbers and arrays of numbers without a dtype of their own: kept in
    float64, they take the dtype of what they are combined with, and float32 alone.
    """

    __slots__ = ("_expr", "weak")
    __array_priority__ = 1000.0  # an array on the left leaves the operation to the symbol
    __array_ufunc__ = None

    def __init__(self, expr: Expr, weak: bool = False) -> None:
        self._expr = expr
        self.weak = weak

    @property
    def expr(self) -> Expr:
        """The expression, of a definite dtype."""
        return ops.cast(self._expr, "float32") if self.weak else self._expr

    @property
    def shape(self) -> tuple[Any, ...]:
        """Lengths of the axes: ints, or sizes that have names only."""
        return tuple(user_size(dim) for dim in self._expr.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy dtype."""
        return numpy_dtype(self.expr.dtype)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self._expr.rank

    @property
    def size(self) -> Any:
        """The number of elements."""
        return user_size(dims.product(self._expr.shape))

    @property
    def T(self) -> Symbol:
        """The axes in reverse order."""
        return wrap(ops.transpose(self.expr, range(self.ndim)[::-1]))

    def __repr__(self) -> str:
        return f"<Symbol {self.expr.type}>"

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        raise InputError(
            "the truth of a symbol is not known while a loss is traced: use F.where instead of if"
        )

    def __len__(self) -> int:
        return int(self.shape[0])

    def __iter__(self) -> Iterator[Symbol]:
        return (self[i] for i in range(len(self)))

    def __getattr__(self, name: str) -> Any:
        if name in METHODS:
            return functools.partial(FUNCTIONS[name], self)
        raise missing("a symbol", name, METHODS)

    def __getitem__(self, key: Any) -> Symbol:
        items = key if isinstance(key, tuple) else (key,)
        if any(_is_index_array(item) for item in items):
            return wrap(_index_by_arrays(self.expr, items))
        return wrap(_index(self.expr, items))

    def __add__(self, other: Operand) -> Symbol:
        return binary(ops.add, self, other)

    def __radd__(self, other: Operand) -> Symbol:
        return binary(ops.add, other, self)

    def __sub__(self, other: Operand) -> Symbol:
        return binary(ops.sub, self, other)

    def __rsub__(self, other: Operand) -> Symbol:
        return binary(ops.sub, other, self)

    def __mul__(self, other: Operand) -> Symbol:
        return binary(ops.mul, self, other)

    def __rmul__(self, other: Operand) -> Symbol:
        return binary(ops.mul, other, self)

    def __truediv__(self, other: Operand) -> Symbol:
        return binary(ops.div, self, other, floating=True)

    def __rtruediv__(self, other: Operand) -> Symbol:
        return binary(ops.div, other, self, floating=True)

    def __mod__(self, other: Operand) -> Symbol:
        return FUNCTIONS["modulo"](self, other)

    def __rmod__(self, other: Operand) -> Symbol:
        return FUNCTIONS["modulo"](other, self)

    def __pow__(self, other: Operand) -> Symbol:
        return binary(ops.power, self, other)

    def __rpow__(self, other: Operand) -> Symbol:
        return binary(ops.power, other, self)

    def __floordiv__(self, other: Operand) -> Symbol:
        return FUNCTIONS["floor_divide"](self, other)

    def __rfloordiv__(self, other: Operand) -> Symbol:
        return FUNCTIONS["floor_divide"](other, self)

    def __matmul__(self, other: Operand) -> Symbol:
        return FUNCTIONS["matmul"](self, other)

    def __rmatmul__(self, other: Operand) -> Symbol:
        return FUNCTIONS["matmul"](other, self)

    def __and__(self, other: Operand) -> Symbol:
        return _logical("logical_and", "&", self, other)

    def __or__(self, other: Operand) -> Symbol:
        return _logical("logical_or", "|", self, other)

    def __xor__(self, other: Operand) -> Symbol:
        return _logical("logical_xor", "^", self, other)

    __rand__, __ror__, __rxor__ = __and__, __or__, __xor__

    def __invert__(self) -> Symbol:
        return _logical("logical_not", "~", self)

    def __neg__(self) -> Symbol:
        return Symbol(-self._expr, self.weak)

    def __abs__(self) -> Symbol:
        return wrap(ops.absolute(self.expr))

    def __eq__(self, other: Operand) -> Symbol:  # type: ignore[override]
        return compare(ops.equal, self, other)

    def __ne__(self, other: Operand) -> Symbol:  # type: ignore[override]
        return compare(lambda a, b: ops.logical_not(ops.equal(a, b)), self, other)

    def __gt__(self, other: Operand) -> Symbol:
        return compare(ops.greater, self, other)

    def __ge__(self, other: Operand) -> Symbol:
        return compare(ops.greater_equal, self, other)

    def __lt__(self, other: Operand) -> Symbol:
        return compare(ops.less, self, other)

    def __le__(self, other: Operand) -> Symbol:
        return compare(ops.less_equal, self, other)

    @property
    def context(self) -> None:
        """MXNet's device of an array: a symbol has none."""
        return

    ctx = context

    def as_in_context(self, context: object) -> Symbol:
        """MXNet's move to another device: the engine decides where a graph runs."""
        return self

    as_in_ctx = as_in_context


def _is_operand(value: object) -> bool:
    return isinstance(value, (Symbol, SymbolicSize, Expr)) or is_numeric(value)


def _is_shape(value: object) -> bool:
    several = isinstance(value, (list, tuple, range))
    return all(map(_is_size, value)) if several else _is_size(value)  # type: ignore[call-overload]


def _is_axes(value: object) -> bool:
    several = isinstance(value, (list, tuple, range))
    return all(map(is_int, value)) if several else is_int(value)  # type: ignore[call-overload]


# What arguments of F are: types for readers, each with the check that the function makes.
Operand: TypeAlias = Annotated[
    Symbol | SymbolicSize | Number | np.ndarray[Any, Any] | Sequence[Any],
    Check(_is_operand, "a symbol, a number or an array of numbers"),
]
Axes: TypeAlias = Annotated[Any, Check(_is_axes, "an axis or several")]
ShapeLike: TypeAlias = Annotated[Any, Check(_is_shape, "a size or several")]
Sizes: TypeAlias = Annotated[
    Sequence[Any], Check(lambda v: isinstance(v, (list, tuple)) and _is_shape(v), "sizes")
]
SizeLike: TypeAlias = Annotated[Any, Check(lambda v: _is_size(v), "a size")]
DtypeLike: TypeAlias = Annotated[
    Any, Check(lambda v: isinstance(v, (str, type, np.dtype)) or hasattr(v, "dtype"), "a dtype")
]


def wrap(expr: Expr) -> Symbol:
    """A symbol of an expression."""
    return Symbol(expr)


def user_size(dim: Dim) -> Any:
    """A dim as users see it: an int, or a symbolic size."""
    return SymbolicSize(dim) if isinstance(dim, Size) else dim


def as_expr(value: Operand) -> Expr:
    """An expression of a definite dtype from whatever stands for an array."""
    return _symbol(value).expr


def static(dim: Dim, why: str) -> int:
    """The length itself; a length that has only a name is made static."""
    if isinstance(dim, Size):
        raise SpecializationError(tuple(sorted(dims.names(dim))), f"{why} needs the size {dim}")
    return dim


def is_one(dim: Dim) -> bool:
    """Whether a length is 1; a derived one is made static to know."""
    if isinstance(dim, Size) and dim.name is None:
        return static(dim, "squeeze") == 1
    return dim == 1


def same_size(left: Any, right: Any, surely: bool = False) -> bool:
    """Whether two lengths are equal, without making either static.

    A derived length (N*M) that meets a name is taken to be equal, and a constraint will say so,
    unless it has to be ``surely``.
    """
    a, b = _dim_of(left), _dim_of(right)
    derived = not surely and any(isinstance(dim, Size) and dim.name is None for dim in (a, b))
    return a == b or (derived and 1 not in (a, b))


def created(make: Callable[[str], Expr], dtype: Any) -> Symbol:
    """What is made in a dtype; without one it takes the dtype of what it meets."""
    weak = dtype is None
    return Symbol(make("float64" if weak else dtype_name(dtype)), weak)


def as_shape(shape: Any) -> tuple[Dim, ...]:
    """Dims from a shape as users give it."""
    items = shape if isinstance(shape, (tuple, list)) else (shape,)
    return tuple(_dim_of(item) for item in items)


def promote(*values: Operand, floating: bool = False) -> tuple[list[Expr], bool]:
    """Expressions of one dtype, and whether they are still without one of their own.

    Floats win over integers, wider floats over narrower; numbers take the array's dtype, but
    a number that is not whole makes integers float32.
    """
    symbols = [_symbol(value) for value in values]
    strong = [symbol for symbol in symbols if not symbol.weak]
    if not strong:
        same = len({symbol._expr.dtype for symbol in symbols}) == 1
        exprs = [symbol._expr for symbol in symbols]
        return exprs if same else [ops.cast(expr, "float64") for expr in exprs], True
    dtype = functools.reduce(wider, (symbol._expr.dtype for symbol in strong))
    if dtype not in FLOATS and (floating or any(not _whole(symbol) for symbol in symbols)):
        dtype = "float32"
    return [ops.cast(symbol._expr, dtype) for symbol in symbols], False


def with_axes(x: Expr, count: int, owner: str) -> Expr:
    """An array of at least so many axes; another one is refused."""
    if x.rank < count:
        raise InputError(f"{owner}: expected an array of {count} or more axes, got {x.type}")
    return x


def beside(value: Operand, x: Expr) -> Expr:
    """An operand in the dtype of an array that it is used with, numbers with all their digits."""
    return ops.cast(promote(wrap(x), value)[0][1], x.dtype)


def definite(*values: Operand, floating: bool = False) -> list[Expr]:
    """Expressions of one dtype, which is float32 where none of them has one of its own."""
    exprs, weak = promote(*values, floating=floating)
    return [ops.cast(expr, "float32") for expr in exprs] if weak else exprs


def binary(operation: Callable[..., Expr], *values: Operand, floating: bool = False) -> Symbol:
    """An operation on arrays of one dtype."""
    exprs, weak = promote(*values, floating=floating)
    return Symbol(operation(*exprs), weak)


def compare(operation: Callable[..., Expr], left: Operand, right: Operand) -> Symbol:
    """A comparison: 1 and 0 in the operands' float dtype, float32 for integers."""
    (a, b), weak = promote(left, right)
    dtype = a.dtype if a.type.is_float and not weak else "float32"
    return wrap(ops.cast(operation(a, b), dtype))


def _logical(name: str, sign: str, *values: Operand) -> Symbol:
    """``&``, ``|``, ``^`` and ``~`` of truth values, which are 0 and 1 in a float dtype."""
    for value in values:
        if isinstance(value, Symbol) and not (value.weak or value._expr.type.is_float):
            raise InputError(
                f"{sign} is for truth values, like x > 0, not for the bits of {value._expr.type}: "
                f"F.{name} takes what is not 0 for true"
            )
    return FUNCTIONS[name](*values)


def truth(value: Operand) -> Expr:
    """Where an array is not zero, as bool."""
    expr = as_expr(value)
    if is_truth(expr):
        return expr.args[0]
    return expr if expr.dtype == "bool" else ops.logical_not(ops.equal(expr, 0))


def _symbol(value: Any) -> Symbol:
    if isinstance(value, Symbol):
        return value
    if isinstance(value, SymbolicSize):
        return value.as_symbol()
    if isinstance(value, Expr):
        return Symbol(value)
    array = numbers(value)
    if array.dtype.kind == "b":
        array = array.astype(np.float64)
    # Numbers, lists and float arrays are weak: they follow the symbol they meet.
    weak = array.dtype.kind == "f" or not isinstance(value, np.ndarray)
    exact = not weak or (array.dtype.kind in "iu" and bool(np.any(np.abs(array) > 2**53)))
    return Symbol(const(array, array.dtype if exact else "float64"), weak)


def _whole(symbol: Symbol) -> bool:
    """Whether integers stay integers beside it: arrays of any dtype, sizes, whole numbers.

    None of them is beyond int64.
    """
    expr = symbol._expr
    if not symbol.weak or (expr.op is ops.cast.op and not expr.args[0].type.is_float):
        return True
    if not is_literal(expr):
        return False
    value = expr.attrs["value"]
    return bool(np.all(np.abs(value) < 2.0**63) and np.all(value == np.round(value)))


def _is_size(value: object) -> bool:
    """Whether a value may stand for a length: a size, or a whole number."""
    if isinstance(value, float):
        return value.is_integer()
    return isinstance(value, (SymbolicSize, Size, int)) or is_int(value)


def _dim_of(value: object) -> Dim:
    if not _is_size(value):
        raise InputError(f"expected a size, got {value!r}")
    if isinstance(value, SymbolicSize):
        return value.dim
    if isinstance(value, Size):
        return value
    size = int(value)  # type: ignore[call-overload]
    if abs(size) > dims.LARGEST:
        raise InputError(f"expected a size below 2**63, got {size}")
    return size


def _is_index_array(item: Any) -> bool:
    """Whether an item of an index is an array, rather than one number or a slice."""
    return isinstance(item, (Symbol, list)) or (isinstance(item, np.ndarray) and item.ndim > 0)


def _index_by_arrays(x: Expr, key: tuple[Any, ...]) -> Expr:
    """NumPy's advanced indexing: arrays of integers, with slices and None beside them.

    Raises:
        InputError: for a mask that is computed, as its elements cannot be counted.
    """
    key = _for_each_axis(x, tuple(part for item in key for part in _without_masks(item)))
    places = [place for place, item in enumerate(key) if not _is_basic(item)]
    x = _index(x, tuple(item if _is_basic(item) else slice(None) for item in key))
    indices = [ops.cast(as_expr(key[place]), "int64") for place in places]
    adjacent = places[-1] - places[0] == len(places) - 1
    return take_elements(x, places, indices, places[0] if adjacent else 0)


def _without_masks(item: Any) -> list[Any]:
    """An index, of a mask of known numbers the indices of its ones."""
    if isinstance(item, Symbol):
        if item._expr.dtype == "bool" or is_truth(item.expr):
            raise InputError(MASK_REFUSED)
        return [item]
    if isinstance(item, (list, np.ndarray)):
        array = numbers(item)
        if array.dtype.kind not in "iub":
            raise InputError(f"an index is of integers, got an array of {array.dtype}")
        return list(np.nonzero(array)) if array.dtype.kind == "b" else [array]
    return [item]


def _is_basic(item: Any) -> bool:
    """Whether an item beside index arrays is no index: a number is one that broadcasts."""
    return item is None or isinstance(item, slice)


def is_truth(expr: Expr) -> bool:
    """Whether an expression is of truth values, which MXNet has as numbers."""
    return expr.op is ops.cast.op and expr.args[0].dtype == "bool"


def _for_each_axis(x: Expr, key: tuple[Any, ...]) -> tuple[Any, ...]:
    """An index with an item for each axis, and a None for each new one."""
    given = sum(item is not None and item is not Ellipsis for item in key)
    if given > x.rank:
        raise InputError(f"{given} indices for {x.type}, which has {x.rank} axes")
    rest = (slice(None),) * (x.rank - given)
    at = next((place for place, item in enumerate(key) if item is Ellipsis), len(key))
    return (*key[:at], *rest, *key[at + 1 :])


def _index(x: Expr, key: tuple[Any, ...]) -> Expr:
    """Basic indexing: ints, slices, None and Ellipsis."""
    axis = 0
    dropped: list[int] = []
    added: list[int] = []
    for place, item in enumerate(_for_each_axis(x, key)):
        if item is None:
            added.append(place - len(dropped))
            continue
        if isinstance(item, slice):
            x = slice_axis(x, axis, item.start, item.stop, item.step)
        else:
            x = ops.take_range(x, axis, _position(item, x.shape[axis]), 1)
            dropped.append(axis)
        axis += 1
    if dropped and len(dropped) == x.rank:
        dropped = dropped[:-1]  # MXNet has no rank 0: an element is an array of shape (1,)
    return ops.expand_dims(ops.squeeze(x, dropped), added) if added else ops.squeeze(x, dropped)


def slice_axis(x: Expr, axis: int, begin: Any, end: Any, step: int | None = None) -> Expr:
    """Elements from ``begin`` to before ``end`` along an axis, as Python slices count."""
    axis = canonical_axis(axis, x.rank)
    length = x.shape[axis]
    if not (step is None or is_int(step)):
        raise InputError(f"the step of a slice is an int, got {shown(step)}")
    step = 1 if step is None else int(step)
    if step == 0:
        raise InputError("the step of a slice cannot be 0")
    if step > 0:
        first = _bound(begin, length, 0)
        past = length if end is None else _dim_of(end)
        past = length + past if isinstance(past, int) and past < 0 else dims.minimum(past, length)
        start, count = dims.minimum(first, length), dims.maximum(past - first, 0)
    else:  # places from length-1 down to -1, which is before the first
        start = dims.minimum(_bound(begin, length, length - 1, -1), length - 1)
        stop = -1 if end is None else dims.minimum(_bound(end, length, -1, -1), length - 1)
        count = dims.maximum(start - stop, 0)
    size = dims.floordiv(count + (abs(step) - 1), abs(step))
    return ops.take_range(x, axis, start, size, step)


def _bound(value: Any, length: Dim, default: Dim, lowest: int = 0) -> Dim:
    """One end of a slice, counted from the front, no lower than ``lowest``."""
    if value is None:
        return default
    dim = _dim_of(value)
    return dims.maximum(length + dim, lowest) if isinstance(dim, int) and dim < 0 else dim


def _position(item: Any, length: Dim) -> Dim:
    dim = _dim_of(item)
    if isinstance(dim, int) and isinstance(length, int) and not -length <= dim < length:
        raise InputError(f"index {dim} is out of range for an axis of length {length}")
    return length + dim if isinstance(dim, int) and dim < 0 else dim
