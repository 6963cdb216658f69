"""A program as a kernel: the stages, one after the other.

1. *decomposed*: operations that are a formula of others become these.
2. *stores*: what is kept, besides outputs: reductions, and costly values that several loops need.
3. *loops*: a nest for each store, fused into a tree (``loops``).
4. *C*: each outermost loop as a sweep over rows (``emit``), and what surrounds them (``layout``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property

from ..compiler.program import Program
from ..ir import ops
from ..ir.dims import Dim, Size, names, substitute
from ..ir.expr import Expr, is_input, is_literal, registered, rename_sizes, toposort, transform
from ..ir.kernel_forms import Elementwise, Formula, Reduction
from ..ir.types import Constraint
from ..passes.costs import Target
from ..passes.mixed_precision import widen
from ..passes.rewrite import rewrite
from ..passes.rules import FUSING
from .elements import Elements
from .index import Indices
from .layout import Layout
from .loops import At, Block, Statement, Store, fused, loops_of
from .values import Buffer, Value, needed
from .whole import KernelUnsupportedError

_MOST = 32  # inputs or outputs: LG_MOST
_RANK = 8


_COSTS = {
    form.function: form.cost
    for op in registered().values()
    if isinstance(form := op.kernel, Elementwise)
}


class Kernel:
    """C of a program.

    Attributes:
        inputs: the inputs, in the order of the operator.
        outputs: the outputs by name, likewise, checks among them.
    """

    def __init__(
        self,
        inputs: Sequence[Expr],
        outputs: Mapping[str, Expr],
        constraints: Sequence[Constraint] = (),
    ) -> None:
        self.inputs, self.outputs = tuple(inputs), dict(outputs)
        _check_interface(self.inputs, self.outputs)
        self._constraints = constraints
        roots = decomposed(rewrite(widen(list(outputs.values())), FUSING))
        self.decomposed = dict(zip(self.outputs, roots, strict=True))
        self._elements = Elements({node: i for i, node in enumerate(self.inputs)}, self.bits)
        self.blocks = self._fused()

    @cached_property
    def layout(self) -> Layout:
        """The sweeps, their memory and the C around them."""
        return Layout(
            self.inputs,
            list(self.outputs.values()),
            self.blocks,
            self._elements.tables,
            self.bits,
            _COSTS,
            self._demands(),
            self._elements.limits,
        )

    @cached_property
    def bits(self) -> int:
        """The width of the real numbers that it computes with: what the widest of them has."""
        dtypes = {node.dtype for node in toposort(self.decomposed.values())}
        return 64 if "float64" in dtypes else 32

    @cached_property
    def name(self) -> str:
        """The operator's name, by what it computes."""
        return f"Fused_{hashlib.sha256(self.layout.text('', 0).encode()).hexdigest()[:16]}"

    def text(self, number: int) -> str:
        """The C of it, with names that end in a number."""
        return self.layout.text(self.name, number)

    # --- stages ---

    def _fused(self) -> list[Block]:
        nodes = toposort(self.decomposed.values())
        for node in nodes:
            if isinstance(node.op.kernel, Reduction) and _reduces(node):
                self._elements.buffers[node] = Buffer(node, len(self._elements.buffers))
        blocks = fused(self._stores(nodes))
        kept = _needed_twice(blocks, self._elements, nodes)
        if not kept:
            return blocks
        for node in kept:
            self._elements.buffers[node] = Buffer(node, len(self._elements.buffers))
        self._elements.forget()
        return fused(self._stores(nodes))

    def _stores(self, nodes: Sequence[Expr]) -> list[Store]:
        inner = [_store(node, self._elements) for node in nodes if node in self._elements.buffers]
        outputs = [
            Store(node, node.shape, _given(self._elements, node), output=place)
            for place, node in enumerate(self.decomposed.values())
        ]
        return [*inner, *outputs]

    def _demands(self) -> list[Constraint]:
        """Pairs of sizes that are compared when the kernel is called."""
        nodes = toposort(self.outputs.values())
        inside = (pair for node in nodes for pair in sorted(node.constraints, key=str))
        return list(dict.fromkeys((*self._constraints, *inside)))


def kernel_of(program: Program, *, checks: bool = False) -> Kernel:
    """The kernel of a program.

    Args:
        program: the program.
        checks: also compute what says whether labels are valid, as outputs of their own.

    Raises:
        KernelUnsupportedError: for what kernels have no form of, by name.
    """
    outputs = dict(program.outputs)
    if checks:
        outputs |= program.label_check(Target("cpu", nonempty=False))
    inputs, exprs, constraints = _with_derived_sizes(program, list(outputs.values()))
    return Kernel(inputs, dict(zip(outputs, exprs, strict=True)), constraints)


def _with_derived_sizes(
    program: Program, outputs: Sequence[Expr]
) -> tuple[list[Expr], list[Expr], list[Constraint]]:
    """Inputs, outputs and constraints without names of sizes that others must be equal to.

    Loops over equal sizes fuse if they are seen to be equal.
    """
    inputs, exprs, left = list(program.inputs), list(outputs), list(program.constraints)
    for _ in range(len(left)):
        known = {dim.name for node in inputs for dim in node.shape if isinstance(dim, Size)}
        found = next((each for pair in left if (each := _derivation(pair, known))), None)
        if found is None:
            break
        done = rename_sizes([*inputs, *exprs], found)
        inputs, exprs = done[: len(inputs)], done[len(inputs) :]
        left = [(substitute(a, found), substitute(b, found)) for a, b in left]
        left = [(a, b) for a, b in left if a != b]
    return inputs, exprs, left


def _derivation(pair: Constraint, known: Collection[str | None]) -> dict[str, Dim] | None:
    """What a name stands for, if a constraint says it in other names of sizes."""
    for one, other in (pair, pair[::-1]):
        name = one.name if isinstance(one, Size) else None
        if name is not None and name not in names(other) and names(other) <= set(known):
            return {name: other}
    return None


def decomposed(roots: Sequence[Expr]) -> list[Expr]:
    """The roots with formulas in the place of the operations that have one."""
    done: dict[Expr, Expr] = {}

    def expand(node: Expr, args: tuple[Expr, ...]) -> Expr:
        form = node.op.kernel
        if not isinstance(form, Formula):
            if (
                is_input(node)
                or is_literal(node)
                or all(a is b for a, b in zip(args, node.args, strict=True))
            ):
                return node
            return node.op(*args, **node.attrs)
        made: Expr = form.of(*args, **node.attrs)
        if made not in done:
            (done[made],) = transform([made], expand)
        return done[made]

    return transform(roots, expand)


def _reduces(node: Expr) -> bool:
    return any(node.args[0].shape[axis] != 1 for axis in node.attrs["axes"])


def _given(elements: Elements, node: Expr) -> At:
    """The elements of an output, rounded to its dtype when they are written."""
    (source,) = node.args if node.op is ops.cast.op and node.type.is_float else (node,)
    kept = source if source.type.is_float else node

    def at(indices: Indices) -> Value:
        return elements.exact(elements.at(kept, indices))

    return at


def _store(node: Expr, elements: Elements) -> Store:
    """The store of a node that has a buffer."""
    buffer, form = elements.buffers[node], node.op.kernel
    if isinstance(form, Reduction):
        source = node.args[0]

        def combined(indices: Indices) -> Value:
            return elements.real(elements.at(source, indices))

        return Store(node, source.shape, combined, form.how, buffer)

    def kept(indices: Indices) -> Value:
        return elements.real(elements.computed(node, indices))

    return Store(node, node.shape, kept, buffer=buffer)


def _needed_twice(blocks: Sequence[Block], elements: Elements, nodes: Sequence[Expr]) -> list[Expr]:
    """Costly nodes whose elements more than one innermost loop computes."""
    loops: dict[Expr, set[int]] = {}
    for loop in loops_of(blocks):
        for statement in loop.body:
            if not isinstance(statement, Statement):
                continue
            inner = loop.var
            for value in needed([statement.value]):
                node = elements.costly.get(value.number)
                if node is not None and inner in value.variables:
                    loops.setdefault(node, set()).add(id(loop))
    return [node for node in nodes if len(loops.get(node, ())) > 1]


def _check_interface(inputs: Sequence[Expr], outputs: Mapping[str, Expr]) -> None:
    """Refuse what the operator has no room for, and sizes that no input has as a length."""
    for what, nodes in (("inputs", inputs), ("outputs", outputs.values())):
        if len(nodes) > _MOST:
            raise KernelUnsupportedError(
                f"kernels have at most {_MOST} {what}, here are {len(nodes)}"
            )
        if any(node.rank > _RANK for node in nodes):
            raise KernelUnsupportedError(f"kernels take arrays of at most {_RANK} axes")
    known = {dim.name for node in inputs for dim in node.shape if isinstance(dim, Size)}
    for node in toposort(outputs.values()):
        for value in (node.shape, *node.attrs.values()):
            unknown = _size_names(value) - known
            if unknown:
                raise KernelUnsupportedError(
                    f"kernels know a size by the length of an input, and none has {min(unknown)!r}"
                )


def _size_names(value: object) -> frozenset[str]:
    if isinstance(value, tuple):
        return frozenset[str]().union(*map(_size_names, value))
    return names(value) if isinstance(value, Size) else frozenset()
