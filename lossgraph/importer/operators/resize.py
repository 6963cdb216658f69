"""Resize and Upsample, in all versions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ...ir import ops
from ...ir.dims import Dim, Size, floordiv
from ...ir.expr import Expr, const
from ...ir.ops.resampling import Resampling
from ...ir.types import canonical_axis
from ..node import Node
from ..translations import NotTranslatedError, translates


@translates("Resize", since=11)
def _resize(node: Node) -> Expr:
    x = node[0]
    given = node.attribute("axes")
    axes = range(x.rank) if given is None else [canonical_axis(axis, x.rank) for axis in given]
    scales, sizes = _scales(node, 2), _sizes(node)
    window = _window(node, len(axes))
    policy = node.attribute("keep_aspect_ratio_policy", "stretch")
    asked: tuple[Dim, ...] = ()
    if sizes is not None and policy != "stretch":
        asked = tuple(sizes)
        scale, sizes = _proportional(policy, asked, [x.shape[axis] for axis in axes])
        scales = [scale] * len(sizes)
    how: dict[str, Any] = {
        "policy": policy,
        "asked": asked,
        "mode": node.attribute("mode", "nearest"),
        "coordinates": node.attribute("coordinate_transformation_mode", "half_pixel"),
        "nearest": node.attribute("nearest_mode", "round_prefer_floor"),
        "cubic": node.attribute("cubic_coeff_a", -0.75),
        "inside_only": bool(node.attribute("exclude_outside", 0)),
        "antialias": bool(node.attribute("antialias", 0)),
        "outside": node.attribute("extrapolation_value", 0.0),
    }
    return _resized(node, list(axes), scales, sizes, window, how)


@translates("Resize", since=10)
def _resize_before_coordinates(node: Node) -> Expr:
    return _upsampled(node, _scales(node, 1))


@translates("Upsample", since=7)
def _upsample(node: Node) -> Expr:
    return _upsampled(node, node.attribute("scales") or _scales(node, 1))


def _upsampled(node: Node, scales: Sequence[float] | None) -> Expr:
    """What was there before places had coordinates: they begin where the signal begins."""
    x = node[0]
    if scales is None:
        raise NotTranslatedError("it lacks scales")
    shrinks, grows = any(s < 1 for s in scales), any(s > 1 for s in scales)
    if shrinks and grows:
        raise NotTranslatedError("it makes some axes longer and others shorter")
    how = {
        "mode": node.attribute("mode", "nearest"),
        "coordinates": "asymmetric",
        "nearest": "ceil" if shrinks else "floor",
    }
    return _resized(node, list(range(x.rank)), scales, None, None, how)


def _resized(
    node: Node,
    axes: list[int],
    scales: Sequence[float] | None,
    sizes: Sequence[Dim] | None,
    window: Sequence[tuple[float, float]] | None,
    how: dict[str, Any],
) -> Expr:
    x = node[0]
    lengths = [x.shape[axis] for axis in axes]
    if sizes is None:
        if scales is None:
            raise NotTranslatedError("it has neither scales nor sizes")
        sizes = [_scaled(node, dim, scale) for dim, scale in zip(lengths, scales, strict=True)]
    moved = [
        place
        for place in range(len(axes))
        if how.get("asked") or not _stays(place, lengths, scales, sizes, window)
    ]
    shape = list(x.shape)
    for place in moved:
        shape[axes[place]] = sizes[place]
    if not moved:
        return x
    resampling = Resampling(
        tuple(axes[place] for place in moved),
        None if scales is None else tuple(float(scales[place]) for place in moved),
        window=None if window is None else tuple(window[place] for place in moved),
        **how,
    )
    return ops.resize(x, shape, resampling)


def _stays(
    place: int,
    lengths: Sequence[Dim],
    scales: Sequence[float] | None,
    sizes: Sequence[Dim],
    window: Sequence[tuple[float, float]] | None,
) -> bool:
    """Whether an axis is left as it is."""
    whole = window is None or tuple(window[place]) == (0.0, 1.0)
    same = sizes[place] == lengths[place] if scales is None else scales[place] == 1
    return whole and same


def _scaled(node: Node, dim: Dim, scale: float) -> Dim:
    """The floor of a length times a scale, in the digits that the engine has."""
    if isinstance(dim, int):
        return int(np.floor(np.float32(dim) * np.float32(scale)))
    above, below = float(scale).as_integer_ratio()
    if below > 1024:
        product = ops.mul(ops.cast(ops.size_of(dim), "float32"), const(scale, "float32"))
        return node.length(ops.cast(ops.floor(product), "int64"))
    return floordiv(dim * above, below)


def _scales(node: Node, place: int) -> list[float] | None:
    given = node.optional(place)
    if given is None or given.shape == (0,):
        return None
    found = node.known.elements(given)
    if found is None or any(isinstance(scale, (Size, Expr)) for scale in found.flat):
        raise NotTranslatedError("its scales are computed when it runs")
    return [float(scale) for scale in found.flat]


def _sizes(node: Node) -> Sequence[Dim] | None:
    given = node.optional(3)
    if given is None or given.shape == (0,):
        return None
    sizes: Sequence[Dim] = node.lengths(3)
    return sizes


def _window(node: Node, count: int) -> list[tuple[float, float]] | None:
    given = node.optional(1)
    if given is None or given.shape == (0,):
        return None
    if node.attribute("coordinate_transformation_mode", "half_pixel") != "tf_crop_and_resize":
        return None
    found = node.known.elements(given)
    if found is None:
        raise NotTranslatedError("the part that it takes is computed when it runs")
    ends = [float(end) for end in found.flat]
    return list(zip(ends[:count], ends[count:], strict=True))


def _proportional(
    policy: str, asked: Sequence[Dim], lengths: Sequence[Dim]
) -> tuple[float, list[int]]:
    """One scale for all axes, by which none is longer, or none shorter, than is asked for."""
    pairs = list(zip(asked, lengths, strict=True))
    known = [(size, length) for size, length in pairs if isinstance(size, int) and length]
    fixed = [(size, length) for size, length in known if isinstance(length, int)]
    if len(fixed) < len(pairs):
        raise NotTranslatedError("it keeps the proportions of lengths that are known when it runs")
    scales = [np.float32(size) / np.float32(length) for size, length in fixed]
    scale = min(scales) if policy == "not_larger" else max(scales)
    return float(scale), [int(np.floor(scale * length + np.float32(0.5))) for _, length in fixed]
