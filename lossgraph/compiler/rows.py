"""Programs with one number for each row: of a loss that is a mean over rows, or one of its values.

A table is not one batch: it is read piece by piece. What can be added up over pieces are the terms
of rows, so the mean over a batch, which a loss may have at its end, is taken off here, and taken
over the whole table elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..errors import InputError
from ..ir.dims import named
from ..ir.expr import Expr, const, inputs_of, is_input, substitute, variable
from ..ir.ops import add, cast, div, full, mul, neg, reduce_sum, reshape, sub
from ..ir.types import tensor_type
from ..passes import autodiff
from ..passes.batch_partition import BATCH_SIZE, BatchPartition, partition_batch
from .outputs import auxiliary_outputs, gradient_outputs, value_outputs
from .program import Program, finished, inputs_of_gradients

SCALE = "scale"  # the auxiliary output that has the number each row's term is divided by
WEIGHT = "row_weight"  # the input that weighs rows in gradients by what all rows share

_LINEAR = (add, sub, neg, mul, div)


class CoupledRowsError(InputError):
    """The loss of a row depends on the other rows of its batch."""


@dataclass(frozen=True)
class RowProgram:
    """A program of terms of rows.

    The loss of a table is the sum of its terms (times the weights of rows) by the sum of their
    scales (times the same weights), 1 each where the program has no scales. A row's own loss is
    its term by its scale.

    Attributes:
        program: its value has a term for each row, of shape (N,); the outputs beside it are terms
            of parts, by their names, and scales as ``SCALE``. Gradients by inputs of rows are
            those of each row's own loss; by shared inputs of the weighed sum of all terms.
        parts: the names of the parts.
        scaled: whether rows have scales, as where elements are ignored, or weigh by their class.
        rows: the inputs that have a row for each row.
        shared: the inputs that all rows share.
    """

    program: Program
    parts: tuple[str, ...]
    scaled: bool
    rows: tuple[str, ...]
    shared: tuple[str, ...]


def by_rows(program: Program, dim: str, grad: Sequence[str] = ()) -> RowProgram:
    """The program of the rows of a loss.

    Args:
        program: of the loss, without gradients; inputs of rows have ``dim`` as their first axis.
        dim: the name of the axis of rows.
        grad: inputs whose gradients are wanted.

    Raises:
        CoupledRowsError: if the loss is no mean, sum or list of losses of single rows.
        GradientError: for a gradient that does not exist.
        InputError: for names of ``grad`` that are no inputs.
    """
    found = {output.name: output for output in program.differentiable}
    partition = partition_batch(
        program.inputs, {name: output.expr for name, output in found.items()}
    )
    if (
        partition is None
        or partition.dim != dim
        or not all(axis in (0, None) for axis in partition.inputs.values())
    ):
        raise CoupledRowsError(_coupled(program.name))
    rows = tuple(name for name, axis in partition.inputs.items() if axis == 0)
    maker = _Terms(program.name, partition, dim)
    terms = {name: maker.term(name) for name in found}
    scales = list(dict.fromkeys(scale for _, scale in terms.values()))
    if len(scales) > 1:
        raise CoupledRowsError(
            f"{program.name}: its parts are means over different elements: let the loss of the "
            "parts have reduction='none'"
        )
    if len(program.values) != 1:
        raise InputError(f"{program.name} has {len(program.values)} values: a table needs one")
    scale = scales[0]
    value = terms.pop(program.values[0])[0]
    parts = {found[name].key: term for name, (term, _) in terms.items()}
    if SCALE in parts:
        raise InputError(f"{program.name} has a part called {SCALE!r}: rename it")
    outputs = (
        *value_outputs([value], several=False),
        *auxiliary_outputs(parts | ({} if scale is None else {SCALE: scale})),
    )
    shared = tuple(name for name in partition.inputs if name not in rows)
    gradients, further = _gradients(program, value, scale, grad, rows)
    outputs = (*outputs, *gradient_outputs(gradients))
    made = replace(
        program,
        inputs=(*program.inputs, *further),
        differentiable=outputs,
        typed_outputs=finished(outputs),
    )
    return RowProgram(made, tuple(parts), scale is not None, rows, shared)


def _coupled(name: str) -> str:
    return (
        f"{name} has no loss of a single row: it depends on which rows are in a batch together, so "
        "a table cannot be cut where it likes. Say what belongs together by batch_by or batch_size"
    )


def _gradients(
    program: Program, value: Expr, scale: Expr | None, grad: Sequence[str], rows: Sequence[str]
) -> tuple[dict[str, Expr], list[Expr]]:
    """Gradients of each row's loss by its inputs, of the weighed sum of terms by shared ones."""
    gradients: dict[str, Expr] = {}
    further: list[Expr] = []
    own = [name for name in grad if name in rows]
    common = [name for name in grad if name not in rows]
    if own:
        each = value if scale is None else div(value, cast(scale, value.dtype))
        ones = full(1.0, each.dtype, each.shape)
        pulled = autodiff.vjp([each], [ones], inputs_of_gradients(program.inputs, own))
        gradients |= dict(zip(own, pulled, strict=True))
    if common:
        weight = variable(WEIGHT, value.type)
        further.append(weight)
        pulled = autodiff.vjp([value], [weight], inputs_of_gradients(program.inputs, common))
        gradients |= dict(zip(common, pulled, strict=True))
    return {name: gradients[name] for name in grad}, further


class _Terms:
    """What each row adds to an output: its term, and its scale where the output is a quotient."""

    def __init__(self, name: str, partition: BatchPartition, dim: str) -> None:
        self._name, self._partition = name, partition
        one = {variable(BATCH_SIZE, tensor_type("int64", ())): const(1, "int64")}
        combined = list(partition.combined.values())
        self._combined = dict(zip(partition.combined, substitute(combined, one), strict=True))
        self._rows = (named(dim),)

    def term(self, output: str) -> tuple[Expr, Expr | None]:
        """The term and scale of each row, of shape (N,)."""
        if output in self._partition.outputs:
            return self._mean_of_row(output), None
        root = _bare(self._combined[output])
        if root.op is div and self._has_sums(root.args[1]):
            return self._linear(root.args[0]), self._linear(root.args[1])
        return self._linear(root), None

    def _mean_of_row(self, output: str) -> Expr:
        value = self._partition.per_shard[output]
        if self._partition.outputs[output] != 0:
            raise CoupledRowsError(_coupled(self._name))
        if value.rank == 1:
            return value
        axes = range(1, value.rank)
        count = full(1.0, value.dtype, value.shape)
        mean = div(reduce_sum(value, axes), reduce_sum(count, axes))
        return reshape(mean, value.shape[:1])

    def _has_sums(self, node: Expr) -> bool:
        return any(each.attrs["name"] in self._partition.sums for each in inputs_of([node]))

    def _linear(self, node: Expr) -> Expr:
        """An expression of sums over rows for each row alone."""
        node = _bare(node)
        if is_input(node) and node.attrs["name"] in self._partition.sums:
            return self._own(node)
        if not self._has_sums(node):
            return self._repeated(node)
        if node.op in _LINEAR and self._is_linear(node):
            return node.op(*(self._linear(arg) for arg in node.args))
        raise CoupledRowsError(_coupled(self._name))

    def _is_linear(self, node: Expr) -> bool:
        if node.op in (mul, div):
            left, right = (self._has_sums(arg) for arg in node.args)
            return not (left and right) and (left or node.op is mul)
        return True

    def _own(self, node: Expr) -> Expr:
        """What one row adds to a sum over rows, in the dtype of the sum."""
        total = self._partition.per_shard[node.attrs["name"]]
        (addend,) = total.args
        addend = _bare(addend) if addend.op is cast.op else addend
        return cast(reshape(addend, self._rows), node.dtype)

    def _repeated(self, node: Expr) -> Expr:
        """A number that all rows share, for each of them."""
        single = reshape(node, ())
        return mul(full(1.0, node.dtype, self._rows), single)


def _bare(node: Expr) -> Expr:
    """An expression without what only moves or converts its elements."""
    while node.op in (reshape.op, cast.op) and node.args[0].type.is_float:
        node = node.args[0]
    return node
