"""Programs over tiles: groups of samples that fit a processor's cache, one after the other.

An engine runs one operator over a whole batch before the next, so that every intermediate of a
large batch goes to memory and back. A scan over tiles does all operators on one tile first. The
graph is that of the program with the samples in two axes, tiles and the rows of each.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from ..ir.batching import reduction
from ..ir.dims import evaluate, named, product
from ..ir.expr import (
    Expr,
    inputs_of,
    is_input,
    is_literal,
    rename_sizes,
    substitute,
    toposort,
    variable,
)
from ..ir.types import numpy_dtype
from ..lowering.lower import lower
from ..passes.assumptions import speculate
from ..passes.batch_partition import BatchPartition
from ..passes.costs import Target
from ..passes.scan import scan

if TYPE_CHECKING:
    import onnx

# The share of a processor's second cache that one array of a tile takes: some five are alive at
# once, so that a fifth leaves a little for the engine. Smaller tiles pay more for each operator's
# call: sigmoid cross-entropy with its gradient at 4096x1000 takes 34 ms whole, 28 ms in tiles of a
# sixth of this size, 15 ms in those of half, of this and of twice the size (ONNX Runtime 1.32,
# 1 MiB). Tiles may go when the engine fuses element-wise operators on the CPU, which shows when
# ``lg.compile(.., tiles=0)`` is as fast as without it at that size.
_SHARE = 0.18
# Nanoseconds of work, on one thread, from which on tiles pay for waking the threads that take them;
# ONNX Runtime's own wait awake. The same loss of 256 rows of 1000 (0.7 ms of work) takes 0.6 ms
# whole, and longer in tiles.
_WORTH_TILES = 800_000.0
# Operators over the whole of the largest array: with fewer there is little to keep in the cache.
# A value like softmax cross-entropy's is one such operator, which the engine does in one pass.
_FEWEST_PASSES = 2
# Operators are chosen for arrays of about as many elements as a tile has.
_TILED = Target("cpu", 64_000)
# Bytes of a second cache, where the system does not say: what most processors have for a core.
_COMMON_CACHE = 1 << 20


def shard_model(
    inputs: Sequence[Expr],
    batch: BatchPartition,
    label_check: Mapping[str, Expr],
    target: Target,
    opset: int | None = None,
    *,
    tiled: bool,
) -> onnx.ModelProto:
    """The model of what a shard computes, with the outputs that check it.

    In tiles arrays (samples, ..) become (tiles, rows, ..), and what is not of each sample is
    given for each tile.
    """
    values, assumption_checks = speculate(list(batch.per_shard.values()), target)
    outputs = [*batch.per_shard, *label_check, *assumption_checks]
    values = [*values, *label_check.values(), *assumption_checks.values()]
    own = [*inputs, *(node for node in inputs_of(values) if node not in inputs)]
    if tiled:
        own, values = _over_tiles(own, values, batch)
    return lower(
        own,
        dict(zip(outputs, values, strict=True)),
        opset=opset,
        target=replace(target, elements=_TILED.elements),
    )


def _over_tiles(
    inputs: Sequence[Expr], values: Sequence[Expr], batch: BatchPartition
) -> tuple[list[Expr], list[Expr]]:
    """Inputs and values as a scan over tiles of rows."""
    renamed = rename_sizes([*inputs, *values], {batch.dim: named("_rows")})
    own, values = renamed[: len(inputs)], renamed[len(inputs) :]
    cut = [node for node in own if batch.inputs.get(node.attrs["name"]) is not None]
    stacks = {
        node: variable(node.attrs["name"], node.type.with_shape((named("_tiles"), *node.shape)))
        for node in cut
    }
    _, stacked = scan(
        lambda _, elements: ([], substitute(values, dict(zip(cut, elements, strict=True)))),
        [],
        list(stacks.values()),
    )
    return [stacks.get(node, node) for node in own], stacked


def rows_of_a_tile(inputs: Sequence[Expr], batch: BatchPartition, sizes: Mapping[str, int]) -> int:
    """How many samples make a tile; 0 if the batch is better run whole."""
    samples = sizes[batch.dim]
    if samples == 0 or not batch.contiguous:
        return 0
    arrays = [node for node in inputs if batch.inputs.get(node.attrs["name"]) is not None]
    arrays += [batch.per_shard[name] for name in batch.outputs]
    widest = max(_bytes(node, sizes) for node in arrays)
    order = [node for node in toposort(batch.per_shard.values()) if not is_literal(node)]
    wide = [node for node in order if 2 * _bytes(node, sizes) >= widest]
    steps = [node for node in order if not is_input(node)]
    passes = [node for node in steps if node in wide or _reduces(node, wide)]
    if len(passes) < _FEWEST_PASSES or _work(steps, sizes) < _WORTH_TILES:
        return 0
    rows = max(1, int(_SHARE * _cache_size()) * samples // widest)
    # a number that leaves no rest, which would be a run of its own, if one is near
    return next((n for n in range(rows, rows // 2, -1) if samples % n == 0), rows)


def _reduces(node: Expr, wide: Sequence[Expr]) -> bool:
    return node.op.batching is reduction and node.args[0] in wide


def _work(steps: Sequence[Expr], sizes: Mapping[str, int]) -> float:
    """About how many nanoseconds operations take on one thread."""
    return sum(
        _TILED.nanoseconds(
            node.op, node.dtype, max(_elements(n, sizes) for n in (node, *node.args))
        )
        for node in steps
    )


@cache
def _cache_size() -> int:
    """Bytes of a processor's second cache; what is common where the system does not say."""
    try:
        return os.sysconf("SC_LEVEL2_CACHE_SIZE") or _COMMON_CACHE
    except (AttributeError, ValueError):
        return _COMMON_CACHE


def _elements(node: Expr, sizes: Mapping[str, int]) -> int:
    return evaluate(product(node.shape), sizes)


def _bytes(node: Expr, sizes: Mapping[str, int]) -> int:
    return _elements(node, sizes) * numpy_dtype(node.dtype).itemsize
