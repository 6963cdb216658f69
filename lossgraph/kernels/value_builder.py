"""Values and how they are made: numbers of one kind, integers that lanes hold, places in arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ir.dims import Dim, is_nonnegative, product
from ..ir.expr import Array, Expr
from .index import (
    ZERO,
    Clamped,
    Index,
    Indices,
    Lookup,
    LoopVar,
    bounds,
    index_of,
    is_line,
    reshaped,
)
from .integers import (
    DIGITS,
    TRUTH,
    KernelUnsupportedError,
    Range,
    combined,
    of_dtype,
    of_lanes,
    reach,
)
from .values import Input, Kind, Load, Source, Table, Value

_MOST_INDICES = 16  # along an axis, each of which every element is compared with
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_LOGICAL = ("&", "|", "^", "~")
_SHORT = {"bfloat16": "bf16", "float16": "f16", "float32": "f32"}
_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4, "float64": 8}


def kind_of(dtype: str) -> Kind:
    """The kind of value that an element of a dtype is."""
    if dtype == "bool":
        return "mask"
    return "real" if "float" in dtype else "int"


class ValueBuilder:
    """Makes values, each once.

    Attributes:
        limits: sizes that must not exceed a number for integers to be exact.
        tables: the constant arrays that values read.
    """

    def __init__(self, bits: int) -> None:
        self._real, self._bits = f"float{bits}", bits
        self._lanes, self._whole_reals = of_lanes(bits), 2 ** DIGITS[bits]
        self._ranges: dict[int, Range] = {}
        self.limits: dict[Dim, int] = {}
        self.tables: list[Array] = []
        self._values: dict[Any, Value] = {}

    def number(self, value: float) -> Value:
        """A constant real number."""
        return self._value("number", (), repr(float(value)), "real")

    def integer(self, value: int) -> Value:
        """A constant integer."""
        return self._value("size", (), int(value), "size")

    def truth(self, value: bool) -> Value:
        """A constant truth."""
        return self._value("truth", (), bool(value), "mask")

    def size(self, dim: Dim) -> Value:
        """A size."""
        return self._value("size", (), dim, "size")

    def place(self, index: Index) -> Value:
        """An index as an integer."""
        if not index.terms:
            return self.size(index.constant)
        if len(index.terms) == 1 and index.constant == 0:
            ((atom, factor),) = index.terms
            if isinstance(atom, Lookup) and factor == 1:
                value: Value = atom.value
                return value
        return self._value("place", (), index, "int")

    def load(self, source: Source, indices: Indices, shape: tuple[Dim, ...], kind: Kind) -> Value:
        """An element of an array."""
        load = Load(source, indices, shape)
        self._limit_offsets(load)
        return self._value("load", (), load, kind)

    def call(self, function: str, *args: Value) -> Value:
        """A function or an operator of C; arguments of different kinds become of one."""
        if function in _LOGICAL:
            return self._value(function, args, None, "mask")
        if function in _COMPARISONS:
            args = tuple(map(self._integer, self._alike(args)))
            args = self._comparable(args)
            return self._value(function, args, None, "mask")
        if function in ("+", "-", "*") and all(arg.op == "size" for arg in args):
            return self.size(_of_sizes(function, *(arg.detail for arg in args)))
        if function in ("max", "min") and all(arg.kind in ("int", "size") for arg in args):
            return self._extremum(function, *args)
        if all(arg.kind != "real" for arg in args):
            return self._of_integers(function, args)
        if function in ("+", "-", "*"):
            return self._value(function, self._alike(args), None, "real")
        if function == "log1p" and args[0].op == "exp_nonpositive":
            function = "log1p_unit"
        return self._value(function, args, None, "real")

    def _of_integers(self, function: str, args: tuple[Value, ...]) -> Value:
        """A function of integers, of all their digits."""
        zero, one = self.integer(0), self.integer(1)
        if function in ("+", "-", "*"):
            if all(arg.kind == "size" for arg in args):
                return self.size(_of_sizes(function, *(arg.detail for arg in args)))
            args = tuple(map(self.exact, map(self._whole_number, args)))
            return self._value(function, args, None, "int")
        if function == "neg":
            return self.call("-", zero, args[0])
        if function in ("max", "min"):
            value = self.where(self.call(">" if function == "max" else "<", *args), *args)
            ends = zip(*map(self.range_of, args), strict=True)
            self._ranges[value.number] = Range(*map(max if function == "max" else min, ends))
            return value
        if function == "abs":
            return self.call("max", args[0], self.call("neg", args[0]))
        if function == "sign":
            below = self.where(self.call("<", args[0], zero), self.integer(-1), zero)
            return self.where(self.call(">", args[0], zero), one, below)
        if function in ("mod", "/"):
            return self._divided(function, *args)
        raise KernelUnsupportedError(f"kernels have no {function} of integers")

    def _divided(self, function: str, x: Value, y: Value) -> Value:
        x, y = (self.exact(self._whole_number(arg)) for arg in (x, y))
        name = "integer_mod" if function == "mod" else "integer_div"
        value = self._value(name, (x, y), None, "int")
        of = self.range_of(y if function == "mod" else x)
        most = max(abs(of.low), abs(of.high))
        self._ranges[value.number] = Range(-most, most)
        return value

    def _comparable(self, args: tuple[Value, ...]) -> tuple[Value, ...]:
        """Two integers of which one at most is moved to an end of the lanes."""
        ranges = [self.range_of(arg) for arg in args if arg.kind == "int"]
        if any(each.within(self._lanes) for each in ranges):
            return args
        if all(each.within(self._all) for each in ranges):
            return args
        return self.small(args[0]), *args[1:]

    def small(self, value: Value) -> Value:
        """An integer of 64 bits that is seen at run time to fit the lanes; the kernel fails if not.

        Only what saturates shows that it does not fit: a sum may have wrapped around.
        """
        if not self._saturates(value):
            raise KernelUnsupportedError(
                f"kernels of {self._real} compute integers of {self._bits} bits, here may be more"
            )
        found = self._value("within", (value,), None, "int")
        self._ranges[found.number] = Range(-(2 ** (self._bits - 3)), 2 ** (self._bits - 3))
        return found

    def _saturates(self, value: Value) -> bool:
        if value.op == "where":
            return all(map(self._saturates, value.args[1:]))
        return value.op == "load" or self.range_of(value).within(self._lanes)

    def where(self, condition: Value, x: Value, y: Value) -> Value:
        """One of two values."""
        if x is y:
            return x
        x, y = self._alike((x, y))
        if x.kind == "size":
            x, y = self._integer(x), self._integer(y)
        return self._value("where", (condition, x, y), None, x.kind)

    def real(self, value: Value) -> Value:
        """A value as a real number; true is 1."""
        if value.kind == "real":
            return value
        if value.op == "load" and value.kind == "int":
            return self._value("load", (), value.detail, "real")  # of all its digits
        if value.op == "size":
            if isinstance(value.detail, int):
                return self.number(float(value.detail))
            return self._value("to_real", (value,), None, "real")
        if value.op == "where":
            return self.where(value.args[0], *map(self.real, value.args[1:]))
        return self._value("to_real", (self.exact(value),), None, "real")

    def whole(self, value: Value) -> Value:
        """A value as an integer, truncated."""
        if value.kind in ("int", "size"):
            return value
        return self._value("to_int", (value,), None, "int")

    def mask(self, value: Value) -> Value:
        """Whether a value is not zero."""
        return value if value.kind == "mask" else self.call("!=", value, self.integer(0))

    def cast(self, value: Value, before: str, after: str) -> Value:
        """A value in another dtype."""
        if after == "bool":
            return self.mask(value)
        if kind_of(after) == "real":
            return self._rounded(self.real(value), before, after)
        if kind_of(before) != "int":
            return self.whole(value)
        if before != "uint64" and not self.range_of(value).within(of_dtype(after)):
            raise KernelUnsupportedError(
                f"kernels have no cast from {before} to {after} of numbers that may be large"
            )
        return value

    def _rounded(self, value: Value, before: str, after: str) -> Value:
        """A real number with the digits of a dtype, if the one that it is of has more."""
        if kind_of(before) != "real" or _BYTES[before] <= _BYTES[after]:
            return value
        return (
            value
            if after == self._real
            else self._value(f"round_{_SHORT[after]}", (value,), None, "real")
        )

    def clip(self, value: Value, low: float, high: float) -> Value:
        """A number limited to an interval; NaN stays."""
        if value.kind != "real":
            below = self.call("min", value, self.integer(int(high)))
            return self.call("max", below, self.integer(int(low)))
        return self._value("clip", (self.real(value),), (repr(low), repr(high)), "real")

    def lookup(self, value: Value) -> Index:
        """An index that a value gives."""
        if value.op == "place" and isinstance(value.detail, Index):
            return value.detail
        if value.op == "size":
            return Index((), value.detail)
        whole = self.whole(value)
        if not self.range_of(whole).within(self._lanes):  # indices lie in their axes
            self._ranges[whole.number] = self._lanes
        return index_of(Lookup(whole))

    def chosen(self, value: Value, size: Dim, of: Callable[[Index], Value]) -> Value:
        """An element at an index that a value gives, which may be one of several lines."""
        if value.op == "where" and all(map(_is_straight, value.args[1:])):
            condition, *ways = value.args
            return self.where(condition, *(self.chosen(way, size, of) for way in ways))
        line = _line_of(value)
        return of(self.lookup(value) if line is None else self.clamped(line, size))

    def _extremum(self, function: str, x: Value, y: Value) -> Value:
        """The larger or smaller of two integers, by what is known of them before all."""
        if x.op == "where" and _is_straight(y) and all(map(_is_straight, x.args[1:])):
            condition, *ways = x.args
            return self.where(condition, *(self._extremum(function, way, y) for way in ways))
        for one, other in ((x, y), (y, x)):
            if _is_at_least(*((one, other) if function == "max" else (other, one))):
                return one
        ends = zip(self.range_of(x), self.range_of(y), strict=True)
        larger = self.call(">", x, y)
        found = self.where(larger, *((x, y) if function == "max" else (y, x)))
        best = max if function == "max" else min
        self._ranges[found.number] = Range(*(best(pair) for pair in ends))
        return found

    def clamped(self, index: Index, size: Dim) -> Index:
        """An index that is read whether it is inside of an axis or not."""
        first, last = index.constant, size - 1 - index.constant
        if not index.terms and is_nonnegative(first) and is_nonnegative(last):
            return index
        if len(index.terms) == 1 and first == 0:
            ((atom, factor),) = index.terms
            if isinstance(atom, Clamped) and factor == 1 and is_nonnegative(size - atom.size):
                return index
        return index_of(Clamped(index, size))

    def is_inside(self, index: Index, size: Dim) -> Value:
        """Whether an index is one of an axis."""
        place = self.place(index)
        below = self.call("<", place, self.size(size))
        return self.call("&", self.call(">=", place, self.integer(0)), below)

    @staticmethod
    def is_few(size: Dim) -> bool:
        """Whether an axis is so short that each element of it can be looked at."""
        return isinstance(size, int) and size <= _MOST_INDICES

    def few(self, size: Dim) -> list[Index]:
        """The indices of a short axis, each of which is looked at."""
        if not isinstance(size, int) or not self.is_few(size):
            raise KernelUnsupportedError(
                "kernels scatter a few elements of each row, not any number"
            )
        return [Index((), place) for place in range(size)]

    def reshaped(self, indices: Indices, node: Expr) -> Indices:
        """The indices of the argument of a reshape."""
        return reshaped(indices, node.shape, node.args[0].shape)

    def aligned(self, indices: Indices, node: Expr, arg: Expr) -> Indices:
        """The indices of an argument that broadcasts."""
        return aligned(indices, node, arg)

    def _integer(self, value: Value) -> Value:
        return self._value("to_int", (value,), None, "int") if value.kind == "size" else value

    def _whole_number(self, value: Value) -> Value:
        return self._integer(self.whole(value))

    def _alike(self, args: tuple[Value, ...]) -> tuple[Value, ...]:
        kinds = {arg.kind for arg in args}
        if len(kinds) == 1:
            return args
        if "real" in kinds:
            return tuple(self.real(arg) for arg in args)
        return tuple(map(self._whole_number, args))

    def _value(self, op: str, args: tuple[Value, ...], detail: Any, kind: Kind) -> Value:
        key = op, tuple(arg.number for arg in args), detail, kind
        if key not in self._values:
            self._values[key] = Value(op, args, detail, kind, len(self._values))
        return self._values[key]

    def exact(self, value: Value) -> Value:
        """A value that is to be given as it is, which lanes have to hold."""
        if value.kind == "int" and not self.range_of(value).within(self._all):
            return self.small(value)
        return value

    @property
    def _all(self) -> Range:
        return Range(self._lanes.low - 1, self._lanes.high + 1)

    def range_of(self, value: Value) -> Range:
        """What an integer or a truth may be."""
        if value.number not in self._ranges:
            self._ranges[value.number] = self._found_range(value)
        return self._ranges[value.number]

    def _found_range(self, value: Value) -> Range:
        if value.kind == "mask":
            return TRUTH
        if value.op == "size":
            return self._size_range(value.detail)
        if value.op == "where":
            return self.range_of(value.args[1]) | self.range_of(value.args[2])
        if value.op in ("+", "-", "*"):
            return combined(value.op, *map(self.range_of, value.args))
        if value.op == "to_int" and value.args[0].kind != "real":
            return self.range_of(value.args[0])
        if value.op == "to_int" and self._is_count(value.args[0]):
            return Range(0, self._lanes.high // 2)
        if value.op == "place":
            self._limit_reach(value.detail, self._lanes.high)
            return self._lanes
        if isinstance(value.detail, Load) and isinstance(value.detail.source, Input):
            return of_dtype(value.detail.source.dtype)
        if isinstance(value.detail, Load) and isinstance(value.detail.source, Table):
            table = self.tables[value.detail.source.number]
            return Range(int(table.min()), int(table.max())) if table.size else TRUTH
        return of_dtype("int64")

    def _is_count(self, value: Value) -> bool:
        """Whether a real number is a sum of truths: who knows nodes, knows."""
        return False

    def _limit_reach(self, index: Index, most: int) -> None:
        """Keep an index below a number, whatever its variables are."""
        sizes = list(reach(index))
        for size in sizes:
            self._limit(size, most // len(sizes))

    def _limit_offsets(self, load: Load) -> None:
        """Keep offsets in lanes where elements are gathered: a vector goes over 16 rows at most."""
        axes = [axis for axis, index in enumerate(load.indices) if not _is_line(index)]
        if not axes:
            return
        self._limit(product(load.shape[axes[0] :]), self._lanes.high // 4)
        self._limit(product(load.shape[1:]), self._lanes.high // 32)
        for axis in axes:
            for atom, _ in load.indices[axis].terms:
                if not isinstance(atom, (LoopVar, Lookup)):
                    self._limit_reach(index_of(atom), self._lanes.high)

    def _size_range(self, dim: Dim) -> Range:
        """A size in lanes, which the plan looks at."""
        if isinstance(dim, int):
            return Range(dim, dim)
        self._limit(dim, self._lanes.high)
        return Range(0 if is_nonnegative(dim) else self._lanes.low, self._lanes.high)

    def _limit(self, size: Dim, limit: int) -> None:
        if isinstance(size, int) and abs(size) <= limit:
            return
        self.limits[size] = min(limit, self.limits.get(size, limit))


def _is_straight(value: Value) -> bool:
    """Whether an integer is a size or a plain index, or one of these by a condition."""
    if value.op == "where":
        return all(map(_is_straight, value.args[1:]))
    index = _line_of(value)
    return index is not None and is_line(index)


def _line_of(value: Value) -> Index | None:
    """The index that an integer is, if it is a size or a place."""
    if value.op == "to_int":
        value = value.args[0]
    if value.op == "size":
        return Index((), value.detail)
    return value.detail if value.op == "place" else None


def _is_at_least(x: Value, y: Value) -> bool:
    """Whether one integer is seen to be never below another."""
    one, other = _line_of(x), _line_of(y)
    if one is None or other is None or not (is_line(one) and is_line(other)):
        return False
    return is_nonnegative(bounds(one)[0] - bounds(other)[1])


def aligned(indices: Indices, node: Expr, arg: Expr) -> Indices:
    """The indices of an argument that broadcasts to a node, by those of the node."""
    last = indices[node.rank - arg.rank :]
    shape = node.shape[node.rank - arg.rank :]
    return tuple(
        ZERO if dim == 1 and size != 1 else index
        for index, dim, size in zip(last, arg.shape, shape, strict=True)
    )


def _of_sizes(function: str, x: Dim, y: Dim) -> Dim:
    if function == "*":
        return x * y
    return x + y if function == "+" else x - y


def _is_line(index: Index) -> bool:
    return all(isinstance(atom, LoopVar) for atom, _ in index.terms)
