"""Boxes in layers: where each stands so that edges go down, cross seldom and touch no box.

Layers and the order in them are fast-sugiyama's, which knows nothing of widths; within that order
the boxes are moved as near to their neighbors as their widths allow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from ..errors import InputError

GAP, LAYER_GAP, LINE = 22.0, 38.0, 10.0  # between boxes, between layers, the room of an edge
_ROUNDS = 24  # of moving towards neighbors
_STRAIGHT = 8.0  # how much more a straight line counts than a box below its parent

Edge = tuple[int, int]


class Box(NamedTuple):
    """A rectangle by its middle and its size."""

    x: float
    y: float
    width: float
    height: float

    @property
    def top(self) -> float:
        """The upper end."""
        return self.y - self.height / 2

    @property
    def bottom(self) -> float:
        """The lower end."""
        return self.y + self.height / 2


@dataclass(frozen=True)
class Placement:
    """Where everything is, from (0, 0).

    Attributes:
        boxes: the boxes, in the order of their sizes.
        routes: for each edge the middle of its box, or of the place that it passes, in each layer
            from one end to the other, as high as the layer: lines bend between layers.
        width: of everything.
        height: of everything.
    """

    boxes: Sequence[Box]
    routes: Mapping[Edge, Sequence[Box]]
    width: float
    height: float


def place(sizes: Sequence[tuple[float, float]], edges: Sequence[Edge]) -> Placement:
    """Boxes of these sizes, in layers such that edges go down.

    Args:
        sizes: width and height of each box.
        edges: pairs of boxes, by index; without cycles.

    Raises:
        InputError: if the library that makes layers is not installed.
    """
    layers, chains = _layers(len(sizes), sorted(set(edges)))
    widths = dict(enumerate(size[0] for size in sizes))
    x = _columns(layers, chains, widths)
    heights = [max([sizes[v][1] for v in layer if v < len(sizes)], default=0) for layer in layers]
    bands: dict[int, Box] = {}
    top = 0.0
    for layer, height in zip(layers, heights, strict=True):
        bands |= {v: Box(x[v], top + height / 2, 0.0, height) for v in layer}
        top += height + LAYER_GAP
    left = min((middle - widths.get(v, 0.0) / 2 for v, middle in x.items()), default=0.0)
    right = max((middle + widths.get(v, 0.0) / 2 for v, middle in x.items()), default=0.0)
    bands = {v: band._replace(x=band.x - left) for v, band in bands.items()}
    boxes = [Box(bands[v].x, bands[v].y, *size) for v, size in enumerate(sizes)]
    routes = {(chain[0], chain[-1]): [bands[v] for v in chain] for chain in chains}
    return Placement(boxes, routes, right - left, max(top - LAYER_GAP, 0.0))


def _layers(count: int, edges: Sequence[Edge]) -> tuple[list[list[int]], list[list[int]]]:
    """Boxes in layers from left to right, and for each edge the places that it passes.

    Places that are no box are numbered after the boxes. What has no edge is in the first layer.
    """
    joined = sorted({v for edge in edges for v in edge})
    number = {v: i for i, v in enumerate(joined)}  # without gaps: the library's places come after
    found: dict[float, list[tuple[float, int]]] = defaultdict(list)
    steps: dict[int, list[int]] = defaultdict(list)
    right, fresh = 0.0, count
    given = [(number[source], number[target]) for source, target in edges]
    for positions, width, _, pairs in _library()(given, dummy_vertices=True, vertex_spacing=1):
        own = {}
        for v, _ in sorted(positions):
            own[v] = joined[v] if v < len(joined) else fresh
            fresh += v >= len(joined)
        top = max(y for _, (_, y) in positions)
        for v, (x, y) in sorted(positions):
            found[top - y].append((right + x, own[v]))
        for source, target in pairs:
            steps[own[source]].append(own[target])
        right += width + 1
    found[0.0] += [(right + v, v) for v in range(count) if v not in number]
    layers = [[v for _, v in sorted(found[y])] for y in sorted(found)]
    return layers, [
        _chain(first, steps, count) for v in joined for first in ([v, w] for w in sorted(steps[v]))
    ]


def _chain(first: list[int], steps: Mapping[int, Sequence[int]], count: int) -> list[int]:
    """An edge through its places to a box."""
    chain = list(first)
    while chain[-1] >= count:
        chain += steps[chain[-1]]
    return chain


def _columns(
    layers: Sequence[Sequence[int]], chains: Sequence[Sequence[int]], widths: Mapping[int, float]
) -> dict[int, float]:
    """The middles of boxes and places from left to right, each near its neighbors."""
    near: dict[int, list[tuple[int, float]]] = defaultdict(list)
    for chain in chains:
        for a, b in pairwise(chain):
            weight = _STRAIGHT if a not in widths or b not in widths else 1.0
            near[a].append((b, weight))
            near[b].append((a, weight))
    room = {v: widths.get(v, LINE) + GAP for layer in layers for v in layer}
    x = {}
    for layer in layers:
        ends = list(accumulate(room[v] for v in layer))
        x.update({v: end - room[v] / 2 - ends[-1] / 2 for v, end in zip(layer, ends, strict=True)})
    for _ in range(_ROUNDS):
        for layer in (*layers, *reversed(layers)):
            wanted = [_mean(near[v], x, x[v]) for v in layer]
            x.update(zip(layer, _apart(wanted, [room[v] for v in layer]), strict=True))
    return x


def _mean(near: Sequence[tuple[int, float]], x: Mapping[int, float], own: float) -> float:
    total = sum(weight for _, weight in near)
    return sum(weight * x[v] for v, weight in near) / total if total else own


def _apart(wanted: Sequence[float], room: Sequence[float]) -> list[float]:
    """The middles nearest to those wanted, in the least squares, that leave each its room.

    Without its distance from the first each middle only has to be no less than the one before,
    which is isotonic regression: neighbors in the wrong order share their mean.
    """
    ends = list(accumulate(room))
    offsets = [end - own / 2 for end, own in zip(ends, room, strict=True)]
    blocks: list[tuple[float, int]] = []  # sums and counts
    for place, offset in zip(wanted, offsets, strict=True):
        total, count = place - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] >= total / count:
            before = blocks.pop()
            total, count = total + before[0], count + before[1]
        blocks.append((total, count))
    means = [total / count for total, count in blocks for _ in range(count)]
    return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _library() -> Any:
    try:
        from fast_sugiyama import from_edges
    except ImportError:
        raise InputError(
            "drawing a graph needs fast-sugiyama: pip install 'lossgraph[html]'"
        ) from None
    return from_edges
