"""What is computed of each piece of a table: decided once, carried to every worker.

A plan is plain data: it pickles, so that an engine sends it once and each of its processes makes
its own session of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from ..authoring.block import Block
from ..compiler.rows import RowProgram, by_batches, by_rows
from ..errors import InputError
from ..ir.types import numpy_dtype
from ..runtime.kernel_request import kernels_setting
from .asked import Asked
from .columns import Binding, bind, bound_numbers
from .columns.names import require_column
from .coupled import Batches
from .gradients import GRADIENTS, GradientSums

Array = np.ndarray[Any, Any]

ROWS = "N"  # the name of the axis of rows
NULLS = ("refuse", "skip")


@dataclass(frozen=True)
class Plan:
    """How a batch of a table becomes terms of a loss, and what is kept of them.

    Attributes:
        rows: the program, with a term for each row.
        binding: what columns the inputs of rows are made of.
        shared: the inputs that all rows share.
        by: the columns whose values make the groups.
        weights: the column of weights, if rows have any.
        nulls: what becomes of rows with a null in a column of an input: ``refuse`` or ``skip``.
        against: what columns the inputs of rows are made of for the other model, if any.
        keep: further columns that are read, for what is collected beside the statistics.
        collect: what is collected beside the statistics, by names.
        accuracy: the relative accuracy of quantiles.
        batches: which rows are a batch, of a loss that couples its rows; what is said of rows is
            then said of batches, each of which has one loss.
        kernels: whether a fused kernel computes the terms. It has equal bits wherever a row stands;
            ONNX Runtime adds up a row in an order that depends on its address in memory.
    """

    rows: RowProgram
    binding: Binding
    shared: Mapping[str, Array]
    by: tuple[str, ...] = ()
    weights: str | None = None
    nulls: str = "refuse"
    against: Binding | None = None
    keep: tuple[str, ...] = ()
    collect: Mapping[str, Asked] = field(default_factory=dict)
    accuracy: float = 0.005
    batches: Batches | None = None
    kernels: bool = True

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that are read."""
        other = self.against.columns if self.against else ()
        weights = (self.weights,) if self.weights else ()
        batches = self.batches.by if self.batches else ()
        names = (*self.binding.columns, *other, *weights, *batches, *self.by, *self.keep)
        return tuple(dict.fromkeys(names))

    def settled(self, batch: pa.RecordBatch) -> Plan:
        """The same plan, for lists of the lengths that the first row of a batch has."""
        against = self.against and self.against.settled(batch)
        return replace(self, binding=self.binding.settled(batch), against=against)

    @property
    def is_settled(self) -> bool:
        """Whether the lengths of all lists are known that are the same in all rows."""
        return self.binding.is_settled and (self.against is None or self.against.is_settled)

    @property
    def weighted(self) -> bool:
        """Whether rows have weights, of their own or by the loss."""
        return self.weights is not None or self.rows.scaled

    @property
    def measures(self) -> tuple[str, ...]:
        """What has statistics: the loss, its parts, the loss of the other model."""
        other = ("against", "difference") if self.against else ()
        return ("loss", *self.rows.parts, *other)

    @property
    def gradients_of_rows(self) -> tuple[str, ...]:
        """The inputs whose gradients are arrays of rows."""
        return tuple(name for name in self.rows.program.wrt if name in self.rows.rows)

    @property
    def shared_gradients(self) -> tuple[str, ...]:
        """The inputs whose gradients are sums over rows."""
        return tuple(name for name in self.rows.program.wrt if name not in self.rows.rows)


def plan_of(
    loss: Block,
    schema: pa.Schema,
    columns: Mapping[str, Any],
    *,
    by: Sequence[str] = (),
    weights: str | None = None,
    grad: Sequence[str] = (),
    shared: Mapping[str, Any] | None = None,
    against: Mapping[str, Any] | None = None,
    classes: Mapping[str, Any] | None = None,
    nulls: str = "refuse",
    ragged: str = "refuse",
    keep: Sequence[str] = (),
    collect: Mapping[str, Asked] | None = None,
    dtype: str | None = None,
    batches: Batches | None = None,
) -> Plan:
    """The plan of a loss for a table with these columns, computed in a dtype if one is given.

    Raises:
        CoupledRowsError: if rows have no losses of their own.
        InputError: for columns that are not there, or do not fit.
    """
    if nulls not in NULLS:
        raise InputError(f"nulls: expected 'refuse' or 'skip', got {nulls!r}")
    shared_arrays = {name: _shared_array(name, value) for name, value in (shared or {}).items()}
    twice = [name for name in shared_arrays if name in columns]
    if twice:
        raise InputError(f"{twice[0]} is made of a column and shared by all rows: choose one")
    if dtype is not None:
        shared_arrays = {n: _float_in(dtype, array) for n, array in shared_arrays.items()}
    bound = partial(
        _bound, dtype, schema, loss, shared=tuple(shared_arrays), ragged=ragged, classes=classes
    )
    known = {name: (str(array.dtype), array.shape) for name, array in shared_arrays.items()}
    program, binding = bound(columns).program(loss, ROWS, known)
    strange = [name for name in against or () if name not in columns]
    if strange:
        raise InputError(f"against: {strange[0]!r} has no column to compare with: {[*columns]}")
    other = bound({**columns, **against}) if against else None
    if batches is not None and weights:
        raise InputError("weights: rows of a batch have no weights of their own but in the loss")
    if batches is not None and ragged != "refuse":
        raise InputError("ragged: lists of the rows of one batch are of one length")
    if weights:
        bound_numbers(schema, "weights", weights)
    together = batches.by if batches else ()
    for what, names in {"by": by, "keep": keep, "batch_by": together}.items():
        for name in names:
            require_column(what, name, schema.names)
    types = binding.types(ROWS)
    if other is not None and other.types(ROWS) != types:
        _, other = other.program(loss, ROWS, known)  # lists that are of one length as well
    if other is not None and other.types(ROWS) != types:
        raise InputError(f"against: the columns are {other.types(ROWS)}, and not {types}")
    rows = (by_rows if batches is None else by_batches)(program, ROWS, grad)
    return Plan(
        rows, binding, shared_arrays, tuple(by), weights, nulls, other, tuple(keep),
        {**(collect or {}), **_sums_of_gradients(rows, shared_arrays)}, batches=batches,
        kernels=kernels_setting(None) is not False,
    )  # fmt: skip


def _bound(dtype: str | None, schema: pa.Schema, loss: Block, *args: Any, **named: Any) -> Binding:
    """Columns bound to inputs, floats of which are in a dtype if one is given."""
    binding = bind(schema, loss, *args, **named)
    if dtype is None:
        return binding
    wanted = np.dtype(numpy_dtype(dtype))
    inputs = [replace(x, dtype=wanted) if x.dtype.kind == "f" else x for x in binding.bound]
    return replace(binding, bound=tuple(inputs))


def _float_in(dtype: str, array: Array) -> Array:
    return array.astype(numpy_dtype(dtype)) if array.dtype.kind == "f" else array


def _sums_of_gradients(rows: RowProgram, shared: Mapping[str, Array]) -> dict[str, Asked]:
    shapes = {name: shared[name].shape for name in rows.program.wrt if name in shared}
    return {GRADIENTS: GradientSums(shapes)} if shapes else {}


def _shared_array(name: str, value: Any) -> Array:
    """An input that all rows share: numbers as float32, as everywhere in lossgraph."""
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise InputError(f"shared: {name} is no array of numbers but {value!r}")
    given = isinstance(value, (np.ndarray, np.generic))
    array = array if given or array.dtype.kind != "f" else array.astype("f")
    return np.ascontiguousarray(array).reshape(array.shape)  # which numbers lose there
