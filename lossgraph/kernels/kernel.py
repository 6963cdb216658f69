"""A program as a kernel: the stages, one after the other.

1. *decomposed*: operations that are a formula of others become these.
2. *stores*: what is kept, besides outputs: reductions, and costly values that several loops need.
3. *loops*: a nest for each store, fused into a tree (``loops``).
4. *C*: each outermost loop as a sweep over rows (``emit``), and what surrounds them (``layout``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from ..compiler.program import Program
from ..ir.dims import Dim, Size, names, substitute
from ..ir.expr import Expr, registered, rename_sizes, toposort
from ..ir.kernel_forms import Elementwise
from ..ir.types import Constraint
from ..passes.costs import Target
from ..passes.mixed_precision import widen
from ..passes.rewrite import rewrite
from ..passes.rules import FUSING
from .elements import Elements
from .integers import KernelUnsupportedError
from .layout import Layout
from .loops import Block, fused
from .prepare import prepared
from .stores import Stores

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
        roots = prepared(self.inputs, rewrite(widen(list(outputs.values())), FUSING))
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
        dtypes = {node.dtype for node in _all_nodes(self.decomposed.values())}
        return 64 if "float64" in dtypes else 32

    @cached_property
    def name(self) -> str:
        """The operator's name, by what it computes."""
        return f"Fused_{hashlib.sha256(self._first_text.encode()).hexdigest()[:16]}"

    def text(self, number: int) -> str:
        """The C of it, with names that end in a number."""
        body = self.layout.text(number) if number else self._first_text
        return f'#define LG_NAME_{number} "{self.name}"\n{body}'

    @cached_property
    def _first_text(self) -> str:
        """Written once, for the name and for a library of this kernel alone."""
        return self.layout.text(0)

    # --- stages ---

    def _fused(self) -> list[Block]:
        stores = Stores(self._elements, list(self.decomposed.values()))
        blocks = fused(stores.all())
        return fused(stores.all()) if stores.keep_what_is_needed_twice(blocks) else blocks

    def _demands(self) -> list[Constraint]:
        """Pairs of sizes that are compared when the kernel is called."""
        nodes = _all_nodes(self.outputs.values())
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


def _all_nodes(roots: Iterable[Expr]) -> Iterator[Expr]:
    """Nodes and those of bodies."""
    for node in toposort(roots):
        yield node
        if node.op.has_body:
            yield from _all_nodes(node.attrs["body"].outputs)


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
    for node in _all_nodes(outputs.values()):
        shape = () if node.op.has_body else node.shape
        for value in (shape, *node.attrs.values()):
            unknown = _size_names(value) - known
            if unknown:
                raise KernelUnsupportedError(
                    f"kernels know a size by the length of an input, and none has {min(unknown)!r}"
                )


def _size_names(value: object) -> frozenset[str]:
    if isinstance(value, tuple):
        return frozenset[str]().union(*map(_size_names, value))
    return names(value) if isinstance(value, Size) else frozenset()
