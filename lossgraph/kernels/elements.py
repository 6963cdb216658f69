"""Elements: a node of a program at an index, as a value.

Operations are followed from the element that is asked for down to inputs, constants and buffers.
What only moves elements changes the index and leaves nothing to compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..errors import LossgraphError
from ..ir import ops
from ..ir.dims import Dim, is_nonnegative
from ..ir.expr import Array, Expr, is_input, is_literal
from ..ir.kernel_forms import Element, Elementwise, Reduction, Result
from .index import ZERO, Clamped, Index, Indices, Lookup, bounds, index_of, is_line, reshaped
from .recurrence import Recurrence
from .values import Buffer, Input, Kind, Load, Source, Table, Value, needed

# What costs more than this to compute is kept where a second loop needs it: a number that is
# written and read again costs about as much as four additions.
WORTH_KEEPING = 4.0
_MOST_INDICES = 16  # along an axis, each of which every element is compared with
_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_LOGICAL = ("&", "|", "^", "~")


class KernelUnsupportedError(LossgraphError):
    """A program that is no kernel: an operation, a dtype or an access that kernels have not."""


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
    """

    def __init__(self, inputs: Mapping[Expr, int], real: str) -> None:
        self.inputs, self._real = inputs, real
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
        kept = self.load(buffer, indices, buffer.shape, "real")
        return self.mask(kept) if buffer.node.dtype == "bool" else kept

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
            made = self.call(function, *args)
            if form.cost > WORTH_KEEPING:
                self.costly[made.number] = node
            return made
        if isinstance(form, Element):
            value: Value = form.at(self, node, indices)
            if node.op.index_args and value.kind == "real" and _is_gathered(value):
                self.costly[value.number] = node
            return value
        if isinstance(form, Result):
            return self._result(self.recurrences[node.args[0]], node.attrs["index"], indices)
        if isinstance(form, Reduction):  # of axes of length one alone, or it had a buffer
            return self.at(node.args[0], indices)
        raise KernelUnsupportedError(f"kernels have no form of the operation {node.op.name}")

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
        return self._value("load", (), Load(source, indices, shape), kind)

    def call(self, function: str, *args: Value) -> Value:
        """A function or an operator of C; arguments of different kinds become of one."""
        if function in _LOGICAL:
            return self._value(function, args, None, "mask")
        if function in _COMPARISONS:
            args = tuple(map(self._integer, self._alike(args)))
            return self._value(function, args, None, "mask")
        if function in ("+", "-", "*"):
            args = self._alike(args)
            if all(arg.op == "size" for arg in args):
                return self.size(_of_sizes(function, *(arg.detail for arg in args)))
            return self._value(function, args, None, args[0].kind)
        if function in ("neg",) and args[0].kind != "real":
            return self.call("-", self.integer(0), args[0])
        if function in ("max", "min") and all(arg.kind in ("int", "size") for arg in args):
            return self._extremum(function, *args)
        if any(arg.kind != "real" for arg in args):
            raise KernelUnsupportedError(f"kernels have no {function} of integers")
        if function == "log1p" and args[0].op == "exp_nonpositive":
            function = "log1p_unit"
        return self._value(function, args, None, "real")

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
        if value.op == "size" and isinstance(value.detail, int):
            return self.number(float(value.detail))
        return self._value("to_real", (value,), None, "real")

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
            return self.real(value)
        return value if kind_of(before) == "int" else self.whole(value)

    def clip(self, value: Value, low: float, high: float) -> Value:
        """A real number limited to an interval; NaN stays."""
        return self._value("clip", (self.real(value),), (repr(low), repr(high)), "real")

    def lookup(self, value: Value) -> Index:
        """An index that a value gives."""
        if value.op == "place" and isinstance(value.detail, Index):
            return value.detail
        if value.op == "size":
            return Index((), value.detail)
        return index_of(Lookup(self.whole(value)))

    def chosen(self, value: Value, size: Dim, of: Callable[[Index], Value]) -> Value:
        """An element at an index that a value gives, which may be one of several lines."""
        if value.op == "where" and all(map(_is_line, value.args[1:])):
            condition, *ways = value.args
            return self.where(condition, *(self.chosen(way, size, of) for way in ways))
        line = _line_of(value)
        return of(self.lookup(value) if line is None else self.clamped(line, size))

    def _extremum(self, function: str, x: Value, y: Value) -> Value:
        """The larger or smaller of two integers, by what is known of them before all."""
        if x.op == "where" and _is_line(y) and all(map(_is_line, x.args[1:])):
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

    def _alike(self, args: tuple[Value, ...]) -> tuple[Value, ...]:
        kinds = {arg.kind for arg in args}
        if len(kinds) == 1:
            return args
        if "real" in kinds:
            return tuple(self.real(arg) for arg in args)
        return tuple(self._integer(arg) if arg.kind == "size" else arg for arg in args)

    def _value(self, op: str, args: tuple[Value, ...], detail: Any, kind: Kind) -> Value:
        key = op, tuple(arg.number for arg in args), detail, kind
        if key not in self._values:
            self._values[key] = Value(op, args, detail, kind, len(self._values))
        return self._values[key]


def _of_sizes(function: str, x: Dim, y: Dim) -> Dim:
    return x + y if function == "+" else x - y if function == "-" else x * y


def _is_line(value: Value) -> bool:
    """Whether an integer is a size or a plain index, or one of these by a condition."""
    if value.op == "where":
        return all(map(_is_line, value.args[1:]))
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
