"""Elements: a node of a program at an index, as a value.

Operations are followed from the element that is asked for down to inputs, constants and buffers.
What only moves elements changes the index and leaves nothing to compute.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from ..ir import ops
from ..ir.dims import product
from ..ir.expr import Array, Expr, is_input, is_literal
from ..ir.kernel_forms import Element, Elementwise, Reduction, Result
from .index import (
    ZERO,
    Index,
    Indices,
    Lookup,
    LoopVar,
    index_of,
)
from .integers import KernelUnsupportedError, Range, of_dtype
from .recurrence import Recurrence
from .value_builder import ValueBuilder, aligned, kind_of
from .values import Buffer, Input, Load, Table, Value, needed

# What costs more than this to compute is kept where a second loop needs it: a number that is
# written and read again costs about as much as four additions.
WORTH_KEEPING = 4.0


class Elements(ValueBuilder):
    """Makes values of nodes, each once.

    Attributes:
        inputs: the place of each input.
        buffers: the nodes that are read from where they are kept.
        tables: the constant arrays that values read.
        costly: the nodes of values that are worth keeping, by the number of the value.
        limits: sizes, with the number that the size of none may reach when the kernel is called.
    """

    def __init__(self, inputs: Mapping[Expr, int], bits: int) -> None:
        super().__init__(bits)
        self.inputs = inputs
        self._reduced: dict[Expr, Range] = {}
        self.costly: dict[int, Expr] = {}
        self.buffers: dict[Expr, Buffer] = {}
        self._tables: dict[Expr, Table] = {}
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
        if isinstance(form, Result) and node.args[0] in self.recurrences:
            return self._result(self.recurrences[node.args[0]], node.attrs["index"], indices)
        if isinstance(form, Reduction):  # of axes of length one alone, or it had a buffer
            return self.at(node.args[0], indices)
        without = node.args[0] if isinstance(form, Result) else node
        raise KernelUnsupportedError(f"kernels have no form of the operation {without.op.name}")

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
