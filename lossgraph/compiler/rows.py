"""Programs with one number for each row: of a loss that is a mean over rows, or one of its values.

A table is not one batch: it is read piece by piece. What can be added up over pieces are the terms
of rows, so the mean over a batch, which a loss may have at its end, is taken off here, and taken
over the whole table elsewhere. ``row_shares`` has the arithmetic of that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from ..errors import GradientError, InputError
from ..ir.dims import named
from ..ir.expr import Expr, inputs_of, variable
from ..ir.ops import cast, div, expand_dims, full
from ..passes import autodiff
from ..passes.batch_partition import BATCH_SIZE, BatchPartition, partition_batch
from .outputs import Output, auxiliary_outputs, gradient_outputs, value_outputs
from .program import Program, finished, inputs_of_gradients
from .row_shares import NotASumOfRowsError, Share, share_of, share_of_rows

SCALE = "scale"  # the auxiliary output that has the number each row's term is divided by
WEIGHT = "row_weight"  # the input that weighs rows in gradients by what all rows share


class CoupledRowsError(InputError):
    """The loss of a row depends on the other rows of its batch."""


@dataclass(frozen=True)
class RowProgram:
    """A program of terms of rows.

    The loss of a table is the sum of its terms (times the weights of rows) by the sum of their
    scales (times the same weights), 1 each where the program has no scales. A row's own loss is
    its term by its scale. Of a loss that is a sum over rows it is the mean instead.

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
        GradientError: for a gradient that does not exist, or of what rows are divided by.
        InputError: for a loss of several values, rows along another axis, and names of ``grad``
            that are no inputs.
    """
    _require_one_value(program)
    rows = _inputs_with_rows(program, dim)
    found = {output.name: output for output in program.differentiable}
    terms, scale = _terms(program, found, dim)
    value = terms.pop(program.values[0])
    parts = {found[name].key: term for name, term in terms.items()}
    return _row_program(program, value, parts, scale, grad, rows)


def by_batches(program: Program, dim: str, grad: Sequence[str] = ()) -> RowProgram:
    """The program of a whole batch as one row: of a loss that couples the rows of a batch.

    Its value has shape (1,): the mean of the loss where that has several elements.

    Args:
        program: of the loss, without gradients; inputs of rows have ``dim`` as their first axis.
        dim: the name of the axis of rows.
        grad: inputs that all rows share, whose gradients are wanted.

    Raises:
        GradientError: for a gradient that does not exist.
        InputError: for a loss of several values, rows along another axis, names of ``grad`` that
            are no inputs, and inputs of rows among them.
    """
    _require_one_value(program)
    rows = _inputs_with_rows(program, dim)
    for name in grad:
        if name in rows:
            raise InputError(f"no gradient by {name!r}: rows have no loss of their own in a batch")
    means = {o.key: share_of_rows(expand_dims(o.expr, (0,))).mean() for o in program.differentiable}
    return _row_program(program, means.pop(""), means, None, grad, rows)


def _row_program(
    program: Program,
    value: Expr,
    parts: Mapping[str, Expr],
    scale: Expr | None,
    grad: Sequence[str],
    rows: tuple[str, ...],
) -> RowProgram:
    if SCALE in parts:
        raise InputError(f"{program.name} has a part called {SCALE!r}: rename it")
    outputs = (
        *value_outputs([value], several=False),
        *auxiliary_outputs({**parts, **({} if scale is None else {SCALE: scale})}),
    )
    gradients, further = _gradients(program, value, scale, grad, rows)
    outputs = (*outputs, *gradient_outputs(gradients))
    made = replace(
        program,
        inputs=(*program.inputs, *further),
        differentiable=outputs,
        typed_outputs=finished(outputs),
    )
    shared = tuple(n.attrs["name"] for n in program.inputs if n.attrs["name"] not in rows)
    return RowProgram(made, tuple(parts), scale is not None, rows, shared)


def _require_one_value(program: Program) -> None:
    if len(program.values) != 1:
        raise InputError(f"{program.name} has {len(program.values)} values: a table needs one")


def _inputs_with_rows(program: Program, dim: str) -> tuple[str, ...]:
    rows = []
    for node in program.inputs:
        name = node.attrs["name"]
        axes = [axis for axis, size in enumerate(node.shape) if size == named(dim)]
        if axes and axes[0] != 0:
            raise InputError(
                f"{program.name}: rows of {name} lie along its axis {axes[0]}, those of a table "
                f"along the first: write a function of F that transposes {name} for this loss"
            )
        if axes:
            rows.append(name)
    if not rows:
        raise InputError(f"{program.name} has no input with the rows {dim!r}")
    return tuple(rows)


def _terms(
    program: Program, found: dict[str, Output], dim: str
) -> tuple[dict[str, Expr], Expr | None]:
    """The terms of each output, and their common scale."""
    exprs = {name: output.expr for name, output in found.items()}
    partition = partition_batch(program.inputs, exprs, dim)
    if partition is None or not partition.contiguous or _counts_rows(partition):
        raise CoupledRowsError(_coupled(program.name))
    try:
        shares = {name: _share(partition, name) for name in found}
        return _with_one_scale(shares, dim)
    except NotASumOfRowsError as error:
        reason = f"{program.name}: {error}" if str(error) else _coupled(program.name)
        raise CoupledRowsError(reason) from None


def _counts_rows(partition: BatchPartition) -> bool:
    """Whether what a row adds depends on how many there are."""
    nodes = inputs_of(list(partition.per_shard.values()))
    return any(node.attrs["name"] == BATCH_SIZE for node in nodes)


def _share(partition: BatchPartition, output: str) -> Share:
    if output in partition.outputs:
        return share_of_rows(partition.per_shard[output])
    sums = {name: partition.per_shard[name] for name in partition.sums}
    return share_of(partition.combined[output], sums)


def _with_one_scale(shares: dict[str, Share], dim: str) -> tuple[dict[str, Expr], Expr | None]:
    scales = list(dict.fromkeys(share.scale for share in shares.values()))
    if len(scales) > 1:
        raise NotASumOfRowsError(
            "its parts are means over different elements: let the loss of the parts have "
            "reduction='none'"
        )
    return {name: share.term(dim) for name, share in shares.items()}, scales[0]


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
        wrt = inputs_of_gradients(program.inputs, common)
        _check_scale_is_fixed(program, scale, wrt)
        weight = variable(WEIGHT, value.type)
        further.append(weight)
        gradients |= dict(zip(common, autodiff.vjp([value], [weight], wrt), strict=True))
    return {name: gradients[name] for name in grad}, further


def _check_scale_is_fixed(program: Program, scale: Expr | None, wrt: Sequence[Expr]) -> None:
    inputs = [] if scale is None else inputs_of([scale])
    for node in wrt:
        if node in inputs:
            raise GradientError(
                f"{program.name}: no gradient by {node.attrs['name']!r} over a table, since the "
                "sum of the losses of rows is divided by a sum of it"
            )
