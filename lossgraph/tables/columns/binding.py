"""Columns bound to the inputs of a loss: their types, and the arrays of a batch of rows."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from ...authoring.block import Block
from ...authoring.options import one_of
from ...catalogue import hint
from ...compiler.program import Program
from ...errors import InputError, SpecializationError, UnequalDimsError
from ...ir.types import tensor_type
from .bound import BoundInput, Type, bound_input
from .cells import null_rows
from .classes import Classes, Said, classes_of
from .inputs import check_inputs, declared_of, dtype_for, inputs_of
from .labels import label_outside
from .names import listed
from .padding import Filler, Ragged, axes_of, fillers_of, groups_of
from .pieces import Piece
from .rows import BadRowError

Array = np.ndarray[Any, Any]
Columns = Mapping[str, str | Sequence[str]]

_ADVICE = ": ragged='pad' pads them"


@dataclass(frozen=True)
class Binding:
    """The columns of a table as inputs of a loss; made by ``bind``.

    Attributes:
        bound: the inputs that columns give.
        fillers: the inputs that say where padded lists end.
    """

    bound: tuple[BoundInput, ...]
    fillers: tuple[Filler, ...] = ()

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """The names of the inputs."""
        return (*(each.input for each in self.bound), *(each.input for each in self.fillers))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns to be read, each once."""
        return tuple(dict.fromkeys(name for each in self.bound for name in each.columns))

    @cached_property
    def _padded(self) -> dict[str, BoundInput]:
        """One of the inputs of each padded axis, by the name of the axis."""
        return {each.padded: each for each in reversed(self.bound) if each.padded}

    @property
    def is_settled(self) -> bool:
        """Whether all lengths are known that are those of all rows."""
        return all(each.is_settled for each in self.bound)

    def settled(self, batch: pa.RecordBatch) -> Binding:
        """The same with the lengths of the lists in the first row of a batch for all rows.

        Types then have no dims but those of rows and of padded lists, and a row of another length
        is refused, in whatever batch it is. Rows with nulls are left out; a batch in which there
        is no list to measure changes nothing.
        """
        missing = self.missing(batch)
        if missing is not None:
            batch = batch.filter(pa.array(~missing))
        if self.is_settled or not batch.num_rows:
            return self
        bound = [replace(each, lengths=each.measured(batch)) for each in self.bound]
        _require_one_length(bound)
        return replace(self, bound=tuple(bound))

    def program(
        self, loss: Block, dim: str, shared: Mapping[str, Type] | None = None
    ) -> tuple[Program, Binding]:
        """The program of a loss for these inputs, and the same binding of lists as that needs them.

        Lengths that no column's type says are named; some may have to be equal.

        Args:
            loss: the loss.
            dim: the name of the axis of rows.
            shared: the types of the inputs that all rows share.

        Raises:
            InputError: for types that the loss does not take.
        """
        types = {name: tensor_type(*t) for name, t in {**self.types(dim), **(shared or {})}.items()}
        try:
            return loss.program(types), self
        except (UnequalDimsError, SpecializationError) as error:
            dims = _dims(error)
            united = replace(self, bound=tuple(each.united(dims) for each in self.bound))
            if united == self or dim in map(str, dims):
                raise
        return united.program(loss, dim, shared)

    def types(self, dim: str) -> dict[str, Type]:
        """The types of the inputs, ``dim`` being the name of the axis of rows."""
        types = {each.input: each.type(dim) for each in self.bound}
        for filler in self.fillers:
            axis = types[filler.of[0]][1][1]
            types[filler.input] = filler.type(dim, axis)
        return types

    def arrays(
        self, batch: pa.RecordBatch, lengths: Mapping[str, int] | None = None
    ) -> dict[str, Array]:
        """The arrays of a batch by input, C-contiguous; read-only where they are Arrow's memory.

        Args:
            batch: the rows, with the columns.
            lengths: what lists are padded to, by the names of their axes; the longest in the batch
                by default.

        Raises:
            BadRowError: for a cell that is null, or does not fit.
        """
        read = self._read(batch)
        own = {axis: lists.lengths for axis, lists in self._lists(read).items()}
        longest = {axis: int(n.max(initial=0)) for axis, n in own.items()}
        return self._arrays(read, {**longest, **(lengths or {})}, None)

    def pieces(self, batch: pa.RecordBatch) -> list[Piece]:
        """A batch in pieces of rows that are padded to one length.

        What a row is padded to depends on the row alone, and so does its loss, to the last bit:
        sums over more zeros may be rounded otherwise.

        Raises:
            BadRowError: for a cell that is null, or does not fit.
        """
        read = self._read(batch)
        own = {axis: lists.lengths for axis, lists in self._lists(read).items()}
        if not own or not batch.num_rows:
            return [Piece(None, self._arrays(read, dict.fromkeys(own, 1), None))]
        groups = groups_of(own)
        if len(groups) == 1:
            return [Piece(None, self._arrays(read, groups[0][1], None))]
        return [Piece(rows, self._arrays(read, longest, rows)) for rows, longest in groups]

    def missing(self, batch: pa.RecordBatch) -> Array | None:
        """Which rows have a null in a column, at any depth of its lists; None if none has."""
        found = None
        for column in self.columns:
            nulls = null_rows(batch.column(column))
            if nulls is not None:
                found = np.zeros(batch.num_rows, bool) if found is None else found
                found[nulls] = True
        return found

    def check_labels(
        self, program: Program, arrays: Mapping[str, Array], thorough: bool = False
    ) -> None:
        """Refuse class labels, and lengths, that are none, before an engine does.

        It costs two passes over the labels. Where the loss computes with labels before it looks
        them up, as where one of them is ignored, a label that becomes none may be left to the
        engine, whose refusal names no row: ``thorough`` finds it.

        Args:
            program: of the loss.
            arrays: all its inputs, those that rows share too.
            thorough: whether to compute what the loss looks up.

        Raises:
            BadRowError: for the first row with such a label.
        """
        found = label_outside(program, arrays, thorough)
        if found is not None:
            name, row, reason = found
            column = {each.input: each.columns[0] for each in self.bound}.get(name, name)
            raise BadRowError(row, column, reason)

    def _read(self, batch: pa.RecordBatch) -> dict[str, Array | Ragged]:
        """The cells of a batch by input.

        Raises:
            BadRowError: for a cell that does not fit, and lists of one axis that differ in length.
        """
        read = {each.input: each.read(batch) for each in self.bound}
        lists = self._lists(read)
        for each in self.bound:
            own = read[each.input]
            if isinstance(own, Ragged) and own is not (other := lists[each.padded]):
                self._require_equal(each, own.lengths, other.lengths)
        return read

    def _require_equal(self, each: BoundInput, own: Array, other: Array) -> None:
        if not np.array_equal(own, other):
            row = int(np.argmax(own != other))
            column = self._padded[each.padded].columns[0]
            reason = f"has a list of length {own[row]}, and {column!r} one of {other[row]}"
            raise BadRowError(row, each.columns[0], reason)

    def _lists(self, read: Mapping[str, Array | Ragged]) -> dict[str, Ragged]:
        """The lists of one input of each padded axis, by the name of the axis."""
        found = {axis: read[each.input] for axis, each in self._padded.items()}
        return {axis: lists for axis, lists in found.items() if isinstance(lists, Ragged)}

    def _arrays(
        self, read: Mapping[str, Array | Ragged], longest: Mapping[str, int], rows: Array | None
    ) -> dict[str, Array]:
        """The arrays of a batch, or of some of its rows, lists padded to lengths."""
        arrays = {
            each.input: _dense(read[each.input], longest.get(each.padded, 0), rows)
            for each in self.bound
        }
        for filler in self.fillers:
            first, (count, length) = read[filler.of[0]], arrays[filler.of[0]].shape[:2]
            own = np.full(count, length)
            if isinstance(first, Ragged):
                own = first.lengths if rows is None else first.lengths[rows]
            arrays[filler.input] = filler.array(own, length)
        return arrays


def _dense(read: Array | Ragged, longest: int, rows: Array | None) -> Array:
    if isinstance(read, Ragged):
        return read.padded(longest, rows)
    return read if rows is None else read[rows]


def bind(
    schema: pa.Schema,
    loss: Block,
    columns: Columns,
    *,
    shared: Collection[str] = (),
    classes: Mapping[str, Said] | None = None,
    ragged: str = "refuse",
) -> Binding:
    """The columns of a table as inputs of a loss.

    Floats, and integers that are labels, stay as they are stored; the dtype of the loss's first
    input is that of the result. Integers that a loss computes with, and decimals, become float64,
    floats that are labels int64, what masks are made of bool.

    Args:
        schema: of the table.
        loss: the loss.
        columns: the column of each input; a list of columns, or a pattern like ``logit_*``, is one
            input of columns side by side, in the order of the numbers in their names.
        shared: the inputs that all rows share, which no column gives.
        classes: what stands in the columns of class labels: the classes of an input in order, their
            numbers by value, or the path of a file of JSON of one of these.
        ragged: ``refuse`` lists of different lengths, or ``pad`` them with zeros where the loss has
            an input for their lengths or for a mask, which then need not be given.

    Raises:
        InputError: for inputs and columns that there are not, and columns of no numbers.
    """
    one_of("ragged", ragged, ("refuse", "pad"))
    named = _classes(columns, classes or {})
    found = [bound_input(schema, name, said, named.get(name)) for name, said in columns.items()]
    fillers = _fillers(loss, found, shared)
    filled = [each.input for each in fillers] if ragged == "pad" else []
    check_inputs(loss, columns, shared, filled, [each.input for each in fillers])
    shapes = {name: example.shape for name, example in declared_of(loss).items()}
    found = [each.named(shapes.get(each.input, ())) for each in found]
    order = {name: i for i, name in enumerate(inputs_of(loss))}
    found = sorted(_typed(loss, found), key=lambda each: order.get(each.input, len(order)))
    if ragged == "refuse":
        lists = {name for each in fillers for name in each.of}
        return Binding(tuple(replace(x, advice=_ADVICE * (x.input in lists)) for x in found))
    found = [_with_padding(each, found, fillers) for each in found]
    kept = (each for each in fillers if each.input not in columns and _is_used(loss, each, found))
    return Binding(tuple(found), tuple(kept))


def _dims(error: UnequalDimsError | SpecializationError) -> tuple[object, ...]:
    """The dims that a loss must have equal."""
    if isinstance(error, UnequalDimsError):
        return error.dims
    return error.names if error.number is None else (*error.names, error.number)


def _require_one_length(bound: Sequence[BoundInput]) -> None:
    """Refuse lists of different lengths that are one axis of the loss.

    Raises:
        InputError: naming their columns.
    """
    known: dict[str, tuple[int, str]] = {}
    for each in bound:
        for length, name in zip(each.lengths, each.names, strict=True):
            if length is None:
                continue
            other, column = known.setdefault(name, (length, each.columns[0]))
            if other != length:
                raise InputError(
                    f"{each.input}: column {each.columns[0]!r} has lists of length {length}, and "
                    f"{column!r} of {other}: the loss needs equal ones"
                )


def _classes(columns: Columns, said: Mapping[str, Said]) -> dict[str, Classes]:
    for name in said:
        if name not in columns:
            raise InputError(
                f"classes: no column is given for {name!r}{hint(name, columns)}: "
                f"there are columns for {listed([*columns])}"
            )
    return {name: classes_of(name, each) for name, each in said.items()}


def _typed(loss: Block, found: Sequence[BoundInput]) -> list[BoundInput]:
    """Inputs in the dtypes that the loss needs; classes by name are numbers already."""
    ranks = {each.input: each.rank for each in found}
    return [
        each
        if each.classes
        else replace(each, dtype=dtype_for(loss, each.input, each.dtype, ranks))
        for each in found
    ]


def _is_used(loss: Block, filler: Filler, found: Sequence[BoundInput]) -> bool:
    """Whether the loss needs an input that says where lists end, or lists are padded."""
    padded = any(each.padded and each.input in filler.of for each in found)
    return padded or loss.signature.by_name[filler.input].required


def _with_padding(
    each: BoundInput, found: Sequence[BoundInput], fillers: Sequence[Filler]
) -> BoundInput:
    """An input with an axis that is padded; as it is where all lists have one length."""
    axes = axes_of(fillers)
    axis = axes.get(each.input)
    if axis is None or each.lengths[0] is not None:
        return each
    known = [x.lengths[0] for x in found if axes.get(x.input) == axis and x.lengths[0] is not None]
    if known:  # lists beside others of one length have that as well
        return replace(each, lengths=(known[0], *each.lengths[1:]))
    return replace(each, padded=axis)


def _fillers(loss: Block, found: Sequence[BoundInput], shared: Collection[str]) -> list[Filler]:
    """The inputs that can say where lists end: all that the loss needs, of others one a list."""
    lists = [each.input for each in found if each.lengths and not each.several]
    dtype = next((each.dtype.name for each in found if each.dtype.kind == "f"), "float32")
    inputs = [name for name in inputs_of(loss) if name not in shared]
    fillers = fillers_of(inputs, lists, dtype)
    needed = [each for each in fillers if loss.signature.by_name[each.input].required]
    kept, covered = list(needed), {name for each in needed for name in each.of}
    for each in fillers:
        if each not in needed and not covered.issuperset(each.of):
            kept.append(each)
            covered.update(each.of)
    return sorted(kept, key=fillers.index)
