"""Programs over tiles: groups of samples that fit a processor's cache, one after the other.

An engine runs one operator over a whole batch before the next, so that every intermediate of a
large batch goes to memory and back. A scan over tiles does all operators on one tile first. The
graph is that of the program with the samples in two axes, tiles and the rows of each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .costs import Target
from .dims import evaluate, named, product
from .expr import Expr, is_const, is_input, rename_sizes, substitute, toposort, variable
from .scan import scan
from .separate import Batch
from .types import numpy_dtype

if TYPE_CHECKING:
    import onnx

# Bytes of an array's tile: some six arrays are alive at once, and have to fit a cache of 1 to 2 MB.
_TILE_BYTES = 160 * 1024
TILE_ELEMENTS = _TILE_BYTES // 4
# Elements computed in a batch from which on tiles pay.
_WORTH_TILES = 4_000_000
# With fewer operators over the whole of the largest array there is little to keep in the cache.
_FEWEST_PASSES = 2


def tiled_model(
    inputs: Sequence[Expr], outputs: Mapping[str, Expr], batch: Batch, opset: int | None = None
) -> onnx.ModelProto:
    """The model of a graph on tiles: arrays (samples, ..) become (tiles, rows, ..).

    Outputs beside those of the batch are given for each tile.
    """
    from .lower import DEFAULT_OPSET, lower  # which loads onnx

    renamed = rename_sizes([*inputs, *outputs.values()], {batch.dim: named("_rows")})
    own, values = renamed[: len(inputs)], renamed[len(inputs) :]
    cut = [node for node in own if batch.inputs[node.attrs["name"]] is not None]
    stacks = {
        node: variable(node.attrs["name"], node.type.with_shape((named("_tiles"), *node.shape)))
        for node in cut
    }
    _, found = scan(
        lambda _, elements: ([], substitute(values, dict(zip(cut, elements, strict=True)))),
        [],
        list(stacks.values()),
    )
    return lower(
        [stacks.get(node, node) for node in own],
        dict(zip(outputs, found, strict=True)),
        opset=DEFAULT_OPSET if opset is None else opset,
        target=Target("cpu", TILE_ELEMENTS),
    )


def rows_of_a_tile(
    inputs: Sequence[Expr],
    outputs: Mapping[str, Expr],
    batch: Batch,
    sizes: Mapping[str, int],
) -> int:
    """How many samples make a tile; 0 if the batch is better run whole."""
    samples = sizes[batch.dim]
    axes = {**batch.inputs, **batch.outputs}
    if samples == 0 or any(axis not in (0, None) for axis in axes.values()):
        return 0  # samples that do not lie one after the other in memory
    arrays = [node for node in inputs if batch.inputs[node.attrs["name"]] is not None]
    arrays += [outputs[name] for name in batch.outputs]
    largest = max(_elements(node, sizes) for node in arrays)
    computed = [
        _elements(node, sizes)
        for node in toposort(outputs.values())
        if not is_input(node) and not is_const(node)
    ]
    passes = sum(2 * count >= largest for count in computed)
    if passes < _FEWEST_PASSES or sum(computed) < _WORTH_TILES:
        return 0
    widest = max(_elements(node, sizes) * numpy_dtype(node.dtype).itemsize for node in arrays)
    rows = max(1, _TILE_BYTES * samples // widest)
    # a number that leaves no rest, which would be a run of its own, if one is near
    return next((n for n in range(rows, rows // 2, -1) if samples % n == 0), rows)


def _elements(node: Expr, sizes: Mapping[str, int]) -> int:
    return evaluate(product(node.shape), sizes)
