"""Elements: a node of a program at an index, as a value.

Operations are followed from the element that is asked for down to inputs, constants and buffers.
What only moves elements changes the index and leaves nothing to compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..ir import ops
from ..ir.dims import Dim, is_nonnegative, product
from ..ir.expr import Array, Expr, is_input, is_literal
from ..ir.kernel_forms import Element, Elementwise, Reduction, Result
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
from .recurrence import Recurrence
from .values import Buffer, Input, Kind, Load, Source, Table, Value, needed
from .whole import DIGITS, TRUTH, KernelUnsupportedError, Range, combined, of_dtype, of_lanes, reach

# What costs more than this to compute is kept where a second loop needs it: a number that is
# written and read again costs about as much as four additions.
WORTH_KEEPING = 4.0
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


class Elements:
    """Makes values of nodes, each once.

    Attributes:
        inputs: the place of each input.
        buffers: the nodes that are read from where they are kept.
        tables: the constant arrays that values read.
        costly: the nodes of values that are worth keeping, by the number of the value.
        limits: sizes, with the number that the size of none may reach when the kernel is called.
    """

    def __init__(self, inputs: Mapping[Expr, int], bits: int) -> None:
        self.inputs, self._real, self._bits = inputs, f"float{bits}", bits
        self._lanes, self._whole_reals = of_lanes(bits), 2 ** DIGITS[bits]
        self._ranges: dict[int, Range] = {}
        self._reduced: dict[Expr, Range] = {}
        self.limits: dict[Dim, int] = {}
        self.costly: dict[int, Expr] = {}
        self.buffers: dict[Expr, Buffer] = {}
        self.tables: list[Array] = []
        self._tables: dict[Expr, Table] = {}
        self._values: dict[Any, Value] = {}
        self._elements: dict[tuple[Expr, Indices, Index | None], Value] = {}
        self._inside: dict[Expr, Recurrence] = {}  # nodes of bodies
        self.recurrences: dict[Expr, Recurrence] = {}
        self._steps: dict[Recurrence, Index] = {}  # which one is computed

    def forget(self) -> None:
        """Make values anew, after the buffers have changed."""
        self._elements.clear()
        self.costly.clear()

    # --- nodes ---

    def keep(self, node: Expr) -> None:
        """From here on the node is read from where it is kept."""
        inside = self._inside.get(node)
        shape = node.shape if inside is None else (inside.length, *node.shape)
        self.buffers[node] = Buffer(node, self._count(), shape)

    def follow(self, recurrence: Recurrence) -> None:
        """Nodes of a body are from here on elements of arrays with an axis of steps."""
        self.recurrences[recurrence.node] = recurrence
        self._inside |= dict.fromkeys(recurrence.nodes, recurrence)
        for state in recurrence.states:
            shape = (recurrence.length + 1, *state.shape)
            recurrence.kept.append(Buffer(state, self._count(), shape, carried=True))

    def inside(self, node: Expr) -> Recurrence | None:
        """The recurrence whose body a node belongs to."""
        return self._inside.get(node)

    @contextmanager
    def during(self, recurrence: Recurrence, step: Index) -> Iterator[None]:
        """Nodes of the body stand for what they are in a step."""
        before = dict(self._steps)
        self._steps[recurrence] = step
        yield
        self._steps = before

    def _count(self) -> int:
        return len(self.buffers) + sum(len(found.kept) for found in self.recurrences.values())

    def at(self, node: Expr, indices: Indices) -> Value:
        """The element of a node at indices, one for each axis."""
        indices = tuple(
            ZERO if dim == 1 else index for index, dim in zip(indices, node.shape, strict=True)
        )
        inside = self._inside.get(node)
        step = None if inside is None else self._steps[inside]
        if node in self.buffers:
            buffer = self.buffers[node]
            return self._kept(buffer, indices if step is None else (step, *indices))
        if inside is not None and step is not None and node in inside.following:
            return self._kept(inside.kept[inside.following[node]], (step + 1, *indices))
        key = node, indices, step
        if key not in self._elements:
            self._elements[key] = self.computed(node, indices)
        return self._elements[key]

    def _kept(self, buffer: Buffer, indices: Indices) -> Value:
        node, kept = buffer.node, self.load(buffer, indices, buffer.shape, "real")
        if node.type.is_float:
            return kept
        if node.dtype == "bool":
            return self.mask(kept)
        if buffer.carried:
            raise KernelUnsupportedError("kernels carry no integers from step to step")
        value = self._value("to_int", (kept,), None, "int")
        if node not in self._reduced:
            self._reduced[node] = self._reduced_range(node)
        self._ranges[value.number] = self._reduced[node]
        return value

    def _reduced_range(self, node: Expr) -> Range:
        """What a reduction of integers may be: it is added up as a real number."""
        (source,) = node.args
        index = tuple(index_of(LoopVar(dim)) for dim in source.shape)
        value = self.at(source, index)
        how = node.op.kernel.how if isinstance(node.op.kernel, Reduction) else ""
        each = self.range_of(value) if how == "sum" else self._bounded(value)
        most = max(abs(each.low), abs(each.high), 1)
        if most > self._whole_reals or (how == "prod" and most > 1):
            raise KernelUnsupportedError(
                f"kernels have no {node.op.name} of {node.dtype} numbers that may be large"
            )
        if how != "sum":
            return each | Range(0, 0)
        whole = all(dim == 1 for dim in node.shape) and most == 1  # added in float64 at last
        limit = self._lanes.high if whole else self._whole_reals // most
        self._limit(product(source.shape[axis] for axis in node.attrs["axes"]), limit)
        return Range(min(each.low, 0) * limit, max(each.high, 0) * limit)

    def _bounded(self, value: Value) -> Range:
        """What an integer may be, if places and sizes in it are kept exact in real numbers."""
        known, most = self.range_of(value), self._whole_reals
        if known.within(Range(-most, most)):
            return known
        if value.op == "where":
            return self._bounded(value.args[1]) | self._bounded(value.args[2])
        if value.op == "to_int" and value.args[0].kind == "size":
            return self._bounded(value.args[0])
        if value.op == "place":
            self._limit_reach(value.detail, most)
        elif value.op == "size" and not isinstance(value.detail, int):
            self._limit(value.detail, most)
        else:
            return known
        return Range(-most, most)

    def _limit(self, size: Dim, limit: int) -> None:
        if isinstance(size, int) and abs(size) <= limit:
            return
        self.limits[size] = min(limit, self.limits.get(size, limit))

    def computed(self, node: Expr, indices: Indices) -> Value:
        """The same for a node that is not read from a buffer even if it has one."""
        if node in self._inside and is_input(node):
            return self._variable(self._inside[node], node, indices)
        if is_input(node):
            source = Input(self.inputs[node], node.dtype)
            return self._as_kind(node.dtype, self.load(source, indices, node.shape, "int"))
        if is_literal(node):
            return self._constant(node, indices)
        form = node.op.kernel
        if isinstance(form, Elementwise):
            args = [self.at(arg, aligned(indices, node, arg)) for arg in node.args]
            function = form.function
            if function == "exp" and _never_positive(node.args[0]):
                function = "exp_nonpositive"
            return self._made(node, self.call(function, *args), form.cost)
        if isinstance(form, Element):
            found = self._made(node, form.at(self, node, indices), form.cost)
            if node.op.index_args and found.kind == "real" and _is_gathered(found):
                self.costly[found.number] = node
            return found
        if isinstance(form, Result):
            return self._result(self.recurrences[node.args[0]], node.attrs["index"], indices)
        if isinstance(form, Reduction):  # of axes of length one alone, or it had a buffer
            return self.at(node.args[0], indices)
        raise KernelUnsupportedError(f"kernels have no form of the operation {node.op.name}")

    def _made(self, node: Expr, value: Value, cost: float) -> Value:
        if cost > WORTH_KEEPING and node.type.is_float:
            self.costly[value.number] = node
        return self._checked(node, value)

    def _variable(self, recurrence: Recurrence, node: Expr, indices: Indices) -> Value:
        """What a variable of a body stands for in the step."""
        step, place = self._steps[recurrence], recurrence.place(node)
        if place < len(recurrence.states):
            return self._kept(recurrence.kept[place], (step, *indices))
        if recurrence.is_read(place):
            indices = (step, *indices)
        return self.at(recurrence.node.args[place], indices)

    def _result(self, recurrence: Recurrence, place: int, indices: Indices) -> Value:
        """The last state, or what each step puts out."""
        if place < len(recurrence.states):
            last = Index((), recurrence.length)
            return self._kept(recurrence.kept[place], (last, *indices))
        with self.during(recurrence, indices[0]):
            return self.at(recurrence.outputs[place], indices[1:])

    def _checked(self, node: Expr, value: Value) -> Value:
        """A value of a node of integers, which has to be one of its dtype."""
        if kind_of(node.dtype) != "int" or value.op in ("load", "where"):
            return value
        mine = of_dtype(node.dtype)
        if self.range_of(value).within(mine):
            return value
        if value.kind == "int" and mine == Range(self._lanes.low - 1, self._lanes.high + 1):
            self._ranges[value.number] = mine  # it wraps around as it does in its dtype
            return value
        raise KernelUnsupportedError(
            f"kernels have no {node.op.name} of {node.dtype} numbers that may be large"
        )

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
        """Whether a real number is a sum of truths, which the sizes then limit."""
        detail = value.detail
        if not (isinstance(detail, Load) and isinstance(detail.source, Buffer)):
            return False
        node = detail.source.node
        form = node.op.kernel
        if not isinstance(form, Reduction) or form.how != "sum" or node in self._inside:
            return False
        (source,) = node.args
        each = self.at(source, tuple(index_of(LoopVar(dim)) for dim in source.shape))
        if each.op != "to_real" or each.args[0].kind != "mask":
            return False
        self._limit(product(source.shape[i] for i in node.attrs["axes"]), self._lanes.high // 2)
        return True

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

    def _as_kind(self, dtype: str, loaded: Value) -> Value:
        kind = kind_of(dtype)
        if kind == "real":
            return self._value("load", (), loaded.detail, "real")
        return loaded if kind == "int" else self.call("!=", loaded, self.integer(0))

    def _constant(self, node: Expr, indices: Indices) -> Value:
        array: Array = node.attrs["value"]
        if array.size == 1:
            item = array.reshape(()).item()
            return self.number(item) if kind_of(node.dtype) == "real" else self._whole(item)
        if node not in self._tables:
            dtype = self._real if kind_of(node.dtype) == "real" else "int64"
            self._tables[node] = Table(len(self.tables), dtype)
            self.tables.append(array)
        kind = kind_of(node.dtype)
        loaded = self.load(self._tables[node], indices, node.shape, "int")
        if kind == "real":
            return self._value("load", (), loaded.detail, "real")
        return loaded if kind == "int" else self.call("!=", loaded, self.integer(0))

    def _whole(self, item: Any) -> Value:
        return self.truth(item) if isinstance(item, bool) else self.integer(item)

    # --- values ---

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
        larger = self.call(">", x, y)
        return self.where(larger, *((x, y) if function == "max" else (y, x)))

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


def _is_gathered(value: Value) -> bool:
    """Whether it takes an element from where an integer says."""
    return any(
        isinstance(atom, Lookup)
        for each in needed([value])
        if isinstance(each.detail, Load)
        for index in each.detail.indices
        for atom, _ in index.terms
    )


def _never_positive(node: Expr) -> bool:
    """Whether a node is ``-|x|`` or ``x - max(x)``, or NaN."""
    if node.op is ops.neg:
        return node.args[0].op is ops.absolute
    if node.op is not ops.sub:
        return False
    x, top = node.args
    return top.op is ops.reduce_max.op and top.args[0] is x


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
