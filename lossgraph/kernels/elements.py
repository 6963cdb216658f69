"""Elements: a node of a program at an index, as a value.

Operations are followed from the element that is asked for down to inputs, constants and buffers.
What only moves elements changes the index and leaves nothing to compute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import LossgraphError
from ..ir.dims import Dim
from ..ir.expr import Array, Expr, is_input, is_literal
from ..ir.kernel_forms import Element, Elementwise, Reduction
from .index import ZERO, Clamped, Index, Indices, Lookup, index_of
from .values import Buffer, Input, Kind, Load, Source, Table, Value

_COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")
_LOGICAL = ("&", "|", "^", "~")


class KernelUnsupported(LossgraphError):
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
    """

    def __init__(self, inputs: Mapping[Expr, int]) -> None:
        self.inputs = inputs
        self.buffers: dict[Expr, Buffer] = {}
        self.tables: list[Array] = []
        self._tables: dict[Expr, Table] = {}
        self._values: dict[Any, Value] = {}
        self._elements: dict[tuple[Expr, Indices], Value] = {}

    # --- nodes ---

    def at(self, node: Expr, indices: Indices) -> Value:
        """The element of a node at indices, one for each axis."""
        if node in self.buffers:
            kept = self.load(self.buffers[node], indices, node.shape, "real")
            return self.mask(kept) if node.dtype == "bool" else kept
        key = node, indices
        if key not in self._elements:
            self._elements[key] = self.computed(node, indices)
        return self._elements[key]

    def computed(self, node: Expr, indices: Indices) -> Value:
        """The same for a node that is not read from a buffer even if it has one."""
        if is_input(node):
            source = Input(self.inputs[node], node.dtype)
            return self._as_kind(node.dtype, self.load(source, indices, node.shape, "int"))
        if is_literal(node):
            return self._constant(node, indices)
        form = node.op.kernel
        if isinstance(form, Elementwise):
            args = [self.at(arg, aligned(indices, node, arg)) for arg in node.args]
            return self.call(form.function, *args)
        if isinstance(form, Element):
            value: Value = form.at(self, node, indices)
            return value
        if isinstance(form, Reduction):  # of axes of length one alone, or it had a buffer
            return self.at(node.args[0], indices)
        raise KernelUnsupported(f"kernels have no form of the operation {node.op.name}")

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
            self._tables[node] = Table(len(self.tables))
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
            return self._value(function, self._alike(args), None, "mask")
        if function in ("+", "-", "*"):
            args = self._alike(args)
            return self._value(function, args, None, args[0].kind)
        if function in ("neg",) and args[0].kind != "real":
            return self.call("-", self.integer(0), args[0])
        return self._value(function, tuple(self.real(arg) for arg in args), None, "real")

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

    def lookup(self, value: Value) -> Index:
        """An index that a value gives."""
        if value.op == "place" and isinstance(value.detail, Index):
            return value.detail
        if value.op == "size":
            return Index((), value.detail)
        return index_of(Lookup(self.whole(value)))

    def clamped(self, index: Index, size: Dim) -> Index:
        """An index that is read only where it is inside of an axis."""
        return index_of(Clamped(index, size)) if index.terms else index

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


def aligned(indices: Indices, node: Expr, arg: Expr) -> Indices:
    """The indices of an argument that broadcasts to a node, by those of the node."""
    last = indices[node.rank - arg.rank :]
    shape = node.shape[node.rank - arg.rank :]
    return tuple(
        ZERO if dim == 1 and size != 1 else index
        for index, dim, size in zip(last, arg.shape, shape, strict=True)
    )
