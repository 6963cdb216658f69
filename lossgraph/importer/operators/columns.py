"""Col2Im: patches of an image, as columns, added up where they came from."""

from __future__ import annotations

import math

import numpy as np

from ...ir import ops
from ...ir.dims import floordiv
from ...ir.expr import Expr, const
from ..node import Node
from ..translations import NotTranslatedError, translates


@translates("Col2Im", since=18)
def _col2im(node: Node) -> Expr:
    """By the engine's operator; its derivatives are those of a transposed convolution.

    Each channel has a group for itself, whose kernels have a single one: each element of a column
    goes to one place of the patch.
    """
    x, lengths, block = node[0], node.lengths(1), tuple(node.ints(2))
    count, places = len(block), math.prod(block)
    channels = floordiv(x.shape[1], places)
    if not isinstance(channels, int):
        raise NotTranslatedError("how many channels it has is known at run time")
    window = _window(node, block, channels)
    counts = [window.count(axis, length) for axis, length in enumerate(lengths)]
    kernels = np.tile(np.eye(places).reshape(places, 1, *block), (channels, *(1,) * (count + 1)))
    columns = ops.reshape(x, (x.shape[0], channels * places, *counts))
    formula = ops.unconvolve(const(kernels, x.dtype), columns, window, lengths)
    if x.dtype == "float64":  # for which ONNX Runtime has no kernel
        return formula
    (native,) = node.native(
        "Col2Im", *(node[place] for place in range(3)), types=[formula.type],
        dilations=window.dilation, strides=window.stride, pads=(*window.before, *window.after),
    )  # fmt: skip
    return ops.derived_as(native, formula)


def _window(node: Node, block: tuple[int, ...], groups: int) -> ops.Window:
    ones = (1,) * len(block)
    pads = tuple(node.attribute("pads", ())) or (0,) * (2 * len(block))
    return ops.Window(
        block,
        tuple(node.attribute("strides", ones)),
        tuple(node.attribute("dilations", ones)),
        pads[: len(block)],
        pads[len(block) :],
        groups,
    )
