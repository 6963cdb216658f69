"""A worker: batches of a table in, terms of its rows added to what is collected."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from ..compiler.outputs import auxiliary_name, gradient_name
from ..compiler.rows import SCALE, WEIGHT
from ..errors import InputError, LossgraphError
from ..runtime.compiled import Compiled
from .batch import Place, Rows
from .collected import Collected
from .columns import BadRowError, Binding, bound_numbers, joined
from .coupled import first_row
from .plan import Plan

Array = np.ndarray[Any, Any]


class Evaluator:
    """The compiled loss of a plan, which several threads may share.

    Args:
        plan: what is computed.
        threads: how many threads a call may use: one, where parts are what runs in parallel.
    """

    def __init__(self, plan: Plan, threads: int = 1) -> None:
        self.plan = plan
        self._names = list(plan.rows.program.outputs)
        self._compiled = _compiled(plan, threads)

    def with_shared(self, shared: Mapping[str, Array]) -> Evaluator:
        """The same compiled loss with other inputs that all rows share, of the same types."""
        made = copy.copy(self)
        made.plan = replace(self.plan, shared=shared)
        return made

    def rows(self, batch: pa.RecordBatch, place: Place) -> Rows | None:
        """The losses of the rows of a batch; None if all of them are skipped.

        Raises:
            BadRowError: for a row that has no loss, with its number and part.
        """
        plan = self.plan
        batch, kept = self._without_nulls(batch)
        if not len(batch):
            return None
        try:
            weights = None if plan.weights is None else _weights(batch, plan.weights)
            inputs, outputs = self._computed(plan.binding, batch, weights)
            measures, weighed = _measures(plan, outputs, weights)
            if plan.against is not None:
                _, other = self._computed(plan.against, batch, weights)
                measures |= _differences(plan, measures["loss"], other)
        except BadRowError as error:
            if plan.batches is not None:
                place = plan.batches.place(batch, place)
            raise error.placed(place.name, place.first, kept) from None
        gradients = {name: outputs[gradient_name(name)] for name in plan.rows.program.wrt}
        own = {name: gradients[name] for name in plan.gradients_of_rows}
        sums = {name: gradients[name] for name in plan.shared_gradients}
        if plan.batches is not None:
            row = first_row(batch, plan.by, plan.batches, place)
            one = None if kept is None else kept[:1]
            return Rows(row, place.first, one, measures, None, {}, {}, sums, len(batch))
        return Rows(batch, place.first, kept, measures, weighed, inputs, own, sums)

    def _without_nulls(self, batch: pa.RecordBatch) -> tuple[pa.RecordBatch, Array | None]:
        """The rows that have a loss, and which of the batch they are; None for all."""
        plan = self.plan
        if plan.nulls == "refuse":  # which making arrays of the columns does
            return batch, None
        masks = [b.missing(batch) for b in (plan.binding, plan.against) if b is not None]
        if plan.weights:
            masks.append(np.asarray(batch.column(plan.weights).is_null()))
        found = [mask for mask in masks if mask is not None and mask.any()]
        if not found:
            return batch, None
        kept = ~np.logical_or.reduce(found)
        return batch.filter(pa.array(kept)), np.flatnonzero(kept)

    def _computed(
        self, binding: Binding, batch: pa.RecordBatch, weights: Array | None
    ) -> tuple[dict[str, Array], dict[str, Array]]:
        """The arrays of a batch and what is computed of them, in pieces where lists are padded."""
        pieces, found = binding.pieces(batch), []
        for piece in pieces:
            own = weights if weights is None or piece.rows is None else weights[piece.rows]
            try:
                found.append(self._outputs(binding, piece.arrays, own))
            except BadRowError as error:
                raise error.among(piece.rows) from None
        sums = [gradient_name(name) for name in self.plan.shared_gradients]
        return joined(pieces, [piece.arrays for piece in pieces]), joined(pieces, found, sums)

    def _outputs(
        self, binding: Binding, inputs: Mapping[str, Array], weights: Array | None
    ) -> dict[str, Array]:
        program, arrays = self.plan.rows.program, {**inputs, **self.plan.shared}
        if self.plan.shared_gradients:
            dtype = next(iter(program.outputs.values())).dtype
            count = 1 if self.plan.batches else len(next(iter(inputs.values())))
            arrays[WEIGHT] = (np.ones(count) if weights is None else weights).astype(dtype)
        binding.check_labels(program, arrays)
        try:
            return dict(zip(self._names, self._compiled.outputs(arrays), strict=True))
        except InputError:
            binding.check_labels(program, arrays, thorough=True)
            raise


class Worker:
    """Takes batches, and collects the statistics of their rows."""

    def __init__(self, plan: Plan, evaluator: Evaluator | None = None) -> None:
        self.plan = plan
        self._evaluator = evaluator
        self.collected = Collected(plan)

    @cached_property
    def evaluator(self) -> Evaluator:
        return self._evaluator or Evaluator(self.plan)

    def add(self, batch: pa.RecordBatch, place: Place) -> Rows | None:
        """Compute the losses of a batch, and add them to what is collected."""
        rows = self.evaluator.rows(batch, place)
        self.collected.add(rows, len(batch), place)
        return rows


def _compiled(plan: Plan, threads: int) -> Compiled:
    if plan.kernels:
        try:
            return Compiled(plan.rows.program, threads=threads, kernels=True)
        except LossgraphError:
            pass  # no compiler that works, or a loss that is no kernel: the graph computes it
    return Compiled(plan.rows.program, threads=threads, kernels=False)


def _weights(batch: pa.RecordBatch, name: str) -> Array:
    weights = bound_numbers(batch.schema, "weights", name).numbers(batch)
    bad = ~((weights >= 0) & np.isfinite(weights))
    if bad.any():
        row = int(np.argmax(bad))
        raise BadRowError(row, name, f"has the weight {weights[row]}: expected 0 or more")
    return weights


def _measures(
    plan: Plan, outputs: Mapping[str, Array], weights: Array | None
) -> tuple[dict[str, Array], Array | None]:
    """The loss of each row and its parts, and the weight that it counts with."""
    program = plan.rows.program
    (value,) = program.values
    terms = {"loss": outputs[value]}
    terms |= {name: outputs[auxiliary_name(name)] for name in plan.rows.parts}
    if not plan.rows.scaled:
        return terms, weights
    scale = outputs[auxiliary_name(SCALE)].astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = {name: term / scale for name, term in terms.items()}
    return terms, scale if weights is None else scale * weights


def _differences(plan: Plan, loss: Array, other: Mapping[str, Array]) -> dict[str, Array]:
    against = _measures(plan, other, None)[0]["loss"]
    return {"against": against, "difference": against.astype(np.float64) - loss}
