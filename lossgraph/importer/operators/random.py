"""Random numbers: those of the engine, or, with a seed, those that are a function of it.

A node of the domain ``SEEDED`` is the standard one of its name with a seed as its last input and an
attribute ``stream`` that tells it from others.
"""

from __future__ import annotations

import math

from ...ir import ops
from ...ir.dims import Dim, product
from ...ir.expr import Expr, const
from ..node import Node
from ..translations import NotTranslatedError, translates
from ..types import DTYPE_NAMES

SEEDED = "lossgraph.seeded"
OPERATORS = ("Bernoulli", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike")
_ROOT_TWO = math.sqrt(2)


@translates("Dropout", since=7)
def _dropout(node: Node) -> list[Expr]:
    """Without training nothing is dropped; in training the engine says what is."""
    x, mode = node[0], node.optional(2)
    known = None if mode is None else node.known.elements(mode)
    if mode is None or (known is not None and not known.any()):
        return [x, ops.full(True, "bool", x.shape)]
    given = {"seed": node.attributes["seed"]} if "seed" in node.attributes else {}
    ratio = _ratio(node)
    _, keep = node.native("Dropout", x, ratio, mode, outputs=2, **given)
    factor = ops.where(mode, ops.div(1.0, 1.0 - ratio), const(1, x.dtype))
    return [_dropped(x, keep, ops.reshape(factor, ())), keep]


@translates("Dropout")
def _dropout_by_attribute(node: Node) -> list[Expr]:
    """Before opset 7 an attribute says that it is no training."""
    if not node.attribute("is_test", 0):
        raise NotTranslatedError("it drops at random")
    return [node[0], ops.full(1.0, node[0].dtype, node[0].shape)]


@translates("Dropout", domain=SEEDED)
def _seeded_dropout(node: Node) -> list[Expr]:
    x, ratio = node[0], ops.reshape(_ratio(node), ())
    keep = ops.greater_equal(_uniform(node, x.shape), ops.cast(ratio, "float32"))
    return [_dropped(x, keep, ops.div(1.0, 1.0 - ratio)), keep]


def _ratio(node: Node) -> Expr:
    ratio, dtype = node.optional(1), node[0].dtype
    if ratio is None or ratio.dtype == "int64":  # which is the seed, without a ratio
        return const(node.attribute("ratio", 0.5), dtype)
    return ops.cast(ratio, dtype)


def _dropped(x: Expr, keep: Expr, factor: Expr) -> Expr:
    """What is kept, times a factor; an infinity that is dropped is 0, as in all frameworks."""
    return ops.where(keep, x * factor, const(0, x.dtype))


@translates("Bernoulli", domain=SEEDED)
def _bernoulli(node: Node) -> Expr:
    dtype = DTYPE_NAMES[node.attribute("dtype", 0)] if node.attribute("dtype") else node[0].dtype
    uniform = _uniform(node, node[0].shape)
    return ops.cast(ops.less(uniform, ops.cast(node[0], "float32")), dtype)


@translates("RandomUniform", "RandomUniformLike", domain=SEEDED)
def _random_uniform(node: Node) -> Expr:
    low, high = node.attribute("low", 0.0), node.attribute("high", 1.0)
    dtype, shape = _asked(node)
    return ops.cast(_uniform(node, shape) * (high - low) + low, dtype)


@translates("RandomNormal", "RandomNormalLike", domain=SEEDED)
def _random_normal(node: Node) -> Expr:
    """By the inverse distribution function, of numbers in the middle between those of 24 bits."""
    mean, scale = node.attribute("mean", 0.0), node.attribute("scale", 1.0)
    dtype, shape = _asked(node)
    uniform = _uniform(node, shape) + 2.0**-25
    return ops.cast(ops.erfinv(uniform * 2.0 - 1.0) * (_ROOT_TWO * scale) + mean, dtype)


def _asked(node: Node) -> tuple[str, tuple[Dim, ...]]:
    code = node.attribute("dtype")
    if node.operator.endswith("Like"):
        return (DTYPE_NAMES[code] if code else node[0].dtype), node[0].shape
    return DTYPE_NAMES[code or 1], tuple(int(size) for size in node.attribute("shape"))


def _uniform(node: Node, shape: tuple[Dim, ...]) -> Expr:
    seed = next(x for x in reversed(node.inputs) if x is not None)
    stream = node.attribute("stream", 0)
    return ops.reshape(ops.random_uniform(seed, product(shape), stream), shape)
