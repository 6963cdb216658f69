"""A program as a kernel: the stages, one after the other.

1. *decomposed*: operations that are a formula of others become these.
2. *stores*: what is kept, besides outputs: reductions, and costly values that several loops need.
3. *loops*: a nest for each store, fused into a tree (``loops``).
4. *C*: each outermost loop as a sweep over rows (``emit``), and what surrounds them (``layout``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property

from ..compiler.program import Program
from ..ir.expr import Expr, registered, toposort
from ..ir.kernel_forms import Elementwise
from ..passes.costs import Target
from ..passes.rewrite import rewrite
from ..passes.rules import FUSING
from .elements import Elements, KernelUnsupportedError
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

    def __init__(self, inputs: Sequence[Expr], outputs: Mapping[str, Expr]) -> None:
        self.inputs, self.outputs = tuple(inputs), dict(outputs)
        _check_interface(self.inputs, self.outputs)
        roots = prepared(self.inputs, rewrite(list(outputs.values()), FUSING))
        self.decomposed = dict(zip(self.outputs, roots, strict=True))
        self._elements = Elements(
            {node: i for i, node in enumerate(self.inputs)}, f"float{self.bits}"
        )
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
        )

    @cached_property
    def bits(self) -> int:
        """The width of the real numbers that it computes with."""
        return 64 if "float64" in self._real_dtypes() else 32

    @cached_property
    def name(self) -> str:
        """The operator's name, by what it computes."""
        return f"Fused_{hashlib.sha256(self.layout.text('', 0).encode()).hexdigest()[:16]}"

    def text(self, number: int) -> str:
        """The C of it, with names that end in a number."""
        return self.layout.text(self.name, number)

    # --- stages ---

    def _fused(self) -> list[Block]:
        stores = Stores(self._elements, list(self.decomposed.values()))
        blocks = fused(stores.all())
        return fused(stores.all()) if stores.keep_what_is_needed_twice(blocks) else blocks

    def _real_dtypes(self) -> set[str]:
        nodes = toposort(self.decomposed.values())
        inner = toposort(o for n in nodes if n.op.has_body for o in n.attrs["body"].outputs)
        found = {n.dtype for n in (*nodes, *inner) if not n.op.has_body and n.type.is_float}
        if "float64" in found and len(found) > 1:
            raise KernelUnsupportedError("kernels compute in float32 or in float64, not in both")
        return found


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
    inputs, exprs = _with_one_name_a_size(program, list(outputs.values()))
    return Kernel(inputs, dict(zip(outputs, exprs, strict=True)))


def _with_one_name_a_size(
    program: Program, outputs: Sequence[Expr]
) -> tuple[list[Expr], list[Expr]]:
    """Inputs and outputs with sizes that must be equal under one name."""
    return list(program.inputs), list(outputs)


def _check_interface(inputs: Sequence[Expr], outputs: Mapping[str, Expr]) -> None:
    for what, nodes in (("inputs", inputs), ("outputs", outputs.values())):
        if len(nodes) > _MOST:
            raise KernelUnsupportedError(
                f"kernels have at most {_MOST} {what}, here are {len(nodes)}"
            )
        if any(node.rank > _RANK for node in nodes):
            raise KernelUnsupportedError(f"kernels take arrays of at most {_RANK} axes")
